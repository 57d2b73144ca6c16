//! Tasks: what they are promised.
#![cfg(target_os = "linux")]

#[path = "kit/mod.rs"]
mod kit;

use aqueduct::task::{self, JoinError, Runtime};
use aqueduct::{is_cancelled, pipe};
use std::cell::Cell;
use std::io::{Read, Write};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

fn one<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> T {
    kit::within("a task", move || Runtime::builder().workers(1).run(f).unwrap())
}

#[test]
fn tasks_run_in_turns_and_hold_what_is_not_send() {
    let log = one(|| {
        let log = Arc::new(std::sync::Mutex::new(Vec::new()));
        let tasks = [0, 1].map(|me| {
            let log = Arc::clone(&log);
            task::spawn(move || {
                let count = Rc::new(Cell::new(0));
                for _ in 0..3 {
                    log.lock().unwrap().push(me);
                    count.set(count.get() + 1);
                    task::yield_now();
                }
                count.get()
            })
        });
        for task in tasks {
            assert_eq!(task.join().unwrap(), 3);
        }
        Arc::into_inner(log).expect("the tasks have ended").into_inner().unwrap()
    });
    assert_eq!(log, [0, 1, 0, 1, 0, 1]);
}

#[test]
fn a_panic_ends_its_task_and_surfaces_at_join() {
    one(|| {
        let task = task::spawn(|| -> u8 { panic!("on purpose") });
        let JoinError::Panicked(payload) = task.join().unwrap_err() else { panic!("no panic") };
        assert_eq!(payload.downcast_ref::<&str>(), Some(&"on purpose"));
        assert_eq!(task::spawn(|| 1).join().unwrap(), 1);
    });
}

#[test]
fn a_cancel_ends_the_wait_under_way_and_those_to_come() {
    one(|| {
        let (mut reader, writer) = pipe();
        let task = task::spawn(move || {
            let first = reader.read(&mut [0; 8]).unwrap_err();
            let second = task::sleep(Duration::from_secs(3600)).unwrap_err();
            (is_cancelled(&first), is_cancelled(&second), task::is_cancelled())
        });
        task::yield_now();
        task.cancel();
        assert_eq!(task.join().unwrap(), (true, true, true));
        drop(writer);
    });
}

#[test]
fn a_task_that_was_cancelled_before_it_began_is_not_run() {
    one(|| {
        let task = task::spawn(|| panic!("it was not to run"));
        task.cancel();
        let JoinError::NotRun(why) = task.join().unwrap_err() else { panic!("it ran") };
        assert!(is_cancelled(&why));
    });
}

#[test]
fn who_ignores_a_cancel_starves_nobody() {
    one(|| {
        let done = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&done);
        let stubborn = task::spawn(move || {
            while seen.load(Ordering::Relaxed) == 0 {
                let _ = task::sleep(Duration::from_secs(1));
            }
        });
        task::yield_now();
        stubborn.cancel();
        let other = task::spawn(move || done.store(1, Ordering::Relaxed));
        other.join().unwrap();
        stubborn.join().unwrap();
    });
}

#[test]
fn who_ends_and_leaves_a_successor_starves_nobody() {
    fn succeed(end: Arc<AtomicUsize>) {
        if end.load(Ordering::Relaxed) == 0 {
            drop(task::spawn(move || succeed(end)));
        }
    }
    one(|| {
        let end = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&end);
        let (reader, mut writer) = std::io::pipe().unwrap();
        let mut reader = aqueduct::stream::Stream::from_std(reader).unwrap();
        let other = task::spawn(move || {
            // The clock is looked at, and the poller asked.
            task::sleep(Duration::from_millis(1)).unwrap();
            reader.read_exact(&mut [0]).unwrap();
            end.store(1, Ordering::Relaxed);
        });
        let writer = std::thread::spawn(move || writer.write_all(b"!"));
        drop(task::spawn(move || succeed(seen)));
        other.join().unwrap();
        writer.join().unwrap().unwrap();
    });
}

