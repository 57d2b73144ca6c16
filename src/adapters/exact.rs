use super::{Fit, clamp, fit, honest};
use crate::error;
use crate::source::{Outcomes, Outlets, Piece, Source};
use std::io::{self, BufRead, IoSliceMut, Read};

/// Reader of exactly `n` bytes: it ends after them, and fails if the reader within ends before.
///
/// Made by [`ReadExt::exact`](super::ReadExt::exact). At the end the reader within is not
/// touched any more.
///
/// # Errors
///
/// `UnexpectedEof` from the read that finds the reader within at its end too early. All bytes
/// that there were have been handed out by then.
///
/// # Examples
///
/// ```
/// use aqueduct::ReadExt;
/// use std::io::{ErrorKind, Read};
///
/// let mut body = Vec::new();
/// let error = (&b"cut off"[..]).exact(10).read_to_end(&mut body).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
/// assert_eq!(body, b"cut off");
/// ```
#[derive(Debug, Clone)]
pub struct Exact<R> {
    inner: R,
    left: u64,
}

impl<R> Exact<R> {
    /// The next `n` bytes of `inner`.
    pub fn new(inner: R, n: u64) -> Self {
        Self { inner, left: n }
    }

    /// How many bytes are still to come.
    pub fn remaining(&self) -> u64 {
        self.left
    }

    /// The reader within.
    pub fn get_ref(&self) -> &R {
        &self.inner
    }

    /// The reader within. Bytes read from it do not count.
    pub fn get_mut(&mut self) -> &mut R {
        &mut self.inner
    }

    /// The reader within, at the first byte that was not read.
    pub fn into_inner(self) -> R {
        self.inner
    }

    #[inline]
    fn took(&mut self, n: usize, max: usize) -> io::Result<usize> {
        if n == 0 && max > 0 {
            return Err(error::too_short(self.left));
        }
        let n = honest("reader", n, max)?;
        self.left -= n as u64;
        Ok(n)
    }
}

impl<R: Read> Read for Exact<R> {
    #[inline]
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let max = clamp(buf.len(), self.left);
        if max == 0 {
            return Ok(0);
        }
        let n = self.inner.read(&mut buf[..max])?;
        self.took(n, max)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        match fit(bufs, self.left) {
            Fit::Part(i) => self.read(&mut bufs[i]),
            Fit::Whole(_) if self.left == 0 => Ok(0),
            Fit::Whole(count) => {
                let max = bufs[..count].iter().map(|buf| buf.len()).sum();
                let n = self.inner.read_vectored(&mut bufs[..count])?;
                self.took(n, max)
            }
        }
    }
}

impl<R: BufRead> BufRead for Exact<R> {
    #[inline]
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.left == 0 {
            return Ok(&[]);
        }
        match self.inner.fill_buf()? {
            [] => Err(error::too_short(self.left)),
            bytes => Ok(&bytes[..clamp(bytes.len(), self.left)]),
        }
    }

    #[inline]
    fn consume(&mut self, amount: usize) {
        let amount = clamp(amount, self.left);
        self.left -= amount as u64;
        self.inner.consume(amount);
    }
}

impl<R: Source> Source for Exact<R> {
    ask_inner!();

    fn piece<'a>(&'a mut self, taps: &mut Outlets<'a>) -> Piece<'a> {
        let piece = self.inner.piece(taps);
        if self.left == 0 { Piece::Buffered(&[]) } else { piece.limit(self.left) }
    }

    fn advance(&mut self, n: u64, taps: &mut Outcomes<'_>) -> io::Result<()> {
        self.left = self.left.saturating_sub(n);
        self.inner.advance(n, taps)
    }

    fn end(&mut self) -> io::Result<bool> {
        if self.left == 0 {
            // Nobody reads from the source again: a tap's late error comes out here.
            return self.inner.prepare().map(|()| false);
        }
        match self.inner.end()? {
            true => Ok(true),
            false => Err(error::too_short(self.left)),
        }
    }
}
