//! The worker's round: news, wakes, sleeps, and turns for all.

use super::{Tally, explore, explore_fairly, runtime};
use crate::task;
use shuttle::sync::Mutex;
use shuttle::sync::atomic::{AtomicBool, Ordering};
use shuttle::thread;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

#[test]
fn shuttle_tasks_that_are_left_by_others_are_run() {
    explore(|| {
        let runtime = runtime(2);
        let tasks = [1, 2, 3].map(|n| {
            runtime.spawn(move || {
                task::yield_now();
                n
            })
        });
        let sum = tasks.map(|task| task.join().unwrap()).iter().sum::<u32>();
        assert_eq!(sum, 6);
        runtime.shutdown().unwrap();
    });
}

/// Workers wake each other's tasks, and a thread does.
#[test]
fn shuttle_wakes_across_threads_are_not_lost() {
    explore(|| {
        let runtime = runtime(2);
        let turn = Tally::default();
        let plays = |me: usize| {
            let turn = turn.clone();
            move || {
                for round in 0..2 {
                    turn.wait_for(3 * round + me).unwrap();
                    turn.add();
                }
            }
        };
        let tasks = [runtime.spawn(plays(0)), runtime.spawn(plays(1))];
        plays(2)();
        tasks.into_iter().for_each(|task| task.join().unwrap());
        assert_eq!(turn.get(), 6);
        runtime.shutdown().unwrap();
    });
}

/// Who waits for a future is woken by its waker, on another thread and long after.
#[test]
fn shuttle_a_waker_of_a_future_wakes_its_task() {
    explore(|| {
        let runtime = runtime(1);
        let place = Arc::new((AtomicBool::new(false), Mutex::new(None::<Waker>)));
        let theirs = Arc::clone(&place);
        let other = thread::spawn(move || {
            theirs.0.store(true, Ordering::SeqCst);
            let waker = theirs.1.lock().unwrap().take();
            if let Some(waker) = waker {
                waker.wake_by_ref();
                waker.wake();
            }
        });
        let waits = runtime.spawn(move || {
            let future = std::future::poll_fn(|context| {
                *place.1.lock().unwrap() = Some(context.waker().clone());
                match place.0.load(Ordering::SeqCst) {
                    true => Poll::Ready(()),
                    false => Poll::Pending,
                }
            });
            task::wait(future).unwrap();
        });
        waits.join().unwrap();
        other.join().unwrap();
        runtime.shutdown().unwrap();
    });
}

/// Alarms go off although nobody wakes the worker, and news comes although an alarm is set.
#[test]
fn shuttle_sleeps_and_news() {
    explore(|| {
        let runtime = runtime(1);
        let length = Duration::from_micros(10);
        let sleeper = runtime.spawn(move || {
            let start = Instant::now();
            task::sleep(length).unwrap();
            assert!(start.elapsed() >= length);
        });
        let other = runtime.spawn(|| task::sleep(Duration::ZERO).unwrap());
        other.join().unwrap();
        sleeper.join().unwrap();
        runtime.shutdown().unwrap();
    });
}

/// Who never waits lets others run, that are there and that come.
#[test]
fn shuttle_who_is_always_ready_starves_nobody() {
    explore_fairly(|| {
        let runtime = runtime(1);
        let done = Tally::default();
        let seen = done.clone();
        let busy = runtime.spawn(move || {
            while seen.get() < 2 {
                task::yield_now();
            }
        });
        let (one, two) = (done.clone(), done.clone());
        let sleeps = runtime.spawn(move || {
            task::sleep(Duration::from_micros(5)).unwrap();
            one.add();
        });
        let comes = runtime.spawn(move || two.add());
        sleeps.join().unwrap();
        comes.join().unwrap();
        busy.join().unwrap();
        runtime.shutdown().unwrap();
    });
}

/// As above, with a task that never waits since it ends, and leaves another one.
#[test]
fn shuttle_who_is_always_succeeded_starves_nobody() {
    fn succeed(seen: Tally) {
        if seen.get() == 0 {
            drop(task::spawn(move || succeed(seen)));
        }
    }
    explore_fairly(|| {
        let runtime = runtime(1);
        let done = Tally::default();
        let (mine, seen) = (done.clone(), done.clone());
        let sleeps = runtime.spawn(move || {
            task::sleep(Duration::from_micros(5)).unwrap();
            mine.add();
        });
        drop(runtime.spawn(move || succeed(seen)));
        sleeps.join().unwrap();
        runtime.shutdown().unwrap();
    });
}

/// A thread is a worker for a while, among others.
#[test]
fn shuttle_a_thread_that_runs_tasks_itself() {
    explore(|| {
        let (ours, theirs) = (Tally::default(), Tally::default());
        let (a, b) = (ours.clone(), theirs.clone());
        super::builder(2)
            .run(move || {
                let tasks = [0, 1].map(|_| {
                    let (a, b) = (a.clone(), b.clone());
                    task::spawn(move || {
                        a.add();
                        b.wait_for(1).unwrap();
                    })
                });
                a.wait_for(2).unwrap();
                b.add();
                tasks.into_iter().for_each(|task| task.join().unwrap());
            })
            .unwrap();
        assert_eq!((ours.get(), theirs.get()), (2, 1));
    });
}
