//! An edited model as bytes: what was not touched is copied as it stood in the file.
//!
//! `prost` forgets fields that it does not know, and later ONNX versions add some. So the original
//! bytes are walked field by field: a node, tensor or value that decodes to what the edited model
//! has goes out as its own range of bytes, unknown fields of the model and its graph too, and only
//! what is new or changed is encoded. A model that nothing was done to comes back byte for byte.
//!
//! Every size is counted in `u64` before anything is allocated, and weights are copied once.

use std::collections::{BTreeMap, HashMap, VecDeque};

use bytes::Bytes;
use prost::Message;
use prost::encoding::{self, WireType};

use super::proto::{
    DeviceConfigurationProto, FunctionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto,
    SparseTensorProto, StringStringEntryProto, TensorAnnotation, TensorProto, TrainingInfoProto,
    ValueInfoProto,
};
use super::wire::{self, broken};
use crate::error::Result;

/// The graph's field in a model.
const GRAPH: u64 = 7;

/// Of originals with one name, so many are compared with what was edited.
const CANDIDATES: usize = 8;

/// What will be written, as ranges of the original and messages to encode.
pub(super) struct Plan<'a> {
    original: &'a Bytes,
    pieces: Vec<Piece<'a>>,
    changed: bool,
}

enum Piece<'a> {
    /// Bytes of the original.
    Kept(&'a [u8]),
    /// A message that is new or changed, as this field.
    New(u32, &'a dyn Encode),
    /// A tag and a length, or a short field.
    Short(Vec<u8>),
}

impl<'a> Plan<'a> {
    /// How to write `edited`, which came from the bytes `original` of a checked model.
    ///
    /// # Errors
    /// Those of reading, if `original` is no model.
    pub fn of(original: &'a Bytes, edited: &'a ModelProto) -> Result<Self> {
        let before = ModelProto::decode(original.clone()).map_err(|e| broken().because(e))?;
        let mut splice = Splice::of(vec![original], &[GRAPH, 8, 14, 20, 25, 26])?;
        splice.list(8, &before.opset_import, &edited.opset_import)?;
        splice.list(14, &before.metadata_props, &edited.metadata_props)?;
        splice.list(20, &before.training_info, &edited.training_info)?;
        splice.list(25, &before.functions, &edited.functions)?;
        splice.list(26, &before.configuration, &edited.configuration)?;
        splice.int(1, before.ir_version, edited.ir_version);
        splice.text(2, &before.producer_name, &edited.producer_name);
        splice.text(3, &before.producer_version, &edited.producer_version);
        splice.text(4, &before.domain, &edited.domain);
        splice.int(5, before.model_version, edited.model_version);
        splice.text(6, &before.doc_string, &edited.doc_string);
        if let (Some(before), Some(edited)) = (&before.graph, &edited.graph) {
            // A message that stands twice means both after each other.
            let parts = splice.lists.get(&GRAPH).into_iter().flatten();
            let inner = graph(parts.map(|field| field.payload).collect(), before, edited)?;
            let mut head = Vec::new();
            encoding::encode_key(7, WireType::LengthDelimited, &mut head);
            encoding::encode_varint(total(&inner.pieces), &mut head);
            let pieces = std::iter::once(Piece::Short(head)).chain(inner.pieces).collect();
            splice.replace(GRAPH, pieces, inner.changed);
        }
        let Spliced { pieces, changed } = splice.finish()?;
        Ok(Self { original, pieces, changed })
    }

    /// How many bytes it will be.
    pub fn len(&self) -> u64 {
        if self.changed { total(&self.pieces) } else { self.original.len() as u64 }
    }

    /// The bytes; the original ones themselves if nothing was edited.
    pub fn bytes(&self) -> Bytes {
        if !self.changed {
            return self.original.clone();
        }
        let mut file = Vec::with_capacity(usize::try_from(self.len()).unwrap_or(0));
        for piece in &self.pieces {
            match piece {
                Piece::Kept(bytes) => file.extend_from_slice(bytes),
                Piece::New(number, message) => message.encode_as(*number, &mut file),
                Piece::Short(bytes) => file.extend_from_slice(bytes),
            }
        }
        file.into()
    }
}

fn graph<'a>(
    parts: Vec<&'a [u8]>,
    before: &GraphProto,
    edited: &'a GraphProto,
) -> Result<Spliced<'a>> {
    let mut splice = Splice::of(parts, &[1, 5, 11, 12, 13, 14, 15, 16])?;
    splice.list(1, &before.node, &edited.node)?;
    splice.text(2, &before.name, &edited.name);
    splice.list(5, &before.initializer, &edited.initializer)?;
    splice.text(10, &before.doc_string, &edited.doc_string);
    splice.list(11, &before.input, &edited.input)?;
    splice.list(12, &before.output, &edited.output)?;
    splice.list(13, &before.value_info, &edited.value_info)?;
    splice.list(14, &before.quantization_annotation, &edited.quantization_annotation)?;
    splice.list(15, &before.sparse_initializer, &edited.sparse_initializer)?;
    splice.list(16, &before.metadata_props, &edited.metadata_props)?;
    splice.finish()
}

