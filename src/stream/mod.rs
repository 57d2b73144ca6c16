//! Descriptors that read and write as if they blocked.
//!
//! A [`Stream`] owns a descriptor that can be waited for, and gives it what blocking calls lack:
//! deadlines, a close that ends the calls of other threads, and calls that may be tried without
//! waiting. Beneath, no call blocks that somebody could end: one that would is given up, the caller
//! waits until the descriptor is ready, its deadline passes or somebody closes it, and tries again.
//!
//! # What is promised
//!
//! * A deadline is a point in time. Once it has passed, every call fails with `TimedOut`, before
//!   anything is tried and even if bytes are there; moved or cleared, it lets calls through again. It
//!   counts for calls that wait already, too. A call never fails before it.
//! * [`close`](Stream::close), from any thread, ends all calls under way and to come with
//!   `NotConnected`. The descriptor itself is closed when its last owner is dropped.
//! * Callers of one direction take turns in the order of their arrival, and each `write` is one turn:
//!   bytes of two writes never mix. It goes on until everything is written, or fails; if it fails
//!   midway it answers what it has written, and the next call tells why.
//! * Reading and writing do not hinder each other.
//! * In a [task](crate::task), a call that waits makes room for others. So does a read of a regular file
//!   whose bytes must come from a disk first; neither deadline nor close ends that wait, but a cancel does.
//!
//! # Errors
//!
//! `TimedOut` after a deadline, `NotConnected` after a close, `WouldBlock` from the
//! [`try_`](Stream::try_read) methods alone; else those of the system. Never `Interrupted`.

mod act;
mod control;
mod halves;
mod io;
mod op;
mod rest;
mod stdio;

pub use self::control::Control;
pub use self::halves::{ReadHalf, ReuniteError, WriteHalf};
pub use self::stdio::{Inherited, Rung, stderr, stdin, stdout};

use self::io::{Alone, Inner};
use crate::source::{Deadlines, Handle, Outlet, Outlets, Piece, Sink, Source};
use std::fmt;
use std::io::{IoSlice, IoSliceMut, Read, Result, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A descriptor with deadlines; see the [module](self).
///
/// `Read` and `Write` are there for `&Stream` as well, so that threads can share one.
///
/// # Examples
///
/// ```
/// use aqueduct::stream::Stream;
/// use std::io::{ErrorKind, Read, Write};
/// use std::time::{Duration, Instant};
///
/// let (reader, writer) = std::io::pipe()?;
/// let (mut reader, mut writer) = (Stream::from_std(reader)?, Stream::from_std(writer)?);
///
/// // Nobody writes, and the read ends all the same.
/// reader.set_read_deadline(Some(Instant::now() + Duration::from_millis(1)));
/// assert_eq!(reader.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::TimedOut);
///
/// reader.set_read_deadline(None);
/// writer.write_all(b"at last")?;
/// let mut buf = [0; 7];
/// reader.read_exact(&mut buf)?;
/// assert_eq!(&buf, b"at last");
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Stream<T: AsFd> {
    inner: Arc<Inner<T>>,
}

/// A stream that could not be taken apart, and why.
#[derive(Debug)]
#[non_exhaustive]
pub struct IntoStdError<S> {
    /// The stream, as it was.
    pub stream: S,
    /// Why.
    pub source: std::io::Error,
}

impl<T: AsFd> Stream<T> {
    /// Takes over a descriptor: std's sockets, pipes and files, or any other type that reads and
    /// writes by read(2) and write(2) alone.
    ///
    /// Its description is made non-blocking, for everybody who shares it, until
    /// [`into_std`](Self::into_std). Regular files stay as they are: they never make anybody wait for
    /// another program. For the descriptors that a program was started with use
    /// [`stdin`] and its like, which change nothing that other processes see.
    ///
    /// # Errors
    ///
    /// Those of fstat(2) and fcntl(2).
    pub fn from_std(io: T) -> Result<Self> {
        Ok(Self { inner: Arc::new(Inner::new(io)?) })
    }

    /// Gives the descriptor back, as it was taken over: if its description blocked then, it blocks
    /// from now on.
    ///
    /// That is so for everybody who shares the description, since the flag is the description's. Calls
    /// on another `Stream` of the same pipe or terminal may block in the kernel then, where neither
    /// deadline nor close is heard; so take apart the last of them alone. Sockets do not care.
    ///
    /// # Errors
    ///
    /// Those of fcntl(2), with the stream.
    #[doc(alias = "into_inner")]
    pub fn into_std(self) -> std::result::Result<T, IntoStdError<Self>> {
        match Arc::try_unwrap(self.inner) {
            Ok(inner) => inner.into_std().map_err(|(inner, source)| IntoStdError {
                stream: Self { inner: Arc::new(inner) },
                source,
            }),
            // A `Control` holds the state alone, and halves hold all of it.
            Err(inner) => {
                let source = crate::error::stream_shared();
                Err(IntoStdError { stream: Self { inner }, source })
            }
        }
    }

    /// The descriptor's owner. Reading from it around the stream is between the two of you.
    #[must_use]
    pub fn get_ref(&self) -> &T {
        self.inner.get_ref()
    }

    /// One half to read from and one to write to, for a thread each.
    #[must_use]
    pub fn split(self) -> (ReadHalf<T>, WriteHalf<T>) {
        halves::split(self.inner)
    }

    /// Both halves, for a caller who gives them up before anybody else uses the stream.
    #[expect(clippy::needless_pass_by_ref_mut, reason = "the borrow keeps others from it")]
    pub(crate) fn lend(&mut self) -> (ReadHalf<T>, WriteHalf<T>) {
        halves::split(Arc::clone(&self.inner))
    }

    /// A handle that sets deadlines and closes from elsewhere, while the stream is lent out.
    #[must_use]
    pub fn control(&self) -> Control {
        self.inner.control()
    }

    /// Reads what is there, without waiting.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if nothing is there, or if another thread is reading.
    pub fn try_read(&self, buf: &mut [u8]) -> Result<usize> {
        self.inner.try_read(buf)
    }

    /// Writes what there is room for, without waiting.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if there is no room, or if another thread is writing.
    pub fn try_write(&self, bytes: &[u8]) -> Result<usize> {
        self.inner.try_write(bytes)
    }

    /// Reads and leaves the bytes where they are, as `MSG_PEEK` of recv(2).
    ///
    /// # Errors
    ///
    /// `Unsupported` if it is no socket.
    pub fn peek(&self, buf: &mut [u8]) -> Result<usize> {
        self.inner.peek(buf)
    }

    /// Until when reads may wait; `None` is for ever.
    pub fn set_read_deadline(&self, at: Option<Instant>) {
        self.inner.desc().read.set_deadline(at);
    }

    /// Until when writes may wait; `None` is for ever.
    pub fn set_write_deadline(&self, at: Option<Instant>) {
        self.inner.desc().write.set_deadline(at);
    }

    /// Both deadlines.
    pub fn set_deadline(&self, at: Option<Instant>) {
        self.set_read_deadline(at);
        self.set_write_deadline(at);
    }

    /// How long each read may wait, counted from its start; `None` is for ever. It holds beside the
    /// deadline, from the next call on.
    pub fn set_read_timeout(&self, timeout: Option<Duration>) {
        self.inner.desc().read.timeout.set(timeout);
    }

    /// How long each write may wait for the other end to take anything, counted from its start and anew
    /// each time that some has been taken; `None` is for ever. How long all of it may take is for
    /// [deadlines](Self::set_write_deadline).
    pub fn set_write_timeout(&self, timeout: Option<Duration>) {
        self.inner.desc().write.timeout.set(timeout);
    }

    /// Ends all calls under way and to come with `NotConnected`. The peer hears of it when the
    /// stream and its halves are dropped.
    pub fn close(&self) {
        self.inner.desc().close();
    }

    /// As [`Source::piece`], for one who knows that nobody else reads.
    #[cfg(feature = "http")]
    pub(crate) fn next_piece(&self) -> Piece<'_> {
        self.inner.piece()
    }

    /// As [`Sink::outlets`], for one who knows that nobody else writes.
    #[cfg(feature = "http")]
    pub(crate) fn next_outlet(&self) -> Outlet<'_> {
        self.inner.outlet()
    }
}

