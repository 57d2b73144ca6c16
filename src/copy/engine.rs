//! Executes the plan: asks, takes one step, tells both ends, asks again.

use super::ends::{End, Ends};
use super::error::Pending;
use super::memory::{BUFFER, reading_failed};
use super::plan::{self, Refused, Step};
use super::{Copier, CopyError, Path, Report, Side};
use crate::source::{Handle, Outcome, Outcomes, Outlet, Outlets, Piece, Sink, Source};
use crate::sys::Kind;
use crate::{error, park, source, task};
use std::io;
use std::os::fd::BorrowedFd;

/// One copy under way.
#[derive(Debug)]
pub(super) struct Engine<'c> {
    pub(super) options: &'c Copier,
    pub(super) report: Report,
    pub(super) ends: Ends,
    pub(super) refused: Refused,
    /// How many of the outlets are taps.
    pub(super) taps: usize,
    /// Which outlets were given up, as last heard.
    pub(super) gone: Vec<bool>,
    /// Nothing lies in the buffers of either end, so that a step may go around them.
    pub(super) prepared: bool,
    /// The next step is a loop over at most so many bytes, whatever the plan.
    pub(super) plain: Option<u64>,
    /// An end is a stream whose calls must not block: it has a deadline, or somebody may close it.
    pub(super) restless: bool,
    /// Which side was waited for last: 0 the source, 1 the sink.
    pub(super) slow: usize,
    /// The source has kept a step waiting, and nothing has moved since.
    pub(super) silent: bool,
}

/// Whether the copy goes on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Flow {
    On,
    End,
}

/// Why the copy stops before its end.
#[derive(Debug)]
pub(super) struct Stop {
    pub(super) side: Side,
    pub(super) error: io::Error,
    pub(super) pending: Pending,
}

impl Stop {
    pub(super) fn new(side: Side, error: io::Error) -> Self {
        Self { side, error, pending: Pending::default() }
    }
}

/// What a step around the chain came to.
#[derive(Debug)]
pub(super) enum Turn {
    /// Bytes moved, or an outlet failed.
    Moved(Moved),
    /// The source gave nothing.
    End,
    /// Nothing moved; plan again.
    Again,
    /// Nothing moved; a loop over at most so many bytes can, or tells why not.
    Plain(u64),
    /// Nothing moved and the copy must stop.
    Stop(Stop),
}

/// `n` bytes left the source by `path`.
#[derive(Debug)]
pub(super) struct Moved {
    pub(super) n: u64,
    pub(super) path: Path,
    pub(super) outcomes: Vec<Outcome>,
    pub(super) pending: Pending,
}

impl<'c> Engine<'c> {
    pub(super) fn run(
        options: &'c Copier,
        source: &mut dyn Source,
        sink: &mut dyn Sink,
    ) -> Result<Report, CopyError> {
        let taps = source::taps(source);
        let outlets = taps + source::outlets(sink);
        let mut engine = Self {
            options,
            report: Report { delivered: vec![0; outlets], ..Report::default() },
            ends: Ends::default(),
            refused: Refused::default(),
            taps,
            gone: vec![false; outlets],
            prepared: false,
            plain: None,
            restless: false,
            slow: 0,
            silent: false,
        };
        loop {
            let before = engine.report.taken;
            let step = engine.step(source, sink);
            park::spend(engine.report.taken - before);
            let flow = match step {
                Ok(Flow::End) => engine.last_words(source).map(|()| Flow::End),
                other => other,
            };
            match flow {
                Ok(Flow::On) => {}
                Ok(Flow::End) => return Ok(engine.finish(sink)),
                Err(Stop { side, error, pending }) => {
                    let pending = engine.claims(side, pending, source, sink);
                    let report = engine.finish(sink);
                    return Err(CopyError::new(report, side, error, pending));
                }
            }
        }
    }

    /// A tap that failed in the last `read` speaks up at the next call, and there would be none.
    fn last_words(&self, source: &mut dyn Source) -> Result<(), Stop> {
        match self.taps {
            0 => Ok(()),
            _ => source.prepare().map_err(|error| reading_failed(source, error)),
        }
    }

    /// Who is owed what, now that the copy stops. An outlet that was given up has no claim, unless
    /// its error is the reason; and a tap that has missed bytes of a `read` has one even if its own
    /// error is still to come.
    fn claims(
        &mut self,
        side: Side,
        mut pending: Pending,
        source: &mut dyn Source,
        sink: &mut dyn Sink,
    ) -> Pending {
        let mut list = Outlets::new(true);
        source.piece(&mut list);
        sink.outlets(&mut list);
        let gone: Vec<_> = list.list().iter().map(|o| matches!(o, Outlet::Gone)).collect();
        for (i, _) in gone.iter().enumerate().filter(|&(i, &gone)| gone && side != Side::Sink(i)) {
            pending.forget(i);
        }
        let taps = gone.iter().zip(&mut self.report.delivered).enumerate().take(self.taps);
        for (tap, (&gone, delivered)) in taps {
            let missed = source.missed(tap);
            if !gone {
                *delivered = delivered.saturating_sub(missed.len() as u64);
            }
            if !gone || side == Side::Sink(tap) {
                pending.add(tap, missed);
            }
        }
        if self.taps > 0 {
            let mut settled: Vec<_> = (0..self.taps).map(|_| Outcome::default()).collect();
            // No outcome holds an error that this could tell.
            let _ = source.advance(0, &mut Outcomes::settling(&mut settled));
        }
        pending
    }

