//! Models of taking turns. What is done in a turn has no order of its own.

use super::{QUEUED, Turns};
use crate::error;
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use loom::thread;
use std::io;
use std::time::Instant;

struct Model {
    turns: Turns,
    /// Nobody is to wait any more.
    closed: AtomicBool,
    entered: AtomicUsize,
}

impl Model {
    fn new() -> &'static Self {
        Box::leak(Box::new(Self {
            turns: Turns::new(),
            closed: AtomicBool::new(false),
            entered: AtomicUsize::new(0),
        }))
    }

    fn check(&self) -> io::Result<Option<Instant>> {
        if self.closed.load(Ordering::Relaxed) { Err(error::closed()) } else { Ok(None) }
    }

    /// One turn; whether it came.
    fn turn(&self) -> bool {
        let Ok(_turn) = self.turns.enter(|| self.check()) else { return false };
        self.work();
        true
    }

    /// Loses counts if anybody else does the same meanwhile.
    fn work(&self) {
        let before = self.entered.load(Ordering::Relaxed);
        self.entered.store(before + 1, Ordering::Relaxed);
    }

    fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        self.turns.recheck();
    }

    fn is_free_after(&self, entered: usize) -> bool {
        let turn = self.turns.try_enter();
        turn.is_some() && self.entered.load(Ordering::Relaxed) == entered
    }
}

fn explore(preemptions: usize, body: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(body);
}

#[test]
fn loom_each_has_one_turn_and_alone() {
    explore(2, || {
        let model = Model::new();
        let others = [(); 2].map(|()| thread::spawn(|| model.turn()));
        assert!(model.turn());
        assert!(others.into_iter().all(|other| other.join().unwrap()));
        assert!(model.is_free_after(3));
    });
}

/// Whoever has the turn keeps it until the one in the queue has gone.
fn refused(close: fn(&Model)) {
    explore(3, move || {
        let model = Model::new();
        let turn = model.turns.try_enter().unwrap();
        let queued = thread::spawn(|| model.turn());
        close(model);
        assert!(!queued.join().unwrap());
        drop(turn);
        assert!(model.is_free_after(0));
    });
}

#[test]
fn loom_whoever_queues_hears_of_a_close() {
    refused(Model::close);
}

/// Why `recheck` makes a change of nothing: a look that sees nobody orders nothing.
#[test]
#[should_panic(expected = "deadlock")]
fn loom_a_recheck_that_only_looks_is_not_heard() {
    refused(|model| {
        model.closed.store(true, Ordering::Relaxed);
        if model.turns.state.load(Ordering::Acquire) == QUEUED {
            model.turns.recheck();
        }
    });
}

/// The turn may be passed on to somebody who is being refused.
#[test]
fn loom_no_turn_is_lost_with_whoever_is_refused() {
    explore(3, || {
        let model = Model::new();
        let turn = model.turns.try_enter().unwrap();
        let queued = thread::spawn(|| model.turn());
        let closer = thread::spawn(|| model.close());
        drop(turn);
        let entered = queued.join().unwrap();
        closer.join().unwrap();
        assert!(model.is_free_after(entered.into()));
    });
}

/// Whoever is refused leaves a queue without anybody in it, and whoever had the turn gives it up
/// through that.
#[test]
fn loom_a_turn_that_nobody_waits_for_is_given_up_in_order() {
    explore(3, || {
        let model = Model::new();
        model.closed.store(true, Ordering::Relaxed);
        let patient = || {
            let _turn = model.turns.enter(|| Ok(None)).unwrap();
            model.work();
        };
        let refused = thread::spawn(|| model.turn());
        let other = thread::spawn(patient);
        patient();
        other.join().unwrap();
        let entered = refused.join().unwrap();
        assert!(model.is_free_after(2 + usize::from(entered)));
    });
}

/// One in the queue is refused and the other is not: the turn passes the first one by.
#[test]
fn loom_the_turn_comes_to_whoever_stays_in_the_queue() {
    explore(2, || {
        let model = Model::new();
        let turn = model.turns.try_enter().unwrap();
        let refused = thread::spawn(|| model.turn());
        let patient = thread::spawn(|| {
            let _turn = model.turns.enter(|| Ok(None)).unwrap();
            model.work();
        });
        model.close();
        drop(turn);
        patient.join().unwrap();
        let entered = refused.join().unwrap();
        assert!(model.is_free_after(1 + usize::from(entered)));
    });
}
