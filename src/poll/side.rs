//! One direction of a stream: its word, its deadline, and who waits.

use super::deadline::{Deadline, Timeout};
use super::word::{State, Word};
use crate::error;
use crate::park::{Turn, Turns, Unparker};
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Mutex, MutexGuard};
use std::io;
use std::sync::PoisonError;
use std::time::Instant;

/// See the [module](self). Whoever waits for an event has the direction to himself: callers
/// take turns.
#[derive(Debug)]
pub(crate) struct Side {
    word: Word,
    deadline: Deadline,
    pub(crate) timeout: Timeout,
    turns: Turns,
    /// Calls answer `WouldBlock` where they would wait.
    hasty: AtomicBool,
    /// It is worth while to try a call before it is left to the system.
    expects: AtomicBool,
    /// The place of the waiter. It is filled before `WAITING` is set. Whoever takes `WAITING` out takes
    /// out who is there, and wakes him: this waiter or, after it has gone, a later one, who is woken for
    /// nothing then, as every wait may be. If nobody is there, another is about to wake him.
    waiter: Mutex<Option<Unparker>>,
}

/// What a round of the caller's loop starts from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Round {
    pub(crate) seen: State,
    pub(crate) deadline: Option<Instant>,
}

impl Side {
    pub(crate) fn new() -> Self {
        Self {
            word: Word::new(),
            deadline: Deadline::none(),
            timeout: Timeout::none(),
            turns: Turns::new(),
            hasty: AtomicBool::new(false),
            expects: AtomicBool::new(true),
            waiter: Mutex::new(None),
        }
    }

    /// Starts a round: fails if the side is closed or its deadline has passed, even if bytes are
    /// there.
    pub(crate) fn begin(&self) -> io::Result<Round> {
        self.round(self.word.begin(), true)
    }

    /// As [`begin`](Self::begin), from the state that the word's `begin` told. Unless the caller is `timely`,
    /// a deadline may have passed.
    pub(crate) fn round(&self, seen: State, timely: bool) -> io::Result<Round> {
        let deadline = if timely { self.check(seen)? } else { self.bound(seen)? };
        Ok(Round { seen, deadline })
    }

    /// Fails as [`begin`](Self::begin) does, for who does not park.
    pub(crate) fn refuse(&self) -> io::Result<()> {
        self.check(self.word.state()).map(drop)
    }

    fn check(&self, seen: State) -> io::Result<Option<Instant>> {
        let deadline = self.bound(seen)?;
        if deadline.is_some_and(|at| at <= Instant::now()) {
            return Err(error::timed_out());
        }
        Ok(deadline)
    }

    fn bound(&self, seen: State) -> io::Result<Option<Instant>> {
        if seen.is_closed() { Err(error::closed()) } else { Ok(self.deadline.get()) }
    }

    /// Whether a call may take as long as it likes, as far as deadlines go.
    pub(crate) fn is_patient(&self) -> bool {
        self.deadline.get().is_none() && self.timeout.starting_now().is_none()
    }

    pub(crate) fn word(&self) -> &Word {
        &self.word
    }

    /// Waits for the direction. The side may be closed meanwhile, or its deadline pass.
    pub(crate) fn enter(&self, until: Option<Instant>) -> io::Result<Turn<'_>> {
        self.turns.enter(|| {
            // To begin a round here would take away from whoever has the turn the sign that he
            // must look again.
            let deadline = self.check(self.word.state())?;
            if until.is_some_and(|at| at <= Instant::now()) {
                return Err(error::timed_out());
            }
            Ok([deadline, until].into_iter().flatten().min())
        })
    }

    /// Takes the direction if nobody has it.
    pub(crate) fn try_enter(&self) -> Option<Turn<'_>> {
        self.turns.try_enter()
    }

    /// While `f` runs, calls of this side answer `WouldBlock` where they would wait. For who owns the
    /// direction and waits for it himself, with less in his hands. They are always tried, since a wait by
    /// poll(2) leaves no event in the word.
    pub(crate) fn hastily<T>(&self, f: impl FnOnce() -> T) -> T {
        self.hasty.store(true, Ordering::Relaxed);
        let _patient = Patient(&self.hasty);
        f()
    }

    pub(crate) fn is_hasty(&self) -> bool {
        self.hasty.load(Ordering::Relaxed)
    }

    /// Whether it is worth while to try a call before it is left to the system.
    pub(crate) fn expects(&self) -> bool {
        self.expects.load(Ordering::Relaxed)
    }

    pub(crate) fn expect(&self, yes: bool) {
        if yes != self.expects() {
            self.expects.store(yes, Ordering::Relaxed);
        }
    }

    /// Sets or clears the deadline, for a wait under way too.
    pub(crate) fn set_deadline(&self, at: Option<Instant>) {
        self.deadline.set(at);
        self.recheck();
        self.turns.recheck();
    }

    /// An event came.
    #[cfg(test)]
    pub(crate) fn ready(&self, hung_up: bool) {
        if let Some(waiter) = self.ready_for(hung_up) {
            waiter.unpark();
        }
    }

    /// An event came. The caller wakes who has waited.
    #[must_use = "who has waited must be woken"]
    pub(crate) fn ready_for(&self, hung_up: bool) -> Option<Unparker> {
        if self.word.ready(hung_up) { self.waiter().take() } else { None }
    }

    pub(crate) fn close(&self) {
        if self.word.close() {
            self.wake();
        }
        self.turns.recheck();
    }

    /// Somebody else than an event has a reason for the waiter to look again.
    pub(crate) fn recheck(&self) {
        if self.word.recheck() {
            self.wake();
        }
    }

    /// Announces the running flow of control as waiting from the state that `seen` tells; `false`
    /// if something has happened since.
    pub(crate) fn park(&self, seen: State, me: Unparker) -> bool {
        let former = self.waiter().replace(me);
        drop(former);
        let parked = self.word.park(seen);
        if !parked {
            self.vacate();
        }
        parked
    }

    pub(crate) fn unpark(&self) {
        if self.word.unpark() {
            self.vacate();
        }
    }

    /// A stream that kept its last waiter would keep alive all that wakes him, descriptors among
    /// it, for as long as it is there itself.
    fn vacate(&self) {
        let gone = self.waiter().take();
        drop(gone);
    }

    fn wake(&self) {
        let waiter = self.waiter().take();
        if let Some(waiter) = waiter {
            waiter.unpark();
        }
    }

    fn waiter(&self) -> MutexGuard<'_, Option<Unparker>> {
        self.waiter.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Patient<'a>(&'a AtomicBool);

