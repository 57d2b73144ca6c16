//! Executes the plan: asks, takes one step, tells both ends, asks again.

use super::ends::Ends;
use super::error::Pending;
use super::memory::{BUFFER, reading_failed};
use super::plan::{Refused, Step};
use super::pulse::Pulse;
use super::{Copier, CopyError, Path, Report, Side};
use crate::source::{Outcome, Outcomes, Outlet, Outlets, Sink, Source};
use crate::{error, park, source};
use std::io;
use std::mem;

/// One copy under way.
#[derive(Debug)]
pub(super) struct Engine<'c> {
    pub(super) options: &'c Copier,
    pub(super) pulse: Option<&'c Pulse>,
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
    /// On, once the source has something. Who waits has nothing in his hands, for thousands may wait.
    Wait,
    End,
}

/// Why the copy stops before its end. It is handed up in a box: what a copy has on the stack of a task while it
/// waits should not take a second page.
#[derive(Debug)]
pub(super) struct Stop {
    pub(super) side: Side,
    pub(super) error: io::Error,
    pub(super) pending: Pending,
}

impl Stop {
    pub(super) fn new(side: Side, error: io::Error) -> Box<Self> {
        Box::new(Self { side, error, pending: Pending::default() })
    }
}

/// What a step around the chain came to.
#[derive(Debug)]
pub(super) enum Turn {
    /// Bytes moved, or an outlet failed.
    Moved(Box<Moved>),
    /// The source gave nothing.
    End,
    /// Nothing moved; plan again.
    Again,
    /// Nothing moved, since the source has nothing yet.
    Wait,
    /// Nothing moved; a loop over at most so many bytes can, or tells why not.
    Plain(u64),
    /// Nothing moved and the copy must stop.
    Stop(Box<Stop>),
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
        pulse: Option<&'c Pulse>,
        source: &mut dyn Source,
        sink: &mut dyn Sink,
    ) -> Result<Report, CopyError> {
        let mut engine = Self::new(options, pulse, source, sink);
        loop {
            let before = engine.report.taken;
            let step = engine.step(source, sink);
            park::spend(engine.report.taken - before);
            let flow = match step {
                Ok(Flow::End) => engine.last_words(source).map(|()| Flow::End),
                Ok(Flow::Wait) => engine.wait_readable(source).map(|()| Flow::On),
                other => other,
            };
            match flow {
                Ok(Flow::On | Flow::Wait) => {}
                Ok(Flow::End) => return Ok(engine.finish(sink)),
                Err(stop) => return Err(engine.fail(*stop, source, sink)),
            }
        }
    }

    /// In a box for the sake of the stacks of tasks: a copy that waits should not take a second page.
    fn new(
        options: &'c Copier,
        pulse: Option<&'c Pulse>,
        source: &mut dyn Source,
        sink: &mut dyn Sink,
    ) -> Box<Self> {
        let taps = source::taps(source);
        let outlets = taps + source::outlets(sink);
        Box::new(Self {
            options,
            pulse,
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
        })
    }

    #[inline(never)]
    fn fail(&mut self, stop: Stop, source: &mut dyn Source, sink: &mut dyn Sink) -> CopyError {
        let Stop { side, error, pending } = stop;
        let pending = self.claims(side, pending, source, sink);
        CopyError::new(self.finish(sink), side, error, pending)
    }

    /// A tap that failed in the last `read` speaks up at the next call, and there would be none.
    fn last_words(&self, source: &mut dyn Source) -> Result<(), Box<Stop>> {
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
    fn finish(&mut self, sink: &mut dyn Sink) -> Report {
        let (mut report, taps) = (mem::take(&mut self.report), self.taps);
        let mut list = Outlets::new(true);
        sink.outlets(&mut list);
        let got = report.delivered.iter().skip(taps);
        let live = got.clone().zip(list.list()).filter(|(_, o)| !matches!(o, Outlet::Gone));
        let least = live.map(|(n, _)| *n).min();
        report.copied = least.or_else(|| got.copied().max()).unwrap_or(report.taken);
        report
    }

    #[inline(never)]
    fn step(&mut self, source: &mut dyn Source, sink: &mut dyn Sink) -> Result<Flow, Box<Stop>> {
        if self.options.cancel.as_ref().is_some_and(super::Cancel::is_cancelled) {
            return Err(Stop::new(Side::Source, error::cancelled()));
        }
        let left = self.left();
        if left == 0 {
            return Ok(Flow::End);
        }
        // The frames of what follows lie beside that of the asking, not upon it.
        match self.ask(source, sink, left)? {
            (_, Some(turn)) => self.settle_turn(turn, source, sink),
            (Step::End, _) => self.end(source),
            (Step::Memory { max }, _) => self.memory(source, sink, max),
            (Step::Loop, _) => self.through(source, sink, left),
            _ => match self.plain {
                Some(max) => self.through(source, sink, left.min(max)),
                None => self.prepare(source, sink),
            },
        }
    }

    /// Bytes have moved.
    pub(super) fn beat(&self, n: u64) {
        if let Some(pulse) = self.pulse.filter(|_| n > 0) {
            pulse.beat();
        }
    }

    pub(super) fn left(&self) -> u64 {
        self.options.limit.map_or(u64::MAX, |limit| limit.saturating_sub(self.report.taken))
    }

    pub(super) fn buffer_size(&self) -> usize {
        self.options.buffer_size.unwrap_or(BUFFER)
    }

    fn end(&mut self, source: &mut dyn Source) -> Result<Flow, Box<Stop>> {
        self.ends.forget();
        self.refused = Refused::default();
        match source.end() {
            Ok(true) => Ok(Flow::On),
            Ok(false) => Ok(Flow::End),
            // A limit that is reached asks its source's taps for their last words here.
            Err(error) => Err(reading_failed(source, error)),
        }
    }

    fn prepare(&mut self, source: &mut dyn Source, sink: &mut dyn Sink) -> Result<Flow, Box<Stop>> {
        source.prepare().map_err(|error| reading_failed(source, error))?;
        if let Err(error) = sink.prepare() {
            let index = self.taps + sink.at_fault().unwrap_or(0);
            return Err(Stop::new(Side::Sink(index), error));
        }
        self.prepared = true;
        Ok(Flow::On)
    }

    fn settle_turn(
        &mut self,
        turn: Turn,
        source: &mut dyn Source,
        sink: &mut dyn Sink,
    ) -> Result<Flow, Box<Stop>> {
        match turn {
            Turn::Moved(moved) => self.settle(*moved, Some((source, true)), sink, true),
            Turn::End => self.end(source),
            Turn::Again => Ok(Flow::On),
            Turn::Wait => Ok(Flow::Wait),
            Turn::Plain(max) => {
                self.plain = Some(max);
                Ok(Flow::On)
            }
            Turn::Stop(stop) => Err(stop),
        }
    }

    /// Counts a step and tells both ends of it. After a step through the chain the source knows
    /// already, and the outcomes of its taps are not told.
    #[inline(never)]
    pub(super) fn settle(
        &mut self,
        moved: Moved,
        source: Option<(&mut dyn Source, bool)>,
        sink: &mut dyn Sink,
        direct: bool,
    ) -> Result<Flow, Box<Stop>> {
        let Moved { n, path, mut outcomes, pending } = moved;
        self.silent = false;
        self.beat(n);
        self.report.count(path, n);
        for (delivered, outcome) in self.report.delivered.iter_mut().zip(&outcomes) {
            *delivered += outcome.moved;
        }
        // No policy hears of what is nobody's failure.
        let mut stop = None;
        for outcome in &mut outcomes {
            if outcome.error.as_ref().is_some_and(error::is_nobodys) {
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
            Some((side, error)) => Err(Box::new(Stop { side, error, pending })),
        }
    }
}
