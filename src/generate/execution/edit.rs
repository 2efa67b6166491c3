//! What can be done to a generator's graph, by name.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, Result};
use crate::graph::{Offer, Rewrite};

/// A kind of edit: a rewrite of nodes, or one that what the recipe says makes possible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
#[non_exhaustive]
pub enum Change {
    /// A rewrite of single nodes.
    Node(Rewrite),
    /// An input that the recipe gives the same value in every sample is a constant of the graph.
    FixedInputs,
    /// The graph ends in the bytes that are delivered.
    Epilogue,
}

/// The changes that are no rewrites of nodes.
const OTHERS: [(&str, Change, &str); 2] = [
    ("fixed-inputs", Change::FixedInputs, "inputs that never change as constants of the graph"),
    ("epilogue", Change::Epilogue, "value range, rounding, type and layout in the graph"),
];

impl Change {
    /// Every change with its name and what it does.
    pub fn all() -> impl Iterator<Item = (&'static str, Self, &'static str)> {
        let rewrites =
            Rewrite::ALL.iter().map(|(name, rewrite, does)| (*name, Self::Node(*rewrite), *does));
        rewrites.chain(OTHERS)
    }

    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::all().find(|(_, other, _)| *other == self).map_or("?", |(name, _, _)| name)
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Change {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::all().find(|(name, _, _)| *name == text).map(|(_, change, _)| change).ok_or_else(
            || {
                let known: Vec<_> = Self::all().map(|(name, _, _)| name).collect();
                Error::new(Kind::Argument, format!("unknown rewrite `{text}`"))
                    .help(format!("known: auto, none, {}", known.join(", ")))
            },
        )
    }
}

impl From<Change> for String {
    fn from(change: Change) -> Self {
        change.name().to_owned()
    }
}

impl TryFrom<String> for Change {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

/// A change at one place of a graph.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edit {
    /// What is done.
    pub rewrite: Change,
    /// Where: the first output of the node, the input, or the output.
    pub node: String,
}

impl Edit {
    /// Whether both are ways to do the same node, so that one excludes the other.
    #[must_use]
    pub fn excludes(&self, other: &Self) -> bool {
        let replaces = |edit: &Self| match edit.rewrite {
            Change::Node(rewrite) => rewrite.replaces(),
            Change::FixedInputs | Change::Epilogue => false,
        };
        self.node == other.node && replaces(self) && replaces(other)
    }

    /// The rewrite of a node that it is, if it is one.
    #[must_use]
    pub fn offer(&self) -> Option<Offer> {
        match self.rewrite {
            Change::Node(rewrite) => Some(Offer { rewrite, node: self.node.clone() }),
            Change::FixedInputs | Change::Epilogue => None,
        }
    }
}

impl From<Offer> for Edit {
    fn from(Offer { rewrite, node }: Offer) -> Self {
        Self { rewrite: Change::Node(rewrite), node }
    }
}

impl fmt::Display for Edit {
    /// As `phases@relu_1`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.rewrite, self.node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back_and_unknown_ones_list_the_known() {
        for (name, change, _) in Change::all() {
            assert_eq!(name.parse::<Change>().unwrap(), change);
            assert_eq!(change.name(), name);
        }
        let error = "fases".parse::<Change>().unwrap_err().to_string();
        assert!(error.contains("unknown rewrite `fases`"), "{error}");
        assert!(error.contains("phases") && error.contains("epilogue"), "{error}");
    }

    #[test]
    fn an_edit_is_json_with_its_name() {
        let edit = Edit { rewrite: Change::Epilogue, node: "image".into() };
        let text = serde_json::to_string(&edit).unwrap();
        assert_eq!(text, r#"{"rewrite":"epilogue","node":"image"}"#);
        assert_eq!(serde_json::from_str::<Edit>(&text).unwrap(), edit);
        assert!(serde_json::from_str::<Edit>(&text.replace("epilogue", "epilog")).is_err());
    }
}
