//! The tasks of one worker.

use super::carrier::Carrier;
use super::job::Run;
use super::timers::{Moment, NEVER};
use std::mem;
use std::sync::Arc;

/// Tasks by their place, which is used again when a task has ended.
#[derive(Default)]
pub(super) struct Table {
    slots: Vec<Slot>,
    free: Vec<u32>,
}

pub(super) struct Slot {
    pub(super) job: Option<Arc<dyn Run>>,
    /// Where it goes on, while it is stopped. A task that has none has not begun.
    pub(super) carrier: Option<Carrier>,
    /// Until when it waits.
    pub(super) until: Moment,
    /// When its alarm goes off; not later than `until`.
    armed: Moment,
}

/// What an alarm that has gone off is good for.
pub(super) enum Alarm {
    /// Nothing: its task has ended, or has an earlier one.
    Orphan,
    /// Nothing: its task does not wait any more.
    Idle,
    /// It was set for an earlier wait of its task, which now waits until then.
    Later(Moment),
    Due(Arc<dyn Run>),
}

impl Table {
    pub(super) fn insert(&mut self, job: Arc<dyn Run>) -> u32 {
        let place = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { job: None, carrier: None, until: NEVER, armed: NEVER });
            // Four thousand million tasks do not fit into the address space.
            (self.slots.len() - 1) as u32
        });
        job.core().settle(place);
        self.slots[place as usize].job = Some(job);
        place
    }

    /// The task has ended. Its job, and whether it leaves an alarm behind.
    pub(super) fn remove(&mut self, place: u32) -> (Option<Arc<dyn Run>>, bool) {
        let slot = &mut self.slots[place as usize];
        slot.until = NEVER;
        let (job, armed) = (slot.job.take(), mem::replace(&mut slot.armed, NEVER));
        self.free.push(place);
        (job, armed != NEVER)
    }

    pub(super) fn slot(&mut self, place: u32) -> &mut Slot {
        &mut self.slots[place as usize]
    }

    pub(super) fn get(&self, place: u32) -> &Slot {
        &self.slots[place as usize]
    }

    /// The task waits until `at`. Whether an alarm is to be set for that, and whether another one is
    /// orphaned by it.
    pub(super) fn arm(&mut self, place: u32, at: Moment) -> (bool, bool) {
        let slot = &mut self.slots[place as usize];
        slot.until = at;
        if slot.armed <= at {
            return (false, false);
        }
        let before = mem::replace(&mut slot.armed, at);
        (true, before != NEVER)
    }

    /// Whether an alarm is the one of who is in its place now. It may have been set by a
    /// predecessor for the same moment, which is as good.
    pub(super) fn owns(&self, at: Moment, place: u32) -> bool {
        self.slots[place as usize].armed == at
    }

    pub(super) fn alarm(&mut self, now: Moment, at: Moment, place: u32) -> Alarm {
        if !self.owns(at, place) {
            return Alarm::Orphan;
        }
        let slot = &mut self.slots[place as usize];
        slot.armed = NEVER;
        match &slot.job {
            _ if slot.until == NEVER => Alarm::Idle,
            _ if slot.until > now => {
                slot.armed = slot.until;
                Alarm::Later(slot.until)
            }
            Some(job) => Alarm::Due(Arc::clone(job)),
            None => Alarm::Idle,
        }
    }

    pub(super) fn jobs(&self) -> impl Iterator<Item = &Arc<dyn Run>> {
        self.slots.iter().filter_map(|slot| slot.job.as_ref())
    }

    /// Lets go of all tasks, with their stacks and whatever lies on them: each, and whether it has
    /// begun. The root, which has no end, is not among them.
    pub(super) fn leak(&mut self) -> Vec<(Arc<dyn Run>, bool)> {
        let slots = mem::take(&mut self.slots).into_iter().skip(1);
        slots.filter_map(|slot| slot.job.map(|job| (job, slot.carrier.is_some()))).collect()
    }
}
