//! One operator with its inputs: differentiated by genset, and by differences.

use genset::graph::{DIRECTION, Element, Model};
use genset::runtime::{Runtime, Session, SessionOptions, Tensor, TensorView};
use genset::{Kind, Result};
use prost::Message;

use crate::build::{self, ints};
use crate::common;
use crate::proto::{
    AttributeProto, ModelProto, NodeProto, TensorProto, TensorType, TypeProto, TypeValue,
    ValueInfoProto,
};

/// Where the elements of an input lie.
#[derive(Debug, Clone, Copy)]
pub enum Values {
    /// From -2 to 2, none near a whole number, where functions have corners.
    Any,
    /// From 0.3 to 2.3.
    Positive,
    /// All of them more than a hundredth apart, so that the largest stays the largest.
    Apart,
}

/// A node of one operator.
#[derive(Debug, Clone)]
pub struct Case {
    operator: String,
    inputs: Vec<(String, Vec<usize>, Values)>,
    /// The node's inputs in order: of the graph, constants, or left out.
    reads: Vec<String>,
    constants: Vec<TensorProto>,
    attributes: Vec<AttributeProto>,
    outputs: usize,
    single: bool,
}

/// A case of `operator`.
pub fn case(operator: &str) -> Case {
    Case {
        operator: operator.into(),
        inputs: Vec::new(),
        reads: Vec::new(),
        constants: Vec::new(),
        attributes: Vec::new(),
        outputs: 1,
        single: false,
    }
}

impl Case {
    /// An input that is differentiated.
    pub fn input(mut self, dims: &[usize], values: Values) -> Self {
        let name = format!("x{}", self.inputs.len());
        self.reads.push(name.clone());
        self.inputs.push((name, dims.to_vec(), values));
        self
    }

    /// An input of any values.
    pub fn any(self, dims: &[usize]) -> Self {
        self.input(dims, Values::Any)
    }

    /// The same tensor as the input before.
    pub fn again(mut self) -> Self {
        self.reads.push(self.reads.last().unwrap().clone());
        self
    }

    /// A constant list of whole numbers.
    pub fn ints(self, values: &[i64]) -> Self {
        self.int_tensor(&[values.len() as i64], values)
    }

    /// Constant whole numbers.
    pub fn int_tensor(mut self, dims: &[i64], values: &[i64]) -> Self {
        let name = format!("c{}", self.constants.len());
        self.constants.push(ints(&name, dims, values));
        self.reads.push(name);
        self
    }

    /// Constant numbers, of `f32` whatever the rest is.
    pub fn floats(mut self, values: &[f32]) -> Self {
        let name = format!("c{}", self.constants.len());
        self.constants.push(build::floats(&name, &[values.len() as i64], values));
        self.reads.push(name);
        self
    }

    /// An input that is left out.
    pub fn none(mut self) -> Self {
        self.reads.push(String::new());
        self
    }

    /// An attribute, a whole number.
    pub fn int(mut self, name: &str, value: i64) -> Self {
        self.attributes.push(build::int(name, value));
        self
    }

    /// An attribute, a number.
    pub fn float(mut self, name: &str, value: f32) -> Self {
        let f = Some(value);
        self.attributes.push(AttributeProto {
            name: name.into(),
            f,
            r#type: 1,
            ..Default::default()
        });
        self
    }

