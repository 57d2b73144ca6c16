//! Files whose bytes are not in memory hold up the task that wants them, and not its worker.
#![cfg(target_os = "linux")]

#[path = "kit/mod.rs"]
mod kit;

use aqueduct::adapters::ReadAt;
use aqueduct::stream::Stream;
use aqueduct::task::{self, JoinError, Runtime};
use aqueduct::{Copier, ReadExt, copy, is_cancelled};
use kit::{noise, streams, unix, within};
use rustix::fs::{Advice, fadvise};
use rustix::io::{Errno, ReadWriteFlags, preadv2};
use std::fs::File;
use std::io::{self, IoSliceMut, Read, Seek, SeekFrom, Write};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Less than a task may move before others get their turn anyway.
const LEN: usize = 512 << 10;

/// Puts the bytes of a file out of memory; `false` if the file system keeps them there.
fn chill(file: impl AsFd) -> bool {
    rustix::fs::fsync(&file).unwrap();
    fadvise(&file, 0, None, Advice::DontNeed).unwrap();
    let mut byte = [0];
    let buf = &mut [IoSliceMut::new(&mut byte)];
    let cold = preadv2(&file, buf, 0, ReadWriteFlags::NOWAIT) == Err(Errno::AGAIN);
    // The question itself has them fetched.
    fadvise(&file, 0, None, Advice::DontNeed).unwrap();
    cold
}

/// A file of noise where files lie on a disk, and whether they do.
fn file() -> (File, Vec<u8>, bool) {
    let mut file = tempfile::tempfile_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let bytes = noise(LEN, 3);
    file.write_all(&bytes).unwrap();
    let cold = chill(&file);
    if !cold {
        eprintln!("NOT RUN: the file system keeps its files in memory, so none is cold");
    }
    file.rewind().unwrap();
    (file, bytes, cold)
}

