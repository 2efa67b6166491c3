//! Means of paired differences, and how sure they are.

/// The mean of some numbers with its standard error.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Mean {
    /// How many numbers.
    pub count: usize,
    pub mean: f64,
    /// Standard deviation of the numbers.
    pub deviation: f64,
    /// Standard error of the mean.
    pub error: f64,
}

impl Mean {
    /// Of the numbers in `values` that are defined.
    pub fn of(values: &[f64]) -> Self {
        let defined = || values.iter().copied().filter(|value| !value.is_nan());
        let count = defined().count();
        let mean = defined().sum::<f64>() / count as f64;
        let squares: f64 = defined().map(|value| (value - mean).powi(2)).sum();
        let deviation = (squares / (count as f64 - 1.0)).sqrt();
        Self { count, mean, deviation, error: deviation / (count as f64).sqrt() }
    }

    /// The 95 % confidence interval of the mean, by Student's t.
    pub fn interval(&self) -> [f64; 2] {
        let half = t_quantile(self.count.saturating_sub(1)) * self.error;
        [self.mean - half, self.mean + half]
    }
}

/// The 97.5 % point of Student's t with `freedom` degrees of freedom, to 0.3 % from 4 on: the
/// expansion in Abramowitz and Stegun (1964), 26.7.5.
fn t_quantile(freedom: usize) -> f64 {
    let x = 1.959_963_985_f64;
    let n = freedom.max(1) as f64;
    let (x3, x5, x7) = (x.powi(3), x.powi(5), x.powi(7));
    x + (x3 + x) / (4.0 * n)
        + (5.0 * x5 + 16.0 * x3 + 3.0 * x) / (96.0 * n.powi(2))
        + (3.0 * x7 + 19.0 * x5 + 17.0 * x3 - 15.0 * x) / (384.0 * n.powi(3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_tables() {
        for (freedom, quantile) in [(4, 2.776), (9, 2.262), (30, 2.042), (1000, 1.962)] {
            assert!((t_quantile(freedom) - quantile).abs() < 0.008, "{freedom}");
        }
    }

    #[test]
    fn undefined_values_are_left_out() {
        let mean = Mean::of(&[1.0, f64::NAN, 2.0, 3.0]);
        assert_eq!((mean.count, mean.mean, mean.deviation), (3, 2.0, 1.0));
        let [low, high] = mean.interval();
        assert!(low < 2.0 && high > 2.0);
    }
}
