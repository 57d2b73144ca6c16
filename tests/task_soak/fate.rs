//! What becomes of a connection: the client draws it and tells the server.

use aqueduct::net::TcpStream;
use rustix::net::sockopt::set_socket_send_buffer_size;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io::{self, Read, Write};
use std::sync::OnceLock;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// All comes back, by a loop.
    Echo,
    /// All comes back, by `copy`.
    Copy,
    /// All comes back, although others move the deadlines of the server's end.
    Moved,
    /// The server ends its direction first, and reads on to the end.
    Deaf,
    /// The client says nothing more, and the server's deadline passes.
    Stall,
    /// The client does not read, and the server's deadline passes.
    Clog,
    /// The client resets the connection.
    Reset,
    /// The client's task is cancelled, and leaves with bytes on their way.
    Abandon,
    /// The server's task is cancelled.
    Cancel,
    /// The server's end is closed by somebody else.
    Close,
    /// The server's task panics.
    Panic,
}

impl Fate {
    pub(crate) const ALL: [Self; 11] = [
        Self::Echo,
        Self::Copy,
        Self::Moved,
        Self::Deaf,
        Self::Stall,
        Self::Clog,
        Self::Reset,
        Self::Abandon,
        Self::Cancel,
        Self::Close,
        Self::Panic,
    ];
}

/// The first bytes of a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Header {
    pub(crate) fate: Fate,
    /// For what the server draws.
    pub(crate) seed: u64,
}

impl Header {
    pub(crate) fn send(self, mut to: impl Write) -> io::Result<()> {
        let mut bytes = [self.fate as u8; 8];
        bytes[1..].copy_from_slice(&self.seed.to_le_bytes()[..7]);
        to.write_all(&bytes)
    }

    pub(crate) fn receive(mut from: impl Read) -> io::Result<Self> {
        let mut bytes = [0; 8];
        from.read_exact(&mut bytes)?;
        let fate = Fate::ALL[usize::from(bytes[0]) % Fate::ALL.len()];
        bytes.rotate_left(1);
        bytes[7] = 0;
        Ok(Self { fate, seed: u64::from_le_bytes(bytes) })
    }
}

/// What a client says: bytes that tell where in which connection they stand.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Text {
    at: usize,
}

impl Text {
    pub(crate) fn of(seed: u64) -> Self {
        Self { at: (seed % noise().len() as u64) as usize }
    }

    /// The next `len` bytes, or fewer.
    pub(crate) fn next(&mut self, len: usize) -> &'static [u8] {
        let rest = &noise()[self.at..];
        let next = &rest[..len.min(rest.len())];
        self.at = (self.at + next.len()) % noise().len();
        next
    }

    /// Whether `bytes` come next.
    pub(crate) fn follows(&mut self, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            let next = self.next(bytes.len());
            let (now, rest) = bytes.split_at(next.len());
            if now != next {
                return false;
            }
            bytes = rest;
        }
        true
    }
}

fn noise() -> &'static [u8] {
    static NOISE: OnceLock<Vec<u8>> = OnceLock::new();
    // A prime, so that no buffer's size divides it.
    NOISE.get_or_init(|| super::kit::noise(65_521, 0x5EED))
}

/// Little room in the kernel, so that whoever writes soon has to wait. Only at the sending side: a
/// receiver with less room than a segment of the loopback drops them, and TCP waits for minutes then.
pub(crate) fn narrow(stream: &TcpStream) {
    set_socket_send_buffer_size(stream, 8192).unwrap();
}

/// As many descriptors as the process may have.
pub(crate) fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
}
