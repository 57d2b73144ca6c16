//! Both directions of two connections at once.

use super::engine::Engine;
use super::error::Pending;
use super::pulse::Pulse;
use super::{Copier, CopyError, Report, Side};
use crate::error;
use crate::park::park_until;
use crate::source::{Connection, Deadlines, Finish, Source};
use crate::task::{self, JoinError};
use std::fmt;
use std::io::{self, ErrorKind};
use std::panic::resume_unwind;
use std::thread;
use std::time::{Duration, Instant};

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "there is no third")]
pub enum Direction {
    /// From the first connection to the second.
    Forth,
    /// From the second connection to the first.
    Back,
}

/// What went in each direction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exchange {
    /// From the first connection to the second.
    pub forth: Report,
    /// From the second connection to the first.
    pub back: Report,
}

/// An exchange in which one direction failed, or both.
#[derive(Debug)]
#[non_exhaustive]
pub struct ExchangeError {
    /// Which failed, of two the first.
    pub direction: Direction,
    /// How, with what it had moved and what is pending.
    pub error: Box<CopyError>,
    /// How the other one ended; with an error as well, as a rule, since it was given up then.
    pub other: Result<Report, Box<CopyError>>,
}

/// Copies from each connection to the other until both have ended, and returns how many bytes went
/// in each direction: from `a` to `b`, and from `b` to `a`.
///
/// Where one has ended, the other is told so ([`Finish`]), and the opposite direction goes on for as long
/// as it likes. When one direction fails, the other one still passes on what is there, does not wait for
/// more, and fails as well; nobody is told of an end then, so that half of the bytes cannot be taken for
/// all. See [`Copier::copy_bidirectional`] for options.
///
/// The first direction is copied by the caller, the other by a task: of the same runtime if the caller is
/// one, else of the runtime of the process. So what truly blocks belongs behind a
/// [`Stream`](crate::stream::Stream).
///
/// # Errors
///
/// The first failure, with both counts and with everything that is owed: see [`ExchangeError`].
///
/// # Examples
///
/// ```
/// use aqueduct::net::{TcpListener, TcpStream};
/// use aqueduct::{copy_bidirectional, task};
///
/// /// Every connection goes on to `target`, a task for each.
/// fn forward(listener: &TcpListener, target: &'static str) -> std::io::Result<()> {
///     for connection in listener.incoming() {
///         let mut near = connection?;
///         task::spawn(move || {
///             let mut far = TcpStream::connect(target)?;
///             let (up, down) = copy_bidirectional(&mut near, &mut far)?;
///             println!("{up} bytes up, {down} bytes down");
///             Ok::<(), std::io::Error>(())
///         });
///     }
///     Ok(())
/// }
/// # let listener = TcpListener::bind("127.0.0.1:0")?;
/// # listener.close();
/// # forward(&listener, "localhost:80")?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn copy_bidirectional<A, B>(a: &mut A, b: &mut B) -> Result<(u64, u64), ExchangeError>
where
    A: Connection + ?Sized,
    B: Connection + ?Sized,
{
    let exchange = Copier::new().copy_bidirectional(a, b)?;
    Ok((exchange.forth.copied(), exchange.back.copied()))
}

impl Copier {
    /// In a [copy in both directions](Self::copy_bidirectional): for how long no byte may move once one
    /// direction has ended, before the other one is given up with an error of kind `TimedOut`; and once one has
    /// failed. Unless it is set, the other one goes on after an end as long as it likes, and after a failure it
    /// is not waited for.
    #[must_use]
    pub fn linger(mut self, silence: Duration) -> Self {
        self.linger = Some(silence);
        self
    }

    /// As [`copy_bidirectional`], with these options, which hold for each direction.
    ///
    /// # Errors
    ///
    /// As there; `TimedOut` after an [`idle_timeout`](Self::idle_timeout) or [`linger`](Self::linger).
    pub fn copy_bidirectional<A, B>(&self, a: &mut A, b: &mut B) -> Result<Exchange, ExchangeError>
    where
        A: Connection + ?Sized,
        B: Connection + ?Sized,
    {
        let both = Both::new(self, a.control(), b.control());
        let ((mut from_a, mut to_a), (mut from_b, mut to_b)) = (a.halves(), b.halves());
        let mut back = Ended::not_begun();
        let forth = task::scope(|scope| {
            let guard = (!both.controls.is_empty()).then(|| scope.spawn(|| both.guard()));
            let other = scope.spawn(|| back = both.one_way(&mut from_b, &mut to_a));
            let forth = both.one_way(&mut from_a, &mut to_b);
            let ended = other.join();
            if let Some(guard) = guard {
                guard.cancel();
            }
            if let Err(JoinError::Panicked(payload)) = ended {
                resume_unwind(payload);
            }
            forth
        });
        if both.pulse.has_stopped() {
            both.controls.iter().for_each(|control| control.set_deadline(None));
        }
        sum(forth, back)
    }
}

