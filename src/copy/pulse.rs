//! What flows of control that copy to one end know of one another: when a byte last moved, and for
//! how long none may.

use super::hearing::{Hearing, Listeners};
use crate::error;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const ALL_COPY: u8 = 0;
const ONE_ENDED: u8 = 1;
const ONE_FAILED: u8 = 2;
const TIME_IS_UP: u8 = 3;

/// Patience that begins anew whenever a byte moves, whoever moves it.
#[derive(Debug)]
pub(super) struct Pulse {
    idle: Option<Duration>,
    linger: Option<Duration>,
    start: Instant,
    /// Nanoseconds after the start.
    last: AtomicU64,
    state: AtomicU8,
    stopped: AtomicBool,
    listeners: Listeners,
}

impl Pulse {
    /// Nobody waits for longer than `idle`, and who goes on after another one no longer than `linger`.
    pub(super) fn new(idle: Option<Duration>, linger: Option<Duration>) -> Self {
        Self {
            idle,
            linger,
            start: Instant::now(),
            last: AtomicU64::new(0),
            state: AtomicU8::new(ALL_COPY),
            stopped: AtomicBool::new(false),
            listeners: Listeners::default(),
        }
    }

    /// A byte has moved. Nobody is woken for it: who waits looks again when his time is up.
    pub(super) fn beat(&self) {
        if self.idle.is_some() || self.linger.is_some() {
            let since = self.start.elapsed().as_nanos();
            self.last.store(u64::try_from(since).unwrap_or(u64::MAX), Ordering::Relaxed);
        }
    }

    /// One has come to its end; whether it was the first.
    pub(super) fn end(&self) -> bool {
        self.beat();
        self.change(ONE_ENDED)
    }

    /// One has failed; whether it was the first to stop.
    pub(super) fn fail(&self) -> bool {
        self.beat();
        self.change(ONE_FAILED)
    }

    /// One has been silent for too long, and so have all; whether it was the first to stop.
    pub(super) fn expire(&self) -> bool {
        self.change(TIME_IS_UP)
    }

    pub(super) fn has_failed(&self) -> bool {
        self.state.load(Ordering::SeqCst) == ONE_FAILED
    }

    /// Those were stopped who do not see for themselves that their time is up.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
    }

    pub(super) fn has_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }

    fn change(&self, to: u8) -> bool {
        let first = self.state.compare_exchange(ALL_COPY, to, Ordering::SeqCst, Ordering::SeqCst);
        self.listeners.wake();
        first.is_ok()
    }

    /// Ask [`until`](Self::until) after this and before waiting.
    pub(super) fn hear(&self) -> Hearing<'_> {
        self.listeners.hear()
    }

    /// Until when a wait may last.
    pub(super) fn until(&self) -> Option<Instant> {
        let patience = match self.state.load(Ordering::SeqCst) {
            ALL_COPY => self.idle,
            ONE_ENDED => [self.idle, self.linger].into_iter().flatten().min(),
            TIME_IS_UP => return Some(self.start),
            // What is there may pass. Nobody waits for more, unless it was said for how long.
            _ => Some(self.linger.unwrap_or(Duration::ZERO)),
        };
        let last = Duration::from_nanos(self.last.load(Ordering::Relaxed));
        self.start.checked_add(last)?.checked_add(patience?)
    }

    /// Why a wait fails, once its time is up.
    pub(super) fn failure(&self) -> Option<io::Error> {
        let up = self.until().is_some_and(|at| at <= Instant::now());
        up.then(|| match self.state.load(Ordering::SeqCst) {
            ONE_FAILED => error::cancelled(),
            _ => error::idle(),
        })
    }
}
