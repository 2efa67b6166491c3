//! Between which values an output must lie, told from the last operators of the graph.
//!
//! Interval arithmetic, backwards from the output: a Tanh bounds its result whatever it is given,
//! a Clip may, and what follows shifts and scales that interval. What is not understood is
//! unbounded, so the answer is never too narrow. An activation counts with its whole range, even
//! where its input is bounded: pixels are coded by what a Tanh can give, not by what it gives here.
//!
//! Source: Moore, Kearfott, Cloud: *Introduction to Interval Analysis* (SIAM 2009), chapter 2.

use std::collections::HashMap;

use super::body::{Bodies, Functions};
use super::constant::{attribute, int_attribute, is_standard};
use super::operators::NodeName;
use super::proto::{ModelProto, NodeProto};
use super::value::{Element, ValueInfo};

/// The values that an output can have.
#[derive(Debug, Clone, PartialEq)]
pub struct OutputRange {
    /// No value is below.
    pub low: f64,
    /// No value is above.
    pub high: f64,
    /// What bounds it: ``Tanh `/net/act` `` or `element type u8`.
    pub because: String,
}

/// No chain of operators from an image to its activation is longer.
const MAX_STEPS: usize = 64;

/// The range of the output of this description, if the graph bounds it on both sides.
pub(super) fn output_range(model: &ModelProto, output: &ValueInfo) -> Option<OutputRange> {
    let bodies = Bodies::of(model, Functions::Called);
    let mut producers = HashMap::new();
    for node in bodies.list.first()?.nodes {
        for (position, name) in node.output.iter().enumerate() {
            producers.entry(name.as_str()).or_insert((node, position));
        }
    }
    let mut walk = Walk { bodies, producers, known: HashMap::new() };
    let mut found = walk.interval(&output.name, 0);
    if let Some((low, high)) = limits(output.element) {
        found = found.within(low, high, || format!("element type {}", output.element));
    }
    let Interval { low, high, because } = found;
    let bounded = low.is_finite() && high.is_finite() && low < high;
    // Adding zero turns -0 into 0.
    bounded.then(|| OutputRange {
        low: low + 0.0,
        high: high + 0.0,
        because: because.unwrap_or_default(),
    })
}

/// The values that a narrow element type has room for.
fn limits(element: Element) -> Option<(f64, f64)> {
    match element {
        Element::U8 => Some((0.0, 255.0)),
        Element::I8 => Some((-128.0, 127.0)),
        Element::Bool => Some((0.0, 1.0)),
        _ => None,
    }
}

/// A closed interval, and what bounds it.
#[derive(Debug, Clone)]
struct Interval {
    low: f64,
    high: f64,
    because: Option<String>,
}

impl Interval {
    const ALL: Self = Self { low: f64::NEG_INFINITY, high: f64::INFINITY, because: None };

    fn new(low: f64, high: f64, because: Option<String>) -> Self {
        if low.is_nan() || high.is_nan() { Self::ALL } else { Self { low, high, because } }
    }

    /// The smallest interval around both.
    fn hull(self, other: Self) -> Self {
        Self::new(
            self.low.min(other.low),
            self.high.max(other.high),
            self.because.or(other.because),
        )
    }

    /// Clamped to these bounds, which are the reason if they changed anything.
    fn within(self, low: f64, high: f64, because: impl FnOnce() -> String) -> Self {
        let clamp = |value: f64| value.max(low).min(high);
        let (new_low, new_high) = (clamp(self.low), clamp(self.high));
        let changed = new_low != self.low || new_high != self.high;
        Self::new(new_low, new_high, if changed { Some(because()) } else { self.because })
    }

    /// Both bounds through a function that never falls.
    fn map(self, rising: impl Fn(f64) -> f64) -> Self {
        Self::new(rising(self.low), rising(self.high), self.because)
    }

    fn negate(self) -> Self {
        Self::new(-self.high, -self.low, self.because)
    }

    fn add(self, other: Self) -> Self {
        Self::new(self.low + other.low, self.high + other.high, self.because.or(other.because))
    }

    fn multiply(self, other: Self) -> Self {
        // A bound of infinity is never reached, so zero times it is zero.
        let times = |a: f64, b: f64| if a == 0.0 || b == 0.0 { 0.0 } else { a * b };
        let corners = [
            times(self.low, other.low),
            times(self.low, other.high),
            times(self.high, other.low),
            times(self.high, other.high),
        ];
        let low = corners.into_iter().fold(f64::INFINITY, f64::min);
        let high = corners.into_iter().fold(f64::NEG_INFINITY, f64::max);
        Self::new(low, high, self.because.or(other.because))
    }

