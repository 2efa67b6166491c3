//! A look at a file's bytes before anything is allocated for them.
//!
//! Two bytes of protobuf can ask for a message of several hundred, so a file within its own limit
//! could still take all memory when decoded. This scan follows the messages by their lengths,
//! holds nothing but the stack of open ones, and adds up what decoding will take. It also gives a
//! plain answer for files that are cut short, or are no ONNX at all.
//!
//! Source: <https://protobuf.dev/programming-guides/encoding/>

use std::mem::size_of;

use super::proto;
use super::{MAX_DEPTH, MAX_NODES, MAX_PARSED_BYTES};
use crate::error::{Error, Kind, Result};

/// No ONNX message has a field with a number above this; text and noise soon show one.
const MAX_FIELD: u64 = 512;

/// What a `String`, `Vec` or `Bytes` and its allocation take, besides what they hold.
const HANDLE_BYTES: u64 = 48;

/// The messages that hold others, or that a file may repeat without end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Message {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
    SparseTensor,
    ValueInfo,
    Type,
    TensorType,
    WrappedType,
    MapType,
    Shape,
    Function,
    Training,
    Annotation,
    NodeDevice,
    Sharding,
    ShardedDim,
    IntList,
    Device,
    /// Holds numbers and texts only.
    Leaf,
}

/// What a length-delimited field holds.
enum Field {
    Message(Message),
    /// A copied text or byte handle.
    Text,
    /// A slice of the file: costs its handle only.
    Slice,
    /// Packed numbers of a fixed width: as large decoded as they are here.
    Fixed,
    /// Packed numbers of one to ten bytes each.
    Varints,
}

impl Message {
    /// What field `number` of this message holds. Unknown fields count as texts.
    fn field(self, number: u64) -> Field {
        use Message as M;
        Field::Message(match (self, number) {
            (M::Model, 7) | (M::Attribute, 6 | 11) | (M::Training, 1 | 2) => M::Graph,
            (M::Model, 20) => M::Training,
            (M::Model, 25) => M::Function,
            (M::Model, 26) => M::Device,
            (M::Model, 8 | 14) | (M::Function, 9 | 14) | (M::Training, 3 | 4) => M::Leaf,
            (M::Graph, 1) | (M::Function, 7) => M::Node,
            (M::Graph, 5) | (M::Attribute, 5 | 10) | (M::SparseTensor, 1 | 2) => M::Tensor,
            (M::Graph, 11..=13) | (M::Function, 12) => M::ValueInfo,
            (M::Graph, 14) => M::Annotation,
            (M::Graph, 15) | (M::Attribute, 22 | 23) => M::SparseTensor,
            (M::Node, 5) | (M::Function, 11) => M::Attribute,
            (M::Node, 10) => M::NodeDevice,
            (M::Attribute, 14 | 15) | (M::ValueInfo, 2) | (M::WrappedType, 1) | (M::MapType, 2) => {
                M::Type
            }
            (M::Type, 1 | 8) => M::TensorType,
            (M::Type, 4 | 9) => M::WrappedType,
            (M::Type, 5) => M::MapType,
            (M::TensorType, 2) => M::Shape,
            (M::NodeDevice, 2) => M::Sharding,
            (M::Sharding, 3) => M::IntList,
            (M::Sharding, 4) => M::ShardedDim,
            (M::Graph, 16) | (M::Node, 9) | (M::ValueInfo, 4) | (M::Type, 7) | (M::Shape, 1) => {
                M::Leaf
            }
            (M::Tensor, 3 | 13 | 16) | (M::Annotation, 2) | (M::ShardedDim, 2) => M::Leaf,
            (M::Tensor, 6 | 9) | (M::Attribute, 4 | 9) => return Field::Slice,
            (M::Tensor, 4 | 10) | (M::Attribute, 7) => return Field::Fixed,
            (M::Tensor, 1 | 5 | 7 | 11) | (M::Attribute, 8) | (M::SparseTensor, 3) => {
                return Field::Varints;
            }
            (M::Sharding, 2) | (M::IntList, 2) => return Field::Varints,
            _ => return Field::Text,
        })
    }

