//! Sockets of one machine: addresses of every kind, full queues, messages.
#![cfg(target_os = "linux")]

#[path = "kit/mod.rs"]
mod kit;

use aqueduct::net::{UnixDatagram, UnixListener, UnixStream};
use kit::{Waiting, noise, on_all_ways};
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::SocketAddr;
use std::path::PathBuf;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn soon(length: Duration) -> Option<Instant> {
    Some(Instant::now() + length)
}

/// A path for a socket, in a folder that goes when this is dropped.
fn path() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    (dir, path)
}

/// A name that nobody else has.
fn name() -> SocketAddr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    SocketAddr::from_abstract_name(format!("aqueduct-test-{}-{number}", process::id())).unwrap()
}

#[test]
fn a_path_is_an_address() {
    on_all_ways("path", |_| {
        let (_dir, path) = path();
        let listener = UnixListener::bind(&path).unwrap();
        assert_eq!(listener.local_addr().unwrap().as_pathname(), Some(&*path));
        let mut client = UnixStream::connect(&path).unwrap();
        let (mut server, from) = listener.accept().unwrap();
        assert!(from.is_unnamed());
        assert!(server.peer_addr().unwrap().is_unnamed());
        assert!(client.local_addr().unwrap().is_unnamed());
        assert_eq!(client.peer_addr().unwrap().as_pathname(), Some(&*path));
        client.write_all(b"text").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut text = String::new();
        server.read_to_string(&mut text).unwrap();
        assert_eq!(text, "text");
    });
}

#[test]
fn a_name_without_a_file_is_an_address() {
    on_all_ways("abstract", |_| {
        let address = name();
        let listener = UnixListener::bind_addr(&address).unwrap();
        let local = listener.local_addr().unwrap();
        assert_eq!(local.as_abstract_name(), address.as_abstract_name());
        let _client = UnixStream::connect_addr(&address).unwrap();
        listener.accept().unwrap();
        assert_eq!(UnixListener::bind_addr(&address).unwrap_err().kind(), ErrorKind::AddrInUse);
        drop(listener);
        let refused = UnixStream::connect_addr(&address).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        UnixListener::bind_addr(&address).unwrap();
    });
}

#[test]
fn without_an_address_the_system_chooses_one() {
    on_all_ways("without an address the system chooses one", |_| {
        let unnamed = SocketAddr::from_pathname("").unwrap();
        let listener = UnixListener::bind_addr(&unnamed).unwrap();
        let address = listener.local_addr().unwrap();
        assert!(address.as_abstract_name().is_some_and(|name| !name.is_empty()), "{address:?}");
        let _client = UnixStream::connect_addr(&address).unwrap();
        listener.accept().unwrap();
    });
}

#[test]
fn paths_are_as_long_as_an_address_and_no_longer() {
    on_all_ways("paths are as long as an address and no longer", |_| {
        let (dir, _) = path();
        let fill = 107 - dir.path().as_os_str().len() - 1;
        let longest = dir.path().join("x".repeat(fill));
        let listener = UnixListener::bind(&longest).unwrap();
        assert_eq!(listener.local_addr().unwrap().as_pathname(), Some(&*longest));
        let client = UnixStream::connect(&longest).unwrap();
        assert_eq!(client.peer_addr().unwrap().as_pathname(), Some(&*longest));
        for path in [dir.path().join("x".repeat(fill + 1)), dir.path().join("a\0b")] {
            assert_eq!(UnixListener::bind(&path).unwrap_err().kind(), ErrorKind::InvalidInput);
            assert_eq!(UnixStream::connect(&path).unwrap_err().kind(), ErrorKind::InvalidInput);
            assert_eq!(UnixDatagram::bind(&path).unwrap_err().kind(), ErrorKind::InvalidInput);
        }
    });
}

#[test]
fn the_socket_of_a_listener_that_has_gone_stays_in_the_way() {
    on_all_ways("the socket of a listener that has gone stays in the way", |_| {
        let (dir, path) = path();
        drop(UnixListener::bind(&path).unwrap());
        assert_eq!(UnixListener::bind(&path).unwrap_err().kind(), ErrorKind::AddrInUse);
        assert_eq!(UnixStream::connect(&path).unwrap_err().kind(), ErrorKind::ConnectionRefused);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(UnixStream::connect(&path).unwrap_err().kind(), ErrorKind::NotFound);
        let _listener = UnixListener::bind(&path).unwrap();
        UnixStream::connect(&path).unwrap();
        // And what is no socket.
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert_eq!(UnixStream::connect(&file).unwrap_err().kind(), ErrorKind::ConnectionRefused);
        let messages = UnixDatagram::unbound().unwrap();
        // Of another kind.
        assert!(messages.connect(&path).is_err());
    });
}