    /// The report, with what every outlet of the sink has got.
    fn finish(self, sink: &mut dyn Sink) -> Report {
        let Self { mut report, taps, .. } = self;
        let mut list = Outlets::new(true);
        sink.outlets(&mut list);
        let got = report.delivered.iter().skip(taps);
        let live = got.clone().zip(list.list()).filter(|(_, o)| !matches!(o, Outlet::Gone));
        let least = live.map(|(n, _)| *n).min();
        report.copied = least.or_else(|| got.copied().max()).unwrap_or(report.taken);
        report
    }

    fn step(&mut self, source: &mut dyn Source, sink: &mut dyn Sink) -> Result<Flow, Stop> {
        if self.options.cancel.as_ref().is_some_and(super::Cancel::is_cancelled) {
            return Err(Stop::new(Side::Source, error::cancelled()));
        }
        let left = self.left();
        if left == 0 {
            return Ok(Flow::End);
        }
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
        if let (plan::From::Fd { kind, hidden: false, .. }, &Piece::Fd { fd, at, .. }) =
            (from, &piece)
        {
            let from = End { fd: self.fd(fd), handle: fd, at, kind };
            let around = step.around().filter(|_| self.prepared && self.plain.is_none());
            if step != Step::End {
                if let Kind::File { .. } = kind {
                    let reach = around.unwrap_or_else(|| left.min(self.buffer_size() as u64));
                    let warmed = task::warm(from.fd, at, reach);
                    warmed.map_err(|error| Stop::new(Side::Source, error))?;
                }
                if let Some(turn) = self.watch(&from, outlets, &to, around.is_some()) {
                    return self.settle_turn(turn, source, sink);
                }
            }
            if let Some(max) = around {
                let turn = self.around(step, max, &from, outlets, &to);
                return self.settle_turn(turn, source, sink);
            }
        }
        match step {
            Step::End => self.end(source),
            Step::Memory { max } => self.memory(source, sink, max),
            Step::Loop => self.through(source, sink, left),
            _ => match self.plain {
                Some(max) => self.through(source, sink, left.min(max)),
                None => self.prepare(source, sink),
            },
        }
    }

    pub(super) fn left(&self) -> u64 {
        self.options.limit.map_or(u64::MAX, |limit| limit.saturating_sub(self.report.taken))
    }

    pub(super) fn buffer_size(&self) -> usize {
        self.options.buffer_size.unwrap_or(BUFFER)
    }

    /// Notes who was given up. With the ends the ways may change; with the last sink gone there
    /// is nobody to copy to.
    fn note_gone(&mut self, outlets: &[Outlet<'_>]) -> Result<(), Stop> {
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

    fn end(&mut self, source: &mut dyn Source) -> Result<Flow, Stop> {
        self.ends.forget();
        self.refused = Refused::default();
        match source.end() {
            Ok(true) => Ok(Flow::On),
            Ok(false) => Ok(Flow::End),
            // A limit that is reached asks its source's taps for their last words here.
            Err(error) => Err(reading_failed(source, error)),
        }
    }

    fn prepare(&mut self, source: &mut dyn Source, sink: &mut dyn Sink) -> Result<Flow, Stop> {
        source.prepare().map_err(|error| reading_failed(source, error))?;
        if let Err(error) = sink.prepare() {
            let index = self.taps + sink.at_fault().unwrap_or(0);
            return Err(Stop::new(Side::Sink(index), error));
        }
        self.prepared = true;
        Ok(Flow::On)
    }

    /// Executes a step around the chain.
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

    fn settle_turn(
        &mut self,
        turn: Turn,
        source: &mut dyn Source,
        sink: &mut dyn Sink,
    ) -> Result<Flow, Stop> {
        match turn {
            Turn::Moved(moved) => self.settle(moved, Some((source, true)), sink, true),
            Turn::End => self.end(source),
            Turn::Again => Ok(Flow::On),
            Turn::Plain(max) => {
                self.plain = Some(max);
                Ok(Flow::On)
            }
            Turn::Stop(stop) => Err(stop),
        }
    }

    /// Counts a step and tells both ends of it. After a step through the chain the source knows
    /// already, and the outcomes of its taps are not told.
    pub(super) fn settle(
        &mut self,
        moved: Moved,
        source: Option<(&mut dyn Source, bool)>,
        sink: &mut dyn Sink,
        direct: bool,
    ) -> Result<Flow, Stop> {
        let Moved { n, path, mut outcomes, pending } = moved;
        self.silent = false;
        self.report.count(path, n);
        for (delivered, outcome) in self.report.delivered.iter_mut().zip(&outcomes) {
            *delivered += outcome.moved;
        }
        // A cancel is nobody's failure, so no policy hears of it.
        let mut stop = None;
        for outcome in &mut outcomes {
            if outcome.error.as_ref().is_some_and(error::is_cancelled) {
                stop = outcome.error.take().map(|error| (Side::Source, error));
            }
        }
        let failed = |list: &[Outcome]| list.iter().position(|o| o.error.is_some());
        let taps = self.taps.min(outcomes.len());
        let (taps, sinks) = outcomes.split_at_mut(taps);
        let (first_tap, first_sink) = (failed(taps), failed(sinks));
        if let Some((source, direct)) = source {
            if let Err(error) = source.advance(n, &mut Outcomes::new(taps, direct)) {
                let index = source.at_fault().or(first_tap);
                let side = index.map_or(Side::Source, Side::Sink);
                stop.get_or_insert((side, error));
            }
        }
        if let Err(error) = sink.advance(&mut Outcomes::new(sinks, direct)) {
            let index = self.taps + sink.at_fault().or(first_sink).unwrap_or(0);
            stop.get_or_insert((Side::Sink(index), error));
        }
        match stop {
            None => Ok(Flow::On),
            Some((side, error)) => Err(Stop { side, error, pending }),
        }
    }
}
