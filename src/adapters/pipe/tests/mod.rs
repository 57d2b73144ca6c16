//! What only the inside can see, and what Miri is to look at: lent slices, turns, cancelled waits.

mod deadlines;

use super::*;
use crate::error;
use crate::park::{self, Hook, Unparker};
use crate::sys::Watch;
use std::io::{ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::rc::Rc;
use std::sync::mpsc;
use std::task::Waker;
use std::thread;

/// Answers every park with the cancelled error.
struct Cancelling;

impl Hook for Cancelling {
    fn park_on(&self, _: &mut [Watch<'_>], deadline: Option<Instant>) -> io::Result<()> {
        self.park_until(deadline)
    }

    fn park_until(&self, _: Option<Instant>) -> io::Result<()> {
        Err(error::cancelled())
    }

    fn unparker(&self) -> Unparker {
        Unparker::from(Waker::noop().clone())
    }
}

/// Tells of each park and answers it when told to.
struct Held(mpsc::Sender<()>, mpsc::Receiver<()>);

impl Hook for Held {
    fn park_on(&self, _: &mut [Watch<'_>], deadline: Option<Instant>) -> io::Result<()> {
        self.park_until(deadline)
    }

    fn park_until(&self, _: Option<Instant>) -> io::Result<()> {
        let _ = self.0.send(());
        let _ = self.1.recv();
        Ok(())
    }

    fn unparker(&self) -> Unparker {
        Unparker::from(Waker::noop().clone())
    }
}

fn both() -> [(Reader, Writer); 2] {
    [pipe(), pipe_with_capacity(3)]
}

#[test]
fn the_ends_can_be_sent_and_shared() {
    fn check<T: Send + Sync>() {}
    check::<Reader>();
    check::<Writer>();
}

#[test]
fn a_cancelled_wait_takes_its_slices_back_and_passes_the_turn_on() {
    for (reader, writer) in both() {
        let hook = park::install(Rc::new(Cancelling));
        for _ in 0..2 {
            let mut buf = vec![0; 8];
            assert!(crate::is_cancelled(&(&reader).read(&mut buf).unwrap_err()));
        }
        let first = (&writer).write(b"abcdef");
        let second = (&writer).write(b"ghijkl");
        drop(hook);
        let kept = first.unwrap_or(0);
        assert!(crate::is_cancelled(&second.unwrap_err()));
        drop(writer);
        let mut rest = Vec::new();
        (&reader).read_to_end(&mut rest).unwrap();
        assert_eq!(rest, b"abcdef"[..kept]);
    }
}

#[test]
fn a_later_reader_waits_in_the_queue_and_nowhere_else() {
    for (reader, writer) in both() {
        let reader = &reader;
        thread::scope(|scope| {
            // All of it goes when an assertion fails, and so the first reader does not stay.
            let mut writer = writer;
            let (parked, has_parked) = mpsc::channel();
            let (go, may_go) = mpsc::channel();
            let first = scope.spawn(move || {
                let _hook = park::install(Rc::new(Held(parked, may_go)));
                let mut buf = [0; 2];
                ({ reader }.read(&mut buf).unwrap(), buf)
            });
            has_parked.recv().unwrap();
            let hook = park::install(Rc::new(Cancelling));
            let second = { reader }.read(&mut [0; 2]);
            assert!(crate::is_cancelled(&second.unwrap_err()));
            writer.write_all(b"ab").unwrap();
            let third = { reader }.read(&mut [0; 2]);
            assert!(crate::is_cancelled(&third.unwrap_err()));
            drop((hook, go));
            assert_eq!(first.join().unwrap(), (2, *b"ab"));
        });
    }
}

#[test]
fn one_byte_is_copied_per_rendezvous_if_that_is_the_room() {
    let (mut reader, mut writer) = pipe();
    thread::scope(|scope| {
        scope.spawn(move || {
            for text in [&b"abc"[..], b"defgh", b"i"] {
                assert_eq!(writer.write(text).unwrap(), text.len());
            }
        });
        let mut all = Vec::new();
        let mut one = [0];
        while reader.read(&mut one).unwrap() == 1 {
            all.push(one[0]);
        }
        assert_eq!(all, b"abcdefghi");
    });
}

#[test]
fn scattered_slices_meet_gathered_ones() {
    for (mut reader, mut writer) in both() {
        thread::scope(|scope| {
            scope.spawn(move || {
                let parts = [&b""[..], b"ab", b"", b"cdefg", b"h", b""].map(IoSlice::new);
                assert_eq!(writer.write_vectored(&parts).unwrap(), 8);
            });
            let mut all = Vec::new();
            loop {
                let (mut a, mut b, mut c) = ([0; 3], [0; 0], [0; 2]);
                let mut parts = [&mut a[..], &mut b, &mut c].map(IoSliceMut::new);
                let n = reader.read_vectored(&mut parts).unwrap();
                if n == 0 {
                    break;
                }
                all.extend_from_slice(&[&a[..], &c].concat()[..n]);
            }
            assert_eq!(all, b"abcdefgh");
        });
    }
}

#[test]
fn many_writers_and_readers_take_turns() {
    let (writers, rounds) = if cfg!(miri) { (3, 4) } else { (4, 500) };
    for (reader, writer) in both() {
        let (reader, writer) = (&reader, &writer);
        let total: usize = thread::scope(|scope| {
            let readers = [1, 2, 7].map(|size| {
                scope.spawn(move || {
                    let mut buf = vec![0; size];
                    let mut total = 0;
                    loop {
                        match { reader }.read(&mut buf).unwrap() {
                            0 => return total,
                            n => {
                                total +=
                                    buf[..n].iter().map(|byte| usize::from(*byte)).sum::<usize>()
                            }
                        }
                    }
                })
            });
            let handles: Vec<_> = (0..writers)
                .map(|_| {
                    scope.spawn(move || {
                        (0..rounds).for_each(|_| { writer }.write_all(&[1, 2, 3, 4, 5]).unwrap())
                    })
                })
                .collect();
            handles.into_iter().for_each(|writer| writer.join().unwrap());
            writer.close();
            readers.into_iter().map(|reader| reader.join().unwrap()).sum()
        });
        assert_eq!(total, 15 * writers * rounds);
    }
}

#[test]
fn a_close_ends_waits_at_both_ends_and_in_the_queue() {
    for side in [Side::Reader, Side::Writer] {
        for (reader, writer) in both() {
            let (reader, writer) = (&reader, &writer);
            thread::scope(|scope| {
                let writes = [(); 2].map(|()| scope.spawn(move || { writer }.write(b"abcdefgh")));
                let mut one = [0];
                assert_eq!({ reader }.read(&mut one).unwrap(), 1);
                writer.channel.close(side, None);
                let kind = match side {
                    Side::Reader => ErrorKind::BrokenPipe,
                    Side::Writer => ErrorKind::NotConnected,
                };
                let mut counts = 0;
                for write in writes {
                    match write.join().unwrap() {
                        Ok(n) => counts += n,
                        Err(error) => assert_eq!(error.kind(), kind),
                    }
                }
                assert!((1..8).contains(&counts), "{counts}");
                assert_eq!({ writer }.write(b"x").unwrap_err().kind(), kind);
            });
        }
    }
}

#[test]
fn the_buffer_of_a_capacity_never_outgrows_it() {
    let (mut reader, writer) = pipe_with_capacity(1000);
    let Channel::Buffered(inside) = &*writer.channel else { panic!("it has a capacity") };
    thread::scope(|scope| {
        scope.spawn(|| {
            for size in 0..100 {
                { &writer }.write_all(&vec![7; size * 37]).unwrap();
            }
            writer.close();
        });
        let mut buf = [0; 333];
        let mut total = 0;
        loop {
            assert!(inside.held() <= 1000);
            match reader.read(&mut buf).unwrap() {
                0 => break,
                n => total += n,
            }
        }
        assert_eq!(total, 37 * 4950);
    });
}

#[test]
fn a_repeated_failure_keeps_kind_number_text_and_what_it_carried() {
    let again = |error| failure::Failure::new(error).error();
    assert_eq!(again(io::Error::from_raw_os_error(28)).raw_os_error(), Some(28));
    assert_eq!(again(ErrorKind::AddrInUse.into()).kind(), ErrorKind::AddrInUse);
    assert!(crate::is_cancelled(&again(error::cancelled())));
    assert_eq!(again(error::reader_gone()).to_string(), error::reader_gone().to_string());
    assert_eq!(again(ErrorKind::Interrupted.into()).kind(), ErrorKind::Other);
    assert_eq!(again(io::Error::from_raw_os_error(4)).kind(), ErrorKind::Other);
}
