//! When which task is to be woken.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A point in time, in nanoseconds after the worker's start; `NEVER` is none.
pub(super) type Moment = u64;

pub(super) const NEVER: Moment = Moment::MAX;

/// Alarms, the earliest first, each for a place in the worker's table.
///
/// An alarm that is not needed any more is left where it is, since almost all are cancelled and most
/// of those are set anew a moment later; whoever asks the table finds that out when it goes off.
/// Those whose owner is gone are counted, and cleared away when they are the most.
#[derive(Debug, Default)]
pub(super) struct Timers {
    heap: BinaryHeap<Reverse<(Moment, u32)>>,
    stale: usize,
}

impl Timers {
    pub(super) fn set(&mut self, at: Moment, place: u32) {
        self.heap.push(Reverse((at, place)));
    }

    pub(super) fn next(&self) -> Option<Moment> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes out the earliest if its time has come.
    pub(super) fn due(&mut self, now: Moment) -> Option<(Moment, u32)> {
        if self.next()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse(alarm)| alarm)
    }

    /// An alarm has lost its owner. `keeps` says of each whether it has not.
    pub(super) fn orphan(&mut self, mut keeps: impl FnMut(Moment, u32) -> bool) {
        self.stale += 1;
        if self.stale > 64 && self.stale > self.heap.len() / 2 {
            self.heap.retain(|Reverse((at, place))| keeps(*at, *place));
            self.stale = 0;
        }
    }

    /// An orphan has gone off.
    pub(super) fn buried(&mut self) {
        self.stale = self.stale.saturating_sub(1);
    }
}

#[cfg(test)]
#[cfg(not(any(miri, aqueduct_loom)))]
mod tests {
    use super::*;
    use crate::poll::Registry;
    use crate::task::job::{Core, Run};
    use crate::task::office::Office;
    use crate::task::table::{Alarm, Table};
    use std::collections::BTreeMap;
    use std::io;
    use std::sync::Arc;
    use std::task::Waker;

    struct Sleeper(Core);

    impl Run for Sleeper {
        fn core(&self) -> &Core {
            &self.0
        }

        fn run(&self) {}

        fn refuse(&self, _: io::Error) {}

        fn abandon(&self, _: io::Error) {}

        fn waker(self: Arc<Self>) -> Waker {
            Waker::noop().clone()
        }
    }

    struct Dice(u64);

    impl Dice {
        fn roll(&mut self, sides: u64) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 >> 11) % sides
        }
    }

    /// A worker's alarms, as it uses them, and who waits until when.
    struct Night {
        office: Arc<Office>,
        table: Table,
        timers: Timers,
        waits: BTreeMap<u32, Moment>,
        now: Moment,
    }

    impl Night {
        fn new(tasks: u32) -> Self {
            let office = Office::new(&Registry::new(None, true).unwrap());
            let (table, timers, waits) = Default::default();
            let mut this = Self { office, table, timers, waits, now: 0 };
            (0..tasks).for_each(|place| assert_eq!(this.begin(), place));
            this
        }

        fn begin(&mut self) -> u32 {
            self.table.insert(Arc::new(Sleeper(Core::new(Arc::clone(&self.office), None))))
        }

        fn wait(&mut self, place: u32, until: Moment) {
            self.waits.insert(place, until);
            let (set, orphaned) = self.table.arm(place, until);
            if set {
                self.timers.set(until, place);
            }
            if orphaned {
                self.orphan();
            }
        }

        fn wake(&mut self, place: u32) {
            self.waits.remove(&place);
            self.table.slot(place).until = NEVER;
        }

        /// The task ends, and another one takes its place.
        fn end(&mut self, place: u32) {
            self.waits.remove(&place);
            let (_, armed) = self.table.remove(place);
            if armed {
                self.orphan();
            }
            assert_eq!(self.begin(), place);
        }

        fn orphan(&mut self) {
            self.timers.orphan(|at, place| self.table.owns(at, place));
        }

        /// Time goes on, and exactly those are woken whose time has come.
        fn pass(&mut self, time: Moment) {
            self.now += time;
            let due: Vec<_> =
                self.waits.iter().filter(|(_, at)| **at <= self.now).map(|(p, _)| *p).collect();
            let mut woken = Vec::new();
            while let Some((at, place)) = self.timers.due(self.now) {
                match self.table.alarm(self.now, at, place) {
                    Alarm::Orphan => self.timers.buried(),
                    Alarm::Idle => {}
                    Alarm::Later(until) => self.timers.set(until, place),
                    Alarm::Due(_) => woken.push(place),
                }
            }
            woken.sort_unstable();
            assert_eq!(woken, due);
            due.into_iter().for_each(|place| self.wake(place));
        }

        fn check(&self, tasks: usize) {
            let first = self.waits.values().min();
            assert!(first.is_none_or(|first| self.timers.next().is_some_and(|at| at <= *first)));
            // Those that have an owner, as many without, and some.
            assert!(self.timers.heap.len() <= 2 * tasks + 66, "{}", self.timers.heap.len());
        }
    }

    #[test]
    fn a_hundred_thousand_deadlines_are_kept_and_their_orphans_cleared_away() {
        const TASKS: u32 = 500;
        for seed in 1..4 {
            let (mut night, mut dice) = (Night::new(TASKS), Dice(seed << 20 | 1));
            for step in 0..100_000 {
                let place = dice.roll(TASKS.into()) as u32;
                let far = 1 << dice.roll(30);
                match dice.roll(10) {
                    0..4 => night.wait(place, night.now + dice.roll(far)),
                    4..6 => night.wake(place),
                    6..8 => night.end(place),
                    8 => night.wait(place, night.now.saturating_sub(dice.roll(50))),
                    _ => night.pass(dice.roll(1000)),
                }
                if step % 16 == 0 {
                    night.check(TASKS as usize);
                }
            }
            night.pass(1 << 31);
            assert!(night.waits.is_empty());
        }
    }

    /// As a server that sets a deadline before each read, of which none ever passes.
    #[test]
    fn deadlines_that_are_put_off_again_and_again_leave_one_alarm() {
        let mut night = Night::new(1);
        for now in 0..10_000 {
            night.wait(0, now + 100_000);
            night.wake(0);
        }
        assert_eq!(night.timers.heap.len(), 1);
    }
}