#[test]
fn sleeps_are_never_short_and_end_in_order() {
    one(|| {
        let start = Instant::now();
        let lengths = [5, 1, 3, 2, 4];
        let order = Arc::new(std::sync::Mutex::new(Vec::new()));
        let tasks = lengths.map(|ms| {
            let order = Arc::clone(&order);
            task::spawn(move || {
                task::sleep_until(start + Duration::from_millis(10 * ms)).unwrap();
                assert!(start.elapsed() >= Duration::from_millis(10 * ms));
                order.lock().unwrap().push(ms);
            })
        });
        tasks.into_iter().for_each(|task| task.join().unwrap());
        assert_eq!(*order.lock().unwrap(), [1, 2, 3, 4, 5]);
    });
}

#[test]
fn a_scope_lends_to_its_tasks_and_waits_for_them() {
    one(|| {
        let words = [String::from("a"), String::from("bc")];
        let total = AtomicUsize::new(0);
        task::scope(|scope| {
            for word in &words {
                scope.spawn(|| {
                    task::yield_now();
                    total.fetch_add(word.len(), Ordering::Relaxed);
                });
            }
        });
        assert_eq!(total.into_inner(), 3);
    });
}

#[test]
fn a_cancelled_scope_cancels_its_tasks_and_waits_on() {
    one(|| {
        let ended = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&ended);
        let outer = task::spawn(move || {
            task::scope(|scope| {
                for _ in 0..3 {
                    scope.spawn(|| {
                        let error = task::sleep(Duration::from_secs(3600)).unwrap_err();
                        assert!(is_cancelled(&error));
                        // Whatever it does after that is waited for.
                        (0..10).for_each(|_| task::yield_now());
                        count.fetch_add(1, Ordering::Relaxed);
                    });
                }
            });
            count.load(Ordering::Relaxed)
        });
        (0..3).for_each(|_| task::yield_now());
        outer.cancel();
        assert_eq!(outer.join().unwrap(), 3);
        assert_eq!(ended.load(Ordering::Relaxed), 3);
    });
}

#[test]
fn what_a_cancelled_scopes_tasks_spawn_is_cancelled_too() {
    one(|| {
        let outer = task::spawn(move || {
            task::scope(|scope| {
                scope.spawn(|| {
                    task::sleep(Duration::from_secs(3600)).unwrap_err();
                    scope.spawn(|| task::sleep(Duration::from_secs(3600)).unwrap_err());
                });
            });
        });
        (0..3).for_each(|_| task::yield_now());
        outer.cancel();
        outer.join().unwrap();
    });
}

#[test]
fn a_panic_of_a_scopes_task_surfaces_once_all_have_ended() {
    one(|| {
        let ended = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&ended);
        let outer = task::spawn(move || {
            task::scope(|scope| {
                scope.spawn(|| panic!("unheard"));
                scope.spawn(|| {
                    (0..10).for_each(|_| task::yield_now());
                    count.fetch_add(1, Ordering::Relaxed);
                });
            });
        });
        assert!(matches!(outer.join(), Err(JoinError::Panicked(_))));
        assert_eq!(ended.load(Ordering::Relaxed), 1);
        let heard = task::scope(|scope| scope.spawn(|| panic!("heard")).join().is_err());
        assert!(heard);
    });
}

#[test]
fn workers_share_the_tasks_and_pipes_join_them() {
    kit::within("two workers", || {
        let runtime = Runtime::builder().workers(2).build().unwrap();
        let names = Arc::new(std::sync::Mutex::new(std::collections::HashSet::new()));
        let tasks: Vec<_> = (0..8)
            .map(|i| {
                let (names, names2) = (Arc::clone(&names), Arc::clone(&names));
                let (mut reader, mut writer) = pipe();
                let reads = runtime.spawn(move || {
                    names.lock().unwrap().insert(std::thread::current().name().map(String::from));
                    let mut all = Vec::new();
                    reader.read_to_end(&mut all).map(|_| all.len())
                });
                let names = names2;
                let writes = runtime.spawn(move || {
                    names.lock().unwrap().insert(std::thread::current().name().map(String::from));
                    (0..100).try_for_each(|_| writer.write_all(&vec![i; 10_000]))
                });
                (reads, writes)
            })
            .collect();
        for (reads, writes) in tasks {
            writes.join().unwrap().unwrap();
            assert_eq!(reads.join().unwrap().unwrap(), 1_000_000);
        }
        assert_eq!(names.lock().unwrap().len(), 2);
        runtime.shutdown().unwrap();
    });
}

