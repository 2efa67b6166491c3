//! Reads tar files that other tools wrote for WebDataset.
//!
//! What is a sample, a picture and a label is decided once, when the files are opened: by one walk
//! over all headers, which is also what counts the samples. From then on access is O(1).

use std::ops::Range;
use std::path::{Path, PathBuf};

use tar::Header;

use super::archive::{BLOCK, Member, Members};
use super::braces::expand;
use super::gather::{Use, choose, integer, label_in, split, use_of};
use super::place::Place;
use crate::codec::Picture;
use crate::error::{Error, Kind, Result, ResultExt};
use crate::shard::arrays::{Pictures, limited};
use crate::shard::{MappedFile, Records};

/// Most members of a sample.
const MAX_MEMBERS: usize = 4096;

/// The samples of tar files as WebDataset reads them.
///
/// Members of one key that lie together are a sample; the key is the path up to the first dot of
/// the file's name. Its picture is `KEY.jpg`, `.png`, `.webp` or `.npy`; if there is none,
/// `KEY.0.jpg`, `KEY.1.jpg`, … are its views, or the only picture that it has under another name.
/// Its label is the number in `KEY.cls`, or else the one that `KEY.json` has under `label`, `cls`,
/// `class`, `target` or `y`. The first sample decides; all others must have what it has. Other
/// members, such as `KEY.txt`, are passed over.
#[derive(Debug)]
pub struct WebDatasetRecords {
    tars: Vec<Tar>,
    shape: Shape,
    /// Sample by sample: its pictures, then its label.
    places: Vec<Place>,
}

#[derive(Debug)]
struct Tar {
    file: MappedFile,
    /// Samples in the tars before it.
    first: u64,
}

/// What every sample has.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Shape {
    /// What its pictures' members are called.
    names: Vec<String>,
    /// Its pictures.
    pictures: usize,
    label: Option<LabelIn>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LabelIn {
    Cls,
    Json,
}

impl Shape {
    /// Places of a sample.
    fn len(&self) -> usize {
        self.names.len() + usize::from(self.label.is_some())
    }
}

/// The members of one sample, while they are walked over.
#[derive(Debug, Default)]
struct Gathered {
    key: String,
    /// Of all members, in lower case as WebDataset has them.
    suffixes: Vec<String>,
    pictures: Vec<(String, Place)>,
    label: Option<Place>,
    about: Option<Place>,
}

impl WebDatasetRecords {
    /// Opens the tar files of a folder in the order of their names, one tar file, or those that a
    /// name with braces stands for, as `shard-{000000..000012}.tar`.
    ///
    /// # Errors
    /// [`Kind::Io`], [`Kind::Limit`] or [`Kind::Sample`] naming the tar, and the member where there
    /// is one.
    pub fn open(path: &Path) -> Result<Self> {
        let files =
            files(path)?.iter().map(|path| MappedFile::open(path)).collect::<Result<_>>()?;
        Self::from_files(files)
    }

    /// As [`open`](Self::open), for files that are mapped already, or bytes.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn from_files(files: Vec<MappedFile>) -> Result<Self> {
        let mut shape = None;
        let mut places = Vec::new();
        let mut tars = Vec::with_capacity(files.len());
        for file in files {
            let first = shape.as_ref().map_or(0, |shape: &Shape| places.len() / shape.len()) as u64;
            file.check()?;
            walk(file.bytes(), &mut shape, &mut places).at(|| file.path().display().to_string())?;
            tars.push(Tar { file, first });
        }
        let shape = shape.ok_or_else(|| {
            let names: Vec<_> =
                tars.iter().take(3).map(|tar| tar.file.path().display().to_string()).collect();
            Error::new(Kind::Io, format!("there is no sample in {}", names.join(", ")))
                .help("samples are members such as `000.jpg` and `000.cls`")
        })?;
        Ok(Self { tars, shape, places })
    }

    fn tar(&self, index: u64) -> &Tar {
        // The last one that begins at the sample or before: tars without samples are stepped over.
        let after = self.tars.partition_point(|tar| tar.first <= index);
        &self.tars[after.saturating_sub(1)]
    }

    /// The places of a sample, and the tar that they are in.
    fn sample(&self, index: u64) -> Result<(&Tar, &[Place])> {
        let len = self.shape.len();
        let start = usize::try_from(index).ok().and_then(|index| index.checked_mul(len));
        let places = start.and_then(|start| self.places.get(start..start.checked_add(len)?));
        let places = places.ok_or_else(|| {
            let message = format!("sample {index} of {} was asked for", self.samples().end);
            Error::new(Kind::Argument, message)
        })?;
        let tar = self.tar(index);
        tar.file.check_lately()?;
        Ok((tar, places))
    }
}

