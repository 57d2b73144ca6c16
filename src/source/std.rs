//! [`Source`] and [`Sink`] for std's own readers and writers.
//!
//! Descriptors answer `Fd`, memory answers `Buffered`, wrappers hand the question on. What std
//! keeps private stays opaque: `Chain`, `Repeat`, and `Stdin`/`Stdout` before `lock()`.

use super::{Outcomes, Outlet, Outlets, Piece, Sink, Source, taps};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{
    self, BufRead, BufReader, BufWriter, Chain, Cursor, Empty, LineWriter, PipeReader, PipeWriter,
    Read, Repeat, Stderr, StderrLock, Stdin, StdinLock, Stdout, StdoutLock, Take, Write,
};
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::{ChildStderr, ChildStdin, ChildStdout};
use std::sync::Arc;

/// `read` of these is read(2) on their descriptor.
macro_rules! descriptor_sources {
    ($($reader:ty = $as:ty),* $(,)?) => {$(
        impl Source for $reader {
            fn piece<'a>(&'a mut self, _: &mut Outlets<'a>) -> Piece<'a> {
                Piece::fd(<$as>::as_fd(self))
            }
        }
    )*};
}

/// `write` of these is write(2) on their descriptor.
macro_rules! descriptor_sinks {
    ($($writer:ty = $as:ty),* $(,)?) => {$(
        impl Sink for $writer {
            fn outlets<'a>(&'a mut self, out: &mut Outlets<'a>) {
                out.push(Outlet::fd(<$as>::as_fd(self)));
            }
        }
    )*};
}

// The second type of each pair is the owner of the descriptor: `as_fd` on the reference itself
// would borrow the reference for too short a time.
descriptor_sources! {
    File = File, &File = File, Arc<File> = File, PipeReader = PipeReader, &PipeReader = PipeReader,
    TcpStream = TcpStream, &TcpStream = TcpStream, UnixStream = UnixStream, &UnixStream = UnixStream,
    ChildStdout = ChildStdout, ChildStderr = ChildStderr,
}

descriptor_sinks! {
    File = File, &File = File, Arc<File> = File, PipeWriter = PipeWriter, &PipeWriter = PipeWriter,
    TcpStream = TcpStream, &TcpStream = TcpStream, UnixStream = UnixStream, &UnixStream = UnixStream,
    ChildStdin = ChildStdin,
}

impl Source for StdinLock<'_> {
    fn piece<'a>(&'a mut self, _: &mut Outlets<'a>) -> Piece<'a> {
        match Piece::fd(StdinLock::as_fd(self)) {
            Piece::Fd { fd, max, at, .. } => Piece::Fd { fd, max, at, hidden: true },
            other => other,
        }
    }
}

/// These buffer: themselves an outlet, unless their buffer was flushed to go around it.
macro_rules! locked_output {
    ($($writer:ty),*) => {$(
        impl Sink for $writer {
            fn prepare(&mut self) -> io::Result<()> {
                self.flush()
            }

            fn outlets<'a>(&'a mut self, out: &mut Outlets<'a>) {
                out.push(match out.direct() {
                    true => Outlet::fd(<$writer>::as_fd(self)),
                    false => Outlet::opaque(self),
                });
            }
        }
    )*};
}

locked_output!(StdoutLock<'_>, StderrLock<'_>);

/// Whether a buffering writer may be gone around: a fan-out behind one buffer cannot be told
/// apart outlet by outlet, so such a writer stays one opaque outlet.
fn passes<W: Sink + ?Sized>(inner: &mut W, direct: bool) -> bool {
    direct && super::outlets(inner) == 1
}

macro_rules! buffered_output {
    ($($writer:ident),*) => {$(
        impl<W: Sink> Sink for $writer<W> {
            fn prepare(&mut self) -> io::Result<()> {
                self.flush()?;
                self.get_mut().prepare()
            }

            fn outlets<'a>(&'a mut self, out: &mut Outlets<'a>) {
                if passes(self.get_mut(), out.direct()) {
                    self.get_mut().outlets(out);
                } else {
                    out.push(Outlet::opaque(self));
                }
            }

            fn advance(&mut self, out: &mut Outcomes<'_>) -> io::Result<()> {
                if passes(self.get_mut(), out.direct()) {
                    self.get_mut().advance(out)
                } else {
                    out.take()
                }
            }
        }
    )*};
}

buffered_output!(BufWriter, LineWriter);

impl<R: Source> Source for BufReader<R> {
    fn prepare(&mut self) -> io::Result<()> {
        self.get_mut().prepare()
    }

    fn piece<'a>(&'a mut self, out: &mut Outlets<'a>) -> Piece<'a> {
        if self.buffer().is_empty() {
            return self.get_mut().piece(out);
        }
        // What lies in the buffer went by the taps when it was read into it.
        out.push_gone(taps(self.get_mut()));
        Piece::Buffered(self.buffer())
    }

