//! Sockets whose error queue is not empty, which poll(2) reports as failed for as long. Whoever
//! waits for them sleeps, and misses nothing.
#![cfg(target_os = "linux")]

#[path = "kit/mod.rs"]
mod kit;

use aqueduct::copy::Cancel;
use aqueduct::stream::Stream;
use aqueduct::{Copier, is_cancelled};
use kit::{Waiting, Way, tcp, within};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

fn set(fd: impl AsFd, level: i32, name: i32, value: i32) {
    #[expect(unsafe_code, reason = "rustix does not know these options")]
    // SAFETY: the value is an int, and as long as is said.
    let done = unsafe {
        let value = (&raw const value).cast();
        libc::setsockopt(fd.as_fd().as_raw_fd(), level, name, value, 4)
    };
    assert_eq!(done, 0, "{}", io::Error::last_os_error());
}

/// A connection; the error queue of its first end holds a time stamp of what it has sent.
fn queued() -> (Stream<TcpStream>, TcpStream) {
    const WHEN_SENT: i32 = 1 << 1;
    const BY_SOFTWARE: i32 = 1 << 4;
    let (near, mut far) = tcp();
    set(&near, libc::SOL_SOCKET, libc::SO_TIMESTAMPING, WHEN_SENT | BY_SOFTWARE);
    { &near }.write_all(b"stamp").unwrap();
    far.read_exact(&mut [0; 5]).unwrap();
    (Stream::from_std(near).unwrap(), far)
}

