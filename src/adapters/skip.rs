use super::{clamp, honest};
use crate::source::{Outcomes, Outlets, Piece, Source};
use std::io::{self, BufRead, IoSliceMut, Read};

/// How much is read at a time of what is skipped, where the caller's buffer is smaller.
const SCRATCH: usize = 8 << 10;

/// Reader that leaves out the first `n` bytes of the reader within.
///
/// Made by [`ReadExt::skip`](super::ReadExt::skip). They are read and dropped by the first read
/// that asks for bytes; an error in between loses no count, and the next read goes on skipping.
/// A reader that holds fewer bytes reads as empty. Where the reader can seek, seeking or a
/// [`Section`](super::Section) is cheaper.
///
/// # Examples
///
/// ```
/// use aqueduct::ReadExt;
/// use std::io::Read;
///
/// let mut text = String::new();
/// (&b"> quoted"[..]).skip(2).read_to_string(&mut text)?;
/// assert_eq!(text, "quoted");
/// # Ok::<(), std::io::Error>(())
/// ```
#[doc(alias = "Discard")]
#[derive(Debug, Clone)]
pub struct Skip<R> {
    inner: R,
    left: u64,
}

impl<R> Skip<R> {
    /// The reader `inner` without its first `n` bytes.
    pub fn new(inner: R, n: u64) -> Self {
        Self { inner, left: n }
    }

    /// How many bytes are still to be skipped.
    pub fn remaining(&self) -> u64 {
        self.left
    }

    /// The reader within.
    pub fn get_ref(&self) -> &R {
        &self.inner
    }

    /// The reader within. Bytes read from it do not count as skipped.
    pub fn get_mut(&mut self) -> &mut R {
        &mut self.inner
    }

    /// The reader within; [`remaining`](Self::remaining) tells what was not skipped yet.
    pub fn into_inner(self) -> R {
        self.inner
    }
}

impl<R: Read> Skip<R> {
    /// Skips what is left to skip; `false` if the reader ended first.
    #[cold]
    fn skip_by_read(&mut self, buf: &mut [u8]) -> io::Result<bool> {
        let mut scratch = [0; SCRATCH];
        let scratch = if buf.len() < SCRATCH { &mut scratch[..] } else { buf };
        while self.left > 0 {
            let max = clamp(scratch.len(), self.left);
            match self.inner.read(&mut scratch[..max]).and_then(|n| honest("reader", n, max)) {
                Ok(0) => return Ok(false),
                Ok(n) => self.left -= n as u64,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(true)
    }
}

impl<R: BufRead> Skip<R> {
    #[cold]
    fn skip_by_consume(&mut self) -> io::Result<bool> {
        while self.left > 0 {
            let n = match self.inner.fill_buf() {
                Ok([]) => return Ok(false),
                Ok(bytes) => clamp(bytes.len(), self.left),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(e),
            };
            self.inner.consume(n);
            self.left -= n as u64;
        }
        Ok(true)
    }
}

impl<R: Read> Read for Skip<R> {
    #[inline]
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.left > 0 && (buf.is_empty() || !self.skip_by_read(buf)?) {
            return Ok(0);
        }
        self.inner.read(buf)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        if self.left > 0 && (bufs.iter().all(|buf| buf.is_empty()) || !self.skip_by_read(&mut [])?)
        {
            return Ok(0);
        }
        self.inner.read_vectored(bufs)
    }
}

impl<R: BufRead> BufRead for Skip<R> {
    #[inline]
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.left > 0 && !self.skip_by_consume()? {
            return Ok(&[]);
        }
        self.inner.fill_buf()
    }

    #[inline]
    fn consume(&mut self, amount: usize) {
        self.inner.consume(amount);
    }
}

impl<R: Source> Source for Skip<R> {
    ask_inner!();

    fn piece<'a>(&'a mut self, taps: &mut Outlets<'a>) -> Piece<'a> {
        let piece = self.inner.piece(taps);
        // The inner taps get what is skipped, the sink does not: only `read` does that.
        if self.left > 0 { Piece::Opaque } else { piece }
    }

    fn advance(&mut self, n: u64, taps: &mut Outcomes<'_>) -> io::Result<()> {
        self.inner.advance(n, taps)
    }

    fn end(&mut self) -> io::Result<bool> {
        self.inner.end()
    }
}