    /// Bytes that the decoded message takes, without what it points at.
    fn size(self) -> u64 {
        let bytes = match self {
            Self::Model => size_of::<proto::ModelProto>(),
            Self::Graph => size_of::<proto::GraphProto>(),
            Self::Node => size_of::<proto::NodeProto>(),
            Self::Attribute => size_of::<proto::AttributeProto>(),
            Self::Tensor => size_of::<proto::TensorProto>(),
            Self::SparseTensor => size_of::<proto::SparseTensorProto>(),
            Self::ValueInfo => size_of::<proto::ValueInfoProto>(),
            Self::Function => size_of::<proto::FunctionProto>(),
            Self::Training => size_of::<proto::TrainingInfoProto>(),
            _ => 128,
        };
        // A growing vector may hold twice what it needs.
        2 * bytes as u64
    }
}

/// Follows the messages of `file` and refuses it before decoding would take too much.
///
/// # Errors
/// [`Kind::Model`] if lengths or tags make no sense, [`Kind::Limit`] past [`MAX_NODES`],
/// [`MAX_DEPTH`] or [`MAX_PARSED_BYTES`].
pub(super) fn scan(file: &[u8]) -> Result<()> {
    scan_within(file, MAX_PARSED_BYTES)
}

fn scan_within(file: &[u8], max_parsed_bytes: u64) -> Result<()> {
    let mut cursor = Cursor { file, at: 0 };
    let mut open = vec![(Message::Model, file.len())];
    let mut nodes = 0_usize;
    let mut parsed = 0_u64;
    while let Some(&(message, end)) = open.last() {
        if cursor.at == end {
            open.pop();
            continue;
        }
        let (number, wire) = cursor.tag(end)?;
        match wire {
            0 => {
                cursor.varint(end)?;
                parsed += 8;
            }
            1 => {
                cursor.skip(8, end)?;
                parsed += 8;
            }
            5 => {
                cursor.skip(4, end)?;
                parsed += 8;
            }
            2 => {
                let length = cursor.varint(end)?;
                let start = cursor.at;
                let inner = cursor.skip(length, end)?;
                parsed = parsed.saturating_add(match message.field(number) {
                    Field::Message(child) => {
                        cursor.at = start;
                        open.push((child, start + inner.len()));
                        nodes += usize::from(child == Message::Node);
                        child.size()
                    }
                    Field::Text => HANDLE_BYTES + length,
                    Field::Slice => HANDLE_BYTES,
                    Field::Fixed => length,
                    Field::Varints => 8 * inner.iter().filter(|&&byte| byte < 0x80).count() as u64,
                });
            }
            _ => return Err(broken()),
        }
        if nodes > MAX_NODES {
            return Err(limit(format!("it has more than {MAX_NODES} nodes")));
        }
        if open.len() > MAX_DEPTH {
            return Err(limit(format!("its messages nest deeper than {MAX_DEPTH}")));
        }
        if parsed > max_parsed_bytes {
            return Err(limit(format!("it would take more than {max_parsed_bytes} bytes parsed")));
        }
    }
    Ok(())
}

/// The error of a file whose bytes are no ONNX model.
pub(super) fn broken() -> Error {
    Error::new(Kind::Model, "truncated or not an ONNX file")
        .help("compare its size or checksum with the source, and fetch or export it again")
}

fn limit(message: String) -> Error {
    Error::new(Kind::Limit, message).help("no generator needs that: check where the file is from")
}

/// One field of a message as it stands in the file.
#[derive(Debug, Clone, Copy)]
pub(super) struct RawField<'a> {
    pub number: u64,
    /// All of it: tag, length and what follows.
    pub whole: &'a [u8],
    /// What follows the tag, and the length if there is one.
    pub payload: &'a [u8],
}

/// The fields of `message`, in the order of its bytes, whether ONNX knows them or not.
pub(super) fn fields(message: &[u8]) -> impl Iterator<Item = Result<RawField<'_>>> {
    let mut cursor = Cursor { file: message, at: 0 };
    std::iter::from_fn(move || {
        let (start, end) = (cursor.at, message.len());
        if start == end {
            return None;
        }
        let field = cursor.field(end).map(|(number, payload)| RawField {
            number,
            whole: &message[start..cursor.at],
            payload,
        });
        if field.is_err() {
            cursor.at = end;
        }
        Some(field)
    })
}

