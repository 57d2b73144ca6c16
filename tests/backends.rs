//! Every backend that this system has, by the poller's public face.
#![cfg(target_os = "linux")]

#[path = "kit/mod.rs"]
mod kit;

use aqueduct::poll::{Backend, Event, Events, Interest, Local, Mode, Poller};
use aqueduct::stream::Stream;
use aqueduct::task::{self, Runtime};
use kit::{Waiting, Way, tcp, unix, within};
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const CHILD: &str = "AQUEDUCT_TEST_CHILD";

fn each(name: &str, test: fn(Backend)) {
    for &backend in Backend::available() {
        within(&format!("{name}, {backend}"), move || test(backend));
    }
}

fn poller(backend: Backend) -> Poller {
    let poller = Poller::builder().backend(backend).build().unwrap();
    assert_eq!(poller.backend(), backend);
    poller
}

/// That does not block: signals come of no other.
fn pipe() -> (io::PipeReader, io::PipeWriter) {
    let (reader, writer) = io::pipe().unwrap();
    rustix::io::ioctl_fionbio(&reader, true).unwrap();
    rustix::io::ioctl_fionbio(&writer, true).unwrap();
    (reader, writer)
}

/// What is there by now.
fn now(poller: &Poller) -> Vec<Event> {
    let mut events = Events::new();
    poller.wait(&mut events, Some(Duration::ZERO)).unwrap();
    events.iter().collect()
}

/// The only event.
fn one(poller: &Poller) -> Event {
    let list = now(poller);
    assert_eq!(list.len(), 1, "{list:?}");
    list[0]
}

fn none(poller: &Poller) {
    assert_eq!(now(poller), []);
}

#[test]
fn what_is_ready_is_told_as_long_as_it_is() {
    each("level", |backend| {
        let poller = poller(backend);
        let (mut reader, mut writer) = pipe();
        poller.add(&reader, 1, Interest::READABLE, Mode::Level).unwrap();
        poller.add(&writer, 2, Interest::WRITABLE, Mode::Level).unwrap();
        for _ in 0..3 {
            let event = one(&poller);
            assert_eq!((event.key, event.readable, event.writable), (2, false, true));
        }
        poller.delete(&writer).unwrap();
        none(&poller);
        writer.write_all(b"ab").unwrap();
        for _ in 0..2 {
            let event = one(&poller);
            assert_eq!((event.key, event.readable, event.writable), (1, true, false));
            reader.read_exact(&mut [0]).unwrap();
        }
        none(&poller);
        poller.modify(&reader, 3, Interest::READABLE, Mode::Level).unwrap();
        writer.write_all(b"c").unwrap();
        assert_eq!(one(&poller).key, 3);
        reader.read_exact(&mut [0]).unwrap();
        drop(writer);
        for _ in 0..2 {
            let event = one(&poller);
            assert!(event.readable && event.key == 3);
        }
    });
}

#[test]
fn a_socket_is_told_of_in_both_directions() {
    each("both", |backend| {
        for (near, mut far) in [tcp()].map(|(a, b)| (Stream::from_std(a).unwrap(), b)) {
            let poller = poller(backend);
            poller.add(&near, 9, Interest::BOTH, Mode::Level).unwrap();
            let event = one(&poller);
            assert!(event.writable && !event.readable && !event.hung_up);
            far.write_all(b"x").unwrap();
            let mut events = Events::new();
            while !events.iter().any(|event| event.readable && event.writable) {
                poller.wait(&mut events, None).unwrap();
            }
            drop(far);
            poller.modify(&near, 9, Interest::READABLE, Mode::Level).unwrap();
            assert!(one(&poller).readable);
        }
    });
}

