//! Many tasks, what they hold while they wait, and what they leave behind: no descriptor, no wake
//! that was meant for another. There is one test at a time in this process.
#![cfg(target_os = "linux")]

#[path = "kit/mod.rs"]
mod kit;

use aqueduct::poll::Local;
use aqueduct::stream::Stream;
use aqueduct::task::{self, JoinError, JoinHandle, Runtime};
use aqueduct::{copy, is_cancelled, pipe, pipe_with_capacity};
use kit::{PATIENCE, noise, streams, unix, within};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, mpsc};
use std::thread;
use std::time::{Duration, Instant};

/// Runs `body` alone in the process.
fn alone(name: &str, workers: usize, body: impl FnOnce() + Send + 'static) {
    let _one = one();
    tidy(name, workers, body);
}

/// Sees that `body` leaves no descriptor open.
fn tidy(name: &str, workers: usize, body: impl FnOnce() + Send + 'static) {
    let before = descriptors();
    within(name, move || {
        let runtime = Runtime::builder().workers(workers).stack_size(64 << 10).build().unwrap();
        let done = runtime.spawn(body).join();
        runtime.shutdown().unwrap();
        done.unwrap();
    });
    // What some other thread has open for a moment, the C library when it gives memory back, is not left.
    let end = Instant::now() + PATIENCE;
    let mut after = descriptors();
    while after.0 > before.0 && Instant::now() < end {
        thread::sleep(Duration::from_millis(1));
        after = descriptors();
    }
    assert_eq!(after.0, before.0, "{name}: descriptors are left open");
    // Copies keep four empty pipes for those to come.
    assert!(after.1 <= before.1.max(BEFORE_ALL + 8), "{name}: pipes are left open");
}

fn one() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// The pipes that the process was given.
const BEFORE_ALL: usize = 3;

/// How many there are, without pipes, and how many pipes.
fn descriptors() -> (usize, usize) {
    let all = std::fs::read_dir("/proc/self/fd").unwrap();
    let targets = all.filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok());
    let (pipes, others): (Vec<_>, Vec<_>) =
        targets.partition(|target| target.to_string_lossy().starts_with("pipe:"));
    (others.len(), pipes.len())
}

/// Passes a token around, ever larger, through a ring of pipes.
fn ring<R: Read + Send + 'static, W: Write + Send + 'static>(
    length: usize,
    rounds: u64,
    make: fn() -> (R, W),
) {
    let (mut first, mut into) = {
        let (reader, writer) = make();
        (Some(writer), reader)
    };
    let tasks: Vec<JoinHandle<()>> = (1..length)
        .map(|_| {
            let (next, mut writer) = make();
            let mut reader = std::mem::replace(&mut into, next);
            task::spawn(move || {
                for _ in 0..rounds {
                    let mut token = [0; 8];
                    reader.read_exact(&mut token).unwrap();
                    writer.write_all(&(u64::from_le_bytes(token) + 1).to_le_bytes()).unwrap();
                }
                assert_eq!(reader.read(&mut [0]).unwrap(), 0, "its writer has gone");
            })
        })
        .collect();
    let mut first = first.take().unwrap();
    let mut token = [0; 8];
    for _ in 0..rounds {
        first.write_all(&token).unwrap();
        into.read_exact(&mut token).unwrap();
    }
    drop(first);
    assert_eq!(into.read(&mut [0]).unwrap(), 0);
    tasks.into_iter().for_each(|task| task.join().unwrap());
    assert_eq!(u64::from_le_bytes(token), rounds * (length as u64 - 1));
}

#[test]
fn ten_thousand_tasks_in_a_ring_of_pipes_in_memory() {
    for workers in [1, 2] {
        alone("rendezvous", workers, || ring(10_000, 3, pipe));
        alone("buffered", workers, || ring(10_000, 3, || pipe_with_capacity(64)));
    }
}

#[test]
fn a_ring_of_the_systems_pipes_and_sockets() {
    for workers in [1, 2] {
        alone("pipes", workers, || ring(300, 5, || streams(io::pipe().unwrap())));
        alone("sockets", workers, || ring(300, 5, || streams(unix())));
    }
}

thread_local! {
    static OF_THE_WORKER: RefCell<Vec<Rc<Cell<u32>>>> = const { RefCell::new(Vec::new()) };
}

