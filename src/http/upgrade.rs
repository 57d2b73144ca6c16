//! A connection that speaks HTTP no more.

use super::input::Input;
use super::wire::Wire;
use crate::source::{Outcomes, Outlet, Outlets, Piece, Sink, Source};
use std::fmt;
use std::io::{self, IoSlice, Read, Write};
use std::time::Instant;

/// A connection that a handler has taken over, by [`Response::upgrade`](super::Response::upgrade) or
/// [`Response::hijack`](super::Response::hijack). It begins with the bytes that came with the request.
///
/// The server's timeouts hold no more; deadlines that the handler has set do.
pub struct Upgraded<'u> {
    reader: UpgradedReader<'u>,
    writer: UpgradedWriter<'u>,
}

/// The half of an [`Upgraded`] connection that is read.
pub struct UpgradedReader<'u> {
    wire: &'u Wire<'u>,
    input: &'u mut Input,
}

/// The half of an [`Upgraded`] connection that is written.
pub struct UpgradedWriter<'u> {
    wire: &'u Wire<'u>,
}

impl<'u> Upgraded<'u> {
    pub(super) fn new(wire: &'u Wire<'u>, input: &'u mut Input) -> Self {
        Self { reader: UpgradedReader { wire, input }, writer: UpgradedWriter { wire } }
    }

    /// The two directions, for a task each. A connection that was served by
    /// [`serve_connection`](super::Server::serve_connection) fails with `ResourceBusy` if both are used at the
    /// same time.
    #[must_use]
    pub fn split(self) -> (UpgradedReader<'u>, UpgradedWriter<'u>) {
        (self.reader, self.writer)
    }

    /// As [`UpgradedReader::set_read_deadline`].
    pub fn set_read_deadline(&self, at: Option<Instant>) {
        self.reader.set_read_deadline(at);
    }

    /// As [`UpgradedWriter::set_write_deadline`].
    pub fn set_write_deadline(&self, at: Option<Instant>) {
        self.writer.set_write_deadline(at);
    }
}

impl UpgradedReader<'_> {
    /// Until when reads may wait; `None` is for ever. Where the connection
    /// [has no deadlines](super::Transport::deadlines) nothing happens.
    pub fn set_read_deadline(&self, at: Option<Instant>) {
        self.wire.set_read_deadline(at);
    }
}

impl UpgradedWriter<'_> {
    /// Until when writes may wait, as [`UpgradedReader::set_read_deadline`].
    pub fn set_write_deadline(&self, at: Option<Instant>) {
        self.wire.set_write_deadline(at);
    }
}

impl Read for UpgradedReader<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self.input.is_empty() {
            true => self.wire.read(buf),
            false => Ok(self.input.take(buf)),
        }
    }
}

impl Source for UpgradedReader<'_> {
    fn prepare(&mut self) -> io::Result<()> {
        self.wire.before_read();
        Ok(())
    }

    fn piece<'a>(&'a mut self, _: &mut Outlets<'a>) -> Piece<'a> {
        match self.input.is_empty() {
            true => self.wire.transport.piece(),
            false => Piece::Buffered(self.input.bytes()),
        }
    }

    fn advance(&mut self, n: u64, _: &mut Outcomes<'_>) -> io::Result<()> {
        match self.input.is_empty() {
            true => self.wire.before_read(),
            false => self.input.consume(usize::try_from(n).unwrap_or(usize::MAX)),
        }
        Ok(())
    }
}

impl Write for UpgradedWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.wire.before_write();
        self.wire.transport.write(bytes)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.wire.before_write();
        self.wire.transport.write_vectored(bufs)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.wire.transport.flush()
    }
}

impl Sink for UpgradedWriter<'_> {
    fn prepare(&mut self) -> io::Result<()> {
        self.wire.before_write();
        Ok(())
    }

    fn outlets<'a>(&'a mut self, out: &mut Outlets<'a>) {
        let outlet = self.wire.transport.outlet();
        out.push(outlet.unwrap_or_else(|| Outlet::opaque(self)));
    }

    fn advance(&mut self, out: &mut Outcomes<'_>) -> io::Result<()> {
        self.wire.before_write();
        out.take()
    }
}

impl Read for Upgraded<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.reader.read(buf)
    }
}

impl Write for Upgraded<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.write(bytes)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.writer.write_vectored(bufs)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

macro_rules! told_by_name {
    ($($type:ident),*) => {$(
        impl fmt::Debug for $type<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($type)).finish_non_exhaustive()
            }
        }
    )*};
}

told_by_name!(Upgraded, UpgradedReader, UpgradedWriter);
