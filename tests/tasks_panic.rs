//! What a task may do while it unwinds from a panic, in a destructor: everything but stop.
#![cfg(target_os = "linux")]

#[path = "kit/mod.rs"]
mod kit;

use aqueduct::stream::Stream;
use aqueduct::task::{self, JoinError};
use aqueduct::{copy, pipe, pipe_with_capacity};
use kit::{Waiting, Way, registered, streams, this_thread, unix, until_asleep};
use std::io::{self, ErrorKind, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::unbounded_channel;

const WAYS: [Way; 2] = [Way::Tasks, Way::Workers];

struct Last<F: FnMut()>(F);

impl<F: FnMut()> Drop for Last<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// Panics in a task, where `act` is called while it unwinds, and tells what that returned.
fn unwinding<T: Send + 'static>(act: impl FnOnce() -> T + Send + 'static) -> T {
    let (tell, hear) = mpsc::channel();
    let task = task::spawn(move || {
        let mut act = Some(act);
        let _last = Last(move || {
            assert!(thread::panicking());
            let result = act.take().map(|act| act());
            let _ = tell.send(result);
        });
        panic!("on purpose");
    });
    let JoinError::Panicked(payload) = task.join().map(drop).unwrap_err() else {
        panic!("it did not panic")
    };
    assert_eq!(payload.downcast_ref::<&str>(), Some(&"on purpose"));
    assert!(!thread::panicking());
    hear.try_recv().unwrap().unwrap()
}

/// Calls `act` on a thread once `tell` was called, and the caller of that sleeps.
fn then<T: Send + 'static>(act: impl FnOnce() -> T + Send + 'static) -> (impl Fn(), Waiting<T>) {
    let (tell, hear) = mpsc::channel();
    let thread = Waiting::start(Way::Plain, 0, move || {
        until_asleep(hear.recv().unwrap());
        act()
    });
    (move || tell.send(this_thread()).unwrap(), thread)
}

fn in_ways(name: &str, body: fn(Way)) {
    for way in WAYS {
        way.run(name, move || body(way));
    }
}

fn deadlock<T>(result: io::Result<T>) {
    assert_eq!(result.map(drop).unwrap_err().kind(), ErrorKind::Deadlock);
}

#[test]
fn what_only_another_flow_of_control_can_bring_is_an_error() {
    in_ways("deadlock", |_| {
        unwinding(|| {
            let (mut reader, mut writer) = pipe();
            deadlock(reader.read(&mut [0]));
            deadlock(writer.write(&[0]));
            let (mut reader, mut writer) = pipe_with_capacity(1);
            deadlock(reader.read(&mut [0]));
            assert_eq!(writer.write(&[7, 8]).unwrap(), 1);
            deadlock(writer.write(&[8]));
            assert_eq!(reader.read(&mut [0; 2]).unwrap(), 1);
        });
        unwinding(|| deadlock(task::sleep(Duration::from_secs(3600))));
        unwinding(|| deadlock(task::wait(std::future::pending::<()>())));
        unwinding(|| deadlock(task::unblock(|| thread::sleep(Duration::from_millis(1)))));
        let ended = task::spawn(|| 5);
        while !ended.is_finished() {
            task::yield_now();
        }
        assert_eq!(unwinding(|| ended.join().unwrap()), 5);
        let (stop, mut stopped) = unbounded_channel::<()>();
        let endless = task::spawn(move || task::wait(stopped.recv()).unwrap().unwrap());
        let error = unwinding(|| endless.join().unwrap_err());
        assert!(matches!(error, JoinError::NotJoined(why) if why.kind() == ErrorKind::Deadlock));
        stop.send(()).unwrap();
    });
}

#[test]
fn a_scope_refuses_its_tasks() {
    in_ways("scope", |_| {
        let counted = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&counted);
        unwinding(move || {
            task::scope(|scope| {
                let refused = scope.spawn(|| count.fetch_add(1, Ordering::Relaxed)).join();
                let JoinError::NotRun(why) = refused.unwrap_err() else { panic!("it ran") };
                assert_eq!(why.kind(), ErrorKind::Deadlock);
            });
        });
        assert_eq!(counted.load(Ordering::Relaxed), 0);
    });
}

/// What its tasks borrow must last, whatever becomes of the closure.
#[test]
fn a_scope_whose_closure_panics_waits_for_its_tasks_all_the_same() {
    in_ways("closure", |_| {
        let lent = AtomicUsize::new(0);
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            task::scope(|scope| {
                for _ in 0..3 {
                    scope.spawn(|| {
                        (0..10).for_each(|_| task::yield_now());
                        lent.fetch_add(1, Ordering::Relaxed);
                    });
                }
                panic!("on purpose");
            });
        }));
        assert_eq!(lent.into_inner(), 3);
        assert_eq!(panicked.unwrap_err().downcast_ref::<&str>(), Some(&"on purpose"));
    });
}

#[test]
fn a_spawned_task_runs_and_a_yield_does_not_stop() {
    in_ways("yield", |_| {
        let task = unwinding(|| {
            let task = task::spawn(thread::panicking);
            task::yield_now();
            task
        });
        assert!(!task.join().unwrap());
    });
}

