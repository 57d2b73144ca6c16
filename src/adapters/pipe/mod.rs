//! A pipe in memory, between two threads or tasks of this process.
//!
//! [`pipe`] holds nothing: a write waits for readers, and its bytes go from the writer's slice
//! into the reader's by one copy. [`pipe_with_capacity`] lets the writer run ahead.
//!
//! Both ends can be shared by reference. Operations of one end take turns in the order they came:
//! the bytes of one write stay together, however many reads it takes, and each byte goes to one
//! reader. A pipe whose two ends are used by the same thread, one after the other, can wait for
//! itself for ever, as any pipe can.
//!
//! # Ends and errors
//!
//! | | a later read says | a later write says |
//! |---|---|---|
//! | writer dropped or [closed](Writer::close) | the rest, then `Ok(0)` | `NotConnected` |
//! | writer closed [with an error](Writer::close_with) | the rest, then that error, each time | `NotConnected` |
//! | writer dropped by a panic | the rest, then `BrokenPipe`, each time | |
//! | reader dropped or [closed](Reader::close) | `NotConnected` | `BrokenPipe` |
//! | reader closed [with an error](Reader::close_with) | `NotConnected` | that error, each time |
//!
//! The first close of an end counts, later ones change nothing. A close wakes whoever waits at
//! either end and waits for nobody. A write that it cuts short answers the count of the bytes
//! that were taken, if any were, and the error comes with the next write.
//!
//! While a thread unwinds from a panic, an operation that would have to wait fails with
//! `Deadlock` instead: the other end may hang on the very stack that is being unwound.

mod buffered;
mod failure;
mod gate;
mod lend;
mod rendezvous;
#[cfg(test)]
mod tests;

use self::buffered::{Ahead, Buffered};
use self::gate::{Side, lock};
use self::rendezvous::Rendezvous;
use crate::error;
use crate::source::{Outcomes, Outlet, Outlets, Piece, Sink, Source};
use std::fmt;
use std::io::{self, BufRead, IoSlice, IoSliceMut, Read, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// What [`fill_buf`](BufRead::fill_buf) fetches from a rendezvous at most.
const FILL: usize = 8 * 1024;

/// A pipe that holds nothing: each write waits until its bytes are read.
///
/// # Examples
///
/// ```
/// use std::io::{Read, Write};
///
/// let (mut reader, mut writer) = aqueduct::pipe();
/// let thread = std::thread::spawn(move || writer.write_all(b"hello, world"));
/// let mut text = String::new();
/// reader.read_to_string(&mut text)?;
/// assert_eq!(text, "hello, world");
/// # thread.join().unwrap()?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use]
pub fn pipe() -> (Reader, Writer) {
    ends(Channel::Rendezvous(Rendezvous::new()))
}

/// A pipe whose writer may be `capacity` bytes ahead of what the reader has fetched.
///
/// A write waits only while its bytes do not fit. The reader fetches all there is at once, so that
/// up to twice the capacity is in memory while it is still busy with the bytes before. The memory
/// is allocated as it is used. Capacity 0 makes a [`pipe`].
///
/// # Examples
///
/// ```
/// use std::io::{Read, Write};
///
/// let (mut reader, mut writer) = aqueduct::pipe_with_capacity(4096);
/// writer.write_all(b"nobody has to read this yet")?;
/// drop(writer);
/// let mut text = String::new();
/// reader.read_to_string(&mut text)?;
/// assert_eq!(text, "nobody has to read this yet");
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use]
pub fn pipe_with_capacity(capacity: usize) -> (Reader, Writer) {
    match capacity {
        0 => pipe(),
        _ => ends(Channel::Buffered(Buffered::new(capacity))),
    }
}

fn ends(channel: Channel) -> (Reader, Writer) {
    let channel = Arc::new(channel);
    let ahead = Mutex::new(Ahead::default());
    (Reader { channel: Arc::clone(&channel), ahead }, Writer { channel })
}

enum Channel {
    Rendezvous(Rendezvous),
    Buffered(Buffered),
}

impl Channel {
    fn close(&self, side: Side, failure: Option<io::Error>) {
        match self {
            Self::Rendezvous(pipe) => pipe.close(side, failure),
            Self::Buffered(pipe) => pipe.close(side, failure),
        }
    }
}

/// The end of a [`pipe`] that is read.
///
/// `&Reader` reads too, so that threads can share it; each byte goes to one of them. Dropping it
/// closes it.
///
/// # Errors
///
/// See the [table](self#ends-and-errors). An empty buffer is answered `Ok(0)` at once.
pub struct Reader {
    channel: Arc<Channel>,
    ahead: Mutex<Ahead>,
}

impl Reader {
    /// Closes this end: writes fail with `BrokenPipe`, and what was not read is dropped.
    pub fn close(&self) {
        self.shut(None);
    }

