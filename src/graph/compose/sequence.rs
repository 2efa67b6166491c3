//! Lists of tensors, as exporters leave them where a tensor is cut into parts: `SplitToSequence`, of
//! which `SequenceAt` takes one. Here they are several tensors.

use super::{Attribute, Composer, Tensor};
use crate::error::{Error, Kind, Result};
use crate::graph::constant::int_attribute;
use crate::graph::proto::NodeProto;

/// The parts that `node`, a `SplitToSequence`, cuts `x` into; `lengths` says how.
pub(super) fn parts(
    c: &mut Composer,
    node: &NodeProto,
    x: &Tensor,
    lengths: Option<&Tensor>,
) -> Result<Vec<Tensor>> {
    let dims = c.dims(x).to_vec();
    let axis = int_attribute(node, "axis").unwrap_or(0);
    let place = if axis < 0 { axis + dims.len() as i64 } else { axis };
    let place = usize::try_from(place).ok().filter(|place| *place < dims.len());
    let place = place.ok_or_else(|| unknown(&format!("axis {axis} of {dims:?}")))?;
    let whole = dims[place];
    let lengths = match lengths {
        None => vec![1; whole],
        Some(lengths) => {
            let is_list = !c.dims(lengths).is_empty();
            let known = c.known_ints(lengths).ok_or_else(|| unknown("parts of unknown sizes"))?;
            match known {
                [each] if !is_list => chunks(whole, usize::try_from(*each).unwrap_or(whole)),
                known => known.iter().map(|&one| usize::try_from(one).unwrap_or(0)).collect(),
            }
        }
    };
    if lengths.iter().sum::<usize>() != whole {
        return Err(unknown(&format!("parts of {lengths:?} of {whole}")));
    }
    // Parts of one, where nothing says how, lose their axis unless they are told to keep it.
    let drops = node.input.len() < 2 && int_attribute(node, "keepdims") == Some(0);
    let list: Vec<i64> = lengths.iter().map(|&one| one as i64).collect();
    let list = c.ints(&list);
    let axis = [Attribute::Int("axis", place as i64)];
    let made = c.ops("Split", &[Some(x), Some(&list)], &axis, lengths.len())?;
    if !drops {
        return Ok(made);
    }
    let rest: Vec<usize> = [&dims[..place], &dims[place + 1..]].concat();
    made.iter().map(|part| c.reshape(part, &rest)).collect()
}

/// The one of `list` that `place` names.
pub(super) fn at(c: &Composer, list: &[Tensor], place: &Tensor) -> Result<Tensor> {
    let known = c.known_ints(place).and_then(|known| known.first().copied());
    let number = known.map(|at| if at < 0 { at + list.len() as i64 } else { at });
    let found = number.and_then(|at| list.get(usize::try_from(at).ok()?));
    found.cloned().ok_or_else(|| unknown(&format!("part {known:?} of {}", list.len())))
}

fn chunks(whole: usize, each: usize) -> Vec<usize> {
    (0..whole).step_by(each.max(1)).map(|from| each.min(whole - from)).collect()
}

fn unknown(what: &str) -> Error {
    Error::new(Kind::Model, format!("cannot be cut: {what}"))
        .help("export the encoder for images of a fixed size")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Element;
    use crate::graph::nodes::int;

    /// The sizes of the parts of `[2, 5]` along the last axis.
    fn cut(lengths: Option<(&[usize], &[i64])>, keeps: i64) -> Result<Vec<Vec<usize>>> {
        let mut c = Composer::new();
        let x = c.input("x", Element::F32, &[2, 5])?;
        let lengths = lengths.map(|(dims, values)| c.int_tensor(dims, values));
        let mut input = vec!["x".to_owned()];
        input.extend(lengths.iter().map(|lengths| lengths.name().to_owned()));
        let attribute = vec![int("axis", -1), int("keepdims", keeps)];
        let node = NodeProto { input, attribute, ..Default::default() };
        let made = parts(&mut c, &node, &x, lengths.as_ref())?;
        let last = c.int_tensor(&[], &[-1]);
        assert_eq!(at(&c, &made, &last)?, made[made.len() - 1]);
        let behind = c.int_tensor(&[], &[made.len() as i64]);
        assert!(at(&c, &made, &behind).is_err());
        Ok(made.iter().map(|part| c.dims(part).to_vec()).collect())
    }

    #[test]
    fn parts_are_as_large_as_they_are_told_to_be() {
        assert_eq!(cut(Some((&[2], &[1, 4])), 1).unwrap(), [[2, 1], [2, 4]]);
        // One number is the size of all but the last; without a list it is one.
        assert_eq!(cut(Some((&[], &[2])), 0).unwrap(), [[2, 2], [2, 2], [2, 1]]);
        assert_eq!(cut(None, 1).unwrap(), [[2, 1]; 5]);
        assert_eq!(cut(None, 0).unwrap(), [[2]; 5]);
        assert!(cut(Some((&[2], &[1, 3])), 1).unwrap_err().to_string().contains("[1, 3] of 5"));
    }
}
