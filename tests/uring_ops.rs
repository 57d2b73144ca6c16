//! Operations that io_uring carries out for tasks: whatever ends the wait, what was lent is given back
//! first, and what has arrived is not lost.
#![cfg(target_os = "linux")]

#[path = "kit/mod.rs"]
mod kit;

use aqueduct::is_cancelled;
use aqueduct::poll::Backend;
use aqueduct::stream::Stream;
use aqueduct::task::{self, JoinError, Runtime};
use kit::{Dice, streams, tcp, unix, within};
use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

fn runtime(workers: usize) -> Runtime {
    let runtime = Runtime::builder().workers(workers).backend(Backend::Uring);
    let runtime = runtime.build().unwrap();
    assert_eq!(runtime.report().backend, Backend::Uring);
    runtime
}

type Pair = (Stream<OwnedFd>, Stream<OwnedFd>);
type Makes = fn() -> Pair;

/// What operations are for: the first of a pair is read from, the second written to.
fn pairs() -> [(&'static str, Makes); 3] {
    fn own<A: Into<OwnedFd>, B: Into<OwnedFd>>((a, b): (A, B)) -> Pair {
        streams((a.into(), b.into()))
    }
    [("tcp", || own(tcp())), ("unix", || own(unix())), ("pipe", || own(io::pipe().unwrap()))]
}

/// A read whose wait is the operation itself.
fn read(stream: &Stream<OwnedFd>, buf: &mut [u8]) -> io::Result<usize> {
    { stream }.read(buf)
}

/// Fills a direction until nothing more goes into it.
fn fill(stream: &Stream<OwnedFd>) -> usize {
    let mut n = 0;
    while let Ok(more) = stream.try_write(&[b'x'; 4096]) {
        n += more;
    }
    n
}

#[test]
fn bytes_go_there_and_back() {
    for (name, pair) in pairs() {
        within(name, move || {
            let runtime = runtime(1);
            let (near, far) = pair();
            let bytes = kit::noise(3 << 20, 7);
            let expected = bytes.clone();
            let writes = runtime.spawn(move || { &far }.write_all(&bytes));
            let reads = runtime.spawn(move || {
                let mut all = Vec::new();
                { &near }.read_to_end(&mut all).map(|_| all)
            });
            writes.join().unwrap().unwrap();
            assert!(reads.join().unwrap().unwrap() == expected);
        });
    }
}

#[test]
fn several_buffers_at_a_time() {
    for (name, pair) in pairs() {
        within(name, move || {
            let runtime = runtime(1);
            let (near, far) = pair();
            let reads = runtime.spawn(move || {
                let (mut a, mut b) = ([0; 3], vec![0; 90_000]);
                let mut all = Vec::new();
                loop {
                    let mut bufs = [IoSliceMut::new(&mut a), IoSliceMut::new(&mut b)];
                    match { &near }.read_vectored(&mut bufs).unwrap() {
                        0 => return all,
                        n => {
                            all.extend_from_slice(&a[..n.min(3)]);
                            all.extend_from_slice(&b[..n.saturating_sub(3)]);
                        }
                    }
                }
            });
            let bytes = kit::noise(1 << 20, 8);
            let expected = bytes.clone();
            let writes = runtime.spawn(move || {
                let mut done = 0;
                while done < bytes.len() {
                    let rest = &bytes[done..];
                    let (a, b) = rest.split_at(rest.len() / 2);
                    done += { &far }.write_vectored(&[IoSlice::new(a), IoSlice::new(b)]).unwrap();
                }
            });
            writes.join().unwrap();
            assert!(reads.join().unwrap() == expected);
        });
    }
}

/// What ends a wait, each in its own words.
#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    Cancel,
    Deadline,
    Timeout,
    Close,
    Shutdown,
}