/// A socket whose error queue holds what became of a datagram, the error itself being told; and
/// its own and the other address.
fn refused() -> (Stream<UdpSocket>, SocketAddr, SocketAddr) {
    let [near, far] = [0; 2].map(|_| UdpSocket::bind("127.0.0.1:0").unwrap());
    let (here, there) = (near.local_addr().unwrap(), far.local_addr().unwrap());
    set(&near, libc::IPPROTO_IP, libc::IP_RECVERR, 1);
    near.connect(there).unwrap();
    drop(far);
    near.send(b"to nobody").unwrap();
    let mut near = Stream::from_std(near).unwrap();
    assert_eq!(near.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    assert_eq!(near.try_read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    (near, here, there)
}

/// Who asks again and again does not get through this.
fn sleeps<T: Send + 'static>(waiting: Waiting<T>) -> Waiting<T> {
    (0..100).fold(waiting, |waiting, _| waiting.asleep())
}

fn in_each_way(name: &str, test: impl Fn(Way) + Clone + Send + 'static) {
    for way in Way::all() {
        let test = test.clone();
        within(&format!("{name}, {way:?}"), move || test(way));
    }
}

#[test]
fn what_arrives_is_read() {
    in_each_way("read", |way| {
        let (mut near, mut far) = queued();
        let mut buf = [0; 8];
        let reader = sleeps(Waiting::start(way, 0, move || near.read(&mut buf).unwrap()));
        far.write_all(b"news").unwrap();
        assert_eq!(reader.join(), 4);

        let (mut near, here, there) = refused();
        let reader = sleeps(Waiting::start(way, 0, move || near.read(&mut buf).unwrap()));
        UdpSocket::bind(there).unwrap().send_to(b"alive", here).unwrap();
        assert_eq!(reader.join(), 5);
    });
}

#[test]
fn the_next_true_error_is_told() {
    in_each_way("error", |way| {
        let (mut near, ..) = refused();
        let again = near.get_ref().try_clone().unwrap();
        let reader = sleeps(Waiting::start(way, 0, move || near.read(&mut [0; 8]).unwrap_err()));
        again.send(b"to nobody").unwrap();
        assert_eq!(reader.join().kind(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn what_happens_to_the_stream_ends_the_wait() {
    in_each_way("deadline and close", |way| {
        let (mut near, _far) = queued();
        let soon = Instant::now() + Duration::from_millis(5);
        near.set_read_deadline(Some(soon));
        let control = near.control();
        let reader = Waiting::start(way, 0, move || (near.read(&mut [0]).unwrap_err(), near));
        let (late, mut near) = reader.join();
        assert_eq!(late.kind(), ErrorKind::TimedOut);
        assert!(Instant::now() >= soon);

        near.set_read_deadline(None);
        let start = move || near.read(&mut [0]).unwrap_err();
        let reader = sleeps(Waiting::start(way, 0, start));
        control.close();
        assert_eq!(reader.join().kind(), ErrorKind::NotConnected);
    });
}

#[test]
fn room_is_written_to() {
    in_each_way("write", |way| {
        let (mut near, mut far) = queued();
        let block = vec![5; 16 << 20];
        let all = block.len() as u64;
        let writer = sleeps(Waiting::start(way, 0, move || near.write_all(&block).unwrap()));
        assert_eq!(io::copy(&mut { &mut far }.take(all), &mut io::sink()).unwrap(), all);
        writer.join();
    });
}

#[test]
fn a_copy_sleeps_and_goes_on() {
    in_each_way("copy", |way| {
        let (mut near, mut far) = queued();
        let (mut reader, writer) = io::pipe().unwrap();
        let mut writer = Stream::from_std(writer).unwrap();
        let copier =
            sleeps(Waiting::start(way, 0, move || aqueduct::copy(&mut near, &mut writer).unwrap()));
        let block = vec![7; 1 << 18];
        let drain = Waiting::start(Way::Plain, 0, move || {
            let mut all = Vec::new();
            reader.read_to_end(&mut all).map(|_| all).unwrap()
        });
        far.write_all(&block).unwrap();
        let copier = sleeps(copier);
        drop(far);
        assert_eq!(copier.join(), block.len() as u64);
        assert!(drain.join() == block);
    });
}

#[test]
fn an_output_with_such_an_error_is_not_lost() {
    in_each_way("watch", |way| {
        let (mut near, mut far) = queued();
        let (reader, mut writer) = io::pipe().unwrap();
        let mut reader = Stream::from_std(reader).unwrap();
        let cancel = Cancel::new();
        let copier = Copier::new().watch_outputs(true).cancel(&cancel);
        let copy = move || copier.copy(&mut reader, &mut near).map(|report| report.copied());
        let copier = sleeps(Waiting::start(way, 0, copy));
        writer.write_all(b"more").unwrap();
        let mut buf = [0; 4];
        far.read_exact(&mut buf).unwrap();
        assert_eq!(&buf, b"more");
        let copier = sleeps(copier);
        cancel.cancel();
        let stopped = copier.join().unwrap_err();
        assert!(is_cancelled(&stopped.source), "{stopped}");
    });
}

#[test]
fn a_worker_sleeps_while_its_task_waits() {
    within("task", || {
        let (mut near, mut far) = queued();
        let read = move || aqueduct::task::run(|| near.read(&mut [0; 8]).unwrap()).unwrap();
        let reader = sleeps(Waiting::start(Way::Plain, 0, read));
        far.write_all(b"news").unwrap();
        assert_eq!(reader.join(), 4);
    });
}

#[test]
fn a_worker_sleeps_while_its_task_watches_an_output() {
    within("task", || {
        let (mut near, mut far) = queued();
        let (reader, mut writer) = io::pipe().unwrap();
        let mut reader = Stream::from_std(reader).unwrap();
        let copy = move || Copier::new().watch_outputs(true).copy(&mut reader, &mut near).unwrap();
        let copier = Waiting::start(Way::Plain, 0, move || aqueduct::task::run(copy).unwrap());
        let copier = sleeps(copier);
        writer.write_all(b"more").unwrap();
        far.read_exact(&mut [0; 4]).unwrap();
        drop(writer);
        assert_eq!(sleeps(copier).join().copied(), 4);
    });
}
