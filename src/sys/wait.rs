//! Waiting for descriptors by poll(2), which knows every kind of them.

use super::imp::{Edge, Event};
use super::lasting;
use rustix::event::{PollFd, PollFlags, Timespec};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// What to wait for on one descriptor, and what came of it.
#[derive(Debug)]
pub(crate) struct Watch<'a> {
    pub(super) fd: BorrowedFd<'a>,
    pub(super) want: PollFlags,
    pub(super) got: PollFlags,
    /// There is something, but no call tells of it and it does not go away: nothing was got.
    pub(super) lasts: bool,
}

impl<'a> Watch<'a> {
    /// Until it can be read.
    pub(crate) fn readable(fd: BorrowedFd<'a>) -> Self {
        Self::new(fd, PollFlags::IN)
    }

    /// Until it can be written.
    pub(crate) fn writable(fd: BorrowedFd<'a>) -> Self {
        Self::new(fd, PollFlags::OUT)
    }

    /// Until its other end is gone.
    pub(crate) fn broken(fd: BorrowedFd<'a>) -> Self {
        Self::new(fd, PollFlags::empty())
    }

    fn new(fd: BorrowedFd<'a>, want: PollFlags) -> Self {
        Self { fd, want, got: PollFlags::empty(), lasts: false }
    }

    /// The same question once more.
    pub(crate) fn again(&self) -> Self {
        Self::new(self.fd, self.want)
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

    /// If what was got lasts, as nothing then: a descriptor that can be read when there is more.
    pub(crate) fn news(&mut self) -> io::Result<Option<OwnedFd>> {
        if !self.lasts {
            return Ok(None);
        }
        let edge = Edge::new(self.fd, self.want)?;
        self.hear(&edge)?;
        Ok(Some(edge.into()))
    }

    /// What is new, and at first what there is: nothing is missed that came since poll(2).
    pub(super) fn hear(&mut self, edge: &Edge) -> io::Result<()> {
        self.got = edge.news()?;
        self.weigh()
    }

    /// Sees to it that nothing counts as got of which no call would tell.
    pub(super) fn weigh(&mut self) -> io::Result<()> {
        self.lasts = lasting::lasts(self)?;
        if self.lasts {
            self.got = PollFlags::empty();
        }
        Ok(())
    }
}

/// poll(2): waits until one of `watches` has fired or the deadline has passed.
///
/// # Errors
///
/// Those of poll(2), and one that a socket among `watches` had to tell, which has fired then.
pub(crate) fn poll(watches: &mut [Watch<'_>], deadline: Option<Instant>) -> io::Result<()> {
    wait(watches, None, deadline).map(drop)
}

/// The same, until `event` was signalled too; whether it was.
pub(crate) fn poll_with(
    watches: &mut [Watch<'_>],
    event: &Event,
    deadline: Option<Instant>,
) -> io::Result<bool> {
    wait(watches, Some(event), deadline)
}

/// poll(2) without waiting: which of `watches` have fired by now.
pub(crate) fn look(watches: &mut [Watch<'_>]) -> io::Result<()> {
    const NOW: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };
    let now = |list: &mut [PollFd<'_>]| {
        super::retry(|| Ok(rustix::event::poll(list, Some(&NOW))?)).map(drop)
    };
    ask(watches, None, now).map(drop)
}

fn wait(
    watches: &mut [Watch<'_>],
    event: Option<&Event>,
    deadline: Option<Instant>,
) -> io::Result<bool> {
    let signalled = ask(watches, event, |list| until(list, deadline))?;
    let waits = !signalled && !watches.iter().any(Watch::fired);
    if waits && watches.iter().any(|watch| watch.lasts) {
        return lasting::wait(watches, event, deadline);
    }
    Ok(signalled)
}

/// `call` is to ask poll(2); whether `event` was signalled.
pub(super) fn ask(
    watches: &mut [Watch<'_>],
    event: Option<&Event>,
    call: impl FnOnce(&mut [PollFd<'_>]) -> io::Result<()>,
) -> io::Result<bool> {
    let mut list = Vec::with_capacity(watches.len() + 1);
    list.extend(watches.iter().map(|watch| PollFd::from_borrowed_fd(watch.fd, watch.want)));
    list.extend(event.map(|event| PollFd::from_borrowed_fd(event.as_fd(), PollFlags::IN)));
    call(&mut list)?;
    for (watch, answer) in watches.iter_mut().zip(&list) {
        watch.got = answer.revents();
    }
    watches.iter_mut().try_for_each(Watch::weigh)?;
    Ok(event.is_some() && list.last().is_some_and(|answer| !answer.revents().is_empty()))
}

pub(super) fn until(list: &mut [PollFd<'_>], deadline: Option<Instant>) -> io::Result<()> {
    in_steps(deadline, |timeout| Ok(rustix::event::poll(list, timeout)?))
}

/// No system takes less for a timeout; many count milliseconds, of which an `i32` holds 24 days.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Waits by `call`, which answers how much has happened, until something has or the deadline has
/// passed.
pub(super) fn in_steps(
    deadline: Option<Instant>,
    mut call: impl FnMut(Option<&Timespec>) -> io::Result<usize>,
) -> io::Result<()> {
    loop {
        let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
        let step = left.map(|left| {
            let step = left.min(LONGEST);
            Timespec { tv_sec: step.as_secs().cast_signed(), tv_nsec: step.subsec_nanos().into() }
        });
        match call(step.as_ref()) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(0) if left.is_none_or(|left| left > LONGEST) => {}
            done => return done.map(drop),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_timeout_is_too_long() {
        let far = Instant::now() + 100 * LONGEST;
        let mut steps = Vec::new();
        let happens = |timeout: Option<&Timespec>| {
            steps.push(timeout.map(|timeout| timeout.tv_sec));
            Ok(usize::from(steps.len() == 3))
        };
        in_steps(Some(far), happens).unwrap();
        assert_eq!(steps, [Some(LONGEST.as_secs().cast_signed()); 3]);
    }
}
