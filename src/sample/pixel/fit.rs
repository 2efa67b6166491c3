//! Whether a pixel op can be carried out on images of a shape, and what shape comes out.

use crate::error::{Error, Kind, Result};
use crate::recipe::{EraseValue, MAX_SIDE, Padding, PixelKind, Size};

/// An op's place in a recipe, and the images it gets there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    /// The path of the list: `views.pixel`.
    pub list: &'a str,
    /// The op's number in the list.
    pub ordinal: usize,
    /// `[C, H, W]`.
    pub image: [usize; 3],
}

impl Place<'_> {
    fn refuse(&self, key: &str, wanted: &str) -> Error {
        let [c, h, w] = self.image;
        let channels = if c == 1 { "channel" } else { "channels" };
        let message = format!("{wanted}, but the image here is {c} {channels} of {h}×{w} pixels");
        Error::new(Kind::Recipe, message).at(format!("{}[{}].{key}", self.list, self.ordinal))
    }

    fn inside(&self, size: [u32; 2], padding: usize) -> Result<()> {
        let [_, h, w] = self.image;
        if size[0] as usize <= h + 2 * padding && size[1] as usize <= w + 2 * padding {
            return Ok(());
        }
        let padded =
            if padding > 0 { format!(" with a padding of {padding}") } else { String::new() };
        let wanted = format!("cannot crop {}×{} pixels{padded}", size[0], size[1]);
        Err(self.refuse("size", &wanted).help("resize first, or take a smaller crop"))
    }

    fn channels(&self, key: &str, given: usize) -> Result<[usize; 3]> {
        if given == 1 || given == self.image[0] {
            return Ok(self.image);
        }
        let wanted = format!("has {given} numbers");
        Err(self.refuse(key, &wanted).help("give one for each channel, or one for all"))
    }
}

/// The shape `[C, H, W]` that `kind` makes of the images at `place`.
///
/// # Errors
/// [`Kind::Recipe`] that says what the op wants and what the image is.
pub(super) fn fit(kind: &PixelKind, place: &Place<'_>) -> Result<[usize; 3]> {
    let image = place.image;
    let [c, h, w] = image;
    let sized = |[h, w]: [u32; 2]| Ok([c, h as usize, w as usize]);
    match kind {
        PixelKind::RandomResizedCrop { size, .. } => sized(*size),
        PixelKind::Resize { size, .. } => {
            let [height, width] = resized(*size, [h, w]);
            if height.max(width) > MAX_SIDE as usize {
                let wanted = format!("would make {height}×{width} pixels, above {MAX_SIDE} a side");
                return Err(place.refuse("size", &wanted).help("give size = [height, width]"));
            }
            Ok([c, height, width])
        }
        PixelKind::CenterCrop { size } => {
            place.inside(*size, 0)?;
            sized(*size)
        }
        PixelKind::RandomCrop { size, padding, mode } => {
            if *mode == Padding::Reflect && *padding as usize >= h.min(w) {
                let wanted = format!("cannot mirror {padding} pixels");
                return Err(place
                    .refuse("padding", &wanted)
                    .help("an image can be mirrored up to its side less one, or use \"edge\""));
            }
            place.inside(*size, *padding as usize)?;
            sized(*size)
        }
        PixelKind::ColourJitter { saturation: Some(_), .. } if c != 3 => {
            Err(place.refuse("saturation", COLOUR).help("leave it out: gray has no saturation"))
        }
        PixelKind::ColourJitter { hue: Some(_), .. } if c != 3 => {
            Err(place.refuse("hue", COLOUR).help("leave it out: gray has no hue"))
        }
        PixelKind::ColourJitter { contrast: Some(_), .. } if c != 3 && c != 1 => {
            Err(place.refuse("contrast", "needs one channel, or red, green and blue"))
        }
        PixelKind::Grayscale if c != 3 => {
            Err(place.refuse("op", COLOUR).help("leave it out, or give it a colour generator"))
        }
        PixelKind::GaussianBlur { kernel, .. } => {
            let fits = |side: usize, kernel: u32| ((kernel / 2) as usize) < side;
            if fits(h, kernel[0]) && fits(w, kernel[1]) {
                return Ok(image);
            }
            let wanted = format!(
                "of {}×{} pixels reaches further than the image can be mirrored",
                kernel[0], kernel[1]
            );
            Err(place.refuse("kernel", &wanted).help("at most twice the image's side less one"))
        }
        PixelKind::Erase { value: EraseValue::Constant(values), .. } => {
            place.channels("value", values.len())
        }
        PixelKind::Normalise(normalise) => {
            place.channels("mean", normalise.mean.len())?;
            place.channels("std", normalise.std.len())
        }
        _ => Ok(image),
    }
}

const COLOUR: &str = "needs red, green and blue";

/// `[height, width]` of an image after a resize; torchvision's rule, which cuts the longer side down
/// to a whole number.
pub(super) fn resized(size: Size, [h, w]: [usize; 2]) -> [usize; 2] {
    match size {
        Size::Exact([h, w]) => [h as usize, w as usize],
        Size::Shorter(side) => {
            let side = side as usize;
            let longer = |short: usize, long: usize| side * long / short;
            if h <= w { [side, longer(h, w)] } else { [longer(w, h), side] }
        }
    }
}
