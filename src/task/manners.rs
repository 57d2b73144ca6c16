//! Whether a worker that is woken takes the processor away from who has it.
//!
//! A worker that has answered several and sleeps is woken by the first of them that asks again. If
//! it takes the processor from that client at once, it finds one request, answers it, and
//! sleeps again: two switches of threads for each, which are dearer than the answer. If it lets the client
//! go on, it finds many. But a worker with little to do owes its few clients a quick answer, beside
//! threads that never rest too. So who has much to do is patient, and who has not is eager.

use crate::sys::sched::{self, Manners};
use std::cell::Cell;
use std::time::{Duration, Instant};

/// How long it looks before it judges.
const WINDOW: Duration = Duration::from_millis(10);

/// Of one worker, on its thread.
#[derive(Debug)]
pub(super) struct Courtesy {
    now: Cell<Manners>,
    since: Cell<Instant>,
    /// So many tasks have run since.
    turns: Cell<u32>,
    /// So often nobody was to run since.
    rests: Cell<u32>,
}

impl Courtesy {
    pub(super) fn new() -> Self {
        Self {
            now: Cell::new(Manners::Eager),
            since: Cell::new(Instant::now()),
            turns: Cell::new(0),
            rests: Cell::new(0),
        }
    }

    /// A task runs.
    pub(super) fn turn(&self) {
        self.turns.set(self.turns.get().wrapping_add(1));
    }

    /// Nobody is to run.
    pub(super) fn rest(&self, now: Instant) {
        self.rests.set(self.rests.get().wrapping_add(1));
        let time = now.saturating_duration_since(self.since.get());
        if time < WINDOW {
            return;
        }
        self.since.set(now);
        let wanted = judge(self.now.get(), self.turns.take(), self.rests.take(), time);
        self.be(wanted);
    }

    /// The thread is a worker no more.
    pub(super) fn end(&self) {
        self.be(Manners::Eager);
    }

    fn be(&self, wanted: Manners) {
        let now = self.now.get();
        if now != wanted && sched::turn(now, wanted) {
            self.now.set(wanted);
        }
    }
}

/// What fits who has run so many tasks, and rested so often, in this time.
fn judge(now: Manners, turns: u32, rests: u32, time: Duration) -> Manners {
    let (turns, rests, millis) = (u64::from(turns), u64::from(rests), time.as_micros() / 1000);
    let rate = |at_least: u64| u128::from(turns) >= u128::from(at_least) * millis;
    let much = match now {
        // Who waits for one client alone gains nothing.
        Manners::Eager => 2 * turns >= 3 * rests && rate(10),
        Manners::Patient => 8 * turns >= 9 * rests && rate(5),
    };
    if much { Manners::Patient } else { Manners::Eager }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Manners::{Eager, Patient};

    #[test]
    fn who_has_much_to_do_is_patient() {
        let ten = Duration::from_millis(10);
        for (now, turns, rests, time, then) in [
            (Eager, 150, 100, ten, Patient),
            // Few at a time.
            (Eager, 149, 100, ten, Eager),
            // Seldom.
            (Eager, 99, 10, ten, Eager),
            (Eager, 1000, 10, 11 * ten, Eager),
            (Eager, 0, 1, Duration::from_secs(3600), Eager),
            (Eager, u32::MAX, u32::MAX, Duration::MAX, Eager),
            // Who is patient stays so for less.
            (Patient, 90, 80, ten, Patient),
            (Patient, 89, 80, ten, Eager),
            (Patient, 49, 1, ten, Eager),
            (Patient, 1, 1, 100 * ten, Eager),
        ] {
            assert_eq!(judge(now, turns, rests, time), then, "{now:?} {turns} {rests} {time:?}");
        }
    }

    #[cfg(all(any(target_os = "linux", target_os = "android"), not(miri)))]
    #[test]
    fn a_thread_is_eager_again_when_it_is_a_worker_no_more() {
        std::thread::spawn(|| {
            let courtesy = Courtesy::new();
            (0..1000).for_each(|_| courtesy.turn());
            courtesy.rest(courtesy.since.get() + WINDOW);
            assert_eq!(courtesy.now.get(), Patient);
            courtesy.end();
            assert!(sched::turn(Eager, Patient), "it was eager");
            courtesy.end();
            assert!(sched::turn(Patient, Eager), "what others make of it is theirs");
        })
        .join()
        .unwrap();
    }
}
