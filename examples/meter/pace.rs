//! How fast: a token bucket that limits, and the rates that were reached.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// A token bucket. What may go is reckoned from the start and never from the step before, so no
/// rounding adds up, however long it runs.
#[derive(Debug)]
pub(crate) struct Pace {
    rate: u64,
    start: Instant,
    /// What went, and what was forfeited while nothing could go.
    spent: u128,
}

const NANOS: u128 = 1_000_000_000;

impl Pace {
    /// At most `rate` bytes per second, which is not 0, from `start` on.
    pub(crate) fn new(rate: u64, start: Instant) -> Self {
        Self { rate, start, spent: 0 }
    }

    /// How many bytes may go now.
    ///
    /// # Errors
    ///
    /// How long to wait before it is worth asking again.
    pub(crate) fn grant(&mut self, now: Instant) -> Result<u64, Duration> {
        let rate = u128::from(self.rate);
        let nanos = now.saturating_duration_since(self.start).as_nanos();
        let earned = rate * nanos / NANOS;
        // After a stall the bucket holds half a second's worth, not all that was missed.
        self.spent = self.spent.max(earned.saturating_sub(rate / 2 + 1));
        // A fiftieth of a second's worth at a time: fine enough to be smooth, and few calls.
        let portion = (rate / 50).max(1);
        let granted = earned.saturating_sub(self.spent);
        if granted >= portion {
            return Ok(u64::try_from(granted).unwrap_or(u64::MAX));
        }
        let due = ((self.spent + portion) * NANOS).div_ceil(rate);
        Err(Duration::from_nanos(u64::try_from(due - nanos).unwrap_or(u64::MAX)))
    }

    /// `n` bytes went.
    pub(crate) fn spend(&mut self, n: u64) {
        self.spent += u128::from(n);
    }
}

/// Rates out of what was seen at each redraw.
#[derive(Debug)]
pub(crate) struct Rates {
    window: Duration,
    /// When, and how many bytes had gone; the newest last.
    seen: VecDeque<(Duration, u64)>,
}

impl Rates {
    /// Averages are taken over the last `window`.
    pub(crate) fn new(window: Duration) -> Self {
        Self { window, seen: VecDeque::from([(Duration::ZERO, 0)]) }
    }

    /// `total` bytes have gone after `elapsed`: the rate since the last time, and the average.
    pub(crate) fn see(&mut self, elapsed: Duration, total: u64) -> (f64, f64) {
        let now = (elapsed, total);
        let rate = self.seen.back().map_or(0.0, |&last| between(last, now));
        self.seen.push_back(now);
        // One that is older than the window stays, so that the window is covered.
        while self.seen.get(1).is_some_and(|&(at, _)| at + self.window <= elapsed) {
            self.seen.pop_front();
        }
        (rate, self.seen.front().map_or(rate, |&first| between(first, now)))
    }
}

/// Bytes per second; 0 where no time went by.
pub(crate) fn between(from: (Duration, u64), to: (Duration, u64)) -> f64 {
    let seconds = to.0.saturating_sub(from.0).as_secs_f64();
    if seconds > 0.0 { to.1.saturating_sub(from.1) as f64 / seconds } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lets `pace` go for `time`, each wait late by `late`; what went, and the most at once.
    fn run(rate: u64, time: Duration, late: Duration) -> (u64, u64) {
        let start = Instant::now();
        let mut pace = Pace::new(rate, start);
        let (mut now, mut went, mut most) = (start, 0, 0);
        while now < start + time {
            match pace.grant(now) {
                Ok(n) => {
                    assert!(n > 0);
                    pace.spend(n);
                    went += n;
                    most = most.max(n);
                }
                Err(wait) => {
                    assert!(wait > Duration::ZERO);
                    now += wait + late;
                }
            }
        }
        (went, most)
    }

    #[test]
    fn a_long_run_keeps_its_rate() {
        let hours = Duration::from_secs(7200);
        for rate in [1, 7, 999, 1 << 20, 12_345_678_901] {
            for late in [0, 1, 150] {
                let (went, most) = run(rate, hours, Duration::from_millis(late));
                let wanted = rate * hours.as_secs();
                assert!(went <= wanted + rate, "{rate}: {went} of {wanted}");
                assert!(went + rate.max(2) >= wanted, "{rate}: {went} of {wanted}");
                assert!(most <= rate / 2 + 1, "{rate}: {most} at once");
            }
        }
    }

    #[test]
    fn a_stall_is_not_made_up_for() {
        let start = Instant::now();
        let mut pace = Pace::new(1000, start);
        assert_eq!(pace.grant(start + Duration::from_secs(3600)), Ok(501));
    }

    #[test]
    fn no_rate_and_no_time_overflow() {
        let start = Instant::now();
        let mut pace = Pace::new(u64::MAX, start);
        assert!(pace.grant(start).is_err());
        let granted = pace.grant(start + Duration::from_secs(1 << 30));
        assert_eq!(granted, Ok(u64::MAX / 2 + 1));
        pace.spend(u64::MAX);
        assert!(Pace::new(1, start).grant(start).is_err_and(|wait| wait.as_secs() == 1));
    }

    #[test]
    fn rates_are_of_late_and_on_average() {
        let mut rates = Rates::new(Duration::from_secs(10));
        assert_eq!(rates.see(Duration::ZERO, 0), (0.0, 0.0));
        for second in 1..=10 {
            let (rate, average) = rates.see(Duration::from_secs(second), second * 100);
            assert_eq!((rate, average), (100.0, 100.0));
        }
        // It stops: the rate at once, the average when the window has passed.
        let (rate, average) = rates.see(Duration::from_secs(15), 1000);
        assert_eq!((rate, average), (0.0, 50.0));
        let (rate, average) = rates.see(Duration::from_secs(25), 1000);
        assert_eq!((rate, average), (0.0, 0.0));
    }
}
