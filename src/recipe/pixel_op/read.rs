//! Pixel ops as a recipe writes them: inline tables to checked ops, and back.
//!
//! An op that exists can be carried out on some image; whether it fits the images of one generator
//! is for [`crate::sample::PixelSampler`] to say.

use super::{
    Axis, EraseValue, Filter, MAX_PIXEL_OPS, MAX_SIDE, Padding, PixelKind, PixelOp, Sampling, Size,
};
use crate::error::Result;
use crate::recipe::parse::{document, normalise};
use crate::recipe::read::{Field, Source, Table};
use crate::recipe::views::Span;

/// Jitter factors, scales and blur beyond these are mistakes, and their squares leave the floats.
const MAX_FACTOR: f64 = 1000.0;
const MIN_FACTOR: f64 = 0.001;
/// Nearer to 90 degrees a sheared image is a line.
const MAX_SHEAR: f64 = 89.0;
const MAX_DEGREES: f64 = 360.0;
/// Elements of one image: an erase value has one for each channel.
const MAX_CHANNELS: usize = 4;

type Reader = fn(&Table<'_>) -> Result<PixelKind>;

/// Every op: its name, what reads its other keys, and the default of its `p`. An op that changes
/// the size has no `p`, as all images of a group have one shape.
const OPS: [(&str, (Reader, Option<f64>)); 14] = [
    ("random-resized-crop", (random_resized_crop, None)),
    ("resize", (resize, None)),
    ("center-crop", (center_crop, None)),
    ("random-crop", (random_crop, None)),
    ("flip", (flip, Some(0.5))),
    ("rotate", (rotate, Some(1.0))),
    ("affine", (affine, Some(1.0))),
    ("colour-jitter", (colour_jitter, Some(1.0))),
    ("grayscale", (|_| Ok(PixelKind::Grayscale), Some(0.1))),
    ("gaussian-blur", (gaussian_blur, Some(1.0))),
    ("solarize", (solarize, Some(1.0))),
    ("posterize", (posterize, Some(1.0))),
    ("erase", (erase, Some(0.5))),
    ("normalise", (|table| normalise(table).map(PixelKind::Normalise), None)),
];

/// What other libraries call an op, without case, punctuation and a leading `random`, where no
/// likeness of letters leads from one name to the other.
const ELSEWHERE: [(&str, &str); 9] = [
    ("centrecrop", "op = \"center-crop\""),
    ("colorjitter", "op = \"colour-jitter\""),
    ("cutout", "op = \"erase\""),
    ("erasing", "op = \"erase\""),
    ("greyscale", "op = \"grayscale\""),
    ("horizontalflip", "op = \"flip\""),
    ("normalize", "op = \"normalise\""),
    ("rotation", "op = \"rotate\""),
    ("verticalflip", "op = \"flip\", axis = \"vertical\""),
];

impl PixelOp {
    /// Reads a list of ops as it stands after `pixel =` in a recipe: `[{ op = "flip" }, …]`.
    ///
    /// # Errors
    /// [`crate::Kind::Recipe`] with line and key.
    pub fn parse_list(text: &str) -> Result<Vec<Self>> {
        let text = format!("pixel = {text}");
        let source = Source { file: "list of ops", text: &text };
        let document = document(&source)?;
        let root = Table::root(&source, document.as_table());
        let ops = Self::read_list(&root.require("pixel", "a list of ops")?)?;
        root.finish()?;
        Ok(ops)
    }

    pub(in crate::recipe) fn read_list(field: &Field<'_>) -> Result<Vec<Self>> {
        let items = field.items()?;
        if items.len() > MAX_PIXEL_OPS {
            let n = items.len();
            return Err(field.error(format!("has {n} ops; {MAX_PIXEL_OPS} are the most")));
        }
        let ops = items.iter().map(Self::read).collect::<Result<Vec<_>>>()?;
        let last = ops.len().saturating_sub(1);
        match ops.iter().position(|op| matches!(op.kind, PixelKind::Normalise(_))) {
            Some(at) if at < last => Err(items[at]
                .error("must be the last op of the list")
                .help("the ops after it would not find intensities in [0, 1]")),
            _ => Ok(ops),
        }
    }

    fn read(field: &Field<'_>) -> Result<Self> {
        let table = field.table()?;
        let op = table.require("op", "op = \"flip\"")?;
        if let Some(meant) = op.str().ok().and_then(meant) {
            let text = op.str()?;
            let error = op.error(format!("cannot be \"{text}\""));
            return Err(error.help(format!("did you mean {meant}?")));
        }
        let (reader, default) = op.one_of(&OPS)?;
        let kind = reader(&table)?;
        let p = match default {
            Some(default) => match table.get("p") {
                Some(field) => field.number_where("0 to 1", within(0.0, 1.0))?,
                None => default,
            },
            None => 1.0,
        };
        table.finish()?;
        Ok(Self { p, kind })
    }
}

/// What a name that is no op here means, if it is an op elsewhere.
fn meant(text: &str) -> Option<String> {
    let plain = |text: &str| -> String {
        text.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase()
    };
    if OPS.iter().any(|(name, _)| *name == text) {
        return None;
    }
    let whole = plain(text);
    let word = whole.strip_prefix("random").unwrap_or(&whole);
    let own =
        OPS.iter().map(|(name, _)| *name).find(|name| [&whole, word].contains(&&*plain(name)));
    let elsewhere = || ELSEWHERE.iter().find(|(name, _)| *name == word);
    own.map(|name| format!("op = \"{name}\""))
        .or_else(|| elsewhere().map(|(_, meant)| (*meant).to_owned()))
}

fn within(low: f64, high: f64) -> impl Fn(f64) -> bool + Copy {
    move |x| (low..=high).contains(&x)
}

/// A number or an interval, of which both ends fit.
fn span(field: &Field<'_>, wanted: &str, fits: impl Fn(f64) -> bool) -> Result<[f64; 2]> {
    let Span { low, high } = Span::read(field, wanted, fits)?;
    Ok([low, high])
}

/// `d` for `[-d, d]`, or both ends; all within ±`most`.
fn both_ways(field: &Field<'_>, most: f64) -> Result<[f64; 2]> {
    if field.is_array() {
        return field.interval(&format!("-{most} to {most}"), within(-most, most));
    }
    let most = field.number_where(&format!("0 to {most}"), within(0.0, most))?;
    Ok([-most, most])
}

/// `side` for a square, or `[height, width]`.
fn size(field: &Field<'_>) -> Result<[u32; 2]> {
    let side = |field: &Field<'_>| field.small(1..u64::from(MAX_SIDE) + 1);
    if !field.is_array() {
        return side(field).map(|side| [side, side]);
    }
    let sides = field.items()?.iter().map(side).collect::<Result<Vec<_>>>()?;
    <[u32; 2]>::try_from(sides).map_err(|_| field.error("must be one side, or [height, width]"))
}

fn interval(
    table: &Table<'_>,
    key: &'static str,
    default: [f64; 2],
    (wanted, fits): (&str, impl Fn(f64) -> bool),
) -> Result<[f64; 2]> {
    table.get(key).map_or(Ok(default), |field| field.interval(wanted, fits))
}

/// A share of the image's area.
fn share() -> (&'static str, impl Fn(f64) -> bool) {
    ("above 0 and at most 1", |x| x > 0.0 && x <= 1.0)
}

/// A ratio of two sides.
fn ratio() -> (&'static str, impl Fn(f64) -> bool) {
    ("0.001 to 1000", within(MIN_FACTOR, MAX_FACTOR))
}

fn filter(table: &Table<'_>) -> Result<Filter> {
    table.get("filter").map_or(Ok(Filter::Bilinear), |field| field.one_of(&Filter::ALL))
}

fn sampling(table: &Table<'_>) -> Result<Sampling> {
    table.get("filter").map_or(Ok(Sampling::Nearest), |field| field.one_of(&Sampling::ALL))
}

fn intensity(table: &Table<'_>, key: &'static str, default: f64) -> Result<f64> {
    table.get(key).map_or(Ok(default), |field| field.number_where("0 to 1", within(0.0, 1.0)))
}

fn random_resized_crop(table: &Table<'_>) -> Result<PixelKind> {
    Ok(PixelKind::RandomResizedCrop {
        size: size(&table.require("size", "size = 32: of the result, in pixels")?)?,
        scale: interval(table, "scale", [0.08, 1.0], share())?,
        ratio: interval(table, "ratio", [3.0 / 4.0, 4.0 / 3.0], ratio())?,
        filter: filter(table)?,
    })
}

fn resize(table: &Table<'_>) -> Result<PixelKind> {
    let field = table.require("size", "size = 32: of the shorter side, or [height, width]")?;
    let sides = size(&field)?;
    let size = if field.is_array() { Size::Exact(sides) } else { Size::Shorter(sides[0]) };
    Ok(PixelKind::Resize { size, filter: filter(table)? })
}

fn center_crop(table: &Table<'_>) -> Result<PixelKind> {
    let size = size(&table.require("size", "size = 28: of the result, in pixels")?)?;
    Ok(PixelKind::CenterCrop { size })
}

fn random_crop(table: &Table<'_>) -> Result<PixelKind> {
    let size = size(&table.require("size", "size = 28: of the result, in pixels")?)?;
    let padding = match table.get("padding") {
        Some(field) => field.small(0..u64::from(MAX_SIDE) + 1)?,
        None => 0,
    };
    let (mode, fill) = (table.get("padding-mode"), table.get("fill"));
    if let Some(field) = mode.as_ref().or(fill.as_ref()).filter(|_| padding == 0) {
        return Err(field
            .error("says what lies in the padding, but there is none")
            .help("give padding = 4 too, or leave this out"));
    }
    let mode = match mode {
        Some(field) => field.one_of(&Padding::ALL)?,
        None => Padding::Constant(0.0),
    };
    let mode = match (mode, fill) {
        (Padding::Constant(_), Some(field)) => {
            #[allow(clippy::cast_possible_truncation, reason = "an intensity")]
            let fill = field.number_where("0 to 1", within(0.0, 1.0))? as f32;
            Padding::Constant(fill)
        }
        (_, Some(field)) => {
            return Err(field.error("is for padding-mode = \"constant\" only"));
        }
        (mode, None) => mode,
    };
    Ok(PixelKind::RandomCrop { size, padding, mode })
}

fn flip(table: &Table<'_>) -> Result<PixelKind> {
    let axis = table.get("axis").map_or(Ok(Axis::Horizontal), |field| field.one_of(&Axis::ALL))?;
    Ok(PixelKind::Flip { axis })
}

fn degrees(table: &Table<'_>) -> Result<[f64; 2]> {
    let help = "degrees = 15: -15 to 15, or [low, high]";
    both_ways(&table.require("degrees", help)?, MAX_DEGREES)
}

fn rotate(table: &Table<'_>) -> Result<PixelKind> {
    let (degrees, filter) = (degrees(table)?, sampling(table)?);
    Ok(PixelKind::Rotate { degrees, filter, fill: intensity(table, "fill", 0.0)? })
}

fn affine(table: &Table<'_>) -> Result<PixelKind> {
    let degrees = degrees(table)?;
    let translate = match table.get("translate") {
        Some(field) => {
            let shares = field.items()?;
            let share = |field: &Field<'_>| field.number_where("0 to 1", within(0.0, 1.0));
            let shares = shares.iter().map(share).collect::<Result<Vec<_>>>()?;
            let wanted = "must be [x, y]: shares of the image's width and height";
            <[f64; 2]>::try_from(shares).map_err(|_| field.error(wanted))?
        }
        None => [0.0; 2],
    };
    let scale = match table.get("scale") {
        Some(field) => span(&field, "0.001 to 1000", within(MIN_FACTOR, MAX_FACTOR))?,
        None => [1.0; 2],
    };
    let shear = table.get("shear").map_or(Ok([[0.0; 2]; 2]), |field| shear(&field))?;
    let filter = sampling(table)?;
    let fill = intensity(table, "fill", 0.0)?;
    Ok(PixelKind::Affine { degrees, translate, scale, shear, filter, fill })
}

/// One number or interval along x alone, or both intervals in one list.
fn shear(field: &Field<'_>) -> Result<[[f64; 2]; 2]> {
    if !field.is_array() || field.items()?.len() == 2 {
        return both_ways(field, MAX_SHEAR).map(|x| [x, [0.0; 2]]);
    }
    let wanted = format!("-{MAX_SHEAR} to {MAX_SHEAR}");
    let ends = field.items()?;
    let ends = ends.iter().map(|end| end.number_where(&wanted, within(-MAX_SHEAR, MAX_SHEAR)));
    match ends.collect::<Result<Vec<_>>>()?[..] {
        [a, b, c, d] if a <= b && c <= d => Ok([[a, b], [c, d]]),
        _ => Err(field.error("must be a number, [low, high], or [x low, x high, y low, y high]")),
    }
}

fn colour_jitter(table: &Table<'_>) -> Result<PixelKind> {
    let factor = |key| {
        let Some(field) = table.get(key) else { return Ok(None) };
        let ends = span(&field, "0 to 1000", within(0.0, MAX_FACTOR))?;
        let around = |x: f64| [(1.0 - x).max(0.0), 1.0 + x];
        Ok(Some(if field.is_array() { ends } else { around(ends[0]) }))
    };
    let (brightness, contrast) = (factor("brightness")?, factor("contrast")?);
    let saturation = factor("saturation")?;
    let hue = table.get("hue").map(|field| both_ways(&field, 0.5)).transpose()?;
    if [brightness, contrast, saturation, hue] == [None; 4] {
        let help = "brightness, contrast, saturation, hue: at least one of them";
        table.require("brightness", help)?;
    }
    Ok(PixelKind::ColourJitter { brightness, contrast, saturation, hue })
}

fn gaussian_blur(table: &Table<'_>) -> Result<PixelKind> {
    let field =
        table.require("kernel", "kernel = 3: odd, in pixels; a tenth of the image's side")?;
    let kernel = size(&field)?;
    if let Some(even) = kernel.iter().find(|side| *side % 2 == 0) {
        return Err(field.error(format!("must be odd, not {even}")));
    }
    let sigma = match table.get("sigma") {
        Some(field) => span(&field, "0.001 to 1000", within(MIN_FACTOR, MAX_FACTOR))?,
        None => [0.1, 2.0],
    };
    Ok(PixelKind::GaussianBlur { kernel, sigma })
}

fn solarize(table: &Table<'_>) -> Result<PixelKind> {
    Ok(PixelKind::Solarize { threshold: intensity(table, "threshold", 0.5)? })
}

fn posterize(table: &Table<'_>) -> Result<PixelKind> {
    let bits = table.require("bits", "bits = 4: how many of 8 are kept")?.small(1..9)?;
    Ok(PixelKind::Posterize { bits })
}

fn erase(table: &Table<'_>) -> Result<PixelKind> {
    let value = match table.get("value") {
        Some(field) if field.is_str() => {
            field.one_of(&[("noise", ())]).map(|()| EraseValue::Noise)?
        }
        Some(field) if field.is_array() => {
            let each = |field: &Field<'_>| field.number_where("0 to 1", within(0.0, 1.0));
            let values = field.items()?.iter().map(each).collect::<Result<Vec<_>>>()?;
            if values.is_empty() || values.len() > MAX_CHANNELS {
                let n = values.len();
                return Err(field.error(format!("must have one number for each channel, not {n}")));
            }
            EraseValue::Constant(values)
        }
        Some(field) => EraseValue::Constant(vec![field.number_where("0 to 1", within(0.0, 1.0))?]),
        None => EraseValue::Constant(vec![0.0]),
    };
    Ok(PixelKind::Erase {
        scale: interval(table, "scale", [0.02, 0.33], share())?,
        ratio: interval(table, "ratio", [0.3, 3.3], ratio())?,
        value,
    })
}

/// The default of `p` of the op of this name, if it has a `p`.
pub(super) fn default_p(name: &str) -> Option<f64> {
    OPS.iter().find(|(other, _)| *other == name).and_then(|(_, (_, p))| *p)
}

#[cfg(test)]
mod tests;
