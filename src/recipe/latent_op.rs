//! Operations on the latent, which move the content of the image: `views.latent`.

use std::path::PathBuf;

use super::read::Field;
use super::views::Span;
use crate::error::Result;

/// A change of what the generator is fed, drawn anew for each view.
#[derive(Debug, Clone, PartialEq)]
pub struct LatentOp {
    /// The generator inputs it changes; empty means all latent inputs.
    pub inputs: Vec<String>,
    /// What it does.
    pub kind: LatentKind,
}

/// What a latent op does to the latent `z` of a view.
#[derive(Debug, Clone, PartialEq)]
pub enum LatentKind {
    /// `z + ε`, ε independent normal of this standard deviation: the neighbours of Jahanian et al.
    /// (2022).
    Gaussian {
        /// Standard deviation, at least 0.
        std: Span,
    },
    /// A rotation of each row of `z` by this angle in a random plane that holds it. The norm of
    /// the row is kept.
    Angular {
        /// Degrees, 0 to 180.
        degrees: Span,
    },
    /// The truncation trick: elements within ±`limit`, or the way towards the mean cut to `psi`.
    Truncate(Truncate),
    /// Part of the way to another sample of the dataset.
    Interpolate {
        /// 0 is the anchor, 1 the other sample.
        t: Span,
        /// Along the chord or along the arc.
        path: Path,
        /// Whether a one-hot class is interpolated too; otherwise the view keeps its class.
        classes: bool,
    },
    /// `z + s d` along directions from a safetensors file: linear, or a learned MLP walk.
    Steer {
        /// Relative to the recipe's folder, which it does not leave.
        file: PathBuf,
        /// Their names in the file; empty means all.
        directions: Vec<String>,
        /// Units along each direction, drawn for each on its own.
        strength: Span,
    },
    /// Draws an input anew for this view: noise, another latent, truncation, class.
    Resample {
        /// Labels among which a class may be exchanged; only for the class.
        groups: Vec<Vec<u32>>,
        /// The interval that truncation is drawn from; only for truncation.
        value: Option<Span>,
    },
}

/// How far a latent is truncated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Truncate {
    /// Elements beyond ±this are set to ±this.
    Limit(Span),
    /// `psi z`: towards the mean 0 of the latent's distribution (Karras et al., 2019).
    Psi(Span),
}

/// The way between two latents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Path {
    /// Straight.
    Lerp,
    /// Along the great circle, row by row (Shoemake, 1985); norms in between too.
    Slerp,
}

impl LatentOp {
    pub(super) fn read(field: &Field<'_>) -> Result<Self> {
        let table = field.table()?;
        table.require("op", "op = \"gaussian\"")?.one_of(&[("gaussian", ())])?;
        let help = "std = 0.5: how far neighbours are, in units of the latent";
        let std = Span::read(&table.require("std", help)?, "0 or more", |std| std >= 0.0)?;
        table.finish()?;
        Ok(Self { inputs: Vec::new(), kind: LatentKind::Gaussian { std } })
    }

    /// As an inline table that [`LatentOp::read`] reads back.
    pub(super) fn to_toml(&self) -> String {
        match &self.kind {
            LatentKind::Gaussian { std } => {
                format!("{{ op = \"gaussian\", std = {} }}", std.to_toml())
            }
            _ => todo!("latent ops"),
        }
    }
}
