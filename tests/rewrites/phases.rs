//! Transposed convolutions as phases and as joined phases.

use genset::graph::Rewrite;
use proptest::prelude::*;

use crate::onnx::{self, Model, int, list, text};
use crate::reference::{Image, Layer, assert_near, numbers, offers, run};

/// A random layer, the size of its input, whether that is declared, whether it has a bias.
#[derive(Debug, Clone)]
struct Case {
    layer: Layer,
    size: [usize; 2],
    declared: bool,
    bias: bool,
    opset: i64,
}

fn cases() -> impl Strategy<Value = Case> {
    let pair = |range: std::ops::RangeInclusive<usize>| [range.clone(), range];
    let stride = prop_oneof![
        4 => (2..=3_usize).prop_map(|s| [s, s]),
        1 => Just([4, 4]),
        1 => [1..=3_usize, 1..=3_usize],
    ];
    let layer = (pair(1..=6), stride, pair(1..=3), pair(0..=3), pair(0..=3), pair(0..=1));
    let channels = (1..=3_usize, [1..=4_usize, 1..=4_usize]);
    let rest =
        (pair(1..=6), any::<bool>(), any::<bool>(), prop_oneof![Just(9), Just(11), Just(18)]);
    (layer, channels, rest).prop_map(
        |((kernel, stride, dilation, before, after, more), (group, channels), rest)| {
            let (size, declared, bias, opset) = rest;
            // The runtime refuses more.
            let more = [0, 1].map(|at| more[at].min(stride[at] - 1));
            let layer = Layer { kernel, stride, dilation, before, after, more, group, channels };
            Case { layer, size, declared, bias, opset }
        },
    )
}

fn wide(values: &[usize]) -> Vec<i64> {
    values.iter().map(|value| *value as i64).collect()
}

fn attributes(layer: &Layer) -> Vec<onnx::Attribute> {
    vec![
        list("kernel_shape", &wide(&layer.kernel)),
        list("strides", &wide(&layer.stride)),
        list("dilations", &wide(&layer.dilation)),
        list("pads", &wide(&[layer.before, layer.after].concat())),
        list("output_padding", &wide(&layer.more)),
        int("group", layer.group as i64),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..Default::default() })]

    #[test]
    fn phases_are_the_transposed_convolution(case in cases()) {
        let Case { layer, size, declared, bias, opset } = case;
        prop_assume!((0..2).all(|axis| layer.transposed_size(axis, size[axis]) > 0));
        let [inner, outer] = layer.channels;
        let dims = [inner * layer.group, outer, layer.kernel[0], layer.kernel[1]];
        let weights = numbers(1, dims.iter().product());
        let biases = if bias { numbers(2, outer * layer.group) } else { vec![] };
        let batch = 2;
        let shape = [batch, dims[0], size[0], size[1]];
        let shown = if declared { [-1, shape[1] as i64, shape[2] as i64, shape[3] as i64] }
            else { [-1, shape[1] as i64, -1, -1] };
        let mut model = Model::new(opset)
            .input("x", &shown).output("y").floats("w", &dims, &weights);
        let inputs: &[&str] = if bias { &["x", "w", "b"] } else { &["x", "w"] };
        if bias {
            model = model.floats("b", &[biases.len()], &biases);
        }
        let model = model.node("ConvTranspose", inputs, "y", &attributes(&layer)).build();

        let x = numbers(3, shape.iter().product());
        let mut expected = Vec::new();
        for image in x.chunks_exact(x.len() / batch) {
            let values = image.iter().copied().map(f64::from).collect();
            let image = Image { dims: [shape[1], shape[2], shape[3]], values };
            let result = layer.transpose(&image, &weights, &biases);
            expected.extend(result.values.iter().map(|value| *value as f32));
        }
        let (before, original) = run(&model, &[("x", &shape, &x)], "y");
        assert_near(&original, &expected, "the runtime itself");

        let equal = layer.stride[0] == layer.stride[1];
        for rewrite in [Rewrite::Phases, Rewrite::WovenPhases, Rewrite::JoinedPhases] {
            let found = offers(&model, rewrite);
            let due = match rewrite {
                Rewrite::Phases => layer.stride != [1, 1] && (equal || declared),
                Rewrite::WovenPhases => layer.stride != [1, 1] && (declared || layer.stride[0] == 1),
                _ => layer.stride[0] > 1 && equal && opset >= 11 && layer.dilation == [1, 1],
            };
            prop_assert!(!found.is_empty() || !due, "{rewrite} is not offered");
            if found.is_empty() {
                continue;
            }
            let rewritten = model.rewritten(&found).unwrap();
            let (after, values) = run(&rewritten, &[("x", &shape, &x)], "y");
            prop_assert_eq!(&before, &after);
            assert_near(&values, &original, rewrite.name());
        }
    }

    #[test]
    fn padding_by_rule_is_the_same_padding(
        kernel in 1..=6_usize, stride in 2..=3_usize, size in 1..=5_usize,
        mode in prop_oneof![Just("SAME_UPPER"), Just("SAME_LOWER"), Just("VALID"), Just("NOTSET")],
        shorter in 0..=3_usize, sized: bool,
    ) {
        let dims = [2, 3, kernel, kernel];
        let weights = numbers(4, dims.iter().product());
        let whole = stride * (size - 1) + kernel;
        let mut attributes = vec![list("strides", &[stride as i64; 2]), text("auto_pad", mode)];
        if sized {
            prop_assume!(shorter < whole && mode != "VALID");
            attributes.push(list("output_shape", &[(whole - shorter) as i64; 2]));
        }
        let model = Model::new(18)
            .input("x", &[1, 2, size as i64, size as i64]).output("y")
            .floats("w", &dims, &weights)
            .node("ConvTranspose", &["x", "w"], "y", &attributes)
            .build();
        let shape = [1, 2, size, size];
        let x = numbers(5, shape.iter().product());
        // The standard and the runtimes differ on a kernel that does not reach the next pixel.
        prop_assume!(kernel >= stride || sized || !mode.starts_with("SAME"));
        let (before, original) = run(&model, &[("x", &shape, &x)], "y");
        for rewrite in [Rewrite::Phases, Rewrite::WovenPhases, Rewrite::JoinedPhases] {
            let found = offers(&model, rewrite);
            prop_assert_eq!(found.len(), 1);
            let rewritten = model.rewritten(&found).unwrap();
            let (after, values) = run(&rewritten, &[("x", &shape, &x)], "y");
            prop_assert_eq!(&before, &after);
            assert_near(&values, &original, rewrite.name());
        }
    }
}
