//! Reading and writing without waiting, whatever the descriptor is and whoever shares it.

use super::net::SEND;
use super::{Call, Watch, faults::gate, retry};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvFlags, SendAncillaryBuffer, recv, recvmsg, send, sendmsg,
};
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::BorrowedFd;

/// How many buffers one call takes, on every system we know; for more, calls on sockets fail.
pub(crate) const IOV_MAX: usize = 1024;

/// How a call on a descriptor is kept from waiting. Each answers `WouldBlock` instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nowait {
    /// Its description is `O_NONBLOCK`: read(2) and write(2).
    Flag,
    /// It is a socket: `MSG_DONTWAIT`, whatever its flags. A lost peer raises no signal.
    Socket,
    /// Each call says so, by `RWF_NOWAIT` of preadv2(2), which pipes know on recent kernels until
    /// they are spliced; then as `Ask`.
    Call,
    /// It is asked by poll(2) before each call, which blocks if another process was quicker.
    Ask,
    /// It never waits, or not for a peer: a regular file, /dev/null.
    Never,
}

impl Nowait {
    pub(crate) fn read(self, fd: BorrowedFd<'_>, buf: &mut [u8]) -> io::Result<usize> {
        #[cfg(all(test, aqueduct_loom))]
        if super::model::knows(fd) {
            return super::model::read(fd, buf);
        }
        retry(|| {
            let len = gate(Call::Read, buf.len())?;
            let buf = &mut buf[..len];
            Ok(match self {
                Self::Flag | Self::Never => rustix::io::read(fd, buf)?,
                Self::Socket => recv(fd, buf, RecvFlags::DONTWAIT)?.0,
                Self::Call => match by_call::read(fd, &mut [IoSliceMut::new(buf)]) {
                    Err(Errno::OPNOTSUPP) => Self::Ask.read(fd, buf)?,
                    done => done?,
                },
                Self::Ask => {
                    ask(Watch::readable(fd))?;
                    rustix::io::read(fd, buf)?
                }
            })
        })
    }