/// Everything here would be unsound if a task went on on another thread.
#[test]
fn thread_locals_and_what_is_not_send_stay_what_they_are() {
    for workers in [1, 2] {
        alone("thread-locals", workers, || {
            let tasks: Vec<_> = (0..200_u32)
                .map(|i| {
                    task::spawn(move || {
                        let me = thread::current().id();
                        let mine = Rc::new(Cell::new(i));
                        OF_THE_WORKER.with_borrow_mut(|all| all.push(Rc::clone(&mine)));
                        let (mut a, mut b) = streams(unix());
                        for round in 0..20 {
                            match round % 4 {
                                0 => task::yield_now(),
                                1 => task::sleep(Duration::from_micros(50)).unwrap(),
                                2 => {
                                    let echo =
                                        task::spawn(move || b.write_all(b"x").map(|()| b).unwrap());
                                    a.read_exact(&mut [0]).unwrap();
                                    b = echo.join().unwrap();
                                }
                                _ => task::unblock(|| ()).unwrap(),
                            }
                            assert_eq!(thread::current().id(), me);
                            // Counts that are not atomic, of this thread's alone.
                            let again = Rc::clone(&mine);
                            again.set(again.get() + 1);
                        }
                        assert_eq!(mine.get(), i + 20);
                        OF_THE_WORKER.with_borrow(|all| {
                            assert!(all.iter().any(|there| Rc::ptr_eq(there, &mine)));
                        });
                    })
                })
                .collect();
            tasks.into_iter().for_each(|task| task.join().unwrap());
        });
    }
}

#[test]
fn a_hundred_thousand_sleeps_none_of_them_short() {
    for workers in [1, 2] {
        alone("sleeps", workers, || {
            let tasks: Vec<_> = (0..10_000_u64)
                .map(|i| {
                    task::spawn(move || {
                        let mut dice = i.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
                        for _ in 0..10 {
                            dice ^= dice << 13;
                            dice ^= dice >> 7;
                            dice ^= dice << 17;
                            let at = Instant::now() + Duration::from_micros(dice >> 49);
                            task::sleep_until(at).unwrap();
                            assert!(Instant::now() >= at);
                        }
                    })
                })
                .collect();
            tasks.into_iter().for_each(|task| task.join().unwrap());
        });
    }
}

#[test]
fn random_sizes_through_pipes_in_memory_between_many_tasks() {
    for workers in [1, 2] {
        alone("random sizes", workers, || {
            let tasks: Vec<_> = (0..100)
                .map(|i| {
                    let (mut reader, mut writer) = pipe_with_capacity([0, 1, 7, 1000][i % 4]);
                    let sent = noise(3000 + 17 * i, i as u64 + 1);
                    let want = sent.clone();
                    let writes = task::spawn(move || {
                        let mut rest = &sent[..];
                        while !rest.is_empty() {
                            let (now, later) =
                                rest.split_at((1 + rest[0] as usize).min(rest.len()));
                            writer.write_all(now).unwrap();
                            rest = later;
                        }
                    });
                    let reads = task::spawn(move || {
                        let mut got = Vec::new();
                        let mut buf = [0; 300];
                        loop {
                            let size = 1 + got.len() % 299;
                            match reader.read(&mut buf[..size]).unwrap() {
                                0 => return got == want,
                                n => got.extend_from_slice(&buf[..n]),
                            }
                        }
                    });
                    (writes, reads)
                })
                .collect();
            for (writes, reads) in tasks {
                writes.join().unwrap();
                assert!(reads.join().unwrap(), "other bytes came");
            }
        });
    }
}

#[test]
fn copies_side_by_side_through_sockets() {
    for workers in [1, 2] {
        alone("copies", workers, || {
            let tasks: Vec<_> = (0..30)
                .map(|i| {
                    let ((mut a, b), (c, mut d)) = (streams(unix()), streams(unix()));
                    let sent = noise(300_000, i + 1);
                    let want = sent.clone();
                    let feed = task::spawn(move || { b }.write_all(&sent).unwrap());
                    let mover = task::spawn(move || copy(&mut a, &mut { c }).unwrap());
                    let reads = task::spawn(move || {
                        let mut got = Vec::new();
                        d.read_to_end(&mut got).unwrap();
                        got == want
                    });
                    (feed, mover, reads)
                })
                .collect();
            for (feed, mover, reads) in tasks {
                feed.join().unwrap();
                assert_eq!(mover.join().unwrap(), 300_000);
                assert!(reads.join().unwrap(), "other bytes came");
            }
        });
    }
}

