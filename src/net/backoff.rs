//! Pauses between tries where nothing tells when another one would do.

use std::time::Duration;

/// Pauses that double.
#[derive(Debug)]
pub(super) struct Backoff {
    next: Duration,
    most: Duration,
}

impl Backoff {
    /// Until a descriptor is free again: that of a connection which ends, most likely.
    pub(super) fn for_descriptors() -> Self {
        Self { next: Duration::from_millis(5), most: Duration::from_secs(1) }
    }

    /// Until a peer has taken something out of its queue, which AF_UNIX does not always tell.
    pub(super) fn for_peers() -> Self {
        Self { next: Duration::from_micros(100), most: Duration::from_millis(50) }
    }

    pub(super) fn next(&mut self) -> Duration {
        let this = self.next;
        self.next = (2 * this).min(self.most);
        this
    }
}
