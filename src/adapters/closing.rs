//! A writer whose end is told by dropping it.

use crate::error;
use crate::source::{Finish, Outcomes, Outlet, Outlets, Sink};
use std::io::{self, IoSlice, Write};

/// Writer that is dropped once nothing more will come, so that its reader hears of it: a pipe, or
/// the standard input of a program.
///
/// Made by [`WriteExt::closing`](super::WriteExt::closing).
///
/// # Errors
///
/// Those of the writer; `NotConnected` after the end.
///
/// # Examples
///
/// ```
/// use aqueduct::WriteExt;
/// use aqueduct::source::Finish;
/// use std::io::{Read, Write};
///
/// let (mut reader, writer) = std::io::pipe()?;
/// let mut writer = writer.closing();
/// writer.write_all(b"that is all")?;
/// writer.finish()?;
/// let mut text = String::new();
/// reader.read_to_string(&mut text)?;
/// assert_eq!(text, "that is all");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Closing<W> {
    inner: Option<W>,
}

impl<W> Closing<W> {
    /// The writer `inner`, until the end.
    pub fn new(inner: W) -> Self {
        Self { inner: Some(inner) }
    }

    /// The writer within, unless it was dropped.
    pub fn get_ref(&self) -> Option<&W> {
        self.inner.as_ref()
    }

    /// The writer within, unless it was dropped.
    pub fn into_inner(self) -> Option<W> {
        self.inner
    }

    fn open(&mut self) -> io::Result<&mut W> {
        self.inner.as_mut().ok_or_else(error::closed)
    }
}

impl<W: Write> Write for Closing<W> {
    #[inline]
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.open()?.write(buf)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.open()?.write_vectored(bufs)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.as_mut().map_or(Ok(()), W::flush)
    }
}

impl<W: Sink> Sink for Closing<W> {
    fn prepare(&mut self) -> io::Result<()> {
        self.inner.as_mut().map_or(Ok(()), W::prepare)
    }

    fn outlets<'a>(&'a mut self, out: &mut Outlets<'a>) {
        match self.inner {
            Some(ref mut inner) => inner.outlets(out),
            None => out.push(Outlet::opaque(self)),
        }
    }

    fn advance(&mut self, out: &mut Outcomes<'_>) -> io::Result<()> {
        match &mut self.inner {
            Some(inner) => inner.advance(out),
            None => out.take(),
        }
    }

    fn at_fault(&self) -> Option<usize> {
        self.inner.as_ref().and_then(W::at_fault)
    }

    fn ahead(&self, outlet: usize) -> usize {
        self.inner.as_ref().map_or(0, |inner| inner.ahead(outlet))
    }
}

impl<W: Sink> Finish for Closing<W> {
    fn finish(&mut self) -> io::Result<()> {
        self.flush()?;
        self.inner = None;
        Ok(())
    }
}
