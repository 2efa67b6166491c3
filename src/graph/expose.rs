//! A model with one of its inner tensors as a further output.

use super::draft::Draft;
use super::proto::{TensorType, TypeProto, TypeValue, ValueInfoProto};
use super::{Element, Model};
use crate::error::{Error, Kind, Result};

/// How many names an error lists.
const NAMES: usize = 8;

impl Model {
    /// The tensors that the nodes of the main graph make, in order.
    #[must_use]
    pub fn tensors(&self) -> Vec<&str> {
        let nodes = self.proto().graph.iter().flat_map(|graph| &graph.node);
        let outputs = nodes.flat_map(|node| &node.output).map(String::as_str);
        outputs.filter(|name| !name.is_empty()).collect()
    }

    /// This model with the inner tensor `name` as its last output; this model if it is one.
    ///
    /// # Errors
    /// [`Kind::Model`] if no node makes such a tensor.
    pub fn with_output(&self, name: &str) -> Result<Self> {
        let tensors = self.tensors();
        if !tensors.contains(&name) {
            return Err(unknown(name, &tensors).at(self.name()));
        }
        // The runtime finds the shape; the type has to be said.
        let element = self.shapes(&[]).ok().and_then(|shapes| shapes.element(name));
        let elem_type = element.unwrap_or(Element::F32).to_onnx();
        let mut draft = Draft::of(self);
        let graph = draft.graph_mut();
        if graph.output.iter().all(|output| output.name != name) {
            let declared = graph.value_info.iter().find(|value| value.name == name);
            let output = declared.cloned().unwrap_or_else(|| ValueInfoProto {
                name: name.to_owned(),
                r#type: Some(TypeProto {
                    value: Some(TypeValue::Tensor(TensorType { elem_type, shape: None })),
                    ..Default::default()
                }),
                ..Default::default()
            });
            graph.output.push(output);
        }
        draft.finish()
    }
}

fn unknown(name: &str, tensors: &[&str]) -> Error {
    let mut near: Vec<&str> = tensors.to_vec();
    let score = |other: &str| strsim::jaro_winkler(name, other);
    near.sort_by(|a, b| score(b).total_cmp(&score(a)));
    near.truncate(NAMES);
    Error::new(Kind::Model, format!("no node makes a tensor `{name}`")).help(format!(
        "it has {} tensors, among them {}",
        tensors.len(),
        near.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use crate::graph::build;

    #[test]
    fn an_inner_tensor_becomes_an_output() {
        let model = build::read(&build::small()).unwrap();
        let edited = model.with_output("grid").unwrap();
        let names: Vec<_> = edited.outputs().iter().map(|o| o.name.as_str()).collect();
        assert_eq!(names, ["image", "grid"]);
        assert_eq!(model.with_output("image").unwrap().outputs().len(), 1);
    }

    #[test]
    fn an_unknown_tensor_is_refused_with_those_that_are_near() {
        let model = build::read(&build::small()).unwrap();
        let error = model.with_output("gird").unwrap_err().to_string();
        assert!(error.contains("no node makes a tensor `gird`"), "{error}");
        assert!(error.contains("3 tensors, among them grid"), "{error}");
    }
}
