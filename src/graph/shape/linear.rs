//! Matrix products.
//!
//! Source: <https://onnx.ai/onnx/operators/onnx__Gemm.html>, `MatMul`, `Einsum`

use std::collections::BTreeMap;

use super::call::{Call, contradiction};
use super::elementwise::broadcast;
use super::fact::Fact;
use crate::error::Result;
use crate::graph::value::Element;

/// `alpha · A · B + beta · C`, either transposed.
pub(super) fn gemm(call: &Call<'_>) -> Result<Vec<Fact>> {
    let (Some(a), Some(b)) = (call.dims(0), call.dims(1)) else { return Ok(call.like(0, None)) };
    let misfit =
        || contradiction(format!("{} and {} cannot be multiplied", call.show(0), call.show(1)));
    let (&[mut rows, mut inner], &[mut outer, mut columns]) = (a, b) else { return Err(misfit()) };
    if call.int("transA", 0) != 0 {
        (rows, inner) = (inner, rows);
    }
    if call.int("transB", 0) != 0 {
        (outer, columns) = (columns, outer);
    }
    if inner != outer {
        return Err(misfit());
    }
    let dims = vec![rows, columns];
    if let Some(c) = call.dims(2)
        && broadcast(&dims, c).as_ref() != Some(&dims)
    {
        return Err(contradiction(format!("{} does not fit {dims:?}", call.show(2))));
    }
    Ok(call.like(0, Some(dims)))
}

/// Matrices in the last two dimensions, the others stretched; a single row or column is a matrix.
pub(super) fn matmul(call: &Call<'_>) -> Result<Vec<Fact>> {
    let element = match call.node.op_type.as_str() {
        "MatMulInteger" => Some(Element::I32),
        _ => call.element(0),
    };
    let (Some(a), Some(b)) = (call.dims(0), call.dims(1)) else {
        return Ok(vec![Fact::of(element, None)]);
    };
    let misfit =
        || contradiction(format!("{} and {} cannot be multiplied", call.show(0), call.show(1)));
    let (before, rows, inner) = match a {
        [] => return Err(misfit()),
        &[inner] => (&[][..], None, inner),
        [before @ .., rows, inner] => (before, Some(*rows), *inner),
    };
    let (around, outer, columns) = match b {
        [] => return Err(misfit()),
        &[outer] => (&[][..], outer, None),
        [around @ .., outer, columns] => (around, *outer, Some(*columns)),
    };
    if inner != outer {
        return Err(misfit());
    }
    let mut dims = broadcast(before, around).ok_or_else(misfit)?;
    dims.extend(rows);
    dims.extend(columns);
    Ok(vec![Fact::of(element, Some(dims))])
}

/// A sum of products, letter by letter; equations with dots are left to the runtime.
pub(super) fn einsum(call: &Call<'_>) -> Result<Vec<Fact>> {
    let equation = String::from_utf8_lossy(call.text("equation")).replace(' ', "");
    let unknown = Ok(call.like(0, None));
    if equation.contains('.') {
        return unknown;
    }
    let (terms, output) = match equation.split_once("->") {
        Some((terms, output)) => (terms, Some(output)),
        None => (equation.as_str(), None),
    };
    let terms: Vec<&str> = terms.split(',').collect();
    if terms.len() != call.node.input.len() {
        let (terms, inputs) = (terms.len(), call.node.input.len());
        return Err(contradiction(format!("`{equation}` has {terms} terms for {inputs} inputs")));
    }
    let mut sizes: BTreeMap<char, (usize, usize)> = BTreeMap::new();
    for (input, term) in terms.iter().enumerate() {
        let Some(dims) = call.dims(input) else { return unknown };
        if term.chars().count() != dims.len() {
            return Err(contradiction(format!("`{term}` does not fit {}", call.show(input))));
        }
        for (letter, &size) in term.chars().zip(dims) {
            let (known, times) = sizes.entry(letter).or_insert((size, 0));
            *times += 1;
            match (*known, size) {
                (1, _) => *known = size,
                (known, size) if known == size || size == 1 => (),
                (known, _) => {
                    let message = format!("`{letter}` is {known} long, but not in ");
                    return Err(contradiction(message + &call.show(input)));
                }
            }
        }
    }
    let output = output.map_or_else(
        || sizes.iter().filter(|(_, (_, times))| *times == 1).map(|(letter, _)| *letter).collect(),
        ToOwned::to_owned,
    );
    let size = |letter| sizes.get(&letter).map(|(size, _)| *size);
    let dims: Option<Vec<usize>> = output.chars().map(size).collect();
    let none = || contradiction(format!("`{equation}` gives a letter that no input has"));
    Ok(call.like(0, Some(dims.ok_or_else(none)?)))
}
