//! Threads that do at random with shared streams whatever can be done, for
//! `AQUEDUCT_SOAK_SECONDS`. Progress proves that no wake is lost, and a count that no descriptor is:
//! so there is one test here, alone in its process.
#![cfg(target_os = "linux")]

#[path = "kit/mod.rs"]
mod kit;

use aqueduct::poll::{Local, Poller};
use aqueduct::stream::{Control, Stream};
use kit::{tcp, terminal, unix};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::thread;
use std::time::{Duration, Instant};

type Shared = Arc<Stream<OwnedFd>>;

const THREADS: usize = 8;
const PLACES: usize = 12;

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// The streams in places for all threads to use, and every stream that there still is: who waits on
/// one that has lost its place can be reached all the same.
struct World {
    places: Vec<Mutex<Option<Shared>>>,
    all: Mutex<Vec<Weak<Stream<OwnedFd>>>>,
}

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % sides
    }
}

fn pair(kind: u64) -> (OwnedFd, OwnedFd) {
    match kind {
        0 => {
            let (a, b) = tcp();
            (a.into(), b.into())
        }
        1 => {
            let (a, b) = unix();
            (a.into(), b.into())
        }
        2 => {
            let (a, b) = io::pipe().unwrap();
            (a.into(), b.into())
        }
        _ => terminal(true),
    }
}

fn fresh(world: &World, dice: &mut Dice) {
    let (a, b) = pair(dice.roll(4));
    let at = dice.roll(PLACES as u64) as usize;
    for (place, fd) in [(at, a), ((at + 1) % PLACES, b)] {
        let stream = Arc::new(Stream::from_std(fd).unwrap());
        world.all.lock().unwrap().push(Arc::downgrade(&stream));
        let old = world.places[place].lock().unwrap().replace(stream);
        drop(old);
    }
}

fn step(world: &World, dice: &mut Dice, known: &mut Vec<Control>) {
    if dice.roll(10) == 0 {
        fresh(world, dice);
    }
    let place = &world.places[dice.roll(PLACES as u64) as usize];
    let Some(stream) = place.lock().unwrap().clone() else { return };
    let mut buf = vec![5; 1 << dice.roll(18)];
    let soon = Instant::now() + Duration::from_micros(dice.roll(2000));
    let result = match dice.roll(12) {
        0..3 => (&*stream).read(&mut buf),
        3..6 => (&*stream).write(&buf),
        6 => stream.try_read(&mut buf),
        7 => stream.try_write(&buf),
        8 => {
            stream.set_read_timeout((dice.roll(2) == 0).then_some(Duration::from_micros(500)));
            stream.set_write_timeout((dice.roll(2) == 0).then_some(Duration::from_micros(500)));
            Ok(0)
        }
        9 => {
            stream.set_deadline((dice.roll(3) > 0).then_some(soon));
            Ok(0)
        }
        10 => {
            known.push(stream.control());
            if known.len() > 8 {
                let control = known.swap_remove(dice.roll(8) as usize);
                if dice.roll(2) == 0 { control.close() } else { control.set_deadline(Some(soon)) }
            }
            Ok(0)
        }
        _ => {
            if dice.roll(8) == 0 {
                drop(place.lock().unwrap().take());
            }
            Ok(0)
        }
    };
    if let Err(error) = result {
        use ErrorKind::*;
        let kind = error.kind();
        let known = [TimedOut, NotConnected, WouldBlock, BrokenPipe, ConnectionReset];
        // EIO of a terminal whose other end is gone; EBADF of the wrong end of a pipe.
        let system = [Some(libc::EIO), Some(libc::EBADF)].contains(&error.raw_os_error());
        assert!(known.contains(&kind) || system, "{error:?}");
    }
}

/// Closes or puts past whatever somebody may wait for without end.
fn sweep(world: &World, mut close: impl FnMut() -> bool) {
    world.all.lock().unwrap().retain(|stream| stream.strong_count() > 0);
    let all = world.all.lock().unwrap().clone();
    for stream in all.iter().filter_map(Weak::upgrade) {
        if close() {
            stream.close();
        } else {
            stream.set_deadline(Some(Instant::now()));
        }
    }
}

fn soak(length: Duration) {
    let places = (0..PLACES).map(|_| Mutex::new(None)).collect();
    let world = World { places, all: Mutex::default() };
    let steps: Vec<_> = (0..THREADS).map(|_| AtomicU64::new(0)).collect();
    let end = AtomicBool::new(false);
    let left = AtomicU64::new(THREADS as u64);
    let seed = std::env::var("AQUEDUCT_SOAK_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| u64::from(std::process::id()));
    eprintln!("AQUEDUCT_SOAK_SEED={seed}");
    thread::scope(|scope| {
        for (number, count) in steps.iter().enumerate() {
            let (world, end) = (&world, &end);
            let left = &left;
            scope.spawn(move || {
                let mut dice = Dice((seed << 8) + number as u64 + 1);
                let mut known = Vec::new();
                let mut local = None;
                while !end.load(Ordering::Relaxed) {
                    if dice.roll(200) == 0 {
                        local = (dice.roll(2) == 0).then(|| Local::new().unwrap());
                    }
                    step(world, &mut dice, &mut known);
                    count.fetch_add(1, Ordering::Relaxed);
                }
                drop(local);
                left.fetch_sub(1, Ordering::Release);
            });
        }
        let poller = Poller::new().unwrap();
        let mut dice = Dice(seed | 1);
        let until = Instant::now() + length;
        let mut seen = vec![(u64::MAX, Instant::now()); THREADS];
        while Instant::now() < until {
            let pause = Duration::from_millis(2);
            poller.wait(&mut aqueduct::poll::Events::new(), Some(pause)).unwrap();
            fresh(&world, &mut dice);
            sweep(&world, || dice.roll(4) == 0);
            for (count, seen) in steps.iter().zip(&mut seen) {
                let now = count.load(Ordering::Relaxed);
                if now != seen.0 {
                    *seen = (now, Instant::now());
                } else if seen.1.elapsed() > kit::PATIENCE {
                    // The threads cannot be joined any more.
                    eprintln!("a thread stands still after {now} steps: a wake was lost");
                    std::process::abort();
                }
            }
        }
        end.store(true, Ordering::Relaxed);
        // Whoever still waits is ended by close alone. A stream may come after a sweep.
        let patience = Instant::now() + kit::PATIENCE;
        while left.load(Ordering::Acquire) > 0 {
            sweep(&world, || true);
            thread::yield_now();
            if Instant::now() > patience {
                eprintln!("a thread does not end: a wake was lost");
                std::process::abort();
            }
        }
    });
    let steps: u64 = steps.into_iter().map(AtomicU64::into_inner).sum();
    eprintln!("{steps} steps");
    assert!(steps > 100);
}

#[test]
fn no_wake_and_no_descriptor_is_lost() {
    let seconds = std::env::var("AQUEDUCT_SOAK_SECONDS").ok();
    let seconds = seconds.map_or(2.0, |text| text.parse().expect("seconds"));
    let before = descriptors();
    thread::spawn(move || soak(Duration::from_secs_f64(seconds))).join().unwrap();
    assert_eq!(descriptors(), before, "descriptors are left open");
}
