//! How runtimes end, in whatever state their tasks are, and what that leaves to others.
#![cfg(target_os = "linux")]

#[path = "kit/mod.rs"]
mod kit;

use aqueduct::stream::Stream;
use aqueduct::task::{self, JoinError, Runtime};
use aqueduct::{is_cancelled, pipe};
use kit::{streams, this_thread, unix, until_asleep, within};
use std::io::{self, ErrorKind, Read, Write};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::thread;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

fn runtime(workers: usize) -> Runtime {
    Runtime::builder().workers(workers).build().unwrap()
}

fn impatient() -> Runtime {
    Runtime::builder().workers(1).patience(Duration::from_millis(20)).build().unwrap()
}

/// Nothing but a wake ends a wait for its end.
fn patient() -> Runtime {
    Runtime::builder().workers(1).patience(HOUR).build().unwrap()
}

#[test]
fn tasks_in_every_state_end_with_their_runtime() {
    within("every state", || {
        for workers in [1, 2] {
            for round in 0..20 {
                let runtime = runtime(workers);
                let ended = Arc::new(AtomicUsize::new(0));
                let mut begun = 0;
                let (a, b) = streams(unix());
                let (reader, writer) = pipe();
                let (go, gone) = mpsc::channel();
                for i in 0..40 {
                    let (ended, gone) = (Arc::clone(&ended), go.clone());
                    let (a, reader) = (a.control(), reader.control());
                    drop(runtime.spawn(move || {
                        let _ = gone.send(());
                        match i % 5 {
                            0 => drop(task::sleep(HOUR)),
                            1 => task::scope(|scope| drop(scope.spawn(|| task::sleep(HOUR)))),
                            2 => drop(task::spawn(|| task::sleep(HOUR)).join()),
                            3 => (0..1000).for_each(|_| task::yield_now()),
                            _ => {}
                        }
                        drop((a, reader));
                        ended.fetch_add(1, Ordering::Relaxed);
                    }));
                }
                // Some have begun by then, and others have not.
                (0..round).for_each(|_| begun += usize::from(gone.recv().is_ok()));
                let (mut a, mut reader) = (a, reader);
                let read = runtime.spawn(move || a.read(&mut [0]).map_err(|e| is_cancelled(&e)));
                let pipe =
                    runtime.spawn(move || reader.read(&mut [0]).map_err(|e| is_cancelled(&e)));
                runtime.shutdown().unwrap();
                assert!(ended.load(Ordering::Relaxed) >= begun);
                for waited in [read.join(), pipe.join()] {
                    match waited {
                        Ok(result) => assert!(result.unwrap_err()),
                        Err(JoinError::NotRun(error)) => assert!(is_cancelled(&error)),
                        other => panic!("{other:?}"),
                    }
                }
                drop((b, writer));
            }
        }
    });
}

#[test]
fn a_task_that_is_spawned_while_all_ends_is_refused_or_cancelled() {
    within("spawned late", || {
        for _ in 0..100 {
            let runtime = runtime(2);
            let barrier = Arc::new(Barrier::new(3));
            let spawners = [0, 1].map(|_| {
                let barrier = Arc::clone(&barrier);
                runtime.spawn(move || {
                    barrier.wait();
                    // Until the runtime is no more, to all of its workers.
                    loop {
                        let late = task::spawn(|| task::sleep(HOUR));
                        let other = task::spawn(|| task::sleep(HOUR));
                        if let Err(JoinError::NotRun(_)) = other.join() {
                            drop(late);
                            return;
                        }
                    }
                })
            });
            barrier.wait();
            runtime.shutdown().expect("who came late heard of it too");
            spawners.into_iter().for_each(|spawner| spawner.join().unwrap());
        }
    });
}

#[test]
fn those_that_are_left_are_told_to_whoever_waits_for_them() {
    within("left", || {
        let runtime = impatient();
        let (tell, hear) = mpsc::channel();
        let stubborn = runtime.spawn(move || {
            tell.send(()).unwrap();
            loop {
                let _ = task::sleep(HOUR);
            }
        });
        hear.recv().unwrap();
        let (tell, hear) = mpsc::channel();
        let joiner = thread::spawn(move || {
            tell.send(this_thread()).unwrap();
            let _: () = match stubborn.join() {
                Err(JoinError::NotJoined(error)) => {
                    assert_eq!(error.kind(), ErrorKind::NotConnected);
                }
                other => panic!("{other:?}"),
            };
        });
        until_asleep(hear.recv().unwrap());
        assert_eq!(runtime.shutdown().unwrap_err().tasks, 1);
        joiner.join().unwrap();
    });
}

