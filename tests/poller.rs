//! The poller for loops of one's own, by its public face, and what the system does beneath it.
#![cfg(target_os = "linux")]

#[path = "kit/mod.rs"]
mod kit;

use aqueduct::poll::{Backend, Event, Events, Interest, Local, Mode, Poller};
use kit::{Waiting, Way, tcp, within};
use rustix::event::{EventfdFlags, eventfd};
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

const NO_TIME: Option<Duration> = Some(Duration::ZERO);

/// What is there by now.
fn now(poller: &Poller) -> Vec<Event> {
    let mut events = Events::new();
    poller.wait(&mut events, NO_TIME).unwrap();
    assert_eq!(events.len(), events.iter().count());
    assert_eq!(events.is_empty(), events.iter().next().is_none());
    events.iter().collect()
}

/// The only event.
fn one(poller: &Poller) -> Event {
    let list = now(poller);
    assert_eq!(list.len(), 1, "{list:?}");
    list[0]
}

fn none(poller: &Poller) {
    assert_eq!(now(poller), []);
}

#[test]
fn level_tells_again_and_edge_once() {
    let (mut reader, mut writer) = io::pipe().unwrap();
    let poller = Poller::new().unwrap();
    poller.add(&reader, 1, Interest::READABLE, Mode::Level).unwrap();
    none(&poller);
    writer.write_all(b"ab").unwrap();
    for _ in 0..3 {
        let event = one(&poller);
        assert_eq!((event.key, event.readable, event.writable), (1, true, false));
        assert!(!event.hung_up);
    }
    poller.modify(&reader, 2, Interest::READABLE, Mode::Edge).unwrap();
    assert_eq!(one(&poller).key, 2, "modify tells what is there, under the new key");
    none(&poller);
    reader.read_exact(&mut [0]).unwrap();
    none(&poller);
    poller.modify(&reader, 2, Interest::READABLE, Mode::Edge).unwrap();
    one(&poller);
    poller.delete(&reader).unwrap();
    writer.write_all(b"c").unwrap();
    none(&poller);
}

#[test]
fn what_is_ready_when_it_is_added_is_told() {
    let (a, mut b) = tcp();
    b.write_all(b"x").unwrap();
    a.peek(&mut [0]).unwrap();
    let poller = Poller::new().unwrap();
    poller.add(&a, 3, Interest::BOTH, Mode::Edge).unwrap();
    let event = one(&poller);
    assert!(event.readable && event.writable);
    poller.modify(&a, 3, Interest::WRITABLE, Mode::Level).unwrap();
    let event = one(&poller);
    assert!(!event.readable && event.writable);
}

