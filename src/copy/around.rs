//! A step around the chain: both ends are asked, and the kernel moves what lies between their
//! descriptors.

use super::Side;
use super::ends::End;
use super::engine::{Engine, Stop, Turn};
use super::plan::{self, Refused, Step};
use crate::source::{Handle, Outcome, Outlet, Outlets, Piece, Sink, Source};
use crate::sys::Kind;
use crate::{error, task};
use std::os::fd::BorrowedFd;

impl Engine<'_> {
    /// What comes next, and what came of it if it was a step around the chain.
    #[inline(never)]
    pub(super) fn ask(
        &mut self,
        source: &mut dyn Source,
        sink: &mut dyn Sink,
        left: u64,
    ) -> Result<(Step, Option<Turn>), Box<Stop>> {
        let mut list = Outlets::new(true);
        let piece = source.piece(&mut list);
        sink.outlets(&mut list);
        self.note_gone(list.list())?;
        let from = self.ends.source(&piece);
        let outlets = list.list();
        let restless = |fd: &Handle<'_>| fd.patient().is_none();
        self.restless = matches!(&piece, Piece::Fd { fd, .. } if restless(fd))
            || outlets.iter().any(|o| matches!(o, Outlet::Fd { fd, .. } if restless(fd)));
        if let Some(index) = self.writes_its_source(&piece, outlets, left) {
            return Err(Stop::new(Side::Sink(index), error::same_file()));
        }
        let to: Vec<_> = if matches!(piece, Piece::Fd { .. }) {
            outlets.iter().enumerate().map(|(i, o)| self.ends.outlet(i, o)).collect()
        } else {
            outlets.iter().map(plan::To::unknown).collect()
        };
        let step = plan::plan(from, &to, self.options, self.refused, left, self.report.taken);
        let (plan::From::Fd { kind, hidden: false, .. }, &Piece::Fd { fd, at, .. }) =
            (from, &piece)
        else {
            return Ok((step, None));
        };
        let from = End { fd: self.fd(fd), handle: fd, at, kind };
        let around = step.around().filter(|_| self.prepared && self.plain.is_none());
        if step != Step::End {
            if let Kind::File { .. } = kind {
                let reach = around.unwrap_or_else(|| left.min(self.buffer_size() as u64));
                let warmed = task::warm(from.fd, at, reach);
                warmed.map_err(|error| Stop::new(Side::Source, error))?;
            }
            if let Some(turn) = self.watch(&from, outlets, &to, around.is_some()) {
                return Ok((step, Some(turn)));
            }
        }
        Ok((step, around.map(|max| self.around(step, max, &from, outlets, &to))))
    }

    /// Notes who was given up. With the ends the ways may change; with the last sink gone there
    /// is nobody to copy to.
    fn note_gone(&mut self, outlets: &[Outlet<'_>]) -> Result<(), Box<Stop>> {
        self.gone.resize(outlets.len(), false);
        self.report.delivered.resize(outlets.len(), 0);
        for (gone, outlet) in self.gone.iter_mut().zip(outlets) {
            if matches!(outlet, Outlet::Gone) != *gone {
                *gone = !*gone;
                self.refused = Refused::default();
            }
        }
        let mut sinks = self.gone.iter().skip(self.taps);
        if sinks.len() > 0 && sinks.all(|&gone| gone) {
            return Err(Stop::new(Side::Sink(self.taps), error::sinks_gone()));
        }
        Ok(())
    }

    fn writes_its_source(
        &mut self,
        piece: &Piece<'_>,
        outlets: &[Outlet<'_>],
        left: u64,
    ) -> Option<usize> {
        (0..outlets.len()).find(|&i| self.ends.same_file(piece, i, &outlets[i], left))
    }

    /// Executes a step around the chain.
    #[inline(never)]
    fn around(
        &mut self,
        step: Step,
        max: u64,
        from: &End<'_>,
        outlets: &[Outlet<'_>],
        to: &[plan::To],
    ) -> Turn {
        let live = self.live(outlets, to);
        if self.options.grow_pipes {
            self.ends.grow(0, from.fd);
            live.iter().for_each(|(index, end)| self.ends.grow(index + 1, end.fd));
        }
        let turn = match live[..] {
            [only] if !matches!(step, Step::Carry { .. }) => self.direct(step, from, only, max),
            _ => self.carry(from, &live, max),
        };
        self.fill_in(turn, outlets, to)
    }

    /// The outlets that are descriptors and keep what they get, with their numbers.
    fn live<'a>(&self, outlets: &[Outlet<'a>], to: &[plan::To]) -> Vec<(usize, End<'a>)> {
        let ends = outlets.iter().zip(to).enumerate().filter_map(|(index, pair)| match pair {
            (_, to) if to.discards() => None,
            (&Outlet::Fd { fd, at, .. }, &plan::To::Fd { kind, .. }) => {
                Some((index, End { fd: self.fd(fd), handle: fd, at, kind }))
            }
            _ => None,
        });
        ends.collect()
    }

    /// What the calls of a step use.
    fn fd<'a>(&self, handle: Handle<'a>) -> BorrowedFd<'a> {
        handle.patient().filter(|_| self.may_block()).unwrap_or_else(|| handle.fd())
    }

    /// Discarding outlets got all that was moved.
    fn fill_in(&self, turn: Turn, outlets: &[Outlet<'_>], to: &[plan::To]) -> Turn {
        let Turn::Moved(mut moved) = turn else { return turn };
        moved.outcomes.resize_with(outlets.len(), Outcome::default);
        for (outcome, to) in moved.outcomes.iter_mut().zip(to) {
            if to.discards() {
                outcome.moved = moved.n;
            }
        }
        Turn::Moved(moved)
    }
}