    fn divide(self, other: Self) -> Self {
        if other.low <= 0.0 && other.high >= 0.0 {
            return Self::ALL;
        }
        let inverse = Self::new(1.0 / other.high, 1.0 / other.low, other.because.clone());
        // Two single numbers divide without the rounding of an inverse.
        if other.low == other.high && other.low > 0.0 {
            return self.map(|value| value / other.low);
        }
        self.multiply(inverse)
    }

    /// Rounded towards zero into an integer type, where what does not fit may wrap to any value.
    fn cast(self, element: Element, because: impl FnOnce() -> String) -> Self {
        if element.is_float() {
            return self;
        }
        let whole = self.map(f64::trunc);
        match limits(element) {
            Some((low, high)) if whole.low < low || whole.high > high => {
                Self::new(low, high, Some(because()))
            }
            _ => whole,
        }
    }
}

/// The walk back from one output.
struct Walk<'a> {
    bodies: Bodies<'a>,
    /// The node that makes each value of the main graph, and which of its outputs that is.
    producers: HashMap<&'a str, (&'a NodeProto, usize)>,
    /// Intervals found. A value is unbounded while it is being looked at, so rings end.
    known: HashMap<String, Interval>,
}

impl Walk<'_> {
    /// The interval of the value `name`, which is `steps` operators before the output.
    fn interval(&mut self, name: &str, steps: usize) -> Interval {
        if let Some(known) = self.known.get(name) {
            return known.clone();
        }
        if let Some(constant) = self.bodies.constant(0, name) {
            let hull = constant.hull();
            let interval = hull.map_or(Interval::ALL, |(low, high)| Interval::new(low, high, None));
            self.known.insert(name.into(), interval.clone());
            return interval;
        }
        let Some(&(node, position)) = self.producers.get(name) else { return Interval::ALL };
        let is_first = position == 0 || node.op_type == "Split";
        if steps >= MAX_STEPS || !is_first || !is_standard(&node.domain) {
            return Interval::ALL;
        }
        self.known.insert(name.into(), Interval::ALL);
        let interval = self.result(node, steps + 1);
        self.known.insert(name.into(), interval.clone());
        interval
    }

    /// The interval of input `position` of `node`.
    fn input(&mut self, node: &NodeProto, position: usize, steps: usize) -> Interval {
        node.input.get(position).map_or(Interval::ALL, |name| self.interval(name, steps))
    }

    /// All inputs of `node`, from `first` on, put together by `join`.
    fn fold(
        &mut self,
        node: &NodeProto,
        first: usize,
        steps: usize,
        join: impl Fn(Interval, Interval) -> Interval,
    ) -> Interval {
        let mut joined: Option<Interval> = None;
        for position in first..node.input.len() {
            let next = self.input(node, position, steps);
            joined = Some(match joined {
                Some(joined) => join(joined, next),
                None => next,
            });
        }
        joined.unwrap_or(Interval::ALL)
    }

    /// What the first output of `node` can be.
    fn result(&mut self, node: &NodeProto, steps: usize) -> Interval {
        let because = || NodeName::of(node).to_string();
        let between = |low, high| Interval::new(low, high, Some(because()));
        match node.op_type.as_str() {
            "Tanh" | "Sin" | "Cos" | "Erf" | "Softsign" => between(-1.0, 1.0),
            "Sigmoid" | "HardSigmoid" | "Softmax" | "Hardmax" => between(0.0, 1.0),
            "Relu" => self.input(node, 0, steps).within(0.0, f64::INFINITY, because),
            "Clip" => {
                let (low, high) = self.clip_bounds(node);
                self.input(node, 0, steps).within(low, high, because)
            }
            "Identity" | "Reshape" | "Flatten" | "Transpose" | "Squeeze" | "Unsqueeze"
            | "DepthToSpace" | "SpaceToDepth" | "Slice" | "Expand" | "Tile" | "Gather"
            | "Split" | "MaxPool" | "GlobalAveragePool" | "GlobalMaxPool" | "ReduceMean"
            | "ReduceMax" | "ReduceMin" | "CastLike" => self.input(node, 0, steps),
            // Padding may count as zeros.
            "AveragePool" => self.input(node, 0, steps).hull(Interval::new(0.0, 0.0, None)),
            "Pad" => self.pad(node, steps),
            "Resize" | "Upsample" if is_convex(node) => self.input(node, 0, steps),
            "Cast" => {
                let to = int_attribute(node, "to").and_then(|to| i32::try_from(to).ok());
                self.input(node, 0, steps).cast(Element::from_onnx(to.unwrap_or(0)), because)
            }
            "Floor" => self.input(node, 0, steps).map(f64::floor),
            "Ceil" => self.input(node, 0, steps).map(f64::ceil),
            "Round" => self.input(node, 0, steps).map(f64::round_ties_even),
            "Neg" => self.input(node, 0, steps).negate(),
            "Add" | "Sum" => self.fold(node, 0, steps, Interval::add),
            "Sub" => {
                let right = self.input(node, 1, steps).negate();
                self.input(node, 0, steps).add(right)
            }
            "Mul" => self.fold(node, 0, steps, Interval::multiply),
            "Div" => {
                let right = self.input(node, 1, steps);
                self.input(node, 0, steps).divide(right)
            }
            "Concat" => self.fold(node, 0, steps, Interval::hull),
            "Where" => self.fold(node, 1, steps, Interval::hull),
            "Max" => self.fold(node, 0, steps, |a, b| {
                Interval::new(a.low.max(b.low), a.high.max(b.high), a.because.or(b.because))
            }),
            "Min" => self.fold(node, 0, steps, |a, b| {
                Interval::new(a.low.min(b.low), a.high.min(b.high), a.because.or(b.because))
            }),
            _ => Interval::ALL,
        }
    }

    /// The bounds of a Clip: inputs since operator set 11, attributes before.
    fn clip_bounds(&self, node: &NodeProto) -> (f64, f64) {
        let bound = |position, name| {
            let input = self.bodies.input(0, node, position).and_then(|bound| bound.scalar());
            input.or_else(|| attribute(node, name).and_then(|bound| bound.f).map(f64::from))
        };
        (bound(1, "min").unwrap_or(f64::NEG_INFINITY), bound(2, "max").unwrap_or(f64::INFINITY))
    }

    fn pad(&mut self, node: &NodeProto, steps: usize) -> Interval {
        let inner = self.input(node, 0, steps);
        let mode = attribute(node, "mode").and_then(|mode| mode.s.clone());
        if mode.is_some_and(|mode| mode != "constant") {
            return inner;
        }
        let fill = match (node.input.get(2), attribute(node, "value").and_then(|value| value.f)) {
            (Some(name), _) if !name.is_empty() => self.interval(name, steps),
            (_, Some(value)) => Interval::new(value.into(), value.into(), None),
            _ => Interval::new(0.0, 0.0, None),
        };
        inner.hull(fill)
    }
}

