//! What scales and shifts channels, folded into random layers before and behind it.

use genset::graph::Rewrite;
use proptest::prelude::*;

use crate::onnx::{Model, float, int, list};
use crate::reference::{assert_near, numbers, offers, run};

/// The layer in the middle.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Conv { pad: i64 },
    ConvTranspose,
    Gemm { transposed: bool },
    MatMul,
}

/// A node that scales or shifts: operator, whether the constant comes first, how it lies.
type Step = (&'static str, bool, u8);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let operator = prop_oneof![
        Just("BatchNormalization"),
        Just("Mul"),
        Just("Div"),
        Just("Add"),
        Just("Sub"),
        Just("Identity"),
    ];
    prop::collection::vec((operator, any::<bool>(), 0..4_u8), 0..=3)
}

/// Puts `steps` behind `from`, a tensor of `channels`, and gives the name of the last output.
fn append(
    mut model: Model,
    from: &str,
    steps: &[Step],
    channels: usize,
    spatial: bool,
) -> (Model, String) {
    let mut from = from.to_owned();
    for (at, (operator, first, way)) in steps.iter().enumerate() {
        let to = format!("{from}_{at}");
        let name = |what: &str| format!("{to}_{what}");
        // Away from 0, by which some divide.
        let values = |seed, count| -> Vec<f32> {
            numbers(seed + at as u64, count).iter().map(|v| v + 1.5 * v.signum()).collect()
        };
        match *operator {
            "Identity" => model = model.node("Identity", &[&from], &to, &[]),
            "BatchNormalization" => {
                let parts = ["scale", "bias", "mean", "variance"].map(name);
                for (seed, part) in parts.iter().enumerate() {
                    let values = values(20 + 10 * seed as u64, channels);
                    let positive: Vec<f32> = values.iter().map(|v| v.abs()).collect();
                    let values = if part.ends_with("variance") { positive } else { values };
                    model = model.floats(part, &[channels], &values);
                }
                let [scale, bias, mean, variance] = &parts;
                let inputs: [&str; 5] = [&from, scale, bias, mean, variance];
                model = model.node("BatchNormalization", &inputs, &to, &[float("epsilon", 0.01)]);
            }
            _ => {
                let constant = name("constant");
                let dims: &[usize] = match (way, spatial) {
                    (0, _) => &[],
                    (1, _) => &[1],
                    (2, true) => &[channels, 1, 1],
                    (_, true) => &[1, channels, 1, 1],
                    (2, false) => &[channels],
                    (_, false) => &[1, channels],
                };
                model = model.floats(&constant, dims, &values(70, dims.iter().product()));
                // A tensor below a constant is no scale.
                let swapped = *first && *operator != "Div";
                let inputs: [&str; 2] =
                    if swapped { [&constant, &from] } else { [&from, &constant] };
                model = model.node(operator, &inputs, &to, &[]);
            }
        }
        from = to;
    }
    (model, from)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..Default::default() })]

    #[test]
    fn folded_layers_compute_the_same(
        kind in prop_oneof![
            (0..=1_i64).prop_map(|pad| Kind::Conv { pad }),
            Just(Kind::ConvTranspose),
            any::<bool>().prop_map(|transposed| Kind::Gemm { transposed }),
            Just(Kind::MatMul),
        ],
        before in steps(), behind in steps(),
        group in 1..=2_usize, inner in 1..=3_usize, outer in 1..=3_usize,
        kernel in 1..=3_usize, bias: bool,
    ) {
        let spatial = matches!(kind, Kind::Conv { .. } | Kind::ConvTranspose);
        let group = if spatial { group } else { 1 };
        let (inputs, outputs) = (inner * group, outer * group);
        let shape: Vec<usize> =
            if spatial { vec![2, inputs, 3, 4] } else { vec![2, inputs] };
        let declared: Vec<i64> =
            shape.iter().enumerate().map(|(at, n)| if at == 1 { *n as i64 } else { -1 }).collect();
        let model = Model::new(18).input("x", &declared).output("y");
        let (mut model, from) = append(model, "x", &before, inputs, spatial);
        let (operator, dims, attributes) = match kind {
            Kind::Conv { pad } => {
                let attributes = vec![list("pads", &[pad; 4]), int("group", group as i64)];
                ("Conv", vec![outputs, inner, kernel, kernel], attributes)
            }
            Kind::ConvTranspose => {
                let attributes = vec![list("strides", &[2, 2]), int("group", group as i64)];
                ("ConvTranspose", vec![inputs, outer, kernel, kernel], attributes)
            }
            Kind::Gemm { transposed } => {
                let attributes =
                    vec![float("alpha", 0.5), float("beta", 2.0), int("transB", transposed.into())];
                let dims = if transposed { vec![outputs, inputs] } else { vec![inputs, outputs] };
                ("Gemm", dims, attributes)
            }
            Kind::MatMul => ("MatMul", vec![inputs, outputs], vec![]),
        };
        model = model.floats("w", &dims, &numbers(10, dims.iter().product()));
        let mut layer = vec![from.as_str(), "w"];
        if bias && kind != Kind::MatMul {
            model = model.floats("b", &[outputs], &numbers(11, outputs));
            layer.push("b");
        }
        model = model.node(operator, &layer, "layer", &attributes);
        let (model, last) = append(model, "layer", &behind, outputs, spatial);
        let model = model.node("Tanh", &[&last], "y", &[]).build();

        let found = offers(&model, Rewrite::FoldScale);
        let shifts = |steps: &[Step]| {
            steps.iter().any(|(operator, ..)| ["BatchNormalization", "Add", "Sub"].contains(operator))
        };
        // A shift alone behind a product has nowhere to go.
        let bare = kind == Kind::MatMul && shifts(&behind);
        if !behind.is_empty() && !bare {
            prop_assert_eq!(found.len(), 1);
        }
        if found.is_empty() {
            return Ok(());
        }
        let rewritten = model.rewritten(&found).unwrap();
        prop_assert!(rewritten.tensors().len() < model.tensors().len());
        if matches!(kind, Kind::Gemm { .. } | Kind::Conv { pad: 0 }) {
            prop_assert_eq!(rewritten.tensors().len(), 2);
        }
        // What lies before the last node is compared, as Tanh would hide differences.
        let both = [&model, &rewritten].map(|model| {
            let x = numbers(12, shape.iter().product());
            let inside = model.tensors()[model.tensors().len() - 2].to_owned();
            run(&model.with_output(&inside).unwrap(), &[("x", &shape, &x)], &inside)
        });
        prop_assert_eq!(&both[0].0, &both[1].0);
        assert_near(&both[1].1, &both[0].1, "folded");
    }
}

