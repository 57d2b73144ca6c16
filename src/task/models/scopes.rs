//! Scopes: nobody leaves one before its tasks have, whatever happens.

use super::{LONG, Tally, explore, runtime};
use crate::error::is_cancelled;
use crate::task::{self, JoinError, JoinHandle};
use shuttle::sync::atomic::{AtomicUsize, Ordering};
use shuttle::thread;
use std::panic::resume_unwind;

/// Joins what may not have begun.
fn ended(task: JoinHandle<()>) {
    match task.join() {
        Ok(()) => {}
        Err(JoinError::NotRun(error)) => assert!(is_cancelled(&error)),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn shuttle_a_scope_lasts_as_long_as_its_tasks() {
    explore(|| {
        let runtime = runtime(2);
        let outer = runtime.spawn(|| {
            let lent = AtomicUsize::new(0);
            let sum = task::scope(|scope| {
                let joined = scope.spawn(|| lent.fetch_add(1, Ordering::SeqCst) + 1);
                drop(scope.spawn(|| {
                    task::yield_now();
                    lent.fetch_add(1, Ordering::SeqCst);
                }));
                joined.join().unwrap()
            });
            assert!(sum > 0);
            assert_eq!(lent.into_inner(), 2);
        });
        outer.join().unwrap();
        runtime.shutdown().unwrap();
    });
}

/// A cancel is passed on, to those who come after it as well, and the scope waits on.
#[test]
fn shuttle_a_cancelled_scope_cancels_its_tasks_and_waits_on() {
    explore(|| {
        let runtime = runtime(2);
        let began = Tally::default();
        let mine = began.clone();
        let outer = runtime.spawn(move || {
            let ends = AtomicUsize::new(0);
            task::scope(|scope| {
                mine.add();
                scope.spawn(|| {
                    assert!(is_cancelled(&task::sleep(LONG).unwrap_err()));
                    scope.spawn(|| {
                        assert!(is_cancelled(&task::sleep(LONG).unwrap_err()));
                        ends.fetch_add(1, Ordering::SeqCst);
                    });
                    task::yield_now();
                    ends.fetch_add(1, Ordering::SeqCst);
                });
            });
            // What was cancelled before it began has not counted, and is gone all the same.
            assert!(ends.into_inner() <= 2);
        });
        began.wait_for(1).unwrap();
        outer.cancel();
        outer.join().unwrap();
        runtime.shutdown().unwrap();
    });
}

/// The same by the end of the runtime, which may come while the scope still spawns.
#[test]
fn shuttle_a_scope_ends_with_its_runtime() {
    explore(|| {
        let runtime = runtime(2);
        let outer = runtime.spawn(|| {
            let lent = AtomicUsize::new(0);
            task::scope(|scope| {
                for _ in 0..2 {
                    scope.spawn(|| {
                        assert!(is_cancelled(&task::sleep(LONG).unwrap_err()));
                        lent.fetch_add(1, Ordering::SeqCst);
                    });
                }
            });
            assert!(lent.into_inner() <= 2);
        });
        runtime.shutdown().unwrap();
        ended(outer);
    });
}

#[test]
fn shuttle_a_panic_surfaces_when_all_have_ended() {
    explore(|| {
        let runtime = runtime(2);
        let count = Tally::default();
        let mine = count.clone();
        let outer = runtime.spawn(move || {
            task::scope(|scope| {
                // Without a message.
                drop(scope.spawn(|| resume_unwind(Box::new("on purpose"))));
                drop(scope.spawn(|| {
                    task::yield_now();
                    mine.add();
                }));
            });
        });
        let end = outer.join();
        assert!(matches!(end, Err(JoinError::Panicked(_))), "{end:?}");
        assert_eq!(count.get(), 1);
        runtime.shutdown().unwrap();
    });
}

/// A handle may be joined, dropped and cancelled by a sibling, or not at all.
#[test]
fn shuttle_handles_of_a_scope_are_for_anybody() {
    explore(|| {
        let runtime = runtime(2);
        let outer = runtime.spawn(|| {
            let lent = AtomicUsize::new(0);
            task::scope(|scope| {
                let [a, b, c] = [(); 3].map(|()| {
                    scope.spawn(|| {
                        let slept = task::sleep(LONG);
                        lent.fetch_add(1, Ordering::SeqCst);
                        slept
                    })
                });
                scope.spawn(move || {
                    a.cancel();
                    match a.join() {
                        Ok(slept) => assert!(is_cancelled(&slept.unwrap_err())),
                        Err(error) => assert!(matches!(error, JoinError::NotRun(_))),
                    }
                });
                b.cancel();
                c.cancel();
                drop(b);
                let _ = c.join();
            });
            assert!(lent.into_inner() <= 3);
        });
        outer.join().unwrap();
        runtime.shutdown().unwrap();
    });
}

/// What the handle of a scope's task shares with the task, on threads of their own.
#[test]
fn shuttle_a_result_of_a_scope_is_dropped_once() {
    explore(|| {
        let runtime = runtime(2);
        let count = Tally::default();
        let mine = count.clone();
        let outer = runtime.spawn(move || {
            task::scope(|scope| {
                let kept = scope.spawn(|| super::Dropped(mine.clone()));
                let lost = scope.spawn(|| super::Dropped(mine.clone()));
                drop(lost);
                drop(kept.join());
            });
        });
        let other = thread::spawn(move || outer.join().unwrap());
        other.join().unwrap();
        assert_eq!(count.get(), 2);
        runtime.shutdown().unwrap();
    });
}
