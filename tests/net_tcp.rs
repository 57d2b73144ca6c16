//! TCP: dialling, what peers do to one another, options, and the kernel's path.
#![cfg(target_os = "linux")]

#[path = "kit/mod.rs"]
mod kit;

use aqueduct::copy::Path;
use aqueduct::net::{TcpListener, TcpStream};
use aqueduct::{Copier, copy};
use kit::{Waiting, Way, noise, on_all_ways};
use rustix::fs::{OFlags, fcntl_getfl};
use rustix::io::{FdFlags, fcntl_getfd};
use rustix::net::sockopt;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn pair() -> (TcpStream, TcpStream) {
    let (listener, address) = listener();
    let client = TcpStream::connect(address).unwrap();
    (client, listener.accept().unwrap().0)
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
fn both_ends_know_each_other() {
    on_all_ways("addresses", |_| {
        let (listener, address) = listener();
        let client = TcpStream::connect(address).unwrap();
        let (server, from) = listener.accept().unwrap();
        assert_eq!(from, client.local_addr().unwrap());
        assert_eq!(server.peer_addr().unwrap(), from);
        assert_eq!(client.peer_addr().unwrap(), address);
        assert_eq!(server.local_addr().unwrap(), address);
    });
}

#[test]
fn what_was_made_is_non_blocking_and_closed_on_exec() {
    on_all_ways("what was made is non blocking and closed on exec", |_| {
        let (listener, address) = listener();
        let client = TcpStream::connect(address).unwrap();
        let (server, _) = listener.accept().unwrap();
        for fd in [listener.as_fd(), client.as_fd(), server.as_fd()] {
            assert!(fcntl_getfl(fd).unwrap().contains(OFlags::NONBLOCK));
            assert!(fcntl_getfd(fd).unwrap().contains(FdFlags::CLOEXEC));
        }
        // std's block.
        let flags = [
            fcntl_getfl(listener.into_std().unwrap()).unwrap(),
            fcntl_getfl(client.into_std().unwrap()).unwrap(),
            fcntl_getfl(server.into_std().unwrap()).unwrap(),
        ];
        assert!(flags.iter().all(|flags| !flags.contains(OFlags::NONBLOCK)));
    });
}

#[test]
fn a_listener_of_stds_is_taken_over_and_given_back() {
    on_all_ways("from std", |_| {
        let std = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let listener = TcpListener::from_std(std).unwrap();
        listener.set_timeout(Some(ms(2)));
        assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::TimedOut);
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        client.into_std().unwrap().write_all(b"x").unwrap();
        assert_eq!({ &server }.read(&mut [0; 8]).unwrap(), 1);
        let std = listener.into_std().unwrap();
        assert!(!fcntl_getfl(std).unwrap().contains(OFlags::NONBLOCK));
    });
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

#[test]
fn a_peer_that_resets_is_an_error_and_then_the_end() {
    on_all_ways("reset", |way| {
        let (mut client, server) = pair();
        let reader = Waiting::start(way, 1, move || {
            let error = client.read(&mut [0; 8]).unwrap_err();
            (error.kind(), client)
        });
        let reader = reader.asleep();
        sockopt::set_socket_linger(&server, Some(Duration::ZERO)).unwrap();
        drop(server);
        let (kind, mut client) = reader.join();
        assert_eq!(kind, ErrorKind::ConnectionReset);
        // The error is told once. Afterwards nothing can be had any more.
        assert_eq!(client.read(&mut [0; 8]).unwrap(), 0);
        assert_eq!(client.write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
        assert_eq!(client.peer_addr().unwrap_err().kind(), ErrorKind::NotConnected);
    });
}

#[test]
fn a_peer_that_goes_with_bytes_unread_ends_a_writer_that_waits() {
    on_all_ways("gone", |way| {
        let (mut client, server) = pair();
        let writer = Waiting::start(way, 1, move || {
            let block = noise(1 << 20, 3);
            loop {
                if let Err(error) = client.write_all(&block) {
                    return error.kind();
                }
            }
        });
        let writer = writer.asleep();
        drop(server);
        let kind = writer.join();
        assert!([ErrorKind::ConnectionReset, ErrorKind::BrokenPipe].contains(&kind), "{kind:?}");
    });
}

#[test]
fn half_a_connection_is_shut_and_the_other_half_goes_on() {
    on_all_ways("half close", |way| {
        let (client, server) = pair();
        let (mut from, mut to) = client.split();
        let echo = Waiting::start(way, 1, move || {
            let (mut from, mut to) = server.split();
            copy(&mut from, &mut to).unwrap()
        });
        let sent = noise(1 << 20, 5);
        let copied = sent.clone();
        let writer = Waiting::start(way, 2, move || {
            to.write_all(&copied).unwrap();
            to.get_ref().shutdown(Shutdown::Write).unwrap();
            to
        });
        let mut got = Vec::new();
        from.read_to_end(&mut got).unwrap();
        assert!(got == sent);
        assert_eq!(echo.join(), 1 << 20);
        let client = from.reunite(writer.join()).unwrap();
        assert_eq!({ &client }.write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
    });
}

#[test]
fn a_shutdown_wakes_who_reads() {
    on_all_ways("shutdown", |way| {
        let (client, mut server) = pair();
        let client = std::sync::Arc::new(client);
        let reader = std::sync::Arc::clone(&client);
        let reader = Waiting::start(way, 1, move || { &*reader }.read(&mut [0; 8])).asleep();
        client.shutdown(Shutdown::Both).unwrap();
        assert_eq!(reader.join().unwrap(), 0);
        assert_eq!(server.read(&mut [0; 8]).unwrap(), 0);
    });
}

#[test]
fn what_is_peeked_at_stays() {
    on_all_ways("peek", |way| {
        let (client, mut server) = pair();
        let writer =
            Waiting::start(way, 1, move || { &client }.write_all(b"look").map(|()| client));
        let mut buf = [0; 8];
        let n = server.peek(&mut buf).unwrap();
        assert!(0 < n && buf.starts_with(&b"look"[..n]));
        let mut all = [0; 4];
        server.read_exact(&mut all).unwrap();
        assert_eq!(&all, b"look");
        let client = writer.join().unwrap();
        drop(client);
        assert_eq!(server.peek(&mut buf).unwrap(), 0);
    });
}

#[test]
fn nodelay_is_off_until_it_is_set_and_handed_down_by_a_listener() {
    on_all_ways("nodelay is off until it is set and handed down by a listener", |_| {
        let (client, server) = pair();
        assert!(!client.nodelay().unwrap() && !server.nodelay().unwrap());
        client.set_nodelay(true).unwrap();
        assert!(client.nodelay().unwrap());
        let listener = TcpListener::builder().nodelay(true).bind("127.0.0.1:0").unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert!(listener.accept().unwrap().0.nodelay().unwrap());
    });
}

#[test]
fn an_address_is_had_by_one_listener_unless_all_share_it() {
    on_all_ways("an address is had by one listener unless all share it", |_| {
        let (_listener, address) = listener();
        assert_eq!(TcpListener::bind(address).unwrap_err().kind(), ErrorKind::AddrInUse);
        let sharing = TcpListener::builder().reuse_port(true);
        assert_eq!(sharing.bind(address).unwrap_err().kind(), ErrorKind::AddrInUse);

        let first = sharing.bind("127.0.0.1:0").unwrap();
        let address = first.local_addr().unwrap();
        let second = sharing.bind(address).unwrap();
        assert_eq!(TcpListener::bind(address).unwrap_err().kind(), ErrorKind::AddrInUse);
        // Each connection comes in at one of them.
        let clients: Vec<_> = (0..64).map(|_| TcpStream::connect(address).unwrap()).collect();
        let counts = kit::within("both listeners", move || {
            let mut counts = [0, 0];
            while counts.iter().sum::<usize>() < clients.len() {
                for (listener, count) in [&first, &second].into_iter().zip(&mut counts) {
                    listener.set_timeout(Some(ms(1)));
                    *count += listener.incoming().take_while(Result::is_ok).count();
                }
            }
            counts
        });
        assert!(counts.iter().all(|&n| n > 0), "{counts:?}");
        let second = sharing.bind(address).unwrap();
        // Of several addresses the first that can be had is.
        let free = SocketAddr::from(([127, 0, 0, 1], 0));
        assert_ne!(TcpListener::bind(vec![address, free]).unwrap().local_addr().unwrap(), address);
        drop(second);
    });
}

#[test]
fn an_address_is_had_again_though_connections_linger() {
    on_all_ways("an address is had again though connections linger", |_| {
        let (listener, address) = listener();
        let client = TcpStream::connect(address).unwrap();
        let (server, _) = listener.accept().unwrap();
        // Who closes first lingers, and that is the end at the listener's port.
        drop(server);
        drop(listener);
        assert_eq!({ &client }.read(&mut [0; 8]).unwrap(), 0);
        drop(client);
        TcpListener::bind(address).unwrap();
    });
}

#[test]
fn accepted_and_dialled_connections_are_moved_by_the_kernel() {
    on_all_ways("splice", |way| {
        let ((client, server), (mut to, mut far)) = (pair(), pair());
        let sent = noise(4 << 20, 7);
        let copied = sent.clone();
        let feeder = Waiting::start(way, 1, move || { &client }.write_all(&copied).unwrap());
        let drain = Waiting::start(way, 2, move || {
            let mut got = Vec::new();
            far.read_to_end(&mut got).map(|_| got).unwrap()
        });
        let mut server = server;
        let report = Copier::new().copy(&mut server, &mut to).unwrap();
        assert!(report.bytes(Path::Splice) > 1 << 20, "{report}");
        to.shutdown(Shutdown::Write).unwrap();
        assert!(drain.join() == sent);
        feeder.join();
    });
}

#[test]
fn a_connection_from_a_plain_thread_is_used_through_a_poller_and_back() {
    on_all_ways("a connection from a plain thread is used through a poller and back", |_| {
        // Its word was left as connecting had it.
        let (client, mut server) = pair();
        let client = Waiting::start(Way::Local, 0, move || {
            let mut client = client;
            client.write_all(&noise(1 << 16, 1)).unwrap();
            assert_eq!(client.read(&mut [0; 8]).unwrap(), 4);
            client
        });
        server.read_exact(&mut vec![0; 1 << 16]).unwrap();
        server.write_all(b"here").unwrap();
        let mut client = client.join();
        server.write_all(b"there").unwrap();
        let mut buf = [0; 5];
        client.read_exact(&mut buf).unwrap();
    });
}