impl<T: AsFd> Deadlines for Stream<T> {
    fn set_read_deadline(&self, at: Option<Instant>) {
        self.set_read_deadline(at);
    }

    fn set_write_deadline(&self, at: Option<Instant>) {
        self.set_write_deadline(at);
    }
}

impl<T: AsFd> Read for &Stream<T> {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize> {
        self.inner.read(Alone(false), buf)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> Result<usize> {
        self.inner.read_vectored(Alone(false), bufs)
    }
}

impl<T: AsFd> Write for &Stream<T> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        self.inner.write(Alone(false), bytes)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> Result<usize> {
        self.inner.write_vectored(Alone(false), bufs)
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

impl<T: AsFd> Read for Stream<T> {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize> {
        self.inner.read(self.inner.is_alone(), buf)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> Result<usize> {
        self.inner.read_vectored(self.inner.is_alone(), bufs)
    }
}

impl<T: AsFd> Write for Stream<T> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        self.inner.write(self.inner.is_alone(), bytes)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> Result<usize> {
        self.inner.write_vectored(self.inner.is_alone(), bufs)
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

impl<T: AsFd> Source for Stream<T> {
    fn piece<'a>(&'a mut self, _: &mut Outlets<'a>) -> Piece<'a> {
        self.inner.piece()
    }
}

impl<T: AsFd> Sink for Stream<T> {
    fn outlets<'a>(&'a mut self, out: &mut Outlets<'a>) {
        out.push(self.inner.outlet());
    }
}

/// A shared stream goes by `read`, which takes turns.
impl<T: AsFd> Source for &Stream<T> {}

/// A shared stream goes by `write`, which takes turns.
impl<T: AsFd> Sink for &Stream<T> {
    fn outlets<'a>(&'a mut self, out: &mut Outlets<'a>) {
        out.push(Outlet::opaque(self));
    }
}

impl<T: AsFd> AsFd for Stream<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }
}

impl<T: AsFd> fmt::Debug for Stream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Stream").field(&self.as_fd()).finish()
    }
}

#[cfg(all(test, aqueduct_loom))]
mod loom_models;
#[cfg(all(test, not(aqueduct_loom), target_os = "linux"))]
mod tests;
