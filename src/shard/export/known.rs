//! What a folder has already, and what is left for a rank to make.
//!
//! The manifest of the folder and those of its ranks each list shards that are whole. All of them
//! count, of whatever world, as long as they are of this export and their files are there. What is
//! missing in the folder's own manifest is dealt to the ranks, which makes the deal the same for all
//! of them whenever they start; of its part a rank leaves out what any manifest lists.

use std::collections::BTreeMap;
use std::path::Path;

use crate::error::{Error, Kind, Result, ResultExt};
use crate::shard::cut::{Cut, part};
use crate::shard::folder::{self, names};
use crate::shard::manifest::{MANIFEST, Manifest, Part, ShardEntry};

/// Shards by their numbers.
pub(super) type Known = BTreeMap<u64, ShardEntry>;

/// A rank's work in a folder.
#[derive(Debug)]
pub(super) struct Work {
    /// The manifest that the rank adds to: the folder's, if it is alone, or its own.
    pub own: Manifest,
    /// The shards that it is to make, in order.
    pub todo: Vec<u64>,
    /// The shards of its part that were there.
    pub resumed: usize,
}

impl Work {
    /// Looks at `folder`, which the caller has locked, for an export of `wanted`, and puts the first
    /// manifest there.
    ///
    /// # Errors
    /// [`Kind::State`] if the folder has something else, [`Kind::Io`].
    pub fn begin(folder: &Path, wanted: &Manifest, rank: Part) -> Result<Self> {
        let cut = wanted.cut();
        let (base, parts) = manifests(folder)?;
        if base.is_none() && parts.is_empty() {
            check_empty(folder)?;
        }
        for manifest in base.iter().chain(&parts) {
            let name = manifest.part.map_or_else(|| MANIFEST.to_owned(), Part::manifest);
            check_same(manifest, wanted).at(|| folder.join(name).display().to_string())?;
        }
        let settled = known(folder, &base, &cut);
        let mut known = known(folder, &parts, &cut);
        known.extend(settled.clone());
        let missing: Vec<u64> = cut.numbers().filter(|n| !settled.contains_key(n)).collect();
        let dealt = part(&missing, rank.rank, rank.world_size);
        let (there, todo): (Vec<u64>, Vec<u64>) =
            dealt.iter().partition(|number| known.contains_key(number));
        let alone = rank.world_size == 1;
        let own = Manifest {
            part: (!alone).then_some(rank),
            shards: match alone {
                true => known.into_values().collect(),
                false => there.iter().filter_map(|number| known.remove(number)).collect(),
            },
            ..wanted.clone()
        };
        let resumed = if alone { own.shards.len() } else { there.len() };
        let work = Self { own, todo, resumed };
        match &base {
            // Before another shard is written under its name, the last shard of a folder that grows
            // is no longer in it: it was short.
            Some(base) if !alone && !same_shards(base, wanted, &settled) => {
                let shards = settled.into_values().collect();
                Manifest { shards, ..wanted.clone() }.write(folder, rank)?;
            }
            Some(base) if alone && *base == work.own => return Ok(work),
            _ => {}
        }
        if !work.todo.is_empty()
            && let Some((list, _)) = wanted.format.list(wanted)?
        {
            // It would name shards that are not what they were.
            let path = folder.join(list);
            folder::remove(&path).map_err(|error| Error::io(&path, "remove", error))?;
        }
        if alone || !work.todo.is_empty() {
            work.own.write(folder, rank)?;
        }
        Ok(work)
    }

    /// Adds a shard that is whole, and says so in the folder.
    ///
    /// # Errors
    /// [`Kind::Io`].
    pub fn add(own: &mut Manifest, folder: &Path, shard: ShardEntry, rank: Part) -> Result<()> {
        let at = own.shards.partition_point(|other| other.first < shard.first);
        own.shards.insert(at, shard);
        own.write(folder, rank)
    }
}

/// Makes the manifest of the whole folder, if all of its shards are there, and removes those of
/// ranks. Any rank that ends may call it, several at once too: they write the same bytes. Gives the
/// manifest of what is there.
///
/// # Errors
/// [`Kind::State`], [`Kind::Io`].
pub(super) fn merge(folder: &Path, wanted: &Manifest, rank: Part) -> Result<Manifest> {
    let cut = wanted.cut();
    let (base, parts) = manifests(folder)?;
    let known = known(folder, base.iter().chain(&parts), &cut);
    let whole = Manifest { part: None, shards: known.into_values().collect(), ..wanted.clone() };
    if !whole.is_complete() {
        return Ok(whole);
    }
    write_list(folder, &whole, rank)?;
    if base.as_ref() != Some(&whole) {
        whole.write(folder, rank)?;
    }
    for part in parts.iter().filter_map(|manifest| manifest.part) {
        let path = folder.join(part.manifest());
        folder::remove(&path).map_err(|error| Error::io(&path, "remove", error))?;
    }
    Ok(whole)
}

