//! Those who wait and must hear of something that is no event of a descriptor.

use crate::park::Unparker;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Flows of control to be woken.
#[derive(Debug, Default)]
pub(super) struct Listeners {
    waiting: Mutex<Vec<(u64, Unparker)>>,
    tickets: AtomicU64,
}

/// Has the running flow of control woken until this is dropped.
#[derive(Debug)]
pub(super) struct Hearing<'a> {
    listeners: &'a Listeners,
    ticket: u64,
}

impl Listeners {
    /// Who calls this looks afterwards, and before it waits, whether what it would hear of has
    /// happened already.
    pub(super) fn hear(&self) -> Hearing<'_> {
        let ticket = self.tickets.fetch_add(1, Ordering::Relaxed);
        self.waiting().push((ticket, Unparker::current()));
        Hearing { listeners: self, ticket }
    }

    /// It has happened.
    pub(super) fn wake(&self) {
        self.waiting().iter().for_each(|(_, waiter)| waiter.unpark());
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<(u64, Unparker)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Hearing<'_> {
    fn drop(&mut self) {
        self.listeners.waiting().retain(|(ticket, _)| *ticket != self.ticket);
    }
}
