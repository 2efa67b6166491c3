//! Which tensors a shard has, and where they lie.

use std::collections::BTreeMap;

use safetensors::Dtype;

use super::FORMAT;
use super::header;
use crate::codec::Encoding;
use crate::error::{Error, Kind, Result};
use crate::recipe;
use crate::shard::{GroupForm, ShardForm};

/// Raw images begin at a multiple of this many bytes: a cache line, and a vector of AVX-512.
const ALIGNMENT: u64 = 64;

/// More than any file system has; sums of a few such lengths do not overflow.
const MAX_DATA: u64 = 1 << 60;

/// Where the pictures of a shard are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::shard) enum Pictures {
    /// In the shard.
    Inside,
    /// In files of their own. The shard has their lengths and hashes.
    Beside,
}

/// What a tensor of a shard holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::shard) enum Holds {
    Index,
    Label,
    /// Where the encoded images of a group begin.
    ImageOffsets(usize),
    ParameterOffsets,
    Latent,
    /// Nothing: makes the images of a group begin where they should.
    Padding(usize),
    /// The images of a group.
    Images(usize),
    /// Lengths of the files of a sample, `[n, pictures]`.
    FileBytes,
    /// BLAKE3 of the files of a sample, `[n, pictures, 32]`.
    FileHashes,
    Parameters,
}

/// One tensor of a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub holds: Holds,
    pub name: String,
    pub dtype: Dtype,
    /// `None` for bytes whose number is known when all of them are.
    pub shape: Option<Vec<usize>>,
    /// Bytes that it takes; 0 as long as they are not known.
    pub len: u64,
}

/// What the pictures of a group are called.
pub(super) fn images_name(group: &GroupForm) -> String {
    if group.name.is_empty() { "images".into() } else { format!("images.{}", group.name) }
}

/// Pictures that a sample has.
pub(in crate::shard) fn pictures(form: &ShardForm) -> Option<usize> {
    form.groups.iter().try_fold(0_usize, |sum, group| sum.checked_add(group.views))
}

/// The tensors of a shard of `n` samples but for padding, in the order of the file.
///
/// # Errors
/// [`Kind::Limit`] if sizes overflow, [`Kind::Argument`] if two tensors would have one name.
pub(super) fn parts(form: &ShardForm, n: u64, beside: Pictures) -> Result<Vec<Part>> {
    let too_many = || {
        Error::new(Kind::Limit, format!("{n} samples of this form do not fit one shard"))
            .help("make shards smaller (`--shard-bytes`)")
    };
    let n = usize::try_from(n).map_err(|_| too_many())?;
    let all = pictures(form).ok_or_else(too_many)?;
    let raw = form.encoding == Encoding::Raw;
    let mut parts = Vec::new();
    let mut add = |holds, name: String, dtype: Dtype, shape: Option<Vec<usize>>| {
        let len = match &shape {
            Some(shape) => shape
                .iter()
                .try_fold(dtype.bitsize() / 8, |len, size| len.checked_mul(*size))
                .and_then(|len| u64::try_from(len).ok())
                .filter(|len| *len <= MAX_DATA)
                .ok_or_else(too_many)?,
            None => 0,
        };
        parts.push(Part { holds, name, dtype, shape, len });
        Ok(())
    };
    let one_more = |n: usize| n.checked_add(1).ok_or_else(too_many);

    add(Holds::Index, "index".into(), Dtype::U64, Some(vec![n]))?;
    if form.labels {
        add(Holds::Label, "label".into(), Dtype::I64, Some(vec![n]))?;
    }
    if beside == Pictures::Inside && !raw {
        for (at, group) in form.groups.iter().enumerate() {
            let count = one_more(n.checked_mul(group.views).ok_or_else(too_many)?)?;
            let name = format!("{}.offsets", images_name(group));
            add(Holds::ImageOffsets(at), name, Dtype::U64, Some(vec![count]))?;
        }
    }
    if form.parameters {
        let name = "parameters.offsets".into();
        add(Holds::ParameterOffsets, name, Dtype::U64, Some(vec![one_more(n)?]))?;
    }
    if beside == Pictures::Beside {
        add(Holds::FileBytes, "files.bytes".into(), Dtype::U64, Some(vec![n, all]))?;
    }
    if let Some([views, len]) = form.latents {
        add(Holds::Latent, "latent".into(), Dtype::F32, Some(vec![n, views, len]))?;
    }
    match beside {
        Pictures::Beside => {
            let shape = Some(vec![n, all, blake3::OUT_LEN]);
            add(Holds::FileHashes, "files.blake3".into(), Dtype::U8, shape)?;
        }
        Pictures::Inside => {
            for (at, group) in form.groups.iter().enumerate() {
                let (dtype, shape) = if raw { raw_images(group, n) } else { (Dtype::U8, None) };
                add(Holds::Images(at), images_name(group), dtype, shape)?;
            }
        }
    }
    if form.parameters {
        add(Holds::Parameters, "parameters".into(), Dtype::U8, None)?;
    }
    Ok(parts)
}

