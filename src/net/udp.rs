//! UDP.

use super::ToAddrs;
use super::addrs::first;
use super::datagram::Datagram;
use crate::error;
use crate::sys::net::{self, Type};
use std::io::Result;
use std::net::SocketAddr;
use std::os::fd::AsFd;

/// A UDP socket.
///
/// # Examples
///
/// ```
/// use aqueduct::net::UdpSocket;
/// use std::io::ErrorKind;
/// use std::time::Duration;
///
/// let server = UdpSocket::bind("127.0.0.1:0")?;
/// let client = UdpSocket::bind("127.0.0.1:0")?;
/// client.send_to(b"what time is it?", server.local_addr()?)?;
///
/// let mut buf = [0; 1500];
/// let (n, from) = server.recv_from(&mut buf)?;
/// assert_eq!((&buf[..n], from), (&b"what time is it?"[..], client.local_addr()?));
///
/// // Nobody answers.
/// client.set_read_timeout(Some(Duration::from_millis(1)));
/// assert_eq!(client.recv(&mut buf).unwrap_err().kind(), ErrorKind::TimedOut);
/// # Ok::<(), std::io::Error>(())
/// ```
pub type UdpSocket = Datagram<std::net::UdpSocket>;

impl Datagram<std::net::UdpSocket> {
    /// A socket at the first of these addresses that can be had; port 0 is any that is free.
    ///
    /// # Errors
    ///
    /// Those of the [addresses](ToAddrs) and of bind(2).
    pub fn bind(addr: impl ToAddrs) -> Result<Self> {
        first(&addr.to_addrs(None)?, |address| {
            let socket = net::socket(net::family(address), Type::DGRAM)?;
            net::bind(socket.as_fd(), address)?;
            Ok(Self::made(socket.into()))
        })
    }

    /// From now on sends to the first of these addresses that can be reached, as far as routes
    /// tell, and receives from there alone.
    ///
    /// # Errors
    ///
    /// Those of the [addresses](ToAddrs) and of connect(2).
    pub fn connect(&self, addr: impl ToAddrs) -> Result<()> {
        let until = self.stream.writing()?.until()?;
        first(&addr.to_addrs(until)?, |address| net::connect(self.as_fd(), address).map(drop))
    }

    /// Sends a message to the first of these addresses, whole.
    ///
    /// # Errors
    ///
    /// Those of the [addresses](ToAddrs), and as [`send`](Self::send).
    pub fn send_to(&self, bytes: &[u8], addr: impl ToAddrs) -> Result<usize> {
        let op = self.stream.writing()?;
        let addresses = addr.to_addrs(op.until()?)?;
        let address = addresses.first().ok_or_else(error::no_address)?;
        op.perform(|fd| net::send_to(fd, bytes, address))
    }

    /// Receives a message into `buf`, and tells its length and whose it is.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn recv_from(&self, buf: &mut [u8]) -> Result<(usize, SocketAddr)> {
        let (n, address) = self.receive(buf, false)?;
        Ok((n, net::from_inet(address)?))
    }

    /// As [`recv_from`](Self::recv_from), and leaves the message where it is.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn peek_from(&self, buf: &mut [u8]) -> Result<(usize, SocketAddr)> {
        let (n, address) = self.receive(buf, true)?;
        Ok((n, net::from_inet(address)?))
    }

    /// The address of this socket.
    ///
    /// # Errors
    ///
    /// Those of getsockname(2).
    pub fn local_addr(&self) -> Result<SocketAddr> {
        self.get_ref().local_addr()
    }

    /// The address that it is connected to.
    ///
    /// # Errors
    ///
    /// Those of getpeername(2): `NotConnected` if it is to none.
    pub fn peer_addr(&self) -> Result<SocketAddr> {
        self.get_ref().peer_addr()
    }
}
