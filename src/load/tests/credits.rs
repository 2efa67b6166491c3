//! Credits; `tests/loom/` proves what these only try.

use std::time::Duration;

use crate::load::credits::Credits;

#[test]
fn what_was_given_is_taken_at_once_and_closing_ends_the_wait() {
    let credits = Credits::default();
    (0..1000).for_each(|_| credits.give(3));
    assert_eq!(credits.take(), Some(3000));
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| credits.take());
        credits.close();
        assert_eq!(waiter.join().unwrap(), None);
    });
}

#[test]
fn what_is_given_in_silence_is_found_after_a_nap() {
    let credits = Credits::default();
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| credits.take());
        std::thread::sleep(Duration::from_millis(20));
        credits.give(7);
        assert_eq!(waiter.join().unwrap(), Some(7));
    });
}
