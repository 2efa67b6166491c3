//! Images made larger or smaller: along each axis a matrix from old to new pixels, and the gradient
//! goes through its transpose. Nearest and linear, as the standard defines their coordinates.
//!
//! Source: <https://onnx.ai/onnx/operators/onnx__Resize.html>

use super::back::{Back, Gradients, only};

pub(super) fn rule(back: &mut Back<'_>) -> Gradients {
    let (x, g) = (back.input(0)?, back.gradient()?);
    let mode = back.text("mode", "nearest");
    if !matches!(mode.as_str(), "nearest" | "linear") || back.int("antialias", 0) != 0 {
        return back.unable(&format!("in mode `{mode}` or with antialiasing"));
    }
    let place = back.text("coordinate_transformation_mode", "half_pixel");
    let rounding = back.text("nearest_mode", "round_prefer_floor");
    let (old, new) = (back.dims_of(&x), back.dims_of(&g));
    let given = back.optional(2).and_then(|scales| Some(back.known_floats(&scales)?.to_vec()));
    let mut gradient = g;
    for axis in 0..old.len() {
        let (from, to) = (old[axis], new[axis]);
        let exact = to as f64 / from as f64;
        // Sizes that were rounded down keep the scale they were asked for.
        let scale = match &given {
            Some(scales) if scales.len() == old.len() => f64::from(scales[axis]),
            _ => exact,
        };
        if from == to && scale == 1.0 {
            continue;
        }
        let mut matrix = vec![0.0; to * from];
        for new in 0..to {
            let Some(old) = coordinate(&place, new as f64, scale, from, to) else {
                return back.unable(&format!("with coordinates by `{place}`"));
            };
            for (at, weight) in weights(&mode, &rounding, old, from) {
                // Transposed: [from, to].
                matrix[at * to + new] += weight;
            }
        }
        let dims = back.dims_of(&gradient);
        let before: usize = dims[..axis].iter().product();
        let behind: usize = dims[axis + 1..].iter().product();
        let element = back.element(&x);
        let matrix = back.floats(element, &[from, to], &matrix);
        let flat = back.reshape(&gradient, &[before, to, behind])?;
        let product = back.matmul(&matrix, &flat)?;
        let mut sizes = dims;
        sizes[axis] = from;
        gradient = back.reshape(&product, &sizes)?;
    }
    only(gradient)
}

/// Where the new pixel `x` lies among the old ones.
fn coordinate(place: &str, x: f64, scale: f64, from: usize, to: usize) -> Option<f64> {
    Some(match place {
        "half_pixel" => (x + 0.5) / scale - 0.5,
        "pytorch_half_pixel" if to > 1 => (x + 0.5) / scale - 0.5,
        "pytorch_half_pixel" => 0.0,
        "asymmetric" => x / scale,
        "align_corners" if to > 1 => x * (from as f64 - 1.0) / (to as f64 - 1.0),
        "align_corners" => 0.0,
        _ => return None,
    })
}

/// Which old pixels a place between them is made of, and how much of each.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn weights(mode: &str, rounding: &str, at: f64, from: usize) -> Vec<(usize, f64)> {
    let last = from as f64 - 1.0;
    if mode == "nearest" {
        let nearest = match rounding {
            "round_prefer_ceil" => (at + 0.5).floor(),
            "floor" => at.floor(),
            "ceil" => at.ceil(),
            _ => (at - 0.5).ceil(),
        };
        return vec![(nearest.clamp(0.0, last) as usize, 1.0)];
    }
    let at = at.clamp(0.0, last);
    let low = at.floor();
    let part = at - low;
    vec![(low as usize, 1.0 - part), ((low + 1.0).min(last) as usize, part)]
}
