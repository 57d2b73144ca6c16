//! What poll(2) and select(2) have in common: each wait names all descriptors anew, and is told of
//! each as long as it is ready.
//!
//! A stream wants to hear once. So each direction of it is asked about from its
//! [`arm`](Netpoll::arm) to the first answer: as long as nobody waits for it, it costs nothing and
//! ends no wait.

use super::{Caps, Happening, Interest, Key, Mode, Netpoll};
use crate::error;
use crate::sys::level::{Asked, Edge, Flags, MARKS, ask};
use crate::sys::{self, Event};
use std::collections::BTreeMap;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How the system is asked.
pub(crate) trait Call {
    /// It does not tell errors from readiness.
    const VAGUE: bool;

    /// Waits until one of `list` is ready or the deadline has passed.
    fn call(list: &mut [Asked], deadline: Option<Instant>) -> io::Result<()>;

    /// Whether it can name a descriptor of this number.
    fn takes(fd: RawFd) -> bool;
}

/// A backend by `C`.
#[derive(Debug)]
pub(crate) struct Level<C> {
    state: Mutex<State>,
    event: Event,
    /// The event is signalled for [`wake`](Netpoll::wake), and nobody has heard of it yet.
    woken: AtomicBool,
    call: PhantomData<C>,
}

#[derive(Debug, Default)]
struct State {
    entries: BTreeMap<RawFd, Entry>,
    /// Waits under way, whose lists are of before any change.
    waits: usize,
    serial: u64,
}

#[derive(Debug)]
struct Entry {
    key: Key,
    what: Interest,
    mode: Mode,
    /// About which directions the next call asks.
    armed: Interest,
    /// Nothing but its loss is of interest, and has not been told.
    alarm: bool,
    /// Its error lasts; see [`sys`]. This tells what is new.
    edge: Option<Edge>,
    /// A number is used again, and so may a key be.
    serial: u64,
}

/// How often is looked for a loss that the call cannot wait for.
const GLANCE: Duration = Duration::from_millis(10);

impl Entry {
    fn new(key: Key, what: Interest, mode: Mode, serial: u64) -> Self {
        let alarm = !what.readable && !what.writable;
        Self { key, what, mode, armed: what, alarm, edge: None, serial }
    }

    fn asked(&self, fd: RawFd) -> Option<Asked> {
        let Interest { readable, writable } = self.armed;
        if !readable && !writable && !self.alarm {
            return None;
        }
        let got = Flags::empty();
        if let Some(edge) = &self.edge {
            return Some(Asked { fd: edge.number(), want: Flags::IN, got });
        }
        let mut want = Flags::empty();
        want.set(Flags::IN, readable);
        // The mark lasts until somebody asks for the byte, which whoever waits need not do.
        want.set(MARKS, readable && self.mode == Mode::Level);
        want.set(Flags::OUT, writable);
        Some(Asked { fd, want, got })
    }

    /// What of `got` is to be told.
    fn hear(&mut self, fd: RawFd, mut got: Flags) -> Option<Happening> {
        if self.mode == Mode::Edge {
            if let Some(edge) = &self.edge {
                got = edge.news().unwrap_or(Flags::ERR);
            } else if got == Flags::ERR && !self.alarm {
                // The call that comes now tells an error, if there is one; what is left then lasts.
                self.edge = Edge::of(fd, Flags::IN | Flags::OUT).ok();
                got |= self.edge.as_ref().map_or(Ok(got), Edge::news).unwrap_or(got);
            }
        }
        if got.is_empty() {
            return None;
        }
        let told = happening(self.key, got);
        if self.mode == Mode::Edge {
            self.alarm = false;
            self.armed.readable &= !told.readable;
            self.armed.writable &= !told.writable;
        }
        Some(told)
    }
}

/// Whatever it was, the next call says it; so each failure counts as ready.
pub(super) fn happening(key: Key, got: Flags) -> Happening {
    let failed = Flags::ERR | Flags::HUP;
    Happening {
        key,
        readable: got.intersects(Flags::IN | MARKS | failed),
        writable: got.intersects(Flags::OUT | failed),
        hung_up: got.intersects(MARKS | failed),
    }
}

