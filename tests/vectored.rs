//! Calls with more buffers than the system takes at once, and with empty ones.
#![cfg(target_os = "linux")]

#[path = "kit/mod.rs"]
mod kit;

use aqueduct::stream::Stream;
use kit::{Way, noise, on_all_ways, registered, streams, tcp, unix};
use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

/// Twice as many as one call takes, nearly.
const MANY: usize = 2000;

type Make = fn() -> (OwnedFd, OwnedFd);

fn each_kind(name: &str, body: fn(Stream<OwnedFd>, Stream<OwnedFd>)) {
    let kinds: [(&str, Make); 3] = [
        ("tcp", || {
            let (a, b) = tcp();
            (a.into(), b.into())
        }),
        ("unix", || {
            let (a, b) = unix();
            (a.into(), b.into())
        }),
        ("pipe", || {
            let (a, b) = io::pipe().unwrap();
            (a.into(), b.into())
        }),
    ];
    for (kind, pair) in kinds {
        for way in Way::all() {
            way.run(&format!("{name}, {kind}"), move || {
                let (near, far) = streams(pair());
                body(registered(way, near), far);
            });
        }
    }
}

#[test]
fn more_buffers_than_one_call_takes_are_written_in_part() {
    each_kind("written", |mut near, mut far| {
        let done = far.write_vectored(&[IoSlice::new(b"ab"); MANY]).unwrap();
        assert_eq!(done, 2 * 1024);
        let mut got = vec![0; done];
        near.read_exact(&mut got).unwrap();
        assert!(got == b"ab".repeat(1024));
    });
}

/// The read falls short of its buffers, but not of those that it was given: there is more.
#[test]
fn more_buffers_than_one_call_takes_are_read_in_part() {
    each_kind("read", |mut near, mut far| {
        let bytes = noise(MANY, 3);
        far.write_all(&bytes).unwrap();
        let mut got = [0; MANY];
        let mut bufs: Vec<_> = got.chunks_mut(1).map(IoSliceMut::new).collect();
        assert_eq!(near.read_vectored(&mut bufs).unwrap(), 1024);
        near.read_exact(&mut got[1024..]).unwrap();
        assert!(got[..] == bytes);
    });
}

#[test]
fn empty_buffers_in_front_are_no_end() {
    each_kind("empty", |mut near, mut far| {
        let mut out = vec![IoSlice::new(b""); MANY];
        out.push(IoSlice::new(b"x"));
        assert_eq!(far.write_vectored(&out).unwrap(), 1);
        let mut byte = [0];
        let mut bufs: Vec<_> = (0..MANY).map(|_| IoSliceMut::new(&mut [])).collect();
        bufs.push(IoSliceMut::new(&mut byte));
        assert_eq!(near.read_vectored(&mut bufs).unwrap(), 1);
        assert_eq!(&byte, b"x");
    });
}

#[test]
fn nothing_is_read_at_once() {
    fn check<T: AsFd>(mut near: Stream<T>, peek: impl Fn(&Stream<T>) -> io::Result<usize>) {
        assert_eq!(near.read(&mut []).unwrap(), 0);
        assert_eq!(near.read_vectored(&mut [IoSliceMut::new(&mut [])]).unwrap(), 0);
        assert_eq!(peek(&near).unwrap(), 0);
        near.set_read_deadline(Some(Instant::now()));
        assert_eq!(near.read(&mut []).unwrap_err().kind(), ErrorKind::TimedOut);
        assert_eq!(peek(&near).unwrap_err().kind(), ErrorKind::TimedOut);
        near.close();
        assert_eq!(peek(&near).unwrap_err().kind(), ErrorKind::NotConnected);
    }
    on_all_ways("nothing", |_| {
        let (near, _far) = streams(tcp());
        check(near, |near| near.peek(&mut []));
        let (near, _far) = streams(unix());
        check(near, |near| near.peek(&mut []));
    });
}