#[test]
fn a_worker_that_does_not_hear_of_the_end_leaves_its_tasks_later() {
    within("deaf", || {
        let runtime = impatient();
        let (tell, hear) = mpsc::channel();
        let (go, gone) = mpsc::channel::<()>();
        // It truly blocks, and holds up the other.
        let blocks = runtime.spawn(move || {
            tell.send(()).unwrap();
            gone.recv().unwrap();
            loop {
                let _ = task::sleep(HOUR);
            }
        });
        hear.recv().unwrap();
        let other = runtime.spawn(|| ());
        assert_eq!(runtime.shutdown().unwrap_err().tasks, 2);
        assert!(!blocks.is_finished() && !other.is_finished());
        go.send(()).unwrap();
        let JoinError::NotRun(_) = other.join().unwrap_err() else { panic!("it ran") };
        let JoinError::NotJoined(_) = blocks.join().unwrap_err() else { panic!("it ended") };
    });
}

#[test]
fn memory_that_tasks_lend_when_they_are_left_stays() {
    within("lent", || {
        let (mut reader, mut writer) = pipe();
        let (a, mut b) = streams(unix());
        let runtime = impatient();
        let (tell, hear) = mpsc::channel();
        let told = tell.clone();
        drop(runtime.spawn(move || {
            let bytes = [7; 1000];
            told.send(()).unwrap();
            while writer.write_all(&bytes).is_err() {}
        }));
        drop(runtime.spawn(move || {
            let mut bytes = [7; 1000];
            tell.send(()).unwrap();
            while { &a }.read(&mut bytes).is_err() {}
        }));
        (0..2).for_each(|_| hear.recv().unwrap());
        assert_eq!(runtime.shutdown().unwrap_err().tasks, 2);
        // What lies on a stack that is left is there for ever.
        let control = reader.control();
        control.set_deadline(Some(std::time::Instant::now() + Duration::from_millis(1)));
        let mut buf = [0; 1000];
        if let Ok(n) = reader.read(&mut buf) {
            assert!(buf[..n].iter().all(|&byte| byte == 7));
        }
        b.write_all(b"x").unwrap();
    });
}

#[test]
fn streams_that_were_at_home_on_a_worker_are_waited_for_elsewhere_when_it_ends() {
    within("evicted", || {
        for _ in 0..30 {
            let (guests, runtime) = (runtime(1), runtime(1));
            let (a, b) = streams(unix());
            a.set_read_timeout(Some(Duration::from_millis(1)));
            let home = guests.spawn(move || {
                assert_eq!({ &a }.read(&mut [0]).unwrap_err().kind(), ErrorKind::TimedOut);
                a
            });
            let mut a = home.join().unwrap();
            a.set_read_timeout(None);
            let (tell, hear) = mpsc::channel();
            let elsewhere = runtime.spawn(move || {
                tell.send(this_thread()).unwrap();
                a.read(&mut [0]).map(|n| (n, a)).unwrap()
            });
            until_asleep(hear.recv().unwrap());
            guests.shutdown().unwrap();
            { &b }.write_all(b"x").unwrap();
            let (n, a) = elsewhere.join().unwrap();
            assert_eq!(n, 1);
            drop(a);
            runtime.shutdown().unwrap();
        }
    });
}

#[test]
fn the_turn_of_a_task_that_ends_with_its_runtime_goes_to_others() {
    within("turns", || {
        for round in 0..30 {
            let (guests, runtime) = (runtime(1), runtime(1));
            let (a, b) = streams(unix());
            let (a, b) = (Arc::new(a), Arc::new(b));
            let reader = |runtime: &Runtime| {
                let (a, (tell, hear)) = (Arc::clone(&a), mpsc::channel());
                let task = runtime.spawn(move || {
                    tell.send(this_thread()).unwrap();
                    { &*a }.read(&mut [0]).map_err(|error| is_cancelled(&error))
                });
                until_asleep(hear.recv().unwrap());
                task
            };
            let (first, second) = (reader(&guests), reader(&runtime));
            if round % 2 == 0 {
                first.cancel();
            }
            guests.shutdown().unwrap();
            { &*b }.write_all(b"x").unwrap();
            assert_eq!(first.join().unwrap(), Err(true));
            assert_eq!(second.join().unwrap(), Ok(1));
            runtime.shutdown().unwrap();
        }
    });
}