#[test]
fn a_future_is_waited_for() {
    one(|| {
        let (wakes, woken) = mpsc::channel::<std::task::Waker>();
        let other = std::thread::spawn(move || woken.recv().unwrap().wake());
        let mut polls = 0;
        let future = std::future::poll_fn(|context| {
            polls += 1;
            if polls == 1 {
                wakes.send(context.waker().clone()).unwrap();
                return std::task::Poll::Pending;
            }
            std::task::Poll::Ready(())
        });
        task::wait(future).unwrap();
        other.join().unwrap();
        assert_eq!(polls, 2);
    });
}

#[test]
fn what_blocks_holds_nobody_up() {
    one(|| {
        let (go, gone) = mpsc::channel();
        let blocked = task::spawn(move || task::unblock(move || gone.recv().unwrap()).unwrap());
        let other = task::spawn(move || {
            task::yield_now();
            go.send(7).unwrap();
        });
        other.join().unwrap();
        assert_eq!(blocked.join().unwrap(), 7);
    });
}

#[test]
fn shutdown_cancels_what_waits_and_reports_what_does_not_end() {
    kit::within("shutdown", || {
        let runtime = Runtime::builder().workers(2).build().unwrap();
        for _ in 0..100 {
            drop(runtime.spawn(|| task::sleep(Duration::from_secs(3600))));
        }
        runtime.shutdown().unwrap();

        let short = Duration::from_millis(20);
        let runtime = Runtime::builder().workers(1).patience(short).build().unwrap();
        let (began, begins) = mpsc::channel();
        drop(runtime.spawn(move || {
            began.send(()).unwrap();
            loop {
                let _ = task::sleep(Duration::from_secs(1));
            }
        }));
        begins.recv().unwrap();
        let left = runtime.shutdown().unwrap_err();
        assert_eq!(left.tasks, 1);
    });
}

/// A test of this program that is run by itself in a child, as it ends the process.
fn child(test: &str) -> std::process::Output {
    let program = std::env::current_exe().unwrap();
    let args = ["--exact", test, "--ignored", "--nocapture", "--test-threads=1"];
    std::process::Command::new(program).args(args).output().unwrap()
}

#[inline(never)]
fn deep(n: u64) -> u64 {
    let room = std::hint::black_box([n; 64]);
    if n == u64::MAX { 0 } else { deep(n + 1) + std::hint::black_box(&room)[7] }
}

#[test]
#[ignore = "overflows its stack: run by the test of the message"]
fn overflows() {
    Runtime::builder()
        .workers(1)
        .stack_size(64 << 10)
        .run(|| task::spawn_named("well", || deep(0)).join().unwrap())
        .unwrap();
}

#[test]
fn an_overflow_ends_the_process_and_says_whose_stack_it_was() {
    use std::os::unix::process::ExitStatusExt;
    let output = child("overflows");
    let said = String::from_utf8_lossy(&output.stderr);
    let message = "aqueduct: the task 'well' has overflowed its stack of 64 KiB";
    assert!(said.contains(message), "{said}");
    assert_eq!(output.status.signal(), Some(libc::SIGABRT));
}

/// The guards that split mappings: so many there are that allow nothing.
fn split_off() -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    maps.lines().filter(|line| line.contains(" ---p ")).count()
}

#[test]
#[ignore = "locks all memory and overflows a stack: run by the test below"]
fn overflows_locked_memory() {
    use rustix::mm::{MlockAllFlags, mlockall};
    mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT).unwrap();
    println!("locked");
    let before = split_off();
    Runtime::builder()
        .workers(1)
        .stack_size(64 << 10)
        .run(move || {
            // More than are kept as they are.
            let tasks: Vec<_> = (0..300).map(|_| task::spawn(task::yield_now)).collect();
            tasks.into_iter().for_each(|task| task.join().unwrap());
            assert!(split_off() >= before + 300);
            task::spawn_named("well", || deep(0)).join().unwrap()
        })
        .unwrap();
}

