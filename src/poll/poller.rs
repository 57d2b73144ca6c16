//! The backend for programs with an event loop of their own.

use super::backend::Driver;
use super::{Backend, Happening, Interest, Key, Mode, here};
use crate::error;
use crate::park::{DEAF, park_on, park_until};
use crate::sys::Watch;
use std::io;
use std::os::fd::{AsFd, RawFd};
use std::time::{Duration, Instant};

/// Watches descriptors and tells which of them are ready: the core of an event loop.
///
/// Streams need none. It is for programs that have a loop of their own, and takes any descriptor
/// that the system can watch. All methods may be called from any thread, while another one waits.
///
/// A descriptor is to be [deleted](Self::delete) before it is closed. One that was not is watched
/// on while a duplicate of it is open anywhere, and its events go on to come under its key.
///
/// # Examples
///
/// ```
/// use aqueduct::poll::{Events, Interest, Mode, Poller};
/// use std::io::Write;
///
/// let (reader, mut writer) = std::io::pipe()?;
/// let poller = Poller::new()?;
/// poller.add(&reader, 7, Interest::READABLE, Mode::Level)?;
/// writer.write_all(b"news")?;
///
/// let mut events = Events::new();
/// poller.wait(&mut events, None)?;
/// assert!(events.iter().any(|event| event.key == 7 && event.readable));
/// poller.delete(&reader)?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Poller {
    backend: Driver,
}

/// Makes a [`Poller`] with options.
#[derive(Debug, Clone, Default)]
pub struct Builder {
    backend: Option<Backend>,
}

impl Builder {
    /// Use this backend, whatever the environment says.
    #[must_use]
    pub fn backend(mut self, backend: Backend) -> Self {
        self.backend = Some(backend);
        self
    }

    /// Makes the poller.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the environment asks for a backend that there is not; `Unsupported` if the
    /// program does; those of the system.
    pub fn build(&self) -> io::Result<Poller> {
        Ok(Poller { backend: Driver::new(self.backend)? })
    }
}

impl Poller {
    /// A poller with the backend that the environment variable `AQUEDUCT_POLLER` names, or else the
    /// system's best.
    ///
    /// # Errors
    ///
    /// Those of [`Builder::build`].
    pub fn new() -> io::Result<Self> {
        Builder::default().build()
    }

    /// A poller with options.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The backend that it uses.
    #[must_use]
    pub fn backend(&self) -> Backend {
        self.backend.kind()
    }

    /// Watches a descriptor. If it is ready already, the next wait tells so.
    ///
    /// # Errors
    ///
    /// `PermissionDenied` for what is always ready, as regular files are; `AlreadyExists` if it is
    /// watched already; `InvalidInput` for the key `u64::MAX`; `Unsupported` for [`Mode::Edge`] if the
    /// backend [has none](Backend::has_edges), and for a number that select(2) does not take; those of
    /// the system.
    pub fn add(&self, fd: impl AsFd, key: Key, interest: Interest, mode: Mode) -> io::Result<()> {
        self.check(key, mode)?;
        self.backend.open(fd.as_fd(), key, interest, mode)
    }

    /// Watches a descriptor otherwise than before. What is ready is told again, under
    /// [`Mode::Edge`] too.
    ///
    /// # Errors
    ///
    /// `NotFound` if it is not watched; those of [`add`](Self::add).
    pub fn modify(
        &self,
        fd: impl AsFd,
        key: Key,
        interest: Interest,
        mode: Mode,
    ) -> io::Result<()> {
        self.check(key, mode)?;
        self.backend.modify(fd.as_fd(), key, interest, mode)
    }

    fn check(&self, key: Key, mode: Mode) -> io::Result<()> {
        if key == Key::MAX {
            return Err(error::key_taken());
        }
        if mode == Mode::Edge && !self.backend.caps().edge {
            return Err(error::backend_without_edges(self.backend()));
        }
        Ok(())
    }

    /// Watches a descriptor no more. An event that was already told to another thread may still
    /// be on its way.
    ///
    /// # Errors
    ///
    /// `NotFound` if it is not watched; those of the system.
    pub fn delete(&self, fd: impl AsFd) -> io::Result<()> {
        self.backend.close(fd.as_fd())
    }

    /// Waits until a descriptor is ready, for `timeout` at most, or until [`wake`](Self::wake).
    /// `events` then holds what happened, and nothing after a timeout or a wake alone. Never earlier
    /// than the timeout, which is rounded up to milliseconds on some systems. A task makes room for
    /// others meanwhile; with poll(2) or select(2) it then hears of events, and of a wake, some
    /// milliseconds late.
    ///
    /// # Errors
    ///
    /// `Unsupported` on another thread than that of [`Backend::Signal`]. Those of the system; never `Interrupted`. The cancelled error in a task that was.
    pub fn wait(&self, events: &mut Events, timeout: Option<Duration>) -> io::Result<()> {
        events.list.clear();
        // What cannot be said as a point in time is too far away to come.
        let until = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        if !here::is_tended() {
            return self.backend.poll(until, &mut events.list).map(drop);
        }
        loop {
            let now = Instant::now();
            let woken = self.backend.poll(Some(now), &mut events.list)?;
            if woken || !events.list.is_empty() || until.is_some_and(|at| at <= now) {
                return Ok(());
            }
            match self.backend.descriptor() {
                Some(own) => park_on(&mut [Watch::readable(own)], until)?,
                // Nothing tells when it is worth while to ask again.
                None => park_until(Some(until.map_or(now + DEAF, |at| at.min(now + DEAF))))?,
            }
        }
    }

    /// Ends the wait under way on another thread, or else the next one. Any number of wakes end
    /// one wait.
    pub fn wake(&self) {
        self.backend.wake();
    }

    /// Whether `fd` is one of the poller's own, so that a program that closes all descriptors can
    /// spare it. A number, since such a program goes by numbers.
    #[must_use]
    pub fn is_poll_descriptor(&self, fd: RawFd) -> bool {
        self.backend.is_poll_descriptor(fd)
    }
}

/// What a [wait](Poller::wait) has told.
#[derive(Debug, Default)]
pub struct Events {
    list: Vec<Happening>,
}

/// One descriptor is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// The key it was added under.
    pub key: Key,
    /// A read does not wait: bytes, the end, or an error are there.
    pub readable: bool,
    /// A write does not wait: there is room, or an error.
    pub writable: bool,
    /// The peer has ended or failed, or urgent data is there: a short read proves nothing.
    pub hung_up: bool,
}

impl Events {
    /// Room for events.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The events, a descriptor each.
    pub fn iter(&self) -> impl Iterator<Item = Event> + '_ {
        self.list.iter().map(|&Happening { key, readable, writable, hung_up }| Event {
            key,
            readable,
            writable,
            hung_up,
        })
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}
