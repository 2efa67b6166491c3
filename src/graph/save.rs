//! A model to disk: one file, or two with the weights in the second.
//!
//! Weights beside the model lie in one file of its name with `.data` behind, each at a multiple of
//! 4096 bytes, so that a runtime can map them. They are streamed there from the model or from the
//! files that they were in, never held at once, and every size is a `u64`: together they may be
//! larger than memory.
//!
//! Source: <https://github.com/onnx/onnx/blob/main/docs/ExternalData.md>

use std::borrow::Cow;
use std::ffi::OsStr;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use bytes::Bytes;

use super::constant::elements;
use super::external;
use super::proto::{EXTERNAL, ModelProto, StringStringEntryProto, TensorProto};
use super::tensors::{Home, each_tensor};
use super::value::Element;
use super::write::Plan;
use super::{MAX_FILE_BYTES, Model};
use crate::error::{Error, Kind, Result, ResultExt};
use crate::whole_file::WholeFile;

/// Where weights begin in their file: at the pages of most machines.
const ALIGNMENT: u64 = 4096;

/// Smaller tensors stay inside: among them are shapes, which runtimes want to see at once.
const LEAST_MOVED: u64 = 1024;

/// The largest file that every protobuf reader takes: sizes are signed 32-bit numbers there.
const MAX_WRITTEN_BYTES: u64 = MAX_FILE_BYTES - 1;

/// Which weights a written model has in a file beside it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Weights {
    /// Those that are in other files now; if the rest is too large for one file, all of 1 KiB.
    #[default]
    AsTheyAre,
    /// None: all are inside.
    Inside,
    /// Those that are in other files now, and initializers of at least so many bytes; those below
    /// 1 KiB stay, as runtimes want to see shapes at once.
    Beside(u64),
}

impl Model {
    /// Writes the model to `path`, and with it perhaps one file of weights, `path` with `.data`
    /// behind. Both are written under other names first. A crash may leave no model at `path`
    /// where there was one, but never one that finds another's weights.
    ///
    /// # Errors
    /// [`Kind::Io`] if a file cannot be read or written, [`Kind::Limit`] if it is too large for
    /// what `weights` asks for, [`Kind::Argument`] if `path` is no name for a model with weights
    /// beside it.
    pub fn write_to(&self, path: &Path, weights: Weights) -> Result<()> {
        self.write_within(path, weights, MAX_WRITTEN_BYTES).at(|| self.name().to_owned())
    }

    fn write_within(&self, path: &Path, weights: Weights, max_bytes: u64) -> Result<()> {
        let mut proto = self.proto().clone();
        let size = |proto: &ModelProto| Plan::of(self.bytes(), proto).map(|plan| plan.len());
        let too_large = |bytes: u64, help: &str| {
            let message = format!("as one file it has {bytes} bytes, more than {max_bytes}");
            Err(Error::new(Kind::Limit, message).help(help))
        };
        let mut beside = match weights {
            Weights::Inside => {
                let outside: u64 = sizes_outside(&mut proto);
                let bytes = size(&proto)?.saturating_add(outside);
                if bytes > max_bytes {
                    return too_large(bytes, "leave the weights in a file beside it");
                }
                None
            }
            Weights::AsTheyAre if size(&proto)? <= max_bytes => Some(u64::MAX),
            Weights::AsTheyAre => Some(LEAST_MOVED),
            Weights::Beside(bytes) => Some(bytes.max(LEAST_MOVED)),
        }
        .map(|least| Beside::new(path, self.path(), least));

        match &mut beside {
            Some(beside) => each_tensor(&mut proto, &mut |tensor, home| beside.take(tensor, home))?,
            None => each_tensor(&mut proto, &mut |tensor, _| {
                if let (EXTERNAL, Some(path)) = (tensor.data_location, self.path()) {
                    *tensor = external::inside(tensor, path)?;
                }
                Ok(())
            })?,
        }
        let plan = Plan::of(self.bytes(), &proto)?;
        if plan.len() > max_bytes {
            return too_large(plan.len(), "move smaller weights into the file beside it too");
        }
        let mut main = WholeFile::create(path)?;
        let failed = |error| Error::io(path, "write", error);
        main.file().write_all(&plan.bytes()).map_err(failed)?;
        if let Some(data) = beside.and_then(|beside| beside.file) {
            // The old model must not be there with the new weights, nor the new one with the old.
            match std::fs::remove_file(path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::io(path, "replace", error));
                }
                _ => data.finish()?,
            }
        }
        main.finish()
    }
}

