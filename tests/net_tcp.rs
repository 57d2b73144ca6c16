//! TCP: what peers do to one another, options, and the kernel's path.
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
use std::time::Duration;

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
