//! Sockets of one machine.

use super::backoff::Backoff;
use super::datagram::Datagram;
use super::dial;
use super::listener::{Incoming, Listener, item};
use crate::stream::Stream;
use crate::sys::Manner;
use crate::sys::net::{self, Family, Type};
use std::io::{ErrorKind, Result};
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// A connection within the machine: a [`Stream`] of std's.
///
/// # Examples
///
/// ```
/// use aqueduct::net::UnixStream;
/// use std::io::{Read, Write};
///
/// let (mut here, mut there) = UnixStream::pair()?;
/// here.write_all(b"hello")?;
/// let mut text = [0; 5];
/// there.read_exact(&mut text)?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub type UnixStream = Stream<std::os::unix::net::UnixStream>;

/// A socket that connections from within the machine come in by.
///
/// # Examples
///
/// ```
/// use aqueduct::net::{UnixListener, UnixStream};
/// use std::io::{Read, Write};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("socket");
/// let listener = UnixListener::bind(&path)?;
/// let mut client = UnixStream::connect(&path)?;
/// let (mut server, _) = listener.accept()?;
/// server.write_all(b"hello")?;
/// let mut text = [0; 5];
/// client.read_exact(&mut text)?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub type UnixListener = Listener<std::os::unix::net::UnixListener>;

/// A socket for messages within the machine.
///
/// # Examples
///
/// ```
/// use aqueduct::net::UnixDatagram;
///
/// let (here, there) = UnixDatagram::pair()?;
/// here.send(b"a message")?;
/// here.send(b"another")?;
/// let mut buf = [0; 100];
/// assert_eq!(there.recv(&mut buf)?, 9);
/// # Ok::<(), std::io::Error>(())
/// ```
pub type UnixDatagram = Datagram<std::os::unix::net::UnixDatagram>;

impl Stream<std::os::unix::net::UnixStream> {
    /// Connects to the socket at `path`. While the listener's queue is full, this waits.
    ///
    /// # Errors
    ///
    /// Those of connect(2): `NotFound` where there is no socket, `ConnectionRefused` where nobody
    /// listens any more; `InvalidInput` for a path that is too long for an address.
    pub fn connect(path: impl AsRef<Path>) -> Result<Self> {
        Self::connect_deadline(path, None)
    }

    /// As [`connect`](Self::connect), for no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// As there, and `TimedOut`.
    pub fn connect_timeout(path: impl AsRef<Path>, timeout: Duration) -> Result<Self> {
        Self::connect_deadline(path, Instant::now().checked_add(timeout))
    }

    /// As [`connect`](Self::connect), until `at` and no longer.
    ///
    /// # Errors
    ///
    /// As there, and `TimedOut`.
    pub fn connect_deadline(path: impl AsRef<Path>, at: Option<Instant>) -> Result<Self> {
        dial::unix(&SocketAddr::from_pathname(path)?, at)
    }

    /// Connects to an address that need not be a path.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub fn connect_addr(address: &SocketAddr) -> Result<Self> {
        dial::unix(address, None)
    }

    /// As [`connect_addr`](Self::connect_addr), until `at` and no longer.
    ///
    /// # Errors
    ///
    /// As there, and `TimedOut`.
    pub fn connect_addr_deadline(address: &SocketAddr, at: Option<Instant>) -> Result<Self> {
        dial::unix(address, at)
    }

    /// Two ends of a new connection.
    ///
    /// # Errors
    ///
    /// Those of socketpair(2).
    pub fn pair() -> Result<(Self, Self)> {
        let made = |socket: OwnedFd| Self::made(socket.into(), Manner::SOCKET);
        let (a, b) = net::pair(Type::STREAM)?;
        Ok((made(a), made(b)))
    }

    /// The address of this end.
    ///
    /// # Errors
    ///
    /// Those of getsockname(2).
    pub fn local_addr(&self) -> Result<SocketAddr> {
        self.get_ref().local_addr()
    }

    /// The address of the other end.
    ///
    /// # Errors
    ///
    /// Those of getpeername(2).
    pub fn peer_addr(&self) -> Result<SocketAddr> {
        self.get_ref().peer_addr()
    }

    /// Ends one direction or both, for the peer too: it reads to the end. What waits is woken.
    /// ([`close`](Self::close) is for this end alone.)
    ///
    /// # Errors
    ///
    /// Those of shutdown(2).
    pub fn shutdown(&self, how: Shutdown) -> Result<()> {
        self.get_ref().shutdown(how)
    }
}

impl Listener<std::os::unix::net::UnixListener> {
    /// Makes a socket at `path` and listens there. The path stays when the listener goes; remove
    /// it then, or before the next one binds.
    ///
    /// # Errors
    ///
    /// Those of bind(2) and listen(2): `AddrInUse` where something is at the path, be it the
    /// socket of a listener that has gone; `InvalidInput` for a path that is too long for an address.
    pub fn bind(path: impl AsRef<Path>) -> Result<Self> {
        Self::bind_addr(&SocketAddr::from_pathname(path)?)
    }

    /// Listens at an address that need not be a path.
    ///
    /// # Errors
    ///
    /// As [`bind`](Self::bind).
    pub fn bind_addr(address: &SocketAddr) -> Result<Self> {
        let socket = net::socket(Family::UNIX, Type::STREAM)?;
        net::bind(socket.as_fd(), &net::to_unix(address)?)?;
        net::listen(socket.as_fd(), None)?;
        Ok(Self::made(socket.into(), Manner::SOCKET))
    }