#[test]
fn a_stream_moves_from_worker_to_worker_and_to_threads() {
    within("moves", || {
        let (mut a, b) = streams(unix());
        for round in 0..20_u8 {
            let runtime = runtime(1);
            let writer = runtime.spawn(move || {
                let mut byte = [0];
                a.read_exact(&mut byte).unwrap();
                assert_eq!(byte, [round]);
                a
            });
            { &b }.write_all(&[round, round]).unwrap();
            a = writer.join().unwrap();
            // Its home may be gone by now, or not.
            if round % 2 == 0 {
                runtime.shutdown().unwrap();
            }
            let mut byte = [0];
            a.read_exact(&mut byte).unwrap();
            assert_eq!(byte, [round]);
        }
    });
}

#[test]
fn an_end_from_one_of_its_own_tasks_is_only_told() {
    within("from within", || {
        let runtime = runtime(2);
        let (give, given) = mpsc::channel::<Runtime>();
        let (tell, hear) = mpsc::channel();
        let task = runtime.spawn(move || {
            let sleeper = task::spawn(|| task::sleep(HOUR));
            given.recv().unwrap().shutdown().unwrap();
            tell.send(task::sleep(HOUR).is_err_and(|error| is_cancelled(&error))).unwrap();
            let ended = sleeper.join();
            assert!(ended.is_err() || ended.unwrap().is_err());
        });
        give.send(runtime).unwrap();
        assert!(hear.recv().unwrap());
        drop(task);
    });
}

/// Runs until the flag is set, whatever is cancelled.
fn until(flag: &AtomicBool) {
    while !flag.load(Ordering::Relaxed) {
        task::yield_now();
    }
}

/// And the wait is shielded from a cancel: who was promised the end has it.
#[test]
fn who_waits_for_another_runtimes_end_makes_room_meanwhile() {
    within("another's end", || {
        for cancelled in [false, true] {
            let (here, other) = (runtime(1), patient());
            let (free, begun) = (Arc::new(AtomicBool::new(false)), Arc::new(Barrier::new(2)));
            let (held, theirs) = (Arc::clone(&free), Arc::clone(&begun));
            let holds = other.spawn(move || {
                theirs.wait();
                until(&held);
            });
            begun.wait();
            let ends = here.spawn(move || {
                let waits = task::spawn(move || {
                    other.shutdown().unwrap();
                    assert!(holds.is_finished());
                });
                task::yield_now();
                if cancelled {
                    waits.cancel();
                }
                task::spawn(move || free.store(true, Ordering::Relaxed)).join().unwrap();
                waits.join().unwrap();
            });
            ends.join().unwrap();
        }
    });
}

#[test]
fn a_runtime_that_is_dropped_by_a_panic_ends_in_place() {
    within("dropped by a panic", || {
        let (here, other) = (runtime(1), patient());
        let sleeps = other.spawn(|| task::sleep(HOUR));
        let panics = here.spawn(move || {
            let _other = other;
            panic!("on purpose");
        });
        let _: JoinError = panics.join().map(|(): ()| ()).unwrap_err();
        assert!(sleeps.is_finished());
    });
}

#[test]
fn a_run_cancels_what_is_left_when_its_function_returns() {
    within("run", || {
        let ended = Arc::new(AtomicBool::new(false));
        let end = Arc::clone(&ended);
        let (tell, hear) = mpsc::channel();
        Runtime::builder()
            .workers(2)
            .run(|| {
                for _ in 0..2 {
                    let (end, tell) = (Arc::clone(&end), tell.clone());
                    drop(task::spawn(move || {
                        tell.send(()).unwrap();
                        assert!(is_cancelled(&task::sleep(HOUR).unwrap_err()));
                        end.store(true, Ordering::Relaxed);
                    }));
                }
                task::yield_now();
                hear.recv().unwrap();
            })
            .unwrap();
        assert!(ended.load(Ordering::Relaxed));
        // And the thread is an ordinary one again.
        let (mut reader, mut writer) = io::pipe().unwrap();
        writer.write_all(b"x").unwrap();
        assert_eq!(Stream::from_std(&reader).unwrap().read(&mut [0]).unwrap(), 1);
        drop(writer);
        assert_eq!(reader.read(&mut [0]).unwrap(), 0);
        assert!(task::name().is_none() && !task::is_cancelled());
    });
}
