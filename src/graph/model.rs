//! A checked model: what comes out of reading an ONNX file.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use prost::Message;

use super::constant::is_standard;
use super::linear::{self, LinearLayers};
use super::operators::{self, NodeName};
use super::proto::ModelProto;
use super::range::{self, OutputRange};
use super::value::ValueInfo;
use super::{MAX_FILE_BYTES, body, check, external, labels, wire};
use crate::error::{Error, Kind, Result, ResultExt};

/// Operators of ONNX Runtime itself, beside the standard.
const RUNTIME_DOMAIN: &str = "com.microsoft";

/// An ONNX model, read and checked.
///
/// The bytes of the file are held once; weights inside it are slices of them. Weights in other
/// files stay there.
pub struct Model {
    name: String,
    path: Option<PathBuf>,
    bytes: Bytes,
    proto: ModelProto,
    inputs: Vec<ValueInfo>,
    outputs: Vec<ValueInfo>,
    /// Canonical paths, in order of first use.
    external: Vec<PathBuf>,
}

impl Model {
    /// Reads the model at `path`, and checks it and the files of weights beside it.
    ///
    /// # Errors
    /// Names the file. [`Kind::Io`] if it is missing, a folder, or unreadable; [`Kind::Model`] if
    /// it is empty, cut short, no ONNX, or contradicts itself; [`Kind::Limit`] if it declares
    /// more than any generator needs, told before that is allocated.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = read_file(path)?;
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        Self::parse(name, Some(path), bytes).at(|| path.display())
    }

    /// Reads an embedded model: the same checks, and all weights must be inside.
    ///
    /// # Errors
    /// As [`Model::read`]; [`Kind::Model`] if weights lie in other files.
    pub fn from_bytes(name: &str, bytes: Bytes) -> Result<Self> {
        Self::parse(name.into(), None, bytes).at(|| name)
    }

    pub(super) fn parse(name: String, path: Option<&Path>, bytes: Bytes) -> Result<Self> {
        if bytes.len() as u64 > MAX_FILE_BYTES {
            return Err(too_large(bytes.len() as u64));
        }
        check_kind(&bytes)?;
        wire::scan(&bytes)?;
        let proto =
            ModelProto::decode(bytes.clone()).map_err(|error| wire::broken().because(error))?;
        check::check(&proto)?;
        let external = external::files(&proto, path)?;
        let graph = proto.graph.as_ref().ok_or_else(wire::broken)?;
        let constants = body::initializer_names(graph);
        let inputs = graph.input.iter().filter(|input| !constants.contains(input.name.as_str()));
        Ok(Self {
            name,
            path: path.map(Path::to_path_buf),
            inputs: inputs.map(ValueInfo::from_proto).collect(),
            outputs: graph.output.iter().map(ValueInfo::from_proto).collect(),
            external,
            bytes,
            proto,
        })
    }

    /// The file's name, or the name that an embedded model was given.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it, or the model that it was made from, was read; `None` if embedded. Files of
    /// weights are named from its folder.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// The bytes of the main file.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// What a run must be given: the graph's inputs that are no initializers, in order.
    #[must_use]
    pub fn inputs(&self) -> &[ValueInfo] {
        &self.inputs
    }

    /// What a run gives, in order; never empty.
    #[must_use]
    pub fn outputs(&self) -> &[ValueInfo] {
        &self.outputs
    }

    /// The place among [`Model::outputs`] of the one named `name`.
    ///
    /// # Errors
    /// [`Kind::Argument`] with the names there are.
    pub(crate) fn output_place(&self, name: &str) -> Result<usize> {
        self.outputs.iter().position(|output| output.name == name).ok_or_else(|| {
            let known: Vec<_> = self.outputs.iter().map(|output| output.name.as_str()).collect();
            Error::new(Kind::Argument, format!("no output is named `{name}`"))
                .help(format!("it has {}", known.join(", ")))
        })
    }

    /// The place among [`Model::inputs`] of the one named `name`.
    ///
    /// # Errors
    /// [`Kind::Argument`] with the names there are.
    pub(super) fn input_place(&self, name: &str) -> Result<usize> {
        self.inputs.iter().position(|input| input.name == name).ok_or_else(|| {
            let known: Vec<_> = self.inputs.iter().map(|input| input.name.as_str()).collect();
            Error::new(Kind::Argument, format!("no input is named `{name}`"))
                .help(format!("its inputs: {}", known.join(", ")))
        })
    }

    /// The value of `key` in the model's own metadata.
    #[must_use]
    pub fn metadata(&self, key: &str) -> Option<&str> {
        let mut entries = self.proto.metadata_props.iter();
        entries.find(|entry| entry.key == key).map(|entry| entry.value.as_str())
    }

    /// The version of the standard operators it is written in.
    #[must_use]
    pub fn opset(&self) -> Option<i64> {
        let mut sets = self.proto.opset_import.iter();
        sets.find(|set| is_standard(&set.domain)).map(|set| set.version)
    }

    /// What wrote the file, with its version where known: `pytorch 2.9.0`; empty if it is silent.
    #[must_use]
    pub fn producer(&self) -> String {
        let text = format!("{} {}", self.proto.producer_name, self.proto.producer_version);
        text.trim().to_owned()
    }

    /// The number of elements of all initializers.
    #[must_use]
    pub fn parameters(&self) -> u64 {
        operators::parameters(&self.proto)
    }

    /// The nodes that draw random numbers of their own, also inside subgraphs and local functions:
    /// with them equal latents do not give equal images.
    #[must_use]
    pub fn random_nodes(&self) -> Vec<NodeName> {
        operators::random(&self.proto)
    }

    /// Operators that neither the standard, nor ONNX Runtime, nor the model itself defines, as
    /// (domain, operator), sorted. They run only with a library of custom operators.
    #[must_use]
    pub fn custom_operators(&self) -> Vec<(String, String)> {
        operators::of_domains(&self.proto, |domain| {
            !is_standard(domain) && domain != "ai.onnx.ml" && domain != RUNTIME_DOMAIN
        })
    }

    /// Operators that are ONNX Runtime's own, as (domain, operator), sorted. Providers other than
    /// its own may lack them.
    #[must_use]
    pub fn runtime_operators(&self) -> Vec<(String, String)> {
        operators::of_domains(&self.proto, |domain| domain == RUNTIME_DOMAIN)
    }

    /// The files beside the model that hold weights: canonical, in order of first use.
    #[must_use]
    pub fn external_files(&self) -> &[PathBuf] {
        &self.external
    }

    /// Feeds `hasher` the main file and then each external one in order of first use, each after
    /// its length as a little-endian `u64`.
    ///
    /// # Errors
    /// [`Kind::Io`] if an external file cannot be read, or changes meanwhile.
    pub fn hash_into(&self, hasher: &mut blake3::Hasher) -> Result<()> {
        hash_files(&self.bytes, &self.external, hasher)
    }

    /// Between which values the output named `output` lies, and which operator sees to that;
    /// `None` if the graph does not tell, or has no such output.
    #[must_use]
    pub fn output_range(&self, output: &str) -> Option<OutputRange> {
        let output = self.outputs.iter().find(|candidate| candidate.name == output)?;
        range::output_range(&self.proto, output)
    }

    /// How many classes the integer input named `input` chooses from, told by the table it looks
    /// up or the one-hot code it becomes; `None` if the graph does not tell.
    #[must_use]
    pub fn class_count(&self, input: &str) -> Option<u64> {
        let input = self.inputs.iter().find(|candidate| candidate.name == input)?;
        if !input.element.is_integer() {
            return None;
        }
        labels::class_count(&self.proto, &input.name)
    }

    /// The first linear layers with constant weights that read the input named `input`, a row of
    /// which (without the batch dimension, if it is `batched`) has the dimensions `row`.
    #[must_use]
    pub fn linear_layers(&self, input: &str, row: &[usize], batched: bool) -> LinearLayers {
        linear::layers(&self.proto, input, row, batched)
    }

    pub(super) fn proto(&self) -> &ModelProto {
        &self.proto
    }
}

