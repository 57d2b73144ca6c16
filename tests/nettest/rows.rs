//! Rows of tables in Go's tests of net and os, of deadlines, pipes, fifos and close races.

use crate::conn::Conn;
use crate::kit::{PATIENCE, Waiting, Way, noise, on_all_ways, streams, tcp, unix};
use aqueduct::stream::Stream;
use aqueduct::{Copier, copy};
use rustix::fs::{CWD, FileType, Mode, OFlags, fcntl_getfl, mknodat};
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::net::Shutdown;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

fn soon(length: Duration) -> Option<Instant> {
    Some(Instant::now() + length)
}

#[test]
fn a_half_closed_connection_carries_the_other_half() {
    on_all_ways("half close", |way| {
        let (mut a, mut b) = streams(tcp());
        a.write_all(b"request").unwrap();
        a.get_ref().shutdown(Shutdown::Write).unwrap();
        let server = Waiting::start(way, 1, move || {
            let mut text = Vec::new();
            b.read_to_end(&mut text).unwrap();
            b.write_all(&text.repeat(1000)).unwrap();
        });
        let mut answer = Vec::new();
        a.read_to_end(&mut answer).unwrap();
        assert_eq!(answer, b"request".repeat(1000));
        server.join();
        assert_eq!(a.write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
    });
}

#[test]
fn a_side_that_is_shut_for_reading_has_ended() {
    on_all_ways("read shut", |_| {
        let (a, _b) = streams(tcp());
        a.get_ref().shutdown(Shutdown::Read).unwrap();
        assert_eq!(a.read(&mut [0; 8]).unwrap(), 0);
    });
}

#[test]
fn reads_and_writes_of_nothing_do_not_wait() {
    on_all_ways("zero bytes", |_| {
        let (mut a, _b) = streams(tcp());
        assert_eq!(a.read(&mut []).unwrap(), 0);
        assert_eq!(a.read_vectored(&mut []).unwrap(), 0);
        while a.try_write(&[0; 1 << 16]).is_ok() {}
        assert_eq!(a.write(&[]).unwrap(), 0);
        assert_eq!(a.write_vectored(&[]).unwrap(), 0);
    });
}

#[test]
fn a_partial_write_is_counted_and_the_deadline_told_next() {
    on_all_ways("partial writes", |way| {
        let (a, mut b) = streams(unix());
        let sent = noise(4 << 20, 9);
        let mut done = loop {
            a.set_write_deadline(soon(Duration::from_millis(5)));
            match a.write(&sent) {
                // The machine was busy elsewhere until it had passed.
                Err(error) if error.kind() == ErrorKind::TimedOut => {}
                written => break written.unwrap(),
            }
        };
        assert!(done > 0 && done < sent.len());
        for _ in 0..3 {
            assert_eq!(a.write(&sent[done..]).unwrap_err().kind(), ErrorKind::TimedOut);
        }
        let reader = Waiting::start(way, 1, move || {
            let mut got = Vec::new();
            b.read_to_end(&mut got).map(|_| got).unwrap()
        });
        while done < sent.len() {
            a.set_write_deadline(soon(Duration::from_millis(1)));
            match a.write(&sent[done..]) {
                Ok(n) => done += n,
                Err(error) => assert_eq!(error.kind(), ErrorKind::TimedOut),
            }
        }
        drop(a);
        assert!(reader.join() == sent);
    });
}

#[test]
fn timeouts_count_from_the_start_of_each_call() {
    on_all_ways("timeouts", |_| {
        let (a, b) = streams(unix());
        let length = Duration::from_millis(3);
        a.set_read_timeout(Some(length));
        b.set_write_timeout(Some(length));
        for _ in 0..5 {
            let start = Instant::now();
            assert_eq!(a.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::TimedOut);
            assert!(start.elapsed() >= length);
        }
        while b.write(&[0; 1 << 16]).is_ok() {}
        let start = Instant::now();
        assert_eq!(b.write(&[0; 8]).unwrap_err().kind(), ErrorKind::TimedOut);
        assert!(start.elapsed() >= length);
        a.set_read_timeout(Some(Duration::MAX));
        assert!(a.read(&mut [0; 8]).unwrap() > 0);
    });
}

/// How long it takes as a whole is for deadlines.
#[test]
fn a_write_that_gets_on_is_not_cut_off_by_its_timeout() {
    Way::Tasks.run("slow", || {
        let (a, b) = streams(unix());
        b.set_write_timeout(Some(Duration::from_secs(2)));
        let writer =
            Waiting::start(Way::Tasks, 1, move || (Instant::now(), b.write(&[1; 1 << 20])));
        let (never, _keep) = streams(io::pipe().unwrap());
        let mut taken = 0;
        while taken < 1 << 20 {
            let later = Instant::now() + Duration::from_millis(200);
            never.set_read_deadline(Some(later));
            assert_eq!(never.read(&mut [0]).unwrap_err().kind(), ErrorKind::TimedOut);
            taken += a.read(&mut vec![0; 1 << 16]).unwrap();
        }
        let (start, written) = writer.join();
        assert_eq!(written.unwrap(), 1 << 20);
        assert!(start.elapsed() > Duration::from_secs(2));
    });
}

#[test]
fn a_broken_pipe_is_an_error_and_no_signal() {
    on_all_ways("EPIPE", |_| {
        let (reader, writer) = streams(io::pipe().unwrap());
        drop(reader);
        for _ in 0..3 {
            assert_eq!(writer.write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
        }
    });
}

#[test]
fn a_pipe_ends_when_its_writer_goes() {
    on_all_ways("pipe end", |way| {
        let (mut reader, writer) = streams(io::pipe().unwrap());
        let feeder = Waiting::start(way, 1, move || {
            for _ in 0..3 {
                { &writer }.write_all(b"line\n").unwrap();
            }
        });
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "line\n".repeat(3));
        feeder.join();
        assert_eq!(reader.read(&mut [0; 8]).unwrap(), 0);
    });
}

/// A fifo and its folder, which goes when this is dropped.
fn fifo() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("fifo");
    mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    (dir, path)
}

