//! UDP: messages, deadlines, close, and peers that are not there.
#![cfg(target_os = "linux")]

#[path = "kit/mod.rs"]
mod kit;

use aqueduct::net::UdpSocket;
use kit::{Waiting, on_all_ways};
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::{Duration, Instant};

fn socket() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").unwrap()
}

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

#[test]
fn messages_keep_their_boundaries_and_what_does_not_fit_is_lost() {
    on_all_ways("messages", |_| {
        let (a, b) = (socket(), socket());
        let (from, to) = (a.local_addr().unwrap(), b.local_addr().unwrap());
        for message in [&b"first"[..], b"", b"third and long", b"last"] {
            assert_eq!(a.send_to(message, to).unwrap(), message.len());
        }
        let mut buf = [0; 8];
        assert_eq!(b.peek_from(&mut buf).unwrap(), (5, from));
        assert_eq!(b.peek(&mut buf).unwrap(), 5);
        assert_eq!(b.recv_from(&mut buf).unwrap(), (5, from));
        assert_eq!(b.recv_from(&mut buf).unwrap(), (0, from), "an empty message, and no end");
        assert_eq!(b.recv(&mut buf).unwrap(), 8);
        assert_eq!(&buf, b"third an");
        assert_eq!(b.recv_from(&mut []).unwrap(), (0, from), "no room takes a message as well");
        b.set_read_timeout(Some(ms(1)));
        assert_eq!(b.recv(&mut buf).unwrap_err().kind(), ErrorKind::TimedOut);
    });
}

/// An edge comes for several messages once, and each of them is there to be had.
#[test]
fn every_message_of_a_burst_is_received() {
    const BURST: u32 = 20;
    const ROUNDS: u32 = 50;
    on_all_ways("burst", |way| {
        let (a, b) = (socket(), socket());
        let (from, to) = (a.local_addr().unwrap(), b.local_addr().unwrap());
        let reader = Waiting::start(way, 1, move || {
            let mut buf = [0; 8];
            for next in 0..ROUNDS * BURST {
                let n = b.recv(&mut buf).unwrap();
                assert_eq!(buf[..n], next.to_be_bytes());
                if next % BURST == BURST - 1 {
                    b.send_to(b"go on", from).unwrap();
                }
            }
        });
        for round in 0..ROUNDS {
            for i in 0..BURST {
                a.send_to(&(round * BURST + i).to_be_bytes(), to).unwrap();
            }
            a.recv(&mut [0; 8]).unwrap();
        }
        reader.join();
    });
}

#[test]
fn a_connected_socket_hears_its_peer_alone() {
    on_all_ways("connected", |_| {
        let (a, b, stranger) = (socket(), socket(), socket());
        assert_eq!(a.peer_addr().unwrap_err().kind(), ErrorKind::NotConnected);
        assert!(a.send(b"to whom?").is_err());
        a.connect(b.local_addr().unwrap()).unwrap();
        assert_eq!(a.peer_addr().unwrap(), b.local_addr().unwrap());
        stranger.send_to(b"stranger", a.local_addr().unwrap()).unwrap();
        a.send(b"ping").unwrap();
        let mut buf = [0; 8];
        let (n, from) = b.recv_from(&mut buf).unwrap();
        b.send_to(&buf[..n], from).unwrap();
        assert_eq!(a.recv(&mut buf).unwrap(), 4);
        assert_eq!(&buf[..4], b"ping");
    });
}

#[test]
fn a_peer_that_is_not_there_is_told_of() {
    on_all_ways("nobody", |_| {
        let gone = socket().local_addr().unwrap();
        let a = socket();
        a.connect(gone).unwrap();
        a.send(b"anybody?").unwrap();
        assert_eq!(a.recv(&mut [0; 8]).unwrap_err().kind(), ErrorKind::ConnectionRefused);
        // It is told once.
        a.set_read_timeout(Some(ms(1)));
        assert_eq!(a.recv(&mut [0; 8]).unwrap_err().kind(), ErrorKind::TimedOut);
    });
}

