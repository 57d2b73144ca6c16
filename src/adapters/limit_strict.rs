use super::{Fit, clamp, fit, honest};
use crate::error;
use crate::source::{Outcomes, Outlets, Piece, Source};
use std::io::{self, BufRead, IoSliceMut, Read};

/// Reader that fails if the reader within holds more than `n` bytes.
///
/// Made by [`ReadExt::limit_strict`](super::ReadExt::limit_strict). The first `n` bytes are
/// handed out; then the reader within is asked once for one byte more. If it has ended, so has
/// this one; if not, every further read fails. What was found out is remembered.
///
/// # Errors
///
/// `FileTooLarge` from every read after the first `n` bytes, if there are more.
///
/// # Examples
///
/// ```
/// use aqueduct::ReadExt;
/// use std::io::{ErrorKind, Read};
///
/// let mut body = Vec::new();
/// let error = (&b"much too long"[..]).limit_strict(8).read_to_end(&mut body).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::FileTooLarge);
/// assert_eq!(body, b"much too");
///
/// assert_eq!((&b"just fit"[..]).limit_strict(8).read_to_end(&mut body)?, 8);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct LimitStrict<R> {
    inner: R,
    limit: u64,
    left: u64,
    beyond: Beyond,
}

/// What lies behind the limit.
#[derive(Debug, Clone, Copy)]
enum Beyond {
    Unknown,
    Nothing,
    /// More; with the byte that was read to find out, unless it could be looked at in a buffer.
    More(Option<u8>),
}

impl<R> LimitStrict<R> {
    /// All of `inner`, which may hold at most `n` bytes.
    pub fn new(inner: R, n: u64) -> Self {
        Self { inner, limit: n, left: n, beyond: Beyond::Unknown }
    }

    /// How many bytes may still be read.
    pub fn remaining(&self) -> u64 {
        self.left
    }

    /// The byte beyond the limit that had to be read from the reader within to find it. A read
    /// through `fill_buf` only looks, and leaves the byte where it is.
    pub fn excess(&self) -> Option<u8> {
        match self.beyond {
            Beyond::More(byte) => byte,
            Beyond::Unknown | Beyond::Nothing => None,
        }
    }

    /// The reader within.
    pub fn get_ref(&self) -> &R {
        &self.inner
    }

    /// The reader within. Bytes read from it do not count.
    pub fn get_mut(&mut self) -> &mut R {
        &mut self.inner
    }

    /// The reader within; if the limit was exceeded, behind the byte that
    /// [`excess`](Self::excess) tells.
    pub fn into_inner(self) -> R {
        self.inner
    }

    fn verdict(&self) -> io::Result<()> {
        match self.beyond {
            Beyond::More(_) => Err(error::limit_exceeded(self.limit)),
            Beyond::Unknown | Beyond::Nothing => Ok(()),
        }
    }
}

impl<R: Read> LimitStrict<R> {
    /// Finds out what lies behind the limit, if that is not known yet.
    #[cold]
    fn probe(&mut self) -> io::Result<usize> {
        if let Beyond::Unknown = self.beyond {
            let mut byte = [0];
            self.beyond = match self.inner.read(&mut byte)? {
                0 => Beyond::Nothing,
                _ => Beyond::More(Some(byte[0])),
            };
        }
        self.verdict().map(|()| 0)
    }
}

impl<R: Read> Read for LimitStrict<R> {
    #[inline]
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let max = clamp(buf.len(), self.left);
        if max == 0 {
            return if buf.is_empty() { Ok(0) } else { self.probe() };
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

impl<R: BufRead> BufRead for LimitStrict<R> {
    #[inline]
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.left > 0 {
            let bytes = self.inner.fill_buf()?;
            return Ok(&bytes[..clamp(bytes.len(), self.left)]);
        }
        if let Beyond::Unknown = self.beyond {
            self.beyond = match self.inner.fill_buf()? {
                [] => Beyond::Nothing,
                _ => Beyond::More(None),
            };
        }
        self.verdict().map(|()| &[][..])
    }

    #[inline]
    fn consume(&mut self, amount: usize) {
        let amount = clamp(amount, self.left);
        self.left -= amount as u64;
        self.inner.consume(amount);
    }
}

impl<R: Source> Source for LimitStrict<R> {
    ask_inner!();

    fn piece<'a>(&'a mut self, taps: &mut Outlets<'a>) -> Piece<'a> {
        let piece = self.inner.piece(taps);
        // At the limit only `read` tells an end from an excess.
        if self.left == 0 { Piece::Opaque } else { piece.limit(self.left) }
    }

    fn advance(&mut self, n: u64, taps: &mut Outcomes<'_>) -> io::Result<()> {
        self.left = self.left.saturating_sub(n);
        self.inner.advance(n, taps)
    }

    fn end(&mut self) -> io::Result<bool> {
        self.inner.end()
    }
}
