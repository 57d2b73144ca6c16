//! What is peculiar to the backend by io_uring.
#![cfg(target_os = "linux")]

#[path = "kit/mod.rs"]
mod kit;

use aqueduct::poll::{Backend, Event, Events, Interest, Local, Mode, Poller};
use aqueduct::stream::Stream;
use aqueduct::task::Runtime;
use kit::{tcp, unix, within};
use std::io::{self, ErrorKind, Read, Write};
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

const CHILD: &str = "AQUEDUCT_TEST_CHILD";

fn poller() -> Poller {
    let poller = Poller::builder().backend(Backend::Uring).build().unwrap();
    assert_eq!(poller.backend(), Backend::Uring);
    poller
}

fn wait(poller: &Poller, timeout: Option<Duration>) -> Vec<Event> {
    let mut events = Events::new();
    poller.wait(&mut events, timeout).unwrap();
    events.iter().collect()
}

/// From now on the calling thread and those it starts are refused io_uring_setup(2), as in many
/// containers.
fn forbid(errno: i32) {
    const LOAD_NUMBER: u16 = 0x20;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    let step = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    let filter = [
        step(LOAD_NUMBER, 0, 0, 0),
        step(JUMP_IF_EQUAL, 0, 1, libc::SYS_io_uring_setup as u32),
        step(RETURN, 0, 0, libc::SECCOMP_RET_ERRNO | errno.cast_unsigned()),
        step(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: 4, filter: filter.as_ptr().cast_mut() };
    #[expect(unsafe_code, reason = "rustix does not set filters")]
    // SAFETY: the program and its filter are there while the call reads them.
    let done = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
            | libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program)
    };
    assert_eq!(done, 0, "{}", io::Error::last_os_error());
}

#[test]
fn where_it_is_forbidden_epoll_takes_over_and_that_is_told() {
    if let Ok(errno) = std::env::var(CHILD) {
        forbid(errno.parse().unwrap());
        let runtime = Runtime::builder().workers(2).build().unwrap();
        assert_eq!(runtime.backend(), Backend::Epoll);
        let poller = Poller::builder().backend(Backend::Uring).build().unwrap();
        assert_eq!(poller.backend(), Backend::Epoll);
        let (near, mut far) = tcp();
        let read = runtime.spawn(move || {
            let mut buf = [0; 4];
            Stream::from_std(near).unwrap().read_exact(&mut buf).map(|()| buf)
        });
        far.write_all(b"news").unwrap();
        assert_eq!(read.join().unwrap().unwrap(), *b"news");
        return;
    }
    for errno in [libc::EPERM, libc::ENOSYS] {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "where_it_is_forbidden_epoll_takes_over_and_that_is_told"])
            .env(CHILD, errno.to_string())
            .env("AQUEDUCT_POLLER", "uring")
            .output()
            .unwrap();
        assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
    }
}

#[test]
fn an_edge_is_told_once_for_each_arrival() {
    let poller = poller();
    let (near, mut far) = unix();
    far.write_all(b"x").unwrap();
    poller.add(&near, 1, Interest::READABLE, Mode::Edge).unwrap();
    for _ in 0..3 {
        let [event] = wait(&poller, None)[..] else { panic!("one event") };
        assert!(event.readable && event.key == 1);
        assert_eq!(wait(&poller, Some(Duration::ZERO)), []);
        far.write_all(b"x").unwrap();
    }
    wait(&poller, None);
    poller.modify(&near, 2, Interest::BOTH, Mode::Edge).unwrap();
    let event = wait(&poller, None);
    assert!(event[0].readable && event[0].writable && event[0].key == 2, "modify tells anew");
    drop(far);
    assert!(wait(&poller, None)[0].hung_up);
}

#[test]
fn what_a_thread_added_that_is_gone_is_watched_on() {
    within("gone", || {
        for mode in [Mode::Edge, Mode::Level] {
            let poller = Arc::new(poller());
            let (near, mut far) = unix();
            let (theirs, again) = (Arc::clone(&poller), near.try_clone().unwrap());
            let adds = thread::spawn(move || {
                theirs.add(&again, 1, Interest::READABLE, mode).map(|()| again)
            });
            let _again = adds.join().unwrap().unwrap();
            assert_eq!(wait(&poller, Some(Duration::ZERO)), []);
            far.write_all(b"x").unwrap();
            assert_eq!(wait(&poller, None)[0].key, 1, "{mode:?}");
        }
    });
}

#[test]
fn what_is_deleted_is_let_go_at_once() {
    within("deleted", || {
        let poller = poller();
        let (near, mut far) = unix();
        poller.add(&near, 1, Interest::READABLE, Mode::Edge).unwrap();
        assert_eq!(wait(&poller, Some(Duration::ZERO)), []);
        poller.delete(&near).unwrap();
        drop(near);
        assert_eq!(far.read(&mut [0]).unwrap(), 0, "nobody else keeps it open");
    });
}

#[test]
fn more_orders_and_answers_than_the_queues_hold_are_no_loss() {
    within("many", || {
        let poller = poller();
        let pairs: Vec<_> = (0..1500).map(|_| unix()).collect();
        for (key, (near, _)) in pairs.iter().enumerate() {
            poller.add(near, key as u64, Interest::READABLE, Mode::Level).unwrap();
        }
        for (_, far) in &pairs {
            { far }.write_all(b"x").unwrap();
        }
        for _ in 0..2 {
            let mut keys = std::collections::BTreeSet::new();
            while keys.len() < pairs.len() {
                keys.extend(wait(&poller, None).iter().map(|event| event.key));
            }
        }
    });
}

#[test]
fn a_tty_that_takes_no_more_does_not_keep_its_writer_busy() {
    within("tty", || {
        let (master, slave) = kit::terminal(true);
        let local = Local::with_backend(Backend::Uring).unwrap();
        let mut stream = Stream::from_std(master).unwrap();
        stream.set_write_timeout(Some(Duration::from_millis(20)));
        let spent = || rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        let flood = |stream: &mut Stream<_>| loop {
            if let Err(error) = stream.write(&[b'x'; 4096]) {
                return error.kind();
            }
        };
        assert_eq!(flood(&mut stream), ErrorKind::TimedOut);
        stream.set_write_timeout(Some(Duration::from_millis(500)));
        let before = spent();
        assert_eq!(stream.write(b"x").unwrap_err().kind(), ErrorKind::TimedOut);
        let spent = Duration::try_from(spent() - before).unwrap();
        assert!(spent < Duration::from_millis(100), "{spent:?} of half a second");
        drop((local, slave));
    });
}
