//! The backend by io_uring(7): each descriptor is ordered once to be told of, or an operation is
//! ordered each time, and one call a turn gives the orders and takes the answers.
//!
//! An order for more than one answer is an edge: it is answered when something happens. What happens is
//! told by whoever causes it, in words of its own, so it is no proof that a short read has left
//! nothing: new bytes and an urgent mark are told alike.

use super::{Caps, Flight, Happening, Interest, Key, Mode, Netpoll, Submit};
use crate::error;
use crate::sys::level::{self, Asked};
use crate::sys::uring::{self, Answer, Flags, Heard, Ring};
use crate::sys::{self, Event, Moved, Nowait, Transfer};
use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Instant;

/// The tag of the descriptor that ends waits. Others follow.
const WAKE: u64 = 1;

#[derive(Debug)]
pub(crate) struct Uring {
    ring: Ring,
    event: Event,
    /// The event is signalled and nobody has heard of it yet.
    woken: AtomicBool,
    state: Mutex<State>,
    /// Scratch room of who polls.
    heard: Mutex<Heard>,
}

#[derive(Debug, Default)]
struct State {
    tags: HashMap<RawFd, u64>,
    entries: HashMap<u64, Entry>,
    last: u64,
    /// Levels that were told, and are to be asked about once more.
    told: Vec<u64>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    fd: RawFd,
    key: Key,
    what: Interest,
    mode: Mode,
    /// Each write to a terminal tells that there is room, even one that has found none.
    is_device: bool,
}

impl Uring {
    /// Whether operations are to be had.
    pub(super) fn carries(&self) -> bool {
        self.ring.carries()
    }

    pub(super) fn enters(&self) -> u64 {
        self.ring.enters()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn order(&self, tag: u64, entry: &Entry) -> io::Result<()> {
        self.ring.watch(entry.fd, tag, wanted(entry.what), entry.mode == Mode::Edge)
    }

    fn put(&self, state: &mut State, entry: Entry) -> io::Result<()> {
        state.last = (state.last + 1).max(WAKE + 1);
        let tag = state.last;
        self.order(tag, &entry)?;
        // Given later, it would find what has the number then.
        self.ring.submit()?;
        state.tags.insert(entry.fd, tag);
        state.entries.insert(tag, entry);
        Ok(())
    }

    fn take(&self, state: &mut State, fd: RawFd) -> io::Result<()> {
        let tag = state.tags.remove(&fd).ok_or(io::ErrorKind::NotFound)?;
        state.entries.remove(&tag);
        // It keeps the file open.
        self.ring.forget(tag)
    }

    /// A level that was told is told again if it is still there.
    fn ask_again(&self) -> io::Result<()> {
        let mut state = self.state();
        for tag in std::mem::take(&mut state.told) {
            if let Some(entry) = state.entries.get(&tag) {
                self.order(tag, entry)?;
            }
        }
        Ok(())
    }

    /// What `answer` has to tell.
    fn hear(&self, answer: Answer) -> io::Result<Option<Happening>> {
        let Answer { tag, result, more } = answer;
        let mut state = self.state();
        let Some(entry) = state.entries.get(&tag).copied() else { return Ok(None) };
        let told = match result {
            Ok(_) if entry.is_device => happening(&entry, asked(&entry)?),
            Ok(flags) => happening(&entry, flags),
            // The thread that had ordered it is gone.
            Err(libc::ECANCELED) => None,
            // It was closed without having been taken out before.
            Err(libc::EBADF) => {
                state.entries.remove(&tag);
                return Ok(None);
            }
            // The next call says what is wrong, and it is not asked again.
            Err(_) => {
                let Entry { key, .. } = entry;
                return Ok(Some(Happening { key, readable: true, writable: true, hung_up: true }));
            }
        };
        if !more && entry.mode == Mode::Level && told.is_some() {
            state.told.push(tag);
        } else if !more {
            self.order(tag, &entry)?;
        }
        Ok(told)
    }
}

fn wanted(what: Interest) -> Flags {
    let mut want = Flags::empty();
    want.set(Flags::IN | Flags::RDHUP, what.readable);
    want.set(Flags::OUT, what.writable);
    want
}

/// What poll(2) says of it.
fn asked(entry: &Entry) -> io::Result<Flags> {
    let Interest { readable, writable } = entry.what;
    let mut want = level::Flags::empty();
    want.set(level::Flags::IN, readable);
    want.set(level::Flags::OUT, writable);
    let mut list = [Asked { fd: entry.fd, want, got: level::Flags::empty() }];
    level::ask(&mut list)?;
    // The flags are those of poll(2), in more bits.
    Ok(Flags::from_bits_retain(list[0].got.bits() as u32))
}

/// Whatever it was, the next call says it; so each failure counts as ready.
fn happening(entry: &Entry, flags: Flags) -> Option<Happening> {
    let failed = Flags::ERR | Flags::HUP;
    // The end of the peer's writing is told even if nobody asks.
    let told = flags.intersects(wanted(entry.what) | failed);
    told.then_some(Happening {
        key: entry.key,
        readable: flags.intersects(Flags::IN | Flags::RDHUP | failed),
        writable: flags.intersects(Flags::OUT | failed),
        hung_up: flags.intersects(Flags::RDHUP | failed),
    })
}

impl Netpoll for Uring {
    const CAPS: Caps = Caps { edge: true, drains: false, arm: false };

