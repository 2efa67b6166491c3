//! Matrix products. For Y = A B: dA = G Bᵀ and dB = Aᵀ G, each summed over axes along which it was
//! stretched (Giles 2008, *An extended collection of matrix derivative results*, 2.2.2).

use super::back::{Back, Gradients};
use crate::error::Result;
use crate::graph::compose::{Attribute, Tensor};

/// A product over the last two axes.
pub(super) fn matmul(back: &mut Back<'_>) -> Gradients {
    let (a, b, g) = (back.input(0)?, back.input(1)?, back.gradient()?);
    let (a_dims, b_dims) = (back.dims_of(&a), back.dims_of(&b));
    // A vector is a matrix of one row on the left, of one column on the right.
    let rows = if a_dims.len() == 1 { vec![1, a_dims[0]] } else { a_dims.clone() };
    let columns = if b_dims.len() == 1 { vec![b_dims[0], 1] } else { b_dims.clone() };
    let mut whole = back.dims_of(&g);
    if a_dims.len() == 1 {
        whole.insert(whole.len() - usize::from(b_dims.len() > 1), 1);
    }
    if b_dims.len() == 1 {
        whole.push(1);
    }
    let a2 = back.reshape(&a, &rows)?;
    let b2 = back.reshape(&b, &columns)?;
    let g2 = back.reshape(&g, &whole)?;
    if columns.len() == 2 {
        return flat(back, [&a2, &b2, &g2], [&a_dims, &b_dims]);
    }
    let first = match back.needs(0) {
        true => {
            let turned = back.swap_last(&b2)?;
            let product = back.matmul(&g2, &turned)?;
            let fitted = back.unstretch(&product, &rows)?;
            Some(back.reshape(&fitted, &a_dims)?)
        }
        false => None,
    };
    let second = match back.needs(1) {
        true => {
            let turned = back.swap_last(&a2)?;
            let product = back.matmul(&turned, &g2)?;
            let fitted = back.unstretch(&product, &columns)?;
            Some(back.reshape(&fitted, &b_dims)?)
        }
        false => None,
    };
    Ok(vec![first, second])
}

/// The right side is one matrix: all rows of the left are rows of one product.
fn flat(
    back: &mut Back<'_>,
    [a, b, g]: [&Tensor; 3],
    [a_dims, b_dims]: [&[usize]; 2],
) -> Gradients {
    let (inner, width) = (back.dims(b)[0], back.dims(b)[1]);
    let rows = back.count(g) / width.max(1);
    let g = back.reshape(g, &[rows, width])?;
    let first = match back.needs(0) {
        true => {
            let product = back.op("Gemm", &[&g, b], &[Attribute::Int("transB", 1)])?;
            Some(back.reshape(&product, a_dims)?)
        }
        false => None,
    };
    let second = match back.needs(1) {
        true => {
            let a = back.reshape(a, &[rows, inner])?;
            let product = back.op("Gemm", &[&a, &g], &[Attribute::Int("transA", 1)])?;
            Some(back.reshape(&product, b_dims)?)
        }
        false => None,
    };
    Ok(vec![first, second])
}

/// Y = α A' B' + β C, where ' may turn a matrix.
pub(super) fn gemm(back: &mut Back<'_>) -> Gradients {
    let (a, b, g) = (back.input(0)?, back.input(1)?, back.gradient()?);
    let (alpha, beta) = (back.float("alpha", 1.0), back.float("beta", 1.0));
    let (turn_a, turn_b) = (back.int("transA", 0) != 0, back.int("transB", 0) != 0);
    let first = match back.needs(0) {
        // dA' = G B'ᵀ; turned, dA = B' Gᵀ.
        true if turn_a => Some(product(back, (&b, turn_b), (&g, true), alpha)?),
        true => Some(product(back, (&g, false), (&b, !turn_b), alpha)?),
        false => None,
    };
    let second = match back.needs(1) {
        // dB' = A'ᵀ G; turned, dB = Gᵀ A'.
        true if turn_b => Some(product(back, (&g, true), (&a, turn_a), alpha)?),
        true => Some(product(back, (&a, !turn_a), (&g, false), alpha)?),
        false => None,
    };
    let third = match (back.needs(2), back.optional(2)) {
        (true, Some(c)) => {
            let dims = back.dims_of(&c);
            let fitted = back.unstretch(&g, &dims)?;
            Some(if beta == 1.0 { fitted } else { back.scale(&fitted, beta)? })
        }
        _ => None,
    };
    Ok(vec![first, second, third])
}

#[allow(clippy::cast_possible_truncation)]
fn product(
    back: &mut Back<'_>,
    (a, turn_a): (&Tensor, bool),
    (b, turn_b): (&Tensor, bool),
    alpha: f64,
) -> Result<Tensor> {
    let attributes = [
        Attribute::Int("transA", turn_a.into()),
        Attribute::Int("transB", turn_b.into()),
        Attribute::Float("alpha", alpha as f32),
    ];
    back.op("Gemm", &[a, b], &attributes)
}
