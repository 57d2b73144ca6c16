//! What holds for every connection.

pub(crate) use crate::deadlines::*;

use crate::conn::{Conn, Pair};
use crate::kit::{Waiting, Way, noise};
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const MIB: usize = 1 << 20;

fn past() -> Option<Instant> {
    Some(Instant::now())
}

pub(crate) fn soon(length: Duration) -> Option<Instant> {
    Some(Instant::now() + length)
}

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Writes until that fails; more than fits anywhere.
pub(crate) fn flood(conn: &dyn Conn) -> io::Error {
    let block = vec![0; MIB];
    loop {
        if let Err(error) = conn.write(&block) {
            return error;
        }
    }
}

/// Reads until that fails.
pub(crate) fn drain(conn: &dyn Conn) -> io::Error {
    let mut buf = vec![0; 1 << 16];
    loop {
        match conn.read(&mut buf) {
            Ok(0) => return ErrorKind::UnexpectedEof.into(),
            Ok(_) => {}
            Err(error) => return error,
        }
    }
}

/// Bytes pass both ways, whatever was before.
fn works(way: Way, a: &Arc<dyn Conn>, b: &Arc<dyn Conn>) {
    for (from, to) in [(a, b), (b, a)] {
        let from = Arc::clone(from);
        let sent = Waiting::start(way, 1, move || from.write_all(b"still alive"));
        let mut got = [0; 11];
        to.read_exact(&mut got).unwrap();
        assert_eq!(&got, b"still alive");
        sent.join().unwrap();
    }
}

pub(crate) fn basic_io(way: Way, (a, b): Pair) {
    let want = noise(MIB, 7);
    let sent = want.clone();
    let to = Arc::clone(&a);
    let writer = Waiting::start(way, 0, move || to.write_all(&sent).unwrap());
    let echo = Waiting::start(way, 1, move || {
        let mut buf = vec![0; 30_000];
        let mut left = MIB;
        while left > 0 {
            let n = b.read(&mut buf).unwrap();
            assert!(n > 0, "it ended {left} bytes too early");
            b.write_all(&buf[..n]).unwrap();
            left -= n;
        }
        b
    });
    let mut got = vec![0; MIB];
    a.read_exact(&mut got).unwrap();
    assert!(got == want, "other bytes came back");
    writer.join();
    echo.join();
}

pub(crate) fn ping_pong(way: Way, (a, b): Pair) {
    const ROUNDS: u64 = 500;
    let players = [(a, 0), (b, 1)].map(|(conn, me)| {
        Waiting::start(way, me as usize, move || {
            let mut buf = [0; 8];
            if me == 0 {
                conn.write_all(&0_u64.to_le_bytes()).unwrap();
            }
            for round in 0..ROUNDS {
                conn.read_exact(&mut buf).unwrap();
                let n = u64::from_le_bytes(buf);
                assert_eq!(n, 2 * round + (1 - me));
                if n + 1 < 2 * ROUNDS {
                    conn.write_all(&(n + 1).to_le_bytes()).unwrap();
                }
            }
            conn
        })
    });
    let _both = players.map(Waiting::join);
}

pub(crate) fn racy_read(way: Way, (a, b): Pair) {
    let writer = Waiting::start(way, 0, move || (flood(&*b), b).0);
    let readers: Vec<_> = (0..6)
        .map(|i| {
            let a = Arc::clone(&a);
            Waiting::start(way, i, move || {
                let mut buf = [0; 1024];
                for _ in 0..30 {
                    a.set_read_deadline(soon(Duration::from_micros(300)));
                    if let Err(error) = a.read(&mut buf) {
                        assert_eq!(error.kind(), ErrorKind::TimedOut);
                    }
                    // The buffer is the caller's again.
                    assert!(buf.iter().all(|&byte| byte == 0));
                }
            })
        })
        .collect();
    readers.into_iter().for_each(Waiting::join);
    drop(a);
    writer.join();
}

pub(crate) fn racy_write(way: Way, (a, b): Pair) {
    let reader = Waiting::start(way, 0, move || (drain(&*b), b).0);
    let writers: Vec<_> = (0..6)
        .map(|i| {
            let a = Arc::clone(&a);
            Waiting::start(way, i, move || {
                let mut block = vec![0; 40_000];
                for round in 0..30 {
                    a.set_write_deadline(soon(Duration::from_micros(300)));
                    match a.write(&block) {
                        Ok(n) => assert!(0 < n && n <= block.len()),
                        Err(error) => assert_eq!(error.kind(), ErrorKind::TimedOut),
                    }
                    block.fill(round);
                }
            })
        })
        .collect();
    writers.into_iter().for_each(Waiting::join);
    drop(a);
    reader.join();
}

