//! A reader or writer that claims more than it did.

use super::{sinks, wraps};
use crate::source::{Outlet, Outlets, Sink, Source};
use std::io::{self, IoSlice, IoSliceMut, Read, Write};

/// A reader or writer that claims more bytes than it read or wrote.
///
/// Claims that exceed the caller's buffer must be met with an error, never with a panic:
/// the adapters and `copy` of this crate answer `InvalidData`. A claim that stays within the
/// buffer cannot be noticed by the caller.
///
/// Where the inner one ends or takes nothing it tells the truth, so that loops end.
///
/// # Examples
///
/// ```
/// use aqueduct::iotest::Lying;
/// use std::io::Read;
///
/// let mut reader = Lying::new(&b"abc"[..], 10);
/// assert_eq!(reader.read(&mut [0; 2])?, 12);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Lying<T> {
    inner: T,
    by: usize,
}

impl<T> Lying<T> {
    /// Claims `by` bytes more than `inner` does; `usize::MAX` is a claim that nobody can miss.
    #[must_use]
    pub fn new(inner: T, by: usize) -> Self {
        Self { inner, by }
    }

    fn claim(&self, n: usize) -> usize {
        if n == 0 { 0 } else { n.saturating_add(self.by) }
    }
}

wraps!(Lying);

impl<R: Read> Read for Lying<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        Ok(self.claim(n))
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let n = self.inner.read_vectored(bufs)?;
        Ok(self.claim(n))
    }
}

impl<W: Write> Write for Lying<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(buf)?;
        Ok(self.claim(n))
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        let n = self.inner.write_vectored(bufs)?;
        Ok(self.claim(n))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<R: Read> Source for Lying<R> {}
sinks!(Lying);
