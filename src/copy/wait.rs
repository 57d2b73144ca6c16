//! The one place where a copy waits: for a source, an outlet, or a cancel.

use super::ends::End;
use super::engine::{Engine, Moved, Stop, Turn};
use super::error::Pending;
use super::memory::reading_failed;
use super::plan::To;
use super::pulse::Pulse;
use super::{Cancel, Path, Side};
use crate::error;
use crate::poll::{self, Wait, What};
use crate::source::{Handle, Outcome, Outlet, Outlets, Piece, Source};
use crate::sys::Kind;
use std::io;
use std::slice::from_mut;
use std::time::Instant;

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
    /// The source is silent, and while it is the outlets are to be [watched](Engine::watch).
    Silent,
    /// Do not wait.
    Stop(Box<Stop>),
}

/// How often in a row a call has not gone on.
#[derive(Debug, Default)]
pub(super) struct Stall(usize);

impl Engine<'_> {
    /// Whether a call may block in the kernel. Not where a cancel, a watch, or a deadline must be
    /// heard.
    pub(super) fn may_block(&self) -> bool {
        self.options.cancel.is_none()
            && self.pulse.is_none()
            && !self.options.watch_outputs
            && !self.restless
    }

    /// Whether to wait where `handle` is not ready: a stream's calls do.
    fn waits(&self, handle: Handle<'_>) -> bool {
        self.options.wait || handle.desc().is_some()
    }

    /// EAGAIN from a call with two descriptors does not say which of them is not ready, so that
    /// is asked first. (At TCP's urgent mark both are, for ever: only a plain read passes it.)
    ///
    /// Where a wait asks poll(2) anyway, it costs less to wait for the side that was slow before:
    /// if it is ready, the wait ends at once, and the other side is next.
    #[inline(never)]
    pub(super) fn blocked(
        &mut self,
        from: Option<&End<'_>>,
        to: Option<(usize, &End<'_>)>,
        stall: &mut Stall,
    ) -> Ready {
        let from = from.map(|end| (Side::Source, end, What::Readable));
        let to = to.map(|(i, end)| (Side::Sink(i), end, What::Writable));
        let mut sides: Vec<_> = from.into_iter().chain(to).collect();
        // A descriptor that blocks answered EAGAIN only because the call was told not to wait.
        let gives_up = |end: &End<'_>| end.kind.nonblocking() && !self.waits(end.handle);
        let tries = stall.0 + usize::from(self.silent);
        if tries < sides.len() && poll::polls() && !sides.iter().any(|(_, end, _)| gives_up(end)) {
            let at = (self.slow + tries) % sides.len();
            stall.0 += 1;
            if sides.len() > 1 {
                self.slow = at;
            }
            sides = vec![sides[at]];
        } else {
            let mut waits = waits(&sides);
            if let Err(error) = poll::look(&mut waits) {
                return Ready::Stop(stop(&sides, None, error));
            }
            let mut fired = waits.iter().map(|wait| wait.fired);
            sides.retain(|_| !fired.next().unwrap_or_default());
            if sides.is_empty() {
                return Ready::Both;
            }
            if let Some(&(side, ..)) = sides.iter().find(|(_, end, _)| gives_up(end)) {
                return Ready::Stop(Stop::new(side, io::ErrorKind::WouldBlock.into()));
            }
        }
        if self.options.watch_outputs && sides.iter().any(|(side, ..)| *side == Side::Source) {
            self.silent = true;
            return Ready::Silent;
        }
        let mut waits = waits(&sides);
        match self.wait(&mut waits) {
            Ok(()) => Ready::Retry,
            Err(error) => {
                let told = waits.iter().position(|wait| wait.fired);
                Ready::Stop(stop(&sides, told, error))
            }
        }
    }

    /// A source answered EAGAIN to a call in which nobody else had to be ready. If it says that it is ready
    /// all the same, only a plain read goes on: see [`blocked`](Self::blocked).
    pub(super) fn dry(&mut self, from: &End<'_>) -> Turn {
        let waited = std::mem::replace(&mut self.silent, true);
        let gives_up = from.kind.nonblocking() && !self.waits(from.handle);
        if waited || gives_up || !poll::polls() {
            let mut wait = wait(from.handle, What::Readable);
            match poll::look(from_mut(&mut wait)) {
                Ok(()) if wait.fired => return Turn::Plain(PASS),
                Ok(()) if gives_up => {
                    return Turn::Stop(Stop::new(Side::Source, io::ErrorKind::WouldBlock.into()));
                }
                Ok(()) => {}
                Err(error) => return Turn::Stop(Stop::new(Side::Source, error)),
            }
        }
        if self.options.watch_outputs { Turn::Again } else { Turn::Wait }
    }

    /// Waits until one of `waits` fires, or for no reason. A cancel is an error, and so is a wait that
    /// begins when its time is up: whatever ends a wait, the call that would block is tried once more.
    fn wait(&self, waits: &mut [Wait<'_>]) -> io::Result<()> {
        let cancel = self.options.cancel.as_ref();
        let _hearing = (cancel.map(Cancel::hear), self.pulse.map(Pulse::hear));
        if cancel.is_some_and(Cancel::is_cancelled) {
            return Err(error::cancelled());
        }
        if let Some(failure) = self.pulse.and_then(Pulse::failure) {
            return Err(failure);
        }
        let patience = waits.iter().filter_map(Wait::patience).min();
        let until = [patience, self.pulse.and_then(Pulse::until)].into_iter().flatten().min();
        let result = poll::wait(waits, until);
        if cancel.is_some_and(Cancel::is_cancelled) {
            return Err(error::cancelled());
        }
        if patience.is_some_and(|at| at <= Instant::now()) && !waits.iter().any(|wait| wait.fired) {
            return result.and_then(|()| Err(error::timed_out()));
        }
        result
    }

    /// Whether to wait where `source` has nothing yet.
    pub(super) fn waits_for(&self, source: &mut dyn Source) -> bool {
        match source.piece(&mut Outlets::new(true)) {
            Piece::Fd { fd, .. } => self.waits(fd),
            _ => false,
        }
    }

    /// After a call that would block.
    pub(super) fn wait_readable(&self, source: &mut dyn Source) -> Result<(), Box<Stop>> {
        let waited = match source.piece(&mut Outlets::new(true)) {
            // The stream's word knows that nothing is left.
            Piece::Fd { fd, .. } if fd.desc().is_some() => {
                self.wait(from_mut(&mut wait(fd, What::Readable)))
            }
            Piece::Fd { fd, .. } => self.wait_for(fd, What::Readable),
            _ => Err(io::ErrorKind::WouldBlock.into()),
        };
        waited.map_err(|error| reading_failed(source, error))
    }

    /// After a plain write that would block.
    pub(super) fn wait_writable(&self, handle: Handle<'_>) -> io::Result<()> {
        if !self.waits(handle) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.wait_for(handle, What::Writable)
    }

    fn wait_for(&self, handle: Handle<'_>, what: What) -> io::Result<()> {
        let mut wait = wait(handle, what);
        // What a stream's word says of itself need not be what the call has found.
        if handle.desc().is_some() && !poll::polls() {
            poll::look(from_mut(&mut wait))?;
        }
        if wait.fired { Ok(()) } else { self.wait(from_mut(&mut wait)) }
    }

    /// Before a step that may wait for the source: waits here, where a cancel is heard and, on
    /// request, the loss of an outlet's reader. `None` when the source is ready. A step `around` the
    /// chain does not wait for a source, but finds out that it is silent.
    #[inline(never)]
    pub(super) fn watch(
        &self,
        from: &End<'_>,
        outlets: &[Outlet<'_>],
        to: &[To],
        around: bool,
    ) -> Option<Turn> {
        if let Some(turn) = refusal(from, outlets) {
            return Some(turn);
        }
        // A stream's calls never wait, so that all of its waits are heard anyway.
        let deaf = from.handle.desc().is_none();
        let calls = deaf && (self.options.cancel.is_some() || self.pulse.is_some());
        let listens = calls || self.options.watch_outputs;
        if !listens || (around && !(self.silent && self.options.watch_outputs)) {
            return None;
        }
        if matches!(from.kind, Kind::File { .. } | Kind::Null) {
            return None;
        }
        if from.kind.nonblocking() && !self.waits(from.handle) {
            return None;
        }
        let mut waits = vec![wait(from.handle, What::Readable)];
        let mut numbers = Vec::new();
        if self.options.watch_outputs {
            for (i, pair) in outlets.iter().zip(to).enumerate() {
                match pair {
                    (_, To::Fd { kind: Kind::File { .. } | Kind::Null, .. }) => {}
                    (&Outlet::Fd { fd, .. }, To::Fd { .. }) => {
                        numbers.push(i);
                        waits.push(wait(fd, What::Broken));
                    }
                    _ => {}
                }
            }
        }
        loop {
            if let Err(error) = self.wait_untried(&mut waits) {
                let stop = || Turn::Stop(Stop::new(Side::Source, error));
                return Some(refusal(from, outlets).unwrap_or_else(stop));
            }
            let lost = numbers.iter().zip(&waits[1..]).filter(|(_, wait)| wait.fired);
            let lost: Vec<_> = lost.map(|(i, _)| (*i, error::reader_gone())).collect();
            if !lost.is_empty() {
                return Some(failed(outlets, lost));
            }
            if waits[0].fired {
                return None;
            }
        }
    }

    /// Waits without having tried anything before.
    fn wait_untried(&self, waits: &mut [Wait<'_>]) -> io::Result<()> {
        // A wait by poll(2) looks for itself.
        if !poll::polls() {
            poll::look(waits)?;
            if waits.iter().any(|wait| wait.fired) {
                return Ok(());
            }
        }
        self.wait(waits)
    }
}

fn waits<'a>(sides: &[(Side, &End<'a>, What)]) -> Vec<Wait<'a>> {
    sides.iter().map(|(_, end, what)| wait(end.handle, *what)).collect()
}

