//! What fails the calls of an end before they try anything: its own close, and its deadline.

use super::gate::Side;
use crate::error;
use crate::poll::Deadline;
use crate::sync::atomic::{AtomicBool, Ordering};
use std::io;
use std::sync::Arc;
use std::time::Instant;

/// Those of both ends.
pub(super) struct Limits {
    reader: Limit,
    writer: Limit,
}

/// Limits apart from all that changes while bytes move, for a reader who looks here before each byte
/// that it hands out without the lock: two lines of the cache, for processors fetch them in pairs.
#[repr(align(128))]
pub(super) struct Apart(Limits);

/// Where a pipe keeps its limits.
pub(super) trait Place {
    fn new() -> Self;
    fn limits(&self) -> &Limits;
}

impl Place for Limits {
    fn new() -> Self {
        Self::new()
    }

    fn limits(&self) -> &Limits {
        self
    }
}

impl Place for Arc<Apart> {
    fn new() -> Self {
        Self::new(Apart(Limits::new()))
    }

    #[inline]
    fn limits(&self) -> &Limits {
        &self.0
    }
}

/// Changed under the lock of the pipe, and seen without it: who has changed it wakes whoever waits,
/// and who is not found waiting takes the lock before he looks here.
pub(super) struct Limit {
    /// There is something to look at.
    set: AtomicBool,
    closed: AtomicBool,
    deadline: Deadline,
}

impl Limits {
    fn new() -> Self {
        let limit = || Limit {
            set: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            deadline: Deadline::none(),
        };
        Self { reader: limit(), writer: limit() }
    }

    #[inline]
    pub(super) fn of(&self, side: Side) -> &Limit {
        match side {
            Side::Reader => &self.reader,
            Side::Writer => &self.writer,
        }
    }
}

impl Limit {
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        self.set.store(true, Ordering::Release);
    }

    pub(super) fn set_deadline(&self, at: Option<Instant>) {
        self.deadline.set(at);
        self.set.store(at.is_some() || self.closed.load(Ordering::Relaxed), Ordering::Release);
    }

    /// Why nothing may be tried.
    #[inline]
    pub(super) fn check(&self) -> io::Result<()> {
        if self.set.load(Ordering::Acquire) { self.until().map(drop) } else { Ok(()) }
    }

    /// Until when a call may wait, or why it may not.
    #[cold]
    pub(super) fn until(&self) -> io::Result<Option<Instant>> {
        if self.closed.load(Ordering::Relaxed) {
            return Err(error::closed());
        }
        match self.deadline.get() {
            Some(at) if at <= Instant::now() => Err(error::timed_out()),
            until => Ok(until),
        }
    }
}
