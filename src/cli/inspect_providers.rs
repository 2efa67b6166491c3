//! `genset inspect RECIPE --providers`: what runs where, node by node.

use std::fmt::Write as _;
use std::path::Path;

use serde::Serialize;

use super::common::{print, print_json};
use crate::error::Result;
use crate::load::{Dataset, Options};
use crate::runtime::Placement;

/// How many nodes a provider runs.
#[derive(Debug, Serialize, PartialEq)]
struct Share {
    provider: String,
    nodes: usize,
    /// Each operator with how many of the nodes are of it, the most frequent first.
    operators: Vec<(String, usize)>,
}

#[derive(Debug, Serialize)]
struct Document<'a> {
    runtime: &'a str,
    /// As asked for, in order of preference.
    asked: Vec<&'static str>,
    precision: &'static str,
    shares: Vec<Share>,
    /// Nodes that another provider was asked for and that the CPU runs.
    fallen_back: Vec<&'a Placement>,
    nodes: &'a [Placement],
}

/// Opens the recipe as a loader's worker would, and prints where its nodes went.
pub(super) fn run(recipe: &Path, options: Options, json: bool) -> Result<()> {
    let asked: Vec<_> = options.providers.iter().map(|provider| provider.name()).collect();
    let dataset = Dataset::open_with(recipe, options)?;
    let generated = dataset.generated()?;
    let nodes = generated.placements()?;
    let document = Document {
        runtime: generated.runtime().version(),
        precision: generated.recipe().generator.precision.name(),
        shares: shares(&nodes),
        fallen_back: fallen_back(&nodes, &asked),
        asked,
        nodes: &nodes,
    };
    if json { print_json(&document) } else { print(&table(&document)) }
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

fn fallen_back<'a>(nodes: &'a [Placement], asked: &[&str]) -> Vec<&'a Placement> {
    if asked.first().is_none_or(|first| *first == "cpu") {
        return Vec::new();
    }
    nodes.iter().filter(|node| node.provider == "cpu").collect()
}

fn table(document: &Document<'_>) -> String {
    let Document { runtime, asked, precision, shares, fallen_back, nodes } = document;
    let asked = if asked.is_empty() { "cpu".to_owned() } else { asked.join(", ") };
    let mut text =
        format!("ONNX Runtime {runtime}, {asked}, {precision}: {} nodes\n\n", nodes.len());
    for Share { provider, nodes, operators } in shares {
        let operators: Vec<_> =
            operators.iter().map(|(name, count)| format!("{count} {name}")).collect();
        let _ = writeln!(text, "  {provider:<14} {nodes:>5}   {}", operators.join(", "));
    }
    if asked == "cpu" {
        return text;
    }
    if fallen_back.is_empty() {
        text.push_str("\nno node fell back to the CPU\n");
        return text;
    }
    let _ = writeln!(text, "\nfell back to the CPU:\n");
    for Placement { node, operator, .. } in fallen_back {
        let _ = writeln!(text, "  {operator:<24} {node}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(node: &str, operator: &str, provider: &str) -> Placement {
        Placement { node: node.into(), operator: operator.into(), provider: provider.into() }
    }

    #[test]
    fn nodes_are_counted_and_what_fell_back_is_named() {
        let nodes = [
            placed("a", "Conv", "openvino"),
            placed("b", "Relu", "openvino"),
            placed("c", "Conv", "openvino"),
            placed("odd", "Gelu", "cpu"),
        ];
        let document = Document {
            runtime: "1.31.1",
            asked: vec!["openvino"],
            precision: "f32",
            shares: shares(&nodes),
            fallen_back: fallen_back(&nodes, &["openvino"]),
            nodes: &nodes,
        };
        assert_eq!(document.shares[0].operators, [("Conv".into(), 2), ("Relu".into(), 1)]);
        let text = table(&document);
        assert!(text.contains("openvino           3   2 Conv, 1 Relu"), "{text}");
        assert!(text.contains("fell back") && text.contains("odd"), "{text}");
        assert!(fallen_back_of_cpu(&nodes).is_empty());
    }

    fn fallen_back_of_cpu(nodes: &[Placement]) -> Vec<&Placement> {
        fallen_back(nodes, &["cpu"])
    }
}
