//! Whether a task runs, has stopped, or was woken; and whether it was cancelled.
//!
//! Only the task stops itself, and whoever makes the change from stopped to woken has it run. So it
//! is in its worker's queue once at most, and never after its end.

use crate::sync::atomic::{AtomicBool, AtomicU8, Ordering};

/// It runs, or waits to be run, and nobody has woken it.
const RUNNING: u8 = 0;
/// It has stopped.
const PARKED: u8 = 1;
/// It was woken.
const WOKEN: u8 = 2;

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Permit {
    state: AtomicU8,
    cancelled: AtomicBool,
}

impl Permit {
    pub(super) fn new() -> Self {
        Self { state: AtomicU8::new(RUNNING), cancelled: AtomicBool::new(false) }
    }

    /// Leaves the permit. `true`: the task had stopped, and the caller is to have it run.
    #[must_use = "a task that had stopped must be run"]
    pub(super) fn wake(&self) -> bool {
        self.state.swap(WOKEN, Ordering::AcqRel) == PARKED
    }

    /// From now on its waits are to fail. As [`wake`](Self::wake).
    #[must_use = "a task that had stopped must be run"]
    pub(super) fn cancel(&self) -> bool {
        // The swap publishes it: who parks later finds the permit, and looks again.
        self.cancelled.store(true, Ordering::Relaxed);
        self.wake()
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    /// The task stops; `false` if it was woken before, which is forgotten then.
    pub(super) fn park(&self) -> bool {
        let parked =
            self.state.compare_exchange(RUNNING, PARKED, Ordering::AcqRel, Ordering::Acquire);
        if parked.is_err() {
            self.unpark();
        }
        parked.is_ok()
    }

    /// The task runs again.
    pub(super) fn unpark(&self) {
        self.state.swap(RUNNING, Ordering::Acquire);
    }
}

#[cfg(all(test, aqueduct_loom))]
mod loom_models;
