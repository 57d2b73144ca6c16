//! The in-memory pipe as its users see it. Every test runs on a rendezvous and on small buffers.

use aqueduct::adapters::pipe::{Reader, Writer};
use aqueduct::{pipe, pipe_with_capacity};
use std::io::{self, BufRead, ErrorKind, IoSlice, Read, Write};
use std::panic::{self, AssertUnwindSafe};
use std::sync::mpsc;
use std::thread;

fn every_kind() -> impl Iterator<Item = (Reader, Writer)> {
    [0, 1, 7, 4096].into_iter().map(pipe_with_capacity)
}

/// Numbers that differ from run to run of the generator, not of the test.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, n: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % n
    }
}

#[test]
fn a_write_reaches_a_read() {
    for (mut reader, mut writer) in every_kind() {
        thread::scope(|scope| {
            scope.spawn(move || writer.write_all(b"hello, world").unwrap());
            let mut text = String::new();
            reader.read_to_string(&mut text).unwrap();
            assert_eq!(text, "hello, world");
        });
    }
}

#[test]
fn writes_come_in_order_each_to_one_read_of_enough_room() {
    let (mut reader, mut writer) = pipe();
    thread::scope(|scope| {
        scope.spawn(move || {
            let bytes = [7; 256];
            for size in 1..=256 {
                assert_eq!(writer.write(&bytes[..size]).unwrap(), size);
            }
        });
        let mut buf = [0; 300];
        for size in 1..=256 {
            assert_eq!(reader.read(&mut buf).unwrap(), size);
        }
        assert_eq!(reader.read(&mut buf).unwrap(), 0);
    });
}

#[test]
fn one_large_write_satisfies_many_reads() {
    for (mut reader, mut writer) in every_kind() {
        let data: Vec<u8> = (0..128 * 1024).map(|i| i as u8).collect();
        let expected = data.clone();
        thread::scope(|scope| {
            let write = scope.spawn(move || writer.write(&data).unwrap());
            let mut all = Vec::new();
            let mut size = 1;
            loop {
                let mut buf = vec![0; size];
                match reader.read(&mut buf).unwrap() {
                    0 => break,
                    n => all.extend_from_slice(&buf[..n]),
                }
                size = (size * 2).min(64 * 1024);
            }
            assert_eq!(all, expected);
            assert_eq!(write.join().unwrap(), expected.len());
        });
    }
}

#[test]
fn a_rendezvous_write_returns_only_when_its_last_byte_is_read() {
    let (mut reader, mut writer) = pipe();
    let (done, was_done) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(move || {
            writer.write_all(b"abcd").unwrap();
            done.send(()).unwrap();
            writer
        });
        let mut three = [0; 3];
        reader.read_exact(&mut three).unwrap();
        assert_eq!(was_done.try_recv(), Err(mpsc::TryRecvError::Empty));
        reader.read_exact(&mut three[..1]).unwrap();
        was_done.recv().unwrap();
    });
}

#[test]
fn a_buffered_write_that_fits_needs_no_reader() {
    let (mut reader, mut writer) = pipe_with_capacity(8);
    assert_eq!(writer.write(b"abc").unwrap(), 3);
    assert_eq!(writer.write_vectored(&[IoSlice::new(b"de"), IoSlice::new(b"fgh")]).unwrap(), 5);
    let mut buf = [0; 5];
    assert_eq!(reader.read(&mut buf).unwrap(), 5);
    assert_eq!(writer.write(b"ij").unwrap(), 2);
    drop(writer);
    let mut rest = String::new();
    reader.read_to_string(&mut rest).unwrap();
    assert_eq!((&buf[..], &*rest), (&b"abcde"[..], "fghij"));
}

#[test]
fn the_bytes_of_one_write_stay_together_among_many_writers() {
    for (mut reader, writer) in every_kind() {
        thread::scope(|scope| {
            let writer = &writer;
            let writers: Vec<_> = (0..8u8)
                .map(|id| {
                    scope.spawn(move || {
                        for len in 1..60u8 {
                            let mut record = vec![id; usize::from(len) + 1];
                            record[0] = len;
                            assert_eq!({ writer }.write(&record).unwrap(), record.len());
                        }
                    })
                })
                .collect();
            scope.spawn(move || {
                writers.into_iter().for_each(|writer| writer.join().unwrap());
                writer.close();
            });
            let mut counts = [0; 8];
            let mut len = [0];
            while reader.read(&mut len).unwrap() == 1 {
                let mut body = vec![0; usize::from(len[0])];
                for byte in &mut body {
                    reader.read_exact(std::slice::from_mut(byte)).unwrap();
                }
                assert!(body.iter().all(|byte| *byte == body[0]), "{body:?}");
                counts[usize::from(body[0])] += 1;
            }
            assert_eq!(counts, [59; 8]);
        });
    }
}

