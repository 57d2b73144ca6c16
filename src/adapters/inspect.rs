//! Showing a closure the bytes that go by.

use crate::error;
use crate::source::{Outcomes, Outlet, Outlets, Piece, Sink, Source};
use std::fmt;
use std::io::{self, BufRead, IoSlice, IoSliceMut, Read, Write};

/// A reader that shows a closure every byte it hands out, once and in order.
///
/// The closure sees bytes when they are read or consumed, not when they are buffered, and is
/// not called for none. It has to see them, so a copy from here goes through memory.
///
/// # Examples
///
/// ```
/// use aqueduct::ReadExt;
///
/// let mut sum = 0u64;
/// let mut source = (&[1u8, 2, 3][..]).inspect(|bytes| {
///     sum += bytes.iter().map(|&b| u64::from(b)).sum::<u64>();
/// });
/// std::io::copy(&mut source, &mut std::io::sink())?;
/// drop(source);
/// assert_eq!(sum, 6);
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Inspect<R, F> {
    inner: R,
    see: F,
    /// What the reader within said while bytes were consumed, for the next call.
    late: Option<io::Error>,
}

/// An error that waits stays with the original.
impl<R: Clone, F: Clone> Clone for Inspect<R, F> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), see: self.see.clone(), late: None }
    }
}

impl<R, F: FnMut(&[u8])> Inspect<R, F> {
    /// Shows `see` what is read from `inner`.
    pub fn new(inner: R, see: F) -> Self {
        Self { inner, see, late: None }
    }

    /// The reader within.
    pub fn get_ref(&self) -> &R {
        &self.inner
    }

    /// The reader within. What is read from it directly is not seen.
    pub fn get_mut(&mut self) -> &mut R {
        &mut self.inner
    }

    /// The reader within, given back.
    pub fn into_inner(self) -> R {
        self.inner
    }

    #[inline]
    fn speak_up(&mut self) -> io::Result<()> {
        if self.late.is_some() { self.late.take().map_or(Ok(()), Err) } else { Ok(()) }
    }
}

impl<R: fmt::Debug, F> fmt::Debug for Inspect<R, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inspect").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<R: Read, F: FnMut(&[u8])> Read for Inspect<R, F> {
    #[inline]
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.speak_up()?;
        let n = self.inner.read(buf)?;
        match buf.get(..n) {
            Some([]) => {}
            Some(bytes) => (self.see)(bytes),
            None => return Err(error::lying("reader", n, buf.len())),
        }
        Ok(n)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.speak_up()?;
        let n = self.inner.read_vectored(bufs)?;
        let room = bufs.iter().map(|b| b.len()).sum();
        if n > room {
            return Err(error::lying("reader", n, room));
        }
        show(&mut self.see, n, bufs.iter().map(|b| &**b));
        Ok(n)
    }

    fn read_to_end(&mut self, buf: &mut Vec<u8>) -> io::Result<usize> {
        self.speak_up()?;
        let start = buf.len();
        let result = self.inner.read_to_end(buf);
        if let Some(bytes) = buf.get(start..).filter(|bytes| !bytes.is_empty()) {
            (self.see)(bytes);
        }
        result
    }
}

/// Shows the first `n` bytes of `parts`.
fn show<'a>(see: &mut impl FnMut(&[u8]), n: usize, parts: impl Iterator<Item = &'a [u8]>) {
    let mut left = n;
    for part in parts {
        let bytes = &part[..part.len().min(left)];
        if !bytes.is_empty() {
            see(bytes);
        }
        left -= bytes.len();
    }
}

impl<R: BufRead, F: FnMut(&[u8])> BufRead for Inspect<R, F> {
    #[inline]
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.speak_up()?;
        self.inner.fill_buf()
    }

    #[inline]
    fn consume(&mut self, n: usize) {
        if n == 0 {
            return self.inner.consume(0);
        }
        // The bytes lie in the buffer, so this reads nothing.
        match self.inner.fill_buf() {
            Ok(buf) => (self.see)(&buf[..n.min(buf.len())]),
            Err(error) => self.see_late(n, error),
        }
        self.inner.consume(n);
    }
}

impl<R: BufRead, F: FnMut(&[u8])> Inspect<R, F> {
    /// A tee within spoke up about its side. Only once, and the bytes are still there.
    #[cold]
    fn see_late(&mut self, n: usize, error: io::Error) {
        self.late.get_or_insert(error);
        if let Ok(buf) = self.inner.fill_buf() {
            (self.see)(&buf[..n.min(buf.len())]);
        }
    }
}

impl<R: Source, F: FnMut(&[u8])> Source for Inspect<R, F> {
    fn prepare(&mut self) -> io::Result<()> {
        self.speak_up()?;
        self.inner.prepare()
    }

    fn piece<'a>(&'a mut self, taps: &mut Outlets<'a>) -> Piece<'a> {
        // Only for its taps, which keep their numbers.
        self.inner.piece(taps);
        Piece::Opaque
    }

    fn advance(&mut self, n: u64, taps: &mut Outcomes<'_>) -> io::Result<()> {
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

/// A writer that shows a closure every byte that the writer within accepts, once and in order.
///
/// # Examples
///
/// ```
/// use aqueduct::WriteExt;
/// use std::io::Write;
///
/// let mut seen = Vec::new();
/// let mut out = std::io::sink().inspect_writes(|bytes| seen.extend_from_slice(bytes));
/// out.write_all(b"through the glass")?;
/// drop(out);
/// assert_eq!(seen, b"through the glass");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct InspectWriter<W, F> {
    inner: W,
    see: F,
}

impl<W, F: FnMut(&[u8])> InspectWriter<W, F> {
    /// Shows `see` what `inner` accepts.
    pub fn new(inner: W, see: F) -> Self {
        Self { inner, see }
    }

    /// The writer within.
    pub fn get_ref(&self) -> &W {
        &self.inner
    }

    /// The writer within. What is written to it directly is not seen.
    pub fn get_mut(&mut self) -> &mut W {
        &mut self.inner
    }

    /// The writer within, given back.
    pub fn into_inner(self) -> W {
        self.inner
    }
}

impl<W: fmt::Debug, F> fmt::Debug for InspectWriter<W, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InspectWriter").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<W: Write, F: FnMut(&[u8])> Write for InspectWriter<W, F> {
    #[inline]
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(buf)?;
        match buf.get(..n) {
            Some([]) => {}
            Some(bytes) => (self.see)(bytes),
            None => return Err(error::lying("writer", n, buf.len())),
        }
        Ok(n)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        let n = self.inner.write_vectored(bufs)?;
        let given = bufs.iter().map(|b| b.len()).sum();
        if n > given {
            return Err(error::lying("writer", n, given));
        }
        show(&mut self.see, n, bufs.iter().map(|b| &**b));
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Always one outlet, itself: what the closure has to see cannot go around it.
impl<W: Write, F: FnMut(&[u8])> Sink for InspectWriter<W, F> {
    fn outlets<'a>(&'a mut self, out: &mut Outlets<'a>) {
        out.push(Outlet::opaque(self));
    }
}
