//! Every raw system call, with one signature on every system.
//!
//! Interrupted calls are retried here and nowhere above. The calls that only Linux has answer
//! `Unsupported` elsewhere, which the copy engine treats like a kernel that refuses them.

#[cfg(test)]
pub(crate) mod faults;
#[cfg(not(test))]
mod faults {
    //! In production nothing fails on purpose.
    use super::Call;

    #[inline(always)]
    pub(crate) fn gate(_: Call, len: usize) -> std::io::Result<usize> {
        Ok(len)
    }
}

#[cfg_attr(any(target_os = "linux", target_os = "android"), path = "linux.rs")]
#[cfg_attr(not(any(target_os = "linux", target_os = "android")), path = "other.rs")]
#[cfg_attr(all(test, aqueduct_loom), allow(dead_code, reason = "the model has its own"))]
mod imp;

#[cfg(feature = "http")]
mod beneath;
#[cfg(all(not(all(test, aqueduct_loom)), any(target_os = "linux", target_os = "android")))]
pub(crate) mod epoll;
mod errno;
mod kind;
#[cfg(any(
    target_vendor = "apple",
    target_os = "dragonfly",
    target_os = "freebsd",
    target_os = "netbsd",
    target_os = "openbsd"
))]
pub(crate) mod kqueue;
mod lasting;
pub(crate) mod level;
pub(crate) mod memory;
#[cfg(all(test, aqueduct_loom))]
pub(crate) mod model;
pub(crate) mod net;
mod nowait;
pub(crate) mod overflow;
pub(crate) mod sched;
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) mod signal;
mod transfer;
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) mod uring;
#[cfg_attr(all(test, aqueduct_loom), allow(dead_code, reason = "the model has its own"))]
mod wait;

#[cfg(feature = "http")]
pub(crate) use self::beneath::{Links, Listed, What, list, open_beneath, open_cached, open_root};
pub(crate) use self::errno::{
    Verdict, is_connections_own, is_files_own, is_shortage, verdict, verdict_on_range,
};
#[cfg(feature = "http")]
pub(crate) use self::errno::{is_absent, is_forbidden};
#[cfg(feature = "http")]
pub(crate) use self::imp::rough_time;
pub(crate) use self::imp::{
    answers_nowait, copy_file_range, pipe_size, queued, reopen, sendfile, set_pipe_size, splice,
    tee,
};
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) use self::kind::is_device;
#[cfg(any(
    target_vendor = "apple",
    target_os = "dragonfly",
    target_os = "freebsd",
    target_os = "netbsd",
    target_os = "openbsd"
))]
pub(crate) use self::kind::is_fifo;
pub(crate) use self::kind::{
    Identity, Kind, Manner, appends, is_always_ready, manner, never_waits,
};
#[cfg(feature = "http")]
pub(crate) use self::nowait::read_warm;
pub(crate) use self::nowait::{IOV_MAX, Nowait, is_cold, set_nonblocking};
pub(crate) use self::transfer::{Moved, Transfer};
pub(crate) use self::wait::Watch;

#[cfg(all(test, aqueduct_loom))]
pub(crate) use self::model::{Event, epoll, look, poll, poll_with};
#[cfg(not(all(test, aqueduct_loom)))]
pub(crate) use self::{
    imp::Event,
    wait::{look, poll, poll_with},
};

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

/// The calls that tests can make fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(
    not(any(target_os = "linux", target_os = "android")),
    expect(dead_code, reason = "some calls are Linux's alone")
)]
pub(crate) enum Call {
    Splice,
    Tee,
    Sendfile,
    CopyFileRange,
    Pipe,
    Read,
    Write,
    Accept,
    Connect,
    Watch,
}

/// Runs a call until it is not interrupted.
fn retry<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// read(2).
pub(crate) fn read(fd: BorrowedFd<'_>, buf: &mut [u8]) -> io::Result<usize> {
    retry(|| {
        let len = faults::gate(Call::Read, buf.len())?;
        Ok(rustix::io::read(fd, &mut buf[..len])?)
    })
}

/// pread(2).
pub(crate) fn read_at(fd: BorrowedFd<'_>, at: u64, buf: &mut [u8]) -> io::Result<usize> {
    retry(|| Ok(rustix::io::pread(fd, &mut *buf, at)?))
}

/// Where the offset of a file stands.
pub(crate) fn tell(fd: BorrowedFd<'_>) -> io::Result<u64> {
    Ok(rustix::fs::tell(fd)?)
}

/// write(2), or pwrite(2) at an offset.
pub(crate) fn write(fd: BorrowedFd<'_>, at: Option<u64>, bytes: &[u8]) -> io::Result<usize> {
    retry(|| {
        let len = faults::gate(Call::Write, bytes.len())?;
        let bytes = &bytes[..len];
        Ok(match at {
            None => rustix::io::write(fd, bytes)?,
            Some(at) => rustix::io::pwrite(fd, bytes, at)?,
        })
    })
}

/// A new pipe, reading end first, closed on exec.
pub(crate) fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    retry(|| faults::gate(Call::Pipe, 1))?;
    let (reader, writer) = io::pipe()?;
    Ok((reader.into(), writer.into()))
}
