//! Whole models: the shipped generators, a DCGAN, and files that are odd or hostile.

use std::path::Path;

use genset::graph::{Model as Read, Offer, Rewrite};
use genset::{Error, Kind};
use proptest::prelude::*;
use prost::Message;

use crate::common;
use crate::onnx::{Model, list};
use crate::reference::{assert_near, numbers, offers, run};

/// Every rewrite that `model` offers, with one of those that exclude each other, is carried out.
#[track_caller]
fn assert_rewritten(model: &Read, inputs: &[(&str, &[usize], &[f32])], rewrites: &[Rewrite]) {
    let taken: Vec<Offer> = rewrites.iter().flat_map(|rewrite| offers(model, *rewrite)).collect();
    assert!(!taken.is_empty());
    let rewritten = model.rewritten(&taken).unwrap();
    let name = &model.outputs()[0].name;
    assert_eq!(model.outputs(), rewritten.outputs());
    let (shape, wanted) = run(model, inputs, name);
    let (found_shape, found) = run(&rewritten, inputs, name);
    assert_eq!(shape, found_shape);
    assert_near(&found, &wanted, &format!("{rewrites:?}"));
}

const CHOICES: [&[Rewrite]; 3] = [
    &[Rewrite::FoldScale, Rewrite::PixelProduct, Rewrite::Phases],
    &[Rewrite::FoldScale, Rewrite::PixelProduct, Rewrite::WovenPhases],
    &[Rewrite::FoldScale, Rewrite::PixelProduct, Rewrite::JoinedPhases],
];

#[test]
fn the_shipped_generators() {
    for name in ["digits", "fashion"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("onnx/models/{name}.onnx"));
        let model = Read::read(&path).unwrap();
        let (z, mut y) = (numbers(51, 5 * 64), vec![0.0; 5 * 10]);
        (0..5).for_each(|row| y[row * 10 + row] = 1.0);
        for rewrites in CHOICES {
            assert_rewritten(&model, &[("z", &[5, 64], &z), ("y", &[5, 10], &y)], rewrites);
        }
    }
}

/// `z` to three layers of 4×4 kernels, with `BatchNormalization` as it is exported unfolded.
fn dcgan(channels: [usize; 4]) -> Read {
    let mut model = Model::new(18).input("z", &[-1, channels[0] as i64, 1, 1]).output("image");
    let mut from = "z".to_owned();
    for (layer, pair) in channels.windows(2).enumerate() {
        let name = |what: &str| format!("{what}{layer}");
        let (inner, outer, seed) = (pair[0], pair[1], 60 + layer as u64 * 10);
        model = model.floats(&name("w"), &[inner, outer, 4, 4], &numbers(seed, inner * outer * 16));
        for (at, part) in ["scale", "bias", "mean", "variance"].into_iter().enumerate() {
            let values = numbers(seed + 1 + at as u64, outer);
            let values: Vec<f32> = match part {
                "variance" | "scale" => values.iter().map(|v| v.abs() + 0.5).collect(),
                _ => values,
            };
            model = model.floats(&name(part), &[outer], &values);
        }
        let strides =
            if layer == 0 { vec![] } else { vec![list("strides", &[2, 2]), list("pads", &[1; 4])] };
        let [weight, conv, norm] = ["w", "conv", "norm"].map(name);
        let parts = ["scale", "bias", "mean", "variance"].map(name);
        let [scale, bias, mean, variance] = parts.each_ref().map(String::as_str);
        let last = layer + 2 == channels.len();
        let (operator, to) =
            if last { ("Tanh", "image".to_owned()) } else { ("Relu", name("relu")) };
        model = model
            .node("ConvTranspose", &[&from, &weight], &conv, &strides)
            .node("BatchNormalization", &[&conv, scale, bias, mean, variance], &norm, &[])
            .node(operator, &[&norm], &to, &[]);
        from = to;
    }
    model.build()
}