#[test]
fn each_byte_goes_to_one_of_many_readers() {
    for (reader, mut writer) in every_kind() {
        let data: Vec<u8> = (0..20_000).map(|i| (i % 251) as u8).collect();
        let mut expected = data.clone();
        let mut all: Vec<u8> = thread::scope(|scope| {
            let reader = &reader;
            let readers: Vec<_> = (1..6)
                .map(|size| {
                    scope.spawn(move || {
                        let (mut got, mut buf) = (Vec::new(), vec![0; size * 3]);
                        loop {
                            match { reader }.read(&mut buf).unwrap() {
                                0 => return got,
                                n => got.extend_from_slice(&buf[..n]),
                            }
                        }
                    })
                })
                .collect();
            writer.write_all(&data).unwrap();
            drop(writer);
            readers.into_iter().flat_map(|reader| reader.join().unwrap()).collect()
        });
        all.sort_unstable();
        expected.sort_unstable();
        assert!(all == expected);
    }
}

#[test]
fn random_sizes_of_writes_and_reads_keep_the_bytes() {
    for seed in 0..40 {
        for (mut reader, mut writer) in every_kind() {
            let mut numbers = Numbers(seed);
            let data: Vec<u8> =
                (0..numbers.below(5_000)).map(|_| numbers.below(256) as u8).collect();
            let all = thread::scope(|scope| {
                let data = &data;
                scope.spawn(move || {
                    let mut numbers = Numbers(seed + 1000);
                    let mut rest = &data[..];
                    while !rest.is_empty() {
                        let (a, b) = (numbers.below(3000).min(rest.len()), numbers.below(50));
                        let (one, two) = rest[..a].split_at(b.min(a));
                        let n = writer.write_vectored(&[one, two].map(IoSlice::new)).unwrap();
                        assert_eq!(n, a);
                        rest = &rest[n..];
                    }
                });
                let mut numbers = Numbers(seed + 2000);
                let mut all = Vec::new();
                loop {
                    let before = all.len();
                    if numbers.below(3) == 0 {
                        let bytes = reader.fill_buf().unwrap();
                        let n = bytes.len().min(numbers.below(bytes.len() + 1) + 1);
                        all.extend_from_slice(&bytes[..n]);
                        reader.consume(n);
                    } else {
                        let mut buf = vec![0; numbers.below(2000) + 1];
                        let n = reader.read(&mut buf).unwrap();
                        all.extend_from_slice(&buf[..n]);
                    }
                    if all.len() == before {
                        break all;
                    }
                }
            });
            assert!(all == data, "seed {seed}");
        }
    }
}

#[test]
fn a_dropped_or_closed_writer_is_the_end_again_and_again() {
    for drops in [true, false] {
        for (mut reader, writer) in every_kind() {
            if drops {
                drop(writer)
            } else {
                writer.close()
            }
            for _ in 0..3 {
                assert_eq!(reader.read(&mut [0; 8]).unwrap(), 0);
                assert!(reader.fill_buf().unwrap().is_empty());
            }
        }
    }
}

#[test]
fn an_error_of_the_writer_comes_after_the_data_and_every_time() {
    let (mut reader, mut writer) = pipe_with_capacity(8);
    writer.write_all(b"abc").unwrap();
    writer.close_with(io::Error::new(ErrorKind::AddrInUse, "first"));
    writer.close_with(io::Error::new(ErrorKind::NotFound, "second"));
    writer.close();
    drop(writer);
    let mut buf = [0; 8];
    assert_eq!(reader.read(&mut buf).unwrap(), 3);
    for _ in 0..3 {
        let error = reader.read(&mut buf).unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::AddrInUse, "first"));
        assert_eq!(reader.fill_buf().unwrap_err().kind(), ErrorKind::AddrInUse);
    }
}

