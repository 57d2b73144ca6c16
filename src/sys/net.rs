//! Sockets: made non-blocking and closed on exec, in the call that makes them where there is such a one.

use super::{Call, faults::gate, retry};
use rustix::io::Errno;
use rustix::net::addr::SocketAddrArg;
use rustix::net::{RecvFlags, SendFlags, SocketAddrUnix, recvfrom, sendto, sockopt};
use std::ffi::OsStr;
use std::io;
use std::net::SocketAddr;
#[cfg(target_os = "android")]
use std::os::android::net::SocketAddrExt;
use std::os::fd::{BorrowedFd, OwnedFd};
#[cfg(target_os = "linux")]
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::SocketAddr as UnixAddr;

pub(crate) use rustix::net::{AddressFamily as Family, SocketAddrAny, SocketType as Type};

/// A send that neither waits nor kills: the loss of the reader is an error.
#[cfg(not(target_vendor = "apple"))]
pub(super) const SEND: SendFlags = SendFlags::DONTWAIT.union(SendFlags::NOSIGNAL);
/// Here the socket itself says so, std's as well as ours.
#[cfg(target_vendor = "apple")]
pub(super) const SEND: SendFlags = SendFlags::DONTWAIT;

#[cfg(not(target_vendor = "apple"))]
use self::at_once as make;
#[cfg(target_vendor = "apple")]
use self::step_by_step as make;

#[cfg(not(target_vendor = "apple"))]
mod at_once {
    use super::{Family, OwnedFd, SocketAddrAny, Type};
    use rustix::io::Result;
    use rustix::net::{SocketFlags, acceptfrom_with, socket_with, socketpair};
    use std::os::fd::BorrowedFd;

    const FLAGS: SocketFlags = SocketFlags::NONBLOCK.union(SocketFlags::CLOEXEC);

    pub(super) fn socket(family: Family, kind: Type) -> Result<OwnedFd> {
        socket_with(family, kind, FLAGS, None)
    }

    pub(super) fn pair(kind: Type) -> Result<(OwnedFd, OwnedFd)> {
        socketpair(Family::UNIX, kind, FLAGS, None)
    }

    pub(super) fn accept(fd: BorrowedFd<'_>) -> Result<(OwnedFd, Option<SocketAddrAny>)> {
        acceptfrom_with(fd, FLAGS)
    }
}

/// A child that is started in between inherits the socket: the system has no other way.
#[cfg(target_vendor = "apple")]
mod step_by_step {
    use super::{Family, OwnedFd, SocketAddrAny, Type, sockopt};
    use rustix::io::{Result, ioctl_fioclex, ioctl_fionbio};
    use rustix::net::{SocketFlags, acceptfrom, socketpair};
    use std::os::fd::BorrowedFd;

    fn set_up(fd: OwnedFd) -> Result<OwnedFd> {
        ioctl_fioclex(&fd)?;
        ioctl_fionbio(&fd, true)?;
        sockopt::set_socket_nosigpipe(&fd, true)?;
        Ok(fd)
    }

    pub(super) fn socket(family: Family, kind: Type) -> Result<OwnedFd> {
        set_up(rustix::net::socket(family, kind, None)?)
    }

    pub(super) fn pair(kind: Type) -> Result<(OwnedFd, OwnedFd)> {
        let (a, b) = socketpair(Family::UNIX, kind, SocketFlags::empty(), None)?;
        Ok((set_up(a)?, set_up(b)?))
    }

    pub(super) fn accept(fd: BorrowedFd<'_>) -> Result<(OwnedFd, Option<SocketAddrAny>)> {
        let (fd, address) = acceptfrom(fd)?;
        Ok((set_up(fd)?, address))
    }
}

/// The family of `address`.
pub(crate) fn family(address: &SocketAddr) -> Family {
    if address.is_ipv4() { Family::INET } else { Family::INET6 }
}

/// socket(2), of the family's own protocol.
pub(crate) fn socket(family: Family, kind: Type) -> io::Result<OwnedFd> {
    Ok(make::socket(family, kind)?)
}

/// socketpair(2) of AF_UNIX.
pub(crate) fn pair(kind: Type) -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(make::pair(kind)?)
}

/// bind(2).
pub(crate) fn bind(fd: BorrowedFd<'_>, address: &impl SocketAddrArg) -> io::Result<()> {
    Ok(rustix::net::bind(fd, address)?)
}

/// listen(2), with the longest queue that the system has unless a length is given.
pub(crate) fn listen(fd: BorrowedFd<'_>, backlog: Option<u32>) -> io::Result<()> {
    let backlog = backlog.and_then(|n| i32::try_from(n).ok()).unwrap_or(i32::MAX);
    Ok(rustix::net::listen(fd, backlog)?)
}

/// shutdown(2) of the direction that is written.
#[cfg(feature = "http")]
pub(crate) fn shutdown_write(fd: BorrowedFd<'_>) -> io::Result<()> {
    Ok(rustix::net::shutdown(fd, rustix::net::Shutdown::Write)?)
}

/// shutdown(2) of both directions, for all who share the socket.
#[cfg(feature = "http")]
pub(crate) fn shutdown(fd: BorrowedFd<'_>) -> io::Result<()> {
    Ok(rustix::net::shutdown(fd, rustix::net::Shutdown::Both)?)
}

