//! When which task is to be woken.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

/// Who is woken: a place in the worker's table, and its generation.
pub(super) type Who = (u32, u32);

/// Alarms, the earliest first.
///
/// An alarm that is not needed any more is left where it is, since almost all are cancelled and most
/// of those are set anew a moment later; whoever asks the table finds that out when it goes off.
/// Those whose owner is gone are counted, and cleared away when they are the most.
#[derive(Debug, Default)]
pub(super) struct Timers {
    heap: BinaryHeap<Reverse<(Instant, Who)>>,
    stale: usize,
}

impl Timers {
    pub(super) fn set(&mut self, at: Instant, who: Who) {
        self.heap.push(Reverse((at, who)));
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes out the earliest if its time has come.
    pub(super) fn due(&mut self, now: Instant) -> Option<(Instant, Who)> {
        if self.next()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse(alarm)| alarm)
    }

    /// An alarm has lost its owner. `keeps` says of each whether it has not.
    pub(super) fn orphan(&mut self, mut keeps: impl FnMut(Instant, Who) -> bool) {
        self.stale += 1;
        if self.stale > 64 && self.stale > self.heap.len() / 2 {
            self.heap.retain(|Reverse((at, who))| keeps(*at, *who));
            self.stale = 0;
        }
    }

    /// An orphan has gone off.
    pub(super) fn buried(&mut self) {
        self.stale = self.stale.saturating_sub(1);
    }
}
