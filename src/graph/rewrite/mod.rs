//! Rewrites: the same function of the same inputs, in a graph that runs faster.
//!
//! Each is exact in real arithmetic, lives in a file of its own with its proof at the top, and
//! offers itself for single nodes: which of the offers pay depends on machine and provider, and is
//! for the `generate` room to decide. Only nodes of the main graph are touched, never those of
//! graphs inside nodes, and only weights that lie in the model's own file as `f32`.

mod dead;
mod layer;
mod nodes;
mod phases;
mod polyphase;
mod view;

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use super::Model;
use super::draft::Draft;
use super::proto::NodeProto;
use crate::error::{Error, Kind, Result};
use view::View;

/// A kind of rewrite, in the order in which they are carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Rewrite {
    /// A strided transposed convolution as one convolution a phase, interleaved.
    Phases,
    /// A strided transposed convolution as one convolution that makes all phases.
    JoinedPhases,
}

impl Rewrite {
    /// Every rewrite with its name on the command line and what it does.
    pub const ALL: [(&'static str, Self, &'static str); 2] = [
        ("phases", Self::Phases, "a strided ConvTranspose as one Conv a phase, interleaved"),
        (
            "joined-phases",
            Self::JoinedPhases,
            "a strided ConvTranspose as one Conv that makes all phases as channels",
        ),
    ];

    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, other, _)| *other == self).map_or("?", |(name, _, _)| name)
    }

    /// Whether it puts other nodes in the place of its own, so that no second one that does can be
    /// carried out there.
    pub(crate) fn replaces(self) -> bool {
        match self {
            Self::Phases | Self::JoinedPhases => true,
        }
    }

    /// Whether it fits `node`.
    fn fits(self, view: &View<'_>, node: &NodeProto) -> bool {
        match self {
            Self::Phases => phases::fits(view, node),
            Self::JoinedPhases => phases::fits_joined(view, node),
        }
    }

    /// Carries it out on the node at `position`; `None` if it does not fit there.
    fn apply(self, draft: &mut Draft, position: usize) -> Option<()> {
        match self {
            Self::Phases => phases::apply(draft, position, false),
            Self::JoinedPhases => phases::apply(draft, position, true),
        }
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

/// A rewrite that fits a node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Offer {
    /// What would be done.
    pub rewrite: Rewrite,
    /// The node's first output, which names it.
    pub node: String,
}

impl fmt::Display for Offer {
    /// As `phases at conv1`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.rewrite, self.node)
    }
}

impl Model {
    /// The rewrites that fit nodes of this model, in the order of its nodes.
    #[must_use]
    pub fn offers(&self) -> Vec<Offer> {
        let draft = Draft::of(self);
        let view = View::of(&draft);
        let mut offers = Vec::new();
        for node in &draft.graph().node {
            let Some(name) = node.output.first().filter(|name| view.is_made_here(name, node))
            else {
                continue;
            };
            for (_, rewrite, _) in Rewrite::ALL {
                if rewrite.fits(&view, node) {
                    offers.push(Offer { rewrite, node: name.clone() });
                }
            }
        }
        offers
    }

    /// This model with the offers `taken` carried out, in whatever order they are given, and
    /// without what no output needs. It computes the same outputs from the same inputs, up to
    /// rounding, under the same names.
    ///
    /// # Errors
    /// [`Kind::Argument`] if one is no offer of this model, or two cannot both be carried out.
    pub fn rewritten(&self, taken: &[Offer]) -> Result<Self> {
        let place = |error: Error| error.at(self.name());
        let offers = self.offers();
        let mut taken = taken.to_vec();
        taken.sort();
        taken.dedup();
        if let Some(unknown) = taken.iter().find(|offer| !offers.contains(offer)) {
            let (rewrite, node) = (unknown.rewrite, &unknown.node);
            let error = Error::new(Kind::Argument, format!("`{rewrite}` does not fit `{node}`"));
            return Err(place(error.help("`Model::offers` lists what fits where")));
        }
        if let Some((one, other)) = conflict(&taken) {
            let message = format!(
                "`{}` and `{}` cannot both be carried out at `{}`",
                one.rewrite, other.rewrite, one.node
            );
            return Err(place(Error::new(Kind::Argument, message).help("take one of them")));
        }
        let mut draft = Draft::of(self);
        for offer in &taken {
            let position = View::of(&draft).position(&offer.node);
            let done = position.and_then(|position| offer.rewrite.apply(&mut draft, position));
            done.ok_or_else(|| {
                let message = format!("{offer} does not fit beside the other rewrites");
                place(Error::new(Kind::Argument, message).help("leave it out"))
            })?;
        }
        dead::sweep(&mut draft);
        draft.finish()
    }
}

/// Two of `taken` that both replace one node.
fn conflict(taken: &[Offer]) -> Option<(&Offer, &Offer)> {
    let mut replaced: HashMap<&str, &Offer> = HashMap::new();
    taken.iter().filter(|offer| offer.rewrite.replaces()).find_map(|offer| {
        let first = replaced.insert(&offer.node, offer)?;
        Some((first, offer))
    })
}
