//! Attributes of an image, each a number with a formula.

use super::ink::Ink;
use crate::error::{Error, Kind, Result};

/// One image in the form that attributes are measured on.
#[derive(Debug, Clone)]
pub struct Picture {
    height: usize,
    width: usize,
    /// Colour planes with alpha multiplied in: one, or red, green and blue.
    planes: Vec<Vec<f64>>,
    gray: Vec<f64>,
    ink: Ink,
}

impl Picture {
    /// From intensities in `[0, 1]`, `[channels, height, width]`: gray, gray and alpha, RGB or
    /// RGBA. Alpha is laid over black.
    ///
    /// # Panics
    /// If there are fewer values than pixels.
    #[must_use]
    pub fn new(values: &[f32], channels: usize, height: usize, width: usize) -> Self {
        let area = height * width;
        let alpha = matches!(channels, 2 | 4).then(|| &values[(channels - 1) * area..][..area]);
        let colours = if channels < 3 { 1 } else { 3 };
        let plane = |channel: usize| -> Vec<f64> {
            let plane = values[channel * area..][..area].iter().enumerate();
            let seen = |(pixel, value): (usize, &f32)| {
                f64::from(*value) * alpha.map_or(1.0, |alpha| f64::from(alpha[pixel]))
            };
            plane.map(seen).collect()
        };
        let planes: Vec<Vec<f64>> = (0..colours).map(plane).collect();
        let gray = match &planes[..] {
            // ITU-R BT.601, for values that are gamma-coded as delivered pixels are.
            [red, green, blue] => {
                (0..area).map(|i| 0.299 * red[i] + 0.587 * green[i] + 0.114 * blue[i]).collect()
            }
            planes => planes[0].clone(),
        };
        let ink = Ink::new(&planes.iter().map(|p| &p[..]).collect::<Vec<_>>(), height, width);
        Self { height, width, planes, gray, ink }
    }

    fn colours(&self) -> Option<[&[f64]; 3]> {
        let [red, green, blue] = &self.planes[..] else { return None };
        Some([red, green, blue])
    }
}

/// Something that can be measured on an image.
#[derive(Debug, Clone, Copy)]
pub struct Attribute {
    /// Its name, kebab-case.
    pub name: &'static str,
    /// Its formula and unit, for people.
    pub formula: &'static str,
    /// Whether only colour images have it.
    pub colour: bool,
    /// The value, or `None` where an image has none: a blank one has no position.
    pub measure: fn(&Picture) -> Option<f64>,
}

/// Every built-in attribute. Ink is the distance from the background, which is the median of the
/// outermost pixels.
#[must_use]
pub fn attributes() -> &'static [Attribute] {
    const fn gray(
        name: &'static str,
        formula: &'static str,
        measure: fn(&Picture) -> Option<f64>,
    ) -> Attribute {
        Attribute { name, formula, colour: false, measure }
    }
    const fn colour(
        name: &'static str,
        formula: &'static str,
        measure: fn(&Picture) -> Option<f64>,
    ) -> Attribute {
        Attribute { name, formula, colour: true, measure }
    }
    const ALL: &[Attribute] = &[
        gray("brightness", "mean of gray, 0 to 1", brightness),
        gray("contrast", "standard deviation of gray over the pixels", contrast),
        gray(
            "horizontal-position",
            "x of the centroid of ink, -1 left to 1 right",
            horizontal_position,
        ),
        gray(
            "vertical-position",
            "y of the centroid of ink, -1 top to 1 bottom",
            vertical_position,
        ),
        gray("size", "sqrt(mu20 + mu02) of ink over half the image's diagonal", size),
        gray("slant", "mu11 / mu02 of ink: the shear, more than 0 leans right", slant),
        gray("aspect", "ln sqrt(mu20' / mu02) of ink after the slant is taken out", aspect),
        gray("thickness", "twice the ink over the length of its edge, in pixels", thickness),
        gray("sharpness", "rms Laplacian over rms gradient of gray, per pixel", sharpness),
        colour("warmth", "mean of red less mean of blue", warmth),
        colour("greenness", "mean of green less mean of red and blue", greenness),
        colour("saturation", "mean of the largest less the smallest channel", saturation),
    ];
    ALL
}

/// The attributes named, in the order of the table; all that fit images of `channels` channels
/// if none is named.
///
/// # Errors
/// [`Kind::Argument`] for a name that does not exist, with the nearest, or does not fit.
pub(super) fn choose(names: &[String], channels: usize) -> Result<Vec<Attribute>> {
    let fits = |attribute: &Attribute| channels >= 3 || !attribute.colour;
    for name in names {
        let Some(attribute) = attributes().iter().find(|a| a.name == name) else {
            return Err(unknown(name));
        };
        if !fits(attribute) {
            let message = format!("attribute `{name}` needs colour, and the images are gray");
            return Err(Error::new(Kind::Argument, message));
        }
    }
    let wanted = |a: &&Attribute| names.is_empty() || names.iter().any(|name| name == a.name);
    Ok(attributes().iter().filter(wanted).filter(|a| fits(a)).copied().collect())
}

