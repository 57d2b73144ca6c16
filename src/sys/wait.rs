//! Waiting for descriptors by poll(2), which knows every kind of them.

use super::Event;
use rustix::event::{PollFd, PollFlags, Timespec};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

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

    /// The same question once more.
    pub(crate) fn again(&self) -> Self {
        Self { fd: self.fd, want: self.want, got: PollFlags::empty() }
    }

    /// Takes over what came of the same question.
    pub(crate) fn answer(&mut self, other: &Watch<'_>) {
        self.got = other.got;
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'a> {
        self.fd
    }

    pub(crate) fn reads(&self) -> bool {
        self.want.contains(PollFlags::IN)
    }

    pub(crate) fn writes(&self) -> bool {
        self.want.contains(PollFlags::OUT)
    }

    /// Whether what was waited for has come, or an error that the next call will tell.
    pub(crate) fn fired(&self) -> bool {
        !self.got.is_empty()
    }
}

/// poll(2): waits until one of `watches` has fired or the deadline has passed.
pub(crate) fn poll(watches: &mut [Watch<'_>], deadline: Option<Instant>) -> io::Result<()> {
    ask(watches, None, || left(deadline)).map(drop)
}

/// The same, until `event` was signalled too; whether it was.
pub(crate) fn poll_with(
    watches: &mut [Watch<'_>],
    event: &Event,
    deadline: Option<Instant>,
) -> io::Result<bool> {
    ask(watches, Some(event), || left(deadline))
}

/// poll(2) without waiting: which of `watches` have fired by now.
pub(crate) fn look(watches: &mut [Watch<'_>]) -> io::Result<()> {
    ask(watches, None, || Some(Duration::ZERO)).map(drop)
}

fn left(deadline: Option<Instant>) -> Option<Duration> {
    deadline.map(|at| at.saturating_duration_since(Instant::now()))
}

fn ask(
    watches: &mut [Watch<'_>],
    event: Option<&Event>,
    patience: impl Fn() -> Option<Duration>,
) -> io::Result<bool> {
    let mut list = Vec::with_capacity(watches.len() + 1);
    list.extend(watches.iter().map(|watch| PollFd::from_borrowed_fd(watch.fd, watch.want)));
    list.extend(event.map(|event| PollFd::from_borrowed_fd(event.as_fd(), PollFlags::IN)));
    super::retry(|| {
        let timeout = patience().map(timespec);
        Ok(rustix::event::poll(&mut list, timeout.as_ref())?)
    })?;
    for (watch, answer) in watches.iter_mut().zip(&list) {
        watch.got = answer.revents();
    }
    Ok(event.is_some() && list.last().is_some_and(|answer| !answer.revents().is_empty()))
}

/// More than sixty years, in seconds.
const FOR_EVER: i64 = i32::MAX as i64;

/// As long as can be said, where that is shorter.
pub(crate) fn timespec(length: Duration) -> Timespec {
    Timespec::try_from(length).unwrap_or(Timespec { tv_sec: FOR_EVER, tv_nsec: 0 })
}