impl Tar {
    /// What to call a member: its header lies before its bytes.
    fn name(&self, place: Place) -> String {
        let header = place
            .start()
            .checked_sub(BLOCK)
            .and_then(|at| self.file.bytes().get(at..place.start()));
        let name = header.map(|header| {
            String::from_utf8_lossy(&Header::from_byte_slice(header).path_bytes()).into_owned()
        });
        format!("{}: member {}", self.file.path().display(), name.unwrap_or_default())
    }
}

/// Adds the samples of one tar.
fn walk(bytes: &[u8], shape: &mut Option<Shape>, places: &mut Vec<Place>) -> Result<()> {
    let mut members = Members::new(bytes);
    let mut sample = Gathered::default();
    while let Some(Member { name, data }) = members.next()? {
        let Some((key, suffix)) = split(&name) else { continue };
        if key != sample.key {
            sample.end(bytes, shape, places)?;
            key.clone_into(&mut sample.key);
        }
        let place = Place::new(&data).at(|| format!("member {name}"))?;
        sample.add(suffix, place).at(|| format!("member {name}"))?;
    }
    sample.end(bytes, shape, places)
}

impl Gathered {
    fn add(&mut self, suffix: &str, place: Place) -> Result<()> {
        let suffix = suffix.to_lowercase();
        if self.suffixes.contains(&suffix) {
            return Err(Error::new(Kind::Io, "is there twice").help(
                "a member of a sample is written once; small and large letters are the same",
            ));
        }
        if self.suffixes.len() == MAX_MEMBERS {
            let message = format!("its sample has more than {MAX_MEMBERS} members");
            return Err(Error::new(Kind::Limit, message)
                .help("members of one sample share what is before the first dot of their names"));
        }
        match use_of(&suffix) {
            Use::Picture(name) => self.pictures.push((name.to_owned(), place)),
            Use::Label => self.label = Some(place),
            Use::About => self.about = Some(place),
            Use::Other => {}
        }
        self.suffixes.push(suffix);
        Ok(())
    }

    /// Adds the sample that was gathered, if there is one, and begins anew.
    fn end(
        &mut self,
        tar: &[u8],
        shape: &mut Option<Shape>,
        places: &mut Vec<Place>,
    ) -> Result<()> {
        if self.suffixes.is_empty() {
            return Ok(());
        }
        self.put(tar, shape, places).at(|| format!("sample {}", self.key))?;
        *self = Self::default();
        Ok(())
    }

    fn put(&self, tar: &[u8], shape: &mut Option<Shape>, places: &mut Vec<Place>) -> Result<()> {
        let shape = match shape {
            Some(shape) => shape,
            None => shape.insert(self.shape(tar)?),
        };
        let other = |what: &str| {
            Error::new(Kind::Sample, format!("has {what}, unlike the first sample")).help(
                "every sample must have the members that the first one has: leave out those that \
                 have not, or write them anew",
            )
        };
        for wanted in &shape.names {
            let mut found = self.pictures.iter().filter(|(name, _)| name == wanted);
            let of = if wanted.is_empty() { String::new() } else { format!(" {wanted:?}") };
            match (found.next(), found.next()) {
                (Some((_, place)), None) => places.push(*place),
                (None, _) => return Err(other(&format!("no picture{of}"))),
                (Some(_), Some(_)) => {
                    let message = format!("has two pictures{of}: {}", self.suffixes.join(", "));
                    return Err(Error::new(Kind::Sample, message)
                        .help("leave one of them out, or give it a name: `KEY.mask.png`"));
                }
            }
        }
        match shape.label {
            None => {}
            Some(LabelIn::Cls) => places.push(self.label.ok_or_else(|| other("no `cls`"))?),
            Some(LabelIn::Json) => places.push(self.about.ok_or_else(|| other("no `json`"))?),
        }
        Ok(())
    }

