//! Accepting connections, of whatever family.

use super::backoff::Backoff;
use super::stands_on_stream;
use crate::stream::{Control, IntoStdError, Stream};
use crate::sys::net::SocketAddrAny;
use crate::sys::{self, Manner};
use std::fmt;
use std::io::{ErrorKind, Result};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// A socket that connections come in by: a [`TcpListener`](super::TcpListener) or a
/// [`UnixListener`](super::UnixListener).
///
/// Any number of threads may accept from it; they take turns.
pub struct Listener<T: AsFd> {
    pub(super) stream: Stream<T>,
}

stands_on_stream!(Listener);

impl<T: AsFd> Listener<T> {
    fn over(stream: Stream<T>) -> Self {
        Self { stream }
    }

    pub(super) fn made(io: T, manner: Manner) -> Self {
        Self::over(Stream::made(io, manner))
    }

    /// Until when `accept` may wait; `None` is for ever.
    pub fn set_deadline(&self, at: Option<Instant>) {
        self.stream.set_read_deadline(at);
    }

    /// How long each `accept` may wait, counted from its start; `None` is for ever.
    pub fn set_timeout(&self, timeout: Option<Duration>) {
        self.stream.set_read_timeout(timeout);
    }

    /// The next connection, non-blocking and closed on exec, of the listener's own kind. One call
    /// of the system does all of that.
    pub(super) fn connection(&self) -> Result<(OwnedFd, Option<SocketAddrAny>)> {
        let op = self.stream.reading()?;
        let mut backoff = Backoff::for_descriptors();
        loop {
            match op.perform(sys::net::accept) {
                Err(error) if sys::is_connections_own(&error) => {}
                Err(error) if sys::is_shortage(&error) => op.pause(backoff.next())?,
                done => return done,
            }
        }
    }
}

/// The connections that come in at a listener, until it is closed.
///
/// An error is an item like any other: a deadline that has passed, for one, may be moved and the
/// iteration go on.
pub struct Incoming<'a, T: AsFd> {
    pub(super) listener: &'a Listener<T>,
}

impl<T: AsFd> fmt::Debug for Incoming<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Incoming").field(&self.listener.as_fd()).finish()
    }
}

/// What `accept` answered, as an iterator's item.
pub(super) fn item<C, A>(accepted: Result<(C, A)>) -> Option<Result<C>> {
    match accepted {
        Err(error) if error.kind() == ErrorKind::NotConnected => None,
        other => Some(other.map(|(connection, _)| connection)),
    }
}
