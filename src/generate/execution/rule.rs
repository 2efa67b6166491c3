//! Which edits are taken where nothing was measured: a rule for each provider.
//!
//! A pure function of model and provider, so that one recipe is the same bytes on machines of one
//! kind. It takes only what won wherever it was measured; `docs/throughput.md` has the figures.
//!
//! - *openvino*: transposed convolutions as phases, which the plugin runs as plain convolutions.
//!   Joined, one convolution does 2.25 times the products for a kernel of 4 and a stride of 2, but
//!   its output channels are those of all phases. Where all of them fit one vector register, a
//!   phase of its own would leave most of the register empty, and joined is the faster.
//! - *cpu* and all others: nothing. ONNX Runtime's own transposed convolution is as fast as its
//!   convolutions; nothing has been measured on a GPU.

use super::edit::{Change, Edit};
use super::offers::Offers;
use crate::graph::Rewrite;

/// Floats of a vector register of AVX-512, and of a tile of the convolutions behind OpenVINO.
const LANES: usize = 16;

/// The edits that the rule for `provider` takes.
pub(super) fn taken(offers: &Offers, provider: &str) -> Vec<Edit> {
    if provider != "openvino" {
        return Vec::new();
    }
    let pays = |edit: &&Edit| {
        let narrow = offers.joined_channels(&edit.node).is_some_and(|channels| channels <= LANES);
        match edit.rewrite {
            Change::Node(Rewrite::Phases) => !narrow,
            Change::Node(Rewrite::JoinedPhases) => narrow,
            _ => false,
        }
    };
    offers.edits().iter().filter(pays).cloned().collect()
}
