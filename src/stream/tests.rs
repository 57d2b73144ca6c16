//! Streams over pipes and backends of their threads' own, which Miri can follow. All else is in
//! `tests`.

use super::{Inner, Stream};
use crate::poll::{Local, keeps};
use crate::sys::faults::{self, Faults};
use crate::sys::{self, Call, Manner, Nowait};
use crate::task;
use rustix::io::Errno;
use std::io::{ErrorKind, PipeReader, PipeWriter, Read, Result, Write, pipe};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// As `from_std` makes it of a socket, with short reads that are trusted.
fn stream<T: AsFd>(io: T) -> Stream<T> {
    sys::set_nonblocking(io.as_fd(), true).unwrap();
    let manner = Manner { nowait: Nowait::Flag, drains: true };
    Stream { inner: Arc::new(Inner::with(io, manner, T::as_fd)) }
}

fn streams() -> (Stream<PipeReader>, Stream<PipeWriter>) {
    let (reader, writer) = pipe().unwrap();
    (stream(reader), stream(writer))
}

fn read(mut stream: &Stream<PipeReader>) -> Result<Vec<u8>> {
    let mut buf = [0; 8];
    let n = stream.read(&mut buf)?;
    Ok(buf[..n].to_vec())
}

fn kind<T: std::fmt::Debug>(result: Result<T>) -> ErrorKind {
    result.unwrap_err().kind()
}

#[test]
fn reads_wait_for_bytes_and_for_the_end() {
    let (reader, mut writer) = streams();
    let other = thread::spawn(move || {
        for byte in b"abc" {
            writer.write_all(&[*byte]).unwrap();
        }
    });
    let local = Local::new().unwrap();
    let mut got = Vec::new();
    loop {
        match read(&reader).unwrap() {
            end if end.is_empty() => break,
            bytes => got.extend(bytes),
        }
    }
    assert_eq!(got, b"abc");
    drop(local);
    other.join().unwrap();
}

#[test]
fn a_write_waits_until_all_has_room() {
    let (mut reader, mut writer) = streams();
    let size = if cfg!(miri) { 70_000 } else { 300_000 };
    let other = thread::spawn(move || {
        let _local = Local::new().unwrap();
        writer.write(&vec![7; size]).unwrap()
    });
    let _local = Local::new().unwrap();
    let mut got = Vec::new();
    reader.read_to_end(&mut got).unwrap();
    assert_eq!((got.len(), other.join().unwrap()), (size, size));
    assert!(got.iter().all(|byte| *byte == 7));
}

/// Whoever waits, and whoever waits for its turn.
#[test]
fn a_close_ends_all_calls() {
    let (reader, _writer) = streams();
    thread::scope(|scope| {
        let calls = [(); 3].map(|()| {
            scope.spawn(|| {
                let _local = Local::new().unwrap();
                read(&reader)
            })
        });
        let control = reader.control();
        scope.spawn(move || control.close());
        for call in calls {
            assert_eq!(kind(call.join().unwrap()), ErrorKind::NotConnected);
        }
    });
    assert_eq!(kind(reader.try_read(&mut [0])), ErrorKind::NotConnected);
    assert_eq!(kind((&reader).read(&mut [])), ErrorKind::NotConnected);
}

#[test]
fn a_deadline_ends_a_wait_under_way_and_can_be_lifted() {
    let (reader, mut writer) = streams();
    let _local = Local::new().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| reader.set_read_deadline(Some(Instant::now())));
        assert_eq!(kind(read(&reader)), ErrorKind::TimedOut);
    });
    writer.write_all(b"x").unwrap();
    assert_eq!(kind(read(&reader)), ErrorKind::TimedOut, "bytes are there, and it is too late");
    assert_eq!(kind(reader.try_read(&mut [0])), ErrorKind::TimedOut);
    reader.set_deadline(None);
    assert_eq!(read(&reader).unwrap(), b"x");
}

