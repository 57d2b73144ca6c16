//! Dialling: names, several addresses, deadlines, and those who do not answer.
#![cfg(target_os = "linux")]

#[path = "kit/mod.rs"]
mod kit;

use aqueduct::net::{TcpListener, TcpStream};
use kit::on_all_ways;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::time::{Duration, Instant};

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// An address where nobody listens.
fn dead() -> SocketAddr {
    listener().1
}

/// An address that does not answer as long as the rest lives: the listener's queue is full, and the
/// system drops whatever comes.
fn silent() -> (SocketAddr, TcpListener, Vec<TcpStream>) {
    let listener = TcpListener::builder().backlog(0).bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut queue = Vec::new();
    while let Ok(waiting) = TcpStream::connect_timeout(address, ms(20)) {
        queue.push(waiting);
    }
    (address, listener, queue)
}

fn soon(length: Duration) -> Option<Instant> {
    Some(Instant::now() + length)
}

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

#[test]
fn where_nobody_listens_it_is_refused() {
    on_all_ways("refused", |_| {
        let refused = TcpStream::connect(dead()).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        let refused = TcpStream::connect_timeout(dead(), Duration::from_secs(60)).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn where_no_way_leads_that_is_said() {
    on_all_ways("where no way leads that is said", |_| {
        // No connection leads to a group.
        let lost = TcpStream::connect("224.0.0.1:9").unwrap_err();
        assert_eq!(lost.kind(), ErrorKind::NetworkUnreachable);
    });
}

#[test]
fn who_does_not_answer_is_waited_for_until_the_deadline() {
    on_all_ways("silence", |_| {
        let (address, _listener, _queue) = silent();
        let at = soon(ms(30));
        let late = TcpStream::connect_deadline(address, at).unwrap_err();
        assert_eq!(late.kind(), ErrorKind::TimedOut);
        assert!(Some(Instant::now()) >= at, "early");
        let length = ms(3);
        let start = Instant::now();
        let late = TcpStream::connect_timeout(address, length).unwrap_err();
        assert_eq!(late.kind(), ErrorKind::TimedOut);
        assert!(start.elapsed() >= length, "early");
    });
}

#[test]
fn past_the_deadline_nothing_is_tried() {
    on_all_ways("past the deadline nothing is tried", |_| {
        let (listener, address) = listener();
        let late = TcpStream::connect_deadline(address, Some(Instant::now())).unwrap_err();
        assert_eq!(late.kind(), ErrorKind::TimedOut);
        let late = TcpStream::connect_timeout(address, Duration::ZERO).unwrap_err();
        assert_eq!(late.kind(), ErrorKind::TimedOut);
        listener.set_timeout(Some(ms(2)));
        assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::TimedOut, "nobody came");
    });
}

#[test]
fn a_timeout_beyond_all_time_is_none() {
    on_all_ways("a timeout beyond all time is none", |_| {
        let (_listener, address) = listener();
        TcpStream::connect_timeout(address, Duration::MAX).unwrap();
    });
}

#[test]
fn the_deadline_of_a_dial_is_not_that_of_the_connection() {
    on_all_ways("dial's deadline", |_| {
        let (listener, address) = listener();
        let at = soon(ms(40));
        let client = TcpStream::connect_deadline(address, at);
        let Ok(mut client) = client else { return };
        client.set_read_timeout(Some(ms(60)));
        let (mut server, _) = listener.accept().unwrap();
        assert_eq!(client.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::TimedOut);
        assert!(Some(Instant::now()) > at);
        server.write_all(b"x").unwrap();
        assert_eq!(client.read(&mut [0; 8]).unwrap(), 1);
    });
}

#[test]
fn of_several_addresses_one_that_answers_is_found() {
    on_all_ways("several", |_| {
        let (mute, _silent, _queue) = silent();
        let (listener, alive) = listener();
        let refused = dead();
        for all in [
            vec![alive],
            vec![refused, alive],
            vec![refused, refused, refused, alive],
            vec![mute, alive],
            vec![mute, refused, mute, alive, mute],
        ] {
            let client = TcpStream::connect(&all).unwrap();
            let (_, from) = listener.accept().unwrap();
            assert_eq!(from, client.local_addr().unwrap(), "{all:?}");
        }
    });
}

#[test]
fn the_first_address_that_answers_is_preferred() {
    on_all_ways("preference", |_| {
        let ((first, a), (second, b)) = (listener(), listener());
        for _ in 0..5 {
            TcpStream::connect([a, b].as_slice()).unwrap();
            first.accept().unwrap();
        }
        second.set_timeout(Some(ms(1)));
        assert_eq!(second.accept().unwrap_err().kind(), ErrorKind::TimedOut, "it was left alone");
    });
}

#[test]
fn of_several_addresses_that_fail_the_last_error_is_told() {
    on_all_ways("all fail", |_| {
        let none: &[SocketAddr] = &[];
        assert_eq!(TcpStream::connect(none).unwrap_err().kind(), ErrorKind::InvalidInput);
        let lost = "224.0.0.1:9".parse().unwrap();
        let failed = TcpStream::connect(vec![lost, dead()]).unwrap_err();
        assert_eq!(failed.kind(), ErrorKind::ConnectionRefused);
        let (mute, _silent, _queue) = silent();
        let late = TcpStream::connect_timeout(vec![mute, dead(), mute], ms(400)).unwrap_err();
        assert_eq!(late.kind(), ErrorKind::TimedOut);
    });
}

#[test]
fn names_are_looked_up() {
    on_all_ways("names", |_| {
        let (listener, address) = listener();
        let port = address.port();
        TcpStream::connect(("localhost", port)).unwrap();
        TcpStream::connect(format!("localhost:{port}")).unwrap();
        TcpStream::connect_timeout(&*format!("127.0.0.1:{port}"), Duration::from_secs(60)).unwrap();
        TcpStream::connect(("127.0.0.1".to_owned(), port)).unwrap();
        for _ in 0..4 {
            listener.accept().unwrap();
        }
        assert!(TcpListener::bind("localhost:0").unwrap().local_addr().unwrap().ip().is_loopback());
    });
}

#[test]
fn names_that_have_no_address_and_texts_that_are_none() {
    on_all_ways("no names", |_| {
        // No name has an empty part, so nobody is asked for it.
        for name in ["a..b:80", &*format!("{}:80", "x".repeat(300)), ":80"] {
            let unknown = TcpStream::connect(name).unwrap_err();
            assert_eq!(unknown.kind(), ErrorKind::NotFound, "{name}");
            assert!(unknown.to_string().contains(name.strip_suffix(":80").unwrap()), "{unknown}");
        }
        for text in ["", "localhost", "localhost:", "localhost:http", "localhost:65536", "a\0b:1"] {
            let wrong = TcpStream::connect(text).unwrap_err();
            assert_eq!(wrong.kind(), ErrorKind::InvalidInput, "{text}");
            assert_eq!(TcpListener::bind(text).unwrap_err().kind(), ErrorKind::InvalidInput);
        }
    });
}

#[test]
fn over_ipv6_as_well() {
    on_all_ways("over ipv6 as well", |_| {
        let Ok(listener) = TcpListener::bind("[::1]:0") else {
            eprintln!("NOT RUN: no IPv6 here");
            return;
        };
        let address = listener.local_addr().unwrap();
        let mut client = TcpStream::connect(address).unwrap();
        let (mut server, from) = listener.accept().unwrap();
        assert!(from.is_ipv6());
        assert_eq!(from, client.local_addr().unwrap());
        client.write_all(b"six").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut text = String::new();
        server.read_to_string(&mut text).unwrap();
        assert_eq!(text, "six");
        // A name with addresses of both families, of which one answers.
        let other = SocketAddr::from(([127, 0, 0, 1], address.port()));
        TcpStream::connect(vec![other, address]).unwrap();
        TcpStream::connect(vec![address, other]).unwrap();
    });
}
