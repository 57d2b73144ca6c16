//! What asks the system.

use super::pure::{Means, Said, Went, means, went};
use crate::error;
use crate::poll::poll::Poll;
use crate::poll::{Caps, Happening, Interest, Key, Mode, Netpoll};
use crate::sys;
use crate::sys::kqueue::{Deed, Filter, Happened, Kqueue as Queue};
use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

/// The key of the queue among what poll(2) waits for.
const QUEUE: Key = Key::MAX;

/// So many events are asked for at once.
const BATCH: usize = 256;

#[derive(Debug)]
pub(crate) struct Kqueue {
    queue: Queue,
    state: Mutex<State>,
    /// What kqueue cannot be asked about, and the queue. Made when something is.
    others: OnceLock<Poll>,
    woken: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    entries: HashMap<RawFd, Entry>,
    others: usize,
    tag: usize,
}

/// Two descriptions that were given one number are told apart by the tag.
#[derive(Debug, Clone, Copy)]
struct Entry {
    key: Key,
    what: Interest,
    tag: usize,
}

fn filters(what: Interest) -> Vec<Filter> {
    let read = what.readable.then_some(Filter::Read);
    let write = what.writable.then_some(Filter::Write);
    read.into_iter().chain(write).collect()
}

/// Whether kqueue would keep silent where poll(2) speaks.
fn is_beyond(fd: BorrowedFd<'_>, what: Interest) -> io::Result<bool> {
    // No filter is for the loss of the peer alone.
    let nothing = !what.readable && !what.writable;
    // On systems of Apple's the last writer of a FIFO may close it without an event.
    let fifo = cfg!(target_vendor = "apple") && sys::is_fifo(fd)?;
    Ok(nothing || fifo)
}

impl Kqueue {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn others(&self) -> io::Result<&Poll> {
        if self.others.get().is_none() {
            let others = Poll::init()?;
            others.open(self.queue.as_fd(), QUEUE, Interest::READABLE, Mode::Level)?;
            // Another thread may have been quicker.
            let _ = self.others.set(others);
        }
        Ok(self.others.get().expect("it was just set"))
    }

    /// Whether the system still has what is in the list: it forgets what is closed.
    fn is_there(&self, fd: RawFd, what: Interest) -> bool {
        let receipts = self.queue.change(fd, &filters(what), Deed::Enable, 0);
        receipts.is_ok_and(|all| all.iter().all(|&error| went(error) == Went::Well))
    }

    fn add(&self, fd: RawFd, what: Interest, mode: Mode, tag: usize) -> io::Result<()> {
        let deed = Deed::Add { edge: mode == Mode::Edge };
        let receipts = self.queue.change(fd, &filters(what), deed, tag)?;
        let failed = receipts.iter().map(|&error| went(error)).find(|went| *went != Went::Well);
        let error = match failed {
            None => return Ok(()),
            Some(Went::Wrong(error)) => io::Error::from_raw_os_error(error),
            Some(_) => error::always_ready(),
        };
        self.remove(fd, what);
        Err(error)
    }

    /// What is closed already is gone already.
    fn remove(&self, fd: RawFd, what: Interest) {
        let _ = self.queue.change(fd, &filters(what), Deed::Delete, 0);
    }

    fn wait(&self, until: Option<Instant>, list: &mut Vec<Happening>) -> io::Result<()> {
        let mut events = Vec::with_capacity(BATCH);
        self.queue.wait(&mut events, until)?;
        let start = list.len();
        let state = self.state();
        for event in events {
            let Happened { fd, filter, eof, error, tag } = event;
            let entry = state.entries.get(&fd).filter(|entry| entry.tag == tag);
            if let Some(Entry { key, .. }) = entry {
                let said = Said { write: filter == Filter::Write, eof, error };
                let Means { readable, writable, hung_up } = means(said);
                match list[start..].iter_mut().find(|other| other.key == *key) {
                    Some(other) => {
                        other.readable |= readable;
                        other.writable |= writable;
                        other.hung_up |= hung_up;
                    }
                    None => list.push(Happening { key: *key, readable, writable, hung_up }),
                }
            }
        }
        Ok(())
    }
}

impl Netpoll for Kqueue {
    const CAPS: Caps = Caps { edge: true, drains: true, arm: true };

    fn init() -> io::Result<Self> {
        Ok(Self {
            queue: Queue::new()?,
            state: Mutex::default(),
            others: OnceLock::new(),
            woken: AtomicBool::new(false),
        })
    }

    fn open(&self, fd: BorrowedFd<'_>, key: Key, what: Interest, mode: Mode) -> io::Result<()> {
        if sys::is_always_ready(fd)? {
            return Err(error::always_ready());
        }
        let number = fd.as_raw_fd();
        let mut state = self.state();
        if let Some(entry) = state.entries.get(&number).copied() {
            if self.is_there(number, entry.what) {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            state.entries.remove(&number);
        }
        if is_beyond(fd, what)? {
            self.others()?.open(fd, key, what, mode)?;
            state.others += 1;
            // Whoever waits, waits for the queue alone.
            self.queue.signal();
            return Ok(());
        }
        state.tag += 1;
        let tag = state.tag;
        // Before: its first event may be there at once.
        state.entries.insert(number, Entry { key, what, tag });
        let added = self.add(number, what, mode, tag);
        if added.is_err() {
            state.entries.remove(&number);
        }
        added
    }

    fn modify(&self, fd: BorrowedFd<'_>, key: Key, what: Interest, mode: Mode) -> io::Result<()> {
        // What is added anew is told of anew.
        self.close(fd)?;
        self.open(fd, key, what, mode)
    }

    fn close(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        let mut state = self.state();
        if let Some(entry) = state.entries.remove(&fd.as_raw_fd()) {
            self.remove(fd.as_raw_fd(), entry.what);
            return Ok(());
        }
        let others = self.others.get().ok_or(io::ErrorKind::NotFound)?;
        others.close(fd)?;
        state.others -= 1;
        Ok(())
    }

    fn arm(&self, fd: BorrowedFd<'_>, key: Key, what: Interest) -> io::Result<()> {
        self.others.get().map_or(Ok(()), |others| others.arm(fd, key, what))
    }

    fn poll(&self, until: Option<Instant>, list: &mut Vec<Happening>) -> io::Result<bool> {
        let before = list.len();
        loop {
            let others = self.others.get().filter(|_| self.state().others > 0);
            match others {
                None => self.wait(until, list)?,
                Some(others) => {
                    others.poll(until, list)?;
                    if let Some(own) = (before..list.len()).find(|&at| list[at].key == QUEUE) {
                        list.swap_remove(own);
                    }
                    self.wait(Some(Instant::now()), list)?;
                }
            }
            // Before whoever was woken looks why: a wake after this one counts anew.
            let woken = self.woken.swap(false, Ordering::SeqCst);
            let late = until.is_some_and(|at| at <= Instant::now());
            if woken || list.len() > before || late {
                return Ok(woken);
            }
        }
    }

    fn wake(&self) {
        if !self.woken.swap(true, Ordering::SeqCst) {
            self.queue.signal();
        }
    }

    fn is_poll_descriptor(&self, fd: RawFd) -> bool {
        self.queue.is(fd) || self.others.get().is_some_and(|others| others.is_poll_descriptor(fd))
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        (self.state().others == 0).then(|| self.queue.as_fd())
    }
}
