//! Asks readers for everything that they have.

use std::hint::black_box;

use genset::shard::{Records, ShardForm, ShardReader};

/// Asks for everything in a shard of `form`.
pub fn shard(shard: &dyn ShardReader, form: &ShardForm) {
    let latents = form.latents.map_or(0, |[views, len]| views * len);
    let (mut latents, mut scratch) = (vec![0.0; latents], Vec::new());
    // A hostile shard may say that it has any number of samples.
    let len = shard.len();
    for position in (0..len.min(64)).chain([len.saturating_sub(1), len, u64::MAX]) {
        let _ = shard.index(position);
        let _ = shard.label(position);
        let _ = shard.latents(position, &mut latents);
        let _ = shard.show(position, &mut scratch, &mut |_, picture| {
            touch(picture.bytes);
            Ok(())
        });
    }
    for group in 0..=form.groups.len() {
        for positions in [0..len, 0..len.min(1), 1..len.min(3), len..len, 0..u64::MAX] {
            if let Ok(Some(bytes)) = shard.run(positions.clone(), group) {
                touch(bytes);
            }
            if let Ok(Some(bytes)) = shard.mapped(positions, group) {
                touch(&bytes);
            }
        }
    }
}

/// Asks for everything in a collection of samples.
pub fn records(records: &dyn Records) {
    let samples = records.samples();
    let latents = records.latent_len().saturating_mul(records.pictures());
    let (mut latents, mut scratch) = (vec![0.0; latents.min(1 << 16)], Vec::new());
    let first = samples.clone().take(64);
    for index in first.chain([samples.end.saturating_sub(1), samples.end, u64::MAX]) {
        let _ = records.label(index);
        let _ = records.latents(index, &mut latents);
        let _ = records.show(index, &mut scratch, &mut |_, picture| {
            touch(picture.bytes);
            Ok(())
        });
        black_box(records.place(index));
    }
    let end = samples.end;
    for wanted in [samples.clone(), 0..end.min(1), end.saturating_sub(2)..end, end..end] {
        assert!(records.together(wanted.clone()) <= wanted.end - wanted.start);
        if let Ok(Some(bytes)) = records.run(wanted.clone(), 0) {
            touch(bytes);
        }
        if let Ok(Some(bytes)) = records.mapped(wanted, 0) {
            touch(&bytes);
        }
    }
    black_box((records.has_labels(), records.classes()));
    records.identify(&mut blake3::Hasher::new());
}

/// Reads every byte.
fn touch(bytes: &[u8]) {
    black_box(bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte)));
}
