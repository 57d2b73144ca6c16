//! Connections of every kind, with one face.

use crate::kit::{self, Way};
use aqueduct::adapters::duplex::Duplex;
use aqueduct::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use aqueduct::source::Deadlines;
use aqueduct::stream::Stream;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A connection that threads share. (A thing with deadlines need not be a descriptor.)
pub(crate) trait Conn: Send + Sync {
    fn read(&self, buf: &mut [u8]) -> io::Result<usize>;
    fn write(&self, bytes: &[u8]) -> io::Result<usize>;
    fn set_read_deadline(&self, at: Option<Instant>);
    fn set_write_deadline(&self, at: Option<Instant>);
    fn close(&self);

    fn set_deadline(&self, at: Option<Instant>) {
        self.set_read_deadline(at);
        self.set_write_deadline(at);
    }

    fn read_exact(&self, mut buf: &mut [u8]) -> io::Result<()> {
        while !buf.is_empty() {
            match self.read(buf)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                n => buf = &mut buf[n..],
            }
        }
        Ok(())
    }

    fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            bytes = &bytes[self.write(bytes)?..];
        }
        Ok(())
    }
}

pub(crate) type Pair = (Arc<dyn Conn>, Arc<dyn Conn>);

impl Conn for Duplex {
    fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        Read::read(&mut &*self, buf)
    }

    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        Write::write(&mut &*self, bytes)
    }

    fn set_read_deadline(&self, at: Option<Instant>) {
        Deadlines::set_read_deadline(self, at);
    }

    fn set_write_deadline(&self, at: Option<Instant>) {
        Deadlines::set_write_deadline(self, at);
    }

    fn close(&self) {
        self.close();
    }
}

impl<T: AsFd + Send + Sync> Conn for Stream<T> {
    fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        Read::read(&mut &*self, buf)
    }

    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        Write::write(&mut &*self, bytes)
    }

    fn set_read_deadline(&self, at: Option<Instant>) {
        self.set_read_deadline(at);
    }

    fn set_write_deadline(&self, at: Option<Instant>) {
        self.set_write_deadline(at);
    }

    fn close(&self) {
        self.close();
    }
}

/// One end of two pipes that run in opposite directions.
struct Piped {
    from: Stream<io::PipeReader>,
    to: Stream<io::PipeWriter>,
}

impl Conn for Piped {
    fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        Conn::read(&self.from, buf)
    }

    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        Conn::write(&self.to, bytes)
    }

    fn set_read_deadline(&self, at: Option<Instant>) {
        self.from.set_read_deadline(at);
    }

    fn set_write_deadline(&self, at: Option<Instant>) {
        self.to.set_write_deadline(at);
    }

    fn close(&self) {
        self.from.close();
        self.to.close();
    }
}

fn pair<T: AsFd + Send + Sync + 'static>(ends: (T, T)) -> Pair {
    let (a, b) = kit::streams(ends);
    (Arc::new(a), Arc::new(b))
}

pub(crate) fn tcp() -> Pair {
    pair(kit::tcp())
}

pub(crate) fn unix() -> Pair {
    pair(kit::unix())
}

/// Made by our own listeners and dialled by our own dials.
pub(crate) fn net_tcp() -> Pair {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let a = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (Arc::new(a), Arc::new(listener.accept().unwrap().0))
}

pub(crate) fn net_unix() -> Pair {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    let a = UnixStream::connect(&path).unwrap();
    (Arc::new(a), Arc::new(listener.accept().unwrap().0))
}

pub(crate) fn pipes() -> Pair {
    let (a, b) = (kit::streams(io::pipe().unwrap()), kit::streams(io::pipe().unwrap()));
    (Arc::new(Piped { from: a.0, to: b.1 }), Arc::new(Piped { from: b.0, to: a.1 }))
}

fn ends((a, b): (Duplex, Duplex)) -> Pair {
    (Arc::new(a), Arc::new(b))
}

pub(crate) fn duplexes() -> Pair {
    ends(aqueduct::duplex_with_capacity(4096))
}

pub(crate) fn rendezvous() -> Pair {
    ends(aqueduct::duplex())
}

pub(crate) fn terminals() -> Pair {
    pair(kit::terminal(true))
}

/// Lets a read of each end wait in vain, where streams become at home away from the test.
pub(crate) fn settled(way: Way, (a, b): Pair) -> Pair {
    way.abroad(move || {
        for end in [&a, &b] {
            end.set_read_deadline(Some(Instant::now() + Duration::from_millis(1)));
            assert_eq!(end.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::TimedOut);
            end.set_read_deadline(None);
        }
        (a, b)
    })
}