fn raw_images(group: &GroupForm, n: usize) -> (Dtype, Option<Vec<usize>>) {
    let form = &group.form;
    let dtype = match form.dtype {
        recipe::Dtype::U8 => Dtype::U8,
        recipe::Dtype::F16 => Dtype::F16,
        recipe::Dtype::F32 => Dtype::F32,
    };
    (dtype, Some([&[n, group.views][..], &form.axes()].concat()))
}

/// What the format itself says in the metadata.
pub(super) fn metadata(form: &ShardForm, beside: Pictures) -> BTreeMap<String, String> {
    let encoding = match form.encoding {
        Encoding::Raw => "raw",
        Encoding::Png => "png",
        Encoding::Jpeg { .. } => "jpeg",
        Encoding::WebP => "webp",
    };
    let mut said = BTreeMap::from([("format", FORMAT), ("encoding", encoding)])
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect::<BTreeMap<_, _>>();
    if beside == Pictures::Inside && form.encoding == Encoding::Raw {
        for group in &form.groups {
            let layout = group.form.layout.name();
            said.insert(format!("{}.layout", images_name(group)), layout.to_owned());
        }
    }
    said
}

/// Tensors in their places.
#[derive(Debug)]
pub(super) struct Plan {
    pub parts: Vec<Part>,
    /// Bytes before the data: the header and its length.
    pub data: u64,
}

impl Plan {
    /// Adds padding, and leaves room for a header with this metadata whatever lengths turn out.
    ///
    /// # Errors
    /// [`Kind::Limit`] if the header is too long, [`Kind::Argument`] if names clash.
    pub fn new(parts: Vec<Part>, metadata: &BTreeMap<String, String>) -> Result<Self> {
        let total = parts.iter().try_fold(0_u64, |sum, part| sum.checked_add(part.len));
        if total.is_none_or(|total| total > MAX_DATA) {
            let message = "the samples of a shard do not fit one file";
            return Err(
                Error::new(Kind::Limit, message).help("make shards smaller (`--shard-bytes`)")
            );
        }
        let raw = |part: &Part| matches!(part.holds, Holds::Images(_)) && part.shape.is_some();
        // The data begins at a multiple of eight, as its first tensors need; the first images
        // at a multiple of 64, as far as that allows.
        let before: u64 = parts.iter().take_while(|part| !raw(part)).map(|part| part.len).sum();
        let first = (ALIGNMENT - before.next_multiple_of(8) % ALIGNMENT) % ALIGNMENT;

        let mut padded = Vec::with_capacity(parts.len());
        let mut at = first;
        for part in parts {
            let gap = at.next_multiple_of(ALIGNMENT) - at;
            if let (Holds::Images(group), true, 1..) = (part.holds, raw(&part), gap) {
                padded.push(Part {
                    holds: Holds::Padding(group),
                    name: format!("{}.padding", part.name),
                    dtype: Dtype::U8,
                    shape: Some(vec![usize::try_from(gap).unwrap_or_default()]),
                    len: gap,
                });
                at += gap;
            }
            at += part.len;
            padded.push(part);
        }
        let mut names: Vec<&str> = padded.iter().map(|part| &*part.name).collect();
        names.sort_unstable();
        if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            let message = format!("two tensors of a shard would be called `{}`", twice[0]);
            return Err(Error::new(Kind::Argument, message)
                .help("give the groups of views other names: one is another with a suffix"));
        }
        let header = header::longest(metadata, &padded)?;
        // 8 bytes are the header's length.
        let mut data = (8 + header).next_multiple_of(ALIGNMENT) + first;
        if data - ALIGNMENT >= 8 + header {
            data -= ALIGNMENT;
        }
        Ok(Self { parts: padded, data })
    }
}
