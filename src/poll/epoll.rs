//! The backend on Linux: epoll(7).

use super::{Caps, Happening, Interest, Key, Mode, Netpoll};
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::thread_local;
use crate::sys::epoll::{Epoll as Instance, Flags, Happened};
use std::cell::RefCell;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, RawFd};
use std::time::Instant;

/// The key of the descriptor that ends waits.
const WAKE: Key = Key::MAX;

/// So many events are asked for at once.
const BATCH: usize = 256;

#[derive(Debug)]
pub(crate) struct Epoll {
    instance: Instance,
    /// The event is signalled and nobody has heard of it yet.
    woken: AtomicBool,
}

thread_local! {
    static BUFFER: RefCell<Vec<Happened>> = const { RefCell::new(Vec::new()) };
}

impl Netpoll for Epoll {
    const CAPS: Caps = Caps { edge: true, drains: true, arm: false };

    fn init() -> io::Result<Self> {
        Ok(Self { instance: Instance::new(WAKE)?, woken: AtomicBool::new(false) })
    }

    fn open(&self, fd: BorrowedFd<'_>, key: Key, what: Interest, mode: Mode) -> io::Result<()> {
        self.instance.add(fd, key, flags(what, mode))
    }

    fn modify(&self, fd: BorrowedFd<'_>, key: Key, what: Interest, mode: Mode) -> io::Result<()> {
        self.instance.modify(fd, key, flags(what, mode))
    }

    fn close(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        self.instance.delete(fd)
    }

    fn poll(&self, until: Option<Instant>, list: &mut Vec<Happening>) -> io::Result<bool> {
        // A thread that ends may still wait, with its buffer gone before it.
        let mut buffer = BUFFER.try_with(RefCell::take).unwrap_or_default();
        buffer.clear();
        buffer.reserve(BATCH);
        let result = self.instance.wait(&mut buffer, until);
        let mut woken = false;
        for event in &buffer {
            if event.data.u64() == WAKE {
                // Before whoever was woken looks why: a wake after this one counts anew, and what
                // was done before the others is seen.
                self.woken.swap(false, Ordering::Acquire);
                woken = true;
            } else {
                list.push(happening(event));
            }
        }
        let _ = BUFFER.try_with(|place| place.replace(buffer));
        result.map(|()| woken)
    }

    fn wake(&self) {
        if !self.woken.swap(true, Ordering::Release) {
            self.instance.signal();
        }
    }

    fn is_poll_descriptor(&self, fd: RawFd) -> bool {
        self.instance.is(fd)
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.instance.as_fd())
    }
}

fn flags(what: Interest, mode: Mode) -> Flags {
    let mut flags = Flags::empty();
    flags.set(Flags::IN | Flags::RDHUP, what.readable);
    // Miri does not know it.
    flags.set(Flags::PRI, what.readable && !cfg!(miri));
    flags.set(Flags::OUT, what.writable);
    flags.set(Flags::ET, mode == Mode::Edge);
    flags
}

/// Whatever it was, the next call says it; so each failure counts as ready.
fn happening(event: &Happened) -> Happening {
    let (flags, key) = (event.flags, event.data.u64());
    let failed = Flags::ERR | Flags::HUP;
    Happening {
        key,
        readable: flags.intersects(Flags::IN | Flags::RDHUP | Flags::PRI | failed),
        writable: flags.intersects(Flags::OUT | failed),
        hung_up: flags.intersects(Flags::RDHUP | Flags::PRI | failed),
    }
}

#[cfg(all(test, aqueduct_loom))]
mod loom_models;
