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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::generate::{Builtin, resolve};
    use crate::graph::Model;
    use crate::recipe::Recipe;
    use crate::sample::{BlockInputs, Sampler};

    #[test]
    fn openvino_gets_phases_and_joins_the_narrow_ones() {
        let digits = Builtin::find("digits").unwrap();
        let model = Model::from_bytes("digits", digits.bytes()).unwrap();
        let mut recipe = Recipe::parse(digits.recipe, "digits.toml", Path::new(".")).unwrap();
        let mut no_probe = |_: &_, _: &_, _, _: &_| unreachable!("the file tells the shape");
        let contract = resolve(&mut recipe, &model, &mut no_probe).unwrap();
        let mut block = BlockInputs::default();
        let sampler = Sampler::new(&recipe, &contract.input_shapes()).unwrap();
        sampler.fill(0, 1, 0, &mut block);
        let offers = Offers::of(&model, &contract, &recipe, 64, &block).unwrap();
        let names = |provider: &str| -> Vec<String> {
            taken(&offers, provider).iter().map(ToString::to_string).collect()
        };
        // 48 channels times 4 phases, and 1 times 4.
        assert_eq!(names("openvino"), ["phases@convolution", "joined-phases@convolution_1"]);
        for provider in ["cpu", "cuda", "tensorrt"] {
            assert!(names(provider).is_empty());
        }
    }
}