/// Whether another task of the same worker runs while `act` does.
fn stops<T>(act: impl FnOnce() -> T) -> (T, bool) {
    // What it has moved so far does not count any more.
    task::yield_now();
    let (over, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (theirs, see) = (Arc::clone(&over), Arc::clone(&seen));
    let other = task::spawn(move || {
        if !theirs.load(Ordering::Relaxed) {
            see.store(true, Ordering::Relaxed);
        }
    });
    let result = act();
    over.store(true, Ordering::Relaxed);
    other.join().unwrap();
    (result, seen.load(Ordering::Relaxed))
}

/// Calls `act` with the file, cold and then warm. Only the first time others run.
fn cold_and_warm<T>(mut file: File, mut act: impl FnMut(&File) -> T, check: impl Fn(T)) {
    // That the bytes come before the task has stopped for them is possible.
    let stopped = (0..20).any(|_| {
        chill(&file);
        file.rewind().unwrap();
        let (result, stopped) = stops(|| act(&file));
        check(result);
        stopped
    });
    assert!(stopped, "it holds up its worker");
    file.rewind().unwrap();
    let (result, stopped) = stops(|| act(&file));
    check(result);
    assert!(!stopped, "it stopped for nothing");
}

fn one(name: &str, body: impl FnOnce(File, Vec<u8>) + Send + 'static) {
    let (file, bytes, cold) = file();
    if cold {
        within(name, move || Runtime::builder().workers(1).run(|| body(file, bytes)).unwrap());
    }
}

#[test]
fn a_stream_over_a_file() {
    one("a stream", |file, bytes| {
        let read = |file: &File| {
            let mut all = vec![0; LEN];
            Stream::from_std(file).unwrap().read_exact(&mut all).map(|()| all).unwrap()
        };
        cold_and_warm(file, read, |all| assert!(all == bytes));
    });
}

#[test]
fn a_stream_over_the_midst_of_a_file_through_several_buffers() {
    one("vectored", |file, bytes| {
        let read = |mut file: &File| {
            file.seek(SeekFrom::Start(1000)).unwrap();
            let (mut a, mut b) = ([0; 500], [0; 500]);
            let mut bufs = [IoSliceMut::new(&mut a), IoSliceMut::new(&mut b)];
            let n = Stream::from_std(file).unwrap().read_vectored(&mut bufs).unwrap();
            ([a, b].concat(), n, file.stream_position().unwrap())
        };
        cold_and_warm(file, read, |(got, n, at)| {
            assert_eq!((n, at), (1000, 2000));
            assert!(got == bytes[1000..2000]);
        });
    });
}

#[test]
fn copies_from_a_file_by_every_path() {
    one("to memory", |file, bytes| {
        let read = |mut file: &File| {
            let mut all = Vec::new();
            copy(&mut file, &mut all).map(|_| all).unwrap()
        };
        cold_and_warm(file, read, |all| assert!(all == bytes));
    });
    one("through adapters", |file, bytes| {
        let read = |file: &File| {
            let mut all = Vec::new();
            copy(&mut file.limit(LEN as u64).count(), &mut all).unwrap();
            all
        };
        cold_and_warm(file, read, |all| assert!(all == bytes));
    });
    one("at an offset", |file, bytes| {
        let read = |file: &File| {
            let mut all = Vec::new();
            copy(&mut file.section(1000, 300_000), &mut all).map(|_| all).unwrap()
        };
        cold_and_warm(file, read, |all| assert!(all == bytes[1000..301_000]));
    });
    one("to a file", |file, bytes| {
        let read = |mut file: &File| {
            let mut to = tempfile::tempfile_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
            copy(&mut file, &mut to).unwrap();
            to.rewind().unwrap();
            let mut all = Vec::new();
            to.read_to_end(&mut all).map(|_| all).unwrap()
        };
        cold_and_warm(file, read, |all| assert!(all == bytes));
    });
}

#[test]
fn copies_that_share_pages() {
    one("to a socket", |file, bytes| {
        let (mut to, peer) = streams(unix());
        rustix::net::sockopt::set_socket_send_buffer_size(&to, 4 << 20).unwrap();
        let send = |mut file: &File| {
            let report = Copier::new().share_pages(true).limit(100_000).copy(&mut file, &mut to);
            let n = report.unwrap().copied();
            let mut got = vec![0; n as usize];
            { &peer }.read_exact(&mut got).unwrap();
            got
        };
        cold_and_warm(file, send, |got| assert!(got == bytes[..100_000]));
    });
}

/// Warm at its start and cold at its end, it is seen to be cold.
#[test]
fn a_file_that_is_cold_in_parts() {
    one("in parts", |file, bytes| {
        let read = |mut file: &File| {
            fadvise(file, 0, std::num::NonZero::new(4096), Advice::WillNeed).unwrap();
            let mut all = Vec::new();
            copy(&mut file, &mut all).map(|_| all).unwrap()
        };
        cold_and_warm(file, read, |all| assert!(all == bytes));
    });
}

#[test]
fn a_cancel_ends_the_wait_for_a_disk() {
    one("cancel", |file, _| {
        let task = task::spawn(move || {
            while !task::is_cancelled() {
                task::yield_now();
            }
            let mut refused = 0;
            // Each time the bytes may have come before the task had to stop.
            for _ in 0..20 {
                chill(&file);
                { &file }.rewind().unwrap();
                let read = Stream::from_std(&file).unwrap().read(&mut [0; 100]);
                refused += usize::from(read.is_err_and(|error| is_cancelled(&error)));
                chill(&file);
                let copied = copy(&mut &file, &mut io::sink());
                refused += usize::from(copied.is_err_and(|error| is_cancelled(&error.source)));
            }
            refused
        });
        task::yield_now();
        task.cancel();
        assert!(task.join().unwrap() > 0);
    });
}

#[test]
fn who_unwinds_reads_in_place() {
    one("unwinding", |file, bytes| {
        struct Last(File, Vec<u8>);
        impl Drop for Last {
            fn drop(&mut self) {
                let mut all = vec![0; LEN];
                Stream::from_std(&self.0).unwrap().read_exact(&mut all).unwrap();
                assert!(all == self.1);
            }
        }
        let task = task::spawn(move || {
            let _last = Last(file, bytes);
            panic!("on purpose");
        });
        let JoinError::Panicked(_) = task.join().unwrap_err() else { panic!("it ended") };
    });
}

#[test]
fn files_that_are_none_and_what_has_no_end_or_no_such_question() {
    within("others", || {
        let body = || {
            let mut text = String::new();
            let status = File::open("/proc/self/status").unwrap();
            Stream::from_std(status).unwrap().read_to_string(&mut text).unwrap();
            assert!(text.starts_with("Name:"));
            let empty = tempfile::tempfile().unwrap();
            assert_eq!(Stream::from_std(&empty).unwrap().read(&mut [0; 8]).unwrap(), 0);
            assert_eq!(copy(&mut &empty, &mut io::sink()).unwrap(), 0);
            // At an offset that there is not.
            { &empty }.seek(SeekFrom::Start(1 << 40)).unwrap();
            assert_eq!(Stream::from_std(&empty).unwrap().read(&mut [0; 8]).unwrap(), 0);
            assert_eq!(copy(&mut &empty, &mut io::sink()).unwrap(), 0);
            let memory = tempfile::tempfile_in("/dev/shm");
            if let Ok(mut memory) = memory {
                memory.write_all(b"in memory").unwrap();
                memory.rewind().unwrap();
                let mut text = String::new();
                Stream::from_std(memory).unwrap().read_to_string(&mut text).unwrap();
                assert_eq!(text, "in memory");
            }
        };
        Runtime::builder().workers(1).run(body).unwrap();
    });
}
