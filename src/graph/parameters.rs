//! The constants of a model by name: read, and given other values.

use std::collections::HashMap;

use super::constant::floats;
use super::draft::Draft;
use super::value::Element;
use super::{Model, external};
use crate::error::{Error, Kind, Result};

impl Model {
    /// The elements of the initializer `name`, row by row; `None` if there is none of that name
    /// and of `f32`.
    #[must_use]
    pub fn initializer(&self, name: &str) -> Option<Vec<f32>> {
        let graph = self.proto().graph.as_ref()?;
        let tensor = graph.initializer.iter().find(|tensor| tensor.name == name)?;
        if Element::from_onnx(tensor.data_type) != Element::F32 {
            return None;
        }
        floats(&*external::whole(tensor, self.path()).ok()?)
    }

    /// This model with other numbers in its initializers of `f32`, by name; the sizes stay.
    ///
    /// # Errors
    /// [`Kind::Argument`] for a name that it does not have, and for more or fewer numbers than it
    /// has there.
    pub fn with_initializers(&self, values: &HashMap<String, Vec<f32>>) -> Result<Self> {
        let wrong = |message: String| Error::new(Kind::Argument, message).at(self.name());
        let mut draft = Draft::of(self);
        let mut set = 0;
        for tensor in &mut draft.graph_mut().initializer {
            let Some(values) = values.get(&tensor.name) else { continue };
            let count: i64 = tensor.dims.iter().product();
            let is_float = Element::from_onnx(tensor.data_type) == Element::F32;
            if !is_float || count != values.len() as i64 {
                let (name, dims, given) = (&tensor.name, &tensor.dims, values.len());
                return Err(wrong(format!(
                    "initializer `{name}`, {dims:?}, cannot hold {given} f32"
                )));
            }
            let raw: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            tensor.raw_data = Some(raw.into());
            tensor.float_data.clear();
            tensor.external_data.clear();
            tensor.data_location = 0;
            set += 1;
        }
        if set != values.len() {
            let names: Vec<&str> =
                draft.graph().initializer.iter().map(|tensor| tensor.name.as_str()).collect();
            let unknown = values.keys().find(|name| !names.contains(&name.as_str()));
            let unknown = unknown.map_or("", String::as_str);
            return Err(wrong(format!("it has no initializer `{unknown}`")));
        }
        draft.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::build;

    #[test]
    fn initializers_are_read_and_replaced() {
        let model = build::read(&build::small()).unwrap();
        assert_eq!(model.initializer("weight").unwrap(), vec![0.5; 384]);
        assert!(model.initializer("shape").is_none(), "whole numbers");
        let values = HashMap::from([("weight".to_owned(), vec![2.0; 384])]);
        let changed = model.with_initializers(&values).unwrap();
        assert_eq!(changed.initializer("weight").unwrap(), vec![2.0; 384]);
        assert_eq!(changed.tensors(), model.tensors());
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let model = build::read(&build::small()).unwrap();
        for (name, count, part) in [
            ("weight", 3, "cannot hold 3 f32"),
            ("shape", 4, "cannot hold 4 f32"),
            ("weigth", 384, "no initializer `weigth`"),
        ] {
            let values = HashMap::from([(name.to_owned(), vec![0.0; count])]);
            let error = model.with_initializers(&values).unwrap_err();
            assert_eq!(error.kind(), Kind::Argument);
            assert!(error.to_string().contains(part), "{error}");
        }
    }
}