pub(crate) fn a_read_timeout_leaves_writes_alone(way: Way, (a, b): Pair) {
    a.set_read_deadline(soon(ms(1)));
    let reader = Arc::clone(&a);
    let late = Waiting::start(way, 0, move || drain(&*reader)).asleep();
    let sink = Arc::clone(&b);
    let peer = Waiting::start(way, 1, move || {
        let mut got = vec![0; MIB];
        sink.read_exact(&mut got).map(|()| got)
    });
    let sent = noise(MIB, 3);
    a.write_all(&sent).unwrap();
    assert!(peer.join().unwrap() == sent);
    assert_eq!(late.join().kind(), ErrorKind::TimedOut);
    a.set_read_deadline(None);
    works(way, &a, &b);
}

pub(crate) fn a_write_timeout_leaves_reads_alone(way: Way, (a, b): Pair) {
    a.set_write_deadline(past());
    assert_eq!(a.write(&[0]).unwrap_err().kind(), ErrorKind::TimedOut);
    let source = Arc::clone(&b);
    let sent = noise(MIB, 3);
    let copy = sent.clone();
    let peer = Waiting::start(way, 1, move || source.write_all(&copy));
    let mut got = vec![0; MIB];
    a.read_exact(&mut got).unwrap();
    assert!(got == sent);
    peer.join().unwrap();
    assert_eq!(a.write(&[0]).unwrap_err().kind(), ErrorKind::TimedOut);
    a.set_write_deadline(None);
    works(way, &a, &b);
}

pub(crate) fn a_past_deadline_fails_at_once_and_again(way: Way, (a, b): Pair) {
    b.write_all(b"there").unwrap();
    for at in [past(), Instant::now().checked_sub(Duration::from_secs(3)), past()] {
        a.set_deadline(at);
        for _ in 0..3 {
            let mut buf = [1; 8];
            assert_eq!(a.read(&mut buf).unwrap_err().kind(), ErrorKind::TimedOut);
            assert_eq!(buf, [1; 8], "nothing is tried");
            assert_eq!(a.write(b"x").unwrap_err().kind(), ErrorKind::TimedOut);
        }
    }
    a.set_deadline(None);
    let mut buf = [0; 5];
    a.read_exact(&mut buf).unwrap();
    assert_eq!(&buf, b"there");
    works(way, &a, &b);
}

pub(crate) fn a_deadline_set_while_calls_wait_ends_them(way: Way, (a, b): Pair) {
    for round in 0..20_usize {
        let (reader, writer) = (Arc::clone(&a), Arc::clone(&a));
        let read = Waiting::start(way, round, move || drain(&*reader));
        let write = Waiting::start(way, round + 1, move || flood(&*writer));
        // Also before they wait, and while they are about to.
        let (read, write) =
            if round.is_multiple_of(2) { (read.asleep(), write.asleep()) } else { (read, write) };
        a.set_deadline(past());
        assert_eq!(read.join().kind(), ErrorKind::TimedOut);
        assert_eq!(write.join().kind(), ErrorKind::TimedOut);
        a.set_deadline(None);
    }
    drop(b);
}

pub(crate) fn a_future_deadline_is_never_early_and_can_be_lifted(way: Way, (a, b): Pair) {
    let at = soon(ms(30));
    a.set_deadline(at);
    let (reader, writer) = (Arc::clone(&a), Arc::clone(&a));
    let read = Waiting::start(way, 0, move || (drain(&*reader), Instant::now()));
    let write = Waiting::start(way, 1, move || (flood(&*writer), Instant::now()));
    for (error, when) in [read.join(), write.join()] {
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(Some(when) >= at, "early");
    }
    a.set_deadline(None);
    b.set_read_deadline(soon(ms(50)));
    assert_eq!(drain(&*b).kind(), ErrorKind::TimedOut, "what was written is read away");
    b.set_read_deadline(None);
    works(way, &a, &b);
}

pub(crate) fn a_deadline_that_is_cleared_or_put_off_does_not_fire(way: Way, (a, b): Pair) {
    for moved in [None, soon(Duration::from_secs(3600))] {
        let at = Instant::now() + ms(20);
        a.set_read_deadline(Some(at));
        let reader = Arc::clone(&a);
        let read = Waiting::start(way, 0, move || reader.read(&mut [0; 8])).asleep();
        a.set_read_deadline(moved);
        // Another wait that ends after the first deadline; who reads has not heard of it.
        b.set_read_deadline(Some(at + ms(5)));
        assert_eq!(drain(&*b).kind(), ErrorKind::TimedOut);
        b.set_read_deadline(None);
        b.write_all(b"x").unwrap();
        // On a laggard machine the deadline may have passed before it was moved.
        match read.join() {
            Ok(n) => assert_eq!(n, 1),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::TimedOut);
                a.set_read_deadline(None);
                a.read_exact(&mut [0]).unwrap();
            }
        }
    }
    a.set_read_deadline(None);
    works(way, &a, &b);
}

