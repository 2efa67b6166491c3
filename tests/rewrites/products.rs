//! Layers of one pixel as products, and constants beside the input of a product as its bias.

use genset::graph::{InputValues, Rewrite};
use proptest::prelude::*;

use crate::onnx::{Model, float, int, list};
use crate::reference::{Layer, assert_near, numbers, offers, run};

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..Default::default() })]

    #[test]
    fn a_layer_of_one_pixel_is_a_product(
        transposed: bool,
        kernel in [1..=5_usize, 1..=5_usize], stride in [1..=3_usize, 1..=3_usize],
        dilation in [1..=2_usize, 1..=2_usize],
        before in [0..=3_usize, 0..=3_usize], after in [0..=3_usize, 0..=3_usize],
        more in [0..=1_usize, 0..=1_usize],
        inner in 1..=5_usize, outer in 1..=5_usize, bias: bool, reshaped: bool,
    ) {
        let more = [0, 1].map(|at| more[at].min(stride[at] - 1) * usize::from(transposed));
        let channels = [inner, outer];
        let layer = Layer { kernel, stride, dilation, before, after, more, group: 1, channels };
        let size = |axis| if transposed { layer.transposed_size(axis, 1) } else { layer.size(axis, 1) };
        prop_assume!(size(0) > 0 && size(1) > 0);
        let wide = |values: &[usize]| values.iter().map(|v| *v as i64).collect::<Vec<_>>();
        let mut attributes = vec![
            list("strides", &wide(&stride)), list("dilations", &wide(&dilation)),
            list("pads", &wide(&[before, after].concat())),
        ];
        let (operator, dims) = if transposed {
            attributes.push(list("output_padding", &wide(&more)));
            ("ConvTranspose", [inner, outer, kernel[0], kernel[1]])
        } else {
            ("Conv", [outer, inner, kernel[0], kernel[1]])
        };
        let weights = numbers(31, dims.iter().product());
        let mut model = Model::new(18).output("y").floats("w", &dims, &weights);
        let shape = if reshaped { vec![2, inner] } else { vec![2, inner, 1, 1] };
        let mut declared = wide(&shape);
        declared[0] = -1;
        model = model.input("x", &declared);
        let mut inputs = vec!["x", "w"];
        if reshaped {
            model = model.ints("shape", &[-1, inner as i64, 1, 1])
                .node("Reshape", &["x", "shape"], "grid", &[]);
            inputs[0] = "grid";
        }
        if bias {
            model = model.floats("b", &[outer], &numbers(32, outer));
            inputs.push("b");
        }
        let model = model.node(operator, &inputs, "y", &attributes).build();
        let found = offers(&model, Rewrite::PixelProduct);
        // One output pixel for each of the kernel, or a few more.
        let area = (size(0) * size(1)) as usize;
        prop_assert_eq!(found.len(), usize::from(area <= 4 * kernel[0] * kernel[1]));
        if found.is_empty() {
            return Ok(());
        }
        let rewritten = model.rewritten(&found).unwrap();
        if reshaped {
            prop_assert_eq!(rewritten.tensors(), ["y_product", "y"]);
        }
        let x = numbers(33, 2 * inner);
        let (before, original) = run(&model, &[("x", &shape, &x)], "y");
        let (after, values) = run(&rewritten, &[("x", &shape, &x)], "y");
        prop_assert_eq!(before, after);
        assert_near(&values, &original, operator);
    }

    #[test]
    fn a_fixed_label_is_a_bias(
        gemm: bool, transposed: bool, bias: bool, alike: bool,
        (left, middle, right) in (0..=3_usize, 1..=4_usize, 0..=3_usize),
        parts in 1..=2_usize, outputs in 1..=5_usize,
    ) {
        prop_assume!(left + right > 0);
        let batch = 3;
        let inputs = left + parts * middle + right;
        let transposed = gemm && transposed;
        let dims = if transposed { [outputs, inputs] } else { [inputs, outputs] };
        let mut model = Model::new(18).output("y")
            .input("x", &[-1, middle as i64])
            .floats("w", &dims, &numbers(41, inputs * outputs));
        let mut joined: Vec<&str> = vec!["x"; parts];
        if left > 0 {
            model = model.input("l", &[-1, left as i64]);
            joined.insert(0, "l");
        }
        if right > 0 {
            model = model.input("r", &[-1, right as i64]);
            joined.push("r");
        }
        model = model.node("Concat", &joined, "joined", &[int("axis", -1)]);
        let mut read = vec!["joined", "w"];
        if bias && gemm {
            model = model.floats("b", &[outputs], &numbers(42, outputs));
            read.push("b");
        }
        let attributes = [float("alpha", 0.5), float("beta", -2.0), int("transB", transposed.into())];
        let (operator, attributes) = if gemm { ("Gemm", &attributes[..]) } else { ("MatMul", &[][..]) };
        let model = model.node(operator, &read, "y", attributes).build();
        prop_assert_eq!(offers(&model, Rewrite::SplitLabel), []);

        let label = |seed, width: usize| match alike {
            true => numbers(seed, width).repeat(batch),
            false => numbers(seed, width * batch),
        };
        let mut fixed = model;
        for (name, seed, width) in [("l", 43, left), ("r", 44, right)] {
            if width > 0 {
                let values = label(seed, width);
                let values = InputValues::Floats(&values);
                fixed = fixed.with_constant_input(name, &[batch, width], values).unwrap();
            }
        }
        let found = offers(&fixed, Rewrite::SplitLabel);
        prop_assert_eq!(found.len(), 1);
        let rewritten = fixed.rewritten(&found).unwrap();
        let shape = [batch, middle];
        let x = numbers(45, batch * middle);
        let [wanted, found] = [&fixed, &rewritten].map(|m| run(m, &[("x", &shape, &x)], "y"));
        prop_assert_eq!(wanted.0, found.0);
        assert_near(&found.1, &wanted.1, operator);
        // Of a label throughout nothing is left that depends on the batch.
        if alike {
            let x = numbers(46, 5 * middle);
            prop_assert_eq!(run(&rewritten, &[("x", &[5, middle], &x)], "y").0, [5, outputs]);
        }
    }
}
