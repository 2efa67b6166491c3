//! `genset inspect --precision`: how far a reduced precision is from f32.

use std::path::Path;
use std::process::ExitCode;

use serde_json::json;

use super::common::{print, print_json};
use crate::error::{Error, Kind, Result};
use crate::generate::execution::Change;
use crate::generate::precision::{Difference, compare};
use crate::load::{Dataset, Options, read_recipe};
use crate::recipe::Precision;

pub(super) fn run(recipe: &Path, options: Options, images: usize, json: bool) -> Result<ExitCode> {
    let recipe = read_recipe(recipe, &options.settings)?;
    let precision = recipe.generator.precision;
    if precision == Precision::F32 {
        return Err(Error::new(Kind::Argument, "the recipe's precision is f32 itself")
            .help("name the one to compare: --set generator.precision='\"bf16\"'"));
    }
    let mut exact = recipe.clone();
    exact.generator.precision = Precision::F32;
    let exact = Dataset::from_recipe(exact, options.clone())?;
    let reduced = Dataset::from_recipe(recipe, options)?;
    let step = u64::from(reduced.generated()?.recipe().generator.block);
    // Bytes of an epilogue would hide what is below a level; the images are the same.
    let floats = |dataset: &Dataset| {
        let edits: Vec<_> = dataset.generated()?.rewrites().to_vec();
        let kept = edits.into_iter().filter(|edit| edit.rewrite != Change::Epilogue);
        dataset.executed_with(&kept.collect::<Vec<_>>())
    };
    let difference = compare(
        &mut floats(&exact)?.generated()?.generator()?,
        &mut floats(&reduced)?.generated()?.generator()?,
        (0..).map(|block| reduced.block_inputs(block * step)),
        images,
    )?;
    if json {
        print_json(&json!({ "precision": precision.name(), "difference": difference }))?;
    } else {
        print(&text(precision, &difference))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn text(precision: Precision, difference: &Difference) -> String {
    let psnr = difference.psnr_db.map_or("no difference".into(), |psnr| format!("{psnr:.1} dB"));
    format!(
        "\
{} against f32, {} images, black 0 and white 1
largest difference {:>10.6}   {:.2} levels of 255
mean difference    {:>10.6}   {:.3} levels
PSNR               {psnr:>10}
",
        precision.name(),
        difference.images,
        difference.max,
        difference.max * 255.0,
        difference.mean,
        difference.mean * 255.0,
    )
}