fn open_fifo(path: &PathBuf, write: bool) -> File {
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    OpenOptions::new().read(!write).write(write).custom_flags(flags).open(path).unwrap()
}

#[test]
fn a_fifo_waits_ends_and_revives_with_its_writers() {
    on_all_ways("fifo", |way| {
        let (_dir, path) = fifo();
        let mut reader = Stream::from_std(open_fifo(&path, false)).unwrap();
        assert!(fcntl_getfl(&reader).unwrap().contains(OFlags::NONBLOCK));
        for round in 0..20 {
            // Without any writer it has ended; that is no reason to give it up.
            assert_eq!(reader.read(&mut [0; 8]).unwrap(), 0);
            let writer = Stream::from_std(open_fifo(&path, true)).unwrap();
            let sent = noise(100_000, round + 1);
            let copy = sent.clone();
            let feeder = Waiting::start(way, 1, move || { &writer }.write_all(&copy).unwrap());
            let mut got = Vec::new();
            reader.read_to_end(&mut got).unwrap();
            assert!(got == sent);
            feeder.join();
        }
    });
}

#[test]
fn a_flag_that_was_set_before_stays_set_and_another_is_put_back() {
    for before in [false, true] {
        let (reader, _writer) = io::pipe().unwrap();
        rustix::io::ioctl_fionbio(&reader, before).unwrap();
        let stream = Stream::from_std(reader).unwrap();
        assert!(fcntl_getfl(&stream).unwrap().contains(OFlags::NONBLOCK));
        let reader = stream.into_std().unwrap();
        assert_eq!(fcntl_getfl(&reader).unwrap().contains(OFlags::NONBLOCK), before);
    }
}

/// Descriptors that come and go on the same numbers, with events of the former ones in flight.
#[test]
fn events_of_those_that_are_gone_reach_nobody() {
    on_all_ways("stale events", |way| {
        for round in 0..300_u32 {
            let (a, b) = streams(unix());
            let (mut c, d) = streams(io::pipe().unwrap());
            let noisy = Waiting::start(way, 1, move || {
                let _ = { &b }.write(b"x");
                drop(b);
                { &d }.write_all(&[1; 10]).unwrap();
            });
            assert_eq!(a.read(&mut [0; 8]).unwrap(), 1);
            if round.is_multiple_of(2) {
                drop(a);
            }
            let mut got = Vec::new();
            c.read_to_end(&mut got).unwrap();
            assert_eq!(got, [1; 10]);
            noisy.join();
        }
    });
}

#[test]
fn close_races_with_reads_and_writes() {
    on_all_ways("close races", |way| {
        for round in 0..100 {
            let (a, b) = streams(unix());
            let (a, b) = (Arc::new(a), Arc::new(b));
            let ended = Arc::new(AtomicUsize::new(0));
            let calls: Vec<_> = (0..4)
                .map(|i| {
                    let conn = Arc::clone(&a);
                    let ended = Arc::clone(&ended);
                    Waiting::start(way, i, move || {
                        let mut buf = [0; 100];
                        let error = loop {
                            let result = match i % 2 {
                                0 => Conn::read(&*conn, &mut buf),
                                _ => Conn::write(&*conn, &buf),
                            };
                            if let Err(error) = result {
                                break error;
                            }
                        };
                        ended.fetch_add(1, Ordering::Relaxed);
                        error.kind()
                    })
                })
                .collect();
            let _ = Conn::write(&*b, &vec![1; 1000 * (round % 5)]);
            let control = a.control();
            drop(a);
            control.close();
            for call in calls {
                assert_eq!(call.join(), ErrorKind::NotConnected);
            }
            assert_eq!(ended.load(Ordering::Relaxed), 4);
            // The last owner is gone with the last call, and the peer hears of it.
            drop(control);
            while Conn::read(&*b, &mut [0; 4096]).is_ok_and(|n| n > 0) {}
        }
    });
}

