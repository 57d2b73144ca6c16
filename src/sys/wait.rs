//! Waiting for descriptors by poll(2), which knows every kind of them.

use rustix::event::{PollFd, PollFlags, Timespec};
use std::io;
use std::os::fd::BorrowedFd;

/// What to wait for on one descriptor, and what came of it.
#[derive(Debug)]
pub(crate) struct Watch<'a> {
    fd: BorrowedFd<'a>,
    want: PollFlags,
    got: PollFlags,
}

impl<'a> Watch<'a> {
    /// Until it can be read.
    pub(crate) fn readable(fd: BorrowedFd<'a>) -> Self {
        Self { fd, want: PollFlags::IN, got: PollFlags::empty() }
    }

    /// Until it can be written.
    pub(crate) fn writable(fd: BorrowedFd<'a>) -> Self {
        Self { fd, want: PollFlags::OUT, got: PollFlags::empty() }
    }

    /// Until its other end is gone.
    pub(crate) fn broken(fd: BorrowedFd<'a>) -> Self {
        Self { fd, want: PollFlags::empty(), got: PollFlags::empty() }
    }

    /// Whether what was waited for has come, or an error that the next call will tell.
    pub(crate) fn fired(&self) -> bool {
        !self.got.is_empty()
    }
}

/// poll(2): waits until one of `watches` has fired, or looks without waiting.
pub(crate) fn poll(watches: &mut [Watch<'_>], wait: bool) -> io::Result<()> {
    let mut list: Vec<_> = watches.iter().map(|w| PollFd::from_borrowed_fd(w.fd, w.want)).collect();
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    super::retry(|| Ok(rustix::event::poll(&mut list, if wait { None } else { Some(&now) })?))?;
    for (watch, answer) in watches.iter_mut().zip(&list) {
        watch.got = answer.revents();
    }
    Ok(())
}
