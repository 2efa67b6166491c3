//! All attributes of many images: the built-in ones and a scorer's.

use super::attribute::{Attribute, Picture, choose};
use super::scorer::Scorer;
use crate::error::{Error, Kind, Result};

/// Names that a file of directions keeps for itself.
const RESERVED: [&str; 1] = ["mean"];

/// Measures images of one size.
#[derive(Debug)]
pub(super) struct Meter {
    builtin: Vec<Attribute>,
    scorer: Option<Scorer>,
    names: Vec<String>,
    /// `[channels, height, width]`.
    image: [usize; 3],
}

impl Meter {
    /// For the attributes named, and all of the scorer's; without names, all that fit.
    ///
    /// # Errors
    /// [`Kind::Argument`] for a name that neither has.
    pub fn new(wanted: &[String], scorer: Option<Scorer>, image: [usize; 3]) -> Result<Self> {
        let scored = scorer.as_ref().map(Scorer::names).unwrap_or_default();
        let ours: Vec<String> =
            wanted.iter().filter(|name| !scored.contains(name)).cloned().collect();
        let builtin = match wanted.is_empty() || !ours.is_empty() {
            true => choose(&ours, image[0])?,
            false => Vec::new(),
        };
        let mut names: Vec<String> = builtin.iter().map(|a| a.name.to_owned()).collect();
        for name in scored {
            let taken = |name: &String| names.contains(name) || RESERVED.contains(&name.as_str());
            let name = if taken(&name) { format!("{name}-score") } else { name };
            if taken(&name) {
                let message = format!("two outputs of the scorer are called `{name}`");
                return Err(Error::new(Kind::Model, message).help("rename one of them"));
            }
            names.push(name);
        }
        Ok(Self { builtin, scorer, names, image })
    }

    /// The names of the attributes.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// What each is, for people.
    pub fn formulas(&self) -> Vec<String> {
        let formula = |at: usize| match self.builtin.get(at) {
            Some(attribute) => attribute.formula.to_owned(),
            None => "by the scorer".to_owned(),
        };
        (0..self.names.len()).map(formula).collect()
    }

    /// The attributes of `images`: `[images, attributes]`, NaN where an image has none.
    pub fn measure(&mut self, images: &[f32]) -> Result<Vec<f64>> {
        let [c, h, w] = self.image;
        let scores = match &mut self.scorer {
            Some(scorer) => scorer.score(images)?,
            None => Vec::new(),
        };
        let scored = self.names.len() - self.builtin.len();
        let mut values = Vec::with_capacity(images.len() / (c * h * w) * self.names.len());
        for (at, image) in images.chunks_exact(c * h * w).enumerate() {
            if !self.builtin.is_empty() {
                let picture = Picture::new(image, c, h, w);
                let measured =
                    self.builtin.iter().map(|a| (a.measure)(&picture).unwrap_or(f64::NAN));
                values.extend(measured);
            }
            values.extend(&scores[at * scored..][..scored]);
        }
        Ok(values)
    }
}