pub(crate) fn close_ends_what_waits_and_what_comes(way: Way, (a, b): Pair) {
    let (reader, writer) = (Arc::clone(&a), Arc::clone(&a));
    let read = Waiting::start(way, 0, move || drain(&*reader)).asleep();
    let write = Waiting::start(way, 1, move || flood(&*writer)).asleep();
    a.close();
    assert_eq!(read.join().kind(), ErrorKind::NotConnected);
    assert_eq!(write.join().kind(), ErrorKind::NotConnected);
    a.close();
    a.set_deadline(past());
    assert_eq!(a.read(&mut [0]).unwrap_err().kind(), ErrorKind::NotConnected);
    assert_eq!(a.read(&mut []).unwrap_err().kind(), ErrorKind::NotConnected);
    assert_eq!(a.write(&[0]).unwrap_err().kind(), ErrorKind::NotConnected);
    drop(b);
}

pub(crate) fn close_ends_the_queue(way: Way, (a, b): Pair) {
    end_the_queue(way, &a, ErrorKind::NotConnected, |conn| conn.close());
    drop(b);
}

pub(crate) fn a_deadline_ends_the_queue(way: Way, (a, b): Pair) {
    for _ in 0..10 {
        end_the_queue(way, &a, ErrorKind::TimedOut, |conn| conn.set_deadline(past()));
        a.set_deadline(None);
    }
    drop(b);
}

fn end_the_queue(way: Way, conn: &Arc<dyn Conn>, kind: ErrorKind, end: fn(&dyn Conn)) {
    let waiting: Vec<_> = (0..4)
        .flat_map(|i| {
            let (reader, writer) = (Arc::clone(conn), Arc::clone(conn));
            [
                Waiting::start(way, i, move || drain(&*reader)),
                Waiting::start(way, i, move || flood(&*writer)),
            ]
        })
        .map(Waiting::asleep)
        .collect();
    end(&**conn);
    for call in waiting {
        assert_eq!(call.join().kind(), kind);
    }
}

pub(crate) fn concurrent_methods(way: Way, (a, b): Pair) {
    let threads: Vec<_> = (0..12)
        .map(|i| {
            let conn = Arc::clone(if i < 6 { &a } else { &b });
            Waiting::start(way, i, move || {
                for round in 0..50 {
                    let mut buf = [0; 512];
                    let result = match (round + i) % 6 {
                        0 => conn.read(&mut buf).map(drop),
                        1 => conn.write(&buf).map(drop),
                        2 => (conn.set_deadline(soon(ms(1))), Ok(())).1,
                        3 => (conn.set_read_deadline(past()), Ok(())).1,
                        4 => (conn.set_write_deadline(soon(ms(2))), Ok(())).1,
                        _ => (conn.set_deadline(past()), Ok(())).1,
                    };
                    if let Err(error) = result {
                        assert_eq!(error.kind(), ErrorKind::TimedOut);
                    }
                }
            })
        })
        .collect();
    // A call that found no deadline when it came still waits for the last one.
    let ended = Arc::new(AtomicBool::new(false));
    let sweeper = Waiting::start(Way::Plain, 0, {
        let ended = Arc::clone(&ended);
        move || {
            while !ended.load(Ordering::Relaxed) {
                a.set_deadline(past());
                b.set_deadline(past());
                thread::yield_now();
            }
            (a, b)
        }
    });
    threads.into_iter().for_each(Waiting::join);
    ended.store(true, Ordering::Relaxed);
    sweeper.join();
}

pub(crate) fn writes_do_not_mix(way: Way, (a, b): Pair) {
    const BLOCK: usize = 50_000;
    const EACH: usize = 4;
    let next = Arc::new(AtomicU64::new(1));
    let writers: Vec<_> = (0..4)
        .map(|i| {
            let (a, next) = (Arc::clone(&a), Arc::clone(&next));
            Waiting::start(way, i, move || {
                for _ in 0..EACH {
                    let mark = next.fetch_add(1, Ordering::Relaxed) as u8;
                    assert_eq!(a.write(&[mark; BLOCK]).unwrap(), BLOCK, "a whole block");
                }
            })
        })
        .collect();
    let mut block = vec![0; BLOCK];
    for _ in 0..4 * EACH {
        b.read_exact(&mut block).unwrap();
        assert!(block.iter().all(|&byte| byte == block[0]), "two blocks are mixed");
    }
    writers.into_iter().for_each(Waiting::join);
}
