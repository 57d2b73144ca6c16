//! Systems without splice and its kin: each call answers `Unsupported`.

use rustix::event::PollFlags;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

type End<'a> = (BorrowedFd<'a>, Option<u64>);

fn unsupported<T>() -> io::Result<T> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(feature = "http")]
pub(crate) fn rough_time() -> std::time::SystemTime {
    std::time::SystemTime::now()
}

pub(crate) fn splice(_: End<'_>, _: End<'_>, _: usize, _: bool) -> io::Result<usize> {
    unsupported()
}

pub(crate) fn tee(_: BorrowedFd<'_>, _: BorrowedFd<'_>, _: usize, _: bool) -> io::Result<usize> {
    unsupported()
}

pub(crate) fn sendfile(_: End<'_>, _: BorrowedFd<'_>, _: usize) -> io::Result<usize> {
    unsupported()
}

pub(crate) fn copy_file_range(_: End<'_>, _: End<'_>, _: usize) -> io::Result<usize> {
    unsupported()
}

pub(crate) fn pipe_size(_: BorrowedFd<'_>) -> io::Result<usize> {
    unsupported()
}

pub(crate) fn queued(_: BorrowedFd<'_>) -> io::Result<u64> {
    unsupported()
}

pub(crate) fn set_pipe_size(_: BorrowedFd<'_>, _: usize) -> io::Result<usize> {
    unsupported()
}

/// A descriptor that one side makes readable and the other clears: a pipe.
#[derive(Debug)]
pub(crate) struct Event {
    reader: OwnedFd,
    writer: OwnedFd,
}

impl Event {
    pub(crate) fn new() -> io::Result<Self> {
        let (reader, writer) = super::pipe()?;
        super::set_nonblocking(reader.as_fd(), true)?;
        super::set_nonblocking(writer.as_fd(), true)?;
        Ok(Self { reader, writer })
    }

    pub(crate) fn is(&self, fd: RawFd) -> bool {
        [&self.reader, &self.writer].iter().any(|end| end.as_raw_fd() == fd)
    }

    /// Makes it readable.
    pub(crate) fn signal(&self) {
        // A full pipe is readable as it is.
        let _ = super::retry(|| Ok(rustix::io::write(&self.writer, &[1])?));
    }

    /// Makes it unreadable.
    pub(crate) fn clear(&self) {
        let mut buf = [0; 64];
        while super::retry(|| Ok(rustix::io::read(&self.reader, &mut buf)?)).is_ok_and(|n| n > 0) {}
    }
}

impl AsFd for Event {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }
}

/// No call here can say that it must not wait.
pub(crate) fn answers_nowait(_: BorrowedFd<'_>) -> bool {
    false
}

/// /dev/fd duplicates here, it does not open anew.
pub(crate) fn reopen(_: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    unsupported()
}

/// Nothing is known to last here.
#[derive(Debug)]
pub(super) enum Edge {}

impl Edge {
    pub(super) fn new(_: BorrowedFd<'_>, _: PollFlags) -> io::Result<Self> {
        unsupported()
    }

    pub(super) fn news(&self) -> io::Result<PollFlags> {
        match *self {}
    }
}

impl AsFd for Edge {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match *self {}
    }
}

impl From<Edge> for OwnedFd {
    fn from(edge: Edge) -> Self {
        match edge {}
    }
}

/// There is no such call.
#[cfg(feature = "http")]
pub(super) fn open_beneath(
    _: BorrowedFd<'_>,
    _: &[u8],
    _: rustix::fs::OFlags,
    _: super::Links,
    _: bool,
) -> io::Result<OwnedFd> {
    unsupported()
}
