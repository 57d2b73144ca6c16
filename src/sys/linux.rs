//! What only Linux has: above all the calls that move bytes without showing them to the program.

use super::{Call, faults::gate, retry};
use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::{copy_file_range as cfr, sendfile as send};
use rustix::pipe::{SpliceFlags, fcntl_getpipe_size, fcntl_setpipe_size};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

fn flags(block: bool) -> SpliceFlags {
    // Never MORE: it corks sockets for 200 ms. MOVE has had no effect since 2.6.21.
    if block { SpliceFlags::empty() } else { SpliceFlags::NONBLOCK }
}

/// splice(2): moves bytes where one side at least is a pipe.
pub(crate) fn splice(
    from: (BorrowedFd<'_>, Option<u64>),
    to: (BorrowedFd<'_>, Option<u64>),
    len: usize,
    block: bool,
) -> io::Result<usize> {
    retry(|| {
        let len = gate(Call::Splice, len)?;
        let (mut start, mut end) = (from.1, to.1);
        Ok(rustix::pipe::splice(from.0, start.as_mut(), to.0, end.as_mut(), len, flags(block))?)
    })
}

/// tee(2): duplicates the bytes at the head of a pipe into another pipe.
pub(crate) fn tee(
    from: BorrowedFd<'_>,
    to: BorrowedFd<'_>,
    len: usize,
    block: bool,
) -> io::Result<usize> {
    retry(|| Ok(rustix::pipe::tee(from, to, gate(Call::Tee, len)?, flags(block))?))
}

/// sendfile(2): a file into a socket.
pub(crate) fn sendfile(
    from: (BorrowedFd<'_>, Option<u64>),
    to: BorrowedFd<'_>,
    len: usize,
) -> io::Result<usize> {
    retry(|| {
        let len = gate(Call::Sendfile, len)?;
        let mut start = from.1;
        Ok(send(to, from.0, start.as_mut(), len)?)
    })
}

/// copy_file_range(2): a file into a file.
pub(crate) fn copy_file_range(
    from: (BorrowedFd<'_>, Option<u64>),
    to: (BorrowedFd<'_>, Option<u64>),
    len: usize,
) -> io::Result<usize> {
    retry(|| {
        let len = gate(Call::CopyFileRange, len)?;
        let (mut start, mut end) = (from.1, to.1);
        Ok(cfr(from.0, start.as_mut(), to.0, end.as_mut(), len)?)
    })
}

/// The capacity of a pipe in bytes: its slots, each of a page, although a slot may hold less.
pub(crate) fn pipe_size(fd: BorrowedFd<'_>) -> io::Result<usize> {
    Ok(fcntl_getpipe_size(fd)?)
}

/// How many bytes lie in a pipe.
pub(crate) fn queued(fd: BorrowedFd<'_>) -> io::Result<u64> {
    Ok(rustix::io::ioctl_fionread(fd)?)
}

/// Asks for a pipe of `size` bytes. Beyond the user's quota the answer is EPERM.
pub(crate) fn set_pipe_size(fd: BorrowedFd<'_>, size: usize) -> io::Result<usize> {
    Ok(fcntl_setpipe_size(fd, size)?)
}

/// A descriptor that one side makes readable and the other clears: an eventfd(2).
#[derive(Debug)]
pub(crate) struct Event(OwnedFd);

impl Event {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?))
    }

    /// Makes it readable.
    pub(crate) fn signal(&self) {
        // The one error there is says that the counter is full, and then it is readable.
        let _ = retry(|| Ok(rustix::io::write(&self.0, &1_u64.to_ne_bytes())?));
    }

    /// Makes it unreadable.
    pub(crate) fn clear(&self) {
        let _ = retry(|| Ok(rustix::io::read(&self.0, &mut [0; 8])?));
    }
}

impl AsFd for Event {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
