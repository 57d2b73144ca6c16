//! What is peculiar to the backend by signals.
#![cfg(target_os = "linux")]
#![expect(unsafe_code, reason = "signals and limits are raw calls")]

#[path = "kit/mod.rs"]
mod kit;

use aqueduct::poll::{Backend, Event, Events, Interest, Local, Mode, Poller};
use aqueduct::stream::Stream;
use aqueduct::task::Runtime;
use kit::{tcp, terminal, within};
use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::{OFlags, fcntl_getfl};
use std::collections::BTreeSet;
use std::io::{self, ErrorKind, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::thread;
use std::time::{Duration, Instant};

fn poller() -> Poller {
    Poller::builder().backend(Backend::Signal).build().unwrap()
}

fn pipe() -> (PipeReader, PipeWriter) {
    let (reader, writer) = io::pipe().unwrap();
    rustix::io::ioctl_fionbio(&reader, true).unwrap();
    rustix::io::ioctl_fionbio(&writer, true).unwrap();
    (reader, writer)
}

fn now(poller: &Poller) -> Vec<Event> {
    let mut events = Events::new();
    poller.wait(&mut events, Some(Duration::ZERO)).unwrap();
    events.iter().collect()
}

fn is_async(fd: impl AsFd) -> bool {
    fcntl_getfl(fd).unwrap().contains(OFlags::from_bits_retain(libc::O_ASYNC as u32))
}

/// What F_GETSIG and F_GETOWN say.
fn setting(fd: impl AsFd) -> (i32, i32) {
    const F_GETSIG: i32 = 11;
    let fd = fd.as_fd().as_raw_fd();
    // SAFETY: neither call takes a pointer.
    unsafe { (libc::fcntl(fd, F_GETSIG), libc::fcntl(fd, libc::F_GETOWN)) }
}

#[test]
fn an_edge_is_told_once_and_tells_its_direction() {
    within("edges", || {
        let poller = poller();
        let (a, mut b) = tcp();
        a.set_nonblocking(true).unwrap();
        poller.add(&a, 1, Interest::BOTH, Mode::Edge).unwrap();
        let [event] = now(&poller)[..] else { panic!("what is there already") };
        assert!(event.writable && !event.readable);
        assert_eq!(now(&poller), []);
        for _ in 0..3 {
            b.write_all(b"x").unwrap();
            let mut events = Events::new();
            poller.wait(&mut events, None).unwrap();
            assert!(events.iter().all(|event| event.readable && event.key == 1));
            assert_eq!(now(&poller), []);
        }
        drop(b);
        let mut events = Events::new();
        poller.wait(&mut events, None).unwrap();
        assert!(events.iter().all(|event| event.readable && event.hung_up));
    });
}

#[test]
fn the_description_is_left_as_it_was() {
    let (reader, mut writer) = pipe();
    let before = (fcntl_getfl(&reader).unwrap(), setting(&reader));
    let first = poller();
    first.add(&reader, 1, Interest::READABLE, Mode::Edge).unwrap();
    assert!(is_async(&reader));
    first.delete(&reader).unwrap();
    assert_eq!((fcntl_getfl(&reader).unwrap(), setting(&reader)), before);
    writer.write_all(b"x").unwrap();
    assert_eq!(now(&first), []);
    first.add(&reader, 1, Interest::READABLE, Mode::Edge).unwrap();
    drop(first);
    assert_eq!((fcntl_getfl(&reader).unwrap(), setting(&reader)), before);
}

#[test]
fn everything_is_disarmed_when_a_worker_ends() {
    within("worker", || {
        let runtime = Runtime::builder().workers(1).backend(Backend::Signal).build().unwrap();
        let (near, far) = tcp();
        let again = near.try_clone().unwrap();
        let mut near = Stream::from_std(near).unwrap();
        let waits = runtime.spawn(move || {
            near.set_read_timeout(Some(Duration::from_millis(1)));
            assert_eq!(near.read(&mut [0]).unwrap_err().kind(), ErrorKind::TimedOut);
            near
        });
        let mut near = waits.join().unwrap();
        assert!(is_async(&again), "it is at home there");
        runtime.shutdown().unwrap();
        assert!(!is_async(&again));
        // And it is nobody's, so that another can have it.
        let local = Local::with_backend(Backend::Signal).unwrap();
        let writer = thread::spawn(move || { &far }.write_all(b"x"));
        near.set_read_timeout(None);
        near.read_exact(&mut [0]).unwrap();
        writer.join().unwrap().unwrap();
        drop(local);
    });
}

#[test]
fn what_sends_no_signals_is_polled() {
    within("polled", || {
        let poller = poller();
        let event = eventfd(0, EventfdFlags::NONBLOCK).unwrap();
        let (blocking, mut writer) = io::pipe().unwrap();
        let (reader, mut other) = pipe();
        poller.add(&event, 1, Interest::READABLE, Mode::Level).unwrap();
        poller.add(&blocking, 2, Interest::READABLE, Mode::Level).unwrap();
        poller.add(&reader, 3, Interest::READABLE, Mode::Level).unwrap();
        assert_eq!(
            [is_async(&event), is_async(&blocking), is_async(&reader)],
            [false, false, true]
        );
        assert_eq!(now(&poller), []);
        rustix::io::write(&event, &1_u64.to_ne_bytes()).unwrap();
        writer.write_all(b"x").unwrap();
        other.write_all(b"x").unwrap();
        let keys: BTreeSet<_> = now(&poller).iter().map(|event| event.key).collect();
        assert_eq!(keys, BTreeSet::from([1, 2, 3]));
        poller.delete(&event).unwrap();
        poller.delete(&blocking).unwrap();
        assert_eq!(now(&poller).len(), 1);
    });
}

#[test]
fn a_description_that_tells_somebody_else_is_polled() {
    within("two", || {
        let pollers = [poller(), poller()];
        let (reader, mut writer) = pipe();
        let again = reader.try_clone().unwrap();
        pollers[0].add(&reader, 1, Interest::READABLE, Mode::Level).unwrap();
        pollers[1].add(&again, 2, Interest::READABLE, Mode::Level).unwrap();
        let writing = thread::spawn(move || writer.write_all(b"x").map(|()| writer));
        for (poller, key) in pollers.iter().zip([1, 2]) {
            let mut events = Events::new();
            poller.wait(&mut events, None).unwrap();
            assert_eq!(events.iter().map(|event| event.key).collect::<Vec<_>>(), [key]);
        }
        writing.join().unwrap().unwrap();
        pollers[1].delete(&again).unwrap();
        assert!(is_async(&reader), "it is the other one's");
        assert_eq!(now(&pollers[0]).len(), 1);
    });
}

#[test]
fn a_signal_for_a_number_that_is_used_again_is_harmless() {
    let poller = poller();
    let (reader, mut writer) = pipe();
    poller.add(&reader, 1, Interest::READABLE, Mode::Edge).unwrap();
    assert_eq!(now(&poller), []);
    writer.write_all(b"x").unwrap();
    let number = reader.as_raw_fd();
    let (other, _writer) = pipe();
    poller.delete(&reader).unwrap();
    drop(reader);
    // Should another test have the number, the next one up serves as well.
    let moved = rustix::io::fcntl_dupfd_cloexec(other, number).unwrap();
    poller.add(&moved, 2, Interest::READABLE, Mode::Edge).unwrap();
    assert_eq!(now(&poller), []);
}

#[test]
fn signals_that_do_not_fit_into_the_queue_are_made_up_for() {
    const CHILD: &str = "AQUEDUCT_TEST_CHILD";
    if std::env::var_os(CHILD).is_none() {
        let status = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "signals_that_do_not_fit_into_the_queue_are_made_up_for"])
            .env(CHILD, "1")
            .status()
            .unwrap();
        assert!(status.success());
        return;
    }
    within("overflow", || {
        let limit = libc::rlimit { rlim_cur: 20, rlim_max: 20 };
        // SAFETY: it reads the limit.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_SIGPENDING, &raw const limit) }, 0);
        let poller = poller();
        let pipes: Vec<_> = (0..64).map(|_| pipe()).collect();
        for (key, (reader, _)) in pipes.iter().enumerate() {
            poller.add(reader, key as u64, Interest::READABLE, Mode::Edge).unwrap();
        }
        assert_eq!(now(&poller), []);
        for round in 0..3 {
            for (_, writer) in &pipes {
                { writer }.write_all(b"x").unwrap();
            }
            let keys: BTreeSet<_> = now(&poller).iter().map(|event| event.key).collect();
            assert_eq!(keys.len(), 64, "in round {round}");
            poller.wake();
            poller.wait(&mut Events::new(), None).unwrap();
        }
    });
}

/// A descriptor that the program was given, as it is.
fn blocking_flags(fd: BorrowedFd<'_>) -> OFlags {
    fcntl_getfl(fd).unwrap()
}

#[test]
fn flags_that_others_share_stay_as_they_are() {
    within("shared", || {
        let poller = poller();
        let (_master, slave) = terminal(true);
        let before = blocking_flags(slave.as_fd());
        poller.add(&slave, 1, Interest::READABLE, Mode::Level).unwrap();
        assert_eq!(blocking_flags(slave.as_fd()), before);
        let at = Instant::now() + Duration::from_millis(2);
        poller.wait(&mut Events::new(), Some(Duration::from_millis(2))).unwrap();
        assert!(Instant::now() >= at);
    });
}
