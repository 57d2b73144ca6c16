//! Readers that give little, late, or an error.

use super::{injected, wraps};
use crate::source::Source;
use std::io::{self, BufRead, ErrorKind, Read};

/// A reader that gives one byte per call, however large the buffer.
///
/// Over a `BufRead` it also lends one byte at a time.
///
/// # Examples
///
/// ```
/// use aqueduct::iotest::OneByte;
/// use std::io::Read;
///
/// let mut reader = OneByte::new(&b"abc"[..]);
/// assert_eq!(reader.read(&mut [0; 8])?, 1);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct OneByte<R> {
    inner: R,
}

impl<R> OneByte<R> {
    /// Reads `inner` byte by byte.
    #[must_use]
    pub fn new(inner: R) -> Self {
        Self { inner }
    }
}

wraps!(OneByte);

impl<R: Read> Read for OneByte<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let ask = buf.len().min(1);
        self.inner.read(&mut buf[..ask])
    }
}

impl<R: BufRead> BufRead for OneByte<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let bytes = self.inner.fill_buf()?;
        Ok(&bytes[..bytes.len().min(1)])
    }

    fn consume(&mut self, n: usize) {
        self.inner.consume(n);
    }
}

impl<R: Read> Source for OneByte<R> {}

/// A reader that asks for half of the buffer, rounded up.
///
/// Over a `BufRead` it also lends half of what `inner` lends.
#[derive(Debug, Clone)]
pub struct Half<R> {
    inner: R,
}

impl<R> Half<R> {
    /// Reads `inner` in halves.
    #[must_use]
    pub fn new(inner: R) -> Self {
        Self { inner }
    }
}

wraps!(Half);

impl<R: Read> Read for Half<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let ask = buf.len().div_ceil(2);
        self.inner.read(&mut buf[..ask])
    }
}

impl<R: BufRead> BufRead for Half<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let bytes = self.inner.fill_buf()?;
        Ok(&bytes[..bytes.len().div_ceil(2)])
    }

    fn consume(&mut self, n: usize) {
        self.inner.consume(n);
    }
}

impl<R: Read> Source for Half<R> {}

/// A reader whose calls give at most the sizes of a list, which is gone through in a circle.
///
/// # Examples
///
/// ```
/// use aqueduct::iotest::Chunked;
/// use std::io::Read;
///
/// let mut reader = Chunked::new(&b"abcdef"[..], [1, 3]);
/// let mut buf = [0; 8];
/// assert_eq!(reader.read(&mut buf)?, 1);
/// assert_eq!(reader.read(&mut buf)?, 3);
/// assert_eq!(reader.read(&mut buf)?, 1);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Chunked<R> {
    inner: R,
    sizes: Vec<usize>,
    next: usize,
}

impl<R> Chunked<R> {
    /// Reads `inner` in chunks of `sizes` bytes.
    ///
    /// A size of 0 would feign the end and is left out; with no sizes the reader is `inner`.
    #[must_use]
    pub fn new(inner: R, sizes: impl IntoIterator<Item = usize>) -> Self {
        let sizes = sizes.into_iter().filter(|&size| size > 0).collect();
        Self { inner, sizes, next: 0 }
    }

    fn size(&self) -> usize {
        self.sizes.get(self.next).copied().unwrap_or(usize::MAX)
    }

    fn turn(&mut self) {
        self.next = (self.next + 1) % self.sizes.len().max(1);
    }
}

wraps!(Chunked);

impl<R: Read> Read for Chunked<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let ask = buf.len().min(self.size());
        let n = self.inner.read(&mut buf[..ask])?;
        if n > 0 {
            self.turn();
        }
        Ok(n)
    }
}

/// The next size comes when bytes are consumed, so that `fill_buf` stays the same until then.
impl<R: BufRead> BufRead for Chunked<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let size = self.size();
        let bytes = self.inner.fill_buf()?;
        Ok(&bytes[..bytes.len().min(size)])
    }

    fn consume(&mut self, n: usize) {
        self.inner.consume(n);
        if n > 0 {
            self.turn();
        }
    }
}

impl<R: Read> Source for Chunked<R> {}

/// A reader that gives all that `inner` has, and then fails where it should end, every time.
///
/// # Examples
///
/// ```
/// use aqueduct::iotest::DataThenErr;
/// use std::io::{ErrorKind, Read};
///
/// let mut got = Vec::new();
/// let mut reader = DataThenErr::new(&b"abc"[..], ErrorKind::ConnectionReset);
/// let error = reader.read_to_end(&mut got).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::ConnectionReset);
/// assert_eq!(got, b"abc");
/// ```
#[derive(Debug, Clone)]
pub struct DataThenErr<R> {
    inner: R,
    kind: ErrorKind,
}

impl<R> DataThenErr<R> {
    /// Reads `inner` and ends in an error of `kind`.
    #[must_use]
    pub fn new(inner: R, kind: ErrorKind) -> Self {
        Self { inner, kind }
    }
}

wraps!(DataThenErr);

impl<R: Read> Read for DataThenErr<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self.inner.read(buf)? {
            0 if !buf.is_empty() => Err(injected(self.kind, "DataThenErr")),
            n => Ok(n),
        }
    }
}

impl<R: BufRead> BufRead for DataThenErr<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        match self.inner.fill_buf()? {
            [] => Err(injected(self.kind, "DataThenErr")),
            bytes => Ok(bytes),
        }
    }

    fn consume(&mut self, n: usize) {
        self.inner.consume(n);
    }
}

impl<R: Read> Source for DataThenErr<R> {}

/// A reader of which every call fails, those with an empty buffer too.
#[derive(Debug, Clone)]
pub struct ErrReader {
    kind: ErrorKind,
}

impl ErrReader {
    /// Fails with errors of `kind`.
    #[must_use]
    pub fn new(kind: ErrorKind) -> Self {
        Self { kind }
    }
}

impl Read for ErrReader {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(injected(self.kind, "ErrReader"))
    }
}

impl BufRead for ErrReader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        Err(injected(self.kind, "ErrReader"))
    }

    fn consume(&mut self, _: usize) {}
}

impl Source for ErrReader {}

/// A reader whose second call fails once with `TimedOut`; afterwards it goes on.
///
/// No byte is lost by it. Calls with an empty buffer do not count.
#[derive(Debug, Clone)]
pub struct TimeoutOnce<R> {
    inner: R,
    calls: u8,
}

impl<R> TimeoutOnce<R> {
    /// Reads `inner`, with one timeout.
    #[must_use]
    pub fn new(inner: R) -> Self {
        Self { inner, calls: 0 }
    }

    fn tick(&mut self) -> io::Result<()> {
        self.calls = self.calls.saturating_add(1);
        match self.calls {
            2 => Err(injected(ErrorKind::TimedOut, "TimeoutOnce")),
            _ => Ok(()),
        }
    }
}

wraps!(TimeoutOnce);

impl<R: Read> Read for TimeoutOnce<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if !buf.is_empty() {
            self.tick()?;
        }
        self.inner.read(buf)
    }
}

impl<R: BufRead> BufRead for TimeoutOnce<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.tick()?;
        self.inner.fill_buf()
    }

    fn consume(&mut self, n: usize) {
        self.inner.consume(n);
    }
}

impl<R: Read> Source for TimeoutOnce<R> {}