fn unknown(name: &str) -> Error {
    let score = |attribute: &&Attribute| strsim::jaro_winkler(name, attribute.name);
    let nearest = attributes().iter().max_by(|a, b| score(a).total_cmp(&score(b)));
    let help = match nearest.filter(|attribute| score(attribute) > 0.75) {
        Some(attribute) => format!("did you mean `{}`?", attribute.name),
        None => {
            let all: Vec<_> = attributes().iter().map(|a| a.name).collect();
            format!("there are {}; for others use a scorer", all.join(", "))
        }
    };
    Error::new(Kind::Argument, format!("there is no attribute `{name}`")).help(help)
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn brightness(picture: &Picture) -> Option<f64> {
    Some(mean(&picture.gray))
}

/// RMS contrast (Peli, 1990).
fn contrast(picture: &Picture) -> Option<f64> {
    let middle = mean(&picture.gray);
    let squares: f64 = picture.gray.iter().map(|value| (value - middle).powi(2)).sum();
    Some((squares / picture.gray.len() as f64).sqrt())
}

fn horizontal_position(picture: &Picture) -> Option<f64> {
    let (x, _) = picture.ink.centroid()?;
    Some(2.0 * x / picture.width as f64 - 1.0)
}

fn vertical_position(picture: &Picture) -> Option<f64> {
    let (_, y) = picture.ink.centroid()?;
    Some(2.0 * y / picture.height as f64 - 1.0)
}

fn size(picture: &Picture) -> Option<f64> {
    let spread = picture.ink.spread()?;
    let (h, w) = (picture.height as f64, picture.width as f64);
    Some((spread.xx + spread.yy).sqrt() / (0.5 * (h * h + w * w).sqrt()))
}

/// The shear by which LeCun et al. (1998) deslant digits.
fn slant(picture: &Picture) -> Option<f64> {
    let spread = picture.ink.spread()?;
    (spread.yy > 1e-6).then(|| spread.xy / spread.yy)
}

fn aspect(picture: &Picture) -> Option<f64> {
    let spread = picture.ink.spread()?;
    let upright = spread.xx - spread.xy * spread.xy / spread.yy;
    (spread.yy > 1e-6 && upright > 1e-6).then(|| 0.5 * (upright / spread.yy).ln())
}

fn thickness(picture: &Picture) -> Option<f64> {
    picture.ink.thickness()
}

/// How abrupt edges are: both energies grow alike with contrast and with the length of edges.
fn sharpness(picture: &Picture) -> Option<f64> {
    let (h, w) = (picture.height, picture.width);
    if h < 3 || w < 3 {
        return None;
    }
    let at = |x: usize, y: usize| picture.gray[y * w + x];
    let (mut laplacian, mut gradient) = (0.0, 0.0);
    for y in 1..h - 1 {
        for x in 1..w - 1 {
            let (left, right) = (at(x - 1, y), at(x + 1, y));
            let (above, below) = (at(x, y - 1), at(x, y + 1));
            laplacian += (left + right + above + below - 4.0 * at(x, y)).powi(2);
            gradient += (0.5 * (right - left)).powi(2) + (0.5 * (below - above)).powi(2);
        }
    }
    let flat = 1e-6 * (h * w) as f64;
    (gradient > flat).then(|| (laplacian / gradient).sqrt())
}

fn warmth(picture: &Picture) -> Option<f64> {
    let [red, _, blue] = picture.colours()?;
    Some(mean(red) - mean(blue))
}

fn greenness(picture: &Picture) -> Option<f64> {
    let [red, green, blue] = picture.colours()?;
    Some(mean(green) - 0.5 * (mean(red) + mean(blue)))
}

fn saturation(picture: &Picture) -> Option<f64> {
    let [red, green, blue] = picture.colours()?;
    let range = |i: usize| red[i].max(green[i]).max(blue[i]) - red[i].min(green[i]).min(blue[i]);
    Some((0..red.len()).map(range).sum::<f64>() / red.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A picture whose ink at a place (x, y from the centre, in pixels, y upwards) is given;
    /// every pixel is the mean of 8×8 points.
    fn draw(side: usize, ink: impl Fn(f64, f64) -> f64) -> Vec<f32> {
        let half = side as f64 / 2.0;
        let at = |pixel: usize| {
            let mut sum = 0.0;
            for sub in 0..64 {
                let (sx, sy) = ((sub % 8) as f64 + 0.5, (sub / 8) as f64 + 0.5);
                let x = (pixel % side) as f64 + sx / 8.0 - half;
                let y = half - (pixel / side) as f64 - sy / 8.0;
                sum += ink(x, y);
            }
            (sum / 64.0) as f32
        };
        (0..side * side).map(at).collect()
    }

    fn bar(shear: f64, width: f64, dx: f64, dy: f64) -> Vec<f32> {
        draw(28, |x, y| {
            let (x, y) = (x - dx, y - dy);
            f64::from((x - shear * y).abs() < width / 2.0 && y.abs() < 8.0)
        })
    }

    fn value(name: &str, image: &[f32]) -> f64 {
        let side = (image.len() as f64).sqrt() as usize;
        let attribute = attributes().iter().find(|a| a.name == name).unwrap();
        (attribute.measure)(&Picture::new(image, 1, side, side)).unwrap()
    }

    #[track_caller]
    fn close(value: f64, expected: f64, tolerance: f64) {
        assert!((value - expected).abs() < tolerance, "{value} is not {expected}");
    }

    #[test]
    fn a_sheared_bar_has_the_slant_it_was_given() {
        for shear in [-0.5, 0.0, 0.25, 0.6] {
            close(value("slant", &bar(shear, 4.0, 0.0, 0.0)), shear, 0.02);
        }
    }

    #[test]
    fn black_on_white_has_the_shape_of_white_on_black() {
        let image = bar(0.3, 3.0, 2.0, -1.0);
        let negative: Vec<f32> = image.iter().map(|value| 1.0 - value).collect();
        for name in ["slant", "thickness", "size", "aspect", "horizontal-position", "contrast"] {
            close(value(name, &image), value(name, &negative), 1e-6);
        }
        close(value("brightness", &image) + value("brightness", &negative), 1.0, 1e-6);
    }

    #[test]
    fn a_shifted_bar_is_where_it_was_shifted() {
        let image = bar(0.0, 4.0, 3.5, -2.8);
        close(value("horizontal-position", &image), 0.25, 0.005);
        // Downwards is positive.
        close(value("vertical-position", &image), 0.2, 0.005);
    }

    #[test]
    fn thickness_is_the_width_of_a_stroke_whatever_its_contrast() {
        for width in [2.0, 3.0, 5.0] {
            let image = bar(0.0, width, 0.0, 0.0);
            let long = 2.0 * width * 16.0 / (2.0 * (width + 16.0));
            close(value("thickness", &image), long, 0.25);
        }
        let faint: Vec<f32> = bar(0.0, 3.0, 0.0, 0.0).iter().map(|v| 0.5 * v).collect();
        close(value("thickness", &faint), value("thickness", &bar(0.0, 3.0, 0.0, 0.0)), 0.1);
    }

    #[test]
    fn size_and_aspect_follow_the_scale_of_a_box() {
        let boxed = |w: f64, h: f64| draw(28, |x, y| f64::from(x.abs() < w && y.abs() < h));
        let (small, large) = (value("size", &boxed(3.0, 3.0)), value("size", &boxed(6.0, 6.0)));
        // A pixel is a point in the moments, so the smaller box loses more.
        close(large / small, (143.0f64 / 35.0).sqrt(), 0.002);
        close(value("aspect", &boxed(8.0, 4.0)), 2.0f64.ln(), 0.02);
        close(value("aspect", &boxed(5.0, 5.0)), 0.0, 0.01);
    }

    #[test]
    fn a_blurred_edge_is_less_sharp_at_any_contrast() {
        let edge = |width: f64, contrast: f64| {
            draw(28, move |x, _| contrast * (0.5 + x / width).clamp(0.0, 1.0))
        };
        let sharp = value("sharpness", &edge(1.0, 1.0));
        assert!(sharp > 1.3 * value("sharpness", &edge(6.0, 1.0)));
        close(value("sharpness", &edge(1.0, 0.4)), sharp, 1e-3);
    }

    #[test]
    fn colours_have_their_sign() {
        let image = |rgb: [f32; 3]| -> Vec<f32> {
            rgb.iter().flat_map(|value| std::iter::repeat_n(*value, 16)).collect()
        };
        let value = |name: &str, rgb| {
            let attribute = attributes().iter().find(|a| a.name == name).unwrap();
            (attribute.measure)(&Picture::new(&image(rgb), 3, 4, 4)).unwrap()
        };
        close(value("warmth", [0.8, 0.5, 0.2]), 0.6, 1e-6);
        close(value("greenness", [0.2, 0.8, 0.4]), 0.5, 1e-6);
        close(value("saturation", [0.2, 0.8, 0.4]), 0.6, 1e-6);
        close(value("brightness", [1.0, 0.0, 0.0]), 0.299, 1e-6);
    }

    #[test]
    fn a_blank_image_has_no_shape() {
        let picture = Picture::new(&[0.5; 784], 1, 28, 28);
        for name in ["slant", "thickness", "size", "horizontal-position", "sharpness"] {
            let attribute = attributes().iter().find(|a| a.name == name).unwrap();
            assert_eq!((attribute.measure)(&picture), None, "{name}");
        }
    }

    #[test]
    fn a_wrong_name_is_told_the_nearest() {
        let error = choose(&["slnat".into()], 1).unwrap_err().to_string();
        assert!(error.contains("did you mean `slant`?"), "{error}");
        let error = choose(&["warmth".into()], 1).unwrap_err().to_string();
        assert!(error.contains("needs colour"), "{error}");
        assert_eq!(choose(&[], 1).unwrap().len() + 3, choose(&[], 3).unwrap().len());
    }
}