#[test]
fn a_hundred_readers_wait_at_once_and_each_is_woken() {
    on_all_ways("a hundred readers", |way| {
        let pipes: Vec<_> = (0..100).map(|_| io::pipe().unwrap()).collect();
        let (readers, writers): (Vec<_>, Vec<_>) = pipes.into_iter().unzip();
        let waiting: Vec<_> = readers
            .into_iter()
            .enumerate()
            .map(|(i, reader)| {
                Waiting::start(way, i, move || {
                    let mut buf = [0; 8];
                    Stream::from_std(reader).unwrap().read(&mut buf).map(|n| (n, buf[0])).unwrap()
                })
            })
            .collect();
        for (i, writer) in writers.iter().enumerate() {
            { writer }.write_all(&[i as u8]).unwrap();
        }
        for (i, reader) in waiting.into_iter().enumerate() {
            assert_eq!(reader.join(), (1, i as u8));
        }
    });
}

#[test]
fn a_pipe_is_copied_into_a_connection() {
    on_all_ways("pipe into tcp", |way| {
        let (mut from, feed) = streams(io::pipe().unwrap());
        let (mut to, mut peer) = streams(tcp());
        let sent = noise(1 << 20, 11);
        let copied = sent.clone();
        let feeder = Waiting::start(way, 1, move || { &feed }.write_all(&copied).unwrap());
        let mover = Waiting::start(way, 2, move || copy(&mut from, &mut to).unwrap());
        let mut got = Vec::new();
        peer.read_to_end(&mut got).unwrap();
        assert!(got == sent);
        assert_eq!(mover.join(), 1 << 20);
        feeder.join();
    });
}

#[test]
fn sendfile_stops_at_the_deadline_with_a_true_count() {
    on_all_ways("sendfile", |way| {
        let mut file = tempfile::tempfile().unwrap();
        let bytes = noise(16 << 20, 13);
        file.write_all(&bytes).unwrap();
        file.rewind().unwrap();
        let (mut to, mut peer) = streams(tcp());
        to.set_write_deadline(soon(Duration::from_millis(20)));
        let copier = Copier::new().share_pages(true);
        let stopped = copier.copy(&mut file, &mut to).unwrap_err();
        assert_eq!(stopped.kind(), ErrorKind::TimedOut);
        drop(to);
        let reader = Waiting::start(way, 1, move || {
            let mut got = Vec::new();
            peer.read_to_end(&mut got).map(|_| got).unwrap()
        });
        let got = reader.join();
        assert_eq!(got.len() as u64, stopped.copied);
        assert!(got == bytes[..got.len()]);
    });
}

#[test]
fn deadlines_far_away_and_long_ago() {
    on_all_ways("far deadlines", |_| {
        let (a, b) = streams(unix());
        let far = [60 * 86_400, 100 * 365 * 86_400, 550 * 365 * 86_400].map(Duration::from_secs);
        for far in far.into_iter().filter_map(|far| Instant::now().checked_add(far)) {
            a.set_deadline(Some(far));
            b.write_all(b"x").unwrap();
            a.read_exact(&mut [0]).unwrap();
            // And where it has to wait with it.
            a.set_read_timeout(Some(Duration::from_millis(1)));
            assert_eq!(a.read(&mut [0]).unwrap_err().kind(), ErrorKind::TimedOut);
            a.set_read_timeout(None);
        }
        assert!(PATIENCE < Duration::from_secs(3600));
    });
}

#[test]
fn deadlines_are_set_from_many_threads_at_once() {
    on_all_ways("concurrent deadlines", |way| {
        let (a, _b) = streams(tcp());
        let a = Arc::new(a);
        let reader = {
            let a = Arc::clone(&a);
            Waiting::start(way, 0, move || Conn::read(&*a, &mut [0; 8]).unwrap_err().kind())
        };
        let setters: Vec<_> = (0..6)
            .map(|i| {
                let control = a.control();
                Waiting::start(way, i, move || {
                    for _ in 0..200 {
                        control.set_deadline(soon(Duration::from_secs(3600)));
                        control.set_read_deadline(None);
                    }
                })
            })
            .collect();
        setters.into_iter().for_each(Waiting::join);
        a.set_read_deadline(Some(Instant::now()));
        assert_eq!(reader.join(), ErrorKind::TimedOut);
    });
}
