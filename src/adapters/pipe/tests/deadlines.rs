//! Deadlines seen from within: what happens between a deadline and the wake of whoever missed it.

use super::{Cancelling, Held, both};
use crate::adapters::pipe::{Reader, Writer, pipe, pipe_with_capacity};
use crate::park;
use std::io::{self, ErrorKind, Read, Write};
use std::rc::Rc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

fn past() -> Option<Instant> {
    Some(Instant::now())
}

fn kind<T: std::fmt::Debug>(result: io::Result<T>) -> ErrorKind {
    result.unwrap_err().kind()
}

/// A call that is held in its park until it is told to look again, or this is dropped.
struct Parked<'scope, T> {
    call: ScopedJoinHandle<'scope, T>,
    parks: Receiver<()>,
    go: Sender<()>,
}

impl<'scope, T: Send + 'scope> Parked<'scope, T> {
    fn start<'env>(
        scope: &'scope Scope<'scope, 'env>,
        call: impl FnOnce() -> T + Send + 'scope,
    ) -> Self {
        let (parked, parks) = mpsc::channel();
        let (go, may_go) = mpsc::channel();
        let call = scope.spawn(move || {
            let _hook = park::install(Rc::new(Held(parked, may_go)));
            call()
        });
        parks.recv().expect("it parks before it ends");
        Self { call, parks, go }
    }

    /// Does not park again.
    fn ends(self) -> T {
        self.go.send(()).expect("it is parked");
        let result = self.call.join().expect("it does not panic");
        assert_eq!(self.parks.try_iter().count(), 0, "it parked again");
        result
    }
}

fn try_write(mut writer: &Writer, bytes: &[u8]) -> io::Result<usize> {
    let _hook = park::install(Rc::new(Cancelling));
    writer.write(bytes)
}

fn try_read(mut reader: &Reader, buf: &mut [u8]) -> io::Result<usize> {
    let _hook = park::install(Rc::new(Cancelling));
    reader.read(buf)
}

/// Where `body` waits for ever, this fails.
fn within(body: impl FnOnce() + Send + 'static) {
    let (done, end) = mpsc::channel();
    let thread = thread::spawn(move || {
        body();
        let _ = done.send(());
    });
    let timeout = Err(mpsc::RecvTimeoutError::Timeout);
    assert_ne!(end.recv_timeout(Duration::from_secs(300)), timeout, "a wake was lost");
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}

#[test]
fn nothing_is_put_into_the_hands_of_a_reader_whose_deadline_has_passed() {
    for lifted in [true, false] {
        let (reader, writer) = pipe();
        thread::scope(|scope| {
            let (reader, writer) = (&reader, writer);
            let read = Parked::start(scope, move || {
                let mut buf = [0; 4];
                (kind({ reader }.read(&mut buf)), buf)
            });
            reader.set_read_deadline(past());
            assert!(crate::is_cancelled(&try_write(&writer, b"abcd").unwrap_err()));
            if lifted {
                // The writer that it was too late for may wait elsewhere now.
                reader.set_read_deadline(None);
            }
            assert_eq!(read.ends(), (ErrorKind::TimedOut, [0; 4]));
        });
    }
}

#[test]
fn nothing_is_taken_from_a_writer_whose_deadline_has_passed() {
    for lifted in [true, false] {
        let (reader, writer) = pipe();
        thread::scope(|scope| {
            let (reader, writer) = (reader, &writer);
            let write = Parked::start(scope, move || { writer }.write(b"abcd"));
            writer.set_write_deadline(past());
            let mut buf = [0; 4];
            assert!(crate::is_cancelled(&try_read(&reader, &mut buf).unwrap_err()));
            assert_eq!(buf, [0; 4]);
            if lifted {
                writer.set_write_deadline(None);
            }
            assert_eq!(kind(write.ends()), ErrorKind::TimedOut);
        });
    }
}

#[test]
fn a_write_cut_short_by_its_deadline_answers_its_count_and_then_the_cause() {
    for (reader, writer) in both() {
        thread::scope(|scope| {
            let (mut reader, writer) = (reader, &writer);
            let write = Parked::start(scope, move || { writer }.write(b"abcdefgh"));
            let mut buf = [0; 2];
            reader.read_exact(&mut buf).unwrap();
            writer.set_write_deadline(past());
            let n = write.ends().unwrap();
            assert!((2..8).contains(&n), "{n}");
            for _ in 0..2 {
                assert_eq!(kind({ writer }.write(b"x")), ErrorKind::TimedOut);
            }
            writer.close();
            let mut rest = Vec::new();
            reader.read_to_end(&mut rest).unwrap();
            assert_eq!([&buf[..], &rest].concat(), b"abcdefgh"[..n]);
        });
    }
}

#[test]
fn bytes_that_come_after_the_deadline_of_a_read_stay() {
    let (reader, writer) = pipe_with_capacity(8);
    thread::scope(|scope| {
        let (reader, writer) = (&reader, writer);
        let mut buf = [0; 8];
        let read = Parked::start(scope, move || { reader }.read(&mut [0; 8]));
        reader.set_read_deadline(past());
        assert_eq!(try_write(&writer, b"abcd").unwrap(), 4);
        assert_eq!(kind(read.ends()), ErrorKind::TimedOut);
        assert_eq!(kind(try_read(reader, &mut buf)), ErrorKind::TimedOut);
        reader.set_read_deadline(None);
        assert_eq!(try_read(reader, &mut buf).unwrap(), 4);
        assert_eq!(&buf[..4], b"abcd");
    });
}

