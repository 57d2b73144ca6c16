//! Joins, cancels, and the end of a runtime.

use super::{Dropped, LONG, Tally, builder, explore, explore_fairly, runtime};
use crate::error;
use crate::error::is_cancelled;
use crate::task::{self, JoinError, Runtime};
use shuttle::thread;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// A result reaches who joins, wherever that is and whenever it comes.
#[test]
fn shuttle_a_joiner_is_never_lost() {
    explore(|| {
        let runtime = runtime(2);
        let [a, b] = [1, 2].map(|n| runtime.spawn(move || n));
        let joins = runtime.spawn(move || a.join().unwrap());
        let thread = thread::spawn(move || b.join().unwrap());
        assert_eq!(joins.join().unwrap() + thread.join().unwrap(), 3);
        runtime.shutdown().unwrap();
    });
}

/// A result is dropped once, whether the handle goes before the end or after it, and its
/// destructor's panic is nobody's.
#[test]
fn shuttle_a_result_that_nobody_wants_is_dropped_once() {
    explore(|| {
        let runtime = runtime(2);
        let (count, ended) = (Tally::default(), Tally::default());
        for _ in 0..2 {
            let (result, ended) = (Dropped(count.clone()), ended.clone());
            let task = runtime.spawn(move || {
                ended.add();
                result
            });
            thread::spawn(move || drop(task));
        }
        ended.wait_for(2).unwrap();
        count.wait_for(2).unwrap();
        runtime.shutdown().unwrap();
        assert_eq!(count.get(), 2);
    });
}

/// Who joins may be cancelled, just when the end comes.
#[test]
fn shuttle_a_joiner_that_is_cancelled() {
    explore(|| {
        let runtime = runtime(2);
        let count = Tally::default();
        let result = Dropped(count.clone());
        let ends = runtime.spawn(move || result);
        let joins = runtime.spawn(move || match ends.join() {
            Ok(_result) => {}
            Err(JoinError::NotJoined(error)) => assert!(is_cancelled(&error)),
            Err(other) => panic!("{other}"),
        });
        let canceller = thread::spawn(move || {
            joins.cancel();
            joins.join()
        });
        match canceller.join().unwrap() {
            Ok(()) => {}
            Err(error) => assert!(is_cancelled(&io::Error::from(error))),
        }
        count.wait_for(1).unwrap();
        runtime.shutdown().unwrap();
        assert_eq!(count.get(), 1);
    });
}

/// Every kind of wait ends, under way or not yet begun; and so do those after it.
#[test]
fn shuttle_a_cancel_reaches_every_wait() {
    fn waits(kind: usize, tally: &Tally) -> io::Result<()> {
        match kind {
            0 => task::sleep(LONG),
            1 => task::wait(std::future::pending()),
            2 => tally.wait_for(usize::MAX),
            _ => {
                while !task::is_cancelled() {
                    task::yield_now();
                }
                Err(error::cancelled())
            }
        }
    }
    for kind in 0..4 {
        explore_fairly(move || {
            let runtime = runtime(1);
            let tally = Tally::default();
            let waker = tally.clone();
            let task = runtime.spawn(move || {
                let first = waits(kind, &tally).unwrap_err();
                let second = task::sleep(Duration::ZERO).unwrap_err();
                assert!(is_cancelled(&first) && is_cancelled(&second));
            });
            // Wakes for other reasons come at the same time.
            let others = thread::spawn(move || waker.add());
            task.cancel();
            task.cancel();
            match task.join() {
                Ok(()) => {}
                Err(JoinError::NotRun(error)) => assert!(is_cancelled(&error)),
                Err(other) => panic!("{other}"),
            }
            others.join().unwrap();
            runtime.shutdown().unwrap();
        });
    }
}

