//! A recipe whose views are the images that the generator makes, before any pixel operation.
//!
//! Shards of it are smaller where views share an image, and pixel operations can be drawn anew
//! whenever they are read. Row `r` of a sample is view `r` of the derived recipe: rows are numbered
//! as [`Sampler::row_of_view`](crate::sample::Sampler::row_of_view) has them.

use super::manifest::Contents;
use crate::error::{Error, Kind, Result};
use crate::load::Dataset;
use crate::recipe::{Dtype, Layout, Output, Recipe};

/// The recipe that delivers each distinct image that the generator makes of a sample of `recipe`
/// once, as 8-bit pixels, in the order of rows.
///
/// # Errors
/// [`Kind::Argument`] for a recipe with `[mix]`, or if several groups show the anchor, or one that is
/// not the first: their rows are no sequence of views.
pub fn rows_recipe(recipe: &Recipe) -> Result<Recipe> {
    if recipe.mix.is_some() {
        let message = "rows of a recipe with [mix] would not say which of them are real";
        return Err(Error::new(Kind::Argument, message)
            .help("export what is delivered, without --rows, or leave out [mix]"));
    }
    let mut rows = recipe.clone();
    for (number, group) in rows.views.groups.iter_mut().enumerate() {
        let moved = group.moved();
        let shows_anchor = moved < group.count;
        if shows_anchor && number > 0 {
            let message = format!(
                "the views of group \"{}\" show the anchor, which only the first group may where \
                 rows are exported",
                group.name
            );
            return Err(Error::new(Kind::Argument, message).help(
                "move that group to the front, or export what is delivered, without --rows",
            ));
        }
        // Views that keep the anchor share its row. Latent operations are drawn by the number of
        // the group and of the view among those that are moved, which stay as they are.
        group.count = moved + u32::from(shows_anchor);
        group.pixel.clear();
    }
    rows.output = Output { dtype: Dtype::U8, layout: Layout::Nchw, normalise: None };
    debug_assert_eq!(rows.views.count(), recipe.views.rows());
    Ok(rows)
}

/// What is written of a dataset: itself, or the one that delivers its rows.
pub(super) fn stored_dataset(dataset: &Dataset, contents: Contents) -> Result<Dataset> {
    match contents {
        Contents::Delivered => Ok(dataset.clone()),
        Contents::Rows => dataset.with_recipe(rows_recipe(dataset.generated()?.recipe())?),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::sample::Sampler;

    fn recipe(views: &str) -> Recipe {
        let text = format!(
            "[generator]\nmodel = \"g\"\ninputs.z = {{ role = \"latent\" }}\n\
             [output]\ndtype = \"f32\"\n[views]\n{views}"
        );
        Recipe::parse(&text, "r", Path::new(".")).unwrap()
    }

    const MOVED: &str = "latent = [{ op = \"gaussian\", std = 0.5 }]";
    const FLIP: &str = "pixel = [{ op = \"flip\" }]";

    #[test]
    fn views_of_the_derived_recipe_are_the_rows_of_the_original() {
        for (views, count) in [
            (format!("count = 3\n{FLIP}"), 1),
            (format!("count = 3\n{MOVED}\n{FLIP}"), 3),
            (format!("count = 3\nanchor = true\n{MOVED}\n{FLIP}"), 3),
            (
                format!(
                    "groups = [{{ name = \"a\", count = 2, {FLIP} }}, {{ name = \"b\", count = 2, {MOVED} }}]"
                ),
                3,
            ),
        ] {
            let original = recipe(&views);
            let derived = rows_recipe(&original).unwrap();
            assert_eq!((original.views.rows(), derived.views.count()), (count, count), "{views}");
            let sampler = |recipe| Sampler::new(recipe, &[vec![4]]).unwrap();
            let (original, derived) = (sampler(&original), sampler(&derived));
            let rows: Vec<usize> = (0..original.rows()).collect();
            assert_eq!(derived.row_of_view(), rows);
            let plans = (original.plan(5, 0), derived.plan(5, 0));
            for (view, row) in original.row_of_view().iter().enumerate() {
                let z =
                    |plan: &crate::sample::Plan, view: usize| plan.inputs[0].views[view].clone();
                assert_eq!(z(&plans.0, view), z(&plans.1, *row), "{views}");
            }
        }
    }

    #[test]
    fn rows_that_are_no_sequence_of_views_are_refused() {
        let views = format!(
            "groups = [{{ name = \"a\", {MOVED} }}, {{ name = \"b\", count = 2, {FLIP} }}]"
        );
        let error = rows_recipe(&recipe(&views)).unwrap_err();
        assert!(error.to_string().contains("group \"b\" show the anchor"), "{error}");
    }
}
