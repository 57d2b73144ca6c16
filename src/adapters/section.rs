use super::{ReadAt, clamp, honest};
use crate::error;
use crate::source::{Outcomes, Outlets, Piece, Source};
use std::io::{self, Read, Seek, SeekFrom};

/// Reader of a window of something that is read at offsets, with a position of its own.
///
/// Made by [`ReadAt::section`]. Any number of sections of one file are independent: none moves
/// the file's own position. A window that reaches beyond the end of the file is read as far as
/// the file goes.
///
/// Seeking is by the window: its first byte is 0. To behind its end may be sought, where a read
/// finds nothing.
///
/// # Examples
///
/// ```
/// use aqueduct::adapters::ReadAt;
/// use std::io::Read;
///
/// let mut word = String::new();
/// b"the very middle".section(4, 4).read_to_string(&mut word)?;
/// assert_eq!(word, "very");
/// # Ok::<(), std::io::Error>(())
/// ```
#[doc(alias = "SectionReader")]
#[derive(Debug, Clone)]
pub struct Section<R> {
    inner: R,
    base: u64,
    end: u64,
    next: u64,
}

impl<R> Section<R> {
    /// The `len` bytes of `inner` from `offset` on; fewer if offsets do not reach so far.
    pub fn new(inner: R, offset: u64, len: u64) -> Self {
        Self { inner, base: offset, end: offset.saturating_add(len), next: offset }
    }

    /// How many bytes the window spans.
    pub fn len(&self) -> u64 {
        self.end - self.base
    }

    /// Whether the window spans no bytes.
    pub fn is_empty(&self) -> bool {
        self.base == self.end
    }

    /// The offset at which the window starts.
    pub fn offset(&self) -> u64 {
        self.base
    }

    /// How many bytes of the window lie behind the position.
    pub fn remaining(&self) -> u64 {
        self.end.saturating_sub(self.next)
    }

    /// What the window is of.
    pub fn get_ref(&self) -> &R {
        &self.inner
    }

    /// What the window is of.
    pub fn get_mut(&mut self) -> &mut R {
        &mut self.inner
    }

    /// What the window is of.
    pub fn into_inner(self) -> R {
        self.inner
    }
}

impl<R: ReadAt> Read for Section<R> {
    #[inline]
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let max = clamp(buf.len(), self.remaining());
        if max == 0 {
            return Ok(0);
        }
        let n = self.inner.read_at(&mut buf[..max], self.next)?;
        self.next += honest("reader", n, max)? as u64;
        Ok(n)
    }
}

impl<R: ReadAt> ReadAt for Section<R> {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let max = clamp(buf.len(), self.len().saturating_sub(offset));
        if max == 0 {
            return Ok(0);
        }
        let n = self.inner.read_at(&mut buf[..max], self.base + offset)?;
        honest("reader", n, max)
    }

    fn piece_at(&self, offset: u64) -> Piece<'_> {
        match self.len().saturating_sub(offset) {
            0 => Piece::Buffered(&[]),
            left => self.inner.piece_at(self.base + offset).limit(left),
        }
    }
}

/// Fails with `InvalidInput` if the new position is before the start, or further than offsets
/// reach.
impl<R> Seek for Section<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let next = match to {
            SeekFrom::Start(n) => self.base.checked_add(n),
            SeekFrom::End(by) => self.end.checked_add_signed(by),
            SeekFrom::Current(by) => self.next.checked_add_signed(by),
        };
        self.next = next.filter(|&next| next >= self.base).ok_or_else(error::seek_outside)?;
        Ok(self.next - self.base)
    }
}

impl<R: ReadAt> Source for Section<R> {
    fn piece<'a>(&'a mut self, _: &mut Outlets<'a>) -> Piece<'a> {
        self.piece_at(self.next - self.base)
    }

    fn advance(&mut self, n: u64, _: &mut Outcomes<'_>) -> io::Result<()> {
        self.next = self.next.saturating_add(n);
        Ok(())
    }
}
