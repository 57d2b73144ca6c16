//! Passing on what comes, and what to say of its end.

use crate::Relay;
use crate::child::Child;
use crate::end::End;
use aqueduct::copy::{CopyError, Direction, Exchange, ExchangeError, Report, Side};
use aqueduct::source::{Connection, Finish};
use std::fmt::Display;
use std::io::{self, ErrorKind};

/// How it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Ended,
    /// Nothing moved for too long.
    Idle,
    Failed,
}

/// What went through, and what went wrong, in the order of its happening.
struct Passed {
    forth: Report,
    back: Report,
    failures: Vec<Failure>,
}

struct Failure {
    direction: Direction,
    side: Side,
    error: io::Error,
}

impl Relay {
    /// Passes bytes on between two ends until both directions have ended, and closes the ends.
    pub(crate) fn pass(&self, mut first: End, name: &dyn Display, mut second: End) -> Outcome {
        let passed = match self.one_way {
            true => self.forth(&mut first, &mut second),
            false => summed(self.copier.copy_bidirectional(&mut first, &mut second)),
        };
        self.close(passed, first, name, second)
    }

    #[inline(never)]
    fn forth(&self, first: &mut End, second: &mut End) -> Box<Passed> {
        let ((mut from, _), (_, mut to)) = (first.halves(), second.halves());
        let (forth, failure) = match self.copier.copy(&mut from, &mut to) {
            Ok(report) => {
                let (direction, side) = (Direction::Forth, Side::Sink(0));
                let told = to.finish().err().map(|error| Failure { direction, side, error });
                (report, told)
            }
            Err(failed) => (failed.report().clone(), Some(Failure::new(Direction::Forth, failed))),
        };
        let failures = failure.into_iter().collect();
        Box::new(Passed { forth, back: Report::default(), failures })
    }

    // Its frame must not lie under those of connections that wait.
    #[inline(never)]
    #[expect(clippy::boxed_local, reason = "nor in theirs")]
    fn close(&self, passed: Box<Passed>, first: End, name: &dyn Display, second: End) -> Outcome {
        let Passed { forth, back, mut failures } = *passed;
        // Commands end when they please, and need not read all that there is.
        failures.retain(|failure| {
            let (_, to) = order(failure.direction, &first, &second);
            let unread =
                failure.side != Side::Source && failure.error.kind() == ErrorKind::BrokenPipe;
            !(unread && to.is_command())
        });
        let outcome = match failures.first() {
            None => Outcome::Ended,
            Some(failure) if !failure.is_silence() => {
                let (from, to) = order(failure.direction, name, &self.second as &dyn Display);
                let (at, what) = match failure.side {
                    Side::Source => (from, "read error"),
                    Side::Sink(_) => (to, "write error"),
                };
                self.tool.warn_error(format_args!("{at}: {what}"), &failure.error);
                Outcome::Failed
            }
            Some(_) if failures.len() == 1 && self.lingers_least() => Outcome::Ended,
            Some(_) => Outcome::Idle,
        };
        let idle = if outcome == Outcome::Idle { ", and then nothing" } else { "" };
        let (there, second_name) = (forth.copied(), &self.second);
        let here = back.copied();
        self.says(format_args!("{name} - {second_name}: {there} bytes forth, {here} back{idle}"));
        if outcome != Outcome::Ended {
            [first.abort(), second.abort()].into_iter().flatten().for_each(Child::stop);
            return outcome;
        }
        let children = [(first.close(), name), (second.close(), &self.second as &dyn Display)];
        children.into_iter().fold(outcome, |outcome, (child, name)| match child {
            None => outcome,
            // The wait for it is over already.
            Some(child) if !failures.is_empty() => {
                child.stop();
                outcome
            }
            Some(child) => self.status(child, name).unwrap_or(outcome),
        })
    }

    /// Whether it is the end of one direction that bounds the silence of the other.
    fn lingers_least(&self) -> bool {
        self.linger.is_some_and(|linger| self.idle.is_none_or(|idle| linger <= idle))
    }

    /// The outcome, if the command has failed.
    fn status(&self, child: Child, name: &dyn Display) -> Option<Outcome> {
        match child.wait(self.linger) {
            Ok(None) => return None,
            Ok(Some(status)) if status.success() => return None,
            Ok(Some(status)) => self.tool.warn(format_args!("{name}: {status}")),
            Err(error) => self.tool.warn_error(name, &error),
        }
        Some(Outcome::Failed)
    }
}

#[inline(never)]
fn summed(result: Result<Exchange, ExchangeError>) -> Box<Passed> {
    let failed = match result {
        Ok(sum) => {
            return Box::new(Passed { forth: sum.forth, back: sum.back, failures: Vec::new() });
        }
        Err(failed) => failed,
    };
    let (forth, back) = failed.reports();
    let (forth, back) = (forth.clone(), back.clone());
    let other = match failed.direction {
        Direction::Forth => Direction::Back,
        Direction::Back => Direction::Forth,
    };
    let mut failures = vec![Failure::new(failed.direction, *failed.error)];
    failures.extend(failed.other.err().map(|error| Failure::new(other, *error)));
    Box::new(Passed { forth, back, failures })
}

/// From where, and to where.
fn order<T>(direction: Direction, first: T, second: T) -> (T, T) {
    match direction {
        Direction::Forth => (first, second),
        Direction::Back => (second, first),
    }
}

impl Failure {
    fn new(direction: Direction, failed: CopyError) -> Self {
        Self { direction, side: failed.side, error: failed.source }
    }

    /// The system's own patience has a number.
    fn is_silence(&self) -> bool {
        self.error.kind() == ErrorKind::TimedOut && self.error.raw_os_error().is_none()
    }
}