/// The side whose stream lets nothing through is to blame, or else the one that the wait has `told` of, or
/// the first.
fn stop(sides: &[(Side, &End<'_>, What)], told: Option<usize>, error: io::Error) -> Box<Stop> {
    let refused = sides.iter().position(|(side, end, _)| refused(*side, end.handle));
    let side = sides.get(refused.or(told).unwrap_or(0));
    Stop::new(side.map_or(Side::Source, |(side, ..)| *side), error)
}

fn wait<'a>(handle: Handle<'a>, what: What) -> Wait<'a> {
    Wait::new(handle.fd(), what, handle.desc())
}

/// Whether a stream lets nothing through: closed, or past its deadline.
fn refused(side: Side, handle: Handle<'_>) -> bool {
    handle.desc().is_some_and(|desc| match side {
        Side::Source => desc.read.begin().is_err(),
        Side::Sink(_) => desc.write.begin().is_err(),
    })
}

/// A step that must not be tried, since a stream at one end is closed or past its deadline.
fn refusal(from: &End<'_>, outlets: &[Outlet<'_>]) -> Option<Turn> {
    if let Some(Err(error)) = from.handle.desc().map(|desc| desc.read.begin()) {
        return Some(Turn::Stop(Stop::new(Side::Source, error)));
    }
    let errors = outlets.iter().enumerate().filter_map(|(i, outlet)| match outlet {
        Outlet::Fd { fd, .. } => fd.desc()?.write.begin().err().map(|error| (i, error)),
        _ => None,
    });
    let errors: Vec<_> = errors.collect();
    (!errors.is_empty()).then(|| failed(outlets, errors))
}

/// Nothing moved, and these outlets failed.
fn failed(outlets: &[Outlet<'_>], errors: Vec<(usize, io::Error)>) -> Turn {
    let mut outcomes: Vec<_> = outlets.iter().map(|_| Outcome::default()).collect();
    for (i, error) in errors {
        outcomes[i].error = Some(error);
    }
    let (path, pending) = (Path::ReadWrite, Pending::default());
    Turn::Moved(Box::new(Moved { n: 0, path, outcomes, pending }))
}
