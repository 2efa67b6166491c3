//! Buffers; `tests/loom/` gives them back from several threads at once.

use crate::load::memory::{ALIGNMENT, aligned};
use crate::load::pool::Pool;

#[test]
fn buffers_are_aligned_and_come_back() {
    let pool = Pool::new(100, 1);
    let buffer = pool.take(100);
    let address = buffer.as_ptr();
    assert_eq!((address.align_offset(ALIGNMENT), buffer.len()), (0, 100));
    pool.returns().give(buffer);
    pool.returns().give(pool.take(7));
    assert_eq!(pool.take(100).as_ptr(), address);
}

#[test]
fn what_a_consumer_kept_is_not_kept_again() {
    let pool = Pool::new(8, 3);
    let kept: Vec<_> = (0..10).map(|_| pool.take(8)).collect();
    kept.into_iter().for_each(|buffer| pool.returns().give(buffer));
    assert_eq!(pool.idle(), 3);
    (0..100).for_each(|_| pool.returns().give(pool.take(8)));
    assert_eq!((pool.idle(), pool.alive()), (3, 3));
}

#[test]
fn split_and_joined_buffers_are_not_copied() {
    let mut buffer = aligned(96);
    let address = buffer.as_ptr();
    for _ in 0..3 {
        let mut tail = buffer.split_off(32);
        let end = tail.split_off(40);
        tail.fill(7);
        tail.unsplit(end);
        buffer.unsplit(tail);
        assert_eq!((buffer.as_ptr(), buffer.len()), (address, 96));
    }
    assert_eq!(buffer[31..33], [0, 7]);
}