/// Tasks wait for it by duplicates then, as often as they have to.
#[test]
fn streams_that_are_at_home_with_a_thread() {
    let _one = one();
    let (a, b) = streams(unix());
    let (a, b) = (Arc::new(a), Arc::new(b));
    let (theirs, (stop, stopped)) = (Arc::clone(&a), mpsc::channel::<()>());
    let (tell, hear) = mpsc::channel();
    let host = thread::spawn(move || {
        let _local = Local::new().unwrap();
        theirs.set_read_timeout(Some(Duration::from_millis(1)));
        assert_eq!({ &*theirs }.read(&mut [0]).unwrap_err().kind(), ErrorKind::TimedOut);
        theirs.set_read_timeout(None);
        drop(theirs);
        tell.send(()).unwrap();
        stopped.recv().unwrap_err();
    });
    hear.recv().unwrap();
    for workers in [1, 2] {
        let (a, b) = (Arc::clone(&a), Arc::clone(&b));
        tidy("at home with a thread", workers, move || {
            for _ in 0..50 {
                let (theirs, ours) = (Arc::clone(&a), Arc::clone(&b));
                let writes = task::spawn(move || {
                    (0..10).for_each(|_| task::yield_now());
                    { &*ours }.write_all(b"x").unwrap();
                });
                assert_eq!({ &*a }.read(&mut [0; 8]).unwrap(), 1);
                writes.join().unwrap();
                a.set_read_deadline(Some(Instant::now() + Duration::from_micros(100)));
                assert_eq!({ &*a }.read(&mut [0]).unwrap_err().kind(), ErrorKind::TimedOut);
                a.set_read_deadline(None);
                let waits = task::spawn(move || { &*theirs }.read(&mut [0]).unwrap_err());
                task::yield_now();
                waits.cancel();
                match waits.join() {
                    Ok(error) => assert!(is_cancelled(&error)),
                    Err(JoinError::NotRun(error)) => assert!(is_cancelled(&error)),
                    other => panic!("{other:?}"),
                }
            }
        });
    }
    // Without a descriptor for the duplicate it takes a little longer.
    let (_a, _b) = (Arc::clone(&a), Arc::clone(&b));
    tidy("no descriptor left", 1, move || {
        let limits = getrlimit(Resource::Nofile);
        let writes = task::spawn(move || {
            (0..10).for_each(|_| task::yield_now());
            { &*b }.write_all(b"x").unwrap();
        });
        setrlimit(Resource::Nofile, Rlimit { current: Some(64), ..limits }).unwrap();
        let all: Vec<_> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
        let read = { &*a }.read(&mut [0; 8]);
        setrlimit(Resource::Nofile, limits).unwrap();
        drop(all);
        assert_eq!(read.unwrap(), 1);
        writes.join().unwrap();
    });
    drop(stop);
    host.join().unwrap();
}

#[test]
fn runtimes_come_and_go() {
    alone("runtimes", 1, || {});
    for _ in 0..30 {
        alone("a runtime", 2, || {
            // Some wait when it ends: at home there, and elsewhere.
            let (mut a, b) = streams(unix());
            drop(task::spawn(move || (a.read(&mut [0]), a)));
            let (mut reader, writer) = pipe();
            drop(task::spawn(move || (reader.read(&mut [0]), writer)));
            drop(task::spawn(move || {
                let other: Stream<_> = b;
                let _ = task::sleep(Duration::from_secs(3600));
                drop(other);
            }));
            task::yield_now();
        });
    }
}

#[test]
fn a_runtime_whose_tasks_do_not_end_leaves_them_and_little_else() {
    let _one = one();
    let before = descriptors();
    for _ in 0..5 {
        let impatient = Runtime::builder().workers(1).patience(Duration::ZERO).build().unwrap();
        let task = impatient.spawn(|| {
            loop {
                let _ = task::sleep(Duration::from_secs(3600));
            }
        });
        let _ = impatient.shutdown();
        drop::<JoinHandle<()>>(task);
    }
    // The poller of each worker may lie on a stack that is left.
    assert!(descriptors().0 <= before.0 + 10);
}

/// A handle that is kept, and a waker in somebody's hands, are no reason to keep a poller.
#[test]
fn what_knows_a_task_of_a_runtime_that_has_ended_keeps_none_of_its_descriptors() {
    let _one = one();
    let (tell, hear) = mpsc::channel();
    let (handles, wakers) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(Vec::new())));
    let (keep, theirs) = (Arc::clone(&handles), Arc::clone(&wakers));
    tidy("handles and wakers", 2, move || {
        for _ in 0..10 {
            let (tell, theirs) = (tell.clone(), Arc::clone(&theirs));
            keep.lock().unwrap().push(task::spawn(move || {
                let waits = std::future::poll_fn(|context| {
                    theirs.lock().unwrap().push(context.waker().clone());
                    tell.send(()).unwrap();
                    std::task::Poll::<()>::Pending
                });
                task::wait(waits).unwrap_err()
            }));
        }
        task::yield_now();
        drop(keep);
    });
    assert!(hear.try_recv().is_ok());
    for waker in wakers.lock().unwrap().drain(..) {
        waker.wake();
    }
    for handle in handles.lock().unwrap().drain(..) {
        match handle.join() {
            Ok(error) => assert!(is_cancelled(&error)),
            Err(JoinError::NotRun(error)) => assert!(is_cancelled(&error)),
            other => panic!("{other:?}"),
        }
    }
}
