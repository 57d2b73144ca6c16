use crate::source::{Outlet, Outlets, Sink, Source};
use std::fmt;
use std::io::{self, BufRead, IoSlice, IoSliceMut, Read, Seek, SeekFrom, Write};

/// Reader or writer that does not say what it is made of.
///
/// Made by [`ReadExt::opaque`](super::ReadExt::opaque) and
/// [`WriteExt::opaque_writes`](super::WriteExt::opaque_writes). It makes a
/// [`Source`] of any reader and a [`Sink`] of any writer, and [`copy`](crate::copy()) moves
/// their bytes by `read` and `write` alone. Everything else passes through unchanged.
///
/// # Examples
///
/// ```
/// use aqueduct::{ReadExt, copy};
/// use std::io::{self, Read};
///
/// struct Countdown(u8);
///
/// impl Read for Countdown {
///     fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
///         let Some(first) = buf.first_mut() else { return Ok(0) };
///         *first = b'0' + self.0;
///         self.0 = self.0.wrapping_sub(1);
///         Ok((self.0 < 10).into())
///     }
/// }
///
/// let mut out = Vec::new();
/// copy(&mut Countdown(3).opaque(), &mut out)?;
/// assert_eq!(out, b"321");
/// # Ok::<(), io::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Opaque<T> {
    inner: T,
}

impl<T> Opaque<T> {
    /// The stream `inner`, of which nothing is known.
    pub fn new(inner: T) -> Self {
        Self { inner }
    }

    /// The stream within.
    pub fn get_ref(&self) -> &T {
        &self.inner
    }

    /// The stream within.
    pub fn get_mut(&mut self) -> &mut T {
        &mut self.inner
    }

    /// The stream within.
    pub fn into_inner(self) -> T {
        self.inner
    }
}

impl<R: Read> Read for Opaque<R> {
    #[inline]
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buf)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.inner.read_vectored(bufs)
    }

    fn read_to_end(&mut self, buf: &mut Vec<u8>) -> io::Result<usize> {
        self.inner.read_to_end(buf)
    }

    fn read_to_string(&mut self, buf: &mut String) -> io::Result<usize> {
        self.inner.read_to_string(buf)
    }

    fn read_exact(&mut self, buf: &mut [u8]) -> io::Result<()> {
        self.inner.read_exact(buf)
    }
}

impl<R: BufRead> BufRead for Opaque<R> {
    #[inline]
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    #[inline]
    fn consume(&mut self, amount: usize) {
        self.inner.consume(amount);
    }
}

impl<W: Write> Write for Opaque<W> {
    #[inline]
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.inner.write(buf)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.inner.write_vectored(bufs)
    }

    fn write_all(&mut self, buf: &[u8]) -> io::Result<()> {
        self.inner.write_all(buf)
    }

    fn write_fmt(&mut self, args: fmt::Arguments<'_>) -> io::Result<()> {
        self.inner.write_fmt(args)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<S: Seek> Seek for Opaque<S> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }

    fn rewind(&mut self) -> io::Result<()> {
        self.inner.rewind()
    }

    fn stream_position(&mut self) -> io::Result<u64> {
        self.inner.stream_position()
    }

    fn seek_relative(&mut self, by: i64) -> io::Result<()> {
        self.inner.seek_relative(by)
    }
}

impl<R: Read> Source for Opaque<R> {}

impl<W: Write> Sink for Opaque<W> {
    fn outlets<'a>(&'a mut self, out: &mut Outlets<'a>) {
        out.push(Outlet::opaque(self));
    }
}
