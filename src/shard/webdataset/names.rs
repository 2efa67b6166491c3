//! Which members a sample of a shard has, and what they are called.

use std::collections::HashSet;

use super::KEY_DIGITS;
use crate::codec::Encoding;
use crate::error::{Error, Kind, Result};
use crate::shard::{GroupForm, ShardForm, npy};

/// Longest name of a group: a member's name fits its header, whatever the key.
const MAX_GROUP: usize = 48;

/// One member of every sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MemberForm {
    /// What follows the key, from the dot on.
    pub suffix: String,
    pub holds: Holds,
}

/// What a member holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Holds {
    /// One encoded picture, by its number in the sample.
    Picture(usize),
    /// The raw pictures of a group, behind this header.
    Pictures {
        first: usize,
        group: GroupForm,
        header: Vec<u8>,
    },
    Label,
    About,
    /// Behind this header.
    Latents(Vec<u8>),
}

/// What comes before the dot.
pub(super) fn key(index: u64) -> String {
    format!("{index:0KEY_DIGITS$}")
}

/// The members of a sample, in order.
///
/// # Errors
/// [`Kind::Argument`] for a group whose name no member can have, or two that would be one.
pub(super) fn members(form: &ShardForm) -> Result<Vec<MemberForm>> {
    let mut members = Vec::new();
    let mut add = |suffix: String, holds| members.push(MemberForm { suffix, holds });
    let mut first = 0;
    for group in &form.groups {
        let dot = if group.name.is_empty() { "" } else { "." };
        let stem = format!("{dot}{}", checked(&group.name)?);
        match form.encoding {
            Encoding::Raw => {
                let raw = &group.form;
                let axes = [&[group.views][..], &raw.axes()].concat();
                let header = npy::header(raw.dtype, &axes);
                let holds = Holds::Pictures { first, group: group.clone(), header };
                add(format!("{stem}.npy"), holds);
            }
            encoding => {
                let extension = encoding.extension();
                for view in 0..group.views {
                    let number = if group.views == 1 { String::new() } else { format!(".{view}") };
                    add(format!("{stem}{number}.{extension}"), Holds::Picture(first + view));
                }
            }
        }
        first += group.views;
    }
    if form.labels {
        add(".cls".into(), Holds::Label);
    }
    add(".json".into(), Holds::About);
    if let Some(shape) = form.latents {
        let header = npy::header(crate::recipe::Dtype::F32, &shape);
        add(".latent.npy".into(), Holds::Latents(header));
    }
    distinct(&members)?;
    Ok(members)
}

/// A group's name, if it can be part of a member's.
fn checked(name: &str) -> Result<&str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if name.len() <= MAX_GROUP && name.chars().all(plain) {
        return Ok(name);
    }
    Err(Error::new(
        Kind::Argument,
        format!("the group of views {name:?} cannot be part of a file's name"),
    )
    .help(format!("name it with at most {MAX_GROUP} letters, digits, `_` and `-`")))
}

/// Readers see names in lower case.
fn distinct(members: &[MemberForm]) -> Result<()> {
    let mut seen = HashSet::new();
    for MemberForm { suffix, .. } in members {
        if !seen.insert(suffix.to_lowercase()) {
            return Err(Error::new(
                Kind::Argument,
                format!("two members of a sample would be `KEY{suffix}`"),
            )
            .help("give the groups of views other names, that differ in more than case"));
        }
    }
    Ok(())
}
