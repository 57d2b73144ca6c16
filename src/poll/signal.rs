//! The backend by signals: the system tells the thread itself which descriptor has changed.
//!
//! A signal names a number and, roughly, a direction. The number may be used anew by then, and the
//! direction be the wrong one; nothing is told of what is there already; and signals get lost. So a
//! signal only makes its descriptor *hot*: poll(2) is asked, without waiting, what is with it.
//! Descriptors that send no signals, and those whose descriptions are not ours alone, are waited
//! for by poll(2).

use super::poll::Poll;
use super::{Caps, Happening, Interest, Key, Mode, Netpoll};
use crate::error;
use crate::sys;
use crate::sys::level::{Asked, Flags, ask};
use crate::sys::signal::{Line, News};
use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// The key of what ends waits, and of the signals among what poll(2) waits for.
const WAKE: Key = Key::MAX;

/// Not all that makes a descriptor ready sends a signal: a shutdown by this end does not. So after
/// so long a silence all are looked at.
const SILENCE: Duration = Duration::from_millis(100);

/// So many signals are taken in at once.
const BATCH: usize = 256;

#[derive(Debug)]
pub(crate) struct Signal {
    /// Of the thread that polls, which is the first that polls or opens something.
    line: OnceLock<Line>,
    state: Mutex<State>,
    /// What sends no signals, and the line.
    others: Poll,
    /// An eventfd would send none.
    waker: (OwnedFd, OwnedFd),
    woken: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    entries: HashMap<RawFd, Entry>,
    /// Of which something is to be asked.
    hot: Vec<RawFd>,
    /// How many `others` has.
    others: usize,
}

#[derive(Debug)]
struct Entry {
    key: Key,
    what: Interest,
    mode: Mode,
    hot: bool,
}

impl State {
    fn heat(&mut self, fd: RawFd) {
        if let Some(entry) = self.entries.get_mut(&fd).filter(|entry| !entry.hot) {
            entry.hot = true;
            self.hot.push(fd);
        }
    }

    fn heat_all(&mut self) {
        let all: Vec<_> = self.entries.keys().copied().collect();
        all.into_iter().for_each(|fd| self.heat(fd));
    }

    fn put(&mut self, fd: RawFd, key: Key, what: Interest, mode: Mode) {
        self.entries.insert(fd, Entry { key, what, mode, hot: false });
        // What is there already sends no signal.
        self.heat(fd);
    }
}

impl Signal {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn line(&self) -> io::Result<&Line> {
        if let Some(line) = self.line.get() {
            return Ok(line);
        }
        let mut state = self.state();
        if self.line.get().is_none() {
            let line = Line::new()?;
            let waker = self.waker.0.as_fd();
            if !line.route(waker)? {
                return Err(io::ErrorKind::Unsupported.into());
            }
            state.put(waker.as_raw_fd(), WAKE, Interest::READABLE, Mode::Edge);
            self.others.open(line.as_fd(), WAKE, Interest::READABLE, Mode::Level)?;
            let _ = self.line.set(line);
        }
        drop(state);
        Ok(self.line.get().expect("it was set while the state was locked"))
    }

    /// The thread may be waiting without what is hot now.
    fn changed(&self) {
        if self.line.get().is_some_and(|line| !line.is_of_this_thread()) {
            self.nudge();
        }
    }

    fn nudge(&self) {
        // If it is full, its reader has been told.
        let _ = sys::write(self.waker.1.as_fd(), None, &[1]);
    }

    /// Takes signals in, waiting for the first until `until` if nothing is hot.
    fn collect(
        &self,
        line: &Line,
        until: Option<Instant>,
        list: &mut Vec<Happening>,
    ) -> io::Result<()> {
        let (is_hot, others, is_alone) = {
            let state = self.state();
            (!state.hot.is_empty(), state.others > 0, state.entries.len() == 1)
        };
        let start = Instant::now();
        let now = Some(start);
        let glance = (!is_alone).then(|| start + SILENCE);
        let mut until = if is_hot { now } else { [until, glance].into_iter().flatten().min() };
        if others {
            let before = list.len();
            self.others.poll(until, list)?;
            if let Some(own) = (before..list.len()).find(|&at| list[at].key == WAKE) {
                list.swap_remove(own);
            }
            until = now;
        }
        for _ in 0..BATCH {
            match line.wait(until)? {
                Some(News::Of(fd)) => self.state().heat(fd),
                Some(News::Overflow) => self.state().heat_all(),
                None => break,
            }
            until = now;
        }
        if !is_hot && glance.is_some_and(|at| at <= Instant::now()) {
            self.state().heat_all();
        }
        Ok(())
    }

