//! How far a reduced precision is from f32.

use serde::Serialize;

use crate::error::{Error, Kind, Result};
use crate::generate::execution::Change;
use crate::generate::precision::{Difference, compare};
use crate::load::Dataset;
use crate::recipe::Precision;

/// A reduced precision, and how far its images are from those in f32.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reduced {
    /// As recipes name it.
    pub precision: &'static str,
    /// Of the same samples, black being 0 and white 1.
    pub difference: Difference,
}

/// Compares `images` images of a dataset, the first, with those that its recipe makes in f32.
///
/// # Errors
/// [`Kind::Argument`] if its own precision is f32; those of opening and running the generator.
pub fn precision(reduced: &Dataset, images: usize) -> Result<Reduced> {
    let generated = reduced.generated()?;
    let recipe = generated.recipe();
    let precision = recipe.generator.precision;
    if precision == Precision::F32 {
        return Err(Error::new(Kind::Argument, "the recipe's precision is f32 itself")
            .help("name the one to compare: --set generator.precision='\"bf16\"'"));
    }
    let mut exact = recipe.clone();
    exact.generator.precision = Precision::F32;
    let exact = Dataset::from_recipe(exact, generated.options().clone())?;
    let step = u64::from(recipe.generator.block);
    // Bytes of an epilogue would hide what is below a level; the images are the same.
    let floats = |dataset: &Dataset| {
        let edits: Vec<_> = dataset.generated()?.rewrites().to_vec();
        let kept = edits.into_iter().filter(|edit| edit.rewrite != Change::Epilogue);
        dataset.executed_with(&kept.collect::<Vec<_>>())
    };
    let difference = compare(
        &mut floats(&exact)?.generated()?.generator()?,
        &mut floats(reduced)?.generated()?.generator()?,
        (0..).map(|block| reduced.block_inputs(block * step)),
        images,
    )?;
    Ok(Reduced { precision: precision.name(), difference })
}
