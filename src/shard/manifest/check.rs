//! Whether a manifest can be true, and whether two are of the same export.

use std::collections::HashSet;
use std::path::{Component, Path};

use super::{Manifest, Part};
use crate::error::{Error, Kind, Result, ResultExt};
use crate::generate::MAX_BLOCK_BYTES;
use crate::recipe::{MAX_CLASSES, MAX_SAMPLES, MAX_VIEWS};
use crate::shard::cut::Cut;
use crate::shard::{GroupForm, ShardForm};

/// Bytes of a name.
const MAX_NAME: usize = 255;
/// Bytes of one image.
const MAX_IMAGE_BYTES: usize = 1 << 32;
/// Numbers of the latents of a sample: those of a thousand views of 4x64x64 each.
const MAX_LATENTS: usize = 1 << 24;
/// Bytes of all shards together: more than any file system has.
const MAX_BYTES: u64 = 1 << 60;
/// Ranks of a world.
const MAX_WORLD: u64 = 1 << 16;

fn wrong(message: impl Into<String>) -> Error {
    Error::new(Kind::State, message)
}

pub(super) fn manifest(manifest: &Manifest) -> Result<()> {
    let Manifest { samples, samples_per_shard, part, .. } = manifest;
    if samples.is_empty() || samples.end > MAX_SAMPLES {
        return Err(wrong(format!("samples {}..{} cannot be", samples.start, samples.end)));
    }
    if let Some(Part { rank, world_size }) = part
        && (rank >= world_size || *world_size > MAX_WORLD)
    {
        return Err(wrong(format!("rank {rank} is not in a world of {world_size}")));
    }
    if *samples_per_shard == 0 {
        return Err(wrong("a shard must have at least one sample"));
    }
    form(&manifest.form)?;
    let cut = Cut::new(samples.clone(), *samples_per_shard)?;
    shards(manifest, &cut)
}

fn form(form: &ShardForm) -> Result<()> {
    let ShardForm { groups, classes, latents, .. } = form;
    let views = groups.iter().try_fold(0_usize, |sum, group| sum.checked_add(group.views));
    let all = views.filter(|views| (1..=MAX_VIEWS as usize).contains(views));
    if all.is_none() || groups.iter().any(|group| group.views == 0) {
        return Err(wrong(format!(
            "a sample has 1 to {MAX_VIEWS} views, in groups that have some"
        )));
    }
    for GroupForm { name, form, .. } in groups {
        let bytes = form.checked_len().filter(|len| (1..=MAX_IMAGE_BYTES).contains(len));
        if bytes.is_none() || !(1..=4).contains(&form.channels) {
            let [c, h, w] = form.planes();
            return Err(wrong(format!("images of {c} × {h} × {w} cannot be"))
                .at(format!("group \"{name}\"")));
        }
    }
    // What a loader has room for, and `verify` makes room for.
    let sample = groups.iter().try_fold(0_u64, |sum, GroupForm { views, form, .. }| {
        let bytes = u64::try_from(form.checked_len()?.checked_mul(*views)?).ok()?;
        sum.checked_add(bytes).filter(|sum| *sum <= MAX_BLOCK_BYTES)
    });
    if sample.is_none() {
        let gib = MAX_BLOCK_BYTES >> 30;
        return Err(wrong(format!("the images of a sample have more than {gib} GiB together")));
    }
    if classes.len() > MAX_CLASSES as usize || (!classes.is_empty() && !form.labels) {
        return Err(wrong(format!("{} classes cannot be", classes.len())));
    }
    if let Some([views, numbers]) = latents {
        let len = views.checked_mul(*numbers).filter(|len| (1..=MAX_LATENTS).contains(len));
        if len.is_none() || Some(*views) != all {
            return Err(wrong(format!("latents of {views} views × {numbers} cannot be")));
        }
    }
    Ok(())
}

/// Every shard is one that the samples are cut into, in order, under a name of its own.
fn shards(manifest: &Manifest, cut: &Cut) -> Result<()> {
    let mut names = HashSet::with_capacity(manifest.shards.len());
    let (mut next, mut bytes) = (manifest.samples.start, 0_u64);
    for shard in &manifest.shards {
        let here = || format!("shard \"{}\"", shard.name);
        name(&shard.name).at(here)?;
        if !names.insert(shard.name.as_str()) {
            return Err(wrong("is listed twice").at(here()));
        }
        let fits = manifest.samples.contains(&shard.first)
            && shard.first >= next
            && cut.samples_of(cut.number_of(shard.first)) == shard.samples();
        if !fits {
            return Err(wrong(format!(
                "has {} samples from {} on, where none such begins",
                shard.count, shard.first
            ))
            .at(here()));
        }
        next = shard.samples().end;
        let sum = bytes.checked_add(shard.bytes).filter(|sum| *sum <= MAX_BYTES);
        bytes = sum.ok_or_else(|| {
            wrong(format!("has {} bytes, more than shards may have together", shard.bytes))
                .at(here())
        })?;
    }
    Ok(())
}

/// A name of something in the folder itself, whatever the system calls a path.
fn name(name: &str) -> Result<()> {
    let mut parts = Path::new(name).components();
    let one = matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None));
    let foreign = name.contains(['/', '\\', ':', '\0']) || name.chars().any(char::is_control);
    if one && !foreign && !name.starts_with('.') && name.len() <= MAX_NAME {
        return Ok(());
    }
    Err(wrong("is not the name of a file in the folder"))
}

pub(super) fn difference(
    this: &Manifest,
    other: &Manifest,
) -> Option<(&'static str, String, String)> {
    let Manifest { form, provenance, .. } = this;
    let (form2, provenance2) = (&other.form, &other.provenance);
    let ranges = |m: &Manifest| format!("{}..{}", m.samples.start, m.samples.end);
    let of = |what: &'static str, a: &dyn ToString, b: &dyn ToString| {
        Some((what, a.to_string(), b.to_string())).filter(|(_, a, b)| a != b)
    };
    let debug = |what: &'static str, a: &dyn std::fmt::Debug, b: &dyn std::fmt::Debug| {
        of(what, &format!("{a:?}"), &format!("{b:?}"))
    };
    of("dataset", &this.dataset, &other.dataset)
        .or_else(|| of("name", &this.name, &other.name))
        .or_else(|| of("contents", &this.contents.name(), &other.contents.name()))
        .or_else(|| of("format", &this.format, &other.format))
        .or_else(|| of("encoding", &form.encoding, &form2.encoding))
        .or_else(|| of("samples a shard", &this.samples_per_shard, &other.samples_per_shard))
        .or_else(|| debug("latents", &form.latents, &form2.latents))
        .or_else(|| of("parameters", &form.parameters, &form2.parameters))
        .or_else(|| debug("classes", &form.classes, &form2.classes))
        .or_else(|| debug("form", form, form2))
        .or_else(|| of("genset version", &provenance.genset, &provenance2.genset))
        .or_else(|| of("ONNX Runtime version", &provenance.runtime, &provenance2.runtime))
        .or_else(|| debug("providers", &provenance.providers, &provenance2.providers))
        .or_else(|| {
            let list = |p: &super::Provenance| match &p.rewrites[..] {
                [] => "none".to_owned(),
                edits => edits.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
            };
            of("rewrites", &list(provenance), &list(provenance2))
        })
        .or_else(|| debug("provenance", provenance, provenance2))
        .or_else(|| of("first sample", &this.samples.start, &other.samples.start))
        .or_else(|| {
            (other.samples.end < this.samples.end).then(|| ("samples", ranges(this), ranges(other)))
        })
}
