//! Deadlines and close from elsewhere, of the in-memory pipe. What holds for a wait that is under
//! way, Go's suite asks over `duplex`.
#![cfg(target_os = "linux")]

mod kit;

use aqueduct::adapters::pipe::{Control, Reader, Writer};
use aqueduct::{copy, pipe_with_capacity};
use kit::{Waiting, Way, within};
use std::io::{self, BufRead, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

fn every_kind() -> impl Iterator<Item = (Reader, Writer)> {
    [0, 1, 7, 4096].into_iter().map(pipe_with_capacity)
}

fn past() -> Option<Instant> {
    Some(Instant::now())
}

fn soon() -> Option<Instant> {
    Some(Instant::now() + Duration::from_millis(5))
}

fn late<T: std::fmt::Debug>(result: io::Result<T>) {
    assert_eq!(result.unwrap_err().kind(), ErrorKind::TimedOut);
}

/// A pipe of which the reader has fetched `bytes` already.
fn fetched(capacity: usize, bytes: &'static [u8]) -> (Reader, Writer) {
    let (mut reader, mut writer) = pipe_with_capacity(capacity);
    let writer = thread::scope(|scope| {
        let write = scope.spawn(move || writer.write_all(bytes).map(|()| writer).unwrap());
        assert_eq!(reader.fill_buf().unwrap(), bytes);
        write.join().unwrap()
    });
    (reader, writer)
}

#[test]
fn a_past_deadline_fails_every_call_that_reads_even_if_the_bytes_were_fetched() {
    within("a past deadline", || {
        for capacity in [0, 64] {
            let (mut reader, writer) = fetched(capacity, b"there");
            reader.set_read_deadline(past());
            for _ in 0..2 {
                let mut buf = [1; 8];
                late(reader.read(&mut buf));
                late({ &reader }.read(&mut buf));
                late(reader.read_vectored(&mut [IoSliceMut::new(&mut buf)]));
                late(reader.read(&mut []));
                late(reader.fill_buf().map(drop));
                late(copy(&mut reader, &mut Vec::new()).map_err(io::Error::from));
                assert_eq!(buf, [1; 8]);
            }
            reader.set_read_deadline(Some(Instant::now() + Duration::from_secs(3600)));
            assert_eq!(reader.fill_buf().unwrap(), b"there");
            reader.set_read_deadline(past());
            drop(writer);
            late(reader.read(&mut [0; 8]));
            reader.set_read_deadline(None);
            let mut text = String::new();
            reader.read_to_string(&mut text).unwrap();
            assert_eq!(text, "there");
            reader.set_read_deadline(past());
            late(reader.read(&mut [0; 8]));
        }
    });
}

#[test]
fn a_past_deadline_fails_every_call_that_writes_whatever_the_reader_does() {
    for (reader, mut writer) in every_kind() {
        writer.set_write_deadline(past());
        for gone in [false, true] {
            late(writer.write(b"x"));
            late({ &writer }.write(b""));
            late(writer.write_vectored(&[IoSlice::new(b"x")]));
            writer.flush().unwrap();
            if !gone {
                reader.close();
            }
        }
        writer.set_write_deadline(None);
        assert_eq!(writer.write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
        writer.set_write_deadline(past());
        writer.close();
        assert_eq!(writer.write(b"x").unwrap_err().kind(), ErrorKind::NotConnected);
    }
}

#[test]
fn a_wait_ends_at_its_deadline_and_not_before() {
    within("a deadline to come", || {
        for (mut reader, mut writer) in every_kind() {
            let at = soon();
            reader.set_read_deadline(at);
            late(reader.read(&mut [0; 8]));
            assert!(Some(Instant::now()) >= at, "early");
            late(reader.fill_buf().map(drop));
            let at = soon();
            writer.set_write_deadline(at);
            match writer.write(&[7; 5000]) {
                Ok(n) => assert!(0 < n && n <= 4096, "{n}"),
                Err(error) => assert_eq!(error.kind(), ErrorKind::TimedOut),
            }
            assert!(Some(Instant::now()) >= at, "early");
            late(writer.write(&[7; 5000]));
        }
    });
}

#[test]
fn a_wait_hears_of_a_deadline_that_is_put_off_cleared_or_brought_forward() {
    within("a deadline that moves", || {
        let far = Some(Instant::now() + Duration::from_secs(3600));
        for first in [None, far] {
            for (reader, writer) in every_kind() {
                let (reader, writer) = (Arc::new(reader), Arc::new(writer));
                reader.set_read_deadline(first);
                writer.set_write_deadline(first);
                let shared = Arc::clone(&reader);
                let read = Waiting::start(Way::Plain, 0, move || (&*shared).read(&mut [0; 8]));
                let read = read.asleep();
                reader.set_read_deadline(None);
                reader.set_read_deadline(far);
                reader.set_read_deadline(past());
                late(read.join());
                let shared = Arc::clone(&writer);
                let write = Waiting::start(Way::Plain, 0, move || (&*shared).write_all(&[7; 9000]));
                let write = write.asleep();
                writer.set_write_deadline(far);
                writer.set_write_deadline(past());
                late(write.join());
            }
        }
    });
}

#[test]
fn a_handle_closes_an_end_that_is_lent_out() {
    for capacity in [0, 64] {
        let (mut reader, mut writer) = fetched(capacity, b"there");
        let control = reader.control();
        control.clone().close();
        control.close_with(io::Error::other("too late"));
        control.set_deadline(None);
        assert_eq!(reader.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::NotConnected);
        assert_eq!(reader.fill_buf().unwrap_err().kind(), ErrorKind::NotConnected);
        assert_eq!(reader.read(&mut []).unwrap_err().kind(), ErrorKind::NotConnected);
        assert_eq!(writer.write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
        control.set_deadline(past());
        assert_eq!(reader.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::NotConnected);

        let (mut reader, mut writer) = pipe_with_capacity(capacity);
        writer.control().close_with(io::Error::new(ErrorKind::AddrInUse, "enough"));
        assert_eq!(writer.write(b"x").unwrap_err().kind(), ErrorKind::NotConnected);
        assert_eq!(reader.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::AddrInUse);
    }
}

#[test]
fn a_handle_ends_the_calls_of_an_end_that_is_lent_out() {
    within("a handle", || {
        for closes in [true, false] {
            let kind = if closes { ErrorKind::NotConnected } else { ErrorKind::TimedOut };
            let end = |control: &Control| match closes {
                true => control.close(),
                false => control.set_deadline(past()),
            };
            for (mut reader, _writer) in every_kind() {
                let control = reader.control();
                let read = Waiting::start(Way::Plain, 0, move || reader.read(&mut [0; 8])).asleep();
                end(&control);
                assert_eq!(read.join().unwrap_err().kind(), kind);
            }
            for (_reader, mut writer) in every_kind() {
                let control = writer.control();
                let write = Waiting::start(Way::Plain, 0, move || writer.write_all(&[7; 9000]));
                let write = write.asleep();
                end(&control);
                assert_eq!(write.join().unwrap_err().kind(), kind);
            }
        }
    });
}

#[test]
fn a_handle_does_not_keep_an_end_open() {
    for (mut reader, writer) in every_kind() {
        let control = writer.control();
        drop(writer);
        assert_eq!(reader.read(&mut [0; 8]).unwrap(), 0);
        control.close_with(io::Error::other("too late"));
        assert_eq!(reader.read(&mut [0; 8]).unwrap(), 0);
    }
}

#[test]
fn deadlines_race_with_everything_and_no_byte_is_lost() {
    for (n, (reader, writer)) in every_kind().enumerate() {
        within(&format!("a race, {n}"), move || race(reader, writer));
    }
}

/// Two readers and two writers; another thread moves both deadlines to and fro.
fn race(reader: Reader, writer: Writer) {
    const EACH: usize = 1500;
    let (read, write) = (reader.control(), writer.control());
    let ended = Arc::new(AtomicBool::new(false));
    let mover = thread::spawn({
        let ended = Arc::clone(&ended);
        move || {
            for round in 0.. {
                if ended.load(Ordering::Relaxed) {
                    break;
                }
                let at = match round % 4 {
                    0 => past(),
                    1 => Some(Instant::now() + Duration::from_micros(50)),
                    2 => Some(Instant::now() + Duration::from_secs(3600)),
                    _ => None,
                };
                read.set_deadline(at);
                write.set_deadline(at);
                if round % 3 == 0 {
                    thread::yield_now();
                }
            }
            read.set_deadline(None);
            write.set_deadline(None);
        }
    });
    let (sent, got) = thread::scope(|scope| {
        let (reader, writer) = (&reader, &writer);
        let writes = [1, 33].map(|size| {
            scope.spawn(move || {
                let mut sent = 0;
                for _ in 0..EACH {
                    match { writer }.write(&vec![9; size]) {
                        Ok(n) => sent += n,
                        Err(error) => assert_eq!(error.kind(), ErrorKind::TimedOut),
                    }
                }
                sent
            })
        });
        let reads = [5, 64].map(|size| {
            scope.spawn(move || {
                let mut got = 0;
                loop {
                    match { reader }.read(&mut vec![0; size]) {
                        Ok(0) => return got,
                        Ok(n) => got += n,
                        Err(error) => assert_eq!(error.kind(), ErrorKind::TimedOut),
                    }
                }
            })
        });
        let sent: usize = writes.into_iter().map(|write| write.join().unwrap()).sum();
        writer.close();
        let got: usize = reads.into_iter().map(|read| read.join().unwrap()).sum();
        (sent, got)
    });
    ended.store(true, Ordering::Relaxed);
    mover.join().unwrap();
    assert_eq!(sent, got);
}
