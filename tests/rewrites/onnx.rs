//! ONNX models for tests, written field by field as `onnx.proto` numbers them.

use prost::Message;

#[derive(Clone, PartialEq, Message)]
pub struct Model {
    #[prost(int64, tag = "1")]
    ir_version: i64,
    #[prost(message, optional, tag = "7")]
    graph: Option<Graph>,
    #[prost(message, repeated, tag = "8")]
    opset: Vec<Opset>,
}

#[derive(Clone, PartialEq, Message)]
struct Opset {
    #[prost(int64, tag = "2")]
    version: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Graph {
    #[prost(message, repeated, tag = "1")]
    node: Vec<Node>,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(message, repeated, tag = "5")]
    initializer: Vec<Tensor>,
    #[prost(message, repeated, tag = "11")]
    input: Vec<Value>,
    #[prost(message, repeated, tag = "12")]
    output: Vec<Value>,
}

#[derive(Clone, PartialEq, Message)]
struct Node {
    #[prost(string, repeated, tag = "1")]
    input: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    output: Vec<String>,
    #[prost(string, tag = "4")]
    op_type: String,
    #[prost(message, repeated, tag = "5")]
    attribute: Vec<Attribute>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Attribute {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(float, optional, tag = "2")]
    f: Option<f32>,
    #[prost(int64, optional, tag = "3")]
    i: Option<i64>,
    #[prost(string, optional, tag = "4")]
    s: Option<String>,
    #[prost(float, repeated, packed = "false", tag = "7")]
    floats: Vec<f32>,
    #[prost(int64, repeated, packed = "false", tag = "8")]
    ints: Vec<i64>,
    #[prost(int32, tag = "20")]
    kind: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Tensor {
    #[prost(int64, repeated, packed = "false", tag = "1")]
    dims: Vec<i64>,
    #[prost(int32, tag = "2")]
    data_type: i32,
    #[prost(string, tag = "8")]
    name: String,
    #[prost(bytes = "vec", tag = "9")]
    raw: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "2")]
    kind: Option<Kind>,
}

#[derive(Clone, PartialEq, Message)]
struct Kind {
    #[prost(message, optional, tag = "1")]
    tensor: Option<TensorKind>,
}

#[derive(Clone, PartialEq, Message)]
struct TensorKind {
    #[prost(int32, tag = "1")]
    element: i32,
    #[prost(message, optional, tag = "2")]
    shape: Option<Shape>,
}

#[derive(Clone, PartialEq, Message)]
struct Shape {
    #[prost(message, repeated, tag = "1")]
    dim: Vec<Dim>,
}

#[derive(Clone, PartialEq, Message)]
struct Dim {
    #[prost(int64, optional, tag = "1")]
    value: Option<i64>,
    #[prost(string, optional, tag = "2")]
    symbol: Option<String>,
}

pub fn int(name: &str, value: i64) -> Attribute {
    Attribute { name: name.into(), i: Some(value), kind: 2, ..Default::default() }
}

pub fn float(name: &str, value: f32) -> Attribute {
    Attribute { name: name.into(), f: Some(value), kind: 1, ..Default::default() }
}

pub fn floats_attribute(name: &str, values: &[f32]) -> Attribute {
    Attribute { name: name.into(), floats: values.to_vec(), kind: 6, ..Default::default() }
}

pub fn list(name: &str, values: &[i64]) -> Attribute {
    Attribute { name: name.into(), ints: values.to_vec(), kind: 7, ..Default::default() }
}

pub fn text(name: &str, value: &str) -> Attribute {
    Attribute { name: name.into(), s: Some(value.into()), kind: 3, ..Default::default() }
}

fn value(name: &str, dims: Option<&[i64]>) -> Value {
    let dim = |(axis, size): (usize, &i64)| match *size {
        -1 => Dim { value: None, symbol: Some(format!("{name}_{axis}")) },
        size => Dim { value: Some(size), symbol: None },
    };
    let shape = dims.map(|dims| Shape { dim: dims.iter().enumerate().map(dim).collect() });
    let tensor = Some(TensorKind { element: 1, shape });
    Value { name: name.into(), kind: Some(Kind { tensor }) }
}

impl Model {
    /// An empty model in the language of `opset`.
    pub fn new(opset: i64) -> Self {
        let graph = Some(Graph { name: "generator".into(), ..Default::default() });
        let ir_version = if opset < 9 { 4 } else { 8 };
        Self { ir_version, graph, opset: vec![Opset { version: opset }] }
    }

    fn graph(&mut self) -> &mut Graph {
        self.graph.get_or_insert_default()
    }

    /// An input of floats; -1 is a size that is open.
    pub fn input(mut self, name: &str, dims: &[i64]) -> Self {
        self.graph().input.push(value(name, Some(dims)));
        self
    }

    /// An output of floats of a shape that the file does not tell.
    pub fn output(mut self, name: &str) -> Self {
        self.graph().output.push(value(name, None));
        self
    }

    pub fn floats(mut self, name: &str, dims: &[usize], values: &[f32]) -> Self {
        assert_eq!(dims.iter().product::<usize>(), values.len());
        let dims = dims.iter().map(|dim| *dim as i64).collect();
        let raw = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.graph().initializer.push(Tensor { dims, data_type: 1, name: name.into(), raw });
        self
    }

    pub fn ints(mut self, name: &str, values: &[i64]) -> Self {
        let raw = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let dims = vec![values.len() as i64];
        self.graph().initializer.push(Tensor { dims, data_type: 7, name: name.into(), raw });
        self
    }

    pub fn node(
        mut self,
        operator: &str,
        input: &[&str],
        output: &str,
        attribute: &[Attribute],
    ) -> Self {
        self.graph().node.push(Node {
            input: input.iter().map(|&name| name.to_owned()).collect(),
            output: vec![output.to_owned()],
            op_type: operator.into(),
            attribute: attribute.to_vec(),
        });
        self
    }

    pub fn build(&self) -> genset::graph::Model {
        genset::graph::Model::from_bytes("test", self.encode_to_vec().into()).unwrap()
    }
}