    fn advance(&mut self, n: u64, out: &mut Outcomes<'_>) -> io::Result<()> {
        if self.buffer().is_empty() {
            return self.get_mut().advance(n, out);
        }
        self.consume(clamp(n));
        let taps = taps(self.get_mut());
        out.take_all(taps)
    }

    fn end(&mut self) -> io::Result<bool> {
        self.get_mut().end()
    }

    fn at_fault(&self) -> Option<usize> {
        self.get_ref().at_fault()
    }

    fn missed(&self, tap: usize) -> &[u8] {
        self.get_ref().missed(tap)
    }
}

/// Its `set_limit` is all that std offers for telling it of bytes that went around it, so a
/// `Seek` on the `Take` itself counts from there afterwards;
/// [`Section`](crate::adapters::Section) has no such catch.
impl<R: Source> Source for Take<R> {
    fn prepare(&mut self) -> io::Result<()> {
        self.get_mut().prepare()
    }

    fn piece<'a>(&'a mut self, taps: &mut Outlets<'a>) -> Piece<'a> {
        let limit = self.limit();
        self.get_mut().piece(taps).limit(limit)
    }

    fn advance(&mut self, n: u64, taps: &mut Outcomes<'_>) -> io::Result<()> {
        self.set_limit(self.limit().saturating_sub(n));
        self.get_mut().advance(n, taps)
    }

    fn end(&mut self) -> io::Result<bool> {
        if self.limit() == 0 { Ok(false) } else { self.get_mut().end() }
    }

    fn at_fault(&self) -> Option<usize> {
        self.get_ref().at_fault()
    }

    fn missed(&self, tap: usize) -> &[u8] {
        self.get_ref().missed(tap)
    }
}

impl<T: AsRef<[u8]>> Source for Cursor<T> {
    fn piece<'a>(&'a mut self, _: &mut Outlets<'a>) -> Piece<'a> {
        let bytes = self.get_ref().as_ref();
        let start = clamp(self.position()).min(bytes.len());
        Piece::Buffered(&bytes[start..])
    }

    fn advance(&mut self, n: u64, _: &mut Outcomes<'_>) -> io::Result<()> {
        self.set_position(self.position() + n);
        Ok(())
    }
}

impl Source for &[u8] {
    fn piece<'a>(&'a mut self, _: &mut Outlets<'a>) -> Piece<'a> {
        Piece::Buffered(self)
    }

    fn advance(&mut self, n: u64, _: &mut Outcomes<'_>) -> io::Result<()> {
        self.consume(clamp(n).min(self.len()));
        Ok(())
    }
}

impl Source for VecDeque<u8> {
    fn piece<'a>(&'a mut self, _: &mut Outlets<'a>) -> Piece<'a> {
        Piece::Buffered(self.as_slices().0)
    }

    fn advance(&mut self, n: u64, _: &mut Outcomes<'_>) -> io::Result<()> {
        let n = clamp(n).min(self.len());
        self.drain(..n);
        Ok(())
    }
}

impl Source for Empty {
    fn piece<'a>(&'a mut self, _: &mut Outlets<'a>) -> Piece<'a> {
        Piece::Buffered(&[])
    }
}

impl Source for Repeat {}
impl Source for Stdin {}
impl<A: Read, B: Read> Source for Chain<A, B> {}

/// These take every byte and keep none.
macro_rules! discarding_sinks {
    ($($writer:ty),*) => {$(
        impl Sink for $writer {
            fn outlets<'a>(&'a mut self, out: &mut Outlets<'a>) {
                out.push(Outlet::Discard { max: u64::MAX });
            }
        }
    )*};
}

discarding_sinks!(io::Sink, &io::Sink, Empty);

/// These are written by `write` alone.
macro_rules! plain_sinks {
    ($($writer:ty),*) => {$(
        impl Sink for $writer {
            fn outlets<'a>(&'a mut self, out: &mut Outlets<'a>) {
                out.push(Outlet::opaque(self));
            }
        }
    )*};
}

plain_sinks!(Vec<u8>, VecDeque<u8>, Cursor<Vec<u8>>, Cursor<&mut Vec<u8>>, Stdout, Stderr);

impl Sink for &mut [u8] {
    fn outlets<'a>(&'a mut self, out: &mut Outlets<'a>) {
        let max = self.len() as u64;
        out.push(Outlet::Opaque { to: self, max });
    }
}

macro_rules! bounded_cursor {
    ($($memory:ty),*) => {$(
        impl Sink for Cursor<$memory> {
            fn outlets<'a>(&'a mut self, out: &mut Outlets<'a>) {
                let max = (self.get_ref().len() as u64).saturating_sub(self.position());
                out.push(Outlet::Opaque { to: self, max });
            }
        }
    )*};
}

bounded_cursor!(&mut [u8], Box<[u8]>);

/// A byte count as a length in memory. It never truncates: what is passed lies in memory.
fn clamp(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}