#[test]
fn a_deadline_to_come_and_a_timeout_are_waited_for() {
    let (reader, _writer) = streams();
    let _local = Local::new().unwrap();
    let soon = Instant::now() + Duration::from_millis(10);
    reader.set_read_deadline(Some(soon));
    assert_eq!(kind(read(&reader)), ErrorKind::TimedOut);
    assert!(Instant::now() >= soon);
    reader.set_read_deadline(None);
    reader.set_read_timeout(Some(Duration::from_millis(10)));
    let start = Instant::now();
    assert_eq!(kind(read(&reader)), ErrorKind::TimedOut);
    assert!(start.elapsed() >= Duration::from_millis(10));
}

#[test]
fn tries_do_not_wait() {
    let (reader, writer) = streams();
    assert_eq!(kind(reader.try_read(&mut [0; 4])), ErrorKind::WouldBlock);
    assert_eq!(writer.try_write(b"abc").unwrap(), 3);
    let mut buf = [0; 4];
    assert_eq!(reader.try_read(&mut buf).unwrap(), 3);
    while writer.try_write(&[0; 4096]).is_ok() {}
    assert_eq!(kind(writer.try_write(&[0; 4096])), ErrorKind::WouldBlock);
}

/// A stream stays with the backend that it first waited at, and leaves with it.
#[test]
fn streams_outlive_the_backends_that_they_wait_at() {
    let (reader, mut writer) = streams();
    for byte in b"xyz" {
        let local = Local::new().unwrap();
        let inner = Local::new().unwrap();
        thread::scope(|scope| {
            scope.spawn(|| writer.write_all(&[*byte]).unwrap());
            assert_eq!(read(&reader).unwrap(), [*byte]);
        });
        // In this order they go, for once.
        drop(local);
        drop(inner);
    }
    drop(writer);
    assert_eq!(read(&reader).unwrap(), b"");
}

/// Registering the stream fails first, and then succeeds.
fn wait_where_there_is_no_room(errno: Errno) {
    let (reader, mut writer) = streams();
    let soon = || reader.set_read_deadline(Some(Instant::now() + Duration::from_millis(1)));
    let full = Faults { off: vec![(Call::Watch, errno.raw_os_error())], ..Faults::default() };
    let (got, _) = faults::with(full, || {
        soon();
        assert_eq!(kind(read(&reader)), ErrorKind::TimedOut);
        reader.set_read_deadline(None);
        let other = thread::spawn(move || writer.write_all(b"x").map(|()| writer).unwrap());
        let got = read(&reader);
        assert!(!keeps(reader.inner.desc()));
        (got, other.join().unwrap())
    });
    assert_eq!(got.0.unwrap(), b"x", "{errno}");
    soon();
    assert_eq!(kind(read(&reader)), ErrorKind::TimedOut);
    assert!(keeps(reader.inner.desc()), "there is room again");
}

#[test]
#[cfg_attr(miri, ignore = "by poll(2)")]
fn a_backend_without_room_is_waited_without() {
    for errno in [Errno::NOSPC, Errno::NOMEM] {
        let local = Local::new().unwrap();
        wait_where_there_is_no_room(errno);
        drop(local);
    }
}

#[test]
#[cfg_attr(miri, ignore = "stacks")]
fn a_task_waits_where_a_backend_has_no_room() {
    for errno in [Errno::NOSPC, Errno::NOMEM] {
        task::run(move || wait_where_there_is_no_room(errno)).unwrap();
    }
}

#[test]
fn halves_belong_together_or_come_back() {
    let (one, two) = (streams().0, streams().0);
    let ((a, b), (c, d)) = (one.split(), two.split());
    let refused = a.reunite(d).unwrap_err();
    let (a, d) = (refused.read, refused.write);
    assert!(a.reunite(b).is_ok());
    assert!(c.reunite(d).unwrap().into_std().is_ok());
}

#[test]
fn what_is_shared_is_not_taken_apart() {
    let (reader, mut writer) = streams();
    let control = reader.control();
    let (read_half, write_half) = reader.split();
    let reader = read_half.reunite(write_half).unwrap();
    let mut plain = reader.into_std().unwrap();
    control.close();
    writer.write_all(b"on").unwrap();
    let mut buf = [0; 2];
    plain.read_exact(&mut buf).unwrap();
    assert_eq!(&buf, b"on");
}