    /// Asks what is with those that are hot; whether somebody wakes.
    fn look(&self, list: &mut Vec<Happening>) -> io::Result<bool> {
        let mut state = self.state();
        let State { entries, hot, .. } = &mut *state;
        let mut asked: Vec<_> = hot
            .drain(..)
            .filter_map(|fd| {
                // One that was put in again is listed twice.
                let entry = entries.get_mut(&fd).filter(|entry| entry.hot)?;
                entry.hot = false;
                Some(Asked { fd, want: wanted(entry.what), got: Flags::empty() })
            })
            .collect();
        if asked.is_empty() {
            return Ok(false);
        }
        ask(&mut asked)?;
        let mut woken = false;
        for Asked { fd, got, .. } in asked {
            let Some(entry) = state.entries.get(&fd) else { continue };
            if got.contains(Flags::NVAL) {
                state.entries.remove(&fd);
            } else if entry.key == WAKE {
                woken = !got.is_empty();
            } else if !got.is_empty() {
                list.push(super::level::happening(entry.key, got));
                if entry.mode == Mode::Level {
                    state.heat(fd);
                }
            }
        }
        Ok(woken)
    }
}

fn wanted(what: Interest) -> Flags {
    let mut want = Flags::empty();
    want.set(Flags::IN | sys::level::MARKS, what.readable);
    want.set(Flags::OUT, what.writable);
    want
}

impl Netpoll for Signal {
    /// Whether a system sends a signal for each arrival is not promised anywhere.
    const CAPS: Caps = Caps { edge: true, drains: false, arm: true };

    fn init() -> io::Result<Self> {
        let waker = sys::pipe()?;
        sys::set_nonblocking(waker.0.as_fd(), true)?;
        sys::set_nonblocking(waker.1.as_fd(), true)?;
        Ok(Self {
            line: OnceLock::new(),
            state: Mutex::default(),
            others: Poll::init()?,
            waker,
            woken: AtomicBool::new(false),
        })
    }

    fn open(&self, fd: BorrowedFd<'_>, key: Key, what: Interest, mode: Mode) -> io::Result<()> {
        if sys::is_always_ready(fd)? {
            return Err(error::always_ready());
        }
        let line = self.line()?;
        let mut state = self.state();
        if state.entries.contains_key(&fd.as_raw_fd()) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        if line.route(fd)? {
            state.put(fd.as_raw_fd(), key, what, mode);
        } else {
            self.others.open(fd, key, what, mode)?;
            state.others += 1;
        }
        drop(state);
        self.changed();
        Ok(())
    }

    fn modify(&self, fd: BorrowedFd<'_>, key: Key, what: Interest, mode: Mode) -> io::Result<()> {
        let mut state = self.state();
        if state.entries.contains_key(&fd.as_raw_fd()) {
            state.put(fd.as_raw_fd(), key, what, mode);
            drop(state);
            self.changed();
            return Ok(());
        }
        self.others.modify(fd, key, what, mode)
    }

    fn close(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        let mut state = self.state();
        if state.entries.remove(&fd.as_raw_fd()).is_none() {
            self.others.close(fd)?;
            state.others -= 1;
        } else if let Some(line) = self.line.get() {
            line.unroute(fd.as_raw_fd());
        }
        Ok(())
    }

    fn arm(&self, fd: BorrowedFd<'_>, key: Key, what: Interest) -> io::Result<()> {
        self.others.arm(fd, key, what)
    }

    fn poll(&self, until: Option<Instant>, list: &mut Vec<Happening>) -> io::Result<bool> {
        let line = self.line()?;
        if !line.is_of_this_thread() {
            return Err(error::signals_elsewhere());
        }
        let before = list.len();
        loop {
            self.collect(line, until, list)?;
            let mut woken = self.look(list)?;
            if woken {
                while sys::read(self.waker.0.as_fd(), &mut [0; 64]).is_ok() {}
                // Before whoever was woken looks why: a wake after this one counts anew.
                woken = self.woken.swap(false, Ordering::SeqCst);
            }
            let late = until.is_some_and(|at| at <= Instant::now());
            if woken || list.len() > before || late {
                return Ok(woken);
            }
        }
    }

    fn wake(&self) {
        if !self.woken.swap(true, Ordering::SeqCst) {
            self.nudge();
        }
    }

    fn is_poll_descriptor(&self, fd: RawFd) -> bool {
        let own = [&self.waker.0, &self.waker.1];
        own.iter().any(|own| own.as_raw_fd() == fd)
            || self.others.is_poll_descriptor(fd)
            || self.line.get().is_some_and(|line| line.as_fd().as_raw_fd() == fd)
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        let line = self.line.get().filter(|line| line.is_of_this_thread())?;
        (self.state().others == 0).then(|| line.as_fd())
    }

    fn retire(&self) {
        let Some(line) = self.line.get() else { return };
        let mut state = self.state();
        let own = self.waker.0.as_raw_fd();
        state.entries.keys().filter(|&&fd| fd != own).for_each(|&fd| line.unroute(fd));
        state.entries.retain(|&fd, _| fd == own);
    }
}

impl Drop for Signal {
    fn drop(&mut self) {
        self.retire();
    }
}