    /// No more than [`IOV_MAX`] buffers.
    pub(crate) fn read_vectored(
        self,
        fd: BorrowedFd<'_>,
        bufs: &mut [IoSliceMut<'_>],
    ) -> io::Result<usize> {
        retry(|| {
            gate(Call::Read, usize::MAX)?;
            Ok(match self {
                Self::Flag | Self::Never => rustix::io::readv(fd, bufs)?,
                Self::Socket => {
                    let mut none = RecvAncillaryBuffer::default();
                    recvmsg(fd, bufs, &mut none, RecvFlags::DONTWAIT)?.bytes
                }
                Self::Call => match by_call::read(fd, bufs) {
                    Err(Errno::OPNOTSUPP) => Self::Ask.read_vectored(fd, bufs)?,
                    done => done?,
                },
                Self::Ask => {
                    ask(Watch::readable(fd))?;
                    rustix::io::readv(fd, bufs)?
                }
            })
        })
    }

    /// Reads and leaves the bytes where they are; only sockets can.
    pub(crate) fn peek(self, fd: BorrowedFd<'_>, buf: &mut [u8]) -> io::Result<usize> {
        retry(|| Ok(recv(fd, &mut *buf, RecvFlags::DONTWAIT | RecvFlags::PEEK)?.0))
    }

    pub(crate) fn write(self, fd: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
        retry(|| {
            let bytes = &bytes[..gate(Call::Write, bytes.len())?];
            Ok(match self {
                Self::Flag | Self::Never => rustix::io::write(fd, bytes)?,
                Self::Socket => send(fd, bytes, SEND)?,
                Self::Call => match by_call::write(fd, &[IoSlice::new(bytes)]) {
                    Err(Errno::OPNOTSUPP) => ask_and_write(fd, bytes)?,
                    done => done?,
                },
                Self::Ask => ask_and_write(fd, bytes)?,
            })
        })
    }

    /// No more than [`IOV_MAX`] buffers.
    pub(crate) fn write_vectored(
        self,
        fd: BorrowedFd<'_>,
        bufs: &[IoSlice<'_>],
    ) -> io::Result<usize> {
        retry(|| {
            gate(Call::Write, usize::MAX)?;
            Ok(match self {
                Self::Flag | Self::Never => rustix::io::writev(fd, bufs)?,
                Self::Socket => {
                    let mut none = SendAncillaryBuffer::default();
                    sendmsg(fd, bufs, &mut none, SEND)?
                }
                Self::Call => match by_call::write(fd, bufs) {
                    Err(Errno::OPNOTSUPP) => Self::Ask.write_vectored(fd, bufs)?,
                    done => done?,
                },
                Self::Ask => {
                    let first = bufs.iter().find(|buf| !buf.is_empty());
                    ask_and_write(fd, first.map_or(&[], |buf| buf))?
                }
            })
        })
    }
}

/// Whether a read of a file at this offset would wait for a disk, as far as the system can tell.
pub(crate) fn is_cold(fd: BorrowedFd<'_>, at: u64) -> bool {
    matches!(by_call::read_at(fd, &mut [IoSliceMut::new(&mut [0])], at), Err(Errno::AGAIN))
}

/// pread(2) of what is in memory; `WouldBlock` or `Unsupported` where that cannot be told.
#[cfg(feature = "http")]
pub(crate) fn read_warm(fd: BorrowedFd<'_>, at: u64, buf: &mut [u8]) -> io::Result<usize> {
    retry(|| Ok(by_call::read_at(fd, &mut [IoSliceMut::new(buf)], at)?))
}

/// `WouldBlock` unless the watch fires at once.
fn ask(watch: Watch<'_>) -> io::Result<()> {
    let mut watches = [watch];
    super::look(&mut watches)?;
    if watches[0].fired() { Ok(()) } else { Err(io::ErrorKind::WouldBlock.into()) }
}

/// No more than a pipe has room for if it has any.
fn ask_and_write(fd: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    ask(Watch::writable(fd))?;
    Ok(rustix::io::write(fd, &bytes[..bytes.len().min(ROOM)])?)
}

/// POSIX's least PIPE_BUF.
const ROOM: usize = 512;

#[cfg(any(target_os = "linux", target_os = "android"))]
mod by_call {
    use rustix::io::{Errno, ReadWriteFlags, preadv2, pwritev2};
    use std::io::{IoSlice, IoSliceMut};
    use std::os::fd::BorrowedFd;

    /// At the descriptor's own offset.
    const HERE: u64 = u64::MAX;

    pub(super) fn read(fd: BorrowedFd<'_>, bufs: &mut [IoSliceMut<'_>]) -> Result<usize, Errno> {
        read_at(fd, bufs, HERE)
    }

    pub(super) fn read_at(
        fd: BorrowedFd<'_>,
        bufs: &mut [IoSliceMut<'_>],
        at: u64,
    ) -> Result<usize, Errno> {
        preadv2(fd, bufs, at, ReadWriteFlags::NOWAIT)
    }

    pub(super) fn write(fd: BorrowedFd<'_>, bufs: &[IoSlice<'_>]) -> Result<usize, Errno> {
        pwritev2(fd, bufs, HERE, ReadWriteFlags::NOWAIT)
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod by_call {
    use rustix::io::Errno;
    use std::io::{IoSlice, IoSliceMut};
    use std::os::fd::BorrowedFd;

    pub(super) fn read(_: BorrowedFd<'_>, _: &mut [IoSliceMut<'_>]) -> Result<usize, Errno> {
        Err(Errno::OPNOTSUPP)
    }

    pub(super) fn read_at(
        _: BorrowedFd<'_>,
        _: &mut [IoSliceMut<'_>],
        _: u64,
    ) -> Result<usize, Errno> {
        Err(Errno::OPNOTSUPP)
    }

    pub(super) fn write(_: BorrowedFd<'_>, _: &[IoSlice<'_>]) -> Result<usize, Errno> {
        Err(Errno::OPNOTSUPP)
    }
}

/// Sets or clears `O_NONBLOCK` for everybody who shares the description; says whether it was set.
pub(crate) fn set_nonblocking(fd: BorrowedFd<'_>, yes: bool) -> io::Result<bool> {
    let before = fcntl_getfl(fd)?;
    let was = before.contains(OFlags::NONBLOCK);
    if was != yes {
        let mut flags = before;
        flags.set(OFlags::NONBLOCK, yes);
        fcntl_setfl(fd, flags)?;
    }
    Ok(was)
}
