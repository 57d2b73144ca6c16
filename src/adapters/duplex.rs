//! A connection in memory: two ends that are read and written, joined by two [pipes](super::pipe).
//!
//! What one end writes, the other one reads. All that is said of [pipes](super::pipe) holds for each
//! direction: who takes turns with whom, what a close leaves behind, and what a deadline does.

use super::pipe::{self, Reader, Writer, pipe_with_capacity};
use crate::source::{
    Connection, Deadlines, Finish, Outcomes, Outlet, Outlets, Piece, Sink, Source,
};
use std::io::{self, BufRead, IoSlice, IoSliceMut, Read, Write};
use std::time::Instant;

/// Two ends of a connection that holds nothing: each write waits until its bytes are read.
///
/// # Examples
///
/// ```
/// use std::io::{Read, Write};
///
/// let (mut near, mut far) = aqueduct::duplex();
/// let echo = std::thread::spawn(move || {
///     let mut word = [0; 5];
///     far.read_exact(&mut word)?;
///     far.write_all(&word)
/// });
/// near.write_all(b"hello")?;
/// let mut word = String::new();
/// near.read_to_string(&mut word)?;
/// assert_eq!(word, "hello");
/// # echo.join().unwrap()?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use]
pub fn duplex() -> (Duplex, Duplex) {
    duplex_with_capacity(0)
}

/// Two ends of a connection whose writers may be `capacity` bytes ahead, in each direction.
///
/// See [`pipe_with_capacity`]. Capacity 0 makes a [`duplex`].
///
/// # Examples
///
/// ```
/// use std::io::{Read, Write};
///
/// let (mut near, mut far) = aqueduct::duplex_with_capacity(1024);
/// near.write_all(b"question")?;
/// far.write_all(b"answer")?;
/// let mut answer = [0; 6];
/// near.read_exact(&mut answer)?;
/// assert_eq!(&answer, b"answer");
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use]
pub fn duplex_with_capacity(capacity: usize) -> (Duplex, Duplex) {
    let (here, there) = (pipe_with_capacity(capacity), pipe_with_capacity(capacity));
    (Duplex { reader: here.0, writer: there.1 }, Duplex { reader: there.0, writer: here.1 })
}

/// One end of a [`duplex`].
///
/// `&Duplex` reads and writes too, so that threads can share it; reading and writing do not hinder
/// each other. Dropping it closes it: the other end reads the rest and then `Ok(0)`, and its writes
/// fail with `BrokenPipe`.
///
/// # Errors
///
/// Those of the [pipe](super::pipe#ends-and-errors): `NotConnected` after a close of this end,
/// `TimedOut` after a deadline, `BrokenPipe` for a write that nobody will read.
#[derive(Debug)]
pub struct Duplex {
    reader: Reader,
    writer: Writer,
}

impl Duplex {
    /// Until when reads may wait; `None` is for ever.
    pub fn set_read_deadline(&self, at: Option<Instant>) {
        self.reader.set_read_deadline(at);
    }

    /// Until when writes may wait; `None` is for ever.
    pub fn set_write_deadline(&self, at: Option<Instant>) {
        self.writer.set_write_deadline(at);
    }

    /// Both deadlines.
    pub fn set_deadline(&self, at: Option<Instant>) {
        self.set_read_deadline(at);
        self.set_write_deadline(at);
    }

    /// Ends all calls of this end, under way and to come, with `NotConnected`.
    pub fn close(&self) {
        self.reader.close();
        self.writer.close();
    }

    /// A handle that sets deadlines and closes from elsewhere, while the end is lent out.
    #[must_use]
    pub fn control(&self) -> Control {
        Control { reader: self.reader.control(), writer: self.writer.control() }
    }

    /// One half to read from and one to write to, for a thread each. Each closes its own direction.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io::{Read, Write};
    ///
    /// let (near, mut far) = aqueduct::duplex_with_capacity(64);
    /// let (mut reader, mut writer) = near.split();
    /// writer.write_all(b"that is all")?;
    /// drop(writer);
    ///
    /// let mut text = String::new();
    /// far.read_to_string(&mut text)?;
    /// far.write_all(b"thanks")?;
    /// drop(far);
    /// reader.read_to_string(&mut text)?;
    /// assert_eq!(text, "that is allthanks");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn split(self) -> (Reader, Writer) {
        (self.reader, self.writer)
    }
}

/// Sets the deadlines of one end of a [`duplex`] and closes that end, from wherever it is held; clones
/// are for the same end. It does not keep the end open.
///
/// # Examples
///
/// ```
/// use std::io::{ErrorKind, Read};
/// use std::time::Instant;
///
/// let (mut near, _far) = aqueduct::duplex();
/// let control = near.control();
/// std::thread::spawn(move || control.set_deadline(Some(Instant::now())));
/// assert_eq!(near.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::TimedOut);
/// ```
#[derive(Debug, Clone)]
pub struct Control {
    reader: pipe::Control,
    writer: pipe::Control,
}

impl Control {
    /// As [`Duplex::set_read_deadline`].
    pub fn set_read_deadline(&self, at: Option<Instant>) {
        self.reader.set_deadline(at);
    }

    /// As [`Duplex::set_write_deadline`].
    pub fn set_write_deadline(&self, at: Option<Instant>) {
        self.writer.set_deadline(at);
    }

    /// As [`Duplex::set_deadline`].
    pub fn set_deadline(&self, at: Option<Instant>) {
        self.set_read_deadline(at);
        self.set_write_deadline(at);
    }

    /// As [`Duplex::close`].
    pub fn close(&self) {
        self.reader.close();
        self.writer.close();
    }
}

macro_rules! deadlines {
    ($($type:ty),*) => {$(
        impl Deadlines for $type {
            fn set_read_deadline(&self, at: Option<Instant>) {
                self.set_read_deadline(at);
            }

            fn set_write_deadline(&self, at: Option<Instant>) {
                self.set_write_deadline(at);
            }
        }
    )*};
}

deadlines! { Duplex, Control }

impl Connection for Duplex {
    fn halves(&mut self) -> (impl Source + Send, impl Finish + Send) {
        (&mut self.reader, &mut self.writer)
    }

    fn control(&self) -> Option<Box<dyn Deadlines + Send + Sync>> {
        Some(Box::new(self.control()))
    }
}

impl Read for Duplex {
    #[inline]
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.reader.read(buf)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.reader.read_vectored(bufs)
    }
}

impl Read for &Duplex {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        (&self.reader).read(buf)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        (&self.reader).read_vectored(bufs)
    }
}

/// As that of [`Reader`].
impl BufRead for Duplex {
    #[inline]
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.reader.fill_buf()
    }

    #[inline]
    fn consume(&mut self, n: usize) {
        self.reader.consume(n);
    }
}

impl Write for Duplex {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.write(bytes)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.writer.write_vectored(bufs)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Write for &Duplex {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&self.writer).write(bytes)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        (&self.writer).write_vectored(bufs)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Source for Duplex {
    fn piece<'a>(&'a mut self, taps: &mut Outlets<'a>) -> Piece<'a> {
        self.reader.piece(taps)
    }

    fn advance(&mut self, n: u64, taps: &mut Outcomes<'_>) -> io::Result<()> {
        self.reader.advance(n, taps)
    }
}

impl Source for &Duplex {}

impl Sink for Duplex {
    fn outlets<'a>(&'a mut self, out: &mut Outlets<'a>) {
        out.push(Outlet::opaque(self));
    }
}

impl Sink for &Duplex {
    fn outlets<'a>(&'a mut self, out: &mut Outlets<'a>) {
        out.push(Outlet::opaque(self));
    }
}
