//! Messages, of whatever family.

use super::stands_on_stream;
use crate::source::Deadlines;
use crate::stream::{Control, IntoStdError, Stream};
use crate::sys::net::{self, SocketAddrAny};
use crate::sys::{Manner, Nowait};
use std::fmt;
use std::io::{ErrorKind, Result};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A socket whose messages have boundaries: a [`UdpSocket`](super::UdpSocket) or a
/// [`UnixDatagram`](super::UnixDatagram).
///
/// Each call takes or gives one whole message, which may be empty: 0 bytes received are no end.
/// **Of a message that is longer than the buffer the rest is lost**, and nothing tells of it.
/// Threads may share a socket; of each direction they take turns.
pub struct Datagram<T: AsFd> {
    pub(super) stream: Stream<T>,
    /// Nothing is received any more. The system ends a call that blocks then, but goes on to
    /// say of a non-blocking one that it would block, and that the socket can be read.
    pub(super) ended: AtomicBool,
}

stands_on_stream!(Datagram);

impl<T: AsFd> Datagram<T> {
    fn over(stream: Stream<T>) -> Self {
        Self { stream, ended: AtomicBool::new(false) }
    }

    pub(super) fn made(io: T) -> Self {
        Self::over(Stream::made(io, Manner::SOCKET))
    }

    /// Receives a message into `buf` and tells its length.
    ///
    /// # Errors
    ///
    /// `TimedOut` after the deadline, `NotConnected` after a close, those of recv(2) else: that a
    /// peer to which something was sent is not there (`ConnectionRefused`), for one.
    pub fn recv(&self, buf: &mut [u8]) -> Result<usize> {
        self.receiving(|fd| Nowait::Socket.read(fd, buf))
    }

    /// As [`recv`](Self::recv), and leaves the message where it is.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn peek(&self, buf: &mut [u8]) -> Result<usize> {
        self.receiving(|fd| Nowait::Socket.peek(fd, buf))
    }

    /// Sends a message to the peer that the socket is connected to, whole.
    ///
    /// # Errors
    ///
    /// `TimedOut` after the deadline, `NotConnected` after a close; those of send(2) else:
    /// that it has no peer, or that the message is too long, for one.
    pub fn send(&self, bytes: &[u8]) -> Result<usize> {
        self.stream.writing()?.perform(|fd| Nowait::Socket.write(fd, bytes))
    }

    /// Until when receiving may wait; `None` is for ever.
    pub fn set_read_deadline(&self, at: Option<Instant>) {
        self.stream.set_read_deadline(at);
    }

    /// Until when sending may wait; `None` is for ever.
    pub fn set_write_deadline(&self, at: Option<Instant>) {
        self.stream.set_write_deadline(at);
    }

    /// Both deadlines.
    pub fn set_deadline(&self, at: Option<Instant>) {
        self.stream.set_deadline(at);
    }

    /// How long each call may wait to receive, counted from its start; `None` is for ever.
    pub fn set_read_timeout(&self, timeout: Option<Duration>) {
        self.stream.set_read_timeout(timeout);
    }

    /// How long each call may wait to send, counted from its start; `None` is for ever.
    pub fn set_write_timeout(&self, timeout: Option<Duration>) {
        self.stream.set_write_timeout(timeout);
    }

    pub(super) fn receive(
        &self,
        buf: &mut [u8],
        peek: bool,
    ) -> Result<(usize, Option<SocketAddrAny>)> {
        self.receiving(|fd| net::recv_from(fd, buf, peek))
    }

    /// Receives by `call`; nothing at all, once nothing comes any more.
    fn receiving<R: Default>(
        &self,
        mut call: impl FnMut(BorrowedFd<'_>) -> Result<R>,
    ) -> Result<R> {
        self.stream.reading()?.perform(|fd| match call(fd) {
            Err(error) if error.kind() == ErrorKind::WouldBlock && self.has_ended() => {
                Ok(R::default())
            }
            done => done,
        })
    }

    fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }
}

impl<T: AsFd> Deadlines for Datagram<T> {
    fn set_read_deadline(&self, at: Option<Instant>) {
        self.set_read_deadline(at);
    }

    fn set_write_deadline(&self, at: Option<Instant>) {
        self.set_write_deadline(at);
    }
}