/// How a direction ended. What waits under it on the stack of a task should not take a second page,
/// so it is small.
struct Ended {
    result: Result<Box<Report>, Box<CopyError>>,
    /// It was the first to stop.
    first: bool,
}

impl Ended {
    /// That of a direction whose task was cancelled before it began, or whose runtime has ended.
    fn not_begun() -> Self {
        let why = failed(Report::default(), Side::Source, error::cancelled());
        Self { result: Err(why), first: false }
    }
}

#[inline(never)]
fn sum(forth: Ended, back: Ended) -> Result<Exchange, ExchangeError> {
    let (direction, error, other) = match (forth.result, back.result) {
        (Ok(forth), Ok(back)) => return Ok(Exchange { forth: *forth, back: *back }),
        (Err(error), other @ Ok(_)) => (Direction::Forth, error, other),
        (Err(error), other) if forth.first => (Direction::Forth, error, other),
        (other, Err(error)) => (Direction::Back, error, other),
    };
    Err(ExchangeError { direction, error, other: other.map(|report| *report) })
}

type Control = Box<dyn Deadlines + Send + Sync>;

/// What both directions share.
struct Both<'a> {
    copier: &'a Copier,
    pulse: Pulse,
    controls: Vec<Control>,
}

/// The other direction must not go on for ever while this one unwinds.
struct Running<'a>(&'a Pulse);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.fail();
        }
    }
}

impl<'a> Both<'a> {
    #[inline(never)]
    fn new(copier: &'a Copier, a: Option<Control>, b: Option<Control>) -> Box<Self> {
        let pulse = Pulse::new(copier.idle_timeout, copier.linger);
        Box::new(Self { copier, pulse, controls: [a, b].into_iter().flatten().collect() })
    }

    /// One direction, to its end.
    fn one_way(&self, from: &mut dyn Source, to: &mut dyn Finish) -> Ended {
        let _running = Running(&self.pulse);
        let copied = Engine::run(self.copier, Some(&self.pulse), from, &mut *to);
        self.ended(copied, to)
    }

    #[inline(never)]
    fn ended(&self, copied: Result<Report, CopyError>, to: &mut dyn Finish) -> Ended {
        let result = copied.map_err(Box::new).and_then(|report| {
            // A failed connection may seem to have ended to whoever did not see its error.
            let told = if self.pulse.has_failed() { Err(error::cancelled()) } else { to.finish() };
            told.map_err(|error| failed(report.clone(), Side::Sink(0), error)).map(|()| report)
        });
        match result {
            Ok(report) => Ended { result: Ok(Box::new(report)), first: self.pulse.end() },
            Err(mut failed) => {
                // What a control has cut short does not know why.
                if failed.kind() == ErrorKind::TimedOut && !self.controls.is_empty() {
                    if let Some(why) = self.pulse.failure() {
                        failed.source = why;
                    }
                }
                // That a reader has gone says nothing of the other direction: if its connection has
                // broken, it will see.
                let first = match (failed.side, failed.kind()) {
                    (Side::Sink(_), ErrorKind::BrokenPipe) => self.pulse.end(),
                    _ if error::is_idle(&failed.source) => self.pulse.expire(),
                    _ => self.pulse.fail(),
                };
                Ended { result: Err(failed), first }
            }
        }
    }

    /// Ends calls that wait by themselves, once no call may wait any more.
    fn guard(&self) -> io::Result<()> {
        let _hearing = self.pulse.hear();
        while self.pulse.failure().is_none() {
            park_until(self.pulse.until())?;
        }
        self.pulse.stop();
        let now = Some(Instant::now());
        self.controls.iter().for_each(|control| control.set_deadline(now));
        Ok(())
    }
}

fn failed(report: Report, side: Side, error: io::Error) -> Box<CopyError> {
    Box::new(CopyError::new(report, side, error, Pending::default()))
}

impl ExchangeError {
    /// The kind of the first failure.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.error.kind()
    }

    /// What went in each direction until then.
    #[must_use]
    pub fn reports(&self) -> (&Report, &Report) {
        let (this, other) = (self.error.report(), report_of(&self.other));
        match self.direction {
            Direction::Forth => (this, other),
            Direction::Back => (other, this),
        }
    }
}

fn report_of(ended: &Result<Report, Box<CopyError>>) -> &Report {
    match ended {
        Ok(report) => report,
        Err(error) => error.report(),
    }
}

impl fmt::Display for ExchangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let way = match self.direction {
            Direction::Forth => "from the first to the second",
            Direction::Back => "from the second to the first",
        };
        write!(f, "{way}: {}", self.error)
    }
}

impl std::error::Error for ExchangeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

/// Keeps the kind; the whole `ExchangeError` is what the `io::Error` carries.
impl From<ExchangeError> for io::Error {
    fn from(error: ExchangeError) -> Self {
        Self::new(error.kind(), error)
    }
}