/// Whether each pixel of a resized image is an average of old ones: all modes but cubic, and the
/// crop that fills in a value of its own.
fn is_convex(node: &NodeProto) -> bool {
    let text = |name| attribute(node, name).and_then(|text| text.s.as_deref());
    text("mode").is_none_or(|mode| mode == b"nearest" || mode == b"linear" || mode == b"bilinear")
        && text("coordinate_transformation_mode").is_none_or(|mode| mode != b"tf_crop_and_resize")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::build::{self, floats, int, node, node_with};
    use crate::graph::proto::{AttributeProto, TensorProto};

    fn scalar(name: &str, value: f32) -> TensorProto {
        floats(name, &[], &[value])
    }

    /// The range of `image` (of type `element`), as `low high because`.
    fn range(element: i32, nodes: Vec<NodeProto>, constants: &[TensorProto]) -> String {
        let model = build::model(nodes, constants.to_vec());
        let output = ValueInfo::from_proto(&build::value("image", element, &[]));
        output_range(&model, &output)
            .map_or("none".into(), |r| format!("{} {} {}", r.low, r.high, r.because))
    }

    #[test]
    fn activations_bound_and_scaling_follows() {
        let tanh = || node("Tanh", &["z"], &["t"]);
        assert_eq!(range(1, vec![node("Tanh", &["z"], &["image"])], &[]), "-1 1 Tanh `Tanh_image`");
        let sigmoid =
            vec![node("Sigmoid", &["z"], &["s"]), node("Reshape", &["s", "k"], &["image"])];
        assert_eq!(range(1, sigmoid, &[]), "0 1 Sigmoid `Sigmoid_s`");
        let bytes =
            vec![tanh(), node("Mul", &["t", "k"], &["m"]), node("Add", &["k", "m"], &["image"])];
        assert_eq!(range(1, bytes, &[scalar("k", 127.5)]), "0 255 Tanh `Tanh_t`");
        let unit = vec![
            tanh(),
            node("Add", &["t", "one"], &["a"]),
            node("Div", &["a", "two"], &["image"]),
        ];
        let constants = [scalar("one", 1.0), scalar("two", 2.0)];
        assert_eq!(range(1, unit, &constants), "0 1 Tanh `Tanh_t`");
        let flipped = vec![tanh(), node("Sub", &["one", "t"], &["image"])];
        assert_eq!(range(1, flipped, &constants), "0 2 Tanh `Tanh_t`");
    }

    #[test]
    fn a_clip_bounds_what_is_unknown() {
        let conv = || node("Conv", &["z", "w"], &["c"]);
        let constants = [scalar("zero", 0.0), scalar("one", 1.0)];
        let clip = vec![conv(), node("Clip", &["c", "zero", "one"], &["image"])];
        assert_eq!(range(1, clip, &constants), "0 1 Clip `Clip_image`");
        let half = vec![conv(), node("Clip", &["c", "zero"], &["image"])];
        assert_eq!(range(1, half, &constants), "none");
        let float =
            |name: &str, f| AttributeProto { name: name.into(), f: Some(f), ..Default::default() };
        let old = node_with("Clip", &["z"], &["image"], &[float("min", -1.0), float("max", 1.0)]);
        assert_eq!(range(1, vec![old], &[]), "-1 1 Clip `Clip_image`");
        let relu =
            vec![conv(), node("Relu", &["c"], &["r"]), node("Min", &["r", "one"], &["image"])];
        assert_eq!(range(1, relu, &constants), "0 1 Relu `Relu_r`");
    }

    #[test]
    fn bytes_are_bytes() {
        let cast = || node_with("Cast", &["x"], &["image"], &[int("to", 2)]);
        let unknown = vec![node("Conv", &["z"], &["x"]), cast()];
        assert_eq!(range(2, unknown, &[]), "0 255 Cast `Cast_image`");
        let scaled =
            vec![node("Sigmoid", &["z"], &["s"]), node("Mul", &["s", "k"], &["x"]), cast()];
        assert_eq!(range(2, scaled, &[scalar("k", 255.0)]), "0 255 Sigmoid `Sigmoid_s`");
        assert_eq!(range(2, vec![node("Odd", &["z"], &["image"])], &[]), "0 255 element type u8");
    }

    #[test]
    fn what_is_not_understood_is_no_range() {
        assert_eq!(range(1, vec![node("Conv", &["z", "w"], &["image"])], &[]), "none");
        assert_eq!(range(1, vec![], &[]), "none");
        let cubic =
            AttributeProto { name: "mode".into(), s: Some("cubic".into()), ..Default::default() };
        let resize =
            vec![node("Tanh", &["z"], &["t"]), node_with("Resize", &["t"], &["image"], &[cubic])];
        assert_eq!(range(1, resize, &[]), "none");
        let by_zero = vec![node("Tanh", &["z"], &["t"]), node("Div", &["t", "t"], &["image"])];
        assert_eq!(range(1, by_zero, &[]), "none");
        let foreign = NodeProto { domain: "mine".into(), ..node("Tanh", &["z"], &["image"]) };
        assert_eq!(range(1, vec![foreign], &[]), "none");
    }

    #[test]
    fn rings_and_long_chains_end() {
        let ring = vec![node("Relu", &["b"], &["image"]), node("Relu", &["image"], &["b"])];
        assert_eq!(range(1, ring, &[]), "none");
        // Each value twice the one before: 2^n paths unless each is looked at once.
        let names: Vec<String> = (0..10_000).map(|i| format!("v{i}")).collect();
        let mut chain: Vec<_> =
            names.windows(2).map(|w| node("Add", &[&w[0], &w[0]], &[&w[1]])).collect();
        chain.push(node("Add", &["v9999", "v9999"], &["image"]));
        assert_eq!(range(1, chain, &[]), "none");
    }
}
