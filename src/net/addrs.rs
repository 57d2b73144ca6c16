//! What can be dialled and listened at.

use super::resolve::resolve;
use crate::error;
use std::io::Result;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::time::Instant;

/// One or more addresses, or a name that has some: std's `ToSocketAddrs`, but for the time that it
/// may take.
///
/// It is there for addresses, for `"host:port"`, for `(host, port)`, and for slices of addresses.
/// For whatever else is a [`ToSocketAddrs`](std::net::ToSocketAddrs), collect its addresses and pass
/// the slice.
///
/// # Examples
///
/// A resolver of one's own:
///
/// ```
/// use aqueduct::net::{TcpListener, ToAddrs};
/// use std::net::SocketAddr;
/// use std::time::Instant;
///
/// /// A service of this machine.
/// struct Service(u16);
///
/// impl ToAddrs for Service {
///     fn to_addrs(&self, _: Option<Instant>) -> std::io::Result<Vec<SocketAddr>> {
///         Ok(vec![SocketAddr::from(([127, 0, 0, 1], self.0))])
///     }
/// }
///
/// let listener = TcpListener::bind(Service(0))?;
/// assert!(listener.local_addr()?.ip().is_loopback());
/// # Ok::<(), std::io::Error>(())
/// ```
pub trait ToAddrs {
    /// The addresses, the preferred ones first.
    ///
    /// # Errors
    ///
    /// `TimedOut` if they are not known until `until`, `NotFound` for a name that has no address as
    /// far as the system's resolver can tell, `InvalidInput` for what is no address.
    fn to_addrs(&self, until: Option<Instant>) -> Result<Vec<SocketAddr>>;
}

macro_rules! ready {
    ($($address:ty),*) => {$(
        impl ToAddrs for $address {
            fn to_addrs(&self, _: Option<Instant>) -> Result<Vec<SocketAddr>> {
                Ok(vec![SocketAddr::from(*self)])
            }
        }
    )*};
}

ready! { SocketAddr, SocketAddrV4, SocketAddrV6, (IpAddr, u16), (Ipv4Addr, u16), (Ipv6Addr, u16) }

impl ToAddrs for [SocketAddr] {
    fn to_addrs(&self, _: Option<Instant>) -> Result<Vec<SocketAddr>> {
        Ok(self.to_vec())
    }
}

impl ToAddrs for Vec<SocketAddr> {
    fn to_addrs(&self, until: Option<Instant>) -> Result<Vec<SocketAddr>> {
        self[..].to_addrs(until)
    }
}

impl ToAddrs for (&str, u16) {
    fn to_addrs(&self, until: Option<Instant>) -> Result<Vec<SocketAddr>> {
        let (host, port) = *self;
        match host.parse::<IpAddr>() {
            Ok(address) => Ok(vec![SocketAddr::new(address, port)]),
            Err(_) => resolve(host, port, until),
        }
    }
}

impl ToAddrs for (String, u16) {
    fn to_addrs(&self, until: Option<Instant>) -> Result<Vec<SocketAddr>> {
        (&*self.0, self.1).to_addrs(until)
    }
}

impl ToAddrs for str {
    fn to_addrs(&self, until: Option<Instant>) -> Result<Vec<SocketAddr>> {
        if let Ok(address) = self.parse::<SocketAddr>() {
            return Ok(vec![address]);
        }
        let parts = self.rsplit_once(':');
        let parts = parts.and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)));
        parts.ok_or_else(|| error::no_host_and_port(self))?.to_addrs(until)
    }
}

impl ToAddrs for String {
    fn to_addrs(&self, until: Option<Instant>) -> Result<Vec<SocketAddr>> {
        (**self).to_addrs(until)
    }
}

impl<T: ToAddrs + ?Sized> ToAddrs for &T {
    fn to_addrs(&self, until: Option<Instant>) -> Result<Vec<SocketAddr>> {
        (**self).to_addrs(until)
    }
}

/// Does `call` with one address after the other until one works; else the error is the last one's.
pub(super) fn first<T>(
    addresses: &[SocketAddr],
    call: impl FnMut(&SocketAddr) -> Result<T>,
) -> Result<T> {
    let mut failure = None;
    for result in addresses.iter().map(call) {
        match result {
            Ok(done) => return Ok(done),
            Err(error) => failure = Some(error),
        }
    }
    Err(failure.unwrap_or_else(error::no_address))
}
