//! What runs where, node by node.

use serde::Serialize;

use crate::error::Result;
use crate::load::Dataset;
use crate::runtime::Placement;

/// How many nodes a provider runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Share {
    /// Its name.
    pub provider: String,
    /// How many.
    pub nodes: usize,
    /// Each operator with how many of the nodes are of it, the most frequent first.
    pub operators: Vec<(String, usize)>,
}

/// Where the nodes of a generator's graph run.
#[derive(Debug, Clone, Serialize)]
pub struct Placements {
    /// The version of ONNX Runtime.
    pub runtime: String,
    /// Providers as asked for, in order of preference; none is the CPU.
    pub asked: Vec<&'static str>,
    /// As recipes name it.
    pub precision: &'static str,
    /// One for each provider that has nodes.
    pub shares: Vec<Share>,
    /// Nodes that another provider was asked for and that the CPU runs.
    pub fallen_back: Vec<Placement>,
    /// All of them, in the order of the graph as it is executed.
    pub nodes: Vec<Placement>,
}

/// Opens the generator of `dataset` as a loader's worker would, and says where its nodes went.
///
/// # Errors
/// Those of opening the generator.
pub fn placement(dataset: &Dataset) -> Result<Placements> {
    let generated = dataset.generated()?;
    let providers = &generated.options().providers;
    let asked: Vec<_> = providers.iter().map(|provider| provider.name()).collect();
    let runtime = generated.runtime().version();
    let precision = generated.recipe().generator.precision.name();
    Ok(Placements::new(runtime, asked, precision, generated.placements()?))
}

impl Placements {
    fn new(
        runtime: &str,
        asked: Vec<&'static str>,
        precision: &'static str,
        nodes: Vec<Placement>,
    ) -> Self {
        let shares = shares(&nodes);
        let fallen_back = fallen_back(&nodes, &asked);
        Self { runtime: runtime.to_owned(), asked, precision, shares, fallen_back, nodes }
    }
}

fn shares(nodes: &[Placement]) -> Vec<Share> {
    let count = |names: Vec<&str>| {
        let mut counts: Vec<(String, usize)> = Vec::new();
        for name in names {
            match counts.iter_mut().find(|(other, _)| other == name) {
                Some((_, count)) => *count += 1,
                None => counts.push((name.to_owned(), 1)),
            }
        }
        // Stable: equal ones stay in the order of the graph.
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        counts
    };
    count(nodes.iter().map(|node| node.provider.as_str()).collect())
        .into_iter()
        .map(|(provider, total)| {
            let own = nodes.iter().filter(|node| node.provider == provider);
            let operators = count(own.map(|node| node.operator.as_str()).collect());
            Share { provider, nodes: total, operators }
        })
        .collect()
}

fn fallen_back(nodes: &[Placement], asked: &[&str]) -> Vec<Placement> {
    if asked.first().is_none_or(|first| *first == "cpu") {
        return Vec::new();
    }
    nodes.iter().filter(|node| node.provider == "cpu").cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_counted_and_what_fell_back_is_named() {
        let placed = |node: &str, operator: &str, provider: &str| Placement {
            node: node.into(),
            operator: operator.into(),
            provider: provider.into(),
        };
        let nodes = vec![
            placed("a", "Conv", "openvino"),
            placed("b", "Relu", "openvino"),
            placed("c", "Conv", "openvino"),
            placed("odd", "Gelu", "cpu"),
        ];
        let of = |asked| Placements::new("1.31.1", asked, "f32", nodes.clone());
        let placements = of(vec!["openvino", "cpu"]);
        assert_eq!(placements.shares[0].operators, [("Conv".into(), 2), ("Relu".into(), 1)]);
        assert_eq!(placements.fallen_back, nodes[3..]);
        assert!(of(vec!["cpu"]).fallen_back.is_empty() && of(vec![]).fallen_back.is_empty());
    }
}
