//! Deadlines that are many, short, or moved: what holds of them for every connection.

use crate::conn::Pair;
use crate::kit::{Waiting, Way};
use crate::semantics::{basic_io, drain, flood, soon};
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

pub(crate) fn deadlines_fluctuate(_: Way, (a, b): Pair) {
    for micros in [1, 10, 100, 500, 900, 1_000, 1_001, 1_500, 2_000, 5_000] {
        for _ in 0..5 {
            let at = soon(Duration::from_micros(micros));
            a.set_read_deadline(at);
            assert_eq!(a.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::TimedOut);
            assert!(Some(Instant::now()) >= at, "early, {micros} us");
        }
    }
    drop(b);
}

pub(crate) fn various_deadlines_against_a_fast_writer(way: Way, (a, b): Pair) {
    let writer = Waiting::start(way, 1, move || (flood(&*b), b).0);
    for nanos in [1, 10, 1_000, 50_000, 500_000, 1_000_000, 5_000_000, 20_000_000] {
        let at = Instant::now() + Duration::from_nanos(nanos);
        a.set_read_deadline(Some(at));
        assert_eq!(drain(&*a).kind(), ErrorKind::TimedOut);
        assert!(Instant::now() >= at, "early, {nanos} ns");
    }
    drop(a);
    writer.join();
}

pub(crate) fn deadlines_put_off_during_a_transfer(way: Way, (a, b): Pair) {
    let done = Arc::new(AtomicBool::new(false));
    let movers: Vec<_> = (0..2)
        .map(|_| {
            let (a, b, done) = (Arc::clone(&a), Arc::clone(&b), Arc::clone(&done));
            Waiting::start(Way::Plain, 0, move || {
                while !done.load(Ordering::Relaxed) {
                    a.set_deadline(soon(PUT_OFF));
                    b.set_deadline(soon(PUT_OFF));
                    thread::yield_now();
                }
            })
        })
        .collect();
    basic_io(way, (a, b));
    done.store(true, Ordering::Relaxed);
    movers.into_iter().for_each(Waiting::join);
}

/// Far longer than one thread is kept from the processor.
const PUT_OFF: Duration = Duration::from_secs(20);