#[test]
fn whatever_ends_a_wait_nothing_is_touched_afterwards() {
    let ends = [End::Cancel, End::Deadline, End::Timeout, End::Close, End::Shutdown];
    for (name, pair) in pairs() {
        for end in ends {
            for writes in [false, true] {
                within(name, move || ends_a_wait(pair(), end, writes));
            }
        }
    }
}

fn ends_a_wait((near, far): Pair, end: End, writes: bool) {
    let runtime = runtime(1);
    let (near, far) = (Arc::new(near), Arc::new(far));
    let (used, other) = if writes { (&far, &near) } else { (&near, &far) };
    if writes {
        fill(used);
    }
    if end == End::Timeout {
        used.set_read_timeout(Some(Duration::from_millis(5)));
        used.set_write_timeout(Some(Duration::from_millis(5)));
    }
    let started = Arc::new(AtomicBool::new(false));
    let (theirs, starts) = (Arc::clone(used), Arc::clone(&started));
    let task = runtime.spawn(move || {
        let mut buf = [b'y'; 100];
        starts.store(true, Ordering::SeqCst);
        let result = if writes { { &*theirs }.write(&buf) } else { read(&theirs, &mut buf) };
        (result, buf)
    });
    while !started.load(Ordering::SeqCst) {
        thread::yield_now();
    }
    // Whether it flies by now or not, the end is the same.
    match end {
        End::Cancel => task.cancel(),
        End::Deadline => used.set_deadline(Some(Instant::now() + Duration::from_millis(1))),
        End::Close => used.close(),
        End::Timeout => {}
        End::Shutdown => runtime.shutdown().unwrap(),
    }
    let (result, buf) = task.join().unwrap();
    let error = result.unwrap_err();
    match end {
        End::Cancel | End::Shutdown => assert!(is_cancelled(&error), "{end:?}: {error}"),
        End::Deadline | End::Timeout => assert_eq!(error.kind(), ErrorKind::TimedOut),
        End::Close => assert_eq!(error.kind(), ErrorKind::NotConnected),
    }
    assert!(buf == [b'y'; 100]);
    // What comes now is for the next call.
    if writes {
        let mut sum = 0;
        let mut buf = vec![0; 1 << 16];
        while let Ok(n @ 1..) = other.try_read(&mut buf) {
            assert!(buf[..n].iter().all(|&byte| byte == b'x'), "it was written after all");
            sum += n;
        }
        assert!(sum > 0);
    } else {
        other.try_write(b"news").unwrap();
        let mut buf = [0; 100];
        used.set_read_deadline(None);
        let n = match used.try_read(&mut buf) {
            Err(error) if end == End::Close => {
                assert_eq!(error.kind(), ErrorKind::NotConnected);
                rustix::io::read(used.as_fd(), &mut buf).unwrap()
            }
            read => read.unwrap(),
        };
        assert_eq!(&buf[..n], b"news");
    }
}