    /// What all samples have, if this is the first.
    fn shape(&self, tar: &[u8]) -> Result<Shape> {
        let mut names: Vec<&str> = self.pictures.iter().map(|(name, _)| &**name).collect();
        names.sort_unstable();
        names.dedup();
        let names = choose(&names)?;
        let label = match (self.label, self.about) {
            (Some(_), _) => Some(LabelIn::Cls),
            (None, Some(about)) => label_in(about.of(tar))?.map(|_| LabelIn::Json),
            (None, None) => None,
        };
        // One array may hold all views of a sample.
        let only = self.pictures.iter().find(|(name, _)| names.len() == 1 && *name == names[0]);
        let pictures = match only {
            Some((_, place)) => Pictures::read(place.of(tar))?.count,
            None => names.len(),
        };
        Ok(Shape { names, pictures: limited(pictures)?, label })
    }
}

impl Records for WebDatasetRecords {
    fn samples(&self) -> Range<u64> {
        0..(self.places.len() / self.shape.len()) as u64
    }

    fn pictures(&self) -> usize {
        self.shape.pictures
    }

    fn classes(&self) -> &[String] {
        &[]
    }

    fn has_labels(&self) -> bool {
        self.shape.label.is_some()
    }

    fn label(&self, index: u64) -> Result<Option<i64>> {
        let (tar, places) = self.sample(index)?;
        let (Some(kind), Some(place)) = (self.shape.label, places.last()) else { return Ok(None) };
        let bytes = place.of(tar.file.bytes());
        let label = match kind {
            LabelIn::Cls => integer(bytes),
            LabelIn::Json => label_in(bytes).and_then(|label| {
                label.ok_or_else(|| Error::new(Kind::Sample, "has no label, unlike the first"))
            }),
        };
        label.map(Some).at(|| tar.name(*place))
    }

    fn show(
        &self,
        index: u64,
        _scratch: &mut Vec<u8>,
        show: &mut dyn FnMut(usize, Picture<'_>) -> Result<()>,
    ) -> Result<()> {
        let (tar, places) = self.sample(index)?;
        let mut shown = 0;
        for place in &places[..self.shape.names.len()] {
            let here = || tar.name(*place);
            let pictures = Pictures::read(place.of(tar.file.bytes())).at(here)?;
            if pictures.count != self.shape.pictures / self.shape.names.len() {
                let (got, want) = (pictures.count, self.shape.pictures);
                let message = format!("has {got} pictures; samples here have {want}");
                return Err(Error::new(Kind::Sample, message).at(here()));
            }
            for picture in pictures.each() {
                show(shown, picture).at(here)?;
                shown += 1;
            }
        }
        Ok(())
    }

    fn together(&self, samples: Range<u64>) -> u64 {
        let after = self.tars.partition_point(|tar| tar.first <= samples.start);
        let end = self.tars.get(after).map_or(u64::MAX, |tar| tar.first);
        samples.end.min(end).saturating_sub(samples.start)
    }

    fn place(&self, index: u64) -> String {
        match self.sample(index) {
            Ok((tar, [place, ..])) => tar.name(*place),
            _ => self.tar(index).file.path().display().to_string(),
        }
    }

    fn identify(&self, hasher: &mut blake3::Hasher) {
        hasher.update(b"webdataset");
        for Tar { file, first } in &self.tars {
            let name = file.path().file_name().unwrap_or_default().as_encoded_bytes();
            for number in [name.len() as u64, file.len() as u64, *first] {
                hasher.update(&number.to_le_bytes());
            }
            hasher.update(name);
        }
        hasher.update(&self.samples().end.to_le_bytes());
    }
}

/// The files that a path stands for.
fn files(path: &Path) -> Result<Vec<PathBuf>> {
    if path.is_dir() {
        let failed = |error| Error::io(path, "read", error);
        let mut tars = Vec::new();
        for entry in std::fs::read_dir(path).map_err(failed)? {
            let file = entry.map_err(failed)?.path();
            if file.extension().is_some_and(|extension| extension == "tar") {
                tars.push(file);
            }
        }
        tars.sort_unstable();
        if tars.is_empty() {
            return Err(Error::new(Kind::Io, format!("{} has no tar files", path.display()))
                .help("compressed ones (.tar.gz) are not read: unpack them with gunzip"));
        }
        return Ok(tars);
    }
    match path.to_str() {
        Some(name) if !path.exists() && name.contains('{') => {
            Ok(expand(name)?.into_iter().map(PathBuf::from).collect())
        }
        _ => Ok(vec![path.to_path_buf()]),
    }
}
