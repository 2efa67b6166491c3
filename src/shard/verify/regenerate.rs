//! Samples that are made anew, and compared with those stored.

use super::difference::{Difference, Sums};
use super::{Faults, Scratch, Verify};
use crate::error::Result;
use crate::load::Dataset;
use crate::shard::{GroupForm, Manifest, Records as _, Shards};

/// Makes samples anew by `dataset`, one session and one after the other, and compares.
pub(super) fn compare(
    verify: &Verify,
    shards: &Shards,
    dataset: &Dataset,
    faults: &Faults,
) -> Result<Difference> {
    let manifest = shards.manifest();
    let exact = is_exact(manifest, dataset);
    let (mut sums, mut scratch, mut samples) = (Sums::default(), Scratch::default(), 0);
    for index in chosen(verify, manifest) {
        verify.stop.check()?;
        let (at, position) = shards.at(index)?;
        let name = &manifest.shards[at].name;
        // What cannot be read is a fault that was found before.
        let Ok(reader) = shards.shard(at) else { continue };
        if scratch.decode(reader, position, manifest).is_err() {
            continue;
        }
        let batch = dataset.get(index)?;
        let label = batch.labels().map(|labels| labels[0]);
        if shards.label(index)? != label {
            faults.add(index, name, Some(index), "has another label than the sample made anew");
        }
        if let (Some([views, numbers]), Some(latents)) = (manifest.form.latents, batch.latents()) {
            scratch.latents.resize(views * numbers, 0.0);
            reader.latents(position, &mut scratch.latents)?;
            let same = |(a, b): (&f32, &f32)| a.to_bits() == b.to_bits();
            if latents.len() != scratch.latents.len()
                || !scratch.latents.iter().zip(latents.iter()).all(same)
            {
                faults.add(index, name, Some(index), "has other latents than the sample made anew");
            }
        }
        let mut stored = &scratch.images[..];
        let mut equal = true;
        for (GroupForm { views, form, .. }, images) in
            manifest.form.groups.iter().zip(batch.groups())
        {
            for view in 0..*views {
                let (picture, rest) = stored.split_at(form.checked_len().unwrap_or(0));
                stored = rest;
                equal &= sums.add(form.dtype, picture, images.view_bytes(0, view));
            }
        }
        if exact && !equal {
            faults.add(index, name, Some(index), "differs from the sample made anew");
        }
        samples += 1;
    }
    Ok(sums.end(samples, exact))
}

/// Whether what is made anew has to be the same bytes.
fn is_exact(manifest: &Manifest, dataset: &Dataset) -> bool {
    let provenance = &manifest.provenance;
    let Ok(generated) = dataset.generated() else { return false };
    manifest.form.encoding.is_lossless()
        && provenance.runtime == generated.runtime().version()
        && provenance.providers == generated.providers()
        && provenance.rewrites == generated.rewrites()
}

/// Samples to look at: one from each of as many equal parts, drawn by the seed.
fn chosen(verify: &Verify, manifest: &Manifest) -> impl Iterator<Item = u64> {
    let (start, len) = (manifest.samples.start, manifest.samples.end - manifest.samples.start);
    let (seed, count) = (verify.seed, verify.regenerate.min(len));
    (0..count).map(move |part| {
        let at = |part: u64| {
            u64::try_from(u128::from(len) * u128::from(part) / u128::from(count)).unwrap_or(len)
        };
        let mut hasher = blake3::Hasher::new();
        hasher.update(&seed.to_le_bytes()).update(&part.to_le_bytes());
        let mut word = [0; 8];
        hasher.finalize_xof().fill(&mut word);
        let (from, to) = (at(part), at(part + 1));
        start + from + u64::from_le_bytes(word) % (to - from)
    })
}
