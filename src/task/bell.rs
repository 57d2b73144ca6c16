//! How a worker that sleeps hears of news.
//!
//! One read-modify-write of one word is all that news and sleep have to agree on. News is left first,
//! and then the bell is rung; the worker takes the ring back first, and then collects. So whoever
//! rings sees the worker asleep and wakes it, or the worker sees the ring and does not fall asleep.
//! Of all who ring during a sleep, the first alone wakes.

use crate::sync::atomic::{AtomicU8, Ordering};

/// The worker is at work and has no news.
const WORKING: u8 = 0;
const ASLEEP: u8 = 1;
/// There is news.
const RUNG: u8 = 2;

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Bell(AtomicU8);

impl Bell {
    pub(super) fn new() -> Self {
        Self(AtomicU8::new(WORKING))
    }

    /// News was left. `true`: the worker sleeps, and the caller is to wake it.
    #[must_use = "a worker that sleeps must be woken"]
    pub(super) fn ring(&self) -> bool {
        self.0.swap(RUNG, Ordering::AcqRel) == ASLEEP
    }

    /// Whether it was rung. What comes of it is seen after [`answer`](Self::answer).
    pub(super) fn is_rung(&self) -> bool {
        self.0.load(Ordering::Relaxed) == RUNG
    }

    /// Takes the ring back, before the news is collected.
    pub(super) fn answer(&self) {
        self.0.swap(WORKING, Ordering::AcqRel);
    }

    /// Announces that the worker falls asleep; `false` if there is news.
    pub(super) fn doze(&self) -> bool {
        self.0.compare_exchange(WORKING, ASLEEP, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// The worker is awake, whatever has woken it. A ring stays.
    pub(super) fn rise(&self) {
        let _ = self.0.compare_exchange(ASLEEP, WORKING, Ordering::AcqRel, Ordering::Acquire);
    }
}

#[cfg(all(test, aqueduct_loom))]
mod loom_models;
