//! A connection under way, as body and response share it.

use super::connection::Connection;
use super::transport::Transport;
use crate::error;
use std::io::{self, IoSlice};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a connection may stand still, reading or writing; `None` is for ever.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Timeouts {
    pub(super) read: Option<Duration>,
    pub(super) write: Option<Duration>,
}

/// The transport, and what the two directions have to know of each other.
pub(super) struct Wire<'t> {
    pub(super) transport: &'t dyn Transport,
    pub(super) connection: &'t Connection,
    /// The client waits for a 100 before it sends its body.
    waits: AtomicBool,
    /// The response has begun: there is no 100 any more.
    answered: AtomicBool,
    /// What the handler has set, and whether the transport has deadlines of an earlier call.
    until: Mutex<Until>,
}

#[derive(Debug, Clone, Copy)]
struct Until {
    timeouts: Timeouts,
    read: Option<Instant>,
    write: Option<Instant>,
    read_set: bool,
    write_set: bool,
}

/// The most parts that are written at once: what waits, and the two halves of a body's piece.
const PARTS: usize = 3;

impl<'t> Wire<'t> {
    pub(super) fn new(
        transport: &'t dyn Transport,
        mut timeouts: Timeouts,
        connection: &'t Connection,
    ) -> Self {
        let known = connection.is_known();
        if known {
            // The stream has it.
            timeouts.write = None;
        }
        Self {
            transport,
            connection,
            waits: AtomicBool::new(false),
            answered: AtomicBool::new(false),
            until: Mutex::new(Until {
                timeouts,
                read: None,
                write: None,
                // Others may still have those of an earlier burst.
                read_set: !known,
                write_set: !known,
            }),
        }
    }

    /// The burst is over: no deadline is left behind.
    pub(super) fn rests(&self) {
        self.begin(false);
        self.read_deadline(None);
        self.before_write();
    }

    fn until(&self) -> MutexGuard<'_, Until> {
        self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request begins: its own deadlines are none.
    pub(super) fn begin(&self, waits: bool) {
        self.waits.store(waits, Ordering::Relaxed);
        self.answered.store(false, Ordering::Relaxed);
        let mut until = self.until();
        (until.read, until.write) = (None, None);
    }

    /// Until when reads may wait, beside the timeouts.
    pub(super) fn set_read_deadline(&self, at: Option<Instant>) {
        self.until().read = at;
        self.before_read();
    }

    /// Until when writes may wait, beside the timeouts.
    pub(super) fn set_write_deadline(&self, at: Option<Instant>) {
        self.until().write = at;
        self.before_write();
    }

    /// The connection speaks HTTP no more, and its pauses mean something else.
    pub(super) fn without_timeouts(&self) {
        self.until().timeouts = Timeouts::default();
        if let Some(link) = self.connection.link() {
            link.set_write_timeout(None);
        }
        self.before_read();
        self.before_write();
    }

    /// What was set, for reads and for writes.
    pub(super) fn deadlines(&self) -> (Option<Instant>, Option<Instant>) {
        let until = self.until();
        (until.read, until.write)
    }

    /// The response has begun.
    pub(super) fn answered(&self) {
        self.answered.store(true, Ordering::Relaxed);
    }

    /// Whether the client was not asked for its body, and may or may not send it.
    pub(super) fn is_waited_for(&self) -> bool {
        self.waits.load(Ordering::Relaxed)
    }

    /// Lets a client send its body that waits for that.
    pub(super) fn invite(&self) -> io::Result<()> {
        if self.answered.load(Ordering::Relaxed) || !self.waits.swap(false, Ordering::Relaxed) {
            return Ok(());
        }
        self.write_all(&[b"HTTP/1.1 100 Continue\r\n\r\n"])
    }

    /// Before anybody waits for bytes of a body.
    pub(super) fn before_read(&self) {
        let Some(deadlines) = self.transport.deadlines() else { return };
        let mut until = self.until();
        let at = earliest(until.timeouts.read, until.read);
        if at.is_some() || until.read_set {
            until.read_set = at.is_some();
            deadlines.set_read_deadline(at);
        }
    }

    /// Before anybody waits for room.
    pub(super) fn before_write(&self) {
        let Some(deadlines) = self.transport.deadlines() else { return };
        let mut until = self.until();
        let at = earliest(until.timeouts.write, until.write);
        if at.is_some() || until.write_set {
            until.write_set = at.is_some();
            deadlines.set_write_deadline(at);
        }
    }

    /// Reads what belongs to a body.
    pub(super) fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.before_read();
        self.read_now(buf)
    }

    /// Reads until `at`.
    pub(super) fn read_until(&self, buf: &mut [u8], at: Option<Instant>) -> io::Result<usize> {
        self.read_deadline(at);
        self.read_now(buf)
    }

    fn read_deadline(&self, at: Option<Instant>) {
        let Some(deadlines) = self.transport.deadlines() else { return };
        let mut until = self.until();
        if at.is_some() || until.read_set {
            until.read_set = at.is_some();
            deadlines.set_read_deadline(at);
        }
    }

    fn read_now(&self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.transport.read(buf) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Ok(n) if n > buf.len() => return Err(error::lying("connection", n, buf.len())),
                done => return done,
            }
        }
    }

    /// Writes all of `parts`, one after the other.
    pub(super) fn write_all(&self, parts: &[&[u8]]) -> io::Result<()> {
        let mut slices = [IoSlice::new(&[]); PARTS];
        let mut count = 0;
        for (slice, part) in slices.iter_mut().zip(parts.iter().filter(|part| !part.is_empty())) {
            *slice = IoSlice::new(part);
            count += 1;
        }
        let mut left = &mut slices[..count];
        while !left.is_empty() {
            self.before_write();
            let result = match &*left {
                [only] => self.transport.write(only),
                several => self.transport.write_vectored(several),
            };
            match result {
                Ok(0) => return Err(error::takes_no_more()),
                Ok(n) => {
                    let given = left.iter().map(|slice| slice.len()).sum();
                    if n > given {
                        return Err(error::lying("connection", n, given));
                    }
                    IoSlice::advance_slices(&mut left, n);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}

fn earliest(timeout: Option<Duration>, at: Option<Instant>) -> Option<Instant> {
    let timeout = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    [timeout, at].into_iter().flatten().min()
}