/// The cheaper guards are not to be had in memory that is locked, as before Linux 6.13.
#[test]
fn where_memory_is_locked_stacks_have_guards_too() {
    use std::os::unix::process::ExitStatusExt;
    let output = child("overflows_locked_memory");
    let said = String::from_utf8_lossy(&output.stderr);
    if !String::from_utf8_lossy(&output.stdout).contains("locked\n") {
        eprintln!("NOT RUN: memory cannot be locked");
        return;
    }
    assert!(said.contains("the task 'well' has overflowed its stack of 64 KiB"), "{said}");
    assert_eq!(output.status.signal(), Some(libc::SIGABRT));
}

#[test]
fn a_deep_stack_is_used_again_and_still_guarded() {
    one(|| {
        // More tasks at a time than are kept with their stacks as they are.
        for _ in 0..2 {
            let tasks: Vec<_> = (0..300)
                .map(|_| {
                    task::spawn(|| {
                        let deepest = shallow(100);
                        task::yield_now();
                        deepest
                    })
                })
                .collect();
            assert!(tasks.into_iter().all(|task| task.join().unwrap() == 100));
        }
    });
}

#[inline(never)]
fn shallow(n: u64) -> u64 {
    let room = std::hint::black_box([n; 64]);
    if n == 0 { 0 } else { 1 + shallow(n - 1) + std::hint::black_box(&room)[7] - n }
}

#[test]
fn a_poller_of_the_threads_own_changes_nothing_for_its_tasks() {
    one(|| {
        let _local = aqueduct::poll::Local::new().unwrap();
        let (mut reader, mut writer) = pipe();
        let other = task::spawn(move || {
            let _local = aqueduct::poll::Local::new().unwrap();
            let mut buf = [0; 4];
            reader.read_exact(&mut buf).map(|()| buf)
        });
        task::yield_now();
        let (a, b) = kit::streams(kit::unix());
        let waits = task::spawn(move || { &a }.read(&mut [0; 8]));
        task::sleep(Duration::from_millis(1)).unwrap();
        writer.write_all(b"here").unwrap();
        { &b }.write_all(b"x").unwrap();
        assert_eq!(&other.join().unwrap().unwrap(), b"here");
        assert_eq!(waits.join().unwrap().unwrap(), 1);
    });
}

#[test]
fn an_event_loop_of_ones_own_waits_as_a_task() {
    use aqueduct::poll::{Events, Interest, Mode, Poller};
    one(|| {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let poller = Arc::new(Poller::new().unwrap());
        let waits = Arc::new(AtomicUsize::new(0));
        let (theirs, count) = (Arc::clone(&poller), Arc::clone(&waits));
        let poll = task::spawn(move || {
            let mode = if theirs.backend().has_edges() { Mode::Edge } else { Mode::Level };
            theirs.add(&reader, 7, Interest::READABLE, mode).unwrap();
            let mut events = Events::new();
            let mut wait = |timeout| {
                count.fetch_add(1, Ordering::Relaxed);
                let waited = theirs.wait(&mut events, timeout);
                waited.map(|()| events.iter().map(|event| event.key).collect::<Vec<_>>())
            };
            assert_eq!(wait(None).unwrap(), [7]);
            { &reader }.read_exact(&mut [0]).unwrap();
            assert_eq!(wait(None).unwrap(), [], "it was woken");
            let start = Instant::now();
            assert_eq!(wait(Some(Duration::from_millis(2))).unwrap(), []);
            assert!(start.elapsed() >= Duration::from_millis(2));
            wait(None).unwrap_err()
        });
        let until = |n| {
            while waits.load(Ordering::Relaxed) < n {
                task::yield_now();
            }
        };
        until(1);
        writer.write_all(b"x").unwrap();
        until(2);
        poller.wake();
        until(4);
        poll.cancel();
        assert!(is_cancelled(&poll.join().unwrap()));
    });
}
