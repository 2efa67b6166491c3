//! The epilogue: value range, clamp, rounding, element type and layout of delivered bytes, as the
//! last nodes of the graph, so that the provider writes final bytes.
//!
//! The nodes do what [`Delivery`](crate::view::Delivery) does, operation by operation in `f32`:
//! `floor(clip(x scale + bias, 0, 255))`. Two things are there so that a provider may not do it
//! otherwise:
//!
//! - A `Clip` stands between product and sum. Its bounds are outside of what matters, but a product
//!   that is clipped cannot be contracted with the sum into one fused operation, which
//!   would round once where `Delivery` rounds twice.
//! - A `Floor` stands before the `Cast`, because providers do not agree whether a cast to integers
//!   cuts off or rounds. After it there is nothing left to round.
//!
//! An image must be finite, which bytes no longer show. So the graph gets another output, one
//! float an image: the sum of its values times 2⁻⁶⁴. A NaN or an infinity among the values makes
//! the sum one, whatever the others are. Finite values cannot: the largest float times 2⁻⁶⁴ is
//! below 2⁶⁴, and an image has less than 2³² of them. That `x` has two readers also keeps a
//! runtime from folding the product into the convolution before it.

use super::Model;
use super::draft::Draft;
use super::proto::{
    AttributeProto, Dimension, DimensionValue, NodeProto, TensorShapeProto, TensorType, TypeProto,
    TypeValue, ValueInfoProto,
};
use crate::error::{Error, Kind, Result};

/// The operator set in which the nodes are written: `ReduceSum` takes its axes as an input.
const OPSET: i64 = 13;
/// 2⁻⁶⁴.
const SHRINK: f32 = f32::from_bits((127 - 64) << 23);

const FLOAT: i32 = 1;
const BYTE: i32 = 2;

/// What the last nodes shall do.
#[derive(Debug, Clone, PartialEq)]
pub struct Epilogue {
    /// The image output: floats, with a batch dimension.
    pub output: String,
    /// Channels, height and width.
    pub image: [usize; 3],
    /// Whether the output has the channels of a pixel together.
    pub interleaved: bool,
    /// Whether the bytes shall have them so.
    pub interleave: bool,
    /// The byte of `x` is `floor(x * scale + bias)`, clamped.
    pub scale: f32,
    /// See `scale`.
    pub bias: f32,
}

/// The outputs of a graph with an epilogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    /// `u8`, `[N, C, H, W]` or `[N, H, W, C]`.
    pub bytes: String,
    /// `f32`, `[N]`: finite where all values of the image are.
    pub sums: String,
}

impl Model {
    /// Whether an epilogue can be written in the operators of this model.
    #[must_use]
    pub fn can_deliver(&self) -> bool {
        self.external_files().is_empty() && self.opset().is_some_and(|opset| opset >= OPSET)
    }

    /// This model with `epilogue` after its image output, which is no output any more.
    ///
    /// # Errors
    /// [`Kind::Model`] if it has no such output or cannot be edited.
    pub fn with_epilogue(&self, epilogue: &Epilogue) -> Result<(Self, Delivered)> {
        let fail = |message: String| Error::new(Kind::Model, message).at(self.name());
        if !self.can_deliver() {
            return Err(fail(format!(
                "an epilogue needs a model in one file and opset {OPSET} or later"
            )));
        }
        let Epilogue { output, image: [channels, height, width], .. } = epilogue;
        let mut draft = Draft::of(self);
        let outputs = &draft.graph().output;
        let Some(place) = outputs.iter().position(|value| value.name == *output) else {
            return Err(fail(format!("the model has no output `{output}`")));
        };
        let rows = rows(&outputs[place]);
        let mut last = Nodes { draft: &mut draft, stem: output.clone() };
        let single = last.node("Cast", &[output], vec![int("to", FLOAT.into())]);

        let shrunk = last.with_scalars("Mul", &single, &[SHRINK]);
        // With or without an image's own dimensions: all but the first.
        let flat = last.node("Flatten", &[&shrunk], vec![int("axis", 1)]);
        let axis = last.integers(&[1]);
        let sums = last.node("ReduceSum", &[&flat, &axis], vec![int("keepdims", 0)]);

        let scaled = last.with_scalars("Mul", &single, &[epilogue.scale]);
        // Whatever is beyond stays beyond 0 or 255 with the bias added.
        let far = 4.0 * (epilogue.bias.abs() + 256.0);
        let near = last.with_scalars("Clip", &scaled, &[-far, far]);
        let moved = last.with_scalars("Add", &near, &[epilogue.bias]);
        let level = last.with_scalars("Clip", &moved, &[0.0, 255.0]);
        let level = last.node("Floor", &[&level], Vec::new());
        let bytes = last.node("Cast", &[&level], vec![int("to", BYTE.into())]);
        let (planes, pixels) = ([*channels, *height, *width], [*height, *width, *channels]);
        let whole = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        let shaped = |inner: [usize; 3]| inner.map(whole);
        let from = if epilogue.interleaved { pixels } else { planes };
        let to = if epilogue.interleave { pixels } else { planes };
        let [a, b, c] = shaped(from);
        // A flat output becomes an image here; for others this changes nothing.
        let shape = last.integers(&[-1, a, b, c]);
        let mut bytes = last.node("Reshape", &[&bytes, &shape], Vec::new());
        if epilogue.interleaved != epilogue.interleave {
            let order = if epilogue.interleave { [0, 2, 3, 1] } else { [0, 3, 1, 2] };
            bytes = last.node("Transpose", &[&bytes], vec![ints("perm", &order)]);
        }
        let image: Vec<Dimension> =
            std::iter::once(rows.clone()).chain(shaped(to).map(fixed)).collect();
        draft
            .graph_mut()
            .output
            .splice(place..=place, [value(&bytes, BYTE, image), value(&sums, FLOAT, vec![rows])]);
        Ok((draft.finish()?, Delivered { bytes, sums }))
    }
}