#[test]
fn a_dcgan_is_rewritten_from_end_to_end() {
    let model = dcgan([9, 8, 6, 3]);
    let z = numbers(52, 4 * 9);
    for rewrites in CHOICES {
        assert_rewritten(&model, &[("z", &[4, 9, 1, 1], &z)], rewrites);
    }
    let found: Vec<String> = model.offers().iter().map(ToString::to_string).collect();
    let wanted = [
        "fold-scale at conv0",
        "pixel-product at conv0",
        "fold-scale at conv1",
        "phases at conv1",
        "woven-phases at conv1",
        "joined-phases at conv1",
        "fold-scale at conv2",
        "phases at conv2",
        "woven-phases at conv2",
        "joined-phases at conv2",
    ];
    assert_eq!(found, wanted);
    let rewritten = model.rewritten(&offers(&model, Rewrite::FoldScale)).unwrap();
    let wanted = ["norm0", "relu0", "norm1", "relu1", "norm2", "image"];
    assert_eq!(rewritten.tensors(), wanted);
}

fn refused(model: &Read, taken: &[Offer]) -> String {
    let error: Error = model.rewritten(taken).unwrap_err();
    assert_eq!(error.kind(), Kind::Argument);
    error.to_string()
}

#[test]
fn offers_that_exclude_each_other_or_do_not_exist_are_refused() {
    let model = dcgan([9, 8, 6, 3]);
    let both = [offers(&model, Rewrite::Phases), offers(&model, Rewrite::JoinedPhases)].concat();
    let error = refused(&model, &both);
    for part in ["`phases`", "`joined-phases`", "`conv1`"] {
        assert!(error.contains(part), "{error}");
    }
    let unknown = Offer { rewrite: Rewrite::Phases, node: "conv0".into() };
    let error = refused(&model, &[unknown]);
    assert!(error.contains("`phases` does not fit `conv0`"), "{error}");
}

#[test]
fn a_rewrite_is_known_by_its_name() {
    for (name, rewrite, _) in Rewrite::ALL {
        assert_eq!((name.parse::<Rewrite>().unwrap(), rewrite.to_string()), (rewrite, name.into()));
    }
    let error = "phase".parse::<Rewrite>().unwrap_err().to_string();
    assert!(error.contains("unknown rewrite `phase`"), "{error}");
}

/// Odd and hostile files that can be read at all offer what they offer, and no more than that.
#[test]
fn odd_models_offer_without_panic() {
    let mut read = 0;
    for entry in std::fs::read_dir(common::models()).unwrap() {
        let path = entry.unwrap().path();
        if let Some(model) =
            path.extension().is_some_and(|e| e == "onnx").then(|| Read::read(&path).ok()).flatten()
        {
            read += 1;
            if model.external_files().is_empty() {
                for offer in model.offers() {
                    model.rewritten(&[offer]).unwrap();
                }
            }
        }
    }
    assert!(read > 30);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..Default::default() })]

    /// Attributes and shapes that mean nothing, or too much.
    #[test]
    fn absurd_layers_offer_without_panic(
        operator in prop_oneof![
            Just("ConvTranspose"), Just("Conv"), Just("Gemm"), Just("Resize"), Just("BatchNormalization"),
        ],
        lists in prop::collection::vec(
            (
                prop_oneof![Just("strides"), Just("pads"), Just("dilations"), Just("output_padding"),
                    Just("output_shape"), Just("kernel_shape"), Just("axes")],
                prop::collection::vec(
                    prop_oneof![any::<i64>(), -2..=3_i64, Just(1024), Just(1 << 40)], 0..=5),
            ), 0..=4),
        dims in prop::collection::vec(0..=3_usize, 0..=5),
        inputs in prop::collection::vec(prop_oneof![Just("x"), Just("w"), Just("u"), Just("")], 0..=5),
        behind in prop_oneof![Just("Mul"), Just("Conv"), Just("Concat"), Just("Resize")],
        opset in prop_oneof![Just(1), Just(7), Just(11), Just(18)],
    ) {
        let attributes: Vec<_> = lists.iter().map(|(name, values)| list(name, values)).collect();
        let proto = Model::new(opset)
            .input("x", &[1, 2, 1, 1]).output("y")
            .floats("w", &dims, &numbers(53, dims.iter().product()))
            .node("Mul", &["x", "w"], "u", &[])
            .node(operator, &inputs, "v", &attributes)
            .node(behind, &["v", "w"], "y", &attributes);
        let Ok(model) = Read::from_bytes("test", proto.encode_to_vec().into()) else { return Ok(()) };
        for offer in model.offers() {
            // A model of weights that no runtime accepts may be refused, in words.
            let _ = model.rewritten(&[offer]);
        }
    }
}
