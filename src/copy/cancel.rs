//! Stopping a copy from elsewhere.

use super::hearing::{Hearing, Listeners};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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
    listeners: Listeners,
}

impl Cancel {
    /// A switch that is not thrown yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Stops the copies, those under way and those to come. Never blocks.
    pub fn cancel(&self) {
        self.shared.cancelled.store(true, Ordering::SeqCst);
        // Whoever enters the list after this looks at the flag again before it waits.
        self.shared.listeners.wake();
    }

    /// Whether it was thrown.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.shared.cancelled.load(Ordering::SeqCst)
    }

    /// Ask [`is_cancelled`](Self::is_cancelled) after this and before waiting.
    pub(super) fn hear(&self) -> Hearing<'_> {
        self.shared.listeners.hear()
    }
}
