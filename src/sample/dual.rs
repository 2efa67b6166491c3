//! What moves one coordinate of a latent and leaves others as they are.
//!
//! The dual of a direction, among some, is the shortest vector whose inner product with that
//! direction is 1 and with all the others 0. Computed in `f64` with the basic operations and the
//! root alone, one after the other, so that it has the same bits on every machine.

/// Of a direction, at least this much must not be in the others: less would blow up a change of its
/// coordinate fifty times.
pub(super) const LEAST: f64 = 0.02;

/// The dual of each direction of length 1, by the QR decomposition of all of them (modified
/// Gram-Schmidt, each twice for rounding).
///
/// # Errors
/// The number of a direction that (nearly) is a combination of others.
pub(super) fn duals<'d>(
    directions: impl ExactSizeIterator<Item = &'d [f32]>,
) -> Result<Vec<Vec<f64>>, usize> {
    let n = directions.len();
    let mut basis: Vec<Vec<f64>> = Vec::with_capacity(n);
    // directions[j] = Σ upper[i][j] · basis[i], i up to j
    let mut upper = vec![vec![0.0; n]; n];
    for (j, direction) in directions.enumerate() {
        let mut rest: Vec<f64> = direction.iter().map(|x| f64::from(*x)).collect();
        for _ in 0..2 {
            for (axis, row) in basis.iter().zip(&mut upper) {
                let along = dot(&rest, axis);
                row[j] += along;
                add(&mut rest, -along, axis);
            }
        }
        let left = libm::sqrt(dot(&rest, &rest));
        if left < LEAST {
            return Err(j);
        }
        upper[j][j] = left;
        rest.iter_mut().for_each(|x| *x /= left);
        basis.push(rest);
    }
    // basis[j] = Σ upper[j][i] · dual[i], i from j: solved from the last one back.
    for j in (0..n).rev() {
        let (own, later) = basis[j..].split_first_mut().expect("j is below n");
        for (dual, factor) in later.iter().zip(&upper[j][j + 1..]) {
            add(own, -factor, dual);
        }
        own.iter_mut().for_each(|x| *x /= upper[j][j]);
    }
    // The length of a dual is one by what its direction has apart from all the others.
    match basis.iter().position(|dual| dot(dual, dual) > 1.0 / (LEAST * LEAST)) {
        Some(j) => Err(j),
        None => Ok(basis),
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add(sum: &mut [f64], factor: f64, x: &[f64]) {
    for (sum, x) in sum.iter_mut().zip(x) {
        *sum += factor * x;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(directions: &[[f32; 4]]) -> Result<Vec<Vec<f64>>, usize> {
        duals(directions.iter().map(|direction| &direction[..]))
    }

    #[test]
    fn a_dual_moves_its_own_coordinate_and_no_other() {
        let directions = [[1.0, 0.0, 0.0, 0.0], [0.6, 0.8, 0.0, 0.0], [0.0, 0.28, 0.96, 0.0]];
        let duals = of(&directions).unwrap();
        for (i, dual) in duals.iter().enumerate() {
            for (j, direction) in directions.iter().enumerate() {
                let along: f64 = direction.iter().zip(dual).map(|(d, w)| f64::from(*d) * w).sum();
                assert!((along - f64::from(u8::from(i == j))).abs() < 1e-7, "{i} {j}: {along}");
            }
            assert_eq!(dual[3], 0.0, "the shortest stays in the span");
        }
    }

    #[test]
    fn a_combination_of_others_is_named() {
        let (x, y, between) = ([1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.6, 0.8, 0.0, 0.0]);
        assert_eq!(of(&[x, y, between]), Err(2));
        assert_eq!(of(&[between, x, x]), Err(2));
        let nearly = [0.999_9, 0.0, 0.014_14, 0.0];
        assert!(of(&[x, y, nearly]).is_err() && of(&[nearly, y]).is_ok());
        // Each alone is apart from those before it by more than the least, but not from all.
        let (a, b) = ([0.999_7, 0.024_49, 0.0, 0.0], [0.999_7, 0.024_49, 0.024_49, 0.0]);
        assert!(of(&[x, a]).is_ok());
        assert!(of(&[x, a, b]).is_err());
        assert_eq!(of(&[]), Ok(vec![]));
    }
}
