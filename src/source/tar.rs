//! A tar file of images, the folder of each its class.

use std::collections::HashSet;
use std::ops::Range;
use std::path::Path;

use super::arrays::outside;
use super::content;
use super::folder::{is_image, show_file};
use crate::codec::Picture;
use crate::error::{Error, Kind, Result, ResultExt as _};
use crate::shard::webdataset::archive::Members;
use crate::shard::{MappedFile, Records};

/// Images in a plain tar: `CLASS/NAME.jpg`, or `NAME.jpg` without classes. Their order is that of
/// the archive; classes are in the order of their bytes. Other members are left out.
#[derive(Debug)]
pub struct TarRecords {
    file: MappedFile,
    members: Vec<Member>,
    classes: Vec<String>,
    /// What is in the file.
    content: blake3::Hash,
}

#[derive(Debug)]
struct Member {
    name: Box<str>,
    data: Range<usize>,
    label: Option<u32>,
}

impl TarRecords {
    /// Reads all headers of a tar.
    ///
    /// # Errors
    /// [`Kind::Io`] naming the member for headers that are broken, names that are absolute, leave
    /// the folder or occur twice, and links; [`Kind::Sample`] if there is no image, or if some lie
    /// in folders and some do not.
    pub fn open(path: &Path) -> Result<Self> {
        Self::from_file(MappedFile::open(path)?)
    }

    /// As [`TarRecords::open`], of a file that is open.
    ///
    /// # Errors
    /// As [`TarRecords::open`].
    pub(super) fn from_file(file: MappedFile) -> Result<Self> {
        let path = file.path().to_path_buf();
        Self::new(file).at(|| path.display())
    }

    fn new(file: MappedFile) -> Result<Self> {
        let mut members = Vec::new();
        let mut walk = Members::new(file.bytes());
        while let Some(member) = walk.next()? {
            if is_image(&member.name) {
                members.push((Box::<str>::from(&*member.name), member.data));
            }
        }
        let mut seen = HashSet::new();
        if let Some((twice, _)) = members.iter().find(|(name, _)| !seen.insert(name)) {
            return Err(Error::new(Kind::Io, format!("member {twice:?} is there twice")));
        }
        drop(seen);
        if members.is_empty() {
            return Err(Error::new(Kind::Sample, "there is no image in it")
                .help("images are members whose names end in .jpg, .jpeg, .png or .webp"));
        }
        let class = |name: &str| {
            let (folders, _) = name.rsplit_once('/')?;
            Some(folders.rsplit('/').next().unwrap_or(folders).to_owned())
        };
        let mut classes: Vec<String> = members.iter().filter_map(|(name, _)| class(name)).collect();
        if !classes.is_empty() && classes.len() != members.len() {
            return Err(Error::new(Kind::Sample, "some images lie in folders, and some do not"));
        }
        classes.sort_unstable();
        classes.dedup();
        let members = members.into_iter().map(|(name, data)| {
            let label = class(&name).and_then(|class| classes.binary_search(&class).ok());
            Member { name, data, label: label.and_then(|label| u32::try_from(label).ok()) }
        });
        let content = content::hash(&file)?;
        Ok(Self { members: members.collect(), file, classes, content })
    }

    fn member(&self, index: u64) -> Result<&Member> {
        let member = usize::try_from(index).ok().and_then(|index| self.members.get(index));
        member.ok_or_else(|| outside(index, self.samples()))
    }
}

impl Records for TarRecords {
    fn samples(&self) -> Range<u64> {
        0..self.members.len() as u64
    }

    fn pictures(&self) -> usize {
        1
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn has_labels(&self) -> bool {
        !self.classes.is_empty()
    }

    fn label(&self, index: u64) -> Result<Option<i64>> {
        Ok(self.member(index)?.label.map(i64::from))
    }

    fn show(
        &self,
        index: u64,
        _scratch: &mut Vec<u8>,
        show: &mut dyn FnMut(usize, Picture<'_>) -> Result<()>,
    ) -> Result<()> {
        let member = self.member(index)?;
        self.file.check_lately()?;
        show_file(&self.file.bytes()[member.data.clone()], show).at(|| self.place(index))
    }

    fn place(&self, index: u64) -> String {
        let name = self.member(index).map_or("", |member| &member.name);
        format!("{}: {name}", self.file.path().display())
    }

    fn identify(&self, hasher: &mut blake3::Hasher) {
        hasher.update(self.content.as_bytes());
        for Member { name, data, .. } in &self.members {
            hasher.update(&(name.len() as u64).to_le_bytes());
            hasher.update(name.as_bytes());
            hasher.update(&(data.len() as u64).to_le_bytes());
        }
    }
}
