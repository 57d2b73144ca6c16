//! Writers that take little, nothing, or more than they keep.

use super::{sinks, wraps};
use crate::source::{Outlet, Outlets, Sink};
use std::io::{self, IoSlice, Write};

/// A writer that takes at most `max` bytes per call, across the slices of a vectored write too.
///
/// # Examples
///
/// ```
/// use aqueduct::iotest::ShortWrite;
/// use std::io::Write;
///
/// let mut writer = ShortWrite::new(Vec::new(), 3);
/// assert_eq!(writer.write(b"abcdef")?, 3);
/// assert_eq!(writer.get_ref(), b"abc");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct ShortWrite<W> {
    inner: W,
    max: usize,
}

impl<W> ShortWrite<W> {
    /// Writes to `inner` at most `max` bytes at once; with 0, nothing ever.
    #[must_use]
    pub fn new(inner: W, max: usize) -> Self {
        Self { inner, max }
    }
}

wraps!(ShortWrite);

impl<W: Write> Write for ShortWrite<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let take = buf.len().min(self.max);
        self.inner.write(&buf[..take])
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut room = self.max;
        let mut short = Vec::new();
        for buf in bufs {
            let take = buf.len().min(room);
            short.push(IoSlice::new(&buf[..take]));
            room -= take;
            if room == 0 {
                break;
            }
        }
        self.inner.write_vectored(&short)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

sinks!(ShortWrite);

/// A writer that answers every write with `Ok(0)`: it takes no more.
///
/// `write_all` makes `WriteZero` of that.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct ZeroWrite;

impl ZeroWrite {
    /// A writer that takes nothing.
    #[must_use]
    pub fn new() -> Self {
        Self
    }
}

impl Write for ZeroWrite {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Ok(0)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for ZeroWrite {
    fn outlets<'a>(&'a mut self, out: &mut Outlets<'a>) {
        out.push(Outlet::opaque(self));
    }
}

/// A writer that silently drops what comes after the first `n` bytes and claims it was written.
///
/// A cache that lost its power: only who compares what arrived will notice.
///
/// # Examples
///
/// ```
/// use aqueduct::iotest::Truncate;
/// use std::io::Write;
///
/// let mut writer = Truncate::new(Vec::new(), 4);
/// writer.write_all(b"abcdef")?;
/// assert_eq!(writer.into_inner(), b"abcd");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Truncate<W> {
    inner: W,
    left: u64,
}

impl<W> Truncate<W> {
    /// Writes the first `n` bytes to `inner`.
    #[must_use]
    pub fn new(inner: W, n: u64) -> Self {
        Self { inner, left: n }
    }
}

wraps!(Truncate);

impl<W: Write> Write for Truncate<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let keep = usize::try_from(self.left).map_or(buf.len(), |left| left.min(buf.len()));
        if keep == 0 {
            return Ok(buf.len());
        }
        let n = self.inner.write(&buf[..keep])?;
        self.left = self.left.saturating_sub(n as u64);
        // A short write of the inner writer stays one: only the rest after `n` bytes is a lie.
        Ok(if n == keep { buf.len() } else { n })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

sinks!(Truncate);