/// A stream of numbers whose reader is ended all the time.
#[test]
fn no_number_is_lost_or_doubled_however_often_its_reader_is_ended() {
    for (name, pair) in pairs() {
        within(name, move || {
            const LAST: u64 = 30_000;
            let runtime = runtime(2);
            let (near, far) = pair();
            let near = Arc::new(near);
            let next = Arc::new(AtomicUsize::new(0));
            let over = Arc::new(AtomicBool::new(false));
            let writes = runtime.spawn(move || {
                for number in 0..LAST {
                    { &far }.write_all(&number.to_le_bytes()).unwrap();
                    if number % 7 == 0 {
                        task::yield_now();
                    }
                }
            });
            // Bytes of a number that came in pieces.
            let partial = Arc::new(std::sync::Mutex::new(Vec::new()));
            let (stop, disturbs) = (Arc::clone(&over), near.control());
            let disturber = thread::spawn(move || {
                let mut turn = 0_u64;
                while !stop.load(Ordering::Relaxed) {
                    turn = turn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    let soon = Instant::now() + Duration::from_nanos(turn >> 49);
                    disturbs.set_read_deadline((turn >> 40 & 3 > 0).then_some(soon));
                    thread::yield_now();
                }
                disturbs.set_read_deadline(None);
            });
            let mut rounds = 0_u64;
            while next.load(Ordering::Relaxed) < LAST as usize {
                let (near, next, partial) =
                    (Arc::clone(&near), Arc::clone(&next), Arc::clone(&partial));
                let reader = runtime.spawn(move || {
                    let mut buf = [0; 64];
                    loop {
                        let n = match read(&near, &mut buf) {
                            Ok(0) => return,
                            Ok(n) => n,
                            Err(error) if error.kind() == ErrorKind::TimedOut => {
                                task::yield_now();
                                if task::is_cancelled() {
                                    return;
                                }
                                continue;
                            }
                            Err(error) => return assert!(is_cancelled(&error), "{error}"),
                        };
                        let mut partial = partial.lock().unwrap();
                        partial.extend_from_slice(&buf[..n]);
                        let whole = partial.len() / 8 * 8;
                        for bytes in partial.drain(..whole).collect::<Vec<_>>().chunks(8) {
                            let expected = next.fetch_add(1, Ordering::Relaxed) as u64;
                            assert_eq!(u64::from_le_bytes(bytes.try_into().unwrap()), expected);
                        }
                    }
                });
                rounds += 1;
                for _ in 0..rounds % 50 {
                    thread::yield_now();
                }
                reader.cancel();
                match reader.join() {
                    Ok(()) | Err(JoinError::NotRun(_)) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            over.store(true, Ordering::Relaxed);
            disturber.join().unwrap();
            writes.join().unwrap();
        });
    }
}

/// The reader, its bytes and its end are of one worker, so each order of them comes about.
#[test]
fn an_end_at_each_point_of_an_operation() {
    for (name, pair) in pairs() {
        within(name, move || {
            let runtime = runtime(1);
            for end in [End::Cancel, End::Deadline, End::Close] {
                for (arrives, ends) in (0..64).map(|n| (n / 8, n % 8)) {
                    let (near, far) = pair();
                    let told = runtime.spawn(move || one_order(near, &far, end, arrives, ends));
                    told.join().unwrap();
                }
            }
        });
    }
}

fn one_order(near: Stream<OwnedFd>, far: &Stream<OwnedFd>, end: End, arrives: u32, ends: u32) {
    let near = Arc::new(near);
    let theirs = Arc::clone(&near);
    let task = task::spawn(move || {
        let mut buf = [0; 4];
        // The second waits.
        for n in 0..2 {
            match read(&theirs, &mut buf[2 * n..2 * n + 2]) {
                Ok(2) => {}
                done => return (buf, 2 * n, done.err()),
            }
        }
        (buf, 4, None)
    });
    far.try_write(b"ab").unwrap();
    for turn in 0..8 {
        if turn == arrives {
            far.try_write(b"cd").unwrap();
        }
        if turn == ends {
            match end {
                End::Cancel => task.cancel(),
                End::Close => near.close(),
                _ => near.set_read_deadline(Some(Instant::now())),
            }
        }
        task::yield_now();
        if turn % 3 == 2 {
            // The worker looks what has come.
            task::sleep(Duration::from_micros(1)).unwrap();
        }
    }
    let mut all = Vec::new();
    match task.join() {
        Ok((buf, n, error)) => {
            all.extend_from_slice(&buf[..n]);
            match (end, error) {
                (_, None) => assert_eq!(n, 4),
                (End::Cancel, Some(error)) => assert!(is_cancelled(&error), "{error}"),
                (End::Close, Some(error)) => assert_eq!(error.kind(), ErrorKind::NotConnected),
                (_, Some(error)) => assert_eq!(error.kind(), ErrorKind::TimedOut),
            }
        }
        Err(JoinError::NotRun(_)) => {}
        Err(error) => panic!("{error}"),
    }
    let mut left = [0; 8];
    if all.len() < 4 {
        let n = rustix::io::read(near.as_fd(), &mut left).unwrap();
        all.extend_from_slice(&left[..n]);
    }
    assert_eq!(all, b"abcd", "{end:?}, bytes at {arrives}, the end at {ends}");
}

#[test]
fn bytes_that_arrive_with_the_end_of_the_wait_are_told_or_still_there() {
    within("race", || {
        let runtime = runtime(1);
        for round in 0..2000_u32 {
            let (near, far) = streams(unix());
            let near = Arc::new(near);
            let theirs = Arc::clone(&near);
            let task = runtime.spawn(move || {
                let mut buf = [0; 4];
                { &*theirs }.read(&mut buf).map(|_| buf)
            });
            for _ in 0..round % 5 {
                thread::yield_now();
            }
            let writes = thread::spawn(move || { &far }.write_all(&round.to_le_bytes()));
            task.cancel();
            let joined = task.join();
            writes.join().unwrap().unwrap();
            let bytes = match joined {
                Ok(Ok(told)) => told,
                _ => {
                    let mut left = [0; 4];
                    near.try_read(&mut left).expect("a read has taken what it did not tell");
                    left
                }
            };
            assert_eq!(u32::from_le_bytes(bytes), round);
        }
    });
}

#[test]
fn who_unwinds_leaves_its_neighbours_operations_alone() {
    within("panic", || {
        let runtime = runtime(1);
        let (near, far) = streams(tcp());
        let reads = runtime.spawn(move || {
            let mut buf = [0; 4];
            { &near }.read_exact(&mut buf).map(|()| buf)
        });
        let panics = runtime.spawn(|| {
            /// Reads and writes while it unwinds.
            struct Last(Stream<std::os::unix::net::UnixStream>);
            impl Drop for Last {
                fn drop(&mut self) {
                    let mut buf = [0; 2];
                    self.0.read_exact(&mut buf).unwrap();
                    self.0.write_all(&buf).unwrap();
                }
            }
            let (last, mut peer) = unix();
            let echo = thread::spawn(move || {
                thread::yield_now();
                peer.write_all(b"ab").unwrap();
                let mut buf = [0; 2];
                peer.read_exact(&mut buf).map(|()| buf)
            });
            let _last = Last(Stream::from_std(last).unwrap());
            if echo.thread().name().is_none() {
                panic!("on purpose");
            }
            drop(echo);
        });
        let JoinError::Panicked(_) = panics.join().unwrap_err() else { panic!("it ended") };
        { &far }.write_all(b"news").unwrap();
        assert_eq!(reads.join().unwrap().unwrap(), *b"news");
    });
}

#[test]
fn more_operations_in_a_turn_than_the_queues_hold_are_no_loss() {
    const MANY: usize = 3000;
    within("many", || {
        let _ = rustix::process::setrlimit(
            rustix::process::Resource::Nofile,
            rustix::process::Rlimit { current: Some(20_000), maximum: Some(20_000) },
        );
        let runtime = runtime(1);
        let pairs: Vec<_> = (0..MANY).map(|_| streams(unix())).collect();
        let (near, far): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
        // They are read from, all in a turn, and then cancelled, all in a turn, or given their bytes.
        let flying = Arc::new(AtomicUsize::new(0));
        let tasks: Vec<_> = near
            .into_iter()
            .map(|near| {
                let flying = Arc::clone(&flying);
                runtime.spawn(move || {
                    flying.fetch_add(1, Ordering::SeqCst);
                    let mut buf = [0; 8];
                    { &near }.read(&mut buf).map(|n| buf[..n].to_vec())
                })
            })
            .collect();
        while flying.load(Ordering::SeqCst) < MANY {
            thread::yield_now();
        }
        for (number, (task, far)) in tasks.iter().zip(&far).enumerate() {
            if number % 3 == 0 {
                task.cancel();
            } else {
                { far }.write_all(&number.to_le_bytes()).unwrap();
            }
        }
        for (number, task) in tasks.into_iter().enumerate() {
            match task.join().unwrap() {
                Ok(bytes) => assert_eq!(bytes, number.to_le_bytes()),
                Err(error) => assert!(number % 3 == 0 && is_cancelled(&error), "{number}: {error}"),
            }
        }
    });
}

#[test]
fn a_runtime_that_ends_without_patience_leaves_nothing_in_the_systems_hands() {
    within("impatient", || {
        let runtime = Runtime::builder().workers(1).backend(Backend::Uring);
        let runtime = runtime.patience(Duration::ZERO).build().unwrap();
        let (near, far) = streams(unix());
        let near = Arc::new(near);
        let theirs = Arc::clone(&near);
        let (says, said) = std::sync::mpsc::channel();
        drop(runtime.spawn(move || {
            says.send(()).unwrap();
            { &*theirs }.read(&mut [0; 8])
        }));
        said.recv().unwrap();
        // It may have begun to read, or not.
        let _ = runtime.shutdown();
        { &far }.write_all(b"news").unwrap();
        let mut buf = [0; 8];
        let n = rustix::io::read(near.as_fd(), &mut buf).unwrap();
        assert_eq!(&buf[..n], b"news", "an operation that nobody waits for took it");
    });
}

/// Sixty-four clients at once, and how often the system is entered for a round trip of each.
#[test]
fn a_crowd_is_served_by_few_calls() {
    within("crowd", || {
        const CLIENTS: usize = 64;
        const ROUNDS: usize = 50;
        let runtime = runtime(1);
        let mut ends = Vec::new();
        for _ in 0..CLIENTS {
            let (near, far) = tcp();
            ends.push(far);
            let mut near = Stream::from_std(near).unwrap();
            drop(runtime.spawn(move || {
                let mut buf = [0; 64];
                while let Ok(n @ 1..) = near.read(&mut buf) {
                    near.write_all(&buf[..n]).unwrap();
                }
            }));
        }
        let before = runtime.report().enters.unwrap();
        for _ in 0..ROUNDS {
            for end in &ends {
                { end }.write_all(&[b'x'; 64]).unwrap();
            }
            for end in &ends {
                { end }.read_exact(&mut [0; 64]).unwrap();
            }
        }
        let enters = runtime.report().enters.unwrap() - before;
        let each = enters as f64 / (CLIENTS * ROUNDS) as f64;
        println!("{each:.2} calls for a round trip");
        assert!(each <= 0.7, "{each}");
    });
}

/// Streams of numbers, both ends of which are ended at random, for `AQUEDUCT_SOAK_SECONDS`.
#[test]
fn a_soak_of_ends() {
    let seconds = std::env::var("AQUEDUCT_SOAK_SECONDS").ok().and_then(|text| text.parse().ok());
    let seconds = Duration::from_secs(seconds.unwrap_or(1));
    let until = Instant::now() + seconds;
    let runtime = Arc::new(runtime(2));
    let threads: Vec<_> = (1..=4_u64)
        .map(|seed| {
            let runtime = Arc::clone(&runtime);
            thread::spawn(move || {
                let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
                while Instant::now() < until {
                    let (_, pair) = pairs()[dice.roll(3) as usize];
                    one_life(&runtime, pair(), &mut dice);
                }
            })
        })
        .collect();
    let patience = seconds + kit::PATIENCE;
    let (says, said) = std::sync::mpsc::channel();
    thread::spawn(move || {
        let ends: Vec<_> = threads.into_iter().map(thread::JoinHandle::join).collect();
        says.send(ends.into_iter().all(|end| end.is_ok()))
    });
    assert!(said.recv_timeout(patience).expect("a wake was lost"), "a thread has failed");
}

/// Some writers and readers after one another; what the readers and the rest have got is what the writers
/// say that they have written.
fn one_life(runtime: &Runtime, (near, far): Pair, dice: &mut Dice) {
    let (near, far) = (Arc::new(near), Arc::new(far));
    let (sent, got) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut closed = false;
    for _ in 0..dice.roll(20) {
        let (len, room) = (1 + dice.roll(60_000) as usize, 1 + dice.roll(60_000) as usize);
        let times = dice.roll(8);
        let (stream, count) = (Arc::clone(&far), Arc::clone(&sent));
        let writer = runtime.spawn(move || {
            for _ in 0..times {
                let from = count.load(Ordering::SeqCst);
                let bytes: Vec<_> = (from..from + len).map(|at| (at % 251) as u8).collect();
                match { &*stream }.write(&bytes) {
                    Ok(n) => drop(count.fetch_add(n, Ordering::SeqCst)),
                    Err(_) => return,
                }
            }
        });
        let (stream, count) = (Arc::clone(&near), Arc::clone(&got));
        let reader = runtime.spawn(move || {
            let mut buf = vec![0; room];
            for _ in 0..times {
                let Ok(n) = read(&stream, &mut buf) else { return };
                let from = count.fetch_add(n, Ordering::SeqCst);
                let right = (from..).zip(&buf[..n]).all(|(at, &byte)| byte == (at % 251) as u8);
                assert!(right, "other bytes than were sent");
            }
        });
        let soon = Instant::now() + Duration::from_micros(dice.roll(300));
        match dice.roll(8) {
            0 => near.set_read_deadline(Some(soon)),
            1 => far.set_write_deadline(Some(soon)),
            2 => near.set_read_timeout(Some(Duration::from_micros(dice.roll(300)))),
            3 => far.set_write_timeout(Some(Duration::from_micros(dice.roll(300)))),
            4 if dice.roll(4) == 0 => {
                closed = true;
                near.close();
                far.close();
            }
            _ => {}
        }
        for _ in 0..dice.roll(30) {
            thread::yield_now();
        }
        for task in [reader, writer] {
            // Who has all may wait for ever.
            task.cancel();
            match task.join() {
                Ok(()) | Err(JoinError::NotRun(_)) => {}
                Err(error) => panic!("{error}"),
            }
        }
        near.set_read_deadline(None);
        near.set_read_timeout(None);
        far.set_write_deadline(None);
        far.set_write_timeout(None);
        if closed {
            break;
        }
    }
    let mut buf = vec![0; 1 << 16];
    let mut got = got.load(Ordering::SeqCst);
    let sent = sent.load(Ordering::SeqCst);
    while got < sent {
        let soon = rustix::time::Timespec { tv_sec: 10, tv_nsec: 0 };
        let poll = rustix::event::PollFd::new(&near, rustix::event::PollFlags::IN);
        rustix::event::poll(&mut [poll], Some(&soon)).unwrap();
        let n = rustix::io::read(near.as_fd(), &mut buf);
        let n = n.expect("a read has taken what it did not tell");
        assert!((got..).zip(&buf[..n]).all(|(at, &byte)| byte == (at % 251) as u8));
        got += n;
    }
    assert_eq!(got, sent, "more came than was written");
    assert_eq!(rustix::io::read(near.as_fd(), &mut buf), Err(rustix::io::Errno::AGAIN));
}

#[test]
fn a_cancel_is_heard_by_who_never_has_to_wait_for_long() {
    within("a cancel", || {
        let runtime = runtime(1);
        let (near, far) = pairs()[0].1();
        // It reads whatever has come whenever it is its turn.
        let reads = runtime.spawn(move || {
            let mut buf = vec![0; 1 << 20];
            while { &far }.read(&mut buf)? > 0 {}
            io::Result::Ok(())
        });
        let writes = runtime.spawn(move || {
            loop {
                if let Err(error) = { &near }.write_all(&[7; 12 << 10]) {
                    return error;
                }
            }
        });
        thread::sleep(Duration::from_millis(20));
        writes.cancel();
        assert!(is_cancelled(&writes.join().unwrap()));
        reads.join().unwrap().unwrap();
    });
}