/// A message on its way from its original bytes to its edited ones.
struct Splice<'a> {
    /// The payload of the message, in as many parts as the file has of it.
    parts: Vec<&'a [u8]>,
    /// By number: the fields that hold messages, in order.
    lists: BTreeMap<u64, Vec<wire::RawField<'a>>>,
    /// By number: what stands for all fields of that number, where the first of them was.
    replaced: BTreeMap<u64, Vec<Piece<'a>>>,
    changed: bool,
}

struct Spliced<'a> {
    pieces: Vec<Piece<'a>>,
    changed: bool,
}

impl<'a> Splice<'a> {
    /// A message whose fields `messages` hold messages.
    fn of(parts: Vec<&'a [u8]>, messages: &[u64]) -> Result<Self> {
        let mut lists: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for field in parts.iter().flat_map(|part| wire::fields(part)) {
            let field = field?;
            // Numbers, texts and unknown fields are not held: a file could have no end of them.
            if messages.contains(&field.number) {
                lists.entry(field.number).or_default().push(field);
            }
        }
        Ok(Self { parts, lists, replaced: BTreeMap::new(), changed: false })
    }

    fn replace(&mut self, number: u64, pieces: Vec<Piece<'a>>, changed: bool) {
        self.replaced.insert(number, pieces);
        self.changed |= changed;
    }

    /// The messages of field `number`: those that are as before keep their bytes.
    fn list<M: Part>(&mut self, number: u32, before: &[M], edited: &'a [M]) -> Result<()> {
        let none = Vec::new();
        let raw = self.lists.get(&u64::from(number)).unwrap_or(&none);
        if raw.len() != before.len() {
            return Err(broken());
        }
        let mut waiting: HashMap<&str, VecDeque<usize>> = HashMap::new();
        for (index, message) in before.iter().enumerate() {
            waiting.entry(message.key()).or_default().push_back(index);
        }
        let mut changed = before.len() != edited.len();
        let mut pieces = Vec::with_capacity(edited.len());
        for (index, message) in edited.iter().enumerate() {
            let kept = waiting.get_mut(message.key()).and_then(|queue| {
                let same = |&original: &usize| before[original].same(message);
                let place = queue.iter().take(CANDIDATES).position(same)?;
                queue.remove(place)
            });
            changed |= kept != Some(index);
            pieces.push(match kept {
                Some(original) => Piece::Kept(raw[original].whole),
                None => Piece::New(number, message),
            });
        }
        self.replace(u64::from(number), pieces, changed);
        Ok(())
    }

    fn int(&mut self, number: u32, before: i64, edited: i64) {
        if before != edited {
            let mut field = Vec::new();
            encoding::int64::encode(number, &edited, &mut field);
            self.replace(u64::from(number), vec![Piece::Short(field)], true);
        }
    }

