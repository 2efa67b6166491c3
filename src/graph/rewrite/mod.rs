//! Rewrites: the same function of the same inputs, in a graph that runs faster.
//!
//! Each is exact in real arithmetic, lives in a file of its own with its proof at the top, and
//! offers itself for single nodes: which of the offers pay depends on machine and provider, and is
//! for the `generate` room to decide. Only nodes of the main graph are touched, never those of
//! graphs inside nodes, and only weights that are `f32`.

mod affine;
mod dead;
mod fix_input;
mod fold_resize;
mod fold_scale;
mod layer;
mod phases;
mod pixel_product;
mod polyphase;
mod sizes;
mod split_label;
mod view;

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use super::Model;
use super::draft::Draft;
use super::proto::NodeProto;
use crate::error::{Error, Kind, Result};
use phases::Form;
use polyphase::Weave;
use view::View;

pub(super) use dead::sweep_graph;
pub use fix_input::InputValues;
pub use phases::Transposed;

/// The oldest standard operators that are understood: later ones broadcast as these do.
const OLDEST_OPSET: i64 = 7;

/// A kind of rewrite, in the order in which they are carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Rewrite {
    /// What scales and shifts channels, moved into the weights of the layer beside it.
    FoldScale,
    /// Constants beside the input of a product, moved into its bias.
    SplitLabel,
    /// Repeated pixels and the convolution behind them, as phases of the small image.
    FoldResize,
    /// The same, put together by copies.
    WovenResize,
    /// A layer of a single pixel as a product.
    PixelProduct,
    /// A strided transposed convolution as one convolution a phase, interleaved.
    Phases,
    /// The same, put together by copies.
    WovenPhases,
    /// A strided transposed convolution as one convolution that makes all phases.
    JoinedPhases,
}

impl Rewrite {
    /// Every rewrite with its name on the command line and what it does.
    pub const ALL: [(&'static str, Self, &'static str); 8] = [
        (
            "fold-scale",
            Self::FoldScale,
            "BatchNormalization, Mul, Div, Add and Sub by constants as weights of the layer beside",
        ),
        ("split-label", Self::SplitLabel, "constants joined to the input of a product as its bias"),
        (
            "fold-resize",
            Self::FoldResize,
            "a nearest Resize and the Conv behind it as one Conv a phase of the small image",
        ),
        (
            "woven-resize",
            Self::WovenResize,
            "the same, put together by Concat and not by DepthToSpace",
        ),
        ("pixel-product", Self::PixelProduct, "a Conv or ConvTranspose of one pixel as a Gemm"),
        ("phases", Self::Phases, "a strided ConvTranspose as one Conv a phase, interleaved"),
        (
            "woven-phases",
            Self::WovenPhases,
            "the same, put together by Concat and not by DepthToSpace",
        ),
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
            Self::FoldScale | Self::SplitLabel => false,
            Self::FoldResize | Self::WovenResize | Self::PixelProduct => true,
            Self::Phases | Self::WovenPhases | Self::JoinedPhases => true,
        }
    }

    /// Whether it fits `node`.
    fn fits(self, view: &View<'_>, node: &NodeProto) -> bool {
        match self {
            Self::FoldScale => fold_scale::fits(view, node),
            Self::SplitLabel => split_label::fits(view, node),
            Self::FoldResize => fold_resize::fits(view, node, Weave::DepthToSpace),
            Self::WovenResize => fold_resize::fits(view, node, Weave::Concat),
            Self::PixelProduct => pixel_product::fits(view, node),
            Self::Phases => phases::fits(view, node, Form::Phases),
            Self::WovenPhases => phases::fits(view, node, Form::Woven),
            Self::JoinedPhases => phases::fits(view, node, Form::Joined),
        }
    }

    /// Carries it out on the node at `position`, and gives the name of the output that it then has;
    /// `None` if it does not fit there.
    fn apply(self, draft: &mut Draft, position: usize) -> Option<String> {
        let name = draft.graph().node[position].output.first().cloned()?;
        match self {
            Self::FoldScale => return fold_scale::apply(draft, position),
            Self::SplitLabel => split_label::apply(draft, position)?,
            Self::FoldResize => fold_resize::apply(draft, position, Weave::DepthToSpace)?,
            Self::WovenResize => fold_resize::apply(draft, position, Weave::Concat)?,
            Self::PixelProduct => pixel_product::apply(draft, position)?,
            Self::Phases => phases::apply(draft, position, Form::Phases)?,
            Self::WovenPhases => phases::apply(draft, position, Form::Woven)?,
            Self::JoinedPhases => phases::apply(draft, position, Form::Joined)?,
        }
        Some(name)
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
        if draft.opset() < OLDEST_OPSET {
            return offers;
        }
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

    /// By first output: the transposed convolutions that [`Rewrite::Phases`] fits.
    #[must_use]
    pub fn transposed(&self) -> HashMap<String, Transposed> {
        let draft = Draft::of(self);
        let view = View::of(&draft);
        let nodes = draft.graph().node.iter();
        let one = |node: &NodeProto| {
            Some((node.output.first()?.clone(), phases::transposed(&view, node)?))
        };
        nodes.filter_map(one).collect()
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
        // A layer that takes in what is behind it is known by the name of that from then on.
        let mut renamed: HashMap<String, String> = HashMap::new();
        for offer in &taken {
            let name = renamed.get(&offer.node).unwrap_or(&offer.node);
            let position = View::of(&draft).position(name);
            let now = position.and_then(|position| offer.rewrite.apply(&mut draft, position));
            let now = now.ok_or_else(|| {
                let message = format!("{offer} does not fit beside the other rewrites");
                place(Error::new(Kind::Argument, message).help("leave it out"))
            })?;
            renamed.insert(offer.node.clone(), now);
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
