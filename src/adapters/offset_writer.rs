use super::{WriteAt, honest};
use crate::error;
use crate::source::{Outcomes, Outlet, Outlets, Sink};
use std::io::{self, Seek, SeekFrom, Write};

/// Writer from an offset on, with a position of its own, into something written at offsets.
///
/// Any number of them may write into one file: none moves the file's own position. Seeking is
/// by the offset given at first, which is 0.
///
/// # Errors
///
/// `InvalidInput` from writing into a file that was opened for appending, where the system
/// would not heed the offset; from a seek to before the start, and from any seek from the end,
/// because there is none.
///
/// # Examples
///
/// ```
/// use aqueduct::{adapters::OffsetWriter, copy};
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("parts");
///
/// let file = std::fs::File::create(&path)?;
/// copy(&mut &b"second"[..], &mut OffsetWriter::new(&file, 6))?;
/// copy(&mut &b"first "[..], &mut OffsetWriter::new(&file, 0))?;
/// assert_eq!(std::fs::read(&path)?, b"first second");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct OffsetWriter<W> {
    inner: W,
    base: u64,
    next: u64,
    /// Whether the outlet pushed last was the descriptor itself, not this writer.
    around: bool,
}

impl<W> OffsetWriter<W> {
    /// Writes into `inner` from `offset` on.
    pub fn new(inner: W, offset: u64) -> Self {
        Self { inner, base: offset, next: offset, around: false }
    }

    /// The offset in what is written into at which the first byte goes.
    pub fn offset(&self) -> u64 {
        self.base
    }

    /// What is written into.
    pub fn get_ref(&self) -> &W {
        &self.inner
    }

    /// What is written into.
    pub fn get_mut(&mut self) -> &mut W {
        &mut self.inner
    }

    /// What is written into.
    pub fn into_inner(self) -> W {
        self.inner
    }
}

impl<W: WriteAt> Write for OffsetWriter<W> {
    #[inline]
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = honest("writer", self.inner.write_at(buf, self.next)?, buf.len())?;
        self.next = self.next.saturating_add(n as u64);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Counts from the offset of the writer, and does not move it. Fails with `InvalidInput` where
/// offsets do not reach.
impl<W: WriteAt> WriteAt for OffsetWriter<W> {
    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        let at = self.base.checked_add(offset).ok_or_else(error::seek_outside)?;
        self.inner.write_at(buf, at)
    }
}

impl<W> Seek for OffsetWriter<W> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let next = match to {
            SeekFrom::Start(n) => self.base.checked_add(n),
            SeekFrom::Current(by) => self.next.checked_add_signed(by),
            SeekFrom::End(_) => return Err(error::no_end_to_seek_from()),
        };
        self.next = next.filter(|&next| next >= self.base).ok_or_else(error::seek_outside)?;
        Ok(self.next - self.base)
    }
}

impl<W: WriteAt> Sink for OffsetWriter<W> {
    fn outlets<'a>(&'a mut self, out: &mut Outlets<'a>) {
        let room = (i64::MAX as u64).saturating_sub(self.next);
        // Behind the last offset `write` has an error to tell, as for an append-only file.
        self.around = room > 0 && self.inner.handle().is_some();
        if !self.around {
            out.push(Outlet::opaque(self));
        } else if let Some(fd) = self.inner.handle() {
            out.push(Outlet::Fd { fd, max: room, at: Some(self.next) });
        } else {
            // Turned append-only between the two questions.
            out.push(Outlet::Discard { max: 0 });
        }
    }

    fn advance(&mut self, out: &mut Outcomes<'_>) -> io::Result<()> {
        let from = out.taken();
        let result = out.take();
        // What came by `write` is counted already.
        if self.around {
            self.next = self.next.saturating_add(out.moved_since(from));
        }
        result
    }
}
