//! Which edits are wanted: as asked for, by a profile, or by rule.

use std::fmt;
use std::str::FromStr;

use super::edit::{Change, Edit};
use super::offers::Offers;
use super::profile::Profile;
use super::rule;
use crate::error::{Error, Kind, Result};

/// Which edits of its graph a generator is executed with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Rewrites {
    /// Those of the profile that `genset tune` stored for this model on this machine; without one,
    /// those of a rule that is fixed for each provider.
    #[default]
    Auto,
    /// The graph as it was exported. Profiles are not looked at.
    None,
    /// These, wherever they fit. Of two for one node the earlier one is taken. Profiles are not
    /// looked at.
    Only(Vec<Asked>),
}

/// A change that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// What shall be done.
    pub rewrite: Change,
    /// Where; everywhere if `None`.
    pub node: Option<String>,
}

impl Rewrites {
    /// Exactly `edits`.
    #[must_use]
    pub fn exactly(edits: &[Edit]) -> Self {
        let asked = |edit: &Edit| Asked { rewrite: edit.rewrite, node: Some(edit.node.clone()) };
        match edits {
            [] => Self::None,
            edits => Self::Only(edits.iter().map(asked).collect()),
        }
    }
}

impl FromStr for Rewrites {
    type Err = Error;

    /// `auto`, `none`, or names with commas between them; `name@node` for one node only.
    fn from_str(text: &str) -> Result<Self> {
        let asked = |text: &str| {
            let (name, node) = match text.trim().split_once('@') {
                Some((name, node)) => (name, Some(node.to_owned())),
                None => (text.trim(), None),
            };
            Ok(Asked { rewrite: name.parse()?, node })
        };
        match text.trim() {
            "auto" => Ok(Self::Auto),
            "none" => Ok(Self::None),
            list => list.split(',').map(asked).collect::<Result<_>>().map(Self::Only),
        }
    }
}

impl fmt::Display for Rewrites {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::None => f.write_str("none"),
            Self::Only(asked) => {
                for (number, Asked { rewrite, node }) in asked.iter().enumerate() {
                    let comma = if number > 0 { "," } else { "" };
                    write!(f, "{comma}{rewrite}")?;
                    node.iter().try_for_each(|node| write!(f, "@{node}"))?;
                }
                Ok(())
            }
        }
    }
}

impl Offers {
    /// The edits to take of those that are offered.
    ///
    /// `profile` is what is stored for this model here, if anything is; `provider` the first of
    /// those that will run it.
    ///
    /// # Errors
    /// [`Kind::Argument`] if one that was asked for fits nowhere, or not there; [`Kind::State`] if
    /// the profile names one that does not fit.
    pub fn choose(
        &self,
        wanted: &Rewrites,
        profile: Option<&Profile>,
        provider: &str,
    ) -> Result<Vec<Edit>> {
        match (wanted, profile) {
            (Rewrites::None, _) => Ok(Vec::new()),
            (Rewrites::Only(asked), _) => self.asked(asked),
            (Rewrites::Auto, None) => Ok(rule::taken(self, provider)),
            (Rewrites::Auto, Some(profile)) => {
                match profile.rewrites.iter().find(|edit| !self.edits().contains(edit)) {
                    None => Ok(profile.rewrites.clone()),
                    Some(edit) => Err(profile.foreign(&format!("`{edit}` does not fit the model"))),
                }
            }
        }
    }

    fn asked(&self, asked: &[Asked]) -> Result<Vec<Edit>> {
        let mut taken: Vec<Edit> = Vec::new();
        for Asked { rewrite, node } in asked {
            let here = |edit: &&Edit| {
                edit.rewrite == *rewrite && node.as_ref().is_none_or(|node| edit.node == *node)
            };
            let fitting: Vec<_> = self.edits().iter().filter(here).collect();
            if fitting.is_empty() {
                return Err(self.unfit(*rewrite, node.as_deref()));
            }
            for edit in fitting.into_iter().flat_map(|edit| self.needs(edit).chain([edit])) {
                if !taken.iter().any(|other| other == edit || other.excludes(edit)) {
                    taken.push(edit.clone());
                }
            }
        }
        Ok(taken)
    }

    fn unfit(&self, rewrite: Change, node: Option<&str>) -> Error {
        let place = node.map_or_else(|| "nothing".to_owned(), |node| format!("not `{node}`"));
        let mut names: Vec<_> = self.edits().iter().map(|edit| edit.rewrite.name()).collect();
        names.dedup();
        names.sort_unstable();
        names.dedup();
        let help = match (rewrite, &names[..]) {
            (Change::FixedInputs, _) => "it needs an input that is the same in every sample: a \
                 constant, a truncation, or `only` one class"
                .to_owned(),
            (Change::Epilogue, _) => "it needs delivery as u8 without pixel operations, and a \
                 model of opset 13 or later that makes floats and has a batch dimension"
                .to_owned(),
            (_, []) => "nothing fits this model; use --rewrites none".to_owned(),
            (_, names) => format!("what fits: {}", names.join(", ")),
        };
        let message = format!("rewrite `{rewrite}` fits {place} in {}", self.model());
        Error::new(Kind::Argument, message).help(help)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_reads_back() {
        for text in ["auto", "none", "phases", "phases@relu_1,epilogue"] {
            assert_eq!(text.parse::<Rewrites>().unwrap().to_string(), text);
        }
        assert!("phases,,epilogue".parse::<Rewrites>().is_err());
        assert!("".parse::<Rewrites>().is_err());
    }

    #[test]
    fn exactly_nothing_is_none() {
        assert_eq!(Rewrites::exactly(&[]), Rewrites::None);
        let edit = Edit { rewrite: Change::Epilogue, node: "image".into() };
        assert_eq!(Rewrites::exactly(&[edit]).to_string(), "epilogue@image");
    }
}