#[test]
fn the_kinds_of_refusals() {
    let (reader, _writer) = io::pipe().unwrap();
    let poller = Poller::new().unwrap();
    let add = |key| poller.add(&reader, key, Interest::READABLE, Mode::Level).unwrap_err().kind();
    let modify = || poller.modify(&reader, 1, Interest::READABLE, Mode::Level);
    assert_eq!(modify().unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(poller.delete(&reader).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(add(u64::MAX), ErrorKind::InvalidInput);
    poller.add(&reader, 1, Interest::READABLE, Mode::Level).unwrap();
    assert_eq!(add(2), ErrorKind::AlreadyExists);
    modify().unwrap();
    poller.delete(&reader).unwrap();
    let file = tempfile::tempfile().unwrap();
    let always: [(&str, File); 5] = [
        ("a file", file),
        ("/", File::open("/").unwrap()),
        ("/dev/null", File::open("/dev/null").unwrap()),
        ("/dev/zero", File::open("/dev/zero").unwrap()),
        ("/proc/self/status", File::open("/proc/self/status").unwrap()),
    ];
    for (name, file) in always {
        let refused = poller.add(&file, 1, Interest::BOTH, Mode::Edge).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::PermissionDenied, "{name}");
    }
}

#[test]
fn a_wake_ends_a_wait_under_way_or_the_next_one_and_no_more() {
    within("wake", || {
        let poller = Arc::new(Poller::new().unwrap());
        for _ in 0..3 {
            poller.wake();
        }
        poller.wait(&mut Events::new(), None).unwrap();
        let at = Instant::now() + Duration::from_millis(5);
        poller.wait(&mut Events::new(), Some(Duration::from_millis(5))).unwrap();
        assert!(Instant::now() >= at, "three wakes ended two waits");
        for _ in 0..200 {
            let theirs = Arc::clone(&poller);
            let waiting = Waiting::start(Way::Plain, 0, move || {
                let mut events = Events::new();
                theirs.wait(&mut events, None).unwrap();
                assert!(events.is_empty());
            })
            .asleep();
            poller.wake();
            waiting.join();
        }
    });
}

#[test]
fn wakes_from_many_threads_are_never_lost() {
    within("many wakes", || {
        let poller = Arc::new(Poller::new().unwrap());
        let count = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        const EACH: usize = 5_000;
        let wakers: Vec<_> = (0..3)
            .map(|_| {
                let (poller, count) = (Arc::clone(&poller), Arc::clone(&count));
                thread::spawn(move || {
                    for _ in 0..EACH {
                        count.fetch_add(1, std::sync::atomic::Ordering::Release);
                        poller.wake();
                    }
                })
            })
            .collect();
        while count.load(std::sync::atomic::Ordering::Acquire) < 3 * EACH {
            poller.wait(&mut Events::new(), None).unwrap();
        }
        wakers.into_iter().for_each(|waker| waker.join().unwrap());
    });
}

#[test]
fn a_timeout_is_never_early() {
    let poller = Poller::new().unwrap();
    for micros in [0, 1, 10, 100, 999, 1_000, 1_001, 1_999, 10_000] {
        let timeout = Duration::from_micros(micros);
        for _ in 0..3 {
            let start = Instant::now();
            let mut events = Events::new();
            poller.wait(&mut events, Some(timeout)).unwrap();
            assert!(start.elapsed() >= timeout, "{timeout:?}");
            assert!(events.is_empty());
        }
    }
}

#[test]
fn the_longest_timeouts_are_no_errors() {
    let poller = Poller::new().unwrap();
    let long = [u64::from(u32::MAX), i64::MAX as u64, u64::MAX].map(Duration::from_secs);
    for timeout in long.into_iter().chain([Duration::MAX, Duration::from_secs(30 * 86_400)]) {
        poller.wake();
        poller.wait(&mut Events::new(), Some(timeout)).unwrap();
    }
}

#[test]
fn two_pollers_watch_one_descriptor() {
    let (mut reader, mut writer) = io::pipe().unwrap();
    let pollers = [Mode::Level, Mode::Edge].map(|mode| {
        let poller = Poller::builder().backend(Backend::Epoll).build().unwrap();
        poller.add(&reader, 1, Interest::READABLE, mode).unwrap();
        poller
    });
    writer.write_all(b"x").unwrap();
    for poller in &pollers {
        one(poller);
    }
    one(&pollers[0]);
    none(&pollers[1]);
    reader.read_exact(&mut [0]).unwrap();
    none(&pollers[0]);
    pollers[0].delete(&reader).unwrap();
    writer.write_all(b"y").unwrap();
    none(&pollers[0]);
    one(&pollers[1]);
}

#[test]
fn a_descriptor_added_or_changed_while_another_thread_waits_is_watched() {
    within("add while waiting", || {
        for add in [true, false] {
            let (reader, mut writer) = io::pipe().unwrap();
            writer.write_all(b"x").unwrap();
            let poller = Arc::new(Poller::new().unwrap());
            if !add {
                let nothing = Interest { readable: false, writable: false };
                poller.add(&reader, 4, nothing, Mode::Level).unwrap();
            }
            let theirs = Arc::clone(&poller);
            let waiting = Waiting::start(Way::Plain, 0, move || {
                let mut events = Events::new();
                theirs.wait(&mut events, None).unwrap();
                events.iter().map(|event| event.key).collect::<Vec<_>>()
            })
            .asleep();
            if add {
                poller.add(&reader, 5, Interest::READABLE, Mode::Level).unwrap();
            } else {
                poller.modify(&reader, 5, Interest::READABLE, Mode::Level).unwrap();
            }
            assert_eq!(waiting.join(), [5]);
        }
    });
}

#[test]
fn many_descriptors_are_told_in_one_wait() {
    let poller = Poller::new().unwrap();
    let pipes: Vec<_> = (0..100).map(|_| io::pipe().unwrap()).collect();
    for (key, (reader, writer)) in pipes.iter().enumerate() {
        poller.add(reader, key as u64, Interest::READABLE, Mode::Edge).unwrap();
        { writer }.write_all(b"x").unwrap();
    }
    let mut keys: Vec<_> = now(&poller).iter().map(|event| event.key).collect();
    keys.sort_unstable();
    assert_eq!(keys, (0..100).collect::<Vec<_>>());
    none(&poller);
}

#[test]
fn the_pollers_own_descriptors_are_known_by_number() {
    let poller = Poller::new().unwrap();
    let (reader, _writer) = io::pipe().unwrap();
    assert!(!poller.is_poll_descriptor(reader.as_raw_fd()));
    let own = (0..4096).filter(|&number| poller.is_poll_descriptor(number)).map(|number| {
        std::fs::read_link(format!("/proc/self/fd/{number}")).unwrap().display().to_string()
    });
    let mut own: Vec<_> = own.collect();
    own.sort();
    assert_eq!(own, ["anon_inode:[eventfd]", "anon_inode:[eventpoll]"]);
}

#[test]
fn an_unknown_backend_in_the_environment_is_told() {
    const CHILD: &str = "AQUEDUCT_TEST_CHILD";
    if std::env::var_os(CHILD).is_some() {
        for made in [Poller::new().map(drop), Local::new().map(drop)] {
            match made {
                Ok(()) => println!("MADE"),
                Err(error) => println!("REFUSED {:?}: {error}", error.kind()),
            }
        }
        assert!(Poller::builder().backend(Backend::Epoll).build().is_ok());
        return;
    }
    let answer = |name: &str| {
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "an_unknown_backend_in_the_environment_is_told", "--nocapture"])
            .env(CHILD, "1")
            .env("AQUEDUCT_POLLER", name)
            .output()
            .unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    let refused = answer("kevent");
    assert_eq!(refused.matches("REFUSED InvalidInput").count(), 2, "{refused}");
    assert!(refused.contains("kevent") && refused.contains("epoll"), "{refused}");
    for name in ["epoll", ""] {
        assert_eq!(answer(name).matches("MADE").count(), 2, "{name:?}");
    }
}

