//! What is known, what is not, and what a hostile file asks for. The rules of the operators are
//! held against ONNX Runtime in `tests/graphs`.

use super::*;
use crate::error::Kind;
use crate::graph::build::{self, floats, int, ints, node, node_with};
use crate::graph::nodes::list;
use crate::graph::proto::{NodeProto, TensorProto};

fn shapes(nodes: Vec<NodeProto>, constants: Vec<TensorProto>) -> Result<Shapes> {
    build::read(&build::model(nodes, constants))?.shapes(&[("z", vec![2, 8])])
}

fn refused(nodes: Vec<NodeProto>, constants: Vec<TensorProto>, kind: Kind, words: &str) {
    let error = shapes(nodes, constants).unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(words), "{error}");
}

#[test]
fn shapes_are_computed_through_shape_gather_and_concat() {
    let nodes = vec![
        node("Shape", &["z"], &["shape"]),
        node("Gather", &["shape", "first"], &["batch"]),
        node("Mul", &["batch", "two"], &["double"]),
        node("Unsqueeze", &["double", "zero"], &["row"]),
        node_with("Concat", &["row", "rest"], &["new"], &[int("axis", 0)]),
        node("Reshape", &["z", "new"], &["image"]),
    ];
    let constants = vec![
        ints("first", &[], &[0]),
        ints("two", &[], &[2]),
        ints("zero", &[1], &[0]),
        ints("rest", &[2], &[-1, 2]),
    ];
    let shapes = shapes(nodes, constants).unwrap();
    assert_eq!(shapes.integers("new"), Some(&[4, -1, 2][..]));
    assert_eq!(shapes.dims("image"), Some(&[4, 2, 2][..]));
    assert_eq!(shapes.element("image"), Some(Element::F32));
    assert_eq!(shapes.dims("double"), Some(&[][..]));
    assert_eq!(shapes.dims("none"), None);
}

#[test]
fn sizes_scaled_as_floats_are_computed_too() {
    let nodes = vec![
        node("Shape", &["z"], &["shape"]),
        node_with("Cast", &["shape"], &["float"], &[int("to", 1)]),
        node("Mul", &["float", "scale"], &["scaled"]),
        node("Floor", &["scaled"], &["floor"]),
        node_with("Cast", &["floor"], &["sizes"], &[int("to", 7)]),
        node("Resize", &["z", "", "", "sizes"], &["image"]),
    ];
    let shapes = shapes(nodes, vec![floats("scale", &[1], &[1.3])]).unwrap();
    assert_eq!(shapes.dims("image"), Some(&[2, 10][..]));
}

#[test]
fn frames_as_pytorch_writes_them_are_computed() {
    // [left, right, top, bottom] of the last axes becomes [0, 0, top, left, 0, 0, bottom, right].
    let nodes = vec![
        node("Reshape", &["frame", "pairs"], &["table"]),
        node("Slice", &["table", "last", "first", "zero", "last"], &["turned"]),
        node_with("Transpose", &["turned"], &["across"], &[list("perm", &[1, 0])]),
        node("Reshape", &["across", "flat"], &["pads"]),
        node("Pad", &["z", "pads"], &["image"]),
        node("Transpose", &["table"], &["reversed"]),
        node("Reshape", &["reversed", "flat"], &["double"]),
    ];
    let constants = vec![
        ints("frame", &[4], &[1, 2, 3, 4]),
        ints("pairs", &[2], &[-1, 2]),
        ints("last", &[1], &[-1]),
        ints("first", &[1], &[i64::MIN]),
        ints("zero", &[1], &[0]),
        ints("flat", &[1], &[-1]),
    ];
    let shapes = shapes(nodes, constants).unwrap();
    assert_eq!(shapes.integers("pads"), Some(&[3, 1, 4, 2][..]));
    assert_eq!(shapes.integers("double"), Some(&[1, 3, 2, 4][..]));
    assert_eq!(shapes.dims("image"), Some(&[2 + 3 + 4, 8 + 1 + 2][..]));
}

#[test]
fn what_has_no_rule_is_as_declared_or_unknown() {
    let foreign =
        |output| NodeProto { domain: "org.example".into(), ..node("Relu", &["z"], &[output]) };
    let nodes = vec![
        foreign("a"),
        foreign("b"),
        node("Tanh", &["a"], &["known"]),
        node("Tanh", &["b"], &["image"]),
    ];
    let mut proto = build::model(nodes, vec![]);
    let graph = proto.graph.as_mut().unwrap();
    graph.value_info = vec![build::value("a", 10, &["batch", "5"])];
    graph.output = vec![build::value("image", 1, &["batch", "rows"])];
    let shapes = build::read(&proto).unwrap().shapes(&[("z", vec![3, 8])]).unwrap();
    assert_eq!(shapes.dims("known"), Some(&[3, 5][..]));
    assert_eq!(shapes.element("known"), Some(Element::F16));
    assert_eq!((shapes.dims("b"), shapes.element("b")), (None, None));
    // A symbol that no input has.
    assert_eq!((shapes.dims("image"), shapes.element("image")), (None, Some(Element::F32)));
}

#[test]
fn inputs_that_are_not_given_follow_those_that_are() {
    let mut proto = build::model(vec![node("Add", &["z", "w"], &["image"])], vec![]);
    let graph = proto.graph.as_mut().unwrap();
    graph.input.push(build::value("w", 1, &["batch", "8"]));
    let model = build::read(&proto).unwrap();
    assert_eq!(model.shapes(&[("z", vec![5, 8])]).unwrap().dims("image"), Some(&[5, 8][..]));
    assert_eq!(model.shapes(&[]).unwrap().dims("image"), None);
    let error = model.shapes(&[("z", vec![5, 8]), ("w", vec![6, 8])]).unwrap_err();
    assert_eq!((error.kind(), error.summary().contains("[6, 8]")), (Kind::Argument, true));
}