/// Appends nodes whose tensors are named after the image.
struct Nodes<'d> {
    draft: &'d mut Draft,
    stem: String,
}

impl Nodes<'_> {
    /// A node with one output, whose name it gives.
    fn node(&mut self, operator: &str, inputs: &[&str], attribute: Vec<AttributeProto>) -> String {
        let output = self.draft.fresh(&format!("{}_{}", self.stem, operator.to_lowercase()));
        let node = NodeProto {
            name: output.clone(),
            op_type: operator.into(),
            input: inputs.iter().map(|name| (*name).to_owned()).collect(),
            output: vec![output.clone()],
            attribute,
            ..Default::default()
        };
        self.draft.graph_mut().node.push(node);
        output
    }

    /// A node of a tensor and constants.
    fn with_scalars(&mut self, operator: &str, tensor: &str, scalars: &[f32]) -> String {
        let stem = format!("{}_{}", self.stem, operator.to_lowercase());
        let constants: Vec<_> =
            scalars.iter().map(|x| self.draft.add_floats(&stem, &[], &[*x])).collect();
        let inputs: Vec<_> =
            std::iter::once(tensor).chain(constants.iter().map(String::as_str)).collect();
        self.node(operator, &inputs, Vec::new())
    }

    fn integers(&mut self, values: &[i64]) -> String {
        let stem = format!("{}_shape", self.stem);
        self.draft.add_ints(&stem, values)
    }
}

fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto { name: name.into(), i: Some(value), r#type: 2, ..Default::default() }
}

fn ints(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto { name: name.into(), ints: values.to_vec(), r#type: 7, ..Default::default() }
}

fn fixed(size: i64) -> Dimension {
    Dimension { value: Some(DimensionValue::Value(size)), ..Default::default() }
}

/// The first dimension of an output; open if the file does not say.
fn rows(output: &ValueInfoProto) -> Dimension {
    let tensor = match output.r#type.as_ref().and_then(|kind| kind.value.as_ref()) {
        Some(TypeValue::Tensor(tensor)) => tensor.shape.as_ref(),
        _ => None,
    };
    tensor.and_then(|shape| shape.dim.first()).cloned().unwrap_or_default()
}

fn value(name: &str, elem_type: i32, dim: Vec<Dimension>) -> ValueInfoProto {
    let tensor = TensorType { elem_type, shape: Some(TensorShapeProto { dim }) };
    ValueInfoProto {
        name: name.into(),
        r#type: Some(TypeProto { value: Some(TypeValue::Tensor(tensor)), ..Default::default() }),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::build;

    fn epilogue(interleave: bool) -> Epilogue {
        Epilogue {
            output: "image".into(),
            image: [3, 4, 4],
            interleaved: false,
            interleave,
            scale: 127.5,
            bias: 128.0,
        }
    }

    #[test]
    fn bytes_and_sums_take_the_place_of_the_image() {
        let model = build::read(&build::small()).unwrap();
        for (interleave, shape) in [(false, "[batch, 3, 4, 4]"), (true, "[batch, 4, 4, 3]")] {
            let (edited, delivered) = model.with_epilogue(&epilogue(interleave)).unwrap();
            let outputs: Vec<_> = edited.outputs().iter().map(ToString::to_string).collect();
            assert_eq!(
                outputs,
                [
                    format!("{}: u8 {shape}", delivered.bytes),
                    format!("{}: f32 [batch]", delivered.sums),
                ]
            );
        }
    }

    #[test]
    fn the_largest_image_of_finite_values_has_a_finite_sum() {
        let most = f64::from(f32::MAX) * f64::from(SHRINK) * 2.0_f64.powi(32);
        assert!(most < f64::from(f32::MAX) && SHRINK == 2.0_f32.powi(-64));
    }

    #[test]
    fn an_old_operator_set_and_a_missing_output_are_refused() {
        let model = build::read(&build::small()).unwrap();
        let other = Epilogue { output: "picture".into(), ..epilogue(false) };
        let error = model.with_epilogue(&other).unwrap_err().to_string();
        assert!(error.contains("no output `picture`"), "{error}");
        let mut old = build::small();
        old.opset_import[0].version = 12;
        let error = build::read(&old).unwrap().with_epilogue(&epilogue(false)).unwrap_err();
        assert!(error.to_string().contains("opset 13"), "{error}");
    }
}