#[test]
fn an_error_of_the_reader_reaches_every_write() {
    for (reader, mut writer) in every_kind() {
        reader.close_with(io::Error::new(ErrorKind::AddrInUse, "first"));
        reader.close_with(io::Error::other("second"));
        drop(reader);
        for _ in 0..3 {
            let error = writer.write(b"x").unwrap_err();
            assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::AddrInUse, "first"));
        }
        assert_eq!(writer.write(b"").unwrap_err().kind(), ErrorKind::AddrInUse);
        writer.flush().unwrap();
    }
}

#[test]
fn a_write_to_a_reader_that_is_gone_is_a_broken_pipe() {
    for (reader, mut writer) in every_kind() {
        drop(reader);
        assert_eq!(writer.write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
    }
}

#[test]
fn an_end_that_closed_itself_is_not_connected_even_if_the_other_is_gone() {
    for other_first in [true, false] {
        for (mut reader, mut writer) in every_kind() {
            if other_first {
                writer.close_with(io::Error::other("theirs"));
            }
            reader.close();
            assert_eq!(reader.read(&mut [0]).unwrap_err().kind(), ErrorKind::NotConnected);
            assert_eq!(reader.fill_buf().unwrap_err().kind(), ErrorKind::NotConnected);
            writer.close();
            assert_eq!(writer.write(b"x").unwrap_err().kind(), ErrorKind::NotConnected);
        }
    }
}

#[test]
fn a_reader_that_closed_itself_has_no_bytes_left() {
    let (mut reader, mut writer) = pipe_with_capacity(8);
    writer.write_all(b"abcd").unwrap();
    assert_eq!(reader.fill_buf().unwrap(), b"abcd");
    writer.write_all(b"efgh").unwrap();
    reader.close();
    assert_eq!(reader.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::NotConnected);
}

#[test]
fn a_close_wakes_a_read_that_waits() {
    for (mut reader, writer) in every_kind() {
        thread::scope(|scope| {
            let read = scope.spawn(move || reader.read(&mut [0; 8]));
            writer.close_with(io::Error::new(ErrorKind::AddrInUse, "enough"));
            assert_eq!(read.join().unwrap().unwrap_err().kind(), ErrorKind::AddrInUse);
        });
    }
}

#[test]
fn a_write_cut_short_answers_its_count_and_then_the_error() {
    for closes_itself in [true, false] {
        let (mut reader, writer) = pipe();
        thread::scope(|scope| {
            let write = scope.spawn(|| {
                let first = { &writer }.write(b"abcdef");
                (first, { &writer }.write(b"ghi"))
            });
            let mut buf = [0; 4];
            reader.read_exact(&mut buf).unwrap();
            let kind = if closes_itself {
                writer.close();
                ErrorKind::NotConnected
            } else {
                reader.close();
                ErrorKind::BrokenPipe
            };
            let (first, second) = write.join().unwrap();
            assert_eq!(first.unwrap(), 4);
            assert_eq!(second.unwrap_err().kind(), kind);
        });
    }
}

#[test]
fn empty_writes_and_reads_do_not_wait_and_are_not_seen() {
    for (mut reader, mut writer) in every_kind() {
        assert_eq!(writer.write(b"").unwrap(), 0);
        assert_eq!(writer.write_vectored(&[IoSlice::new(b""); 3]).unwrap(), 0);
        assert_eq!(writer.write_vectored(&[]).unwrap(), 0);
        assert_eq!(reader.read(&mut []).unwrap(), 0);
        assert_eq!(reader.read_vectored(&mut []).unwrap(), 0);
        thread::scope(|scope| {
            scope.spawn(move || {
                writer.write_all(b"").unwrap();
                writer.write_all(b"x").unwrap();
                assert_eq!(writer.write(b"").unwrap(), 0);
            });
            let mut text = String::new();
            reader.read_to_string(&mut text).unwrap();
            assert_eq!(text, "x");
        });
    }
}

#[test]
fn a_read_after_fill_buf_begins_with_what_was_lent() {
    for (mut reader, mut writer) in every_kind() {
        thread::scope(|scope| {
            scope.spawn(move || {
                writer.write_all(b"one\ntwo\nthree").unwrap();
            });
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            assert_eq!(line, "one\n");
            let mut byte = [0];
            { &reader }.read_exact(&mut byte).unwrap();
            assert_eq!(byte, *b"t");
            reader.consume(usize::MAX);
            let mut rest = Vec::new();
            reader.read_to_end(&mut rest).unwrap();
            assert!(b"wo\nthree".ends_with(&rest));
        });
    }
}

#[test]
fn lines_come_through() {
    for (reader, mut writer) in every_kind() {
        thread::scope(|scope| {
            scope.spawn(move || (0..500).for_each(|n| writeln!(writer, "line {n}").unwrap()));
            for (n, line) in reader.lines().enumerate() {
                assert_eq!(line.unwrap(), format!("line {n}"));
            }
        });
    }
}

#[test]
fn a_writer_lost_to_a_panic_is_no_clean_end() {
    let (mut reader, mut writer) = pipe_with_capacity(100);
    let panic = panic::catch_unwind(AssertUnwindSafe(move || {
        writer.write_all(b"half of it").unwrap();
        panic::resume_unwind(Box::new("the other half is missing"));
    }));
    assert!(panic.is_err());
    let mut text = String::new();
    let error = reader.read_to_string(&mut text).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    assert_eq!(reader.read(&mut [0]).unwrap_err().kind(), ErrorKind::BrokenPipe);
}

#[test]
fn a_thread_that_unwinds_does_not_wait() {
    struct Last<'a>(&'a Reader, &'a Writer, mpsc::Sender<ErrorKind>);
    impl Drop for Last<'_> {
        fn drop(&mut self) {
            let write = self.1.write(&[0; 5000]).and_then(|_| self.1.write(&[0; 5000]));
            let _ = self.2.send(write.unwrap_err().kind());
            let read = io::copy(&mut { self.0 }, &mut io::sink());
            let _ = self.2.send(read.unwrap_err().kind());
        }
    }
    for (reader, writer) in every_kind() {
        let (send, receive) = mpsc::channel();
        let panic = panic::catch_unwind(AssertUnwindSafe(|| {
            let _last = Last(&reader, &writer, send);
            panic::resume_unwind(Box::new("out"));
        }));
        assert!(panic.is_err());
        assert_eq!(receive.iter().collect::<Vec<_>>(), [ErrorKind::Deadlock; 2]);
        // Nothing was left lying about: the pipe still works.
        thread::scope(|scope| {
            scope.spawn(|| {
                { &writer }.write_all(b"fine").unwrap();
                writer.close();
            });
            let mut text = String::new();
            { &reader }.read_to_string(&mut text).unwrap();
            assert_eq!(text, "fine");
        });
    }
}