#[test]
fn terabytes_by_tile_expand_and_concat_are_refused_without_being_made() {
    let huge = || vec![ints("huge", &[2], &[1 << 30, 1 << 30])];
    refused(vec![node("Tile", &["z", "huge"], &["t"])], huge(), Kind::Limit, "Tile `Tile_t`");
    let most = || vec![ints("most", &[2], &[i64::MAX, i64::MAX])];
    refused(vec![node("Tile", &["z", "most"], &["t"])], most(), Kind::Limit, "Tile `Tile_t`");
    let nodes = vec![
        node("Identity", &["huge"], &["size"]),
        node_with("Slice", &["size", "one", "two"], &["last"], &[]),
        node("ConstantOfShape", &["size"], &["image"]),
    ];
    let mut constants = huge();
    constants.extend([ints("one", &[1], &[1]), ints("two", &[1], &[2])]);
    refused(nodes, constants, Kind::Limit, "ConstantOfShape");
    let bounds = [ints("start", &[], &[i64::MIN]), ints("limit", &[], &[i64::MAX])];
    let mut constants = bounds.to_vec();
    constants.push(ints("step", &[], &[1]));
    refused(
        vec![node("Range", &["start", "limit", "step"], &["r"])],
        constants,
        Kind::Limit,
        "Range",
    );
    let mut doubled = vec![node("Identity", &["z"], &["x0"])];
    for step in 0..60 {
        let (from, to) = (format!("x{step}"), format!("x{}", step + 1));
        doubled.push(node_with("Concat", &[&from, &from], &[&to], &[int("axis", 0)]));
    }
    refused(doubled, vec![], Kind::Limit, "Concat");
}

#[test]
fn numbers_that_overflow_are_unknown_or_refused() {
    let constants = || vec![ints("most", &[1], &[i64::MAX]), ints("least", &[1], &[i64::MIN])];
    let nodes = vec![
        node("Mul", &["most", "most"], &["product"]),
        node("Neg", &["least"], &["neg"]),
        node("Abs", &["least"], &["abs"]),
        node("Div", &["least", "zero"], &["div"]),
        node("Sub", &["least", "most"], &["sub"]),
    ];
    let mut more = constants();
    more.push(ints("zero", &[1], &[0]));
    let shapes = shapes(nodes, more).unwrap();
    for name in ["product", "neg", "abs", "div", "sub"] {
        assert_eq!((shapes.integers(name), shapes.dims(name)), (None, Some(&[1][..])), "{name}");
    }
    for operator in ["Reshape", "Expand", "ConstantOfShape", "Squeeze", "Unsqueeze", "Slice"] {
        for constant in ["most", "least"] {
            let inputs = match operator {
                "ConstantOfShape" => vec![constant],
                "Slice" => vec!["z", "least", "most", constant, "most"],
                _ => vec!["z", constant],
            };
            // Refused, or an empty tensor, but told.
            let _ = super::tests::shapes(vec![node(operator, &inputs, &["y"])], constants());
        }
    }
}

#[test]
fn values_of_long_tensors_are_not_held() {
    let row: Vec<i64> = (0..65).collect();
    let constants = vec![ints("long", &[65], &row), ints("short", &[64], &row[..64])];
    let nodes = vec![node("Identity", &["long"], &["a"]), node("Identity", &["short"], &["b"])];
    let shapes = shapes(nodes, constants).unwrap();
    assert_eq!(shapes.integers("a"), None);
    assert_eq!(shapes.integers("b").map(<[i64]>::len), Some(64));
}

#[test]
fn products_that_do_not_fit_name_both() {
    let weights = || vec![floats("w", &[7, 3], &[0.0; 21])];
    let words = "MatMul `MatMul_y`: `z` [2, 8] and `w` [7, 3] cannot be multiplied";
    refused(vec![node("MatMul", &["z", "w"], &["y"])], weights(), Kind::Model, words);
    let words = "Add `Add_y`: `z` [2, 8] and `w` [7, 3] cannot be stretched to one shape";
    refused(vec![node("Add", &["z", "w"], &["y"])], weights(), Kind::Model, words);
    let shape = vec![ints("s", &[2], &[3, -1])];
    let words = "Reshape `Reshape_y`: `z` [2, 8] cannot become [3, -1]";
    refused(vec![node("Reshape", &["z", "s"], &["y"])], shape, Kind::Model, words);
}

#[test]
fn letters_of_einsum_are_matched() {
    let of = |equation: &'static str| {
        let attribute = crate::graph::proto::AttributeProto {
            name: "equation".into(),
            s: Some(equation.as_bytes().into()),
            r#type: 3,
            ..Default::default()
        };
        let nodes = vec![node_with("Einsum", &["z", "w"], &["y"], &[attribute])];
        shapes(nodes, vec![floats("w", &[8, 3], &[0.0; 24])])
    };
    assert_eq!(of("bi,io->ob").unwrap().dims("y"), Some(&[3, 2][..]));
    assert_eq!(of("bi, io").unwrap().dims("y"), Some(&[2, 3][..]));
    assert_eq!(of("...i,io->...o").unwrap().dims("y"), None);
    assert!(
        of("ib,io->o").unwrap_err().to_string().contains("`i` is 2 long, but not in `w` [8, 3]")
    );
    assert!(of("b,io->o").unwrap_err().to_string().contains("does not fit `z` [2, 8]"));
    assert!(of("bi,io->q").unwrap_err().to_string().contains("no input has"));
}
