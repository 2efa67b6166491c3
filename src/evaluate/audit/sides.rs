//! The datasets that an audit compares: what of them is looked at, and whether they fit each other.

use crate::error::{Error, Kind, Result};
use crate::evaluate::extract::source_settings;
use crate::load::Dataset;
use crate::recipe::Output;

/// What to do about several images a sample.
const ONE_VIEW: &str = "an audit looks at one image of a sample: of generated ones audit the recipe \
                        itself, and give others views.count = 1";

/// A recipe's images as its generator makes them, as bytes; other datasets as they are.
pub(super) fn plain(dataset: &Dataset) -> Result<Dataset> {
    let Ok(generated) = dataset.generated() else { return Ok(dataset.clone()) };
    dataset.with_recipe(generated.recipe().as_generated(Output::default()))
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
                let help = format!("{} for real ones", source_settings(expected));
                return Err(Error::new(Kind::Argument, message).help(help));
            }
            _ => first = Some((name, image)),
        }
    }
    Ok(first.map_or([0; 3], |(_, image)| image))
}
