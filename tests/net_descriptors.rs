//! What becomes of descriptors: none is leaked, and where none is left an accept waits. Each case
//! runs in a child, since limits and counts are the process's.
#![cfg(target_os = "linux")]

#[path = "kit/mod.rs"]
mod kit;

use aqueduct::net::{TcpListener, TcpStream, UdpSocket, UnixDatagram, UnixListener, UnixStream};
use kit::{Waiting, Way, on_all_ways};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::SocketAddr as UnixAddr;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

const CASE: &str = "AQUEDUCT_TEST_CASE";

fn in_a_child(case: &str) {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_case", "--nocapture"])
        .env(CASE, case)
        .output()
        .unwrap();
    let said = [child.stdout, child.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert!(child.status.success(), "{}", said.concat());
}

#[test]
fn a_case() {
    match std::env::var(CASE).as_deref() {
        Ok("none left") => on_all_ways("none left", none_left),
        Ok("leaks") => on_all_ways("leaks", leaks),
        _ => {}
    }
}

#[test]
fn without_a_descriptor_an_accept_waits_and_recovers() {
    in_a_child("none left");
}

#[test]
fn no_descriptor_is_left_behind() {
    in_a_child("leaks");
}

fn soon(length: Duration) -> Option<Instant> {
    Some(Instant::now() + length)
}

fn open() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Every descriptor that the process may have.
fn take_all() -> Vec<File> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(64), ..limit }).unwrap();
    let mut all = Vec::new();
    loop {
        match File::open("/dev/null") {
            Ok(file) => all.push(file),
            Err(error) => {
                assert_eq!(error.raw_os_error(), Some(rustix::io::Errno::MFILE.raw_os_error()));
                return all;
            }
        }
    }
}

fn none_left(_: Way) {
    let listener = Arc::new(TcpListener::bind("127.0.0.1:0").unwrap());
    let address = listener.local_addr().unwrap();
    let unix = UnixListener::bind_addr(&name("none left")).unwrap();
    let client = TcpStream::connect(address).unwrap();
    let _other = UnixStream::connect_addr(&name("none left")).unwrap();
    // A wait for what is not there yet makes what the thread needs for that.
    let idle = UdpSocket::bind("127.0.0.1:0").unwrap();
    idle.set_read_timeout(Some(Duration::from_millis(1)));
    assert_eq!(idle.recv(&mut []).unwrap_err().kind(), ErrorKind::TimedOut);

    let mut all = take_all();
    let at = soon(Duration::from_millis(20));
    listener.set_deadline(at);
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::TimedOut);
    assert!(Some(Instant::now()) >= at, "early");
    listener.set_deadline(None);
    unix.set_timeout(Some(Duration::from_millis(10)));
    assert_eq!(unix.accept().unwrap_err().kind(), ErrorKind::TimedOut);
    let none = TcpStream::connect(address).unwrap_err();
    assert_eq!(none.raw_os_error(), Some(rustix::io::Errno::MFILE.raw_os_error()));

    let (one, control) = (Arc::clone(&listener), unix.control());
    // A thread that comes now has no descriptor for a poller of its own.
    let waiting = Waiting::start(Way::Plain, 1, move || one.accept().unwrap()).asleep();
    unix.set_timeout(None);
    let closed = Waiting::start(Way::Plain, 1, move || unix.accept().map(drop)).asleep();
    control.close();
    assert_eq!(closed.join().unwrap_err().kind(), ErrorKind::NotConnected);
    drop(all.pop());
    let (mut connection, from) = waiting.join();
    assert_eq!(from, client.local_addr().unwrap());
    connection.write_all(b"welcome").unwrap();
    { &client }.read_exact(&mut [0; 7]).unwrap();
}

fn name(of: &str) -> UnixAddr {
    let text = format!("aqueduct-test-{of}-{}", std::process::id());
    UnixAddr::from_abstract_name(text).unwrap()
}

fn leaks(_: Way) {
    // What is made once for the thread is made.
    everything();
    let before = open();
    for _ in 0..3 {
        everything();
        assert_eq!(open(), before);
    }
}

/// Connections made, refused, raced, given up and dropped.
fn everything() {
    let short = Some(Duration::from_millis(1));
    let listener = TcpListener::builder().backlog(0).bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let dead = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let live = TcpListener::bind("127.0.0.1:0").unwrap();
    let alive = live.local_addr().unwrap();

    TcpStream::connect(dead).unwrap_err();
    TcpStream::connect(("localhost", dead.port())).unwrap_err();
    TcpStream::connect("a..b:1").unwrap_err();
    let mut queue: Vec<TcpStream> = Vec::new();
    while let Ok(waiting) = TcpStream::connect_timeout(address, Duration::from_millis(10)) {
        queue.push(waiting);
    }
    // The one that is overtaken goes.
    let all: Vec<SocketAddr> = vec![address, dead, alive];
    let first = TcpStream::connect(&all).unwrap();
    let (second, _) = live.accept().unwrap();
    first.set_read_timeout(short);
    assert_eq!({ &first }.read(&mut [0]).unwrap_err().kind(), ErrorKind::TimedOut);
    let (from, to) = second.split();
    drop(from);
    drop(to.get_ref().try_clone().unwrap());
    live.set_timeout(short);
    live.accept().unwrap_err();
    drop(live.into_std().unwrap());
    drop(first.into_std().unwrap());
    for _ in &queue {
        drop(listener.accept().unwrap());
    }

    let unix = UnixListener::bind_addr(&name("leaks")).unwrap();
    rustix::net::listen(&unix, 0).unwrap();
    let _one = UnixStream::connect_addr(&name("leaks")).unwrap();
    let at = soon(Duration::from_millis(3));
    UnixStream::connect_addr_deadline(&name("leaks"), at).unwrap_err();
    UnixStream::connect("/no/such/path").unwrap_err();
    UnixListener::bind("/no/such/path").unwrap_err();
    TcpListener::bind(address).unwrap_err();
    unix.accept().unwrap();
    UnixStream::pair().unwrap();

    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    udp.set_read_timeout(short);
    udp.recv(&mut [0; 8]).unwrap_err();
    UdpSocket::bind(udp.local_addr().unwrap()).unwrap_err();
    UnixDatagram::pair().unwrap();
    UnixDatagram::bind("/no/such/path").unwrap_err();
}
