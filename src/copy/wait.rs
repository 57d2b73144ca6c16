//! The one place where a copy waits: for a source, an outlet, or a cancel.

use super::ends::End;
use super::engine::{Engine, Moved, Stop, Turn};
use super::error::Pending;
use super::plan::To;
use super::{Path, Side};
use crate::error;
use crate::source::{Outcome, Outlet, Outlets, Piece, Source};
use crate::sys::{self, Kind, Watch};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

/// A plain read of so many bytes gets past what a call with two descriptors does not: the urgent
/// mark of TCP. Mostly there was no obstacle but a peer that was quicker than the question who is
/// not ready, so the read is small and the kernel's way is soon tried again.
pub(super) const PASS: u64 = 4096;

/// What came of a call that was not ready.
#[derive(Debug)]
pub(super) enum Ready {
    /// Try once more.
    Retry,
    /// Both sides say that they are ready, and yet the call does not go on.
    Both,
    /// Do not wait.
    Stop(Stop),
}

impl Engine<'_> {
    /// Whether a call may block in the kernel. Not where a cancel or a watch must be heard.
    pub(super) fn may_block(&self) -> bool {
        self.options.cancel.is_none() && !self.options.watch_outputs
    }

    /// EAGAIN from a call with two descriptors does not say which of them is not ready, so that
    /// is asked first. (At TCP's urgent mark both are, for ever: only a plain read passes it.)
    pub(super) fn blocked(&self, from: Option<&End<'_>>, to: Option<(usize, &End<'_>)>) -> Ready {
        let mut sides = Vec::with_capacity(2);
        sides.extend(from.map(|end| (Side::Source, end.kind, Watch::readable(end.fd))));
        sides.extend(to.map(|(i, end)| (Side::Sink(i), end.kind, Watch::writable(end.fd))));
        for (side, _, watch) in &mut sides {
            if let Err(error) = sys::poll(std::slice::from_mut(watch), false) {
                return Ready::Stop(Stop::new(*side, error));
            }
        }
        sides.retain(|(.., watch)| !watch.fired());
        let Some(&(side, ..)) = sides.first() else { return Ready::Both };
        // A descriptor that blocks answered EAGAIN only because the call was told not to wait.
        if !self.options.wait && sides.iter().any(|(_, kind, _)| kind.nonblocking()) {
            return Ready::Stop(Stop::new(side, io::ErrorKind::WouldBlock.into()));
        }
        match self.wait(sides.into_iter().map(|(.., watch)| watch).collect()) {
            Ok(_) => Ready::Retry,
            Err(error) => Ready::Stop(Stop::new(side, error)),
        }
    }

    /// Waits until one of `watches` fires and says which; a cancel is an error.
    fn wait(&self, mut watches: Vec<Watch<'_>>) -> io::Result<Vec<bool>> {
        let Some(cancel) = &self.options.cancel else {
            sys::poll(&mut watches, true)?;
            return Ok(watches.iter().map(Watch::fired).collect());
        };
        let wake = cancel.wake()?;
        let mut watches: Vec<_> =
            watches.into_iter().chain([Watch::readable(wake.as_fd())]).collect();
        if !cancel.is_cancelled() {
            sys::poll(&mut watches, true)?;
        }
        if cancel.is_cancelled() {
            return Err(error::cancelled());
        }
        Ok(watches.iter().map(Watch::fired).collect())
    }

    /// After a plain read that would block.
    pub(super) fn wait_readable(&self, source: &mut dyn Source) -> io::Result<()> {
        let would_block = || Err(io::ErrorKind::WouldBlock.into());
        if !self.options.wait {
            return would_block();
        }
        match source.piece(&mut Outlets::new(true)) {
            Piece::Fd { fd, .. } => self.wait(vec![Watch::readable(fd.fd())]).map(drop),
            _ => would_block(),
        }
    }

    /// After a plain write that would block.
    pub(super) fn wait_writable(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        if !self.options.wait {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.wait(vec![Watch::writable(fd)]).map(drop)
    }

    /// Before a step that may wait for the source: waits here, where a cancel is heard and, on
    /// request, the loss of an outlet's reader. `None` when the source is ready.
    pub(super) fn watch(&self, from: &End<'_>, outlets: &[Outlet<'_>], to: &[To]) -> Option<Turn> {
        if self.may_block() || matches!(from.kind, Kind::File { .. } | Kind::Null) {
            return None;
        }
        if !self.options.wait && from.kind.nonblocking() {
            return None;
        }
        let mut watched = Vec::new();
        if self.options.watch_outputs {
            watched.extend(outlets.iter().zip(to).enumerate().filter_map(|(i, pair)| match pair {
                (Outlet::Fd { .. }, To::Fd { kind: Kind::File { .. } | Kind::Null, .. }) => None,
                (Outlet::Fd { fd, .. }, To::Fd { .. }) => Some((i, Watch::broken(fd.fd()))),
                _ => None,
            }));
        }
        let numbers: Vec<_> = watched.iter().map(|(i, _)| *i).collect();
        let mut watches: Vec<_> = watched.into_iter().map(|(_, watch)| watch).collect();
        watches.push(Watch::readable(from.fd));
        let fired = match self.wait(watches) {
            Ok(fired) => fired,
            Err(error) => return Some(Turn::Stop(Stop::new(Side::Source, error))),
        };
        let mut outcomes: Vec<_> = outlets.iter().map(|_| Outcome::default()).collect();
        let mut any = false;
        for (i, _) in numbers.iter().zip(&fired).filter(|(_, fired)| **fired) {
            outcomes[*i].error = Some(error::reader_gone());
            any = true;
        }
        let moved = Moved { n: 0, path: Path::ReadWrite, outcomes, pending: Pending::default() };
        any.then_some(Turn::Moved(moved))
    }
}
