//! Repeated pixels and the convolution behind them as phases.

use genset::graph::Rewrite;
use proptest::prelude::*;

use crate::onnx::{Model, floats_attribute, int, list, text};
use crate::reference::{Image, Layer, assert_near, numbers, offers, run};

/// How an enlargement says what it does.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    /// `Upsample` of version 9, and of 7.
    Upsample(i64),
    /// `Resize` with this place and rounding, by scales, by scales of two axes, or by sizes.
    Resize(&'static str, &'static str, u8),
}

fn ways() -> impl Strategy<Value = Way> {
    let resize = |place, rounding| (0..3_u8).prop_map(move |by| Way::Resize(place, rounding, by));
    prop_oneof![
        Just(Way::Upsample(7)),
        Just(Way::Upsample(9)),
        resize("asymmetric", "floor"),
        resize("asymmetric", "round_prefer_floor"),
        resize("asymmetric", "ceil"),
        resize("half_pixel", "round_prefer_floor"),
        resize("half_pixel", "round_prefer_ceil"),
        resize("half_pixel", "floor"),
    ]
}

fn enlarge(way: Way, factors: [usize; 2], to: [usize; 2]) -> Model {
    let scales = [1.0, 1.0, factors[0] as f32, factors[1] as f32];
    match way {
        Way::Upsample(7) => {
            Model::new(7).node("Upsample", &["x"], "u", &[floats_attribute("scales", &scales)])
        }
        Way::Upsample(opset) => {
            Model::new(opset).floats("s", &[4], &scales).node("Upsample", &["x", "s"], "u", &[])
        }
        Way::Resize(place, rounding, by) => {
            let mut attributes = vec![
                text("mode", "nearest"),
                text("coordinate_transformation_mode", place),
                text("nearest_mode", rounding),
            ];
            let model = Model::new(18);
            match by {
                0 => model.floats("s", &[4], &scales).node(
                    "Resize",
                    &["x", "", "s"],
                    "u",
                    &attributes,
                ),
                1 => {
                    attributes.push(list("axes", &[-2, 3]));
                    model.floats("s", &[2], &scales[2..]).node(
                        "Resize",
                        &["x", "", "s"],
                        "u",
                        &attributes,
                    )
                }
                _ => model.ints("s", &[2, 2, to[0] as i64, to[1] as i64]).node(
                    "Resize",
                    &["x", "", "", "s"],
                    "u",
                    &attributes,
                ),
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..Default::default() })]

    #[test]
    fn phases_are_the_enlarged_and_convolved_image(
        way in ways(),
        factors in prop_oneof![3 => (2..=3_usize).prop_map(|f| [f, f]), 1 => [1..=3_usize, 1..=3_usize]],
        kernel in [1..=5_usize, 1..=5_usize],
        before in [0..=3_usize, 0..=3_usize], after in [0..=3_usize, 0..=3_usize],
        size in [1..=5_usize, 1..=5_usize],
        (group, outer) in (1..=2_usize, 1..=3_usize),
        bias: bool,
    ) {
        let inner = 2 / group;
        let [stride, dilation, more] = [[1; 2], [1; 2], [0; 2]];
        let channels = [inner, outer];
        let layer = Layer { kernel, stride, dilation, before, after, more, group, channels };
        let large = [size[0] * factors[0], size[1] * factors[1]];
        prop_assume!((0..2).all(|axis| layer.size(axis, large[axis]) > 0));
        let dims = [outer * group, inner, kernel[0], kernel[1]];
        let weights = numbers(6, dims.iter().product());
        let biases = if bias { numbers(7, outer * group) } else { vec![] };
        let shape = [2, 2, size[0], size[1]];
        let pads: Vec<i64> = [before, after].concat().iter().map(|pad| *pad as i64).collect();
        let mut model = enlarge(way, factors, large)
            .input("x", &shape.map(|size| size as i64)).output("y").floats("w", &dims, &weights);
        let inputs: &[&str] = if bias { &["u", "w", "b"] } else { &["u", "w"] };
        if bias {
            model = model.floats("b", &[biases.len()], &biases);
        }
        let attributes = [list("pads", &pads), int("group", group as i64)];
        let model = model.node("Conv", inputs, "y", &attributes).build();
        let x = numbers(8, shape.iter().product());
        let (shape_before, original) = run(&model, &[("x", &shape, &x)], "y");

        let largest = factors[0].max(factors[1]);
        let repeats = match way {
            Way::Upsample(_) | Way::Resize("asymmetric", "floor", _) => true,
            Way::Resize("asymmetric", "round_prefer_floor", _) => largest <= 2,
            Way::Resize("half_pixel", rounding, _) => rounding != "floor",
            Way::Resize(..) => false,
        };
        // Version 7 says the factors elsewhere, and nobody writes it any more.
        let due = repeats && largest > 1 && way != Way::Upsample(7);
        let rewrites = [Rewrite::FoldResize, Rewrite::WovenResize];
        for rewrite in rewrites {
            prop_assert_eq!(offers(&model, rewrite).len(), usize::from(due));
        }
        if !due {
            return Ok(());
        }
        let mut expected = Vec::new();
        for image in x.chunks_exact(x.len() / 2) {
            let mut enlarged = Image::zeros([2, large[0], large[1]]);
            for (at, value) in image.iter().enumerate() {
                let (row, column) = (at / size[1], at % size[1]);
                let (channel, row) = (row / size[0], row % size[0]);
                for y in 0..factors[0] {
                    for x in 0..factors[1] {
                        let to = (row * factors[0] + y, column * factors[1] + x);
                        *enlarged.at(channel, to.0, to.1) = f64::from(*value);
                    }
                }
            }
            let result = layer.convolve(&enlarged, &weights, &biases);
            expected.extend(result.values.iter().map(|value| *value as f32));
        }
        assert_near(&original, &expected, "the runtime itself");
        for rewrite in rewrites {
            let rewritten = model.rewritten(&offers(&model, rewrite)).unwrap();
            prop_assert!(!rewritten.tensors().contains(&"u"));
            let (after, values) = run(&rewritten, &[("x", &shape, &x)], "y");
            prop_assert_eq!(&shape_before, &after);
            assert_near(&values, &original, rewrite.name());
        }
    }
}
