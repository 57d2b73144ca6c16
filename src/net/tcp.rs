//! TCP.

use super::addrs::first;
use super::listener::{Incoming, Listener, item};
use super::{ToAddrs, dial};
use crate::stream::Stream;
use crate::sys::Manner;
use crate::sys::net::{self, Type};
use std::io::Result;
use std::net::{Shutdown, SocketAddr};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// A TCP connection: a [`Stream`] of std's.
///
/// # Examples
///
/// ```no_run
/// use aqueduct::net::TcpStream;
/// use std::io::{Read, Write};
/// use std::time::{Duration, Instant};
///
/// // The name is looked up, all of its addresses are tried, and the answer is read by then.
/// let soon = Instant::now() + Duration::from_secs(10);
/// let mut conn = TcpStream::connect_deadline("time.example:13", Some(soon))?;
/// conn.set_deadline(Some(soon));
/// let mut text = String::new();
/// conn.read_to_string(&mut text)?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub type TcpStream = Stream<std::net::TcpStream>;

/// A TCP socket that connections come in by.
///
/// # Examples
///
/// ```
/// use aqueduct::net::{TcpListener, TcpStream};
/// use std::io::{ErrorKind, Read, Write};
/// use std::time::Duration;
///
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// listener.set_timeout(Some(Duration::from_millis(1)));
/// assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::TimedOut);
///
/// let mut client = TcpStream::connect(listener.local_addr()?)?;
/// let (mut server, address) = listener.accept()?;
/// assert_eq!(address, client.local_addr()?);
/// server.write_all(b"hello")?;
/// let mut text = [0; 5];
/// client.read_exact(&mut text)?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub type TcpListener = Listener<std::net::TcpListener>;

impl Stream<std::net::TcpStream> {
    /// Connects, to whichever address answers first where there are several: the next is tried as
    /// soon as one has failed, or after a quarter of a second beside it, IPv6 and IPv4 in turn.
    ///
    /// # Errors
    ///
    /// Those of the [addresses](ToAddrs) and of connect(2): `ConnectionRefused` where nobody
    /// listens, `TimedOut`, `NetworkUnreachable` and so on; of several addresses that of the one that
    /// failed last.
    pub fn connect(addr: impl ToAddrs) -> Result<Self> {
        Self::connect_deadline(addr, None)
    }

    /// As [`connect`](Self::connect), for no longer than `timeout`, the lookup of the name included.
    ///
    /// # Errors
    ///
    /// As there, and `TimedOut`.
    pub fn connect_timeout(addr: impl ToAddrs, timeout: Duration) -> Result<Self> {
        Self::connect_deadline(addr, Instant::now().checked_add(timeout))
    }

    /// As [`connect`](Self::connect), until `at` and no longer; `None` is as long as the system
    /// tries. The connection itself has no deadline then.
    ///
    /// # Errors
    ///
    /// As there, and `TimedOut`.
    pub fn connect_deadline(addr: impl ToAddrs, at: Option<Instant>) -> Result<Self> {
        dial::tcp(addr.to_addrs(at)?, at)
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
    /// Those of getpeername(2): `NotConnected` once the connection was reset.
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

    /// Whether small writes are sent at once.
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2).
    pub fn nodelay(&self) -> Result<bool> {
        self.get_ref().nodelay()
    }

    /// Whether small writes are sent at once, even if what was sent before has not arrived yet
    /// (`TCP_NODELAY`). Off at first.
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2).
    pub fn set_nodelay(&self, nodelay: bool) -> Result<()> {
        self.get_ref().set_nodelay(nodelay)
    }
}

impl Listener<std::net::TcpListener> {
    /// Listens at the first of these addresses that can be had; port 0 is any that is free.
    ///
    /// Connections of an earlier listener that linger do not hinder it (`SO_REUSEADDR`).
    ///
    /// # Errors
    ///
    /// Those of the [addresses](ToAddrs), bind(2) and listen(2): `AddrInUse`,
    /// `AddrNotAvailable`, `PermissionDenied`; of several addresses that of the last.
    pub fn bind(addr: impl ToAddrs) -> Result<Self> {
        Self::builder().bind(addr)
    }

    /// A listener with options.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Waits for a connection, and tells whose it is.
    ///
    /// Connections that were given up before their turn are passed over. Where the process or the
    /// system has no descriptor left, or no memory, this waits until there is one again, looking
    /// after 5 milliseconds and then ever less often, at last once a second.
    ///
    /// # Errors
    ///
    /// `TimedOut` after the deadline, `NotConnected` after a close, those of accept(2) else.
    pub fn accept(&self) -> Result<(TcpStream, SocketAddr)> {
        loop {
            let (socket, address) = self.connection()?;
            // Without an address its peer has gone already.
            if let Ok(address) = net::from_inet(address) {
                let io = std::net::TcpStream::from(socket);
                return Ok((TcpStream::made(io, self.stream.manner()), address));
            }
        }
    }

    /// All connections, until the listener is closed.
    #[must_use]
    pub fn incoming(&self) -> Incoming<'_, std::net::TcpListener> {
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

impl Iterator for Incoming<'_, std::net::TcpListener> {
    type Item = Result<TcpStream>;

    fn next(&mut self) -> Option<Self::Item> {
        item(self.listener.accept())
    }
}

/// The options of a [`TcpListener`].
///
/// # Examples
///
/// A listener for each thread, at one port:
///
/// ```
/// use aqueduct::net::TcpListener;
///
/// let builder = TcpListener::builder().reuse_port(true).nodelay(true);
/// let first = builder.bind("127.0.0.1:0")?;
/// let second = builder.bind(first.local_addr()?)?;
/// assert_eq!(first.local_addr()?, second.local_addr()?);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
#[must_use = "it listens when it is bound"]
pub struct Builder {
    reuse_port: bool,
    nodelay: bool,
    backlog: Option<u32>,
}

impl Builder {
    /// Lets several listeners have the address, if all of them say so and are of one user; the
    /// system spreads the connections among them (`SO_REUSEPORT`, on FreeBSD
    /// `SO_REUSEPORT_LB`). Connections that wait at a listener which goes are lost.
    pub fn reuse_port(mut self, yes: bool) -> Self {
        self.reuse_port = yes;
        self
    }

    /// Accepted connections send small writes at once
    /// ([`set_nodelay`](TcpStream::set_nodelay)). They inherit it, which costs no call.
    pub fn nodelay(mut self, yes: bool) -> Self {
        self.nodelay = yes;
        self
    }

    /// How many connections may wait to be accepted. As many as the system allows (`somaxconn`),
    /// unless it is set, and never more.
    pub fn backlog(mut self, connections: u32) -> Self {
        self.backlog = Some(connections);
        self
    }

    /// Listens, as [`TcpListener::bind`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn bind(&self, addr: impl ToAddrs) -> Result<TcpListener> {
        first(&addr.to_addrs(None)?, |address| self.listen(address))
    }

    fn listen(&self, address: &SocketAddr) -> Result<TcpListener> {
        let socket = net::socket(net::family(address), Type::STREAM)?;
        let fd = socket.as_fd();
        net::reuse_address(fd)?;
        if self.reuse_port {
            net::reuse_port(fd)?;
        }
        if self.nodelay {
            net::nodelay(fd)?;
        }
        net::bind(fd, address)?;
        net::listen(fd, self.backlog)?;
        Ok(TcpListener::made(socket.into(), Manner::TCP))
    }
}
