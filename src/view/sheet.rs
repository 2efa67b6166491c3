//! Contact sheets: delivered images side by side, for people to look at.

use crate::error::{Error, Kind, Result};

/// Gap between images, and between samples, in pixels of the sheet.
const GAP: usize = 2;
/// Gap between columns of samples.
const GUTTER: usize = 10;
/// Paper.
const BACKGROUND: [u8; 3] = [40, 40, 46];

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
        Self { width, height, rgb }
    }
}

/// Lays samples out: views of a sample across, samples down, in `columns` columns of samples.
///
/// Small images are enlarged by a whole factor, so that a side has at least 56 pixels.
///
/// # Errors
/// [`Kind::Limit`] if the sheet would be larger than 2^28 pixels.
pub fn contact_sheet(samples: &[Vec<Tile>], columns: usize) -> Result<Sheet> {
    let first = samples.first().and_then(|views| views.first());
    let Some(first) = first else {
        return Err(Error::new(Kind::Argument, "a contact sheet needs at least one image"));
    };
    let views = samples.iter().map(Vec::len).max().unwrap_or(1);
    let zoom = 56usize.div_ceil(first.width.max(first.height)).max(1);
    let (cell_w, cell_h) = (first.width * zoom + GAP, first.height * zoom + GAP);
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
            sheet.place(tile, left, row * cell_h + GAP, zoom);
        }
    }
    Ok(sheet)
}

impl Sheet {
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
