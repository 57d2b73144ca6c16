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
