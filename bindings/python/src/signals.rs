//! Ctrl-C: Python runs its signal handlers only when its main thread asks it to.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use genset::load::Stop;
use pyo3::prelude::*;

use crate::error::{Raise, raised};

/// So long Python is left alone between two questions: each takes the lock of its interpreter, for which
/// other threads of Python may make us wait.
const PATIENCE: Duration = Duration::from_millis(40);

/// Does work on a thread of its own, and asks Python for signals meanwhile. What a handler raises, such
/// as `KeyboardInterrupt`, ends the work and is raised.
pub(crate) fn interruptible<T: Send>(
    py: Python<'_>,
    work: impl FnOnce(&Stop) -> genset::Result<T> + Send,
) -> PyResult<T> {
    let stop = Stop::new();
    let (done, exception) = py.detach(|| {
        thread::scope(|scope| {
            let asker = thread::current();
            let stop = &stop;
            let worker = scope.spawn(move || {
                let done = work(stop);
                asker.unpark();
                done
            });
            let mut exception = None;
            while !worker.is_finished() {
                thread::park_timeout(PATIENCE);
                if exception.is_none() {
                    exception = Python::attach(|py| py.check_signals()).err();
                    exception.iter().for_each(|_| stop.stop());
                }
            }
            (worker.join(), exception)
        })
    });
    match (done, exception) {
        (_, Some(exception)) => Err(exception),
        (Ok(done), None) => done.raise(py),
        (Err(panic), None) => std::panic::resume_unwind(panic),
    }
}

/// What signal handlers raised while a loader waited on the thread that called it.
#[derive(Debug, Clone)]
pub(crate) struct Signals(Arc<Seen>);

#[derive(Debug)]
struct Seen {
    raised: Mutex<Option<PyErr>>,
    asked: Mutex<Instant>,
}

impl Default for Signals {
    fn default() -> Self {
        Self(Arc::new(Seen { raised: Mutex::new(None), asked: Mutex::new(Instant::now()) }))
    }
}

impl Signals {
    /// A switch that is thrown by a signal handler that raises.
    pub(crate) fn stop(&self) -> Stop {
        let signals = self.clone();
        Stop::asking(move || signals.ask())
    }

    fn ask(&self) -> bool {
        let Ok(mut asked) = self.0.asked.try_lock() else { return false };
        if asked.elapsed() < PATIENCE {
            return false;
        }
        *asked = Instant::now();
        let Err(exception) = Python::attach(|py| py.check_signals()) else { return false };
        *self.0.raised.lock().unwrap_or_else(PoisonError::into_inner) = Some(exception);
        true
    }

    /// The error as it is raised, or what a handler raised; `None` if the loader was closed by another
    /// thread.
    pub(crate) fn raised(&self, py: Python<'_>, error: &genset::Error) -> Option<PyErr> {
        if !error.is_interrupted() {
            return Some(raised(py, error));
        }
        self.0.raised.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