    fn text(&mut self, number: u32, before: &str, edited: &String) {
        if before != edited {
            let mut field = Vec::new();
            encoding::string::encode(number, edited, &mut field);
            self.replace(u64::from(number), vec![Piece::Short(field)], true);
        }
    }

    /// Everything in its place: what was not replaced as it was, new kinds of fields last.
    fn finish(self) -> Result<Spliced<'a>> {
        let Self { parts, mut replaced, changed, .. } = self;
        let numbers: Vec<u64> = replaced.keys().copied().collect();
        let mut pieces = Vec::new();
        // Neighbours that stay are one piece, so that no file makes more pieces than messages.
        for part in parts {
            let mut rest = part;
            let mut kept = 0;
            for field in wire::fields(part) {
                let field = field?;
                if !numbers.contains(&field.number) {
                    kept += field.whole.len();
                    continue;
                }
                let (before, after) = rest.split_at(kept);
                pieces.push(Piece::Kept(before));
                rest = &after[field.whole.len()..];
                kept = 0;
                pieces.extend(replaced.remove(&field.number).into_iter().flatten());
            }
            pieces.push(Piece::Kept(rest));
        }
        pieces.extend(replaced.into_values().flatten());
        Ok(Spliced { pieces, changed })
    }
}

fn total(pieces: &[Piece<'_>]) -> u64 {
    let length = |piece: &Piece<'_>| match piece {
        Piece::Kept(bytes) => bytes.len() as u64,
        Piece::New(number, message) => message.length_as(*number),
        Piece::Short(bytes) => bytes.len() as u64,
    };
    pieces.iter().map(length).sum()
}

/// A message of any kind, to be encoded as a field.
trait Encode {
    fn length_as(&self, number: u32) -> u64;
    fn encode_as(&self, number: u32, file: &mut Vec<u8>);
}

impl<M: Message> Encode for M {
    fn length_as(&self, number: u32) -> u64 {
        encoding::message::encoded_len(number, self) as u64
    }

    fn encode_as(&self, number: u32, file: &mut Vec<u8>) {
        encoding::message::encode(number, self, file);
    }
}

/// A message that a model or graph has a list of.
trait Part: Message + PartialEq + Sized {
    /// A name by which its original is found.
    fn key(&self) -> &str;

    /// Whether both mean the same. A NaN, which equals nothing, is compared by its bits.
    fn same(&self, other: &Self) -> bool {
        self == other || same_bytes(self, other)
    }
}

fn same_bytes<M: Message>(one: &M, other: &M) -> bool {
    one.encoded_len() == other.encoded_len() && one.encode_to_vec() == other.encode_to_vec()
}

impl Part for TensorProto {
    fn key(&self) -> &str {
        &self.name
    }

    /// Without a copy of the raw data.
    fn same(&self, other: &Self) -> bool {
        let bare = |tensor: &Self| Self { raw_data: None, ..tensor.clone() };
        self == other || (self.raw_data == other.raw_data && same_bytes(&bare(self), &bare(other)))
    }
}

impl Part for NodeProto {
    fn key(&self) -> &str {
        self.output.first().unwrap_or(&self.name)
    }
}

impl Part for SparseTensorProto {
    fn key(&self) -> &str {
        self.values.as_ref().map_or("", |values| &values.name)
    }
}

impl Part for TrainingInfoProto {
    fn key(&self) -> &str {
        ""
    }
}

/// Messages that are found by one of their texts.
macro_rules! parts {
    ($($message:ident by $field:ident),+ $(,)?) => {$(
        impl Part for $message {
            fn key(&self) -> &str {
                &self.$field
            }
        }
    )+};
}

parts! {
    ValueInfoProto by name,
    StringStringEntryProto by key,
    OperatorSetIdProto by domain,
    FunctionProto by name,
    TensorAnnotation by tensor_name,
    DeviceConfigurationProto by name,
}

#[cfg(test)]
mod tests;