/// Writes the list that other tools read a whole folder by, where the format has one.
fn write_list(folder: &Path, whole: &Manifest, rank: Part) -> Result<()> {
    let Some((name, text)) = whole.format.list(whole)? else { return Ok(()) };
    let there = std::fs::read(folder.join(name));
    if there.is_ok_and(|there| there == text.as_bytes()) {
        return Ok(());
    }
    folder::write(folder, name, rank, text.as_bytes())?;
    folder::sync(folder)
}

/// The manifests of the folder and of its ranks.
pub(crate) fn manifests(folder: &Path) -> Result<(Option<Manifest>, Vec<Manifest>)> {
    let mut parts = Vec::new();
    for name in names(folder)? {
        let Some(part) = Part::of_manifest(&name) else { continue };
        if let Some(manifest) = read(&folder.join(&name))? {
            if manifest.part != Some(part) {
                return Err(Error::new(Kind::State, "is the manifest of another rank")
                    .at(folder.join(name).display()));
            }
            parts.push(manifest);
        }
    }
    // Read last: whoever removes the parts has put all of them in here before.
    Ok((read(&folder.join(MANIFEST))?, parts))
}

/// A manifest, if there is one; another rank may just have removed it.
fn read(path: &Path) -> Result<Option<Manifest>> {
    match path.try_exists() {
        Ok(false) => Ok(None),
        _ => match Manifest::read(path) {
            Err(error) if error.kind() == Kind::Io && !path.exists() => Ok(None),
            read => read.map(Some),
        },
    }
}

/// The shards of some manifests that are usable; of several under one number, the first.
fn known<'m>(folder: &Path, manifests: impl IntoIterator<Item = &'m Manifest>, cut: &Cut) -> Known {
    let mut known = Known::new();
    for manifest in manifests {
        for (number, shard) in usable(folder, manifest, cut) {
            known.entry(number).or_insert(shard);
        }
    }
    known
}

/// The shards of a manifest that are among those wanted, and of which the file is there.
fn usable(folder: &Path, manifest: &Manifest, cut: &Cut) -> Known {
    let fits = |shard: &&ShardEntry| {
        let number = cut.number_of(shard.first);
        cut.numbers().contains(&number) && cut.samples_of(number) == shard.samples()
    };
    let there = |shard: &&ShardEntry| is_there(folder, shard);
    let shards = manifest.shards.iter().filter(fits).filter(there);
    shards.map(|shard| (cut.number_of(shard.first), shard.clone())).collect()
}

/// Whether a file of the shard's size has its name. What it holds is for `verify` to say.
fn is_there(folder: &Path, shard: &ShardEntry) -> bool {
    let metadata = std::fs::symlink_metadata(folder.join(&shard.name));
    metadata.is_ok_and(|found| found.is_file() && found.len() == shard.bytes)
}

fn check_same(there: &Manifest, wanted: &Manifest) -> Result<()> {
    let Some((what, there, wanted)) = there.difference(wanted) else { return Ok(()) };
    let help = match what {
        "samples" => "samples can only become more: give a larger --samples, or another folder",
        "genset version" | "ONNX Runtime version" | "providers" | "rewrites" => {
            "bytes may depend on it: go on with what the export was begun with, or give another \
             folder"
        }
        _ => "give another folder, or the settings that the export was begun with",
    };
    Err(Error::new(Kind::State, format!("the export there has {what} {there}, not {wanted}"))
        .help(help))
}

/// Whether the folder's manifest is for the samples that are wanted, and has the shards `usable`.
fn same_shards(base: &Manifest, wanted: &Manifest, usable: &Known) -> bool {
    base.samples == wanted.samples && base.shards.len() == usable.len()
}

/// A folder that has something, and no manifest, is not ours.
fn check_empty(folder: &Path) -> Result<()> {
    match names(folder)?.iter().find(|name| !name.starts_with('.')) {
        None => Ok(()),
        Some(name) => Err(Error::new(
            Kind::State,
            format!("{} has files, such as {name}, and no {MANIFEST}", folder.display()),
        )
        .help("give a new or an empty folder")),
    }
}
