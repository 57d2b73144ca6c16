//! What fails the calls of an end before they try anything: its own close, and its deadline.

use super::gate::Side;
use crate::error;
use crate::poll::Deadline;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Apart from all that changes while bytes move, because a reader looks here before each byte that
/// it hands out without the lock: two lines of the cache, for processors fetch them in pairs.
#[repr(align(128))]
pub(super) struct Limits {
    reader: Limit,
    writer: Limit,
}

/// Changed before the lock is taken to wake whoever waits: who has the lock and sees no change
/// will be found there.
pub(super) struct Limit {
    closed: AtomicBool,
    deadline: Deadline,
}

impl Limits {
    pub(super) fn new() -> Self {
        let limit = || Limit { closed: AtomicBool::new(false), deadline: Deadline::none() };
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
        self.closed.store(true, Ordering::Release);
    }

    pub(super) fn set_deadline(&self, at: Option<Instant>) {
        self.deadline.set(at);
    }

    /// Until when a call may wait, or why nothing may be tried.
    #[inline]
    pub(super) fn until(&self) -> io::Result<Option<Instant>> {
        if self.closed.load(Ordering::Acquire) {
            return Err(error::closed());
        }
        match self.deadline.get() {
            Some(at) if at <= Instant::now() => Err(error::timed_out()),
            until => Ok(until),
        }
    }

    #[inline]
    pub(super) fn check(&self) -> io::Result<()> {
        self.until().map(drop)
    }
}
