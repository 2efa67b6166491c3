//! Contact sheets: delivered images side by side, for people to look at.

use embedded_graphics::Drawable;
use embedded_graphics::Pixel;
use embedded_graphics::draw_target::DrawTarget;
use embedded_graphics::geometry::{OriginDimensions, Point, Size};
use embedded_graphics::mono_font::MonoTextStyle;
use embedded_graphics::mono_font::iso_8859_1::FONT_5X8;
use embedded_graphics::pixelcolor::{Rgb888, RgbColor};
use embedded_graphics::text::{Baseline, Text};

use crate::error::{Error, Kind, Result};

/// Gap between images, and between samples, in pixels of the sheet.
const GAP: usize = 2;
/// Gap between columns of samples.
const GUTTER: usize = 10;
/// Paper.
const BACKGROUND: [u8; 3] = [40, 40, 46];
/// Ink of captions.
const INK: Rgb888 = Rgb888::new(200, 200, 205);
/// Least side of an enlarged image.
const SIDE: usize = 56;
/// Least width of an image that has a caption.
const CAPTION: usize = 140;
/// Width and height of a letter, leading included.
const LETTER: [usize; 2] = [5, 9];

/// 8-bit pixels, three bytes each, row by row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sheet {
    /// Pixels a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// `width × height × 3` bytes.
    pub rgb: Vec<u8>,
}

/// One image for a sheet: RGB, `height × width × 3` bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tile {
    /// Pixels a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// `width × height × 3` bytes.
    pub rgb: Vec<u8>,
    /// What is written below it; Latin-1 letters.
    pub caption: String,
}

impl Tile {
    /// From an 8-bit image of 1, 2, 3 or 4 channels (gray, gray and alpha, RGB, RGBA), interleaved
    /// or planar. Alpha is laid over a checkerboard; of more channels the first three are shown.
    #[must_use]
    pub fn new(
        bytes: &[u8],
        channels: usize,
        height: usize,
        width: usize,
        interleaved: bool,
    ) -> Self {
        let pixels = height * width;
        let at = |pixel: usize, channel: usize| match interleaved {
            true => bytes[pixel * channels + channel],
            false => bytes[channel * pixels + pixel],
        };
        let mut rgb = Vec::with_capacity(pixels * 3);
        for pixel in 0..pixels {
            let colour = match channels {
                1 | 2 => [at(pixel, 0); 3],
                _ => [at(pixel, 0), at(pixel, 1), at(pixel, 2)],
            };
            let alpha = if matches!(channels, 2 | 4) { at(pixel, channels - 1) } else { 255 };
            let dark = (pixel / width / 4 + pixel % width / 4).is_multiple_of(2);
            let behind: u16 = if dark { 102 } else { 153 };
            rgb.extend(colour.map(|c| {
                let (c, a) = (u16::from(c), u16::from(alpha));
                u8::try_from((c * a + behind * (255 - a) + 127) / 255).unwrap_or(255)
            }));
        }
        Self { width, height, rgb, caption: String::new() }
    }

    /// With this text below it.
    #[must_use]
    pub fn with_caption(self, caption: impl Into<String>) -> Self {
        Self { caption: caption.into(), ..self }
    }
}

/// Lays samples out: views of a sample across, samples down, in `columns` columns of samples.
///
/// Images are enlarged by one whole factor, so that the larger side of the largest has at least 56
/// pixels, or 140 where there are captions.
///
/// # Errors
/// [`Kind::Limit`] if the sheet would be larger than 2^28 pixels.
pub fn contact_sheet(samples: &[Vec<Tile>], columns: usize) -> Result<Sheet> {
    let all = || samples.iter().flatten();
    let side = all().map(|tile| tile.width.max(tile.height)).max();
    let Some(side) = side.filter(|side| *side > 0) else {
        return Err(Error::new(Kind::Argument, "a contact sheet needs at least one image"));
    };
    let captions = all().any(|tile| !tile.caption.is_empty());
    let least = if captions { CAPTION } else { SIDE };
    let zoom = least.div_ceil(side).max(1);
    let largest = |size: fn(&Tile) -> usize| all().map(size).max().unwrap_or(1) * zoom;
    let image_w = largest(|tile| tile.width).max(if captions { least } else { 0 });
    let image_h = largest(|tile| tile.height);
    let lines = |tile: &Tile| wrap(&tile.caption, image_w / LETTER[0]).len();
    let text_h = all().map(lines).max().unwrap_or(0) * LETTER[1];
    let (cell_w, cell_h) = (image_w + GAP, image_h + text_h + GAP);
    let views = samples.iter().map(Vec::len).max().unwrap_or(1);
    let columns = columns.clamp(1, samples.len());
    let rows = samples.len().div_ceil(columns);
    let width = columns * (views * cell_w + GUTTER) - GUTTER + GAP;
    let height = rows * cell_h + GAP;
    if width.checked_mul(height).is_none_or(|pixels| pixels > 1 << 28) {
        let message = format!("a contact sheet of {width}×{height} pixels is too large");
        return Err(Error::new(Kind::Limit, message).help("show fewer samples"));
    }
    let mut sheet = Sheet { width, height, rgb: BACKGROUND.repeat(width * height) };
    for (number, sample) in samples.iter().enumerate() {
        let (column, row) = (number / rows, number % rows);
        for (view, tile) in sample.iter().enumerate() {
            let left = column * (views * cell_w + GUTTER) + view * cell_w + GAP;
            let top = row * cell_h + GAP;
            sheet.place(tile, left, top, zoom);
            for (number, line) in wrap(&tile.caption, image_w / LETTER[0]).iter().enumerate() {
                sheet.write(line, left, top + image_h + 1 + number * LETTER[1]);
            }
        }
    }
    Ok(sheet)
}

