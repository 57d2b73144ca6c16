//! What the server asks of a connection.

use crate::adapters::duplex::Duplex;
use crate::error;
use crate::source::{Deadlines, Outlet, Piece};
use crate::stream::Stream;
use std::io::{self, IoSlice, Read, Write};
use std::os::fd::AsFd;
use std::sync::{Mutex, TryLockError};

/// A connection that can be served: read and written through a shared reference, one reader and one
/// writer at a time.
///
/// Our [`Stream`]s are, TCP and Unix sockets among them, and [`Duplex`]. Anything else that reads and
/// writes is served by [`Server::serve_connection`](super::Server::serve_connection); implement this for what can
/// do more: a TLS stream, say, whose deadlines are those of the socket below, and whose `shutdown_write`
/// says goodbye to the peer.
pub trait Transport: Send + Sync {
    /// As [`Read::read`].
    ///
    /// # Errors
    ///
    /// The connection's own.
    fn read(&self, buf: &mut [u8]) -> io::Result<usize>;

    /// As [`Write::write`].
    ///
    /// # Errors
    ///
    /// The connection's own.
    fn write(&self, bytes: &[u8]) -> io::Result<usize>;

    /// As [`Write::write_vectored`].
    ///
    /// # Errors
    ///
    /// The connection's own.
    fn write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        let buf = bufs.iter().find(|buf| !buf.is_empty());
        buf.map_or(Ok(0), |buf| self.write(buf))
    }

    /// As [`Write::flush`].
    ///
    /// # Errors
    ///
    /// The connection's own.
    fn flush(&self) -> io::Result<()> {
        Ok(())
    }

    /// Tells the peer that nothing will follow, while it may still be read from.
    ///
    /// A server that refuses a request has to go on reading for a while, or the client might never
    /// see the refusal; that is done where this is possible.
    ///
    /// # Errors
    ///
    /// `Unsupported` where the directions cannot be ended one by one; the connection's own.
    fn shutdown_write(&self) -> io::Result<()> {
        Err(error::no_half_close())
    }

    /// To set deadlines with. Without, a client may take all the time in the world.
    fn deadlines(&self) -> Option<&dyn Deadlines> {
        None
    }

    /// Where the next bytes lie, as in [`Source`](crate::source::Source).
    fn piece(&self) -> Piece<'_> {
        Piece::Opaque
    }

    /// Where bytes may be put around `write`, as in [`Sink`](crate::source::Sink).
    fn outlet(&self) -> Option<Outlet<'_>> {
        None
    }
}

impl<T: AsFd + Send + Sync> Transport for Stream<T> {
    fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        (&mut &*self).read(buf)
    }

    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        (&mut &*self).write(bytes)
    }

    fn write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        (&mut &*self).write_vectored(bufs)
    }

    fn shutdown_write(&self) -> io::Result<()> {
        crate::sys::net::shutdown_write(self.as_fd())
    }

    fn deadlines(&self) -> Option<&dyn Deadlines> {
        Some(self)
    }

    fn piece(&self) -> Piece<'_> {
        self.next_piece()
    }

    fn outlet(&self) -> Option<Outlet<'_>> {
        Some(self.next_outlet())
    }
}

impl Transport for Duplex {
    fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        (&mut &*self).read(buf)
    }

    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        (&mut &*self).write(bytes)
    }

    fn write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        (&mut &*self).write_vectored(bufs)
    }

    fn deadlines(&self) -> Option<&dyn Deadlines> {
        Some(self)
    }
}

impl<T: Transport + ?Sized> Transport for &T {
    fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        (**self).read(buf)
    }

    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        (**self).write(bytes)
    }

    fn write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        (**self).write_vectored(bufs)
    }

    fn flush(&self) -> io::Result<()> {
        (**self).flush()
    }

    fn shutdown_write(&self) -> io::Result<()> {
        (**self).shutdown_write()
    }

    fn deadlines(&self) -> Option<&dyn Deadlines> {
        (**self).deadlines()
    }

    fn piece(&self) -> Piece<'_> {
        (**self).piece()
    }

    fn outlet(&self) -> Option<Outlet<'_>> {
        (**self).outlet()
    }
}

/// Anything that reads and writes, one of both at a time.
#[derive(Debug)]
pub(super) struct Plain<S>(Mutex<S>);

impl<S> Plain<S> {
    pub(super) fn new(stream: S) -> Self {
        Self(Mutex::new(stream))
    }

    /// Nobody waits here for a turn: it might be a task of the same worker that has it.
    fn with<R>(&self, call: impl FnOnce(&mut S) -> io::Result<R>) -> io::Result<R> {
        match self.0.try_lock() {
            Ok(mut stream) => call(&mut stream),
            Err(TryLockError::Poisoned(stream)) => call(&mut stream.into_inner()),
            Err(TryLockError::WouldBlock) => Err(error::stream_shared()),
        }
    }
}

impl<S: Read + Write + Send> Transport for Plain<S> {
    fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.with(|stream| stream.read(buf))
    }

    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.with(|stream| stream.write(bytes))
    }

    fn write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.with(|stream| stream.write_vectored(bufs))
    }

    fn flush(&self) -> io::Result<()> {
        self.with(Write::flush)
    }
}
