//! Threads and tasks that do at random with shared streams whatever can be done, for
//! `AQUEDUCT_SOAK_SECONDS`. Progress proves that no wake is lost, and a count that no descriptor is:
//! so there is one test here, alone in its process.
#![cfg(target_os = "linux")]

#[path = "kit/mod.rs"]
mod kit;

use aqueduct::adapters::duplex::{self, Duplex};
use aqueduct::poll::{Local, Poller};
use aqueduct::stream::{Control, Stream};
use aqueduct::task::{self, JoinHandle, Runtime};
use aqueduct::{Copier, copy::Cancel, duplex_with_capacity, is_cancelled};
use kit::{Dice, runs_tasks, tcp, terminal, unix};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::thread;
use std::time::{Duration, Instant};

type Shared = Arc<Stream<OwnedFd>>;

/// So many threads, then tasks of two workers, then tasks of one that comes and goes.
const THREADS: usize = 6;
const TASKS: usize = 8;
const GUESTS: usize = 4;
const FLOWS: usize = THREADS + TASKS + GUESTS;
const PLACES: usize = 16;

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// The streams in places for all to use, and every stream that there still is: who waits on one that
/// has lost its place can be reached all the same.
#[derive(Default)]
struct World {
    places: [Mutex<Option<Shared>>; PLACES],
    all: Mutex<Vec<Weak<Stream<OwnedFd>>>>,
    pipes: [Mutex<Option<Arc<Duplex>>>; PLACES],
    ends: Mutex<Vec<duplex::Control>>,
    cancels: Mutex<Vec<Cancel>>,
    /// How many steps each flow of control has made.
    steps: [AtomicU64; FLOWS],
    seed: u64,
    over: AtomicBool,
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
    let (a, b) = duplex_with_capacity([0, 1, 5000][dice.roll(3) as usize]);
    for (place, end) in [(at, a), ((at + 1) % PLACES, b)] {
        world.ends.lock().unwrap().push(end.control());
        let old = world.pipes[place].lock().unwrap().replace(Arc::new(end));
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
    let result = match dice.roll(16) {
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
        11 | 12 => pipe_step(world, dice, &mut buf),
        13 => copy_step(world, dice, &buf),
        14 => task::sleep_until(soon).map(|()| 0),
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
        assert!(known.contains(&kind) || system || is_cancelled(&error), "{error:?}");
    }
}

fn pipe_step(world: &World, dice: &mut Dice, buf: &mut [u8]) -> io::Result<usize> {
    let place = &world.pipes[dice.roll(PLACES as u64) as usize];
    let Some(end) = place.lock().unwrap().clone() else { return Ok(0) };
    match dice.roll(5) {
        0 | 1 => (&*end).read(buf),
        2 | 3 => (&*end).write(buf),
        _ => {
            if dice.roll(8) == 0 {
                drop(place.lock().unwrap().take());
            }
            Ok(0)
        }
    }
}

/// A copy between two streams of its own, with one end or another that stalls.
fn copy_step(world: &World, dice: &mut Dice, bytes: &[u8]) -> io::Result<usize> {
    let (kind, other) = (dice.roll(4), dice.roll(4));
    let ((mut from, feed), (_peer, mut to)) = (streams(kind), streams(other));
    feed.try_write(bytes)?;
    let cancel = Cancel::new();
    world.cancels.lock().unwrap().push(cancel.clone());
    if dice.roll(2) == 0 {
        from.set_read_deadline(Some(Instant::now() + Duration::from_micros(dice.roll(2000))));
    }
    let copier = Copier::new().cancel(&cancel).watch_outputs(dice.roll(2) == 0);
    let report = copier.copy(&mut from, &mut to)?;
    Ok(report.copied() as usize)
}

fn streams(kind: u64) -> (Stream<OwnedFd>, Stream<OwnedFd>) {
    let (a, b) = pair(kind);
    (Stream::from_std(a).unwrap(), Stream::from_std(b).unwrap())
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
    let ends = std::mem::take(&mut *world.ends.lock().unwrap());
    ends.iter().for_each(duplex::Control::close);
    let cancels = std::mem::take(&mut *world.cancels.lock().unwrap());
    cancels.iter().for_each(Cancel::cancel);
}

/// Makes steps until all is over, or the task is cancelled.
fn work(world: &World, number: usize) {
    // Whoever follows another in its place does something else.
    let run = world.steps[number].fetch_add(1, Ordering::Relaxed);
    let mut dice = Dice((world.seed << 8) + number as u64 + 1 + (run << 32));
    let mut known = Vec::new();
    let mut local = None;
    while !world.over.load(Ordering::Relaxed) && !task::is_cancelled() {
        if number < THREADS && dice.roll(200) == 0 {
            local = (dice.roll(2) == 0).then(|| Local::new().unwrap());
        }
        step(world, &mut dice, &mut known);
        world.steps[number].fetch_add(1, Ordering::Relaxed);
    }
    drop(local);
}

/// The threads and tasks at work.
struct Crew {
    world: Arc<World>,
    /// There unless threads alone are tested.
    runtime: Option<Runtime>,
    guests: Option<Runtime>,
    threads: Vec<thread::JoinHandle<()>>,
    tasks: Vec<(usize, JoinHandle<()>)>,
}

impl Crew {
    fn new(world: Arc<World>) -> Self {
        let threads = (0..THREADS).map(|number| {
            let world = Arc::clone(&world);
            thread::spawn(move || work(&world, number))
        });
        let threads = threads.collect();
        let runtime = runs_tasks().then(|| Runtime::builder().workers(2).build().unwrap());
        let mut crew = Self { world, runtime, guests: None, threads, tasks: Vec::new() };
        if runs_tasks() {
            (THREADS..THREADS + TASKS).for_each(|number| crew.employ(number));
            crew.invite();
        }
        crew
    }