/// Lines of at most `letters` letters, broken between words where that can be.
fn wrap(text: &str, letters: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        let mut line = String::new();
        for word in paragraph.split_whitespace() {
            let (have, more) = (line.chars().count(), word.chars().count());
            if have > 0 && have + 1 + more > letters {
                lines.push(std::mem::take(&mut line));
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        lines.push(line);
    }
    lines
}

impl OriginDimensions for Sheet {
    fn size(&self) -> Size {
        let side = |pixels| u32::try_from(pixels).unwrap_or(u32::MAX);
        Size::new(side(self.width), side(self.height))
    }
}

impl DrawTarget for Sheet {
    type Color = Rgb888;
    type Error = std::convert::Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<Rgb888>>>(
        &mut self,
        pixels: I,
    ) -> Result<(), Self::Error> {
        for Pixel(Point { x, y }, colour) in pixels {
            if let (Ok(x), Ok(y)) = (usize::try_from(x), usize::try_from(y))
                && x < self.width
                && y < self.height
            {
                let at = (y * self.width + x) * 3;
                self.rgb[at..at + 3].copy_from_slice(&[colour.r(), colour.g(), colour.b()]);
            }
        }
        Ok(())
    }
}

impl Sheet {
    fn write(&mut self, line: &str, left: usize, top: usize) {
        let place = |pixels| i32::try_from(pixels).unwrap_or(i32::MAX);
        let style = MonoTextStyle::new(&FONT_5X8, INK);
        let at = Point::new(place(left), place(top));
        // Drawing here cannot fail.
        let _ = Text::with_baseline(line, at, style, Baseline::Top).draw(self);
    }

    fn place(&mut self, tile: &Tile, left: usize, top: usize, zoom: usize) {
        for y in 0..tile.height * zoom {
            for x in 0..tile.width * zoom {
                let from = (y / zoom * tile.width + x / zoom) * 3;
                let to = ((top + y) * self.width + left + x) * 3;
                self.rgb[to..to + 3].copy_from_slice(&tile.rgb[from..from + 3]);
            }
        }
    }

    /// The sheet as a PNG file.
    ///
    /// # Errors
    /// [`Kind::Limit`] if it is too large for the format.
    pub fn to_png(&self) -> Result<Vec<u8>> {
        let too_large = |e: std::num::TryFromIntError| Error::new(Kind::Limit, e.to_string());
        let width = u32::try_from(self.width).map_err(too_large)?;
        let height = u32::try_from(self.height).map_err(too_large)?;
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, width, height);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        let written = encoder.write_header().and_then(|mut w| w.write_image_data(&self.rgb));
        match written {
            Ok(()) => Ok(file),
            Err(error) => Err(Error::new(Kind::Io, format!("cannot encode a PNG: {error}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_go_down_and_views_across() {
        let tile = |shade| Tile::new(&[shade], 1, 1, 1, false);
        let samples = vec![vec![tile(1), tile(2)], vec![tile(3), tile(4)], vec![tile(5), tile(6)]];
        let sheet = contact_sheet(&samples, 2).unwrap();
        let at = |x: usize, y: usize| sheet.rgb[(y * sheet.width + x) * 3];
        let (cell, column) = (56 + GAP, 2 * (56 + GAP) + GUTTER);
        assert_eq!(at(GAP, GAP), 1);
        assert_eq!(at(GAP + cell, GAP), 2);
        assert_eq!(at(GAP, GAP + cell), 3);
        assert_eq!(at(GAP + column, GAP), 5);
        assert_eq!(at(0, 0), BACKGROUND[0]);
    }

    #[test]
    fn layouts_and_alpha_are_understood() {
        let planar = Tile::new(&[1, 2, 3, 4, 5, 6], 3, 1, 2, false);
        let interleaved = Tile::new(&[1, 3, 5, 2, 4, 6], 3, 1, 2, true);
        assert_eq!(planar, interleaved);
        assert_eq!(planar.rgb, [1, 3, 5, 2, 4, 6]);
        let clear = Tile::new(&[200, 200, 200, 0], 4, 1, 1, true);
        assert_eq!(clear.rgb, [102; 3]);
    }

    #[test]
    fn captions_are_written_below_and_wrapped() {
        let tile = Tile::new(&[0; 4], 1, 2, 2, false).with_caption("gaussian std 0.43\nblur 1");
        let sheet = contact_sheet(&[vec![tile.clone(), tile.with_caption("")]], 1).unwrap();
        assert_eq!(sheet.width, 2 * (CAPTION + GAP) + GAP);
        assert_eq!(sheet.height, 140 + 2 * LETTER[1] + 2 * GAP);
        let ink = |left: usize| {
            let below = &sheet.rgb[(GAP + 140) * sheet.width * 3..];
            let rows = below.chunks(sheet.width * 3).map(|row| &row[left * 3..][..CAPTION * 3]);
            rows.flatten().any(|value| *value == INK.r())
        };
        assert!(ink(GAP) && !ink(2 * GAP + CAPTION));
        assert_eq!(wrap("a bb ccc", 4), ["a bb", "ccc"]);
        assert_eq!(wrap("long-word x", 4), ["long-word", "x"]);
    }

    #[test]
    fn sheets_are_png_files() {
        let sheet = contact_sheet(&[vec![Tile::new(&[9], 1, 1, 1, false)]], 1).unwrap();
        let file = sheet.to_png().unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut pixels).unwrap();
        assert_eq!(pixels, sheet.rgb);
        assert!(contact_sheet(&[], 1).is_err());
    }
}