#[test]
fn closes_race_with_everything() {
    for seed in 0..60 {
        for (reader, writer) in every_kind() {
            let mut numbers = Numbers(seed);
            let (reads, closer) = (numbers.below(40), numbers.below(2));
            thread::scope(|scope| {
                let (reader, writer) = (&reader, &writer);
                let writes = [(); 2].map(|()| {
                    scope.spawn(move || {
                        let mut sent = 0;
                        loop {
                            match { writer }.write(&[9; 33]) {
                                Ok(n) => sent += n,
                                Err(_) => return sent,
                            }
                        }
                    })
                });
                let read = scope.spawn(move || {
                    let mut got = 0;
                    for _ in 0..reads {
                        match { reader }.read(&mut [0; 10]) {
                            Ok(0) | Err(_) => break,
                            Ok(n) => got += n,
                        }
                    }
                    if closer == 0 {
                        reader.close()
                    } else {
                        writer.close()
                    }
                    // What had been written before the writer's close is still there.
                    io::copy(&mut { reader }, &mut io::sink()).map_or(got, |n| got + n as usize)
                });
                let got = read.join().unwrap();
                let sent: usize = writes.into_iter().map(|write| write.join().unwrap()).sum();
                if closer == 1 {
                    assert_eq!(got, sent, "seed {seed}");
                } else {
                    assert!(got <= sent, "seed {seed}");
                }
            });
        }
    }
}

#[test]
fn a_pipe_joins_a_copy() {
    for (mut reader, mut writer) in every_kind() {
        let data: Vec<u8> = (0..100_000).map(|i| (i % 253) as u8).collect();
        thread::scope(|scope| {
            let data = &data;
            scope.spawn(move || {
                assert_eq!(aqueduct::copy(&mut &data[..], &mut writer).unwrap(), 100_000);
            });
            assert_eq!(reader.fill_buf().unwrap()[0], 0);
            let mut all = Vec::new();
            assert_eq!(aqueduct::copy(&mut reader, &mut all).unwrap(), 100_000);
            assert!(all == *data);
        });
    }
}