#[test]
fn too_long_a_message_is_refused_whole() {
    on_all_ways("too long a message is refused whole", |_| {
        let (a, b) = (socket(), socket());
        let to = b.local_addr().unwrap();
        let long = a.send_to(&vec![0; 70_000], to).unwrap_err();
        assert_eq!(long.raw_os_error(), Some(rustix::io::Errno::MSGSIZE.raw_os_error()));
        b.set_read_timeout(Some(ms(1)));
        assert_eq!(b.recv(&mut [0; 8]).unwrap_err().kind(), ErrorKind::TimedOut);
    });
}

#[test]
fn deadlines_and_close_end_who_receives() {
    on_all_ways("deadlines", |way| {
        let (a, b) = (Arc::new(socket()), socket());
        let to = a.local_addr().unwrap();
        let receive = |a: &Arc<UdpSocket>, i| {
            let a = Arc::clone(a);
            Waiting::start(way, i, move || a.recv_from(&mut [0; 8])).asleep()
        };
        let waiting = receive(&a, 1);
        a.set_deadline(Some(Instant::now()));
        assert_eq!(waiting.join().unwrap_err().kind(), ErrorKind::TimedOut);
        b.send_to(b"there", to).unwrap();
        assert_eq!(a.recv(&mut [0; 8]).unwrap_err().kind(), ErrorKind::TimedOut, "it has passed");
        assert_eq!(a.send_to(b"x", to).unwrap_err().kind(), ErrorKind::TimedOut);
        a.set_deadline(None);
        assert_eq!(a.recv(&mut [0; 8]).unwrap(), 5);
        let waiting: Vec<_> = (0..3).map(|i| receive(&a, i)).collect();
        a.close();
        for call in waiting {
            assert_eq!(call.join().unwrap_err().kind(), ErrorKind::NotConnected);
        }
        assert_eq!(a.send_to(b"x", to).unwrap_err().kind(), ErrorKind::NotConnected);
        assert_eq!(a.connect(to).unwrap_err().kind(), ErrorKind::NotConnected);
    });
}

#[test]
fn names_and_several_addresses() {
    on_all_ways("names", |_| {
        let a = UdpSocket::bind("localhost:0").unwrap();
        let address = a.local_addr().unwrap();
        assert_eq!(UdpSocket::bind(address).unwrap_err().kind(), ErrorKind::AddrInUse);
        let free = "127.0.0.1:0".parse().unwrap();
        let b = UdpSocket::bind(vec![address, free]).unwrap();
        b.send_to(b"x", ("localhost", address.port())).unwrap();
        b.connect(format!("localhost:{}", address.port())).unwrap();
        assert_eq!(b.peer_addr().unwrap(), address);
        assert_eq!(b.send_to(b"x", "a..b:1").unwrap_err().kind(), ErrorKind::NotFound);
        let none: Vec<std::net::SocketAddr> = Vec::new();
        assert_eq!(b.send_to(b"x", &none).unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(b.connect(&none).unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(a.recv(&mut [0; 8]).unwrap(), 1);
    });
}

#[test]
fn options_are_stds() {
    on_all_ways("options are stds", |_| {
        let a = socket();
        a.get_ref().set_broadcast(true).unwrap();
        assert!(a.get_ref().broadcast().unwrap());
        let std = a.into_std().unwrap();
        assert!(std.broadcast().unwrap());
        assert!(!rustix::fs::fcntl_getfl(std).unwrap().contains(rustix::fs::OFlags::NONBLOCK));
    });
}

#[test]
fn over_ipv6_as_well() {
    on_all_ways("over ipv6 as well", |_| {
        let (Ok(a), Ok(b)) = (UdpSocket::bind("[::1]:0"), UdpSocket::bind("[::1]:0")) else {
            eprintln!("NOT RUN: no IPv6 here");
            return;
        };
        a.send_to(b"six", b.local_addr().unwrap()).unwrap();
        assert_eq!(b.recv_from(&mut [0; 8]).unwrap(), (3, a.local_addr().unwrap()));
    });
}