/// What lies between two layers goes into the first, and both offers can be taken.
#[test]
fn two_layers_share_what_is_between_them() {
    let model = Model::new(18)
        .input("x", &[-1, 3])
        .output("y")
        .floats("w", &[3, 3], &numbers(13, 9))
        .floats("f", &[3], &[2.0, 3.0, 4.0])
        .floats("g", &[3], &[1.0, -1.0, 0.5])
        .node("Mul", &["x", "f"], "a", &[])
        .node("Gemm", &["a", "w"], "b", &[])
        .node("Mul", &["b", "f"], "c", &[])
        .node("Add", &["c", "g"], "d", &[])
        .node("Gemm", &["d", "w"], "e", &[])
        .node("Sub", &["g", "e"], "y", &[])
        .build();
    let found = offers(&model, Rewrite::FoldScale);
    assert_eq!(found.iter().map(|offer| offer.node.as_str()).collect::<Vec<_>>(), ["b", "e"]);
    let rewritten = model.rewritten(&found).unwrap();
    assert_eq!(rewritten.tensors(), ["d", "y"]);
    let x = numbers(14, 6);
    let [wanted, found] = [&model, &rewritten].map(|m| run(m, &[("x", &[2, 3], &x)], "y").1);
    assert_near(&found, &wanted, "both");
}

/// Nobody else may see a tensor that is folded away.
#[test]
fn a_tensor_that_others_read_stays() {
    let model = |second: &str| {
        Model::new(18)
            .input("x", &[-1, 3])
            .output("y")
            .output(second)
            .floats("w", &[3, 3], &numbers(13, 9))
            .floats("f", &[3], &[2.0, 3.0, 4.0])
            .node("Gemm", &["x", "w"], "a", &[])
            .node("Mul", &["a", "f"], "y", &[])
            .node("Neg", &["a"], "n", &[])
            .build()
    };
    assert_eq!(offers(&model("n"), Rewrite::FoldScale), []);
    assert_eq!(offers(&model("a"), Rewrite::FoldScale), []);
}