    fn employ(&mut self, number: usize) {
        let world = Arc::clone(&self.world);
        let guests = self.guests.as_ref().filter(|_| number >= THREADS + TASKS);
        let runtime = guests.or(self.runtime.as_ref()).expect("tasks are tested");
        self.tasks.push((number, runtime.spawn(move || work(&world, number))));
    }

    fn invite(&mut self) {
        self.guests = Some(Runtime::builder().workers(1).build().unwrap());
        (THREADS + TASKS..FLOWS).for_each(|number| self.employ(number));
    }

    /// Those that were cancelled make room for others.
    fn replace(&mut self) {
        let ended = self.tasks.extract_if(.., |(_, task)| task.is_finished()).collect::<Vec<_>>();
        for (number, task) in ended {
            match task.join() {
                Ok(()) => {}
                Err(task::JoinError::NotRun(error)) if is_cancelled(&error) => {}
                Err(error) => panic!("{error}"),
            }
            self.employ(number);
        }
    }

    /// The worker of the guests ends, with all that waits there and for what is at home there.
    fn change_guests(&mut self) {
        let Some(guests) = self.guests.take() else { return };
        guests.shutdown().expect("all tasks end when they are cancelled");
        self.tasks.retain(|(number, _)| *number < THREADS + TASKS);
        self.invite();
    }

    fn is_busy(&self) -> bool {
        self.threads.iter().any(|thread| !thread.is_finished())
            || self.tasks.iter().any(|(_, task)| !task.is_finished())
    }

    fn go_home(self) {
        self.threads.into_iter().for_each(|thread| thread.join().unwrap());
        for (_, task) in self.tasks {
            drop(task.join());
        }
        for runtime in self.runtime.into_iter().chain(self.guests) {
            runtime.shutdown().unwrap();
        }
    }
}

fn soak(length: Duration) {
    let seed = std::env::var("AQUEDUCT_SOAK_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| u64::from(std::process::id()));
    eprintln!("AQUEDUCT_SOAK_SEED={seed}");
    let world = Arc::new(World { seed, ..World::default() });
    let mut crew = Crew::new(Arc::clone(&world));
    let poller = Poller::new().unwrap();
    let mut dice = Dice(seed | 1);
    let until = Instant::now() + length;
    let mut seen = vec![(u64::MAX, Instant::now()); if runs_tasks() { FLOWS } else { THREADS }];
    while Instant::now() < until {
        let pause = Duration::from_millis(2);
        poller.wait(&mut aqueduct::poll::Events::new(), Some(pause)).unwrap();
        fresh(&world, &mut dice);
        sweep(&world, || dice.roll(4) == 0);
        if dice.roll(3) == 0 {
            let task = crew.tasks.get(dice.roll((TASKS + GUESTS) as u64) as usize);
            task.inspect(|(_, task)| task.cancel());
        }
        crew.replace();
        if dice.roll(50) == 0 {
            crew.change_guests();
        }
        for (number, (count, seen)) in world.steps.iter().zip(&mut seen).enumerate() {
            let now = count.load(Ordering::Relaxed);
            if now != seen.0 {
                *seen = (now, Instant::now());
            } else if seen.1.elapsed() > kit::PATIENCE {
                // It cannot be joined any more.
                eprintln!("number {number} stands still after {now} steps: a wake was lost");
                std::process::abort();
            }
        }
    }
    world.over.store(true, Ordering::Relaxed);
    // Whoever still waits is ended by close alone. A stream may come after a sweep.
    let patience = Instant::now() + kit::PATIENCE;
    while crew.is_busy() {
        sweep(&world, || true);
        thread::yield_now();
        if Instant::now() > patience {
            eprintln!("somebody does not end: a wake was lost");
            std::process::abort();
        }
    }
    crew.go_home();
    let steps: u64 = world.steps.iter().map(|count| count.load(Ordering::Relaxed)).sum();
    eprintln!("{steps} steps");
    assert!(steps > 100);
}

/// Four pipes of two ends each.
const KEPT: usize = 8;

#[test]
fn no_wake_and_no_descriptor_is_lost() {
    let seconds = std::env::var("AQUEDUCT_SOAK_SECONDS").ok();
    let seconds = seconds.map_or(2.0, |text| text.parse().expect("seconds"));
    let before = descriptors();
    thread::spawn(move || soak(Duration::from_secs_f64(seconds))).join().unwrap();
    // Copies keep some empty pipes for those to come.
    assert!(descriptors() <= before + KEPT, "{} descriptors, {before} before", descriptors());
}
