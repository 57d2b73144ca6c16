//! The tasks of one worker.

use super::carrier::Carrier;
use super::job::Run;
use super::timers::Who;
use std::mem;
use std::sync::Arc;
use std::time::Instant;

/// Tasks by their place, which is used again when a task has ended.
#[derive(Default)]
pub(super) struct Table {
    slots: Vec<Slot>,
    free: Vec<u32>,
}

#[derive(Default)]
pub(super) struct Slot {
    /// How many tasks have been here before.
    generation: u32,
    pub(super) job: Option<Arc<dyn Run>>,
    /// Where it goes on, while it is stopped. A task that has none has not begun.
    pub(super) carrier: Option<Carrier>,
    /// Until when it waits.
    pub(super) until: Option<Instant>,
    /// When its alarm goes off; not later than `until`.
    armed: Option<Instant>,
}

/// What an alarm that has gone off is good for.
pub(super) enum Alarm {
    /// Nothing: its task has ended, or has an earlier one.
    Orphan,
    /// Nothing: its task does not wait any more.
    Idle,
    /// It was set for an earlier wait of its task, which now waits until then.
    Later(Instant),
    Due(Arc<dyn Run>),
}

impl Table {
    pub(super) fn insert(&mut self, job: Arc<dyn Run>) -> u32 {
        let place = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
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
        slot.generation = slot.generation.wrapping_add(1);
        slot.until = None;
        let (job, armed) = (slot.job.take(), slot.armed.take());
        self.free.push(place);
        (job, armed.is_some())
    }

    pub(super) fn slot(&mut self, place: u32) -> &mut Slot {
        &mut self.slots[place as usize]
    }

    pub(super) fn get(&self, place: u32) -> &Slot {
        &self.slots[place as usize]
    }

    /// The task waits until `at`. Whose alarm is to be set then, if none goes off before, and
    /// whether one is orphaned by that.
    pub(super) fn arm(&mut self, place: u32, at: Instant) -> Option<(Who, bool)> {
        let slot = &mut self.slots[place as usize];
        slot.until = Some(at);
        if slot.armed.is_some_and(|armed| armed <= at) {
            return None;
        }
        let orphaned = slot.armed.replace(at).is_some();
        Some(((place, slot.generation), orphaned))
    }

    /// Whether an alarm is still the one of its task.
    pub(super) fn owns(&self, at: Instant, (place, generation): Who) -> bool {
        let slot = &self.slots[place as usize];
        slot.generation == generation && slot.armed == Some(at)
    }

    pub(super) fn alarm(&mut self, now: Instant, at: Instant, who: Who) -> Alarm {
        if !self.owns(at, who) {
            return Alarm::Orphan;
        }
        let slot = &mut self.slots[who.0 as usize];
        slot.armed = None;
        match (slot.until, &slot.job) {
            (Some(until), _) if until > now => {
                slot.armed = Some(until);
                Alarm::Later(until)
            }
            (Some(_), Some(job)) => Alarm::Due(Arc::clone(job)),
            _ => Alarm::Idle,
        }
    }

    pub(super) fn jobs(&self) -> impl Iterator<Item = &Arc<dyn Run>> {
        self.slots.iter().filter_map(|slot| slot.job.as_ref())
    }

    /// Lets go of all tasks, with their stacks and whatever lies on them.
    pub(super) fn leak(&mut self) {
        for slot in &mut self.slots {
            slot.carrier = None;
            mem::forget(slot.job.take());
        }
    }
}
