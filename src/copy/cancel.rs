//! Stopping a copy from elsewhere.

use crate::park::Unparker;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A switch that stops the copies it was given to; clones are the same switch.
///
/// # Examples
///
/// ```
/// use aqueduct::{Copier, copy::Cancel, is_cancelled};
///
/// let (reader, _writer) = std::io::pipe()?;
/// let cancel = Cancel::new();
/// let other = cancel.clone();
/// std::thread::spawn(move || other.cancel());
///
/// // Nobody ever writes, and yet the copy ends.
/// let stopped = Copier::new().cancel(&cancel).copy(&mut &reader, &mut std::io::sink());
/// assert!(is_cancelled(&stopped.unwrap_err().source));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Cancel {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    cancelled: AtomicBool,
    /// Who waits and must hear of it.
    waiting: Mutex<Vec<(u64, Unparker)>>,
    tickets: AtomicU64,
}

/// Has the running flow of control woken by the cancel until this is dropped.
#[derive(Debug)]
pub(super) struct Hearing<'a> {
    shared: &'a Shared,
    ticket: u64,
}

impl Cancel {
    /// A switch that was not thrown yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Stops the copies, those under way and those to come. Never blocks.
    pub fn cancel(&self) {
        self.shared.cancelled.store(true, Ordering::SeqCst);
        // Whoever enters the list after this looks at the flag again before it waits.
        self.shared.waiting().iter().for_each(|(_, waiter)| waiter.unpark());
    }

    /// Whether it was thrown.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.shared.cancelled.load(Ordering::SeqCst)
    }

    /// Ask [`is_cancelled`](Self::is_cancelled) after this and before waiting.
    pub(super) fn hear(&self) -> Hearing<'_> {
        let shared = &*self.shared;
        let ticket = shared.tickets.fetch_add(1, Ordering::Relaxed);
        shared.waiting().push((ticket, Unparker::current()));
        Hearing { shared, ticket }
    }
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, Vec<(u64, Unparker)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Hearing<'_> {
    fn drop(&mut self) {
        self.shared.waiting().retain(|(ticket, _)| *ticket != self.ticket);
    }
}