impl Drop for Patient<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

#[cfg(test)]
#[cfg(not(aqueduct_loom))]
mod tests {
    use super::*;
    use std::io::ErrorKind;
    use std::sync::Arc;
    use std::task::{Wake, Waker};
    use std::thread;
    use std::time::Duration;

    #[test]
    fn who_has_waited_is_let_go() {
        struct Nobody;
        impl Wake for Nobody {
            fn wake(self: Arc<Self>) {}
        }
        let nobody = Arc::new(Nobody);
        let me = Unparker::from(Waker::from(Arc::clone(&nobody)));
        let side = Side::new();
        let dry = side.word().drained(side.begin().unwrap().seen).expect("nothing came");
        assert!(side.park(dry, me.clone()));
        side.unpark();
        assert_eq!(Arc::strong_count(&nobody), 2, "that of `me` is left");
        side.ready(false);
        assert!(!side.park(dry, me), "an event came");
        assert_eq!(Arc::strong_count(&nobody), 1);
    }

    #[test]
    fn who_queues_does_not_hide_a_deadline_from_who_has_the_turn() {
        let side = Side::new();
        let _turn = side.enter(None).unwrap();
        let round = side.begin().unwrap();
        let dry = side.word().drained(round.seen).expect("nothing came");
        side.set_deadline(Some(Instant::now()));
        thread::scope(|scope| {
            let queued = scope.spawn(|| side.enter(None).map(drop).unwrap_err());
            assert_eq!(queued.join().unwrap().kind(), ErrorKind::TimedOut);
        });
        assert!(!side.park(dry, Unparker::current()), "parked past its deadline");
    }

    #[test]
    fn what_has_ended_refuses_whoever_comes() {
        let side = Side::new();
        side.set_deadline(Some(Instant::now()));
        assert_eq!(side.begin().unwrap_err().kind(), ErrorKind::TimedOut);
        assert_eq!(side.refuse().unwrap_err().kind(), ErrorKind::TimedOut);
        side.set_deadline(None);
        assert_eq!(side.begin().unwrap().deadline, None);
        side.close();
        side.set_deadline(Some(Instant::now()));
        assert_eq!(side.begin().unwrap_err().kind(), ErrorKind::NotConnected);
        assert_eq!(side.refuse().unwrap_err().kind(), ErrorKind::NotConnected);
    }

    #[test]
    fn a_queue_is_left_at_the_nearest_of_the_deadlines() {
        let side = Side::new();
        let turn = side.try_enter().unwrap();
        let now = Instant::now();
        assert_eq!(side.enter(Some(now)).unwrap_err().kind(), ErrorKind::TimedOut);
        side.set_deadline(Some(now + Duration::from_millis(1)));
        let patient = Some(now + Duration::from_secs(3600));
        assert_eq!(side.enter(patient).unwrap_err().kind(), ErrorKind::TimedOut);
        drop(turn);
        assert!(side.enter(Some(now)).is_ok(), "nobody has to wait");
    }

    #[test]
    fn a_waiter_that_has_gone_is_not_in_the_way() {
        let side = Side::new();
        let dry = side.word().drained(side.begin().unwrap().seen).expect("nothing came");
        assert!(side.park(dry, Unparker::current()));
        assert!(!side.park(dry, Unparker::current()), "one at a time");
        side.unpark();
        thread::scope(|scope| {
            scope.spawn(|| assert!(side.park(dry, Unparker::current())));
        });
        side.ready(false);
        assert!(side.begin().unwrap().seen.is_ready());
    }
}
