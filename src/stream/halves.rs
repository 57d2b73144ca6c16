//! The two directions of a stream, for a thread each.

use super::{Alone, Control, Inner, Stream};
use crate::source::{Outlets, Piece, Sink, Source};
use std::fmt;
use std::io::{IoSlice, IoSliceMut, Read, Result, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The reading half of a [`Stream`].
pub struct ReadHalf<T: AsFd> {
    inner: Arc<Inner<T>>,
}

/// The writing half of a [`Stream`].
pub struct WriteHalf<T: AsFd> {
    inner: Arc<Inner<T>>,
}

/// Two halves that are not of one stream.
#[derive(Debug)]
#[non_exhaustive]
pub struct ReuniteError<T: AsFd> {
    /// The half to read from.
    pub read: ReadHalf<T>,
    /// The half to write to.
    pub write: WriteHalf<T>,
}

pub(super) fn split<T: AsFd>(inner: Arc<Inner<T>>) -> (ReadHalf<T>, WriteHalf<T>) {
    (ReadHalf { inner: Arc::clone(&inner) }, WriteHalf { inner })
}

impl<T: AsFd> ReadHalf<T> {
    /// Makes one stream of both halves again.
    ///
    /// # Errors
    ///
    /// The halves, if they are of two streams.
    pub fn reunite(self, write: WriteHalf<T>) -> std::result::Result<Stream<T>, ReuniteError<T>> {
        if Arc::ptr_eq(&self.inner, &write.inner) {
            Ok(Stream { inner: self.inner })
        } else {
            Err(ReuniteError { read: self, write })
        }
    }

    /// As [`Stream::try_read`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn try_read(&self, buf: &mut [u8]) -> Result<usize> {
        self.inner.try_read(buf)
    }

    /// As [`Stream::peek`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn peek(&self, buf: &mut [u8]) -> Result<usize> {
        self.inner.peek(buf)
    }

    /// As [`Stream::set_read_deadline`].
    pub fn set_read_deadline(&self, at: Option<Instant>) {
        self.inner.desc().read.set_deadline(at);
    }

    /// As [`Stream::set_read_timeout`].
    pub fn set_read_timeout(&self, timeout: Option<Duration>) {
        self.inner.desc().read.timeout.set(timeout);
    }
}

impl<T: AsFd> WriteHalf<T> {
    /// As [`Stream::try_write`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn try_write(&self, bytes: &[u8]) -> Result<usize> {
        self.inner.try_write(bytes)
    }

    /// As [`Stream::set_write_deadline`].
    pub fn set_write_deadline(&self, at: Option<Instant>) {
        self.inner.desc().write.set_deadline(at);
    }

    /// As [`Stream::set_write_timeout`].
    pub fn set_write_timeout(&self, timeout: Option<Duration>) {
        self.inner.desc().write.timeout.set(timeout);
    }
}

macro_rules! common {
    ($($half:ident),*) => {$(
        impl<T: AsFd> $half<T> {
            /// The descriptor's owner.
            #[must_use]
            pub fn get_ref(&self) -> &T {
                self.inner.get_ref()
            }

            /// As [`Stream::control`].
            #[must_use]
            pub fn control(&self) -> Control {
                self.inner.control()
            }

            /// Closes the whole stream, as [`Stream::close`].
            pub fn close(&self) {
                self.inner.desc().close();
            }
        }

        impl<T: AsFd> AsFd for $half<T> {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.inner.as_fd()
            }
        }

        impl<T: AsFd> fmt::Debug for $half<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($half)).field(&self.as_fd()).finish()
            }
        }
    )*};
}

common!(ReadHalf, WriteHalf);

impl<T: AsFd> Read for ReadHalf<T> {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize> {
        self.inner.read(Alone(true), buf)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> Result<usize> {
        self.inner.read_vectored(Alone(true), bufs)
    }
}

impl<T: AsFd> Write for WriteHalf<T> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        self.inner.write(Alone(true), bytes)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> Result<usize> {
        self.inner.write_vectored(Alone(true), bufs)
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

impl<T: AsFd> Source for ReadHalf<T> {
    fn piece<'a>(&'a mut self, _: &mut Outlets<'a>) -> Piece<'a> {
        self.inner.piece()
    }
}

impl<T: AsFd> Sink for WriteHalf<T> {
    fn outlets<'a>(&'a mut self, out: &mut Outlets<'a>) {
        out.push(self.inner.outlet());
    }
}
