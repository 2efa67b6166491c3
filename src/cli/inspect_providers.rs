//! `genset inspect RECIPE --providers`: what runs where, node by node.

use std::fmt::Write as _;
use std::path::Path;

use super::common::{print, print_json};
use crate::error::Result;
use crate::inspect::{Placements, Share, placement};
use crate::load::{Dataset, Options};
use crate::runtime::Placement;

/// Opens the recipe as a loader's worker would, and prints where its nodes went.
pub(super) fn run(recipe: &Path, options: Options, json: bool) -> Result<()> {
    let placements = placement(&Dataset::open_with(recipe, options)?)?;
    if json { print_json(&placements) } else { print(&table(&placements)) }
}

fn table(placements: &Placements) -> String {
    let Placements { runtime, asked, precision, shares, fallen_back, nodes } = placements;
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

    #[test]
    fn providers_have_their_operators_and_what_fell_back_is_named() {
        let odd = Placement { node: "odd".into(), operator: "Gelu".into(), provider: "cpu".into() };
        let placements = Placements {
            runtime: "1.31.1".into(),
            asked: vec!["openvino"],
            precision: "f32",
            shares: vec![Share {
                provider: "openvino".into(),
                nodes: 3,
                operators: vec![("Conv".into(), 2), ("Relu".into(), 1)],
            }],
            fallen_back: vec![odd.clone()],
            nodes: vec![odd],
        };
        let text = table(&placements);
        assert!(text.contains("openvino           3   2 Conv, 1 Relu"), "{text}");
        assert!(text.contains("fell back") && text.contains("odd"), "{text}");
    }
}
