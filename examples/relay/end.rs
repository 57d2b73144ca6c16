//! What bytes come from and go to, once it is open.

use crate::child::Child;
use crate::{listen, util};
use aqueduct::WriteExt;
use aqueduct::adapters::Closing;
use aqueduct::net::{TcpStream, UnixStream};
use aqueduct::source::{Connection, Finish, Outcomes, Outlets, Sink, Source};
use aqueduct::stream::{Inherited, Stream};
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::OwnedFd;
use std::time::Duration;

/// An open address.
pub(crate) enum End {
    Tcp(TcpStream),
    Unix(UnixStream),
    Pair(Box<Pair>),
}

/// Something to read and something to write, which end separately.
pub(crate) struct Pair {
    reader: Box<dyn Source + Send>,
    writer: Box<dyn Finish + Send>,
    child: Option<Child>,
}

impl End {
    /// Nothing is there to be read, or to be written, where there is none.
    pub(crate) fn pair(
        reader: Option<Box<dyn Source + Send>>,
        writer: Option<Box<dyn Finish + Send>>,
        child: Option<Child>,
    ) -> Self {
        let reader = reader.unwrap_or_else(|| Box::new(io::empty()));
        let writer = writer.unwrap_or_else(|| Box::new(io::sink().closing()));
        Self::Pair(Box::new(Pair { reader, writer, child }))
    }

    pub(crate) fn is_command(&self) -> bool {
        matches!(self, Self::Pair(pair) if pair.child.is_some())
    }

    /// Closes it; the command, if it is one, is still to be waited for.
    pub(crate) fn close(self) -> Option<Child> {
        match self {
            Self::Pair(pair) => pair.child,
            Self::Tcp(_) | Self::Unix(_) => None,
        }
    }

    /// Closes it so that a peer does not take what it got for all there was, where that can be told.
    pub(crate) fn abort(self) -> Option<Child> {
        if let Self::Tcp(stream) = &self {
            // Where it fails the connection has gone.
            let _ = rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO));
        }
        self.close()
    }
}

impl Connection for End {
    fn halves(&mut self) -> (impl Source + Send, impl Finish + Send) {
        match self {
            Self::Tcp(stream) => boxed(stream.halves()),
            Self::Unix(stream) => boxed(stream.halves()),
            Self::Pair(pair) => boxed((&mut pair.reader, &mut pair.writer)),
        }
    }
}

type Halves<'a> = (Box<dyn Source + Send + 'a>, Box<dyn Finish + Send + 'a>);

fn boxed<'a>(halves: (impl Source + Send + 'a, impl Finish + Send + 'a)) -> Halves<'a> {
    (Box::new(halves.0), Box::new(halves.1))
}

/// Standard output. Whoever reads it learns of its end though the process may go on.
pub(crate) struct Stdout {
    stream: Closing<Stream<Inherited>>,
    /// Others write to it as well.
    shared: bool,
}

impl Stdout {
    pub(crate) fn new(file: File, shared: bool) -> io::Result<Self> {
        let stream = Stream::inherit(OwnedFd::from(file))?.closing();
        Ok(Self { stream, shared })
    }
}

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes).map_err(lost)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush().map_err(lost)
    }
}

impl Sink for Stdout {
    fn outlets<'a>(&'a mut self, out: &mut Outlets<'a>) {
        self.stream.outlets(out);
    }

    fn advance(&mut self, out: &mut Outcomes<'_>) -> io::Result<()> {
        self.stream.advance(out).map_err(lost)
    }
}

impl Finish for Stdout {
    fn finish(&mut self) -> io::Result<()> {
        self.stream.finish()?;
        if !self.shared {
            let null = File::options().write(true).open("/dev/null")?;
            rustix::stdio::dup2_stdout(null)?;
        }
        Ok(())
    }
}

/// Without a reader of standard output the process ends, as SIGPIPE would have it, unless whoever
/// started it has that ignored. Then it is no end of a connection but a failure.
fn lost(error: io::Error) -> io::Error {
    if error.kind() != ErrorKind::BrokenPipe {
        return error;
    }
    if !util::sigpipe_is_ignored() {
        listen::remove_sockets();
        util::die_of_sigpipe();
    }
    io::Error::other("Broken pipe")
}
