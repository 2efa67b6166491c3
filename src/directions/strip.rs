//! Strips: what a direction looks like.

use super::explorer::Explorer;
use crate::error::{Error, Kind, Result};
use crate::view::sheet::{Sheet, Tile, contact_sheet};

impl Explorer {
    /// Samples down, steps along `direction` across: `columns` images evenly from `-reach` to
    /// `reach` units. A sheet for people to look at.
    ///
    /// # Errors
    /// [`Kind::Argument`] for no sample, no column or an endless reach, and those of making the
    /// images.
    pub fn strip(
        &mut self,
        direction: &[f32],
        samples: &[u64],
        reach: f64,
        columns: usize,
    ) -> Result<Sheet> {
        let fits = direction.len() == self.input().elements();
        if samples.is_empty() || columns == 0 || !fits || !reach.is_finite() {
            let message = "a strip needs samples, columns, a finite reach, and a direction as long \
                           as the latent";
            return Err(Error::new(Kind::Argument, message));
        }
        let [c, h, w] = self.image();
        let mut rows = Vec::new();
        for &sample in samples {
            let Some((first, inputs)) = self.calls(sample..sample + 1).next() else { continue };
            let mut tiles = Vec::new();
            for column in 0..columns {
                let amount = match columns {
                    1 => 0.0,
                    _ => reach * (2.0 * column as f64 / (columns - 1) as f64 - 1.0),
                };
                let image = self.images(first, &self.moved(&inputs, direction, amount))?;
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
                let bytes: Vec<u8> = image.iter().map(|x| (x * 255.0 + 0.5) as u8).collect();
                tiles.push(Tile::new(&bytes, c, h, w, false));
            }
            rows.push(tiles);
        }
        contact_sheet(&rows, 1)
    }
}