    fn init() -> io::Result<Self> {
        let (ring, event) = (Ring::new()?, Event::new()?);
        // Each write of an eventfd is an edge, so nobody has to read it.
        ring.watch(event.as_fd().as_raw_fd(), WAKE, Flags::IN, true)?;
        ring.submit()?;
        Ok(Self {
            ring,
            event,
            woken: AtomicBool::new(false),
            state: Mutex::default(),
            heard: Mutex::default(),
        })
    }

    fn open(&self, fd: BorrowedFd<'_>, key: Key, what: Interest, mode: Mode) -> io::Result<()> {
        if sys::is_always_ready(fd)? {
            return Err(error::always_ready());
        }
        let is_device = sys::is_device(fd)?;
        let fd = fd.as_raw_fd();
        let mut state = self.state();
        if state.tags.contains_key(&fd) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.put(&mut state, Entry { fd, key, what, mode, is_device })
    }

    fn modify(&self, fd: BorrowedFd<'_>, key: Key, what: Interest, mode: Mode) -> io::Result<()> {
        let is_device = sys::is_device(fd)?;
        let fd = fd.as_raw_fd();
        let mut state = self.state();
        self.take(&mut state, fd)?;
        self.put(&mut state, Entry { fd, key, what, mode, is_device })
    }

    fn close(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        self.take(&mut self.state(), fd.as_raw_fd())
    }

    fn poll(&self, until: Option<Instant>, list: &mut Vec<Happening>) -> io::Result<bool> {
        let before = list.len();
        let mut heard =
            std::mem::take(&mut *self.heard.lock().unwrap_or_else(PoisonError::into_inner));
        loop {
            self.ask_again()?;
            self.ring.wait(&mut heard, until)?;
            let mut woken = false;
            let carried = !heard.woken.is_empty();
            heard.woken.drain(..).for_each(Waker::wake);
            for answer in heard.answers.drain(..) {
                if answer.tag == WAKE {
                    if !answer.more {
                        let own = self.event.as_fd().as_raw_fd();
                        self.ring.watch(own, WAKE, Flags::IN, true)?;
                    }
                    // Before whoever was woken looks why: a wake after this one counts anew.
                    woken |= self.woken.swap(false, Ordering::SeqCst);
                } else {
                    list.extend(self.hear(answer)?);
                }
            }
            let late = || until.is_some_and(|at| at <= Instant::now());
            if woken || carried || list.len() > before || late() {
                *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = heard;
                return Ok(woken);
            }
        }
    }

    fn wake(&self) {
        if !self.woken.swap(true, Ordering::SeqCst) {
            self.event.signal();
        }
    }

    fn is_poll_descriptor(&self, fd: RawFd) -> bool {
        fd == self.ring.as_fd().as_raw_fd() || self.event.is(fd)
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        // Nothing comes of orders that were not given.
        self.ask_again().and_then(|()| self.ring.submit()).ok()?;
        Some(self.ring.as_fd())
    }
}

impl Submit for Uring {
    fn submit(
        &self,
        fd: BorrowedFd<'_>,
        nowait: Nowait,
        transfer: &mut Transfer<'_, '_>,
        me: Waker,
        wait: &mut dyn FnMut(&dyn Flight),
    ) -> io::Result<Moved> {
        self.ring.carry(fd, nowait, transfer, me, |flight| wait(flight))
    }

    fn ground(&self) {
        self.ring.ground();
    }
}

impl Flight for uring::Flight<'_> {
    fn cancel(&self) {
        self.cancel();
    }

    fn land(&self) {
        self.land();
    }
}
