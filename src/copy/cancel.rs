//! Stopping a copy from elsewhere.

use std::io::{self, PipeReader, PipeWriter};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

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
    /// Readable once cancelled. Made when the first copy has to wait.
    wake: Mutex<Option<Wake>>,
}

#[derive(Debug)]
struct Wake {
    reader: Arc<PipeReader>,
    /// Dropped by the cancel, which every poll of the reader notices for ever after.
    writer: Option<PipeWriter>,
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
        // Whoever makes the pipe after this looks at the flag again before it waits.
        let mut wake = self.shared.wake.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(wake) = &mut *wake {
            wake.writer = None;
        }
    }

    /// Whether it was thrown.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.shared.cancelled.load(Ordering::SeqCst)
    }

    /// A descriptor that is readable once cancelled. Ask [`is_cancelled`](Self::is_cancelled)
    /// after this and before waiting.
    pub(super) fn wake(&self) -> io::Result<Arc<PipeReader>> {
        let mut wake = self.shared.wake.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(wake) = &*wake {
            return Ok(wake.reader.clone());
        }
        let (reader, writer) = io::pipe()?;
        let reader = Arc::new(reader);
        *wake = Some(Wake { reader: reader.clone(), writer: Some(writer) });
        Ok(reader)
    }
}
