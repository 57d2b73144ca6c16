//! The netpoller: who waits for which descriptor, and until when.
//!
//! Go's netpoller gives goroutines descriptors that seem to block; this one gives them to threads
//! and to tasks. Its parts:
//!
//! * `Netpoll`, the contract of a backend, in Go's functions: init, open, close, arm, poll, break
//!   and is-poll-descriptor. `epoll` is the one on Linux, edge-triggered; `poll` and `select` are
//!   level-triggered, `signal` learns from signals what to ask about, `uring` orders
//!   to be told, and `kqueue` is that of the BSDs.
//! * `Submit`, what a backend can do in addition: carry an operation out, and tell of its end. `uring` does.
//! * `Side`, one direction of a descriptor: whether it is ready, its deadline, who waits.
//! * `Registry`, the descriptors of one backend, and the events that reach them.
//! * [`Local`], a thread that waits through a backend of its own. Threads without one wait by
//!   poll(2), which needs no registration and is the yardstick for all backends.
//! * [`Poller`], the backend laid bare for programs with an event loop of their own.

mod backend;
mod deadline;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod epoll;
mod here;
#[cfg(any(
    test,
    target_vendor = "apple",
    target_os = "dragonfly",
    target_os = "freebsd",
    target_os = "netbsd",
    target_os = "openbsd"
))]
mod kqueue;
mod level;
mod local;
#[cfg(all(test, aqueduct_shuttle))]
mod model;
#[expect(clippy::module_inception, reason = "the name of the system call")]
mod poll;
mod poller;
mod registry;
mod select;
mod side;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod signal;
mod submit;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod uring;
mod wait;
mod word;

pub use self::backend::Backend;
pub(crate) use self::deadline::Deadline;
pub(crate) use self::here::{Entered, enter, keeps, park_on, polls};
pub use self::local::Local;

pub use self::poller::{Builder, Event, Events, Poller};
pub(crate) use self::registry::{Batch, Desc, Registry};
pub(crate) use self::side::Side;
pub(crate) use self::submit::Submitter;
pub(crate) use self::wait::{Wait, What, announce_other, look, pause, wait, wait_from, withdraw};
pub(crate) use self::word::State;

use crate::sys::{Moved, Nowait, Transfer};
use std::io;
use std::os::fd::{BorrowedFd, RawFd};
use std::task::Waker;
use std::time::Instant;

/// What an event names: chosen by whoever opens the descriptor, never a descriptor's number.
pub type Key = u64;

/// In which directions a descriptor is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_structs, reason = "a descriptor has two directions")]
pub struct Interest {
    /// Until it can be read, or has ended.
    pub readable: bool,
    /// Until it can be written, or nobody reads any more.
    pub writable: bool,
}

impl Interest {
    /// Reading alone.
    pub const READABLE: Self = Self { readable: true, writable: false };
    /// Writing alone.
    pub const WRITABLE: Self = Self { readable: false, writable: true };
    /// Both directions.
    pub const BOTH: Self = Self { readable: true, writable: true };
}

/// When a ready descriptor is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mode {
    /// At each wait, as long as it is ready.
    Level,
    /// Once, each time something arrives or room appears. Whoever reads goes on until
    /// `WouldBlock`; what is left unread is not reported again.
    Edge,
}

/// What a backend can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Caps {
    /// It has [`Mode::Edge`].
    pub(crate) edge: bool,
    /// Its edges are such that a short read can prove that nothing is left.
    pub(crate) drains: bool,
    /// Who is about to wait has to [`arm`](Netpoll::arm) first.
    pub(crate) arm: bool,
}

/// What happened to one descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Happening {
    pub(crate) key: Key,
    pub(crate) readable: bool,
    pub(crate) writable: bool,
    /// The peer has ended or failed, or urgent data is there: a short read proves nothing.
    pub(crate) hung_up: bool,
}

/// The contract of a backend.
///
/// Methods take `&self` and may be called from any thread, while another one polls too. A
/// descriptor is closed before it is given up by its owner.
pub(crate) trait Netpoll: Sized {
    const CAPS: Caps;

    fn caps(&self) -> Caps {
        Self::CAPS
    }

    /// netpollinit.
    fn init() -> io::Result<Self>;

    /// netpollopen. `PermissionDenied` for what is always ready, as regular files are.
    fn open(&self, fd: BorrowedFd<'_>, key: Key, what: Interest, mode: Mode) -> io::Result<()>;

    /// Watches an open descriptor for something else. What is ready is reported again.
    fn modify(&self, fd: BorrowedFd<'_>, key: Key, what: Interest, mode: Mode) -> io::Result<()>;

    /// netpollclose.
    fn close(&self, fd: BorrowedFd<'_>) -> io::Result<()>;

    /// netpollarm: somebody is about to wait for `what` of a descriptor that was opened under
    /// [`Mode::Edge`] and `key`. Where there are no edges, each direction is told of once, and then not
    /// before this.
    fn arm(&self, _fd: BorrowedFd<'_>, _key: Key, _what: Interest) -> io::Result<()> {
        Ok(())
    }

    /// netpoll: appends to `list` what has happened, waiting until something has, `until`, or
    /// [`wake`](Self::wake). Returns whether that was called since the last time.
    fn poll(&self, until: Option<Instant>, list: &mut Vec<Happening>) -> io::Result<bool>;

    /// netpollBreak: ends the poll under way, or the next one. Any number of calls count once.
    fn wake(&self);

    /// netpollIsPollDescriptor.
    fn is_poll_descriptor(&self, fd: RawFd) -> bool;

    /// No events any more, before the thread that polls goes on to something else.
    fn retire(&self) {}

    /// What can be read once [`poll`](Self::poll) has something to tell, if there is such a thing.
    fn descriptor(&self) -> Option<BorrowedFd<'_>>;
}

/// The contract of a backend that carries operations out itself. They are started, and heard of, by
/// [`poll`](Netpoll::poll).
pub(crate) trait Submit {
    /// Has `transfer` carried out, and wakes `me` when it has been. Until then `wait` is called, again and
    /// again: what is lent stays lent until the answer has come.
    ///
    /// # Errors
    ///
    /// The operation's own, `ECANCELED` among them; `WouldBlock` if this one cannot be waited for so.
    fn submit(
        &self,
        fd: BorrowedFd<'_>,
        nowait: Nowait,
        transfer: &mut Transfer<'_, '_>,
        me: Waker,
        wait: &mut dyn FnMut(&dyn Flight),
    ) -> io::Result<Moved>;

    /// Ends all operations, and waits until they have.
    fn ground(&self);
}

/// An operation under way.
pub(crate) trait Flight {
    /// Orders to give it up. What comes of it is still to be waited for, and may be a success.
    fn cancel(&self);

    /// Gives it up, and waits for that in place.
    fn land(&self);
}
