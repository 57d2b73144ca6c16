//! Taking turns: a lock in the order of arrival, whose waiters can be told to look again.

use super::{Unparker, park_until};
use crate::sync::atomic::{AtomicU8, Ordering};
use crate::sync::{Mutex, MutexGuard};
use std::collections::VecDeque;
use std::io;
use std::sync::PoisonError;
use std::time::Instant;

const FREE: u8 = 0;
const HELD: u8 = 1;
/// Held, and somebody queues. Entered and left under the lock of the queue alone.
const QUEUED: u8 = 2;

/// One holder at a time, first come first served.
#[derive(Debug)]
pub(crate) struct Turns {
    /// Never just stored: each change continues the one before, that of `recheck` too.
    state: AtomicU8,
    queue: Mutex<Queue>,
}

#[derive(Debug)]
struct Queue {
    /// Whoever is taken out has got the turn.
    waiting: VecDeque<(u64, Unparker)>,
    next: u64,
}

/// The turn is held until this is dropped.
#[derive(Debug)]
#[must_use = "the turn ends when this is dropped"]
pub(crate) struct Turn<'a>(&'a Turns);

impl Turns {
    pub(crate) fn new() -> Self {
        let queue = Queue { waiting: VecDeque::new(), next: 0 };
        Self { state: AtomicU8::new(FREE), queue: Mutex::new(queue) }
    }

    /// Waits for the turn. Before each wait `check` tells until when, or why not at all.
    pub(crate) fn enter(
        &self,
        mut check: impl FnMut() -> io::Result<Option<Instant>>,
    ) -> io::Result<Turn<'_>> {
        if let Some(turn) = self.try_enter() {
            return Ok(turn);
        }
        let mut queue = self.lock();
        if self.state.swap(QUEUED, Ordering::Acquire) == FREE {
            self.state.swap(HELD, Ordering::Relaxed);
            return Ok(Turn(self));
        }
        let ticket = queue.next;
        queue.next = ticket.wrapping_add(1);
        queue.waiting.push_back((ticket, Unparker::current()));
        drop(queue);
        loop {
            let parked = check().and_then(park_until);
            let mut queue = self.lock();
            let place = queue.waiting.iter().position(|(there, _)| *there == ticket);
            match (place, parked) {
                // Whatever came with it: the turn is ours, and must be used or passed on.
                (None, _) => return Ok(Turn(self)),
                (Some(_), Ok(())) => {}
                (Some(place), Err(error)) => {
                    queue.waiting.remove(place);
                    return Err(error);
                }
            }
        }
    }

    pub(crate) fn try_enter(&self) -> Option<Turn<'_>> {
        let taken = self.state.compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed);
        // Not `then_some`: a turn that was made for nothing would end that of the holder.
        taken.is_ok().then(|| Turn(self))
    }

    /// Has everybody in the queue check again.
    pub(crate) fn recheck(&self) {
        // A change, although of nothing: either it comes before that of whoever queues up, who
        // then sees what is to be checked, or after it, and sees him.
        if self.state.fetch_or(0, Ordering::Release) == QUEUED {
            self.lock().waiting.iter().for_each(|(_, waiter)| waiter.unpark());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let state = &self.0.state;
        if state.compare_exchange(HELD, FREE, Ordering::Release, Ordering::Relaxed).is_ok() {
            return;
        }
        let mut queue = self.0.lock();
        match queue.waiting.pop_front() {
            Some((_, next)) => {
                let state_now = if queue.waiting.is_empty() { HELD } else { QUEUED };
                state.swap(state_now, Ordering::Relaxed);
                drop(queue);
                next.unpark();
            }
            None => {
                state.swap(FREE, Ordering::Release);
            }
        }
    }
}

#[cfg(test)]
#[cfg(not(aqueduct_loom))]
mod tests {
    use super::*;
    use crate::error;
    use std::sync::atomic::AtomicUsize;
    use std::thread;

    #[test]
    fn a_turn_that_was_not_got_leaves_that_of_the_holder_alone() {
        let turns = Turns::new();
        let turn = turns.try_enter().expect("nobody has it");
        assert!(turns.try_enter().is_none());
        assert!(turns.try_enter().is_none());
        let refused = turns.enter(|| Err(error::timed_out())).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::TimedOut);
        assert!(turns.try_enter().is_none());
        drop(turn);
        assert!(turns.try_enter().is_some());
    }

    #[test]
    fn first_come_first_served() {
        let turns = Turns::new();
        let served = Mutex::new(Vec::new());
        thread::scope(|scope| {
            let turn = turns.try_enter().expect("nobody has it");
            for number in 0..3 {
                let (turns, served) = (&turns, &served);
                scope.spawn(move || {
                    let _turn = turns.enter(|| Ok(None)).unwrap();
                    served.lock().unwrap().push(number);
                });
                while turns.lock().waiting.len() <= number {
                    thread::yield_now();
                }
            }
            drop(turn);
        });
        assert_eq!(served.into_inner().unwrap(), [0, 1, 2]);
    }

    #[test]
    fn one_at_a_time() {
        let rounds = if cfg!(miri) { 20 } else { 5_000 };
        let (turns, inside, done) = (Turns::new(), AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..rounds {
                        let _turn = turns.enter(|| Ok(None)).unwrap();
                        assert_eq!(inside.fetch_add(1, Ordering::Relaxed), 0);
                        done.fetch_add(1, Ordering::Relaxed);
                        inside.fetch_sub(1, Ordering::Relaxed);
                        turns.recheck();
                    }
                });
            }
        });
        assert_eq!(done.into_inner(), 4 * rounds);
    }
}

#[cfg(all(test, aqueduct_loom))]
mod loom_models;
