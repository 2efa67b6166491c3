//! Ways through latent space: turning a row, and going part of the way to another.
//!
//! All sums are `f64` in eight lanes that are added up in one fixed order, so that they vectorise
//! and still give the same bits on every machine.

/// Squared sine below which two directions count as one, far below what `f32` rows can tell apart.
const PARALLEL: f64 = 1e-24;

/// The sum of `term(x, y)` over two rows.
fn sum(xs: &[f32], ys: &[f32], term: impl Fn(f64, f64) -> f64) -> f64 {
    let mut lanes = [0.0; 8];
    let (x8, x_rest) = xs.as_chunks::<8>();
    let (y8, y_rest) = ys.as_chunks::<8>();
    for (x, y) in x8.iter().zip(y8) {
        for (lane, (x, y)) in lanes.iter_mut().zip(x.iter().zip(y)) {
            *lane += term(f64::from(*x), f64::from(*y));
        }
    }
    for (lane, (x, y)) in lanes.iter_mut().zip(x_rest.iter().zip(y_rest)) {
        *lane += term(f64::from(*x), f64::from(*y));
    }
    let [a, b, c, d, e, f, g, h] = lanes;
    ((a + b) + (c + d)) + ((e + f) + (g + h))
}

/// The inner product of two rows.
pub(super) fn dot(xs: &[f32], ys: &[f32]) -> f64 {
    sum(xs, ys, |x, y| x * y)
}

/// `row ← f(row, other)`, element by element.
fn update(row: &mut [f32], other: &[f32], f: impl Fn(f64, f64) -> f64) {
    for (x, y) in row.iter_mut().zip(other) {
        #[allow(clippy::cast_possible_truncation)]
        let new = f(f64::from(*x), f64::from(*y)) as f32;
        *x = new;
    }
}

/// Turns `row` by `angle` radians towards `aim`, in the plane of both; keeps its norm.
///
/// An `aim` along the row is replaced by the axis that the row has least of. A row of zeros, or of
/// one element, has no plane and stays.
pub(super) fn turn(row: &mut [f32], aim: &mut [f32], angle: f64) {
    let square = dot(row, row);
    if square == 0.0 || row.len() < 2 {
        return;
    }
    for _ in 0..2 {
        // What is left of the aim without its part along the row.
        let along = dot(row, aim) / square;
        let across = |x: f64, y: f64| y - along * x;
        let rest = sum(row, aim, |x, y| across(x, y) * across(x, y));
        if rest > PARALLEL * dot(aim, aim) {
            let (cos, sin) = (libm::cos(angle), libm::sin(angle));
            let scale = sin * libm::sqrt(square / rest);
            return update(row, aim, |x, y| cos * x + scale * across(x, y));
        }
        let least = |a: &usize, b: &usize| row[*a].abs().total_cmp(&row[*b].abs());
        let axis = (0..row.len()).min_by(least).unwrap_or(0);
        aim.fill(0.0);
        aim[axis] = 1.0;
    }
}

/// `(1 - t) row + t other`.
pub(super) fn lerp(row: &mut [f32], other: &[f32], t: f32) {
    let t = f64::from(t);
    update(row, other, |x, y| (1.0 - t) * x + t * y);
}

/// Part of the way from `row` to `other` along the great circle of their directions (Shoemake,
/// 1985); the norm goes straight from one to the other. `other` may be overwritten.
///
/// Opposite rows go round by the axis that the row has least of. Where there is no arc, because a
/// row is zero or has one element, it is [`lerp`].
pub(super) fn slerp(row: &mut [f32], other: &mut [f32], t: f32) {
    let (from, to) = (libm::sqrt(dot(row, row)), libm::sqrt(dot(other, other)));
    if from == 0.0 || to == 0.0 || row.len() < 2 {
        return lerp(row, other, t);
    }
    let part = f64::from(t);
    let norm = (1.0 - part) * from + part * to;
    // The angle as Kahan computes it: exact also where the cosine is flat.
    let apart = sum(row, other, |x, y| square(x / from - y / to));
    let along = sum(row, other, |x, y| square(x / from + y / to));
    let angle = 2.0 * libm::atan2(libm::sqrt(apart), libm::sqrt(along));
    let cosine = dot(row, other) / (from * to);
    let across = |x: f64, y: f64| y / to - cosine * (x / from);
    let rest = sum(row, other, |x, y| square(across(x, y)));
    if rest > PARALLEL {
        let (cos, sin) = (libm::cos(part * angle), libm::sin(part * angle));
        let sin = sin / libm::sqrt(rest);
        return update(row, other, |x, y| norm * (cos * (x / from) + sin * across(x, y)));
    }
    if cosine < 0.0 {
        turn(row, other, part * angle);
    }
    for x in row {
        #[allow(clippy::cast_possible_truncation)]
        let scaled = (f64::from(*x) * (norm / from)) as f32;
        *x = scaled;
    }
}