    /// Waits for a connection, and tells whose it is: most have no address. Waits, too, where
    /// no descriptor is left, as [`TcpListener::accept`](super::TcpListener::accept) does.
    ///
    /// # Errors
    ///
    /// `TimedOut` after the deadline, `NotConnected` after a close, those of accept(2) else.
    pub fn accept(&self) -> Result<(UnixStream, SocketAddr)> {
        let (socket, address) = self.connection()?;
        Ok((UnixStream::made(socket.into(), self.stream.manner()), net::from_unix(address)?))
    }

    /// All connections, until the listener is closed.
    #[must_use]
    pub fn incoming(&self) -> Incoming<'_, std::os::unix::net::UnixListener> {
        Incoming { listener: self }
    }

    /// Where it listens.
    ///
    /// # Errors
    ///
    /// Those of getsockname(2).
    pub fn local_addr(&self) -> Result<SocketAddr> {
        self.get_ref().local_addr()
    }
}

impl Iterator for Incoming<'_, std::os::unix::net::UnixListener> {
    type Item = Result<UnixStream>;

    fn next(&mut self) -> Option<Self::Item> {
        item(self.listener.accept())
    }
}

impl Datagram<std::os::unix::net::UnixDatagram> {
    /// Makes a socket at `path`, which stays when the socket goes.
    ///
    /// # Errors
    ///
    /// As [`UnixListener::bind`].
    pub fn bind(path: impl AsRef<Path>) -> Result<Self> {
        Self::bind_addr(&SocketAddr::from_pathname(path)?)
    }

    /// A socket at an address that need not be a path.
    ///
    /// # Errors
    ///
    /// As [`UnixListener::bind`].
    pub fn bind_addr(address: &SocketAddr) -> Result<Self> {
        let this = Self::unbound()?;
        net::bind(this.as_fd(), &net::to_unix(address)?)?;
        Ok(this)
    }

    /// A socket without an address, to send from.
    ///
    /// # Errors
    ///
    /// Those of socket(2).
    pub fn unbound() -> Result<Self> {
        Ok(Self::made(net::socket(Family::UNIX, Type::DGRAM)?.into()))
    }

    /// Two sockets, each connected to the other.
    ///
    /// # Errors
    ///
    /// Those of socketpair(2).
    pub fn pair() -> Result<(Self, Self)> {
        let (a, b) = net::pair(Type::DGRAM)?;
        Ok((Self::made(a.into()), Self::made(b.into())))
    }

    /// From now on sends to the socket at `path`, and receives from there alone.
    ///
    /// # Errors
    ///
    /// Those of connect(2), as [`UnixStream::connect`].
    pub fn connect(&self, path: impl AsRef<Path>) -> Result<()> {
        self.connect_addr(&SocketAddr::from_pathname(path)?)
    }

    /// As [`connect`](Self::connect), to an address that need not be a path.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn connect_addr(&self, address: &SocketAddr) -> Result<()> {
        net::connect(self.as_fd(), &net::to_unix(address)?).map(drop)
    }

    /// Sends a message to the socket at `path`, whole. While the queue of that one is full, this
    /// waits; no call of the system tells when there is room, so it looks again and again. Where
    /// that matters, [`connect`](Self::connect) and [`send`](Self::send).
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), and those of a path as for [`UnixStream::connect`].
    pub fn send_to(&self, bytes: &[u8], path: impl AsRef<Path>) -> Result<usize> {
        self.send_to_addr(bytes, &SocketAddr::from_pathname(path)?)
    }

    /// As [`send_to`](Self::send_to), to an address that need not be a path.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn send_to_addr(&self, bytes: &[u8], address: &SocketAddr) -> Result<usize> {
        let address = net::to_unix(address)?;
        let op = self.stream.writing()?;
        let mut backoff = Backoff::for_peers();
        loop {
            // The socket itself is writable whether its addressee has room or not: to wait for it
            // would be to spin, or never to be woken.
            let sent = op.perform(|fd| match net::send_to(fd, bytes, &address) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
                done => done.map(Some),
            });
            match sent? {
                Some(n) => return Ok(n),
                None => op.pause(backoff.next())?,
            }
        }
    }

    /// Receives a message into `buf`, and tells its length and whose it is, if it is somebody's.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn recv_from(&self, buf: &mut [u8]) -> Result<(usize, SocketAddr)> {
        let (n, address) = self.receive(buf, false)?;
        Ok((n, net::from_unix(address)?))
    }

    /// As [`recv_from`](Self::recv_from), and leaves the message where it is.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn peek_from(&self, buf: &mut [u8]) -> Result<(usize, SocketAddr)> {
        let (n, address) = self.receive(buf, true)?;
        Ok((n, net::from_unix(address)?))
    }

    /// The address of this socket.
    ///
    /// # Errors
    ///
    /// Those of getsockname(2).
    pub fn local_addr(&self) -> Result<SocketAddr> {
        self.get_ref().local_addr()
    }

    /// The address of the socket that it is connected to.
    ///
    /// # Errors
    ///
    /// Those of getpeername(2).
    pub fn peer_addr(&self) -> Result<SocketAddr> {
        self.get_ref().peer_addr()
    }

    /// Ends one direction or both: sending fails with `BrokenPipe` then; to receive is to get 0
    /// bytes, once what came before was received. What waits is woken. To be called here, not on what
    /// [`get_ref`](Self::get_ref) lends.
    ///
    /// # Errors
    ///
    /// Those of shutdown(2).
    pub fn shutdown(&self, how: Shutdown) -> Result<()> {
        let before = self.ended.load(Ordering::Acquire);
        // Before the system wakes who receives.
        self.ended.store(before || how != Shutdown::Write, Ordering::Release);
        let done = self.get_ref().shutdown(how);
        if done.is_err() {
            self.ended.store(before, Ordering::Release);
        }
        done
    }
}