/// A listener whose queue is full, with those who are in it.
fn full() -> (UnixListener, Vec<UnixStream>, SocketAddr) {
    let address = name();
    let listener = UnixListener::bind_addr(&address).unwrap();
    // A second call changes the length of the queue alone.
    rustix::net::listen(&listener, 1).unwrap();
    let mut queue = Vec::new();
    while let Ok(waiting) = UnixStream::connect_addr_deadline(&address, soon(ms(10))) {
        queue.push(waiting);
    }
    assert_eq!(queue.len(), 2, "as many as were let in, and one");
    (listener, queue, address)
}

#[test]
fn a_full_queue_is_waited_for() {
    on_all_ways("full queue", |way| {
        let (listener, queue, address) = full();
        let at = soon(ms(20));
        let late = UnixStream::connect_addr_deadline(&address, at).unwrap_err();
        assert_eq!(late.kind(), ErrorKind::TimedOut);
        assert!(Some(Instant::now()) >= at, "early");
        let client = Waiting::start(way, 1, move || UnixStream::connect_addr(&address)).asleep();
        for _ in 0..3 {
            listener.accept().unwrap();
        }
        client.join().unwrap();
        drop(queue);
        // Who waits hears when there is no listener any more.
        let (listener, _queue, address) = full();
        let client = Waiting::start(way, 1, move || UnixStream::connect_addr(&address)).asleep();
        drop(listener);
        assert_eq!(client.join().unwrap_err().kind(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn past_the_deadline_nothing_is_tried() {
    on_all_ways("past the deadline nothing is tried", |_| {
        let (_dir, path) = path();
        let listener = UnixListener::bind(&path).unwrap();
        let late = UnixStream::connect_deadline(&path, Some(Instant::now())).unwrap_err();
        assert_eq!(late.kind(), ErrorKind::TimedOut);
        let late = UnixStream::connect_timeout(&path, Duration::ZERO).unwrap_err();
        assert_eq!(late.kind(), ErrorKind::TimedOut);
        listener.set_timeout(Some(ms(1)));
        assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::TimedOut);
    });
}

#[test]
fn a_pair_is_two_ends_and_splits_into_halves() {
    on_all_ways("pair", |way| {
        let (a, b) = UnixStream::pair().unwrap();
        let echo = Waiting::start(way, 1, move || {
            let (mut from, mut to) = b.split();
            aqueduct::copy(&mut from, &mut to).unwrap()
        });
        let (mut from, mut to) = a.split();
        let sent = noise(1 << 20, 3);
        let copied = sent.clone();
        let writer = Waiting::start(way, 2, move || {
            to.write_all(&copied).unwrap();
            to.get_ref().shutdown(Shutdown::Write).unwrap();
        });
        let mut got = Vec::new();
        from.read_to_end(&mut got).unwrap();
        assert!(got == sent);
        assert_eq!(echo.join(), 1 << 20);
        writer.join();
    });
}

#[test]
fn messages_keep_their_boundaries_and_what_does_not_fit_is_lost() {
    on_all_ways("messages", |_| {
        let (a, b) = UnixDatagram::pair().unwrap();
        for message in [&b"first"[..], b"", b"third and long", b"last"] {
            assert_eq!(a.send(message).unwrap(), message.len());
        }
        let mut buf = [0; 8];
        assert_eq!(b.peek(&mut buf).unwrap(), 5);
        assert_eq!(b.recv(&mut buf).unwrap(), 5);
        assert_eq!(b.recv(&mut buf).unwrap(), 0, "an empty message, and no end");
        let (n, from) = b.recv_from(&mut buf).unwrap();
        assert_eq!((&buf[..n], from.is_unnamed()), (&b"third an"[..], true));
        // No room at all takes a message as well.
        assert_eq!(b.recv(&mut []).unwrap(), 0);
        b.set_read_timeout(Some(ms(1)));
        assert_eq!(b.recv(&mut buf).unwrap_err().kind(), ErrorKind::TimedOut);
    });
}

#[test]
fn senders_are_known_by_their_addresses() {
    on_all_ways("senders", |_| {
        let ((_dir, path), name) = (path(), name());
        let server = UnixDatagram::bind(&path).unwrap();
        let named = UnixDatagram::bind_addr(&name).unwrap();
        let nobody = UnixDatagram::unbound().unwrap();
        named.send_to(b"a", &path).unwrap();
        nobody.send_to(b"b", &path).unwrap();
        let mut buf = [0; 8];
        let (_, from) = server.peek_from(&mut buf).unwrap();
        assert_eq!(from.as_abstract_name(), name.as_abstract_name());
        let (_, from) = server.recv_from(&mut buf).unwrap();
        server.send_to_addr(b"back", &from).unwrap();
        let (n, from) = named.recv_from(&mut buf).unwrap();
        assert_eq!((&buf[..n], from.as_pathname()), (&b"back"[..], Some(&*path)));
        assert!(server.recv_from(&mut buf).unwrap().1.is_unnamed());
        nobody.connect(&path).unwrap();
        assert_eq!(nobody.peer_addr().unwrap().as_pathname(), Some(&*path));
        assert_eq!(server.local_addr().unwrap().as_pathname(), Some(&*path));
        drop(server);
        assert_eq!(nobody.send(b"x").unwrap_err().kind(), ErrorKind::ConnectionRefused);
        let refused = named.send_to(b"x", &path).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        nobody.connect_addr(&name).unwrap();
    });
}

/// Fills the queue of `to`.
fn stuff(from: &UnixDatagram, to: &SocketAddr) -> usize {
    from.set_write_timeout(Some(ms(5)));
    let mut count = 0;
    while from.send_to_addr(b"m", to).is_ok() {
        count += 1;
    }
    from.set_write_timeout(None);
    count
}

#[test]
fn a_sender_waits_for_a_full_queue_connected_or_not() {
    on_all_ways("full queue of messages", |way| {
        let address = name();
        let server = UnixDatagram::bind_addr(&address).unwrap();
        let stuffing = UnixDatagram::unbound().unwrap();
        for connected in [true, false] {
            let mut queued = stuff(&stuffing, &address);
            assert!(queued > 0 || !connected);
            let client = Arc::new(UnixDatagram::unbound().unwrap());
            let send = {
                let address = address.clone();
                move |client: &UnixDatagram| match connected {
                    true => client.send(b"mine"),
                    false => client.send_to_addr(b"mine", &address),
                }
            };
            if connected {
                client.connect_addr(&address).unwrap();
            }
            let at = soon(ms(10));
            client.set_write_deadline(at);
            assert_eq!(send(&client).unwrap_err().kind(), ErrorKind::TimedOut);
            assert!(Some(Instant::now()) >= at, "early");
            client.set_write_deadline(None);
            let sender = Arc::clone(&client);
            let sender = Waiting::start(way, 1, move || send(&sender)).asleep();
            let mut buf = [0; 8];
            while server.recv(&mut buf).unwrap() == 1 {
                queued = queued.saturating_sub(1);
            }
            assert_eq!(&buf[..4], b"mine");
            assert_eq!(sender.join().unwrap(), 4);
            assert_eq!(queued, 0);
        }
        // A close reaches who waits.
        stuff(&stuffing, &address);
        for connected in [true, false] {
            let client = Arc::new(UnixDatagram::unbound().unwrap());
            if connected {
                client.connect_addr(&address).unwrap();
            }
            let (sender, to) = (Arc::clone(&client), address.clone());
            let sender = Waiting::start(way, 1, move || match connected {
                true => sender.send(b"mine"),
                false => sender.send_to_addr(b"mine", &to),
            });
            let sender = sender.asleep();
            client.control().close();
            assert_eq!(sender.join().unwrap_err().kind(), ErrorKind::NotConnected);
        }
    });
}

#[test]
fn a_shutdown_ends_who_receives_now_and_later() {
    on_all_ways("shutdown", |way| {
        let (a, b) = UnixDatagram::pair().unwrap();
        let a = Arc::new(a);
        let receiver = Arc::clone(&a);
        let waiting = Waiting::start(way, 1, move || receiver.recv_from(&mut [0; 8])).asleep();
        a.shutdown(Shutdown::Read).unwrap();
        let (n, from) = waiting.join().unwrap();
        assert_eq!((n, from.is_unnamed()), (0, true));
        for _ in 0..3 {
            assert_eq!(a.recv(&mut [0; 8]).unwrap(), 0);
        }
        assert_eq!(b.send(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
        assert_eq!(a.send(b"x").unwrap(), 1);
        a.shutdown(Shutdown::Write).unwrap();
        assert_eq!(a.send(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
        assert_eq!(a.recv(&mut [0; 8]).unwrap(), 0);
        assert_eq!(b.recv(&mut [0; 8]).unwrap(), 1);
    });
}

#[test]
fn a_socket_of_stds_is_taken_over_and_given_back() {
    on_all_ways("a socket of stds is taken over and given back", |_| {
        let (a, b) = std::os::unix::net::UnixDatagram::pair().unwrap();
        let a = UnixDatagram::from_std(a).unwrap();
        a.set_read_timeout(Some(ms(1)));
        assert_eq!(a.recv(&mut [0; 8]).unwrap_err().kind(), ErrorKind::TimedOut);
        b.send(b"std").unwrap();
        assert_eq!(a.recv(&mut [0; 8]).unwrap(), 3);
        let a = a.into_std().unwrap();
        assert!(!rustix::fs::fcntl_getfl(a).unwrap().contains(rustix::fs::OFlags::NONBLOCK));
    });
}
