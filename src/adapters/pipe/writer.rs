//! The end that is written.

use super::gate::Side;
use super::{Channel, Control};
use crate::error;
use crate::park;
use crate::source::{Finish, Outlet, Outlets, Sink};
use std::fmt;
use std::io::{self, IoSlice, Write};
use std::sync::Arc;
use std::thread;
use std::time::Instant;

/// The end of a [`pipe`](super::pipe) that is written.
///
/// `&Writer` writes too, so that threads can share it; the bytes of one write stay together.
/// Dropping it closes it. Dropped while the thread unwinds from a panic, it leaves an error to the
/// reader (`BrokenPipe`), who would otherwise take half of the data for all of it.
///
/// A write takes all of its bytes, unless an end is closed or its deadline passes; an empty one returns at once
/// and no reader sees it. There is nothing to flush.
///
/// # Errors
///
/// See the [table](super#ends-and-errors); `TimedOut` after a [deadline](super#deadlines);
/// `OutOfMemory` when a pipe with a capacity cannot grow.
pub struct Writer {
    pub(super) channel: Arc<Channel>,
}

impl Writer {
    pub(super) fn new(channel: Arc<Channel>) -> Self {
        Self { channel }
    }

    /// Closes this end: once the rest is read, reads answer `Ok(0)`.
    pub fn close(&self) {
        self.channel.close(Side::Writer, None);
    }

    /// Closes this end and lets reads fail with `error`, once the rest is read, each of them.
    ///
    /// What the reader gets is told at [`Reader::close_with`](super::Reader::close_with).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io::{self, Read, Write};
    ///
    /// let (mut reader, mut writer) = aqueduct::pipe_with_capacity(100);
    /// writer.write_all(b"half of i")?;
    /// writer.close_with(io::Error::other("the disk caught fire"));
    ///
    /// let mut text = String::new();
    /// let error = reader.read_to_string(&mut text).unwrap_err();
    /// assert_eq!(error.to_string(), "the disk caught fire");
    /// # Ok::<(), io::Error>(())
    /// ```
    pub fn close_with(&self, error: io::Error) {
        self.channel.close(Side::Writer, Some(error));
    }

    /// Until when writes may wait; `None` is for ever. See [deadlines](super#deadlines).
    pub fn set_write_deadline(&self, at: Option<Instant>) {
        self.channel.set_deadline(Side::Writer, at);
    }

    /// A handle that sets the deadline of this end and closes it from elsewhere, while the end is
    /// lent out.
    #[must_use]
    pub fn control(&self) -> Control {
        Control::new(Arc::clone(&self.channel), Side::Writer)
    }

    fn put(&self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let n = match &*self.channel {
            Channel::Rendezvous(pipe) => pipe.write(parts)?,
            Channel::Buffered(pipe) => pipe.write(parts)?,
        };
        park::spend(n as u64);
        Ok(n)
    }
}

impl Write for &Writer {
    #[inline]
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.put(&[IoSlice::new(buf)])
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.put(bufs)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Write for Writer {
    #[inline]
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        (&*self).write(buf)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        (&*self).write_vectored(bufs)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for Writer {
    fn outlets<'a>(&'a mut self, out: &mut Outlets<'a>) {
        out.push(Outlet::opaque(self));
    }
}

impl Sink for &Writer {
    fn outlets<'a>(&'a mut self, out: &mut Outlets<'a>) {
        out.push(Outlet::opaque(self));
    }
}

/// Closes the writer.
impl Finish for Writer {
    fn finish(&mut self) -> io::Result<()> {
        self.close();
        Ok(())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let failure = thread::panicking().then(error::writer_panicked);
        self.channel.close(Side::Writer, failure);
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").finish_non_exhaustive()
    }
}