/// The file of weights that is being written.
struct Beside<'a> {
    /// Where the model will be.
    path: &'a Path,
    /// Where it came from.
    from: Option<&'a Path>,
    /// Initializers of fewer bytes stay.
    least: u64,
    file: Option<WholeFile>,
    end: u64,
}

impl<'a> Beside<'a> {
    fn new(path: &'a Path, from: Option<&'a Path>, least: u64) -> Self {
        Self { path, from, least, file: None, end: 0 }
    }

    /// Moves the data of `tensor` into the file, if it belongs there.
    fn take(&mut self, tensor: &mut TensorProto, home: Home) -> Result<()> {
        let outside = tensor.data_location == EXTERNAL;
        if !outside && (home == Home::Inner || bytes_of(tensor).is_none_or(|b| b < self.least)) {
            return Ok(());
        }
        let from = self.from;
        let written = if outside {
            let Some(from) = from else { return Ok(()) };
            let (length, mut data) = external::open(tensor, from)?;
            self.append(length, |file| std::io::copy(&mut data, file))?
        } else {
            let Some(data) = raw(tensor) else { return Ok(()) };
            let length = data.len() as u64;
            self.append(length, |file| file.write_all(&data).map(|()| length))?
        };
        let (location, offset, length) = written;
        let entry = |key: &str, value: String| StringStringEntryProto { key: key.into(), value };
        *tensor = TensorProto {
            name: std::mem::take(&mut tensor.name),
            doc_string: std::mem::take(&mut tensor.doc_string),
            dims: std::mem::take(&mut tensor.dims),
            data_type: tensor.data_type,
            metadata_props: std::mem::take(&mut tensor.metadata_props),
            external_data: vec![
                entry("location", location),
                entry("offset", offset.to_string()),
                entry("length", length.to_string()),
            ],
            data_location: EXTERNAL,
            ..Default::default()
        };
        Ok(())
    }

    /// Writes `length` bytes at the next aligned place. Gives the file's name, and where it is.
    fn append(
        &mut self,
        length: u64,
        write: impl FnOnce(&mut std::fs::File) -> std::io::Result<u64>,
    ) -> Result<(String, u64, u64)> {
        let name = data_name(self.path)?;
        let path = self.path.with_file_name(&name);
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(WholeFile::create(&path)?),
        };
        let failed = |error| Error::io(&path, "write", error);
        let offset = self.end.next_multiple_of(ALIGNMENT);
        // What is skipped reads as zeros.
        file.file().seek(SeekFrom::Start(offset)).map_err(failed)?;
        let written = write(file.file()).map_err(failed)?;
        if written != length {
            let message = format!("weights for {} changed while they were read", path.display());
            return Err(Error::new(Kind::Io, message));
        }
        self.end = offset + length;
        Ok((name, offset, length))
    }
}

/// The name of the file of weights beside the model at `path`.
fn data_name(path: &Path) -> Result<String> {
    let name = path.file_name().and_then(OsStr::to_str);
    // As reading has it: the name is part of the model, which must mean the same on all systems.
    let name = name.filter(|name| !name.contains(['\\', ':', '\0']));
    name.map(|name| format!("{name}.data")).ok_or_else(|| {
        let message = format!("{} is no name that a model can call its weights by", path.display());
        Error::new(Kind::Argument, message).help("name it with letters, digits and dots")
    })
}

/// The bytes of all weights in other files.
fn sizes_outside(model: &mut ModelProto) -> u64 {
    let mut sum = 0_u64;
    let _ = each_tensor(model, &mut |tensor, _| {
        if tensor.data_location == EXTERNAL {
            sum = sum.saturating_add(bytes_of(tensor).unwrap_or(0));
        }
        Ok(())
    });
    sum
}

