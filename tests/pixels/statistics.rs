//! Committed draws of torchvision, and whether two sets of draws have one distribution.

use safetensors::{Dtype, SafeTensors};

/// Tensors of numbers out of a safetensors file.
pub struct Draws(Vec<u8>);

impl Draws {
    pub fn read() -> Self {
        let path =
            concat!(env!("CARGO_MANIFEST_DIR"), "/tests/pixels/torchvision_draws.safetensors");
        Self(std::fs::read(path).expect(path))
    }

    /// The rows of a tensor of at most two dimensions.
    pub fn rows(&self, name: &str) -> Vec<Vec<f64>> {
        let file = SafeTensors::deserialize(&self.0).expect("a safetensors file");
        let tensor = file.tensor(name).expect(name);
        let four = || tensor.data().as_chunks::<4>().0.iter();
        let values: Vec<f64> = match tensor.dtype() {
            Dtype::U8 => tensor.data().iter().map(|b| f64::from(*b)).collect(),
            Dtype::I8 => tensor.data().iter().map(|b| f64::from(b.cast_signed())).collect(),
            Dtype::I32 => four().map(|b| f64::from(i32::from_le_bytes(*b))).collect(),
            Dtype::F32 => four().map(|b| f64::from(f32::from_le_bytes(*b))).collect(),
            other => panic!("{name}: {other:?}"),
        };
        let width = tensor.shape().get(1).copied().unwrap_or(1);
        values.chunks(width).map(<[f64]>::to_vec).collect()
    }
}

/// The greatest distance between two empirical distributions, as a multiple of what equal ones
/// exceed once in 100,000 times.
pub fn distance(mut a: Vec<f64>, mut b: Vec<f64>) -> f64 {
    a.sort_by(f64::total_cmp);
    b.sort_by(f64::total_cmp);
    let (n, m) = (a.len() as f64, b.len() as f64);
    let up_to = |values: &[f64], x: f64| values.partition_point(|v| *v <= x) as f64;
    let apart = |x: &f64| (up_to(&a, *x) / n - up_to(&b, *x) / m).abs();
    let greatest = a.iter().chain(&b).map(apart).fold(0.0, f64::max);
    let critical = (-(1e-5f64 / 2.0).ln() / 2.0 * (n + m) / (n * m)).sqrt();
    greatest / critical
}

/// A number that is made of one row, and what it is called.
pub type Statistic = (&'static str, fn(&[f64]) -> f64);

/// Asserts that no statistic tells the rows of `theirs` from those of `ours`.
pub fn assert_equal_in_distribution(
    what: &str,
    theirs: &[Vec<f64>],
    ours: &[Vec<f64>],
    by: &[Statistic],
) {
    for (name, statistic) in by {
        let of = |rows: &[Vec<f64>]| rows.iter().map(|row| statistic(row)).collect::<Vec<_>>();
        let d = distance(of(theirs), of(ours));
        assert!(d < 1.0, "{what}: {name} is {d:.2} times too far from torchvision's");
    }
}
