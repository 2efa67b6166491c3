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
use super::proto::{EXTERNAL, GraphProto, ModelProto, StringStringEntryProto, TensorProto};
use super::value::Element;
use super::write::Plan;
use super::{MAX_FILE_BYTES, Model};
use crate::error::{Error, Kind, Result, ResultExt};
use crate::whole_file::WholeFile;

/// Where weights begin in their file: at the pages of most machines.
const ALIGNMENT: u64 = 4096;

/// Smaller tensors, such as shapes, stay in a model that is too large for one file.
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
    /// Those that are in other files now, and initializers of at least so many bytes.
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
            Weights::Beside(bytes) => Some(bytes),
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

/// Where a tensor is in a model: runtimes take weights from files for initializers of graphs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Home {
    /// An initializer of the main graph.
    Main,
    /// Anywhere else.
    Inner,
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
        let message =
            format!("{} is no name that a model can call its weights by", path.display());
        Error::new(Kind::Argument, message).help("name it with letters, digits and dots")
    })
}

/// Shows `visit` every tensor of the model. Graphs nest no deeper than messages may.
fn each_tensor(
    model: &mut ModelProto,
    visit: &mut dyn FnMut(&mut TensorProto, Home) -> Result<()>,
) -> Result<()> {
    for graph in &mut model.graph {
        for tensor in &mut graph.initializer {
            visit(tensor, Home::Main)?;
        }
        let mut inner = |tensor: &mut TensorProto| visit(tensor, Home::Inner);
        each_in_nodes(&mut graph.node, &mut inner)?;
        each_sparse(graph, &mut inner)?;
    }
    let mut inner = |tensor: &mut TensorProto| visit(tensor, Home::Inner);
    for function in &mut model.functions {
        each_in_nodes(&mut function.node, &mut inner)?;
    }
    Ok(())
}

fn each_in_nodes(
    nodes: &mut [super::proto::NodeProto],
    visit: &mut dyn FnMut(&mut TensorProto) -> Result<()>,
) -> Result<()> {
    for attribute in nodes.iter_mut().flat_map(|node| &mut node.attribute) {
        for tensor in attribute.t.iter_mut().chain(&mut attribute.tensors) {
            visit(tensor)?;
        }
        for graph in attribute.g.iter_mut().chain(&mut attribute.graphs) {
            for tensor in &mut graph.initializer {
                visit(tensor)?;
            }
            each_in_nodes(&mut graph.node, visit)?;
            each_sparse(graph, visit)?;
        }
    }
    Ok(())
}

fn each_sparse(
    graph: &mut GraphProto,
    visit: &mut dyn FnMut(&mut TensorProto) -> Result<()>,
) -> Result<()> {
    for sparse in &mut graph.sparse_initializer {
        for tensor in sparse.values.iter_mut().chain(&mut sparse.indices) {
            visit(tensor)?;
        }
    }
    Ok(())
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
