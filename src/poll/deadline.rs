//! A point in time that can be moved while somebody waits for it.

use crate::sync::atomic::{AtomicU64, Ordering};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// No deadline.
const NONE: u64 = 0;
/// The earliest there is; what is earlier still has passed just as well.
const FIRST: u64 = 1;

/// Nanoseconds since the first use in this process.
#[derive(Debug)]
pub(crate) struct Deadline(AtomicU64);

impl Deadline {
    pub(crate) fn none() -> Self {
        Self(AtomicU64::new(NONE))
    }

    /// The caller then tells the waiter, by its word.
    pub(crate) fn set(&self, at: Option<Instant>) {
        self.0.store(at.map_or(NONE, nanoseconds), Ordering::Release);
    }

    pub(crate) fn get(&self) -> Option<Instant> {
        match self.0.load(Ordering::Acquire) {
            NONE => None,
            n => origin().checked_add(Duration::from_nanos(n - FIRST)),
        }
    }
}

/// How long one call may wait, in nanoseconds; 0 is for ever.
#[derive(Debug)]
pub(crate) struct Timeout(AtomicU64);

impl Timeout {
    pub(crate) fn none() -> Self {
        Self(AtomicU64::new(0))
    }

    pub(crate) fn set(&self, timeout: Option<Duration>) {
        let nanoseconds = |timeout: Duration| u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX);
        self.0.store(timeout.map_or(0, |timeout| nanoseconds(timeout).max(1)), Ordering::Relaxed);
    }

    pub(crate) fn starting_now(&self) -> Option<Instant> {
        match self.0.load(Ordering::Relaxed) {
            0 => None,
            n => Instant::now().checked_add(Duration::from_nanos(n)),
        }
    }
}

fn origin() -> Instant {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    *ORIGIN.get_or_init(Instant::now)
}

/// A deadline in more than five hundred years is as far as one can be.
fn nanoseconds(at: Instant) -> u64 {
    let since = at.saturating_duration_since(origin()).as_nanos();
    u64::try_from(since).unwrap_or(u64::MAX - FIRST).saturating_add(FIRST)
}

#[cfg(test)]
#[cfg(not(aqueduct_loom))]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_kept_to_the_nanosecond() {
        let deadline = Deadline::none();
        assert_eq!(deadline.get(), None);
        let at = origin() + Duration::from_nanos(1_234_567_891);
        deadline.set(Some(at));
        assert_eq!(deadline.get(), Some(at));
        deadline.set(None);
        assert_eq!(deadline.get(), None);
    }

    #[test]
    fn what_is_before_the_first_use_is_past_and_the_far_future_is_no_overflow() {
        let deadline = Deadline::none();
        if let Some(long_ago) = origin().checked_sub(Duration::from_secs(1)) {
            deadline.set(Some(long_ago));
            assert!(deadline.get().is_some_and(|at| at <= Instant::now()));
        }
        if let Some(far) = origin().checked_add(Duration::from_secs(600 * 366 * 86_400)) {
            deadline.set(Some(far));
            assert!(deadline.get().is_none_or(|at| at > Instant::now()));
        }
    }

    #[test]
    fn a_timeout_starts_with_each_call_and_the_longest_never_ends() {
        let timeout = Timeout::none();
        assert_eq!(timeout.starting_now(), None);
        let hour = Duration::from_secs(3600);
        timeout.set(Some(hour));
        let before = Instant::now();
        assert!(timeout.starting_now().is_some_and(|at| at >= before + hour));
        timeout.set(Some(Duration::ZERO));
        assert!(timeout.starting_now().is_some(), "that is no wait at all, not one for ever");
        timeout.set(Some(Duration::MAX));
        assert!(timeout.starting_now().is_none_or(|at| at > Instant::now() + hour));
        timeout.set(None);
        assert_eq!(timeout.starting_now(), None);
    }
}
