//! The learning rate over a run: up along a line, then down along a curve.

use std::f64::consts::PI;
use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Kind, Result};

/// How the learning rate goes down after the warm-up.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Schedule {
    /// Half a cosine to zero (Loshchilov and Hutter 2017).
    Cosine,
    /// It stays.
    Constant,
    /// To zero along a line.
    Linear,
    /// Times `factor` at each of `at`: shares of the run, ascending.
    Step {
        /// What it is multiplied by.
        factor: f32,
        /// When.
        at: Vec<f32>,
    },
}

impl Schedule {
    /// The share of the learning rate for step `step` (from 0) of `steps`, of which `warmup` go
    /// up along a line.
    #[must_use]
    pub fn share(&self, step: u64, steps: u64, warmup: u64) -> f64 {
        if step < warmup {
            return (step + 1) as f64 / warmup as f64;
        }
        let left = steps.saturating_sub(warmup).max(1);
        let done = ((step - warmup) as f64 / left as f64).min(1.0);
        match self {
            Self::Cosine => f64::midpoint(1.0, libm::cos(PI * done)),
            Self::Constant => 1.0,
            Self::Linear => 1.0 - done,
            Self::Step { factor, at } => {
                let run = step as f64 / steps.max(1) as f64;
                let passed = at.iter().filter(|&&at| run >= f64::from(at)).count();
                f64::from(*factor).powi(i32::try_from(passed).unwrap_or(i32::MAX))
            }
        }
    }
}

impl fmt::Display for Schedule {
    /// As `cosine`, or `step:0.1@0.6,0.8`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cosine => f.write_str("cosine"),
            Self::Constant => f.write_str("constant"),
            Self::Linear => f.write_str("linear"),
            Self::Step { factor, at } => {
                let at: Vec<_> = at.iter().map(ToString::to_string).collect();
                write!(f, "step:{factor}@{}", at.join(","))
            }
        }
    }
}

impl FromStr for Schedule {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let step = || {
            let (factor, at) = text.strip_prefix("step:")?.split_once('@')?;
            let factor = factor.parse().ok().filter(|factor: &f32| (0.0..1.0).contains(factor))?;
            let at: Vec<f32> = at.split(',').map(str::parse).collect::<Result<_, _>>().ok()?;
            let within = at.iter().all(|at| (0.0..=1.0).contains(at));
            (within && at.is_sorted()).then_some(Self::Step { factor, at })
        };
        match text {
            "cosine" => Ok(Self::Cosine),
            "constant" => Ok(Self::Constant),
            "linear" => Ok(Self::Linear),
            _ => step().ok_or_else(|| {
                Error::new(Kind::Argument, format!("unknown schedule `{text}`")).help(
                    "known: cosine, constant, linear, and step:FACTOR@SHARE,… such as \
                     step:0.1@0.6,0.8",
                )
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_go_up_and_down() {
        let at = |schedule: &Schedule, step| schedule.share(step, 100, 10);
        for schedule in [Schedule::Cosine, Schedule::Constant, Schedule::Linear] {
            assert!((at(&schedule, 0) - 0.1).abs() < 1e-12);
            assert!((at(&schedule, 9) - 1.0).abs() < 1e-12);
            assert!((at(&schedule, 10) - 1.0).abs() < 1e-12);
        }
        assert!((at(&Schedule::Cosine, 55) - 0.5).abs() < 1e-12);
        assert!((at(&Schedule::Linear, 55) - 0.5).abs() < 1e-12);
        assert!(at(&Schedule::Cosine, 100) < 1e-12);
        let steps: Schedule = "step:0.1@0.5,0.8".parse().unwrap();
        assert!((at(&steps, 49) - 1.0).abs() < 1e-12);
        assert!((at(&steps, 50) - 0.1).abs() < 1e-7);
        assert!((at(&steps, 90) - 0.01).abs() < 1e-7);
    }

    #[test]
    fn schedules_are_read_as_they_are_shown() {
        for text in ["cosine", "constant", "linear", "step:0.1@0.6,0.8"] {
            assert_eq!(text.parse::<Schedule>().unwrap().to_string(), text);
        }
        for text in ["cos", "step", "step:2@0.5", "step:0.1@0.8,0.6", "step:0.1@60"] {
            let error = text.parse::<Schedule>().unwrap_err();
            assert!(error.to_string().contains("unknown schedule"), "{error}");
        }
    }
}
