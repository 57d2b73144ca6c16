//! What a descriptor is, as far as it decides how bytes move.

use super::Nowait;
use rustix::fs::{FileType, OFlags, fcntl_getfl, fstat};
#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
use rustix::net::AddressFamily;
use rustix::net::{SocketType, sockopt};
use std::io;
use std::os::fd::BorrowedFd;

/// What a descriptor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A pipe or FIFO.
    Pipe { nonblocking: bool },
    /// A stream socket. Datagrams and packets are `Other`: their boundaries are data.
    Stream { nonblocking: bool },
    /// A regular file.
    File { append: bool },
    /// `/dev/null`, open for writing: takes everything at once and keeps nothing.
    #[cfg_attr(
        not(any(target_os = "linux", target_os = "android", test)),
        expect(dead_code, reason = "known on Linux alone")
    )]
    Null,
    /// A character device, a terminal above all.
    Device { nonblocking: bool },
    /// Anything else, of which only read and write are known to work.
    Other,
}

impl Kind {
    /// Whether read and write answer EAGAIN instead of waiting.
    pub(crate) fn nonblocking(self) -> bool {
        match self {
            Self::Pipe { nonblocking }
            | Self::Stream { nonblocking }
            | Self::Device { nonblocking } => nonblocking,
            Self::File { .. } | Self::Null | Self::Other => false,
        }
    }
}

/// What a descriptor is, and which file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) kind: Kind,
    pub(crate) device: u64,
    pub(crate) inode: u64,
}

impl Identity {
    pub(crate) fn of(fd: BorrowedFd<'_>) -> io::Result<Self> {
        let stat = fstat(fd)?;
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Fifo => pipe(fd)?,
            FileType::Socket => socket(fd)?,
            FileType::RegularFile => Kind::File { append: appends(fd)? },
            FileType::CharacterDevice => device(fd, stat.st_rdev)?,
            _ => Kind::Other,
        };
        Ok(Self { kind, device: widen(stat.st_dev), inode: widen(stat.st_ino) })
    }
}

/// How a stream uses a descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Manner {
    pub(crate) nowait: Nowait,
    /// A read that falls short has emptied it: a byte stream that is read without regard to marks or
    /// messages. Not so on AF_UNIX, where passed descriptors end a read, nor on terminals, nor on
    /// pipes: their writer alone knows whether he writes packets, and may change his mind.
    pub(crate) drains: bool,
}

impl Manner {
    /// That of TCP.
    pub(crate) const TCP: Self = Self { nowait: Nowait::Socket, drains: true };
    /// That of other sockets.
    pub(crate) const SOCKET: Self = Self { nowait: Nowait::Socket, drains: false };

    /// Whether its calls may have to wait for somebody.
    pub(crate) fn waits(self) -> bool {
        self.nowait != Nowait::Never
    }
}

/// How a stream that owns the description of `fd` uses it.
pub(crate) fn manner(fd: BorrowedFd<'_>) -> io::Result<Manner> {
    let stat = fstat(fd)?;
    let drains = match Identity::of(fd)?.kind {
        Kind::Stream { .. } => is_tcp(fd),
        _ => false,
    };
    let nowait = match FileType::from_raw_mode(stat.st_mode) {
        FileType::Socket => Nowait::Socket,
        FileType::RegularFile | FileType::Directory | FileType::BlockDevice => Nowait::Never,
        _ => Nowait::Flag,
    };
    Ok(Manner { nowait, drains })
}

/// Other stream sockets of the internet's families, as those of SCTP, have messages.
fn is_tcp(fd: BorrowedFd<'_>) -> bool {
    #[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
    return sockopt::socket_domain(fd)
        .is_ok_and(|domain| [AddressFamily::INET, AddressFamily::INET6].contains(&domain))
        && sockopt::socket_protocol(fd)
            .is_ok_and(|protocol| protocol == Some(rustix::net::ipproto::TCP));
    #[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
    {
        let _ = fd;
        false
    }
}

/// Whether `fd` is a device that never makes anybody wait: /dev/null, zero, full or urandom.
pub(crate) fn never_waits(fd: BorrowedFd<'_>) -> bool {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    return fstat(fd).is_ok_and(|stat| {
        FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice
            && rustix::fs::major(stat.st_rdev) == 1
            && matches!(rustix::fs::minor(stat.st_rdev), 3 | 5 | 7 | 9)
    });
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    {
        let _ = fd;
        false
    }
}

/// Whether there is nothing to wait for: files, and devices that never make anybody wait.
pub(crate) fn is_always_ready(fd: BorrowedFd<'_>) -> io::Result<bool> {
    Ok(!manner(fd)?.waits() || never_waits(fd))
}

/// Whether it is a device of characters, a terminal above all.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn is_device(fd: BorrowedFd<'_>) -> io::Result<bool> {
    Ok(FileType::from_raw_mode(fstat(fd)?.st_mode) == FileType::CharacterDevice)
}

/// Whether it is a pipe, with a name or without.
#[cfg(any(
    target_vendor = "apple",
    target_os = "dragonfly",
    target_os = "freebsd",
    target_os = "netbsd",
    target_os = "openbsd"
))]
pub(crate) fn is_fifo(fd: BorrowedFd<'_>) -> io::Result<bool> {
    Ok(FileType::from_raw_mode(fstat(fd)?.st_mode) == FileType::Fifo)
}

/// Whether writes to `fd` go to the end of the file, wherever its offset stands.
pub(crate) fn appends(fd: BorrowedFd<'_>) -> io::Result<bool> {
    Ok(fcntl_getfl(fd)?.contains(OFlags::APPEND))
}

fn pipe(fd: BorrowedFd<'_>) -> io::Result<Kind> {
    let flags = fcntl_getfl(fd)?;
    // In packet mode each write is a message of its own.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if flags.contains(OFlags::DIRECT) {
        return Ok(Kind::Other);
    }
    Ok(Kind::Pipe { nonblocking: flags.contains(OFlags::NONBLOCK) })
}

fn socket(fd: BorrowedFd<'_>) -> io::Result<Kind> {
    if sockopt::socket_type(fd)? != SocketType::STREAM {
        return Ok(Kind::Other);
    }
    Ok(Kind::Stream { nonblocking: fcntl_getfl(fd)?.contains(OFlags::NONBLOCK) })
}

fn device(fd: BorrowedFd<'_>, number: rustix::fs::Dev) -> io::Result<Kind> {
    let flags = fcntl_getfl(fd)?;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if (rustix::fs::major(number), rustix::fs::minor(number)) == (1, 3)
        && flags & OFlags::RWMODE != OFlags::RDONLY
    {
        return Ok(Kind::Null);
    }
    let _ = number;
    Ok(Kind::Device { nonblocking: flags.contains(OFlags::NONBLOCK) })
}

/// These fields have other widths and signs on other systems.
fn widen<T: TryInto<u64>>(number: T) -> u64 {
    number.try_into().unwrap_or(u64::MAX)
}