#[test]
fn events_that_nobody_reads_away_are_edges_each_time() {
    let event = eventfd(0, EventfdFlags::NONBLOCK).unwrap();
    let poller = Poller::new().unwrap();
    poller.add(&event, 1, Interest::READABLE, Mode::Edge).unwrap();
    for writes in [1, 1, 3] {
        for _ in 0..writes {
            rustix::io::write(&event, &1_u64.to_ne_bytes()).unwrap();
        }
        one(&poller);
        none(&poller);
    }
    let (reader, mut writer) = io::pipe().unwrap();
    poller.add(&reader, 2, Interest::READABLE, Mode::Edge).unwrap();
    for _ in 0..3 {
        writer.write_all(b"x").unwrap();
        assert_eq!(one(&poller).key, 2);
    }
}

#[test]
fn room_in_a_full_pipe_is_an_edge_once_a_page_is_free() {
    let (mut reader, writer) = io::pipe().unwrap();
    rustix::io::ioctl_fionbio(&writer, true).unwrap();
    while { &writer }.write(&[0; 4096]).is_ok() {}
    let poller = Poller::new().unwrap();
    poller.add(&writer, 1, Interest::WRITABLE, Mode::Edge).unwrap();
    none(&poller);
    reader.read_exact(&mut [0]).unwrap();
    none(&poller);
    reader.read_exact(&mut [0; 4095]).unwrap();
    assert!(one(&poller).writable);
}