/// A place in the file; moves forward only, never past the end it is given.
struct Cursor<'a> {
    file: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// The number of the next field, and what follows its tag and length.
    fn field(&mut self, end: usize) -> Result<(u64, &'a [u8])> {
        let (number, wire) = self.tag(end)?;
        let start = self.at;
        let payload = match wire {
            0 => {
                self.varint(end)?;
                &self.file[start..self.at]
            }
            1 => self.skip(8, end)?,
            2 => {
                let length = self.varint(end)?;
                self.skip(length, end)?
            }
            5 => self.skip(4, end)?,
            _ => return Err(broken()),
        };
        Ok((number, payload))
    }

    /// The number and wire type of the next field.
    fn tag(&mut self, end: usize) -> Result<(u64, u64)> {
        let key = self.varint(end)?;
        match key >> 3 {
            1..=MAX_FIELD => Ok((key >> 3, key & 7)),
            _ => Err(broken()),
        }
    }

    fn varint(&mut self, end: usize) -> Result<u64> {
        let mut value = 0_u64;
        for shift in (0..70).step_by(7) {
            let &[byte] = self.skip(1, end)? else { return Err(broken()) };
            value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(broken())
    }

    fn skip(&mut self, length: u64, end: usize) -> Result<&'a [u8]> {
        let stop = usize::try_from(length).ok().and_then(|length| self.at.checked_add(length));
        let stop = stop.filter(|&stop| stop <= end).ok_or_else(broken)?;
        let bytes = self.file.get(self.at..stop).ok_or_else(broken)?;
        self.at = stop;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;
    use crate::graph::build;

    #[test]
    fn a_model_passes() {
        scan(&build::small().encode_to_vec()).unwrap();
    }

    #[test]
    fn two_byte_nodes_that_decode_to_gigabytes_are_refused() {
        let count = MAX_NODES + 1;
        let mut file = vec![0x3a];
        prost::encoding::encode_varint(2 * count as u64, &mut file);
        file.extend([0x0a, 0x00].repeat(count));
        let error = scan(&file).unwrap_err();
        assert!(error.is_limit(), "{error}");
        assert!(error.to_string().contains("nodes"), "{error}");
    }

    #[test]
    fn empty_texts_that_decode_to_gigabytes_are_refused() {
        let file = [0x12, 0x00].repeat(1000);
        assert!(scan_within(&file, 1000 * HANDLE_BYTES).is_ok());
        assert!(scan_within(&file, 999 * HANDLE_BYTES).unwrap_err().is_limit());
    }

    #[test]
    fn graphs_within_graphs_without_end_are_refused() {
        let mut graph = proto::GraphProto::default();
        for _ in 0..MAX_DEPTH {
            let attribute = proto::AttributeProto { g: Some(graph), ..Default::default() };
            let node = proto::NodeProto { attribute: vec![attribute], ..Default::default() };
            graph = proto::GraphProto { node: vec![node], ..Default::default() };
        }
        let file = proto::ModelProto { graph: Some(graph), ..Default::default() };
        let error = scan(&file.encode_to_vec()).unwrap_err();
        assert!(error.to_string().contains("nest deeper"), "{error}");
    }

    #[test]
    fn lengths_past_the_end_are_refused() {
        for file in [&[0x3a, 0x05, 0x00][..], &[0x3a, 0xff, 0xff, 0xff, 0xff, 0x0f], &[0x80; 20]] {
            assert_eq!(scan(file).unwrap_err().kind(), Kind::Model);
        }
        // A length inside a message that reaches past that message.
        assert!(scan(&[0x3a, 0x02, 0x0a, 0x04, 0x08, 0x01, 0x08, 0x01]).is_err());
    }

    #[test]
    fn text_and_groups_are_no_onnx() {
        for file in [&b"<!DOCTYPE html>"[..], b"{\"a\": 1}", &[0x0b, 0x0c], &[0x00, 0x00]] {
            assert_eq!(scan(file).unwrap_err().kind(), Kind::Model);
        }
    }
}
