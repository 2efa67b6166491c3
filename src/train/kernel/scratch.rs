//! Memory that a thread needs while it works, and keeps for the next time.

use std::cell::RefCell;

thread_local! {
    static SCRATCH: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// Calls `work` with numbers that are anything, `lens` of them each.
pub(super) fn with<const N: usize>(lens: [usize; N], work: impl FnOnce([&mut [f32]; N])) {
    SCRATCH.with_borrow_mut(|all| {
        let total: usize = lens.iter().sum();
        if all.len() < total {
            all.resize(total, 0.0);
        }
        let mut rest = &mut all[..];
        work(lens.map(|len| {
            let (part, behind) = std::mem::take(&mut rest).split_at_mut(len);
            rest = behind;
            part
        }));
    });
}
