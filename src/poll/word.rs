//! The readiness of one direction of a descriptor, in one atomic word.
//!
//! | bits | what |
//! |---|---|
//! | `READY` | an event came, or none was needed yet: a call may go on |
//! | `HUP` | the other end has hung up or failed; never cleared |
//! | `RECHECK` | a deadline was set or a cancel came: look again before waiting |
//! | `CLOSED` | nothing goes on any more |
//! | `WAITING` | the flow of control in the waiter's place must be woken |
//! | tick | how many events came; it wraps |
//!
//! The loop of a caller, and what makes it sound:
//!
//! 1. [`begin`](Word::begin) clears `RECHECK` and tells the state. Only afterwards does the caller
//!    look at its deadline.
//! 2. The call is tried. If it would block, [`drained`](Word::drained) clears `READY`, unless an
//!    event has come since 1: the tick tells.
//! 3. [`park`](Word::park) sets `WAITING` by a compare-exchange from the very state that 1 and 2 left.
//!    Whatever the caller should know of before it stops has changed the word since, and then the
//!    exchange fails and the loop starts again.
//!
//! Everybody else makes one change, and the same change takes the waiter out: an event, a close,
//! and a deadline that was stored before. So no wake is lost, and nobody is woken twice for one
//! wait. All that anybody needs to see is in the one word, so acquire and release suffice. (A
//! deadline store followed by "wake somebody if he is parked" does lose wakes: the store may still be
//! unseen when the waiter looks, and the waiter still unseen when the setter looks.)

use crate::sync::atomic::{AtomicU64, Ordering};

const READY: u64 = 1 << 0;
const HUP: u64 = 1 << 1;
const RECHECK: u64 = 1 << 2;
const CLOSED: u64 = 1 << 3;
const WAITING: u64 = 1 << 4;
const TICK: u64 = 1 << 8;

/// What the word said at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct State(u64);

impl State {
    pub(crate) fn is_ready(self) -> bool {
        self.0 & READY != 0
    }

    pub(crate) fn is_hung_up(self) -> bool {
        self.0 & HUP != 0
    }

    pub(crate) fn is_closed(self) -> bool {
        self.0 & CLOSED != 0
    }

    fn ticks(self) -> u64 {
        self.0 / TICK
    }
}

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Word(AtomicU64);

impl Word {
    /// Ready, so that the first call is tried without having been asked for.
    pub(crate) fn new() -> Self {
        Self(AtomicU64::new(READY))
    }

    /// Changes nothing, so it is for those who do not park on what they see.
    pub(crate) fn state(&self) -> State {
        State(self.0.load(Ordering::Acquire))
    }

    /// Starts a round of the caller's loop.
    pub(crate) fn begin(&self) -> State {
        let seen = self.0.load(Ordering::Acquire);
        if seen & RECHECK == 0 {
            return State(seen);
        }
        State(self.0.fetch_and(!RECHECK, Ordering::AcqRel) & !RECHECK)
    }

    /// A call since `seen` would have blocked. The state without `READY` to park from; `None` if
    /// something has happened since.
    pub(crate) fn drained(&self, seen: State) -> Option<State> {
        let without = State(seen.0 & !READY);
        let result =
            self.0.compare_exchange(seen.0, without.0, Ordering::AcqRel, Ordering::Acquire);
        result.is_ok().then_some(without)
    }

    /// As [`drained`](Self::drained), where the caller goes on in any case.
    pub(crate) fn note_drained(&self, seen: State) {
        let clear = |now| (State(now).ticks() == seen.ticks()).then_some(now & !READY);
        let _ = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, clear);
    }

    /// Announces the caller as waiting; `false` if something has happened since `seen`. The
    /// caller's place must be taken before.
    pub(crate) fn park(&self, seen: State) -> bool {
        if seen.0 & (CLOSED | RECHECK | WAITING) != 0 {
            return false;
        }
        let waiting = seen.0 | WAITING;
        self.0.compare_exchange(seen.0, waiting, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// The caller waits no more, woken or not. `false` if somebody has taken him out.
    pub(crate) fn unpark(&self) -> bool {
        // He alone sets it.
        let waits = |now| now & WAITING != 0;
        waits(self.0.load(Ordering::Acquire)) && waits(self.0.fetch_and(!WAITING, Ordering::AcqRel))
    }

    /// An event came. Whether somebody is to be woken.
    #[must_use = "a waiter that was taken out must be woken"]
    pub(crate) fn ready(&self, hung_up: bool) -> bool {
        let set = READY | if hung_up { HUP } else { 0 };
        self.take_waiter(|now| (now | set).wrapping_add(TICK))
    }

    /// A deadline was stored, or there is another reason to look again.
    #[must_use = "a waiter that was taken out must be woken"]
    pub(crate) fn recheck(&self) -> bool {
        self.take_waiter(|now| now | RECHECK)
    }

    #[must_use = "a waiter that was taken out must be woken"]
    pub(crate) fn close(&self) -> bool {
        self.take_waiter(|now| now | CLOSED)
    }

    fn take_waiter(&self, change: impl Fn(u64) -> u64) -> bool {
        let mut now = self.0.load(Ordering::Relaxed);
        loop {
            let next = change(now) & !WAITING;
            match self.0.compare_exchange_weak(now, next, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(before) => return before & WAITING != 0,
                Err(other) => now = other,
            }
        }
    }
}

#[cfg(test)]
#[cfg(not(aqueduct_loom))]
mod tests {
    use super::*;

    #[test]
    fn an_event_between_the_try_and_the_park_is_not_lost() {
        let word = Word::new();
        let seen = word.begin();
        assert!(!word.ready(false), "nobody waits yet");
        assert_eq!(word.drained(seen), None, "the event is newer than the try");
        word.note_drained(seen);
        assert!(word.state().is_ready());
        let seen = word.begin();
        let dry = word.drained(seen).expect("nothing came");
        assert!(!word.ready(false));
        assert!(!word.park(dry));
    }

    #[test]
    fn whatever_happens_takes_the_waiter_out_once() {
        for change in [|w: &Word| w.ready(false), Word::recheck, Word::close] {
            let word = Word::new();
            let dry = word.drained(word.begin()).expect("nothing came");
            assert!(word.park(dry));
            assert!(change(&word));
            assert!(!change(&word), "it was taken out");
        }
    }

    #[test]
    fn a_recheck_and_a_close_keep_the_caller_from_parking() {
        let word = Word::new();
        let dry = word.drained(word.begin()).expect("nothing came");
        assert!(!word.recheck());
        assert!(!word.park(dry));
        let dry = word.begin();
        assert!(!dry.is_ready());
        assert!(!word.close());
        assert!(!word.park(dry));
        assert!(!word.park(word.begin()), "closed for ever");
        assert!(word.state().is_closed());
    }

    #[test]
    fn a_hang_up_stays() {
        let word = Word::new();
        assert!(!word.ready(true));
        word.note_drained(word.begin());
        assert!(word.state().is_hung_up() && !word.state().is_ready());
    }

    #[test]
    fn ticks_wrap_around_without_touching_the_flags() {
        let word = Word(AtomicU64::new(u64::MAX - (TICK - 1) + (HUP | READY)));
        assert!(!word.ready(false));
        assert_eq!(word.state(), State(READY | HUP));
    }
}

/// Every order in which the threads' steps can fall is tried: see [`loom`].
#[cfg(all(test, aqueduct_loom))]
mod loom_models;
