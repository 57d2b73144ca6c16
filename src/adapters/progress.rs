//! Telling a closure how far a transfer has come.

use crate::error;
use crate::source::{Outcomes, Outlets, Piece, Sink, Source};
use std::fmt;
use std::io::{self, BufRead, IoSlice, IoSliceMut, Read, Write};

/// The count and what was told of it. Dropping it tells the rest, so that the last call of the
/// closure is the full total, however the transfer ended.
struct Meter<F: FnMut(u64)> {
    every: u64,
    total: u64,
    told: u64,
    tell: F,
}

impl<F: FnMut(u64)> Meter<F> {
    fn new(every: u64, tell: F) -> Self {
        Self { every: every.max(1), total: 0, told: 0, tell }
    }

    #[inline]
    fn add(&mut self, n: u64) {
        // `consume` may be told any number.
        self.total = self.total.saturating_add(n);
        if self.total - self.told >= self.every {
            self.finish();
        }
    }

    fn finish(&mut self) {
        if self.total > self.told {
            self.told = self.total;
            (self.tell)(self.total);
        }
    }
}

impl<F: FnMut(u64)> Drop for Meter<F> {
    fn drop(&mut self) {
        // A closure that panics while its thread unwinds would abort the process.
        if !std::thread::panicking() {
            self.finish();
        }
    }
}

/// A reader that tells a closure the total of bytes handed out, at most once per so many bytes.
///
/// It tells once more when the reader has ended, or when the adapter is dropped, if bytes came
/// since. Under [`copy`](crate::copy()) the kernel path stays; a step in the kernel may be
/// longer than `every`, and then there is one call for it.
///
/// # Examples
///
/// ```
/// use aqueduct::ReadExt;
///
/// let mut told = Vec::new();
/// let mut source = std::io::Read::take(std::io::repeat(0), 2500).progress(1000, |n| told.push(n));
/// while std::io::Read::read(&mut source, &mut [0; 500])? > 0 {}
/// drop(source);
/// assert_eq!(told, [1000, 2000, 2500]);
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Progress<R, F: FnMut(u64)> {
    inner: R,
    meter: Meter<F>,
}

impl<R, F: FnMut(u64)> Progress<R, F> {
    /// Tells `tell` the total at most once per `every` bytes (0 is taken as 1).
    pub fn new(inner: R, every: u64, tell: F) -> Self {
        Self { inner, meter: Meter::new(every, tell) }
    }

    /// The reader within.
    pub fn get_ref(&self) -> &R {
        &self.inner
    }

    /// The reader within. What is read from it directly is not counted.
    pub fn get_mut(&mut self) -> &mut R {
        &mut self.inner
    }

    /// The reader within, given back; the closure is told what it was not told yet.
    pub fn into_inner(self) -> R {
        self.inner
    }
}

impl<R: fmt::Debug, F: FnMut(u64)> fmt::Debug for Progress<R, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.meter.total;
        f.debug_struct("Progress")
            .field("inner", &self.inner)
            .field("total", &total)
            .finish_non_exhaustive()
    }
}

impl<R: Read, F: FnMut(u64)> Read for Progress<R, F> {
    #[inline]
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        if n > buf.len() {
            return Err(error::lying("reader", n, buf.len()));
        }
        if n == 0 && !buf.is_empty() {
            self.meter.finish();
        }
        self.meter.add(n as u64);
        Ok(n)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let n = self.inner.read_vectored(bufs)?;
        let room = bufs.iter().map(|b| b.len()).sum();
        if n > room {
            return Err(error::lying("reader", n, room));
        }
        if n == 0 && room > 0 {
            self.meter.finish();
        }
        self.meter.add(n as u64);
        Ok(n)
    }
}

impl<R: BufRead, F: FnMut(u64)> BufRead for Progress<R, F> {
    #[inline]
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let buf = self.inner.fill_buf()?;
        if buf.is_empty() {
            self.meter.finish();
        }
        Ok(buf)
    }

    #[inline]
    fn consume(&mut self, n: usize) {
        self.meter.add(n as u64);
        self.inner.consume(n);
    }
}

impl<R: Source, F: FnMut(u64)> Source for Progress<R, F> {
    fn prepare(&mut self) -> io::Result<()> {
        self.inner.prepare()
    }

    fn piece<'a>(&'a mut self, taps: &mut Outlets<'a>) -> Piece<'a> {
        self.inner.piece(taps)
    }

    fn advance(&mut self, n: u64, taps: &mut Outcomes<'_>) -> io::Result<()> {
        let result = self.inner.advance(n, taps);
        self.meter.add(n);
        result
    }

    fn end(&mut self) -> io::Result<bool> {
        let more = self.inner.end()?;
        if !more {
            self.meter.finish();
        }
        Ok(more)
    }

    fn at_fault(&self) -> Option<usize> {
        self.inner.at_fault()
    }

    fn missed(&self, tap: usize) -> &[u8] {
        self.inner.missed(tap)
    }
}

/// A writer that tells a closure the total of bytes accepted, at most once per so many bytes.
///
/// A writer does not know its end, so it tells the rest when the adapter is dropped or taken
/// apart by [`into_inner`](Self::into_inner), and not on flush.
pub struct ProgressWriter<W, F: FnMut(u64)> {
    inner: W,
    meter: Meter<F>,
}

impl<W, F: FnMut(u64)> ProgressWriter<W, F> {
    /// Tells `tell` the total at most once per `every` bytes (0 is taken as 1).
    pub fn new(inner: W, every: u64, tell: F) -> Self {
        Self { inner, meter: Meter::new(every, tell) }
    }

    /// The writer within.
    pub fn get_ref(&self) -> &W {
        &self.inner
    }

    /// The writer within. What is written to it directly is not counted.
    pub fn get_mut(&mut self) -> &mut W {
        &mut self.inner
    }

    /// The writer within, given back; the closure is told what it was not told yet.
    pub fn into_inner(self) -> W {
        self.inner
    }
}

impl<W: fmt::Debug, F: FnMut(u64)> fmt::Debug for ProgressWriter<W, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.meter.total;
        f.debug_struct("ProgressWriter")
            .field("inner", &self.inner)
            .field("total", &total)
            .finish_non_exhaustive()
    }
}

impl<W: Write, F: FnMut(u64)> Write for ProgressWriter<W, F> {
    #[inline]
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(buf)?;
        if n > buf.len() {
            return Err(error::lying("writer", n, buf.len()));
        }
        self.meter.add(n as u64);
        Ok(n)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        let n = self.inner.write_vectored(bufs)?;
        let given = bufs.iter().map(|b| b.len()).sum();
        if n > given {
            return Err(error::lying("writer", n, given));
        }
        self.meter.add(n as u64);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<W: Sink, F: FnMut(u64)> Sink for ProgressWriter<W, F> {
    fn prepare(&mut self) -> io::Result<()> {
        self.inner.prepare()
    }

    fn outlets<'a>(&'a mut self, out: &mut Outlets<'a>) {
        self.inner.outlets(out);
    }

    fn advance(&mut self, out: &mut Outcomes<'_>) -> io::Result<()> {
        let from = out.taken();
        let result = self.inner.advance(out);
        self.meter.add(out.moved_since(from));
        result
    }

    fn at_fault(&self) -> Option<usize> {
        self.inner.at_fault()
    }

    fn ahead(&self, outlet: usize) -> usize {
        self.inner.ahead(outlet)
    }
}