/// The address of this end; `None` if it is none of the internet's.
#[cfg(feature = "http")]
pub(crate) fn local_inet(fd: BorrowedFd<'_>) -> Option<SocketAddr> {
    from_inet(rustix::net::getsockname(fd).ok()).ok()
}

/// Whether the peer has ended its direction, or the connection was reset. Where poll(2) does not
/// tell, not before everything was read that came before the end.
#[cfg(feature = "http")]
pub(crate) fn has_ended(fd: BorrowedFd<'_>) -> bool {
    #[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
    {
        use rustix::event::{PollFd, PollFlags, Timespec};
        const NOW: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };
        let mut list = [PollFd::from_borrowed_fd(fd, PollFlags::RDHUP)];
        retry(|| Ok(rustix::event::poll(&mut list, Some(&NOW))?)).is_ok_and(|n| n > 0)
    }
    #[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
    {
        use rustix::net::{RecvFlags, recv};
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        match retry(|| Ok(recv(fd, &mut [0; 1], flags)?.0)) {
            Ok(n) => n == 0,
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
        }
    }
}

/// connect(2); `false` if it goes on by itself, until the socket can be written.
pub(crate) fn connect(fd: BorrowedFd<'_>, address: &impl SocketAddrArg) -> io::Result<bool> {
    retry(|| gate(Call::Connect, 1))?;
    match rustix::net::connect(fd, address) {
        Ok(()) => Ok(true),
        // An interrupted one goes on as well.
        Err(Errno::INPROGRESS | Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// What became of a connect that went on by itself.
pub(crate) fn take_error(fd: BorrowedFd<'_>) -> io::Result<()> {
    Ok(sockopt::socket_error(fd)??)
}

/// accept4(2).
pub(crate) fn accept(fd: BorrowedFd<'_>) -> io::Result<(OwnedFd, Option<SocketAddrAny>)> {
    retry(|| {
        gate(Call::Accept, 1)?;
        Ok(make::accept(fd)?)
    })
}

/// recvfrom(2). No address is told of a sender that has none.
pub(crate) fn recv_from(
    fd: BorrowedFd<'_>,
    buf: &mut [u8],
    peek: bool,
) -> io::Result<(usize, Option<SocketAddrAny>)> {
    let mut flags = RecvFlags::DONTWAIT;
    flags.set(RecvFlags::PEEK, peek);
    retry(|| {
        let (n, _, address) = recvfrom(fd, &mut *buf, flags)?;
        Ok((n, address))
    })
}

/// sendto(2).
pub(crate) fn send_to(
    fd: BorrowedFd<'_>,
    bytes: &[u8],
    address: &impl SocketAddrArg,
) -> io::Result<usize> {
    retry(|| Ok(sendto(fd, bytes, SEND, address)?))
}

/// Binds even where connections of an earlier listener linger.
pub(crate) fn reuse_address(fd: BorrowedFd<'_>) -> io::Result<()> {
    Ok(sockopt::set_socket_reuseaddr(fd, true)?)
}

/// Binds beside others that have said the same; the system spreads what comes among them.
pub(crate) fn reuse_port(fd: BorrowedFd<'_>) -> io::Result<()> {
    #[cfg(target_os = "freebsd")]
    return Ok(sockopt::set_socket_reuseport_lb(fd, true)?);
    #[cfg(not(target_os = "freebsd"))]
    return Ok(sockopt::set_socket_reuseport(fd, true)?);
}

/// `TCP_NODELAY`, which connections inherit from their listener.
pub(crate) fn nodelay(fd: BorrowedFd<'_>) -> io::Result<()> {
    Ok(sockopt::set_tcp_nodelay(fd, true)?)
}

/// The address of an internet's socket. Some systems know none of a peer that has gone already.
pub(crate) fn from_inet(address: Option<SocketAddrAny>) -> io::Result<SocketAddr> {
    Ok(SocketAddr::try_from(address.ok_or(Errno::CONNABORTED)?)?)
}

/// std's address as the system's.
pub(crate) fn to_unix(address: &UnixAddr) -> io::Result<SocketAddrUnix> {
    if let Some(path) = address.as_pathname() {
        return Ok(SocketAddrUnix::new(path)?);
    }
    #[cfg(any(target_os = "linux", target_os = "android"))]
    return Ok(match address.as_abstract_name() {
        Some(name) => SocketAddrUnix::new_abstract_name(name)?,
        None => SocketAddrUnix::new_unnamed(),
    });
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    return Ok(SocketAddrUnix::new("")?);
}

/// The system's address as std's. One that std cannot say is told as unnamed.
pub(crate) fn from_unix(address: Option<SocketAddrAny>) -> io::Result<UnixAddr> {
    let unnamed = || UnixAddr::from_pathname("");
    let Some(address) = address.and_then(|address| SocketAddrUnix::try_from(address).ok()) else {
        return unnamed();
    };
    if let Some(path) = address.path_bytes() {
        return UnixAddr::from_pathname(OsStr::from_bytes(path)).or_else(|_| unnamed());
    }
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if let Some(name) = address.abstract_name().filter(|name| !name.is_empty()) {
        return UnixAddr::from_abstract_name(name);
    }
    unnamed()
}