fn square(x: f64) -> f64 {
    x * x
}

#[cfg(test)]
mod tests {
    use super::*;

    fn norm(row: &[f32]) -> f64 {
        dot(row, row).sqrt()
    }

    fn angle(a: &[f32], b: &[f32]) -> f64 {
        (dot(a, b) / (norm(a) * norm(b))).clamp(-1.0, 1.0).acos()
    }

    #[test]
    fn sums_are_the_same_whatever_the_length() {
        for len in [0, 1, 7, 8, 9, 31] {
            let row: Vec<f32> = (0..len).map(|i| i as f32).collect();
            let expected: f64 = (0..len).map(|i| f64::from(i * i)).sum();
            assert_eq!(dot(&row, &row), expected, "{len}");
        }
    }

    #[test]
    fn a_turned_row_keeps_its_norm_and_stands_at_the_angle() {
        let row = [1.0, -2.0, 0.5, 3.0, 0.25];
        for degrees in [0.0f64, 1e-3, 30.0, 90.0, 179.0, 180.0] {
            let mut turned = row;
            turn(&mut turned, &mut [0.3, 0.1, -1.0, 0.2, 0.0], degrees.to_radians());
            assert!((norm(&turned) - norm(&row)).abs() < 1e-6);
            // The arc cosine is blunt at its ends.
            assert!((angle(&row, &turned) - degrees.to_radians()).abs() < 5e-4, "{degrees}");
        }
    }

    #[test]
    fn an_aim_along_the_row_is_replaced_and_zeros_stay() {
        let row = [1.0f32, 2.0, 3.0];
        let mut turned = row;
        turn(&mut turned, &mut [2.0, 4.0, 6.0], 1.0);
        assert!((angle(&row, &turned) - 1.0).abs() < 1e-6);
        let mut zero = [0.0f32; 3];
        turn(&mut zero, &mut [1.0, 0.0, 0.0], 1.0);
        assert_eq!(zero, [0.0; 3]);
    }

    #[test]
    fn slerp_halves_the_angle_and_the_norms() {
        let (a, b) = ([3.0f32, 0.0, 0.0], [0.0f32, 1.0, 0.0]);
        let mut middle = a;
        slerp(&mut middle, &mut b.clone(), 0.5);
        let half = 2.0 * std::f32::consts::FRAC_1_SQRT_2;
        assert!((middle[0] - half).abs() < 1e-6 && (middle[1] - half).abs() < 1e-6, "{middle:?}");
    }

    #[test]
    fn both_ways_end_where_they_lead() {
        let (a, b) = ([0.5f32, -1.0, 2.0, 0.1], [-1.5f32, 0.25, 1.0, 3.0]);
        for way in [|x: &mut [f32], y: &mut [f32], t| lerp(x, y, t), slerp] {
            let (mut start, mut end) = (a, a);
            way(&mut start, &mut b.clone(), 0.0);
            way(&mut end, &mut b.clone(), 1.0);
            for i in 0..4 {
                assert!((start[i] - a[i]).abs() < 1e-6 && (end[i] - b[i]).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn slerp_is_sound_where_the_arc_is_not() {
        let a = [1.0f32, 2.0, 3.0];
        for (b, name) in [
            ([2.0f32, 4.0, 6.0], "parallel"),
            ([1.0, 2.0, 3.000_001], "nearly parallel"),
            ([-1.0, -2.0, -3.0], "antipodal"),
            ([-1.0, -2.0, -3.000_001], "nearly antipodal"),
        ] {
            let mut middle = a;
            slerp(&mut middle, &mut b.clone(), 0.5);
            let expected = (norm(&a) + norm(&b)) / 2.0;
            assert!((norm(&middle) - expected).abs() < 1e-5, "{name}: {middle:?}");
            let (left, right) = (angle(&a, &middle), angle(&middle, &b));
            assert!((left - right).abs() < 1e-3, "{name}: {left} {right}");
        }
        let mut from_zero = [0.0f32; 3];
        slerp(&mut from_zero, &mut a.clone(), 0.5);
        assert_eq!(from_zero, [0.5, 1.0, 1.5]);
        let mut one = [1.0f32];
        slerp(&mut one, &mut [-3.0], 0.5);
        assert_eq!(one, [-1.0]);
    }
}
