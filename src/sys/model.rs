//! The kernel of the loom models, as far as those who sleep can tell: descriptors that become
//! readable, events, poll(2), and epoll(7) by edges.
//!
//! What it holds is in loom's atomics and locks, so every order of its calls is tried like that of
//! any other step. A sleeper is ordered after whoever woke it, and nothing else is by these calls.

pub(crate) mod epoll;

use self::epoll::{Flags, Happened};
use super::Watch;
use loom::sync::atomic::AtomicUsize;
use loom::sync::{Mutex, Notify};
use rustix::event::epoll::EventData;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicUsize as Count, Ordering::Relaxed};
use std::sync::{Arc, Mutex as Untracked, OnceLock, PoisonError};
use std::time::Instant;

/// How many descriptors there are, epoll's instances being the last of them.
const NUMBERS: usize = 5;
const INSTANCES: usize = 2;

#[derive(Default)]
struct Kernel {
    descriptors: [Descriptor; NUMBERS],
    instances: Count,
    full: AtomicBool,
    signals: Count,
    sleeps: Count,
}

/// Among the bytes: none follow.
const END: usize = 1 << 16;

/// Something to wait for.
#[derive(Debug, Default)]
struct Object {
    /// Readable if there is any, and at the end.
    bytes: AtomicUsize,
    /// They put themselves in before they look at `bytes`, and are looked for after a change of
    /// it, so this list needs no order of its own.
    sleepers: Untracked<Vec<Arc<Notify>>>,
}

#[derive(Default)]
struct Descriptor {
    object: Object,
    /// The instances that watch it, and under which key.
    watchers: Mutex<Vec<(usize, u64)>>,
    /// What an instance has to tell.
    pending: Mutex<Vec<Happened>>,
}

loom::lazy_static! {
    static ref KERNEL: Kernel = Kernel::default();
}

/// Real ones, for the sake of their numbers. Nobody reads them.
fn files() -> &'static [File] {
    static FILES: OnceLock<Vec<File>> = OnceLock::new();
    let open = || (0..NUMBERS).map(|_| File::open("/dev/null").unwrap()).collect();
    FILES.get_or_init(open)
}

fn kernel_of(fd: BorrowedFd<'_>) -> &'static Descriptor {
    let number = files().iter().position(|file| file.as_raw_fd() == fd.as_raw_fd());
    &KERNEL.descriptors[number.expect("a descriptor of the model")]
}

/// A descriptor to wait for.
pub(crate) fn descriptor(number: usize) -> BorrowedFd<'static> {
    assert!(number < NUMBERS - INSTANCES);
    files()[number].as_fd()
}

/// Bytes come.
pub(crate) fn arrive(fd: BorrowedFd<'_>, bytes: usize) {
    come(fd, bytes, Flags::IN);
}

/// Bytes come, and the peer hangs up after them.
pub(crate) fn arrive_at_last(fd: BorrowedFd<'_>, bytes: usize) {
    come(fd, bytes + END, Flags::IN | Flags::RDHUP);
}

fn come(fd: BorrowedFd<'_>, bytes: usize, flags: Flags) {
    let this = kernel_of(fd);
    this.object.add(bytes);
    for &(instance, key) in &*this.watchers.lock().unwrap() {
        tell(instance, key, flags);
    }
}

/// Whether `fd` is one of these.
pub(super) fn knows(fd: BorrowedFd<'_>) -> bool {
    files().iter().any(|file| file.as_raw_fd() == fd.as_raw_fd())
}

/// read(2) of a non-blocking descriptor.
pub(crate) fn read(fd: BorrowedFd<'_>, buf: &mut [u8]) -> io::Result<usize> {
    let bytes = &kernel_of(fd).object.bytes;
    let mut now = bytes.fetch_add(0, Relaxed);
    loop {
        let n = (now & !END).min(buf.len());
        match (n, now & END) {
            (0, 0) => return Err(io::ErrorKind::WouldBlock.into()),
            (0, _) => return Ok(0),
            _ => match bytes.compare_exchange(now, now - n, Relaxed, Relaxed) {
                Ok(_) => return Ok(n),
                Err(other) => now = other,
            },
        }
    }
}