/// The bytes that a tensor takes outside of messages; `None` if its type cannot be there.
fn bytes_of(tensor: &TensorProto) -> Option<u64> {
    let bits = Element::from_onnx(tensor.data_type).bits()? as u64;
    Some(elements(&tensor.dims).ok()?.checked_mul(bits)?.div_ceil(8))
}

/// The elements of a tensor in the main file, little-endian, as they would lie in another file;
/// `None` if their type has no such form, or they are not here.
fn raw(tensor: &TensorProto) -> Option<Cow<'_, [u8]>> {
    if let Some(raw) = tensor.raw_data.as_ref().filter(|raw: &&Bytes| !raw.is_empty()) {
        return Some(Cow::Borrowed(raw));
    }
    let bytes = match Element::from_onnx(tensor.data_type) {
        Element::F32 => tensor.float_data.iter().flat_map(|v| v.to_le_bytes()).collect(),
        Element::F64 => tensor.double_data.iter().flat_map(|v| v.to_le_bytes()).collect(),
        Element::I64 => tensor.int64_data.iter().flat_map(|v| v.to_le_bytes()).collect(),
        Element::U64 => tensor.uint64_data.iter().flat_map(|v| v.to_le_bytes()).collect(),
        // A narrow number is the low bytes of a wide one.
        Element::U32 => low::<4, 8>(tensor.uint64_data.iter().map(|v| v.to_le_bytes())),
        Element::I32 => tensor.int32_data.iter().flat_map(|v| v.to_le_bytes()).collect(),
        Element::I16 | Element::U16 | Element::F16 | Element::Bf16 => {
            low::<2, 4>(tensor.int32_data.iter().map(|v| v.to_le_bytes()))
        }
        Element::I8 | Element::U8 | Element::Bool => {
            low::<1, 4>(tensor.int32_data.iter().map(|v| v.to_le_bytes()))
        }
        Element::Other(_) => return None,
    };
    Some(Cow::Owned(bytes))
}

