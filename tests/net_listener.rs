//! Listeners: close, deadlines, queues, and two thousand connections.
#![cfg(target_os = "linux")]

#[path = "kit/mod.rs"]
mod kit;

use aqueduct::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use kit::{PATIENCE, Waiting, Way, on_all_ways};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io::{ErrorKind, Read, Result, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

fn listener() -> (Arc<TcpListener>, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (Arc::new(listener), address)
}

fn soon(length: Duration) -> Option<Instant> {
    Some(Instant::now() + length)
}

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn accept(listener: &Arc<TcpListener>) -> impl FnOnce() -> Result<TcpStream> + Send + 'static {
    let listener = Arc::clone(listener);
    move || listener.accept().map(|(connection, _)| connection)
}

#[test]
fn close_ends_those_who_accept_and_who_queue_for_it() {
    on_all_ways("close", |way| {
        let (listener, address) = listener();
        let control = listener.control();
        let waiting: Vec<_> =
            (0..4).map(|i| Waiting::start(way, i, accept(&listener)).asleep()).collect();
        control.close();
        for call in waiting {
            assert_eq!(call.join().unwrap_err().kind(), ErrorKind::NotConnected);
        }
        // Though somebody comes.
        let _client = TcpStream::connect(address).unwrap();
        assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::NotConnected);
        assert!(listener.incoming().next().is_none());
        drop(listener);
        // A poll of io_uring keeps it open until the thread that had ordered it hears of the end.
        let end = Instant::now() + PATIENCE;
        let refused = || TcpStream::connect(address).err().map(|error| error.kind());
        while refused() != Some(ErrorKind::ConnectionRefused) {
            assert!(Instant::now() < end, "it is open yet");
        }
        control.close();
    });
}

#[test]
fn a_unix_listener_closes_as_well() {
    on_all_ways("close, unix", |way| {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join("socket")).unwrap();
        let control = listener.control();
        let serve = Waiting::start(way, 1, move || listener.incoming().count()).asleep();
        let clients: Vec<_> =
            (0..3).map(|_| UnixStream::connect(dir.path().join("socket")).unwrap()).collect();
        for mut client in clients {
            // It was accepted, and dropped.
            assert_eq!(client.read(&mut [0; 8]).unwrap(), 0);
        }
        control.close();
        assert_eq!(serve.join(), 3);
    });
}

#[test]
fn deadlines_of_an_accept_are_heard_moved_and_lifted() {
    on_all_ways("deadlines", |way| {
        let (listener, address) = listener();
        // Set before, and after.
        for set in [ms(0), ms(5)] {
            let at = soon(set);
            listener.set_deadline(at);
            assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::TimedOut);
            assert!(Some(Instant::now()) >= at, "early");
        }
        listener.set_deadline(None);
        let waiting = Waiting::start(way, 1, accept(&listener)).asleep();
        listener.set_deadline(soon(ms(0)));
        assert_eq!(waiting.join().unwrap_err().kind(), ErrorKind::TimedOut);
        // It has passed, and somebody is there.
        let _first = TcpStream::connect(address).unwrap();
        assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::TimedOut);
        listener.set_deadline(None);
        listener.accept().unwrap();
        // Put off while somebody waits.
        listener.set_deadline(soon(Duration::from_secs(3600)));
        let waiting = Waiting::start(way, 1, accept(&listener)).asleep();
        listener.control().set_deadline(None);
        let _second = TcpStream::connect(address).unwrap();
        waiting.join().unwrap();
    });
}

#[test]
fn timeouts_count_from_the_start_of_each_accept() {
    on_all_ways("timeouts", |_| {
        let (listener, address) = listener();
        listener.set_timeout(Some(ms(3)));
        for _ in 0..3 {
            let start = Instant::now();
            assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::TimedOut);
            assert!(start.elapsed() >= ms(3));
        }
        // An iteration goes on after an error.
        let mut incoming = listener.incoming();
        assert_eq!(incoming.next().unwrap().unwrap_err().kind(), ErrorKind::TimedOut);
        listener.set_timeout(None);
        let _client = TcpStream::connect(address).unwrap();
        incoming.next().unwrap().unwrap();
    });
}

#[test]
fn each_connection_of_a_burst_is_accepted_by_somebody() {
    const EACH: usize = 50;
    on_all_ways("burst", |way| {
        let (listener, address) = listener();
        let workers: Vec<_> = (0..4)
            .map(|i| {
                let listener = Arc::clone(&listener);
                Waiting::start(way, i, move || {
                    let mut count = 0;
                    for connection in listener.incoming() {
                        connection.unwrap().write_all(b"!").unwrap();
                        count += 1;
                    }
                    count
                })
            })
            .collect();
        let clients: Vec<_> = (0..4)
            .map(|i| {
                Waiting::start(way, i, move || {
                    for _ in 0..EACH {
                        let mut client = TcpStream::connect(address).unwrap();
                        client.read_exact(&mut [0]).unwrap();
                    }
                })
            })
            .collect();
        clients.into_iter().for_each(Waiting::join);
        listener.close();
        let total: usize = workers.into_iter().map(Waiting::join).sum();
        assert_eq!(total, 4 * EACH);
    });
}

#[test]
fn two_thousand_connections_are_open_at_once() {
    const MANY: u32 = 2000;
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
    if limit.maximum.is_some_and(|maximum| maximum < 3 * u64::from(MANY)) {
        eprintln!("NOT RUN: too few descriptors for {MANY} connections");
        return;
    }
    for way in [Way::Plain, Way::Local] {
        kit::within("two thousand", move || {
            let (listener, address) = listener();
            let server = Waiting::start(way, 0, move || {
                let all: Vec<_> = listener.incoming().take(MANY as usize).collect();
                for connection in all {
                    let mut connection = connection.unwrap();
                    let mut number = [0; 4];
                    connection.read_exact(&mut number).unwrap();
                    connection.write_all(&number.map(|byte| !byte)).unwrap();
                }
            });
            let client = Waiting::start(way, 0, move || {
                let all: Vec<_> = (0..MANY).map(|_| TcpStream::connect(address).unwrap()).collect();
                for (i, mut connection) in (0..).zip(&all) {
                    connection.write_all(&u32::to_be_bytes(i)).unwrap();
                }
                for (i, mut connection) in (0..).zip(&all) {
                    let mut answer = [0; 4];
                    connection.read_exact(&mut answer).unwrap();
                    assert_eq!(u32::from_be_bytes(answer), !i);
                }
            });
            server.join();
            client.join();
        });
    }
}