#[test]
fn the_kinds_of_refusals_are_the_same() {
    each("refusals", |backend| {
        let poller = poller(backend);
        let (reader, _writer) = pipe();
        let add = |key| poller.add(&reader, key, Interest::READABLE, Mode::Level);
        let modify = || poller.modify(&reader, 1, Interest::READABLE, Mode::Level);
        assert_eq!(modify().unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(poller.delete(&reader).unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(add(u64::MAX).unwrap_err().kind(), ErrorKind::InvalidInput);
        add(1).unwrap();
        assert_eq!(add(2).unwrap_err().kind(), ErrorKind::AlreadyExists);
        modify().unwrap();
        poller.delete(&reader).unwrap();
        let edge = poller.add(&reader, 1, Interest::READABLE, Mode::Edge);
        assert_eq!(edge.is_ok(), backend.has_edges());
        if let Err(error) = edge {
            assert_eq!(error.kind(), ErrorKind::Unsupported);
        }
        let file = tempfile::tempfile().unwrap();
        let others = ["/", "/dev/null", "/dev/zero", "/proc/self/status"].map(File::open);
        for file in others.into_iter().map(Result::unwrap).chain([file]) {
            let refused = poller.add(&file, 1, Interest::BOTH, Mode::Level).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::PermissionDenied, "{file:?}");
        }
    });
}

#[test]
fn a_wake_ends_a_wait_under_way_or_the_next_one_and_no_more() {
    each("wake", |backend| {
        let poller = Arc::new(poller(backend));
        for _ in 0..3 {
            poller.wake();
        }
        poller.wait(&mut Events::new(), None).unwrap();
        let at = Instant::now() + Duration::from_millis(5);
        poller.wait(&mut Events::new(), Some(Duration::from_millis(5))).unwrap();
        assert!(Instant::now() >= at, "three wakes ended two waits");
        let count = Arc::new(AtomicUsize::new(0));
        const EACH: usize = 2_000;
        let wakers: Vec<_> = (0..3)
            .map(|_| {
                let (poller, count) = (Arc::clone(&poller), Arc::clone(&count));
                thread::spawn(move || {
                    for _ in 0..EACH {
                        count.fetch_add(1, Ordering::Release);
                        poller.wake();
                    }
                })
            })
            .collect();
        while count.load(Ordering::Acquire) < 3 * EACH {
            poller.wait(&mut Events::new(), None).unwrap();
        }
        wakers.into_iter().for_each(|waker| waker.join().unwrap());
    });
}

#[test]
fn a_timeout_is_never_early_and_none_is_too_long() {
    each("timeout", |backend| {
        let poller = poller(backend);
        let (reader, _writer) = pipe();
        poller.add(&reader, 1, Interest::READABLE, Mode::Level).unwrap();
        for micros in [0, 1, 100, 999, 1_000, 1_001, 10_000] {
            let timeout = Duration::from_micros(micros);
            let start = Instant::now();
            let mut events = Events::new();
            poller.wait(&mut events, Some(timeout)).unwrap();
            assert!(start.elapsed() >= timeout, "{timeout:?}");
            assert!(events.is_empty());
        }
        for timeout in [Duration::from_secs(30 * 86_400), Duration::MAX] {
            poller.wake();
            poller.wait(&mut Events::new(), Some(timeout)).unwrap();
        }
    });
}

/// Starts a wait on another thread and makes `change` meanwhile. The keys that the wait told.
fn during(poller: &Arc<Poller>, change: impl FnOnce(&Poller)) -> Vec<u64> {
    let theirs = Arc::clone(poller);
    let waiting = Waiting::start(Way::Plain, 0, move || {
        let mut events = Events::new();
        theirs.wait(&mut events, None).unwrap();
        events.iter().map(|event| event.key).collect()
    })
    .asleep();
    change(poller);
    waiting.join()
}

#[test]
fn what_is_added_changed_or_deleted_while_another_thread_waits_counts_at_once() {
    each("changes", |backend| {
        let (reader, mut writer) = pipe();
        writer.write_all(b"x").unwrap();
        let poller = Arc::new(poller(backend));
        if backend == Backend::Signal {
            return signals_belong_to_a_thread(poller, &reader);
        }
        let add = |poller: &Poller| poller.add(&reader, 5, Interest::READABLE, Mode::Level);
        assert_eq!(during(&poller, |poller| add(poller).unwrap()), [5]);
        let nothing = Interest { readable: false, writable: false };
        poller.modify(&reader, 5, nothing, Mode::Level).unwrap();
        let told = during(&poller, |poller| {
            poller.modify(&reader, 6, Interest::READABLE, Mode::Level).unwrap();
        });
        assert_eq!(told, [6]);
        poller.delete(&reader).unwrap();

        let (near, mut far) = unix();
        poller.add(&near, 7, Interest::READABLE, Mode::Level).unwrap();
        let told = during(&poller, |poller| {
            poller.delete(&near).unwrap();
            drop(near);
            assert_eq!(far.read(&mut [0]).unwrap(), 0, "the wait keeps it open");
            poller.wake();
        });
        assert_eq!(told, [0; 0]);
    });
}

/// The thread that waits is the one that adds first; others may add and change meanwhile.
fn signals_belong_to_a_thread(poller: Arc<Poller>, reader: &io::PipeReader) {
    let theirs = Arc::clone(&poller);
    let waiting = Waiting::start(Way::Plain, 0, move || {
        let mut keys = Vec::new();
        while keys.len() < 3 {
            let mut events = Events::new();
            theirs.wait(&mut events, None).unwrap();
            keys.extend(events.iter().map(|event| event.key));
        }
        keys
    })
    .asleep();
    poller.add(reader, 5, Interest::READABLE, Mode::Level).unwrap();
    assert_eq!(waiting.join(), [5, 5, 5]);
    let error = poller.wait(&mut Events::new(), Some(Duration::ZERO)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

#[test]
fn many_descriptors_are_told_in_one_wait() {
    each("many", |backend| {
        let poller = poller(backend);
        let pipes: Vec<_> = (0..100).map(|_| pipe()).collect();
        for (key, (reader, writer)) in pipes.iter().enumerate() {
            poller.add(reader, key as u64, Interest::READABLE, Mode::Level).unwrap();
            { writer }.write_all(b"x").unwrap();
        }
        let mut keys: Vec<_> = now(&poller).iter().map(|event| event.key).collect();
        keys.sort_unstable();
        assert_eq!(keys, (0..100).collect::<Vec<_>>());
    });
}

#[test]
fn what_is_closed_without_being_deleted_is_no_event_and_hides_none() {
    // Alone: where other tests open descriptors, one may get the number.
    const NAME: &str = "what_is_closed_without_being_deleted_is_no_event_and_hides_none";
    if std::env::var_os(CHILD).is_none() {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap());
        let output = child.args(["--exact", NAME]).env(CHILD, "1").output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        return;
    }
    each("closed", |backend| {
        let poller = poller(backend);
        let pipes = [(); 3].map(|()| pipe());
        for (key, (reader, _)) in pipes.iter().enumerate() {
            poller.add(reader, key as u64, Interest::READABLE, Mode::Level).unwrap();
        }
        let [first, (gone, _writer), last] = pipes;
        drop(gone);
        none(&poller);
        { &last.1 }.write_all(b"x").unwrap();
        assert_eq!(one(&poller).key, 2);
        drop(first);
    });
}

/// A duplicate with the lowest free number from `least` on.
fn high(fd: impl AsFd, least: i32) -> OwnedFd {
    rustix::io::fcntl_dupfd_cloexec(fd, least).unwrap()
}

#[test]
fn the_number_of_a_descriptor_does_not_matter() {
    each("numbers", |backend| {
        let poller = poller(backend);
        let (reader, mut writer) = pipe();
        for (key, least) in [(0, 1023), (1, 1024), (2, 3000)] {
            let duplicate = high(&reader, least);
            poller.add(&duplicate, key, Interest::READABLE, Mode::Level).unwrap();
            none(&poller);
            writer.write_all(b"x").unwrap();
            assert_eq!(one(&poller).key, key);
            { &reader }.read_exact(&mut [0]).unwrap();
            poller.delete(&duplicate).unwrap();
        }
    });
}

#[test]
fn a_wait_on_a_task_makes_room_for_others() {
    each("task", |backend| {
        let runtime = Runtime::builder().workers(1).backend(backend).build().unwrap();
        assert_eq!(runtime.backend(), backend);
        let both = runtime.spawn(move || {
            let poller = Arc::new(poller(backend));
            let (reader, writer) = pipe();
            poller.add(&reader, 1, Interest::READABLE, Mode::Level).unwrap();
            let other = task::spawn(move || { &writer }.write_all(b"x"));
            let mut events = Events::new();
            poller.wait(&mut events, None).unwrap();
            other.join().unwrap().unwrap();
            poller.delete(&reader).unwrap();
            let theirs = Arc::clone(&poller);
            let other = task::spawn(move || theirs.wake());
            poller.wait(&mut Events::new(), None).unwrap();
            other.join().unwrap();
            events.iter().map(|event| event.key).collect::<Vec<_>>()
        });
        assert_eq!(both.join().unwrap(), [1]);
        runtime.shutdown().unwrap();
    });
}

#[test]
fn streams_and_tasks_wait_by_it() {
    each("streams", |backend| {
        let runtime = Runtime::builder().workers(2).backend(backend).build().unwrap();
        let (near, far) = tcp();
        let (mut near, far) = (Stream::from_std(near).unwrap(), Stream::from_std(far).unwrap());
        let echo = runtime.spawn(move || io::copy(&mut &far, &mut &far).unwrap());
        let local = Local::with_backend(backend).unwrap();
        for round in 0..200_u32 {
            near.write_all(&round.to_ne_bytes()).unwrap();
            let mut answer = [0; 4];
            near.read_exact(&mut answer).unwrap();
            assert_eq!(answer, round.to_ne_bytes());
        }
        drop(local);
        near.set_read_deadline(Some(Instant::now() + Duration::from_millis(2)));
        assert_eq!(near.read(&mut [0]).unwrap_err().kind(), ErrorKind::TimedOut);
        drop(near);
        assert_eq!(echo.join().unwrap(), 800);
        runtime.shutdown().unwrap();
    });
}

#[test]
fn the_environment_chooses_by_name() {
    if std::env::var_os(CHILD).is_some() {
        let local = Local::new().unwrap();
        let runtime = Runtime::new().unwrap();
        println!("<{}, {}>", Poller::new().unwrap().backend(), runtime.backend());
        drop(local);
        return;
    }
    for backend in Backend::available() {
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "the_environment_chooses_by_name", "--nocapture"])
            .env(CHILD, "1")
            .env("AQUEDUCT_POLLER", backend.name())
            .output()
            .unwrap();
        let answer = String::from_utf8(output.stdout).unwrap();
        assert!(answer.contains(&format!("<{backend}, {backend}>")), "{answer}");
    }
    let best = Backend::available()[0];
    assert_eq!(best, Backend::Epoll);
    assert!(best.has_edges() && !Backend::Select.has_edges());
}
