//! Models of whole streams, on the kernel of `sys/model`: the calls, their turns, the words, the
//! permits, and a backend where there is one.

use super::{Inner, Stream};
use crate::poll::Local;
use crate::sys::model::{arrive, arrive_at_last, descriptor};
use crate::sys::{Manner, Nowait};
use loom::thread;
use std::io::{ErrorKind, Read};
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Instant;

type Model = Stream<BorrowedFd<'static>>;

/// Over one of the model's descriptors. It is leaked, as in the models of the word.
fn stream(number: usize) -> &'static Model {
    let manner = Manner { nowait: Nowait::Flag, drains: true };
    let inner = Arc::new(Inner::with(descriptor(number), manner, BorrowedFd::as_fd));
    Box::leak(Box::new(Stream { inner }))
}

fn read(mut stream: &Model, len: usize) -> Result<usize, ErrorKind> {
    stream.read(&mut vec![0; len]).map_err(|error| error.kind())
}

fn explore(preemptions: usize, body: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(body);
}

/// How a thread waits: by poll(2), or by a backend of its own.
#[derive(Clone, Copy)]
enum By {
    Poll,
    Backend,
}

/// Runs `body` on a thread that waits so.
fn waiting<T>(by: By, body: impl FnOnce() -> T) -> T {
    match by {
        By::Poll => body(),
        By::Backend => {
            let local = ManuallyDrop::new(Local::new().unwrap());
            let result = body();
            drop(ManuallyDrop::into_inner(local));
            result
        }
    }
}

type Step = fn(&Model);

fn byte(_: &Model) {
    arrive(descriptor(0), 1);
}

fn past_deadline(stream: &Model) {
    stream.set_read_deadline(Some(Instant::now()));
}

/// One read beside these, on a thread of each kind.
fn read_beside(steps: &'static [Step], ends: &'static [Result<usize, ErrorKind>]) {
    for by in [By::Poll, By::Backend] {
        explore(2, move || {
            let stream = stream(0);
            let threads: Vec<_> =
                steps.iter().map(|step| thread::spawn(move || step(stream))).collect();
            let end = waiting(by, || read(stream, 1));
            assert!(ends.contains(&end), "{end:?}");
            threads.into_iter().for_each(|thread| thread.join().unwrap());
        });
    }
}

#[test]
fn loom_a_byte_ends_a_read() {
    read_beside(&[byte], &[Ok(1)]);
}

#[test]
fn loom_a_close_ends_a_read() {
    read_beside(&[Stream::close], &[Err(ErrorKind::NotConnected)]);
}

#[test]
fn loom_a_deadline_ends_a_read() {
    read_beside(&[past_deadline], &[Err(ErrorKind::TimedOut)]);
}

#[test]
fn loom_a_byte_and_a_close() {
    read_beside(&[byte, Stream::close], &[Ok(1), Err(ErrorKind::NotConnected)]);
}

#[test]
fn loom_a_byte_and_a_deadline() {
    read_beside(&[byte, past_deadline], &[Ok(1), Err(ErrorKind::TimedOut)]);
}

#[test]
fn loom_a_deadline_and_a_close() {
    let ends = &[Err(ErrorKind::TimedOut), Err(ErrorKind::NotConnected)];
    read_beside(&[past_deadline, Stream::close], ends);
}

/// Whoever has the turn and whoever queues behind him.
#[test]
fn loom_a_close_ends_all_reads() {
    for by in [By::Poll, By::Backend] {
        explore(2, move || {
            let stream = stream(0);
            let other = thread::spawn(move || read(stream, 1));
            let closer = thread::spawn(|| stream.close());
            assert_eq!(waiting(by, || read(stream, 1)), Err(ErrorKind::NotConnected));
            assert_eq!(other.join().unwrap(), Err(ErrorKind::NotConnected));
            closer.join().unwrap();
        });
    }
}

/// Not by whoever waited before.
#[test]
fn loom_a_close_is_heard_by_whoever_waits_now() {
    for by in [By::Poll, By::Backend] {
        explore(2, move || {
            let stream = stream(0);
            let former = thread::spawn(move || read(stream, 1));
            byte(stream);
            assert_eq!(former.join().unwrap(), Ok(1));
            let closer = thread::spawn(|| stream.close());
            assert_eq!(waiting(by, || read(stream, 1)), Err(ErrorKind::NotConnected));
            closer.join().unwrap();
        });
    }
}

/// The second one may have seen the first one wait, and is told nothing of its own byte.
#[test]
fn loom_two_reads_get_a_byte_each() {
    for by in [By::Poll, By::Backend] {
        explore(2, move || {
            let stream = stream(0);
            let other = thread::spawn(move || read(stream, 1));
            let writer = thread::spawn(|| {
                arrive(descriptor(0), 1);
                arrive(descriptor(0), 1);
            });
            assert_eq!(waiting(by, || read(stream, 1)), Ok(1));
            assert_eq!(other.join().unwrap(), Ok(1));
            writer.join().unwrap();
        });
    }
}

/// The stream lives with the first of them that had to wait, who leaves while the other reads.
#[test]
fn loom_a_backend_that_goes_takes_no_event_with_it() {
    explore(2, || {
        let stream = stream(0);
        let other = thread::spawn(|| waiting(By::Backend, || read(stream, 1)));
        let writer = thread::spawn(|| {
            arrive(descriptor(0), 1);
            arrive(descriptor(0), 1);
        });
        assert_eq!(waiting(By::Backend, || read(stream, 1)), Ok(1));
        assert_eq!(other.join().unwrap(), Ok(1));
        writer.join().unwrap();
    });
}

/// A short read with which the end has come proves nothing: the end is still to be seen.
#[test]
fn loom_an_end_behind_bytes_is_seen() {
    explore(3, || {
        let stream = stream(0);
        let writer = thread::spawn(|| {
            arrive(descriptor(0), 1);
            arrive_at_last(descriptor(0), 1);
        });
        waiting(By::Backend, || {
            let mut got = 0;
            loop {
                match read(stream, 8).unwrap() {
                    0 => break,
                    n => got += n,
                }
            }
            assert_eq!(got, 2);
        });
        writer.join().unwrap();
    });
}