/// Whatever is spawned while the runtime ends is refused or cancelled, and somebody says so.
#[test]
fn shuttle_spawns_that_race_with_the_end_keep_nobody_waiting() {
    explore(|| {
        let runtime = runtime(2);
        let (began, told) = (Tally::default(), Tally::default());
        let (mine, theirs) = (began.clone(), told.clone());
        drop(runtime.spawn(move || {
            mine.add();
            let tasks: Vec<_> = (0..4).map(|_| task::spawn(|| task::sleep(LONG))).collect();
            // From outside, for whoever is cancelled does not wait.
            thread::spawn(move || {
                for task in tasks {
                    match task.join() {
                        Ok(slept) => assert!(is_cancelled(&slept.unwrap_err())),
                        Err(JoinError::NotRun(_)) => {}
                        Err(other) => panic!("{other}"),
                    }
                }
                theirs.add();
            });
        }));
        began.wait_for(1).unwrap();
        runtime.shutdown().unwrap();
        told.wait_for(1).unwrap();
    });
}

/// With no patience, too.
#[test]
fn shuttle_who_is_left_behind_keeps_nobody_waiting() {
    explore(|| {
        let runtime = builder(2).patience(Duration::ZERO).build().unwrap();
        let (began, freed) = (Tally::default(), Tally::default());
        let mine = began.clone();
        let stubborn = runtime.spawn(move || {
            mine.add();
            loop {
                let _ = task::sleep(LONG);
            }
        });
        let fresh = [(); 2].map(|()| {
            let held = Dropped(freed.clone());
            runtime.spawn(move || drop(held))
        });
        began.wait_for(1).unwrap();
        let left = runtime.shutdown().unwrap_err().tasks;
        assert!((1..=3).contains(&left));
        let Err(JoinError::NotJoined(error)) = stubborn.join().map(|()| ()) else {
            panic!("it cannot have ended")
        };
        assert_eq!(error.kind(), io::ErrorKind::NotConnected);
        for task in fresh {
            let end = task.join();
            assert!(matches!(end, Ok(()) | Err(JoinError::NotRun(_))), "{end:?}");
        }
        assert_eq!(freed.get(), 2, "what was never run was dropped");
    });
}

/// Two runtimes, tasks of which wait for those of the other, end in whatever order.
#[test]
fn shuttle_runtimes_that_wait_for_each_other_end() {
    explore(|| {
        let (first, second) = (runtime(1), Arc::new(runtime(1)));
        let sleeper = second.spawn(|| task::sleep(LONG));
        let joins = first.spawn(move || sleeper.join().map(drop));
        let ends = thread::spawn(move || drop(Arc::into_inner(second)));
        first.shutdown().unwrap();
        ends.join().unwrap();
        // Its own end or the other's came first, or it had not begun.
        drop(joins.join());
    });
}

/// A task that ends another runtime makes room for those of its own meanwhile, and so does a thread
/// that runs tasks itself.
#[test]
fn shuttle_who_ends_another_runtime_makes_room() {
    fn ends(other: Runtime, freed: Tally) {
        let frees = task::spawn(move || freed.add());
        other.shutdown().unwrap();
        frees.join().unwrap();
    }
    for task in [true, false] {
        explore_fairly(move || {
            let (first, second) = (builder(1), runtime(2));
            let freed = Tally::default();
            let theirs = freed.clone();
            let held = second.spawn(move || {
                while theirs.get() == 0 {
                    task::yield_now();
                }
            });
            let end = move || ends(second, freed);
            if task {
                let first = first.build().unwrap();
                first.spawn(end).join().unwrap();
                first.shutdown().unwrap();
            } else {
                first.run(end).unwrap();
            }
            // Or it had not begun.
            assert!(held.is_finished());
        });
    }
}

/// A thread that was a worker leaves when the others still have work.
#[test]
fn shuttle_the_end_of_a_run() {
    explore(|| {
        let ended = Tally::default();
        let theirs = ended.clone();
        builder(2)
            .run(move || {
                for _ in 0..2 {
                    let held = Dropped(theirs.clone());
                    drop(task::spawn(move || {
                        let _held = held;
                        task::sleep(LONG).unwrap_err();
                        task::yield_now();
                    }));
                }
            })
            .unwrap();
        assert_eq!(ended.get(), 2);
    });
}
