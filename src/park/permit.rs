//! The permit of a plain thread, and how it sleeps until it is there.

use super::{DEAF, spin};
use crate::sync::atomic::{AtomicU8, Ordering};
use crate::sync::{Condvar, Mutex, OnceLock};
use crate::sys::{self, Event, Watch};
use std::cell::OnceCell;
use std::io;
use std::sync::{Arc, PoisonError, Weak};
use std::task::Wake;
use std::time::Instant;

/// Nobody waits and nobody was woken.
const IDLE: u8 = 0;
/// The owner sleeps, or has the lock and is about to.
const ASLEEP: u8 = 1;
/// The permit is there.
const WOKEN: u8 = 2;
/// The owner sleeps in poll(2), where its event reaches it.
const POLLING: u8 = 3;

/// What a thread parks with.
#[derive(Default)]
pub(super) struct Own {
    pub(super) permit: Arc<Permit>,
    /// Made at the first poll.
    event: OnceCell<Arc<Event>>,
}

/// The permit of one thread. Only its owner waits on it.
#[derive(Default)]
pub(super) struct Permit {
    state: AtomicU8,
    // Held from the change to ASLEEP until the sleep itself, so that a waker that has seen
    // ASLEEP and then got the lock notifies somebody who sleeps.
    lock: Mutex<()>,
    woken: Condvar,
    /// That of the owner, which is closed when he ends, whoever keeps the permit.
    event: OnceLock<Weak<Event>>,
}

impl Own {
    pub(super) fn poll(
        &self,
        watches: &mut [Watch<'_>],
        deadline: Option<Instant>,
    ) -> io::Result<()> {
        let Some(event) = self.event() else {
            // No descriptor is left. A waker is heard all the same, a little later.
            let soon = Instant::now() + DEAF;
            if self.permit.take() {
                return Ok(());
            }
            return sys::poll(watches, Some(deadline.map_or(soon, |at| at.min(soon))));
        };
        let state = &self.permit.state;
        // Whoever sees this sees the event too.
        let sleep = state.compare_exchange(IDLE, POLLING, Ordering::Release, Ordering::Relaxed);
        if sleep.is_err() {
            state.swap(IDLE, Ordering::Acquire);
            return Ok(());
        }
        let result = sys::poll_with(watches, event, deadline);
        state.swap(IDLE, Ordering::Acquire);
        // A waker may still be on its way to the event: then the next poll ends for no reason.
        if result? {
            event.clear();
        }
        Ok(())
    }

    fn event(&self) -> Option<&Event> {
        if self.event.get().is_none() {
            let event = Arc::new(Event::new().ok()?);
            self.permit.event.get_or_init(|| Arc::downgrade(&event));
            self.event.get_or_init(|| event);
        }
        self.event.get().map(Arc::as_ref)
    }
}

impl Permit {
    fn take(&self) -> bool {
        self.state.compare_exchange(WOKEN, IDLE, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    pub(super) fn wait(&self, deadline: Option<Instant>) {
        if self.take() || deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            return;
        }
        // A waker that finds the owner spinning needs no system call, nor does the owner.
        spin::spin(|| self.state.load(Ordering::Relaxed) == WOKEN);
        let mut guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        let sleep = self.state.compare_exchange(IDLE, ASLEEP, Ordering::Relaxed, Ordering::Relaxed);
        if sleep.is_err() {
            self.state.swap(IDLE, Ordering::Acquire);
            return;
        }
        loop {
            guard = match deadline {
                None => self.woken.wait(guard).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        self.state.swap(IDLE, Ordering::Acquire);
                        return;
                    }
                    let woken = self.woken.wait_timeout(guard, left);
                    woken.unwrap_or_else(PoisonError::into_inner).0
                }
            };
            if self.take() {
                return;
            }
        }
    }
}

impl Wake for Permit {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        match self.state.swap(WOKEN, Ordering::AcqRel) {
            ASLEEP => {
                drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner));
                self.woken.notify_one();
            }
            POLLING => {
                if let Some(event) = self.event.get().and_then(Weak::upgrade) {
                    event.signal();
                }
            }
            _ => {}
        }
    }
}

#[cfg(all(test, aqueduct_loom))]
mod loom_models;
