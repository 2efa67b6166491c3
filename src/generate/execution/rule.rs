//! Which edits are taken where nothing was measured: a rule for each provider.
//!
//! A pure function of model and provider, so that one recipe is the same bytes on machines of one
//! kind. It takes only what won wherever it was measured; `docs/throughput.md` has the figures.
//!
//! - *openvino*: transposed convolutions as phases, which the plugin runs as plain convolutions.
//!   Joined, one convolution does 2.25 times the products for a kernel of 4 and a stride of 2, but
//!   its output channels are those of all phases. Where all of them fit one vector register, a
//!   phase of its own would leave most of the register empty, and joined is the faster.
//! - *cpu*, on x86-64: transposed convolutions of stride 2, whose phases have four products a
//!   channel or more and so many channels that the runtime's blocked convolutions fill their
//!   registers, as phases that `Concat` weaves. Smaller ones lose more in weaving than the phases
//!   gain. Elsewhere the runtime has other convolutions, which were not measured.
//! - all others: nothing. Nothing has been measured on a GPU.

use super::edit::{Change, Edit};
use super::offers::Offers;
use crate::graph::{Rewrite, Transposed};

/// Floats of a vector register of AVX-512, and of a tile of the convolutions behind OpenVINO.
const LANES: usize = 16;

/// The fewest channels for which woven phases were never slower on the CPU provider.
const WOVEN_CHANNELS: usize = 32;

/// The edits that the rule for `provider` takes.
pub(super) fn taken(offers: &Offers, provider: &str) -> Vec<Edit> {
    let pays = |edit: &&Edit| {
        let (Change::Node(rewrite), Some(layer)) = (edit.rewrite, offers.transposed(&edit.node))
        else {
            return false;
        };
        match provider {
            "openvino" => on_openvino(layer) == rewrite,
            "cpu" if cfg!(target_arch = "x86_64") => on_cpu(layer) == Some(rewrite),
            _ => false,
        }
    };
    offers.edits().iter().filter(pays).cloned().collect()
}

fn on_openvino(layer: &Transposed) -> Rewrite {
    match layer.joined_channels {
        Some(..=LANES) => Rewrite::JoinedPhases,
        _ => Rewrite::Phases,
    }
}

fn on_cpu(layer: &Transposed) -> Option<Rewrite> {
    let pays = layer.is_dense
        && layer.channels >= WOVEN_CHANNELS
        && layer.stride == [2; 2]
        && layer.kernel.iter().all(|&size| size >= 4);
    pays.then_some(Rewrite::WovenPhases)
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
    fn each_provider_gets_what_pays_on_it() {
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
        let cpu: &[&str] =
            if cfg!(target_arch = "x86_64") { &["woven-phases@convolution"] } else { &[] };
        assert_eq!(names("cpu"), cpu);
        assert!(names("cuda").is_empty() && names("tensorrt").is_empty());
    }

    #[test]
    fn the_cpu_gets_woven_phases_of_wide_layers_only() {
        let wide = Transposed {
            channels: 32,
            stride: [2; 2],
            kernel: [4, 5],
            is_dense: true,
            joined_channels: None,
        };
        assert_eq!(on_cpu(&wide), Some(Rewrite::WovenPhases));
        let others = [
            Transposed { channels: 31, ..wide },
            Transposed { stride: [2, 4], ..wide },
            Transposed { kernel: [4, 3], ..wide },
            Transposed { is_dense: false, ..wide },
        ];
        assert!(others.iter().all(|layer| on_cpu(layer).is_none()));
    }
}