fn low<const N: usize, const M: usize>(numbers: impl Iterator<Item = [u8; M]>) -> Vec<u8> {
    numbers.flat_map(|bytes| bytes.into_iter().take(N)).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;
    use crate::graph::build;

    /// A folder with `m.onnx`, one of whose weights is in `w.bin`, and the other inside.
    fn written() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let mut proto = build::small();
        let graph = proto.graph.as_mut().unwrap();
        graph.initializer[0] = build::external("weight", &[8, 48], "w.bin");
        graph.initializer.push(build::floats("bias", &[600], &[0.25; 600]));
        fs::write(folder.path().join("w.bin"), (0..384).flat_map(weight).collect::<Vec<_>>())
            .unwrap();
        let path = folder.path().join("m.onnx");
        fs::write(&path, prost::Message::encode_to_vec(&proto)).unwrap();
        (folder, path)
    }

    fn weight(number: u16) -> [u8; 4] {
        f32::from(number).to_le_bytes()
    }

    /// The name, location, offset and first number of each tensor.
    fn tensors(model: &Model) -> Vec<(String, String, u64, f32)> {
        let tensors = &model.proto().graph.as_ref().unwrap().initializer;
        let of = |tensor: &TensorProto| {
            let entry = |key| {
                let entry = tensor.external_data.iter().find(|entry| entry.key == key);
                entry.map_or("", |entry| &entry.value).to_owned()
            };
            let data = match tensor.data_location {
                EXTERNAL => external::inside(tensor, model.path().unwrap()).unwrap(),
                _ => tensor.clone(),
            };
            let data = raw(&data).unwrap();
            let first = f32::from_le_bytes(data[4..8].try_into().unwrap());
            let offset = entry("offset").parse().unwrap_or(0);
            (tensor.name.clone(), entry("location"), offset, first)
        };
        tensors.iter().filter(|tensor| tensor.data_type == 1).map(of).collect()
    }

    fn of(rows: &[(&str, &str, u64, f32)]) -> Vec<(String, String, u64, f32)> {
        rows.iter().map(|&(name, at, offset, v)| (name.into(), at.into(), offset, v)).collect()
    }

    #[test]
    fn weights_go_where_they_were_asked_to() {
        let (folder, path) = written();
        let model = Model::read(&path).unwrap();
        let copy = |weights| {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("copy.onnx");
            model.write_to(&path, weights).unwrap();
            let model = Model::read(&path).unwrap();
            let mut files: Vec<_> = fs::read_dir(folder.path())
                .unwrap()
                .map(|file| file.unwrap().file_name().into_string().unwrap())
                .collect();
            files.sort();
            (files, tensors(&model))
        };
        let (data, two) = ("copy.onnx.data", ["copy.onnx", "copy.onnx.data"]);
        let rows = of(&[("weight", data, 0, 1.0), ("bias", "", 0, 0.25)]);
        assert_eq!(copy(Weights::AsTheyAre), (two.map(String::from).to_vec(), rows));
        let rows = of(&[("weight", data, 0, 1.0), ("bias", data, 4096, 0.25)]);
        assert_eq!(copy(Weights::Beside(2400)), (two.map(String::from).to_vec(), rows));
        let rows = of(&[("weight", data, 0, 1.0), ("bias", "", 0, 0.25)]);
        assert_eq!(copy(Weights::Beside(2401)).1, rows);
        let rows = of(&[("weight", "", 0, 1.0), ("bias", "", 0, 0.25)]);
        assert_eq!(copy(Weights::Inside), (vec!["copy.onnx".into()], rows));
        drop(folder);
        let error = model.write_to(&path, Weights::AsTheyAre).unwrap_err();
        assert_eq!(error.kind(), Kind::Io, "{error}");
    }

    #[test]
    fn a_model_may_be_written_over_itself() {
        let (_folder, path) = written();
        for weights in [Weights::Beside(0), Weights::Beside(0), Weights::AsTheyAre] {
            Model::read(&path).unwrap().write_to(&path, weights).unwrap();
            let data = "m.onnx.data";
            let rows = [("weight", data, 0, 1.0), ("bias", data, 8192, 0.25)];
            assert_eq!(tensors(&Model::read(&path).unwrap()), of(&rows));
        }
    }

    #[test]
    fn a_model_too_large_for_one_file_becomes_two() {
        let (_folder, path) = written();
        let model = Model::read(&path).unwrap();
        let copy = path.with_file_name("copy.onnx");
        let error = model.write_within(&copy, Weights::Inside, 3000).unwrap_err();
        assert!(error.is_limit() && error.to_string().contains("more than 3000"), "{error}");
        model.write_within(&copy, Weights::AsTheyAre, 1000).unwrap();
        let data = "copy.onnx.data";
        let rows = [("weight", data, 0, 1.0), ("bias", data, 4096, 0.25)];
        assert_eq!(tensors(&Model::read(&copy).unwrap()), of(&rows));
        fs::remove_file(&copy).unwrap();
        let error = model.write_within(&copy, Weights::AsTheyAre, 10).unwrap_err();
        assert!(error.is_limit() && !copy.exists(), "{error}");
    }

    #[test]
    fn names_that_a_model_could_not_hold() {
        let model = build::read(&build::small()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a:b.onnx");
        let error = model.write_to(&path, Weights::Beside(0)).unwrap_err();
        assert_eq!(error.kind(), Kind::Argument, "{error}");
        model.write_to(&path, Weights::AsTheyAre).unwrap();
        assert_eq!(fs::read(&path).unwrap(), model.bytes()[..]);
    }

    #[test]
    fn numbers_in_typed_fields_become_their_bytes() {
        let of = |data_type, numbers: &[i32]| {
            let tensor =
                TensorProto { data_type, int32_data: numbers.to_vec(), ..Default::default() };
            raw(&tensor).unwrap().into_owned()
        };
        assert_eq!(of(3, &[-1, 2]), [255, 2]);
        assert_eq!(of(10, &[0x3c00]), [0, 0x3c]);
        assert_eq!(of(6, &[-2]), [254, 255, 255, 255]);
        let long = TensorProto { data_type: 12, uint64_data: vec![7], ..Default::default() };
        assert_eq!(raw(&long).unwrap().as_ref(), [7, 0, 0, 0]);
        assert!(raw(&TensorProto { data_type: 8, ..Default::default() }).is_none());
    }
}
