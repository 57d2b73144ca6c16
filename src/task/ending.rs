//! How far the threads of a runtime are with their end.

use crate::park::{self, Unparker, park_in_place};
use crate::sync::{Mutex, MutexGuard};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

#[derive(Debug, Default)]
pub(super) struct Ending {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Until when tasks may take to end.
    deadline: Option<Instant>,
    /// Threads that have not ended.
    threads: usize,
    /// Tasks that were left.
    left: usize,
    /// Who waits for the last thread: one at most, for a runtime has one owner.
    waiting: Option<Unparker>,
}

/// A thread that has not ended. It is the last that the thread has of its runtime: once it is
/// dropped, all else is closed.
#[derive(Debug)]
pub(super) struct Attendance {
    ending: Arc<Ending>,
    /// How many tasks it leaves.
    pub(super) left: usize,
}

impl Ending {
    pub(super) fn attend(self: &Arc<Self>) -> Attendance {
        self.state().threads += 1;
        Attendance { ending: Arc::clone(self), left: 0 }
    }

    pub(super) fn set_deadline(&self, at: Option<Instant>) {
        self.state().deadline = at;
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.state().deadline
    }

    /// Waits until the threads have ended, or a moment longer than the deadline, for threads that
    /// do not even hear of it. How many tasks they have left; `None` if some thread has not ended.
    pub(super) fn wait(&self) -> Option<usize> {
        const GRACE: Duration = Duration::from_millis(100);
        loop {
            let mut state = self.state();
            if state.threads == 0 {
                return Some(state.left);
            }
            let until = state.deadline.and_then(|at| at.checked_add(GRACE));
            if until.is_some_and(|at| at <= Instant::now()) {
                state.waiting = None;
                return None;
            }
            state.waiting = Some(Unparker::current());
            drop(state);
            if park::park_shielded(until).is_err() {
                // Who unwinds makes room for nobody.
                let _ = park_in_place(&mut [], until);
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Attendance {
    fn drop(&mut self) {
        let mut state = self.ending.state();
        state.threads -= 1;
        state.left += self.left;
        let waiting = if state.threads == 0 { state.waiting.take() } else { None };
        drop(state);
        if let Some(waiting) = waiting {
            waiting.unpark();
        }
    }
}
