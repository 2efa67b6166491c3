//! Memory that a thread needs while it works, and keeps for the next time: fresh pages cost more than
//! what is done with them.

use std::cell::RefCell;

use super::frame::LINE;

thread_local! {
    /// What is not in use. Work that asks for memory inside of other work gets another one.
    static SCRATCH: RefCell<Vec<Vec<f32>>> = const { RefCell::new(Vec::new()) };
}

/// Calls `work` with numbers that are anything, `lens` of them each. Each begins with a cache line.
pub(super) fn with<const N: usize, R>(
    lens: [usize; N],
    work: impl FnOnce([&mut [f32]; N]) -> R,
) -> R {
    let mut all = SCRATCH.with_borrow_mut(Vec::pop).unwrap_or_default();
    let total = lens.iter().map(|len| len.next_multiple_of(LINE)).sum::<usize>() + LINE;
    if all.len() < total {
        all.resize(total, 0.0);
    }
    // Where nothing is known of addresses, the first will do.
    let begin = all.as_ptr().align_offset(LINE * size_of::<f32>()).min(LINE);
    let mut rest = &mut all[begin..];
    let made = work(lens.map(|len| {
        let (part, behind) = std::mem::take(&mut rest).split_at_mut(len.next_multiple_of(LINE));
        rest = behind;
        &mut part[..len]
    }));
    SCRATCH.with_borrow_mut(|kept| kept.push(all));
    made
}
