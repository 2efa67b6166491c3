//! Ways to divide the cores between sessions and threads inside a call.

use std::fmt;

/// A number of sessions, and of threads inside a call of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    pub sessions: usize,
    pub threads: usize,
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = |n: usize| if n == 1 { "" } else { "s" };
        let Self { sessions, threads } = *self;
        write!(f, "{sessions} session{} × {threads} thread{}", s(sessions), s(threads))
    }
}

/// The shapes worth trying on `cores` cores, without repeats: the default first (a session a core),
/// then fewer sessions of more threads, one session more than cores (it fills the gaps of others),
/// and on a device (`device`) one to four sessions of one thread, as it is the device that computes.
pub(super) fn shapes(cores: usize, device: bool) -> Vec<Shape> {
    let mut all = vec![Shape { sessions: cores, threads: 1 }];
    let mut add = |sessions: usize, threads: usize| {
        let shape = Shape { sessions, threads };
        if sessions > 0 && !all.contains(&shape) {
            all.push(shape);
        }
    };
    if device {
        (1..=4).for_each(|sessions| add(sessions, 1));
        return all;
    }
    let mut threads = 2;
    while threads <= cores {
        add(cores / threads, threads);
        threads *= 2;
    }
    add(1, cores);
    add(cores + 1, 1);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_are_divided_without_repeats() {
        let text = |cores, device| {
            shapes(cores, device)
                .iter()
                .map(|shape| format!("{}x{}", shape.sessions, shape.threads))
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(text(1, false), "1x1 2x1");
        assert_eq!(text(2, false), "2x1 1x2 3x1");
        assert_eq!(text(12, false), "12x1 6x2 3x4 1x8 1x12 13x1");
        assert_eq!(text(2, true), "2x1 1x1 3x1 4x1");
        assert_eq!(shapes(4, false)[0].to_string(), "4 sessions × 1 thread");
    }
}
