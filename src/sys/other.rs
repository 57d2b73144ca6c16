//! Systems without splice and its kin: each call answers `Unsupported`.

use std::io;
use std::os::fd::BorrowedFd;

type End<'a> = (BorrowedFd<'a>, Option<u64>);

fn unsupported<T>() -> io::Result<T> {
    Err(io::ErrorKind::Unsupported.into())
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