/// No event can be made any more.
pub(crate) fn run_out_of_descriptors() {
    KERNEL.full.store(true, Relaxed);
}

/// How many events were signalled.
pub(crate) fn signals() -> usize {
    KERNEL.signals.load(Relaxed)
}

/// How many calls were made that may have slept.
pub(crate) fn sleeps() -> usize {
    KERNEL.sleeps.load(Relaxed)
}

fn tell(instance: usize, key: u64, flags: Flags) {
    let instance = &KERNEL.descriptors[instance];
    let mut pending = instance.pending.lock().unwrap();
    match pending.iter_mut().find(|event| event.data.u64() == key) {
        Some(event) => event.flags = event.flags | flags,
        None => pending.push(Happened { flags, data: EventData::new_u64(key) }),
    }
    instance.object.add(1);
}

impl Object {
    fn add(&self, bytes: usize) {
        self.bytes.fetch_add(bytes, Relaxed);
        self.sleepers().iter().for_each(|sleeper| sleeper.notify());
    }

    fn is_readable(&self) -> bool {
        // A change, if only of nothing, sees the last one.
        self.bytes.fetch_add(0, Relaxed) > 0
    }

    fn sleepers(&self) -> Vec<Arc<Notify>> {
        self.sleepers.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn change(&self, change: impl FnOnce(&mut Vec<Arc<Notify>>)) {
        change(&mut self.sleepers.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Sleeps until one of them is readable. Any time has passed as soon as everybody else has had
/// the chance to go on.
fn sleep(objects: &[&Object], deadline: Option<Instant>) {
    if deadline.is_some() {
        return loom::thread::yield_now();
    }
    let me = Arc::new(Notify::new());
    objects.iter().for_each(|object| object.change(|all| all.push(Arc::clone(&me))));
    while !objects.iter().any(|object| object.is_readable()) {
        me.wait();
    }
    objects.iter().for_each(|object| object.change(|all| all.retain(|it| !Arc::ptr_eq(it, &me))));
}

fn objects<'a>(watches: &[Watch<'_>]) -> Vec<&'a Object> {
    watches.iter().map(|watch| &kernel_of(watch.fd).object).collect()
}

/// poll(2), as that of `wait`.
pub(crate) fn poll(watches: &mut [Watch<'_>], deadline: Option<Instant>) -> io::Result<()> {
    KERNEL.sleeps.fetch_add(1, Relaxed);
    sleep(&objects(watches), deadline);
    look(watches)
}

pub(crate) fn poll_with(
    watches: &mut [Watch<'_>],
    event: &Event,
    deadline: Option<Instant>,
) -> io::Result<bool> {
    KERNEL.sleeps.fetch_add(1, Relaxed);
    let mut all = objects(watches);
    all.push(&event.0);
    sleep(&all, deadline);
    look(watches)?;
    Ok(event.0.is_readable())
}

pub(crate) fn look(watches: &mut [Watch<'_>]) -> io::Result<()> {
    let objects = objects(watches);
    for (watch, object) in watches.iter_mut().zip(objects) {
        watch.got.set(watch.want, object.is_readable());
    }
    Ok(())
}

/// eventfd(2).
#[derive(Debug)]
pub(crate) struct Event(Object);

impl Event {
    pub(crate) fn new() -> io::Result<Self> {
        if KERNEL.full.load(Relaxed) {
            return Err(io::ErrorKind::Other.into());
        }
        Ok(Self(Object::default()))
    }

    pub(crate) fn signal(&self) {
        KERNEL.signals.fetch_add(1, Relaxed);
        self.0.add(1);
    }

    pub(crate) fn clear(&self) {
        self.0.bytes.swap(0, Relaxed);
    }

    pub(crate) fn is(&self, _: RawFd) -> bool {
        false
    }
}

/// For the backends that no model runs.
impl AsFd for Event {
    fn as_fd(&self) -> BorrowedFd<'_> {
        unreachable!("an event of the model is no descriptor")
    }
}
