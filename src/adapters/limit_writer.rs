use super::{Fit, clamp, fit, honest};
use crate::source::{Outcomes, Outlets, Sink, outlets};
use std::io::{self, IoSlice, Write};

/// Writer that takes `n` bytes and no more.
///
/// Made by [`WriteExt::limit_writes`](super::WriteExt::limit_writes). When the `n` bytes are
/// there, `write` answers `Ok(0)`, as a full slice does; so `write_all` fails with `WriteZero`,
/// and a [`copy`](crate::copy()) of more than `n` bytes too.
///
/// # Examples
///
/// ```
/// use aqueduct::WriteExt;
/// use std::io::Write;
///
/// let mut short = Vec::new().limit_writes(5);
/// assert_eq!(short.write(b"too much")?, 5);
/// assert_eq!(short.write(b"uch")?, 0);
/// assert_eq!(short.into_inner(), b"too m");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct LimitWriter<W> {
    inner: W,
    left: u64,
}

impl<W> LimitWriter<W> {
    /// The writer `inner`, for at most `n` bytes.
    pub fn new(inner: W, n: u64) -> Self {
        Self { inner, left: n }
    }

    /// How many bytes it will still take.
    pub fn remaining(&self) -> u64 {
        self.left
    }

    /// Lets `n` more bytes be written from here on, whatever was written before.
    pub fn set_remaining(&mut self, n: u64) {
        self.left = n;
    }

    /// The writer within.
    pub fn get_ref(&self) -> &W {
        &self.inner
    }

    /// The writer within. Bytes written to it do not count.
    pub fn get_mut(&mut self) -> &mut W {
        &mut self.inner
    }

    /// The writer within; nothing is flushed.
    pub fn into_inner(self) -> W {
        self.inner
    }
}

impl<W: Write> Write for LimitWriter<W> {
    #[inline]
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let max = clamp(buf.len(), self.left);
        if max == 0 {
            return Ok(0);
        }
        let n = honest("writer", self.inner.write(&buf[..max])?, max)?;
        self.left -= n as u64;
        Ok(n)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        match fit(bufs, self.left) {
            Fit::Part(i) => self.write(&bufs[i]),
            Fit::Whole(_) if self.left == 0 => Ok(0),
            Fit::Whole(count) => {
                let max = bufs[..count].iter().map(|buf| buf.len()).sum();
                let n = honest("writer", self.inner.write_vectored(&bufs[..count])?, max)?;
                self.left -= n as u64;
                Ok(n)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<W: Sink> Sink for LimitWriter<W> {
    fn prepare(&mut self) -> io::Result<()> {
        self.inner.prepare()
    }

    fn outlets<'a>(&'a mut self, out: &mut Outlets<'a>) {
        let from = out.len();
        self.inner.outlets(out);
        out.limit(from, self.left);
    }

    fn advance(&mut self, out: &mut Outcomes<'_>) -> io::Result<()> {
        let from = out.taken();
        // At the limit it is this writer that takes no more, which no policy within may absorb.
        let full = match self.left {
            0 => out.refusal(outlets(&mut self.inner)),
            _ => None,
        };
        let result = self.inner.advance(out);
        self.left = self.left.saturating_sub(out.moved_since(from));
        full.map_or(result, Err)
    }

    fn at_fault(&self) -> Option<usize> {
        self.inner.at_fault()
    }

    fn ahead(&self, outlet: usize) -> usize {
        self.inner.ahead(outlet)
    }
}