    /// An attribute, whole numbers.
    pub fn list(mut self, name: &str, values: &[i64]) -> Self {
        let ints = values.to_vec();
        let attribute = AttributeProto { name: name.into(), ints, r#type: 7, ..Default::default() };
        self.attributes.push(attribute);
        self
    }

    /// An attribute, a text.
    pub fn text(mut self, name: &str, value: &'static str) -> Self {
        let s = Some(value.as_bytes().into());
        self.attributes.push(AttributeProto {
            name: name.into(),
            s,
            r#type: 3,
            ..Default::default()
        });
        self
    }

    /// The node has several outputs; all are joined, so that all are differentiated.
    pub fn outputs(mut self, count: usize) -> Self {
        self.outputs = count;
        self
    }

    /// ONNX Runtime has this operator in single precision alone.
    pub fn single(mut self) -> Self {
        self.single = true;
        self
    }

    fn model(&self) -> Model {
        let element = if self.single { 1 } else { 11 };
        let names: Vec<String> = (0..self.outputs).map(|output| format!("y{output}")).collect();
        let mut nodes = vec![NodeProto {
            name: "node".into(),
            op_type: self.operator.clone(),
            input: self.reads.clone(),
            output: names.clone(),
            attribute: self.attributes.clone(),
            ..Default::default()
        }];
        let mut output = "y0";
        if self.outputs > 1 {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            // Those of a Split differ in size along the last axis alone.
            nodes.push(build::node_with("Concat", &names, &["joined"], &[build::int("axis", -1)]));
            output = "joined";
        }
        let mut model: ModelProto = build::model(nodes, self.constants.clone());
        let graph = model.graph.as_mut().unwrap();
        graph.input = self
            .inputs
            .iter()
            .map(|(name, dims, _)| {
                let dims: Vec<String> = dims.iter().map(ToString::to_string).collect();
                let dims: Vec<&str> = dims.iter().map(String::as_str).collect();
                build::value(name, element, &dims)
            })
            .collect();
        let tensor = TensorType { elem_type: element, shape: None };
        graph.output = vec![ValueInfoProto {
            name: output.into(),
            r#type: Some(TypeProto {
                value: Some(TypeValue::Tensor(tensor)),
                ..Default::default()
            }),
            ..Default::default()
        }];
        Model::from_bytes("case", model.encode_to_vec().into()).unwrap()
    }

    /// The model with its gradients.
    pub fn differentiated(&self) -> Result<Model> {
        let model = self.model();
        let inputs: Vec<(&str, Vec<usize>)> =
            self.inputs.iter().map(|(name, dims, _)| (name.as_str(), dims.clone())).collect();
        let of: Vec<&str> = self.inputs.iter().map(|(name, _, _)| name.as_str()).collect();
        model.with_gradients(&inputs, &model.outputs()[0].name.clone(), &of)
    }

    /// Checks every gradient. In double precision they agree to a millionth of the largest; where
    /// ONNX Runtime has the operator in single precision alone, to two thousandths, as differences
    /// themselves are no better.
    #[track_caller]
    pub fn check(self) {
        match self.session(&self.differentiated().unwrap()) {
            Ok(_) => self.compare(1e-5, 1e-6),
            Err(_) => self.single().compare(1e-2, 2e-3),
        }
    }

    /// The same, with a step and a tolerance for operators that are linear in each input.
    #[track_caller]
    pub fn check_linear(self) {
        self.single().compare(0.25, 3e-5);
    }

    fn session(&self, model: &Model) -> Result<Session> {
        let runtime = Runtime::open(&common::options(&[]).search).unwrap();
        Session::open(runtime, (&model.loadable().unwrap()).into(), &SessionOptions::default())
    }

    #[track_caller]
    fn compare(&self, step: f64, tolerance: f64) {
        let model = self.differentiated().unwrap_or_else(|error| panic!("{self:?}: {error}"));
        let mut session = self.session(&model).unwrap_or_else(|error| panic!("{self:?}: {error}"));
        let element = if self.single { Element::F32 } else { Element::F64 };
        let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
        let mut feed: Vec<(&str, Vec<usize>, Vec<f64>)> = Vec::new();
        for (name, dims, values) in &self.inputs {
            feed.push((name, dims.clone(), numbers.draw(*values, dims.iter().product())));
        }
        let direction = session.inputs().into_iter().find(|input| input.name == DIRECTION).unwrap();
        let dims: Vec<usize> = direction.shape.iter().map(|&dim| dim as usize).collect();
        let direction = numbers.draw(Values::Any, dims.iter().product());
        feed.push((DIRECTION, dims, direction.clone()));
        let output = model.outputs()[0].name.clone();
        for at in 0..self.inputs.len() {
            let name = format!("gradient/{}", self.inputs[at].0);
            let found = run(&mut session, element, &feed, &name);
            let mut expected = Vec::new();
            for place in 0..feed[at].2.len() {
                let here = feed[at].2[place];
                let mut side = |moved: f64| -> f64 {
                    feed[at].2[place] = here + moved;
                    let made = run(&mut session, element, &feed, &output);
                    made.iter().zip(&direction).map(|(y, d)| y * d).sum()
                };
                let difference = (side(step) - side(-step)) / (2.0 * step);
                feed[at].2[place] = here;
                expected.push(difference);
            }
            let largest = expected.iter().fold(1.0_f64, |most, value| most.max(value.abs()));
            assert_eq!(found.len(), expected.len(), "{self:?}");
            for (place, (found, expected)) in found.iter().zip(&expected).enumerate() {
                assert!(
                    (found - expected).abs() <= tolerance * largest,
                    "{} of {self:?} at {place}: {found}, by differences {expected}",
                    self.inputs[at].0
                );
            }
        }
    }

    /// Checks that it is refused, with `part` in the message.
    #[track_caller]
    pub fn refused(self, part: &str) {
        let error = self.differentiated().unwrap_err();
        assert_eq!(error.kind(), Kind::Model);
        assert!(error.to_string().contains(part), "{error}");
    }
}

fn run(
    session: &mut Session,
    element: Element,
    feed: &[(&str, Vec<usize>, Vec<f64>)],
    output: &str,
) -> Vec<f64> {
    let tensors: Vec<(&str, Tensor)> = feed
        .iter()
        .map(|(name, dims, values)| {
            let mut tensor = Tensor::new(element, dims).unwrap();
            tensor.write_doubles(0, values).unwrap();
            (*name, tensor)
        })
        .collect();
    let inputs: Vec<(&str, &Tensor)> =
        tensors.iter().map(|(name, tensor)| (*name, tensor)).collect();
    let made = session.run_once(&inputs, output).unwrap();
    match made.view().unwrap() {
        TensorView::F64(values) => values.to_vec(),
        other => other.to_f32().into_iter().map(f64::from).collect(),
    }
}

/// Numbers that look random and are the same everywhere (a linear congruential generator).
struct Numbers(u64);

impl Numbers {
    /// From 0 to 1.
    fn next(&mut self) -> f64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn draw(&mut self, values: Values, count: usize) -> Vec<f64> {
        match values {
            Values::Positive => (0..count).map(|_| 0.3 + 2.0 * self.next()).collect(),
            Values::Any => (0..count)
                .map(|_| {
                    let whole = (self.next() * 4.0).floor() - 2.0;
                    whole + 0.1 + 0.8 * self.next()
                })
                .collect(),
            Values::Apart => {
                let mut places: Vec<usize> = (0..count).collect();
                for last in (1..count).rev() {
                    places.swap(last, (self.next() * (last + 1) as f64) as usize);
                }
                places.into_iter().map(|place| place as f64 * 0.05 - 1.0).collect()
            }
        }
    }
}