#[test]
fn the_loss_of_a_peer_is_told_in_both_directions() {
    let poller = Poller::new().unwrap();
    let (reader, writer) = io::pipe().unwrap();
    poller.add(&writer, 1, Interest::WRITABLE, Mode::Edge).unwrap();
    one(&poller);
    drop(reader);
    let event = one(&poller);
    assert!(event.writable && event.hung_up);
    let (reader, writer) = io::pipe().unwrap();
    poller.add(&reader, 2, Interest::READABLE, Mode::Edge).unwrap();
    { &writer }.write_all(b"x").unwrap();
    assert!(!one(&poller).hung_up);
    drop(writer);
    let event = one(&poller);
    assert!(event.readable && event.hung_up);
}

#[test]
fn a_socket_that_was_never_connected_has_hung_up() {
    use rustix::net::{AddressFamily, SocketType, socket};
    let fresh = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    let poller = Poller::new().unwrap();
    poller.add(&fresh, 1, Interest::BOTH, Mode::Edge).unwrap();
    let event = one(&poller);
    assert!(event.writable && event.hung_up);
}

#[test]
fn what_is_left_of_two_connections_or_datagrams_is_no_second_edge() {
    let poller = Poller::new().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let clients = [(); 2].map(|()| TcpStream::connect(listener.local_addr().unwrap()).unwrap());
    poller.add(&listener, 1, Interest::READABLE, Mode::Edge).unwrap();
    one(&poller);
    listener.accept().unwrap();
    none(&poller);
    listener.accept().unwrap();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    poller.add(&udp, 2, Interest::READABLE, Mode::Edge).unwrap();
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    for datagram in [&b""[..], b"x"] {
        sender.send_to(datagram, udp.local_addr().unwrap()).unwrap();
    }
    one(&poller);
    assert_eq!(udp.recv(&mut [0; 8]).unwrap(), 0);
    none(&poller);
    drop(clients);
}

#[test]
fn a_description_is_watched_until_its_last_duplicate_is_closed() {
    let poller = Poller::new().unwrap();
    let (reader, mut writer) = io::pipe().unwrap();
    let duplicate = reader.try_clone().unwrap();
    poller.add(&reader, 1, Interest::READABLE, Mode::Edge).unwrap();
    drop(reader);
    writer.write_all(b"x").unwrap();
    assert_eq!(one(&poller).key, 1);
    drop(duplicate);
    none(&poller);
}

#[test]
fn a_close_while_a_thread_waits_is_no_event() {
    within("close while waiting", || {
        let poller = Arc::new(Poller::new().unwrap());
        let (reader, _writer) = io::pipe().unwrap();
        poller.add(&reader, 1, Interest::BOTH, Mode::Level).unwrap();
        let theirs = Arc::clone(&poller);
        let waiting = Waiting::start(Way::Plain, 0, move || {
            let mut events = Events::new();
            theirs.wait(&mut events, None).unwrap();
            events.len()
        })
        .asleep();
        drop(reader);
        poller.wake();
        assert_eq!(waiting.join(), 0);
    });
}

#[test]
fn urgent_data_is_told() {
    let (a, b) = tcp();
    let poller = Poller::new().unwrap();
    poller.add(&a, 1, Interest::READABLE, Mode::Edge).unwrap();
    rustix::net::send(&b, b"!", rustix::net::SendFlags::OOB).unwrap();
    let mut events = Events::new();
    poller.wait(&mut events, Some(Duration::from_secs(20))).unwrap();
    assert!(events.iter().all(|event| event.readable && event.hung_up) && !events.is_empty());
}
