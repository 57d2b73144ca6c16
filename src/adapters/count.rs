//! Counting the bytes that go by.

use crate::error;
use crate::source::{Outcomes, Outlets, Piece, Sink, Source};
use std::io::{self, BufRead, IoSlice, IoSliceMut, Read, Seek, SeekFrom, Write};

/// A reader that counts the bytes it hands out.
///
/// Bytes count when they are read or consumed, not when they are buffered. A seek changes the
/// position and not the count. Under [`copy`](crate::copy()) the kernel path stays.
///
/// # Examples
///
/// ```
/// use aqueduct::ReadExt;
/// use std::io::Read;
///
/// let mut counted = (&b"forty-two"[..]).count();
/// counted.read(&mut [0; 5])?;
/// assert_eq!(counted.total(), 5);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Count<R> {
    inner: R,
    count: u64,
}

impl<R> Count<R> {
    /// Counts what is read from `inner` from now on.
    pub fn new(inner: R) -> Self {
        Self { inner, count: 0 }
    }

    /// How many bytes were handed out so far.
    ///
    /// Not `count`: with [`ReadExt`](crate::ReadExt) in scope that would wrap the reader anew.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.count
    }

    /// The reader within.
    pub fn get_ref(&self) -> &R {
        &self.inner
    }

    /// The reader within. What is read from it directly is not counted.
    pub fn get_mut(&mut self) -> &mut R {
        &mut self.inner
    }

    /// The reader within, given back.
    pub fn into_inner(self) -> R {
        self.inner
    }
}

impl<R: Read> Read for Count<R> {
    #[inline]
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        if n > buf.len() {
            return Err(error::lying("reader", n, buf.len()));
        }
        self.count += n as u64;
        Ok(n)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let n = self.inner.read_vectored(bufs)?;
        let room = bufs.iter().map(|b| b.len()).sum();
        if n > room {
            return Err(error::lying("reader", n, room));
        }
        self.count += n as u64;
        Ok(n)
    }

    fn read_to_end(&mut self, buf: &mut Vec<u8>) -> io::Result<usize> {
        let start = buf.len();
        let result = self.inner.read_to_end(buf);
        // What was read before an error is in `buf` all the same.
        self.count += buf.len().saturating_sub(start) as u64;
        result
    }
}

impl<R: BufRead> BufRead for Count<R> {
    #[inline]
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    #[inline]
    fn consume(&mut self, n: usize) {
        // No reader holds so many, but nobody keeps a caller from saying so.
        self.count = self.count.saturating_add(n as u64);
        self.inner.consume(n);
    }
}

impl<R: Seek> Seek for Count<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }

    fn stream_position(&mut self) -> io::Result<u64> {
        self.inner.stream_position()
    }
}

impl<R: Source> Source for Count<R> {
    fn prepare(&mut self) -> io::Result<()> {
        self.inner.prepare()
    }

    fn piece<'a>(&'a mut self, taps: &mut Outlets<'a>) -> Piece<'a> {
        self.inner.piece(taps)
    }

    fn advance(&mut self, n: u64, taps: &mut Outcomes<'_>) -> io::Result<()> {
        self.count += n;
        self.inner.advance(n, taps)
    }

    fn end(&mut self) -> io::Result<bool> {
        self.inner.end()
    }

    fn at_fault(&self) -> Option<usize> {
        self.inner.at_fault()
    }

    fn missed(&self, tap: usize) -> &[u8] {
        self.inner.missed(tap)
    }
}

/// A writer that counts the bytes that the writer within accepts.
///
/// # Examples
///
/// ```
/// use aqueduct::WriteExt;
/// use std::io::Write;
///
/// let mut counted = Vec::new().count_writes();
/// counted.write_all(b"forty-two")?;
/// assert_eq!(counted.count(), 9);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct CountWriter<W> {
    inner: W,
    count: u64,
}

impl<W> CountWriter<W> {
    /// Counts what is written to `inner` from now on.
    pub fn new(inner: W) -> Self {
        Self { inner, count: 0 }
    }

    /// How many bytes were accepted so far.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The writer within.
    pub fn get_ref(&self) -> &W {
        &self.inner
    }

    /// The writer within. What is written to it directly is not counted.
    pub fn get_mut(&mut self) -> &mut W {
        &mut self.inner
    }

    /// The writer within, given back.
    pub fn into_inner(self) -> W {
        self.inner
    }
}

impl<W: Write> Write for CountWriter<W> {
    #[inline]
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(buf)?;
        if n > buf.len() {
            return Err(error::lying("writer", n, buf.len()));
        }
        self.count += n as u64;
        Ok(n)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        let n = self.inner.write_vectored(bufs)?;
        let given = bufs.iter().map(|b| b.len()).sum();
        if n > given {
            return Err(error::lying("writer", n, given));
        }
        self.count += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<W: Seek> Seek for CountWriter<W> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }

    fn stream_position(&mut self) -> io::Result<u64> {
        self.inner.stream_position()
    }
}

impl<W: Sink> Sink for CountWriter<W> {
    fn prepare(&mut self) -> io::Result<()> {
        self.inner.prepare()
    }

    fn outlets<'a>(&'a mut self, out: &mut Outlets<'a>) {
        self.inner.outlets(out);
    }

    fn advance(&mut self, out: &mut Outcomes<'_>) -> io::Result<()> {
        let from = out.taken();
        let result = self.inner.advance(out);
        self.count += out.moved_since(from);
        result
    }

    fn at_fault(&self) -> Option<usize> {
        self.inner.at_fault()
    }

    fn ahead(&self, outlet: usize) -> usize {
        self.inner.ahead(outlet)
    }
}
