//! Models of the word: a reader, and those who change it meanwhile. Every order of their steps is
//! tried, and each value that a weakly ordered memory may show. loom's `Notify` stands for the
//! reader's permit; where a wake is lost loom reports a deadlock.
//!
//! A model is leaked, for a panic in the midst of one could not drop what is loom's.

use super::super::deadline::Deadline;
use super::{State, Word};
use loom::sync::Notify;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use std::time::{Duration, Instant};

/// A direction of a stream as `Side` and the reader's loop use it, without the system.
struct Model {
    word: Word,
    deadline: Deadline,
    /// Bytes that nobody has read.
    bytes: AtomicUsize,
    /// How often the reader was woken by whoever took it out.
    wakes: AtomicUsize,
    parks: AtomicUsize,
    permit: Notify,
}

#[derive(Debug, PartialEq, Eq)]
enum End {
    Bytes(usize),
    Closed,
    TimedOut,
}

impl Model {
    fn new() -> &'static Self {
        Box::leak(Box::new(Self {
            word: Word::new(),
            deadline: Deadline::none(),
            bytes: AtomicUsize::new(0),
            wakes: AtomicUsize::new(0),
            parks: AtomicUsize::new(0),
            permit: Notify::new(),
        }))
    }

    /// Fails, or tells the state to go on from. A past deadline is one that is set: time stands
    /// still in a model.
    fn begin(&self) -> Result<State, End> {
        let seen = self.word.begin();
        if seen.is_closed() {
            return Err(End::Closed);
        }
        if self.deadline.get().is_some() { Err(End::TimedOut) } else { Ok(seen) }
    }

    fn take(&self) -> usize {
        self.bytes.swap(0, Ordering::AcqRel)
    }

    /// The loop of `Stream`, on a thread that trusts its edges.
    fn read(&self) -> End {
        loop {
            let seen = match self.begin() {
                Ok(seen) => seen,
                Err(end) => return end,
            };
            if seen.is_ready() {
                let n = self.take();
                if n > 0 {
                    return End::Bytes(n);
                }
                if self.word.drained(seen).is_none() {
                    continue;
                }
            }
            let seen = match self.begin() {
                Ok(seen) => seen,
                Err(end) => return end,
            };
            if seen.is_ready() {
                continue;
            }
            if self.word.park(seen) {
                self.parks.fetch_add(1, Ordering::Relaxed);
                self.permit.wait();
                self.word.unpark();
            }
        }
    }

    fn wake(&self, taken_out: bool) {
        if taken_out {
            self.wakes.fetch_add(1, Ordering::Relaxed);
            self.permit.notify();
        }
    }

    /// Bytes come, and the event that tells so.
    fn event(&self) {
        self.bytes.fetch_add(1, Ordering::AcqRel);
        self.wake(self.word.ready(false));
    }

    fn close(&self) {
        self.wake(self.word.close());
    }

    fn set_deadline(&self) {
        self.deadline.set(Some(Instant::now()));
        self.wake(self.word.recheck());
    }
}

/// Without a bound on the preemptions the larger models take hours.
fn explore(preemptions: usize, body: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(body);
}

/// Runs a reader beside these, and tells how its read ended.
fn model(others: &'static [fn(&Model)], check: fn(&End)) {
    explore(3, move || {
        let model = Model::new();
        let threads: Vec<_> =
            others.iter().map(|other| thread::spawn(move || other(model))).collect();
        let end = model.read();
        check(&end);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let (wakes, parks) = (&model.wakes, &model.parks);
        assert!(wakes.load(Ordering::Relaxed) <= parks.load(Ordering::Relaxed) + 1);
    });
}

#[test]
fn loom_an_event_is_not_lost() {
    model(&[Model::event], |end| assert_eq!(*end, End::Bytes(1)));
}

#[test]
fn loom_two_events_are_not_lost_and_wake_once_each_at_most() {
    model(&[Model::event, Model::event], |end| assert!(matches!(end, End::Bytes(1 | 2))));
}

#[test]
fn loom_a_close_is_not_lost() {
    model(&[Model::close], |end| assert_eq!(*end, End::Closed));
}

