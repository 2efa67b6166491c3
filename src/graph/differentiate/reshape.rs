//! Elements that change places: the gradient goes the same way back, and where one element was
//! copied, its gradient is the sum over the copies.

use super::back::{Back, Gradients, only};

/// `Reshape`, `Flatten`, `Squeeze`, `Unsqueeze`: the order of the elements stays.
pub(super) fn reshape(back: &mut Back<'_>) -> Gradients {
    let (x, g) = (back.input(0)?, back.gradient()?);
    let dims = back.dims_of(&x);
    only(back.reshape(&g, &dims)?)
}

/// The axes back where they were.
pub(super) fn transpose(back: &mut Back<'_>) -> Gradients {
    let (x, g) = (back.input(0)?, back.gradient()?);
    let rank = back.dims(&x).len();
    let mut order: Vec<usize> =
        back.list("perm").iter().map(|&axis| usize::try_from(axis).unwrap_or(0)).collect();
    if order.is_empty() {
        order = (0..rank).rev().collect();
    }
    let mut inverse = vec![0; rank];
    order.iter().enumerate().for_each(|(to, &from)| inverse[from] = to);
    only(back.transpose(&g, &inverse)?)
}

/// The sum over what was stretched.
pub(super) fn expand(back: &mut Back<'_>) -> Gradients {
    let (x, g) = (back.input(0)?, back.gradient()?);
    let dims = back.dims_of(&x);
    only(back.unstretch(&g, &dims)?)
}

/// The sum over the copies.
pub(super) fn tile(back: &mut Back<'_>) -> Gradients {
    let (x, g) = (back.input(0)?, back.gradient()?);
    let repeats = back.known(1)?;
    let dims = back.dims_of(&x);
    let mut apart = Vec::new();
    for (&many, &size) in repeats.iter().zip(&dims) {
        apart.extend([usize::try_from(many).unwrap_or(0), size]);
    }
    let apart = back.reshape(&g, &apart)?;
    let axes: Vec<usize> = (0..dims.len()).map(|axis| 2 * axis).collect();
    only(back.sum(&apart, &axes, false)?)
}

/// [N, C, H, W] with blocks of b: as `SpaceToDepth`, with channels in the order of the mode.
pub(super) fn depth_to_space(back: &mut Back<'_>) -> Gradients {
    let (x, g) = (back.input(0)?, back.gradient()?);
    let dims = back.dims_of(&x);
    let block = usize::try_from(back.int("blocksize", 1)).unwrap_or(1);
    let (n, c, h, w) = (dims[0], dims[1] / (block * block), dims[2], dims[3]);
    let apart = back.reshape(&g, &[n, c, h, block, w, block])?;
    let order = match back.text("mode", "DCR").as_str() {
        "CRD" => [0, 1, 3, 5, 2, 4],
        _ => [0, 3, 5, 1, 2, 4],
    };
    let moved = back.transpose(&apart, &order)?;
    only(back.reshape(&moved, &dims)?)
}

/// [N, C, H, W] with blocks of b: as `DepthToSpace`.
pub(super) fn space_to_depth(back: &mut Back<'_>) -> Gradients {
    let (x, g) = (back.input(0)?, back.gradient()?);
    let dims = back.dims_of(&x);
    let block = usize::try_from(back.int("blocksize", 1)).unwrap_or(1);
    let (n, c, h, w) = (dims[0], dims[1], dims[2] / block, dims[3] / block);
    let apart = back.reshape(&g, &[n, block, block, c, h, w])?;
    let moved = back.transpose(&apart, &[0, 3, 4, 1, 5, 2])?;
    only(back.reshape(&moved, &dims)?)
}
