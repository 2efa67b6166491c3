//! The datasets that an audit compares: what of them is looked at, and whether they fit each other.

use std::ops::Range;

use crate::error::{Error, Kind, Result};
use crate::load::Dataset;
use crate::recipe::{Output, Views};

/// What to do about several images a sample.
const ONE_VIEW: &str = "an audit looks at one image of a sample: of generated ones audit the recipe \
                        itself, and give others views.count = 1";

/// A recipe's images as its generator makes them, as bytes; other datasets as they are.
pub(super) fn plain(dataset: &Dataset) -> Result<Dataset> {
    let Ok(generated) = dataset.generated() else { return Ok(dataset.clone()) };
    let mut recipe = generated.recipe().clone();
    recipe.views = Views::default();
    recipe.output = Output::default();
    (recipe.cache, recipe.mix) = (None, None);
    dataset.with_recipe(recipe)
}

/// `[C, H, W]` of datasets that have the same, and one view a sample.
pub(super) fn image(datasets: [Option<&Dataset>; 3]) -> Result<[usize; 3]> {
    let mut first: Option<(&str, [usize; 3])> = None;
    for dataset in datasets.into_iter().flatten() {
        let name = dataset.name();
        let forms = dataset.forms();
        let [group] = &forms[..] else {
            let message = format!("{name} has {} groups of views", forms.len());
            return Err(Error::new(Kind::Argument, message).help(ONE_VIEW));
        };
        if group.views != 1 {
            let message = format!("{name} has {} views of each sample", group.views);
            return Err(Error::new(Kind::Argument, message).help(ONE_VIEW));
        }
        let image = [group.form.channels, group.form.height, group.form.width];
        match first {
            Some((other, expected)) if expected != image => {
                let message =
                    format!("images of {other} are {expected:?}, those of {name} {image:?}");
                let [c, h, w] = expected;
                let size = if h == w { format!("{h}") } else { format!("[{h},{w}]") };
                let help =
                    format!("--set source.size={size} --set source.channels={c} for real ones");
                return Err(Error::new(Kind::Argument, message).help(help));
            }
            _ => first = Some((name, image)),
        }
    }
    Ok(first.map_or([0; 3], |(_, image)| image))
}

/// The images of a dataset, at most `limit`, the first; `ends` says how one without end is given one.
pub(super) fn range(
    dataset: &Dataset,
    limit: Option<u64>,
    what: &str,
    ends: &str,
) -> Result<Range<u64>> {
    let all = dataset.range();
    if limit.is_none() && dataset.len().is_none() {
        let message = format!("there is no end of {what} images in {}", dataset.name());
        return Err(Error::new(Kind::Argument, message).help(ends.to_owned()));
    }
    Ok(all.start..limit.map_or(all.end, |limit| all.end.min(all.start.saturating_add(limit))))
}