#[test]
fn a_descriptor_holds_up_the_worker_until_it_is_ready() {
    in_ways("a descriptor", |way| {
        let (a, b) = streams(unix());
        // Empty, and the worker knows that; and whatever comes, it is busy then.
        let mut a = registered(way, a);
        let (now, writer) = then(move || {
            { &b }.write_all(b"late").unwrap();
            b
        });
        let got = unwinding(move || {
            now();
            let mut buf = [0; 8];
            a.read(&mut buf).map(|n| buf[..n].to_vec()).unwrap()
        });
        assert_eq!(got, b"late");
        drop(writer.join());
    });
}

#[test]
fn a_wait_for_a_descriptor_hears_of_deadlines_and_close() {
    in_ways("deadline and close", |way| {
        let (a, _b) = streams(unix());
        let mut a = registered(way, a);
        a.set_read_deadline(Some(Instant::now() + Duration::from_millis(2)));
        let (a, late) = unwinding(move || {
            let late = a.read(&mut [0]).unwrap_err();
            (a, late)
        });
        assert_eq!(late.kind(), ErrorKind::TimedOut);
        for close in [true, false] {
            let (a, _b) = streams(unix());
            let mut a = registered(way, a);
            let control = a.control();
            let (now, closer) = then(move || {
                if close { control.close() } else { control.set_deadline(Some(Instant::now())) }
            });
            let closed = unwinding(move || {
                now();
                a.read(&mut [0]).unwrap_err()
            });
            let kind = if close { ErrorKind::NotConnected } else { ErrorKind::TimedOut };
            assert_eq!(closed.kind(), kind);
            closer.join();
        }
        drop(a);
    });
}

#[test]
fn a_copy_goes_on() {
    in_ways("copy", |way| {
        let ((a, b), (c, d)) = (streams(unix()), streams(unix()));
        let (mut from, mut to) = (registered(way, a), registered(way, c));
        let (now, feeder) = then(move || {
            let sent = kit::noise(1 << 20, 3);
            { &b }.write_all(&sent).unwrap();
            sent
        });
        let reader = Waiting::start(Way::Plain, 0, move || {
            let mut got = Vec::new();
            { &d }.read_to_end(&mut got).map(|_| got).unwrap()
        });
        let copied = unwinding(move || {
            now();
            copy(&mut from, &mut to).unwrap()
        });
        assert_eq!(copied, 1 << 20);
        assert!(feeder.join() == reader.join());
    });
}

#[test]
fn a_turn_that_another_has_is_not_waited_for() {
    in_ways("turns", |_| {
        let (a, b) = streams(unix());
        let a = Arc::new(a);
        let first = Arc::clone(&a);
        let reader = Waiting::start(Way::Tasks, 0, move || { &*first }.read(&mut [0; 8]).unwrap());
        let reader = reader.asleep();
        deadlock(unwinding(move || { &*a }.read(&mut [0; 8])));
        { &b }.write_all(b"x").unwrap();
        assert_eq!(reader.join(), 1);
    });
}

#[test]
fn a_panic_that_is_caught_within_another_leaves_waits_refused_until_the_outer_one_ends() {
    in_ways("nested", |_| {
        let outer = task::spawn(|| {
            let caught = catch_unwind(AssertUnwindSafe(|| {
                let _last = Last(|| {
                    let inner = catch_unwind(|| panic!("the inner one"));
                    assert!(inner.is_err());
                    deadlock(task::sleep(Duration::from_millis(1)));
                });
                panic!("the outer one");
            }));
            assert!(caught.is_err());
            task::sleep(Duration::from_millis(1))
        });
        outer.join().unwrap().unwrap();
    });
}

#[test]
fn one_panics_while_others_wait_and_nobody_else_notices() {
    in_ways("among others", |_| {
        let (mut reader, writer) = io::pipe().map(streams).unwrap();
        let waits = task::spawn(move || {
            let n = reader.read(&mut [0; 8]).unwrap();
            (n, thread::panicking())
        });
        task::yield_now();
        for _ in 0..100 {
            let panics = task::spawn(|| {
                task::yield_now();
                panic!("on purpose")
            });
            let _: JoinError = panics.join().map(|(): ()| ()).unwrap_err();
        }
        { &writer }.write_all(b"x").unwrap();
        assert_eq!(waits.join().unwrap(), (1, false));
    });
}

#[test]
fn what_a_task_that_is_never_run_drops_may_use_descriptors() {
    // By two workers it might be run.
    Way::Tasks.run("dropped unrun", || {
        let (a, b) = streams(unix());
        let a = Arc::new(a);
        let (tell, mut heard) = unbounded_channel();
        let mut theirs = Some(Arc::clone(&a));
        let last = Last(move || {
            if let Some(a) = theirs.take() {
                let _ = tell.send({ &*a }.read(&mut [0; 8]).unwrap());
            }
        });
        let task = task::spawn(move || drop(last));
        task.cancel();
        { &b }.write_all(b"x").unwrap();
        assert!(matches!(task.join().unwrap_err(), JoinError::NotRun(_)));
        assert_eq!(task::wait(heard.recv()).unwrap().unwrap(), 1);
    });
}

/// Streams that are used in a destructor are still those of their owner.
#[test]
fn a_stream_in_a_destructor_is_closed_after_it() {
    in_ways("flush at the end", |_| {
        let (a, mut b): (Stream<_>, Stream<_>) = streams(unix());
        unwinding(move || { &a }.write_all(b"farewell").unwrap());
        let mut text = String::new();
        b.read_to_string(&mut text).unwrap();
        assert_eq!(text, "farewell");
    });
}