#[test]
fn a_turn_that_comes_too_late_is_passed_on() {
    for (reader, writer) in both() {
        thread::scope(|scope| {
            let (reader, writer) = (&reader, writer);
            let first = Parked::start(scope, move || { reader }.read(&mut [0; 2]));
            let queued =
                [(); 2].map(|()| Parked::start(scope, move || { reader }.read(&mut [0; 2])));
            reader.set_read_deadline(past());
            assert_eq!(kind(first.ends()), ErrorKind::TimedOut);
            for read in queued {
                assert_eq!(kind(read.ends()), ErrorKind::TimedOut);
            }
            reader.set_read_deadline(None);
            let read = Parked::start(scope, move || { reader }.read(&mut [0; 2]));
            assert_eq!(try_write(&writer, b"ab").unwrap(), 2);
            assert_eq!(read.ends().unwrap(), 2);
        });
    }
}

#[test]
fn whoever_gave_up_in_the_queue_is_not_given_the_turn() {
    for (reader, writer) in both() {
        thread::scope(|scope| {
            let (reader, writer) = (&reader, &writer);
            let first = Parked::start(scope, move || { reader }.read(&mut [0; 2]));
            let queued = Parked::start(scope, move || { reader }.read(&mut [0; 2]));
            reader.set_read_deadline(past());
            assert_eq!(kind(queued.ends()), ErrorKind::TimedOut);
            assert_eq!(kind(first.ends()), ErrorKind::TimedOut);
            reader.set_read_deadline(None);
            let write = Parked::start(scope, move || { writer }.write(b"abcd"));
            let got = try_read(reader, &mut [0; 4]);
            if got.is_err() {
                // So that the writer does not stay.
                reader.close();
            }
            assert_eq!(write.ends().unwrap(), 4);
            assert!(got.unwrap() >= 3);
        });
    }
}

#[test]
fn a_writer_whose_turn_comes_too_late_hands_nothing_over() {
    let (reader, writer) = pipe();
    thread::scope(|scope| {
        let (reader, writer) = (&reader, &writer);
        let writes =
            [b"ab", b"cd"].map(|bytes| Parked::start(scope, move || { writer }.write(bytes)));
        writer.set_write_deadline(past());
        let [first, second] = writes;
        assert_eq!(kind(first.ends()), ErrorKind::TimedOut);
        let read = Parked::start(scope, move || {
            let mut buf = [0; 2];
            ({ reader }.read(&mut buf).unwrap(), buf)
        });
        assert_eq!(kind(second.ends()), ErrorKind::TimedOut);
        writer.set_write_deadline(None);
        assert_eq!(try_write(writer, b"ef").unwrap(), 2);
        assert_eq!(read.ends(), (2, *b"ef"));
    });
}

#[test]
fn a_deadline_ends_waits_at_both_ends_and_in_the_queue() {
    within(|| {
        for (reader, writer) in [both(), both(), both()].into_iter().flatten() {
            let (reader, writer) = (&reader, &writer);
            thread::scope(|scope| {
                let reads = [(); 3].map(|()| scope.spawn(move || { reader }.read(&mut [0; 8])));
                reader.set_read_deadline(past());
                for read in reads {
                    assert_eq!(kind(read.join().unwrap()), ErrorKind::TimedOut);
                }
                let writes = [(); 3].map(|()| scope.spawn(move || { writer }.write_all(&[7; 9])));
                writer.set_write_deadline(past());
                for write in writes {
                    assert_eq!(kind(write.join().unwrap()), ErrorKind::TimedOut);
                }
            });
        }
    });
}

#[test]
fn lent_slices_survive_a_race_of_deadlines_and_transfers() {
    within(|| {
        let rounds = if cfg!(miri) { 20 } else { 2_000 };
        for (reader, writer) in both() {
            let (read, write) = (reader.control(), writer.control());
            let (sent, got) = thread::scope(|scope| {
                let (mut reader, mut writer) = (reader, writer);
                let sent = scope.spawn(move || {
                    let mut sent = 0;
                    for _ in 0..rounds {
                        // Dropped after each call: who copies out of it later reads freed memory.
                        let bytes: Vec<u8> = (sent..sent + 5).map(|n| n as u8).collect();
                        match writer.write(&bytes) {
                            Ok(n) => sent += n,
                            Err(error) => assert_eq!(error.kind(), ErrorKind::TimedOut),
                        }
                    }
                    sent
                });
                let got = scope.spawn(move || {
                    let mut got = 0;
                    loop {
                        let mut buf = vec![0; 3];
                        match reader.read(&mut buf) {
                            Ok(0) => return got,
                            Ok(n) => {
                                assert!(
                                    buf[..n].iter().enumerate().all(|(i, &b)| b == (got + i) as u8)
                                );
                                got += n;
                            }
                            Err(error) => assert_eq!(error.kind(), ErrorKind::TimedOut),
                        }
                    }
                });
                while !sent.is_finished() {
                    for control in [&read, &write] {
                        control.set_deadline(past());
                        thread::yield_now();
                        control.set_deadline(None);
                        thread::yield_now();
                    }
                }
                (sent.join().unwrap(), got.join().unwrap())
            });
            assert_eq!(sent, got);
        }
    });
}
