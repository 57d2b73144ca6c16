use super::{Fit, clamp, fit, honest};
use crate::source::{Outcomes, Outlets, Piece, Source};
use std::io::{self, BufRead, IoSliceMut, Read};

/// Reader that ends after `n` bytes, or where the reader within ends, if that comes first.
///
/// Made by [`ReadExt::limit`](super::ReadExt::limit). At the limit the reader within is not
/// touched any more: it might block.
///
/// # Examples
///
/// ```
/// use aqueduct::ReadExt;
/// use std::io::Read;
///
/// let mut head = (&b"head and tail"[..]).limit(4);
/// let mut text = String::new();
/// head.read_to_string(&mut text)?;
/// assert_eq!(text, "head");
/// assert_eq!(head.into_inner(), b" and tail");
/// # Ok::<(), std::io::Error>(())
/// ```
#[doc(alias = "LimitReader")]
#[doc(alias = "Take")]
#[derive(Debug, Clone)]
pub struct Limit<R> {
    inner: R,
    left: u64,
}

impl<R> Limit<R> {
    /// At most `n` bytes of `inner`.
    pub fn new(inner: R, n: u64) -> Self {
        Self { inner, left: n }
    }

    /// How many bytes may still be read. Fewer will come if the reader within ends earlier.
    pub fn remaining(&self) -> u64 {
        self.left
    }

    /// Lets `n` more bytes be read from here on, whatever was read before.
    pub fn set_remaining(&mut self, n: u64) {
        self.left = n;
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
}

impl<R: Read> Read for Limit<R> {
    #[inline]
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let max = clamp(buf.len(), self.left);
        if max == 0 {
            return Ok(0);
        }
        let n = honest("reader", self.inner.read(&mut buf[..max])?, max)?;
        self.left -= n as u64;
        Ok(n)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        match fit(bufs, self.left) {
            Fit::Part(i) => self.read(&mut bufs[i]),
            Fit::Whole(_) if self.left == 0 => Ok(0),
            Fit::Whole(count) => {
                let max = bufs[..count].iter().map(|buf| buf.len()).sum();
                let n = honest("reader", self.inner.read_vectored(&mut bufs[..count])?, max)?;
                self.left -= n as u64;
                Ok(n)
            }
        }
    }
}

impl<R: BufRead> BufRead for Limit<R> {
    #[inline]
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.left == 0 {
            return Ok(&[]);
        }
        let bytes = self.inner.fill_buf()?;
        Ok(&bytes[..clamp(bytes.len(), self.left)])
    }

    #[inline]
    fn consume(&mut self, amount: usize) {
        let amount = clamp(amount, self.left);
        self.left -= amount as u64;
        self.inner.consume(amount);
    }
}

impl<R: Source> Source for Limit<R> {
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
        if self.left > 0 {
            return self.inner.end();
        }
        // Nobody reads from the source again, so this is where a tap's late error comes out.
        self.inner.prepare().map(|()| false)
    }
}
