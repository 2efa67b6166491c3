//! A model with one of its inputs as a constant.

use super::Model;
use super::draft::Draft;
use super::proto::TensorProto;
use crate::error::{Error, Kind, Result};

impl Model {
    /// This model with the input `name` as an initializer of shape `dims`, whose elements have the
    /// input's type and are given as little-endian bytes. What depends on constants alone, the
    /// runtime computes once when it loads the model.
    ///
    /// # Errors
    /// [`Kind::Model`] if there is no such input, the bytes do not fit, or the model cannot be
    /// edited.
    pub fn with_constant_input(&self, name: &str, dims: &[usize], bytes: Vec<u8>) -> Result<Self> {
        let fail = |message: String| Error::new(Kind::Model, message).at(self.name());
        let Some(input) = self.inputs().iter().find(|input| input.name == name) else {
            return Err(fail(format!("the model has no input `{name}`")));
        };
        if !self.external_files().is_empty() {
            return Err(fail("a model with weights in other files cannot be edited".into()));
        }
        let elements: usize = dims.iter().product();
        if input.element.size_of().and_then(|size| size.checked_mul(elements)) != Some(bytes.len())
        {
            let (element, n) = (input.element, bytes.len());
            return Err(fail(format!("{n} bytes are no {element} {dims:?} for input `{name}`")));
        }
        let mut draft = Draft::of(self);
        let graph = draft.graph_mut();
        let data_type = graph.input.iter().find(|value| value.name == name).and_then(|value| {
            match value.r#type.as_ref()?.value.as_ref()? {
                super::proto::TypeValue::Tensor(tensor) => Some(tensor.elem_type),
                _ => None,
            }
        });
        graph.input.retain(|value| value.name != name);
        graph.initializer.push(TensorProto {
            name: name.to_owned(),
            dims: dims.iter().map(|dim| i64::try_from(*dim).unwrap_or(i64::MAX)).collect(),
            data_type: data_type.unwrap_or_default(),
            raw_data: Some(bytes.into()),
            ..Default::default()
        });
        draft.finish()
    }
}

#[cfg(test)]
mod tests {
    use crate::graph::build;

    #[test]
    fn an_input_becomes_a_constant() {
        let mut proto = build::small();
        proto.graph.as_mut().unwrap().input.push(build::value("y", 1, &["batch", "2"]));
        let model = build::read(&proto).unwrap();
        let fixed = model.with_constant_input("y", &[3, 2], vec![0; 24]).unwrap();
        let names: Vec<_> = fixed.inputs().iter().map(|input| input.name.as_str()).collect();
        assert_eq!((names, fixed.parameters()), (vec!["z"], model.parameters() + 6));
        for (name, bytes) in [("x", 24), ("y", 23)] {
            assert!(model.with_constant_input(name, &[3, 2], vec![0; bytes]).is_err());
        }
    }
}