    /// Closes this end and lets writes fail with `error`, each of them, from now on.
    ///
    /// The writer's error has the kind of this one, its number if it is the system's, and else
    /// the same text and what it carried as its source. An `Interrupted` becomes `Other`, for
    /// whoever retries it would do so for ever.
    pub fn close_with(&self, error: io::Error) {
        self.shut(Some(error));
    }

    fn shut(&self, failure: Option<io::Error>) {
        self.channel.close(Side::Reader, failure);
        lock(&self.ahead).clear();
    }

    #[inline]
    fn ahead(&mut self) -> &mut Ahead {
        self.ahead.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    fn fetch(&self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        if bufs.iter().all(|buf| buf.is_empty()) {
            return Ok(0);
        }
        match &*self.channel {
            Channel::Buffered(pipe) => Ok(pour(&mut *pipe.fetch(&self.ahead)?, bufs)),
            Channel::Rendezvous(pipe) => {
                // Not in the head of a `match`, which would hold the lock through the wait.
                let poured = pour(&mut lock(&self.ahead), bufs);
                if poured > 0 { Ok(poured) } else { pipe.read(bufs) }
            }
        }
    }
}

/// Moves bytes that were fetched before.
fn pour(ahead: &mut Ahead, bufs: &mut [IoSliceMut<'_>]) -> usize {
    let mut poured = 0;
    for buf in bufs {
        let bytes = ahead.left();
        let n = bytes.len().min(buf.len());
        buf[..n].copy_from_slice(&bytes[..n]);
        ahead.consume(n);
        poured += n;
    }
    poured
}

impl Read for Reader {
    #[inline]
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let ahead = self.ahead();
        let bytes = ahead.left();
        if bytes.is_empty() {
            return self.fetch(&mut [IoSliceMut::new(buf)]);
        }
        let n = bytes.len().min(buf.len());
        buf[..n].copy_from_slice(&bytes[..n]);
        ahead.consume(n);
        Ok(n)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.fetch(bufs)
    }
}

impl Read for &Reader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.fetch(&mut [IoSliceMut::new(buf)])
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.fetch(bufs)
    }
}

/// What it lends is a buffer of the reader's own, allocated on first use.
impl BufRead for Reader {
    #[inline]
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.ahead().left().is_empty() {
            self.fill()?;
        }
        Ok(self.ahead().left())
    }

    #[inline]
    fn consume(&mut self, n: usize) {
        self.ahead().consume(n);
    }
}

impl Reader {
    fn fill(&mut self) -> io::Result<()> {
        match &*self.channel {
            Channel::Buffered(pipe) => pipe.fetch(&self.ahead).map(drop),
            Channel::Rendezvous(pipe) => {
                let ahead = self.ahead.get_mut().unwrap_or_else(PoisonError::into_inner);
                ahead.refill(FILL, |room| pipe.read(&mut [IoSliceMut::new(room)]))
            }
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").finish_non_exhaustive()
    }
}

/// `Buffered` while bytes lie in its own buffer, else opaque.
impl Source for Reader {
    fn piece<'a>(&'a mut self, _: &mut Outlets<'a>) -> Piece<'a> {
        match self.ahead().left() {
            [] => Piece::Opaque,
            bytes => Piece::Buffered(bytes),
        }
    }

    fn advance(&mut self, n: u64, _: &mut Outcomes<'_>) -> io::Result<()> {
        self.ahead().consume(usize::try_from(n).unwrap_or(usize::MAX));
        Ok(())
    }
}

impl Source for &Reader {}

/// The end of a [`pipe`] that is written.
///
/// `&Writer` writes too, so that threads can share it; the bytes of one write stay together.
/// Dropping it closes it. Dropped while the thread unwinds from a panic, it leaves an error to the
/// reader (`BrokenPipe`), who would otherwise take half of the data for all of it.
///
/// A write takes all of its bytes, unless an end is closed meanwhile; an empty one returns at once
/// and no reader sees it. There is nothing to flush.
///
/// # Errors
///
/// See the [table](self#ends-and-errors). `OutOfMemory` when a pipe with a capacity cannot grow.
pub struct Writer {
    channel: Arc<Channel>,
}

impl Writer {
    /// Closes this end: once the rest is read, reads answer `Ok(0)`.
    pub fn close(&self) {
        self.channel.close(Side::Writer, None);
    }

    /// Closes this end and lets reads fail with `error`, once the rest is read, each of them.
    ///
    /// What the reader gets is told at [`Reader::close_with`].
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

    fn put(&self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        match &*self.channel {
            Channel::Rendezvous(pipe) => pipe.write(parts),
            Channel::Buffered(pipe) => pipe.write(parts),
        }
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