#[test]
fn loom_a_deadline_is_not_lost() {
    model(&[Model::set_deadline], |end| assert_eq!(*end, End::TimedOut));
}

#[test]
fn loom_an_event_and_a_close() {
    model(&[Model::event, Model::close], |end| {
        assert!(matches!(end, End::Closed | End::Bytes(1)));
    });
}

#[test]
fn loom_an_event_and_a_deadline() {
    model(&[Model::event, Model::set_deadline], |end| {
        assert!(matches!(end, End::TimedOut | End::Bytes(1)));
    });
}

#[test]
fn loom_a_deadline_and_a_close() {
    model(&[Model::set_deadline, Model::close], |end| {
        assert!(matches!(end, End::TimedOut | End::Closed));
    });
}

/// READY is cleared only if no event came after the call that found nothing: whatever comes is
/// read, by a second read if not by the first.
#[test]
fn loom_two_reads_get_all_that_comes() {
    explore(2, || {
        let model = Model::new();

        let events = thread::spawn(move || {
            model.event();
            model.event();
        });
        let mut got = 0;
        while got < 2 {
            match model.read() {
                End::Bytes(n) => got += n,
                other => panic!("{other:?}"),
            }
        }
        events.join().unwrap();
        assert_eq!(got, 2);
    });
}

/// A read that falls short clears READY by the tick, with an event on its way.
#[test]
fn loom_a_short_read_that_proves_all_was_read_hides_no_event() {
    explore(3, || {
        let model = Model::new();

        model.event();
        let events = thread::spawn(move || model.event());
        let mut got = 0;
        while got < 2 {
            // What `Stream::read` does on TCP.
            let seen = model.word.begin();
            let n = if seen.is_ready() { model.take() } else { 0 };
            if n > 0 {
                model.word.note_drained(seen);
                got += n;
                continue;
            }
            match model.read() {
                End::Bytes(n) => got += n,
                other => panic!("{other:?}"),
            }
        }
        events.join().unwrap();
    });
}

/// After a close each call fails in finitely many steps, one that sleeps too.
#[test]
fn loom_whatever_was_closed_stays_so() {
    explore(2, || {
        let model = Model::new();

        let other = thread::spawn(move || {
            model.close();
            model.event();
        });
        assert!(matches!(model.read(), End::Closed | End::Bytes(1)));
        other.join().unwrap();
        assert_eq!(model.read(), End::Closed);
    });
}

/// A deadline that was lifted before anybody looked does not fire, and hides no event.
#[test]
fn loom_a_deadline_that_is_lifted_hides_no_event() {
    explore(2, || {
        let model = Model::new();

        let setter = thread::spawn(move || {
            model.set_deadline();
            model.deadline.set(None);
            model.wake(model.word.recheck());
            model.event();
        });
        let first = model.read();
        if first == End::TimedOut {
            setter.join().unwrap();
            assert_eq!(model.read(), End::Bytes(1));
        } else {
            assert_eq!(first, End::Bytes(1));
            setter.join().unwrap();
        }
    });
}

/// What the word is for: a deadline that is stored, and a wake for whoever is seen to wait, lose
/// one another.
#[test]
#[should_panic(expected = "deadlock")]
fn loom_a_naive_deadline_is_lost() {
    fn naive(model: &Model) {
        model.deadline.set(Some(Instant::now() + Duration::from_secs(1)));
        if model.word.state().0 & super::WAITING != 0 {
            model.wake(model.word.recheck());
        }
    }
    model(&[naive], |end| assert_eq!(*end, End::TimedOut));
}

/// Why a caller in the queue must not begin a round: it takes RECHECK away from whoever parks.
#[test]
#[should_panic(expected = "deadlock")]
fn loom_a_second_caller_that_begins_a_round_hides_a_deadline() {
    model(&[Model::set_deadline, |model| drop(model.begin())], |end| {
        assert_eq!(*end, End::TimedOut);
    });
}

#[test]
fn loom_a_second_caller_that_only_looks_hides_nothing() {
    fn look(model: &Model) {
        let _ = model.word.state().is_closed() || model.deadline.get().is_some();
    }
    model(&[Model::set_deadline, look], |end| assert_eq!(*end, End::TimedOut));
}