impl fmt::Debug for Model {
    /// Without the weights.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Model")
            .field("name", &self.name)
            .field("path", &self.path)
            .field("bytes", &self.bytes.len())
            .field("inputs", &self.inputs)
            .field("outputs", &self.outputs)
            .field("external", &self.external)
            .finish_non_exhaustive()
    }
}

/// See [`Model::hash_into`].
pub(super) fn hash_files(
    bytes: &[u8],
    files: &[PathBuf],
    hasher: &mut blake3::Hasher,
) -> Result<()> {
    hasher.update(&(bytes.len() as u64).to_le_bytes());
    hasher.update(bytes);
    for path in files {
        let failed = |error| Error::io(path, "read", error);
        let file = File::open(path).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        hasher.update(&length.to_le_bytes());
        let before = hasher.count();
        hasher.update_reader(file.take(length)).map_err(failed)?;
        if hasher.count() - before != length {
            return Err(Error::new(Kind::Io, format!("{} changed while read", path.display())));
        }
    }
    Ok(())
}

/// All bytes of the file at `path`, which must be a plain file within [`MAX_FILE_BYTES`].
fn read_file(path: &Path) -> Result<Bytes> {
    let failed = |error| {
        Error::io(path, "read", error).help("give the path of a generator exported to ONNX")
    };
    // Asked before opening: a pipe would block, a device never end.
    let metadata = path.metadata().map_err(failed)?;
    if metadata.is_dir() {
        return Err(Error::new(Kind::Io, format!("{} is a folder", path.display()))
            .help("give the path of the .onnx file inside it"));
    }
    if !metadata.is_file() {
        return Err(Error::new(Kind::Io, format!("{} is no plain file", path.display())));
    }
    if metadata.len() > MAX_FILE_BYTES {
        return Err(too_large(metadata.len()).at(path.display()));
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes.into())
}

fn too_large(bytes: u64) -> Error {
    let message =
        format!("the file has {bytes} bytes, more than the {MAX_FILE_BYTES} of the format");
    Error::new(Kind::Limit, message).help("keep the weights in a file beside it (external data)")
}

/// Tells apart what people hand over by mistake, each with its own way out.
fn check_kind(bytes: &[u8]) -> Result<()> {
    let (what, help) = match bytes {
        [] => ("the file is empty", "fetch or export it again"),
        [b'P', b'K', 3, 4, ..] => (
            "this is a zip archive, as PyTorch checkpoints are, and not an ONNX file",
            "unpack it, or export the generator with torch.onnx.export",
        ),
        _ if bytes.starts_with(b"version https://git-lfs") => (
            "this is a Git LFS pointer and not the ONNX file it stands for",
            "run `git lfs pull` where it was cloned",
        ),
        _ => return Ok(()),
    };
    Err(Error::new(Kind::Model, what).help(help))
}
