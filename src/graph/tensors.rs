//! Every tensor of a model, to be changed where it is.

use super::proto::{GraphProto, ModelProto, NodeProto, TensorProto};
use crate::error::Result;

/// Where a tensor is in a model: runtimes take weights from files for initializers of graphs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Home {
    /// An initializer of the main graph.
    Main,
    /// Anywhere else.
    Inner,
}

/// Shows `visit` every tensor of the model. Graphs nest no deeper than messages may.
pub(super) fn each_tensor(
    model: &mut ModelProto,
    visit: &mut dyn FnMut(&mut TensorProto, Home) -> Result<()>,
) -> Result<()> {
    if let Some(graph) = &mut model.graph {
        for tensor in &mut graph.initializer {
            visit(tensor, Home::Main)?;
        }
        let mut inner = |tensor: &mut TensorProto| visit(tensor, Home::Inner);
        each_in_nodes(&mut graph.node, &mut inner)?;
        each_sparse(graph, &mut inner)?;
    }
    let mut inner = |tensor: &mut TensorProto| visit(tensor, Home::Inner);
    for function in &mut model.functions {
        each_in_nodes(&mut function.node, &mut inner)?;
    }
    Ok(())
}

fn each_in_nodes(
    nodes: &mut [NodeProto],
    visit: &mut dyn FnMut(&mut TensorProto) -> Result<()>,
) -> Result<()> {
    for attribute in nodes.iter_mut().flat_map(|node| &mut node.attribute) {
        for tensor in attribute.t.iter_mut().chain(&mut attribute.tensors) {
            visit(tensor)?;
        }
        for graph in attribute.g.iter_mut().chain(&mut attribute.graphs) {
            for tensor in &mut graph.initializer {
                visit(tensor)?;
            }
            each_in_nodes(&mut graph.node, visit)?;
            each_sparse(graph, visit)?;
        }
    }
    Ok(())
}

fn each_sparse(
    graph: &mut GraphProto,
    visit: &mut dyn FnMut(&mut TensorProto) -> Result<()>,
) -> Result<()> {
    for sparse in &mut graph.sparse_initializer {
        for tensor in sparse.values.iter_mut().chain(&mut sparse.indices) {
            visit(tensor)?;
        }
    }
    Ok(())
}
