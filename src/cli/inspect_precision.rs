//! `genset inspect --precision`: how far a reduced precision is from f32.

use std::path::Path;

use super::common::{print, print_json};
use crate::error::Result;
use crate::inspect::{Reduced, precision};
use crate::load::{Dataset, Options};

pub(super) fn run(recipe: &Path, options: Options, images: usize, json: bool) -> Result<()> {
    let reduced = precision(&Dataset::open_with(recipe, options)?, images)?;
    if json { print_json(&reduced) } else { print(&text(&reduced)) }
}

fn text(Reduced { precision, difference }: &Reduced) -> String {
    let psnr = difference.psnr_db.map_or("no difference".into(), |psnr| format!("{psnr:.1} dB"));
    format!(
        "\
{} against f32, {} images, black 0 and white 1
largest difference {:>10.6}   {:.2} levels of 255
mean difference    {:>10.6}   {:.3} levels
PSNR               {psnr:>10}
",
        precision,
        difference.images,
        difference.max,
        difference.max * 255.0,
        difference.mean,
        difference.mean * 255.0,
    )
}
