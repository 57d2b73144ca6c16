//! Which calls of the system a connection costs, and a message: those that do the work, and none
//! that asks what is known already.
#![cfg(target_os = "linux")]

#[path = "kit/mod.rs"]
mod kit;

use aqueduct::net::{TcpListener, TcpStream, UdpSocket, UnixListener, UnixStream};
use std::collections::BTreeMap;
use std::process::Command;

const CASE: &str = "AQUEDUCT_TEST_CASE";
/// How many connections, or messages.
const MANY: usize = 50;

/// What concerns memory, threads and time, but no socket.
const OTHERS: &[&str] = &["brk", "mmap", "munmap", "mremap", "madvise", "futex", "clock_gettime"];

/// The calls between the marks that the case makes, by name.
fn calls(case: &str) -> Option<BTreeMap<String, usize>> {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let child = Command::new("strace")
        .args(["-f", "-s", "12", "-o"])
        .arg(&log)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "a_case", "--nocapture"])
        .env(CASE, case)
        .output();
    let Ok(child) = child else {
        let required = std::env::var_os("AQUEDUCT_REQUIRE_TOOLS").is_some();
        assert!(!required, "strace is not installed");
        eprintln!("NOT RUN: strace is not installed, so no calls were counted");
        return None;
    };
    assert!(child.status.success(), "{case}: {}", String::from_utf8_lossy(&child.stderr));
    let log = std::fs::read_to_string(&log).unwrap();
    let begin = log.lines().find(|line| line.contains("\"BEGIN")).expect("a first mark");
    let thread = begin.split_whitespace().next().expect("a thread");
    let own = log.lines().filter(|line| line.split_whitespace().next() == Some(thread));
    let mut seen = BTreeMap::new();
    let marked = own.skip_while(|line| !line.contains("\"BEGIN")).skip(1);
    for line in marked.take_while(|line| !line.contains("\"END")) {
        let call = line[thread.len()..].trim_start();
        if !call.starts_with("<... ") {
            let name = call.split('(').next().unwrap_or_default();
            if !OTHERS.contains(&name) {
                *seen.entry(name.to_owned()).or_default() += 1;
            }
        }
    }
    Some(seen)
}

#[test]
fn a_case() {
    let Ok(case) = std::env::var(CASE) else { return };
    kit::within(&case.clone(), move || match case.as_str() {
        "tcp" => tcp(),
        "unix" => unix(),
        _ => udp(),
    });
}

fn mark(text: &str) {
    rustix::io::write(std::io::stderr(), text.as_bytes()).unwrap();
}

fn check(case: &str, wanted: &[&str]) {
    let Some(mut seen) = calls(case) else { return };
    // A laggard machine may have the server wait for what the client has made.
    let waits = seen.get("ppoll").map_or(0, |n| n.saturating_sub(MANY));
    for name in ["ppoll", "accept4"] {
        seen.entry(name.to_owned()).and_modify(|n| *n -= waits.min(*n));
    }
    let wanted: BTreeMap<_, _> = wanted.iter().map(|name| ((*name).to_owned(), MANY)).collect();
    assert_eq!(seen, wanted, "{case}, {waits} waits more");
    assert!(waits < MANY / 2, "{case}: {waits} waits");
}

#[test]
fn a_tcp_connection_costs_its_calls_and_no_more() {
    check("tcp", &["socket", "connect", "ppoll", "getsockopt", "accept4"]);
}

#[test]
fn a_unix_connection_costs_its_calls_and_no_more() {
    check("unix", &["socket", "connect", "accept4"]);
}

#[test]
fn a_message_costs_a_call_at_each_end() {
    check("udp", &["sendto", "recvfrom"]);
}

fn tcp() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut both = Vec::with_capacity(MANY);
    // The thread's own event is made at its first wait.
    both.push((TcpStream::connect(address).unwrap(), listener.accept().unwrap().0));
    mark("BEGIN");
    for _ in 0..MANY {
        both.push((TcpStream::connect(address).unwrap(), listener.accept().unwrap().0));
    }
    mark("END");
}

fn unix() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    let mut both = Vec::with_capacity(MANY);
    mark("BEGIN");
    for _ in 0..MANY {
        both.push((UnixStream::connect(&path).unwrap(), listener.accept().unwrap().0));
    }
    mark("END");
}

fn udp() {
    let (a, b) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
    let to = b.local_addr().unwrap();
    mark("BEGIN");
    for _ in 0..MANY {
        a.send_to(b"message", to).unwrap();
        b.recv_from(&mut [0; 8]).unwrap();
    }
    mark("END");
}