impl<C: Call> Level<C> {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes one change. A wait under way has to begin anew: it would miss what is new, and it keeps
    /// the files open that it waits for.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.state();
        let done = change(&mut state)?;
        if state.waits > 0 {
            self.event.signal();
        }
        Ok(done)
    }

    /// One call. What it answers is of the event, and then of those in `who`, with their serials.
    fn ask(&self, until: Option<Instant>, who: &mut Vec<(RawFd, u64)>) -> io::Result<Vec<Asked>> {
        let own = self.event.as_fd().as_raw_fd();
        let mut list = vec![Asked { fd: own, want: Flags::IN, got: Flags::empty() }];
        who.clear();
        {
            let mut state = self.state();
            for (&fd, entry) in &state.entries {
                if let Some(asked) = entry.asked(fd) {
                    list.push(asked);
                    who.push((fd, entry.serial));
                }
            }
            state.waits += 1;
        }
        let alarms = C::VAGUE && list.iter().any(|it| it.want.is_empty());
        let soon = alarms.then(|| Instant::now() + GLANCE);
        let result = C::call(&mut list, [until, soon].into_iter().flatten().min());
        self.state().waits -= 1;
        match result {
            // One was closed without having been taken out before: poll(2) says which.
            Err(error) if C::VAGUE && error.raw_os_error() == Some(sys::level::CLOSED) => {
                ask(&mut list)?;
            }
            Err(error) => return Err(error),
            Ok(()) if C::VAGUE => exact(&mut list[1..])?,
            Ok(()) => {}
        }
        Ok(list)
    }
}

/// Asks poll(2) what exactly it is.
fn exact(list: &mut [Asked]) -> io::Result<()> {
    let fired = |it: &&mut Asked| !it.got.is_empty() || it.want.is_empty();
    let mut asked: Vec<_> = list.iter_mut().filter(fired).collect();
    let mut copies: Vec<_> = asked.iter().map(|it| **it).collect();
    if !copies.is_empty() {
        ask(&mut copies)?;
    }
    for (it, copy) in asked.iter_mut().zip(&copies) {
        it.got = copy.got;
    }
    Ok(())
}

impl<C: Call> Netpoll for Level<C> {
    const CAPS: Caps = Caps { edge: false, drains: false, arm: true };

    fn init() -> io::Result<Self> {
        Ok(Self {
            state: Mutex::default(),
            event: Event::new()?,
            woken: AtomicBool::new(false),
            call: PhantomData,
        })
    }

    fn open(&self, fd: BorrowedFd<'_>, key: Key, what: Interest, mode: Mode) -> io::Result<()> {
        if sys::is_always_ready(fd)? {
            return Err(error::always_ready());
        }
        let fd = fd.as_raw_fd();
        if !C::takes(fd) {
            return Err(error::number_too_great(fd));
        }
        self.change(|state| {
            if state.entries.contains_key(&fd) {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            state.serial += 1;
            state.entries.insert(fd, Entry::new(key, what, mode, state.serial));
            Ok(())
        })
    }

    fn modify(&self, fd: BorrowedFd<'_>, key: Key, what: Interest, mode: Mode) -> io::Result<()> {
        self.change(|state| {
            state.serial += 1;
            let entry = state.entries.get_mut(&fd.as_raw_fd()).ok_or(io::ErrorKind::NotFound)?;
            *entry = Entry::new(key, what, mode, state.serial);
            Ok(())
        })
    }

    fn close(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        self.change(|state| match state.entries.remove(&fd.as_raw_fd()) {
            Some(_) => Ok(()),
            None => Err(io::ErrorKind::NotFound.into()),
        })
    }

    fn arm(&self, fd: BorrowedFd<'_>, key: Key, what: Interest) -> io::Result<()> {
        let mut state = self.state();
        let entry = state.entries.get_mut(&fd.as_raw_fd()).filter(|entry| entry.key == key);
        let Some(entry) = entry else { return Ok(()) };
        let before = entry.armed;
        entry.armed.readable |= what.readable && entry.what.readable;
        entry.armed.writable |= what.writable && entry.what.writable;
        if entry.armed != before && state.waits > 0 {
            self.event.signal();
        }
        Ok(())
    }

    fn poll(&self, until: Option<Instant>, list: &mut Vec<Happening>) -> io::Result<bool> {
        let (before, mut who) = (list.len(), Vec::new());
        loop {
            let asked = self.ask(until, &mut who)?;
            let mut woken = false;
            if !asked[0].got.is_empty() {
                self.event.clear();
                // Before whoever was woken looks why: a wake after this one counts anew.
                woken = self.woken.swap(false, Ordering::SeqCst);
            }
            let mut state = self.state();
            for (asked, (fd, serial)) in asked[1..].iter().zip(&who) {
                let Some(entry) = state.entries.get_mut(fd) else { continue };
                if asked.got.is_empty() || entry.serial != *serial {
                    continue;
                }
                if asked.got.contains(Flags::NVAL) {
                    state.entries.remove(fd);
                } else {
                    list.extend(entry.hear(*fd, asked.got));
                }
            }
            drop(state);
            let late = until.is_some_and(|at| at <= Instant::now());
            if woken || list.len() > before || late {
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
        self.event.is(fd)
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}
