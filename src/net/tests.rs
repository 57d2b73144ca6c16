//! What accept(2) and connect(2) answer seldom: injected.

use super::{TcpListener, TcpStream, UnixListener, UnixStream};
use crate::sys::Call;
use crate::sys::faults::{self, Faults};
use rustix::io::Errno;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::panic::resume_unwind;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

fn once(errno: Errno) -> Faults {
    Faults { once: Some((0, errno.raw_os_error())), ..Faults::default() }
}

fn always(call: Call, errno: Errno) -> Faults {
    Faults { off: vec![(call, errno.raw_os_error())], ..Faults::default() }
}

/// A listener and a connection that waits there.
fn visited() -> (TcpListener, TcpStream, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, TcpStream::connect(address).unwrap(), address)
}

/// Runs `body` on a thread of its own. Where it waits for ever, this fails.
fn watched(body: impl FnOnce() + Send + 'static) {
    let (done, end) = mpsc::channel();
    let thread = thread::spawn(move || {
        body();
        let _ = done.send(());
    });
    let ended = end.recv_timeout(Duration::from_secs(60));
    assert_ne!(ended, Err(RecvTimeoutError::Timeout), "still waiting");
    thread.join().unwrap_or_else(|panic| resume_unwind(panic));
}

#[test]
fn connections_that_failed_before_their_turn_are_passed_over() {
    watched(|| {
        let failures = [
            Errno::CONNABORTED,
            Errno::CONNRESET,
            Errno::PROTO,
            Errno::NOPROTOOPT,
            Errno::NETDOWN,
            Errno::NETUNREACH,
            Errno::HOSTDOWN,
            Errno::HOSTUNREACH,
            Errno::NONET,
        ];
        for errno in failures {
            let (listener, client, _) = visited();
            let (accepted, left) = faults::with(once(errno), || listener.accept());
            assert_eq!(accepted.unwrap().1, client.local_addr().unwrap(), "{errno:?}");
            assert_eq!(left.fired, Some(Call::Accept));
            assert_eq!(left.calls, 2, "at once");
        }
    });
}

#[test]
fn what_is_the_listeners_own_failure_is_told() {
    watched(|| {
        for errno in [Errno::INVAL, Errno::BADF, Errno::NOTSOCK, Errno::OPNOTSUPP, Errno::PERM] {
            let (listener, ..) = visited();
            let (failed, _) = faults::with(once(errno), || listener.accept());
            assert_eq!(failed.unwrap_err().raw_os_error(), Some(errno.raw_os_error()));
        }
    });
}

#[test]
fn where_nothing_is_left_an_accept_waits_and_goes_on() {
    watched(|| {
        for errno in [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM] {
            let (listener, client, _) = visited();
            let start = Instant::now();
            let (accepted, _) = faults::with(once(errno), || listener.accept());
            assert!(start.elapsed() >= Duration::from_millis(5), "{errno:?}: it did not wait");
            assert_eq!(accepted.unwrap().1, client.local_addr().unwrap());

            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("socket");
            let listener = UnixListener::bind(&path).unwrap();
            let _client = UnixStream::connect(&path).unwrap();
            faults::with(once(errno), || listener.accept()).0.unwrap();
        }
    });
}

#[test]
fn as_long_as_nothing_is_left_it_looks_ever_less_often_until_the_deadline() {
    watched(|| {
        let (listener, _client, _) = visited();
        let at = Instant::now() + Duration::from_millis(100);
        listener.set_deadline(Some(at));
        let (late, left) = faults::with(always(Call::Accept, Errno::MFILE), || listener.accept());
        assert_eq!(late.unwrap_err().kind(), ErrorKind::TimedOut);
        assert!(Instant::now() >= at, "early");
        // At 0, 5, 15, 35 and 75 milliseconds, or later.
        assert!((1..=5).contains(&left.calls), "{} calls", left.calls);
        listener.set_deadline(None);

        listener.set_timeout(Some(Duration::from_millis(30)));
        let (late, left) = faults::with(always(Call::Accept, Errno::NFILE), || listener.accept());
        assert_eq!(late.unwrap_err().kind(), ErrorKind::TimedOut);
        assert!((1..=3).contains(&left.calls), "{} calls", left.calls);
        listener.accept().unwrap();
    });
}

#[test]
fn a_close_reaches_who_waits_for_a_descriptor() {
    watched(|| {
        let (listener, _client, _) = visited();
        let control = listener.control();
        let closer = thread::spawn(move || control.close());
        let (closed, _) = faults::with(always(Call::Accept, Errno::MFILE), || listener.accept());
        assert_eq!(closed.unwrap_err().kind(), ErrorKind::NotConnected);
        closer.join().unwrap();
    });
}

#[test]
fn interruptions_are_not_noticed() {
    watched(|| {
        let (listener, _first, address) = visited();
        let faults = || Faults { interrupt: true, ..Faults::default() };
        let (client, _) = faults::with(faults(), || TcpStream::connect(address));
        let (accepted, _) = faults::with(faults(), || listener.accept());
        accepted.unwrap();
        assert_eq!(listener.accept().unwrap().1, client.unwrap().local_addr().unwrap());
    });
}

#[test]
fn an_address_that_fails_at_once_is_followed_by_the_next() {
    watched(|| {
        let (_listener, _client, address) = visited();
        let all = vec![address; 3];
        let (client, left) = faults::with(once(Errno::NETUNREACH), || TcpStream::connect(&all));
        client.unwrap();
        assert_eq!(left.calls, 2);
        let refused = || faults::with(always(Call::Connect, Errno::ADDRNOTAVAIL), || dial(&all));
        let (failed, left) = refused();
        assert_eq!(failed.unwrap_err().kind(), ErrorKind::AddrNotAvailable);
        assert_eq!(left.calls, 3);
    });
}

fn dial(all: &[SocketAddr]) -> io::Result<TcpStream> {
    TcpStream::connect(all)
}
