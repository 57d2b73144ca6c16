//! Which backend there is, and which one is used.

#[cfg(any(target_os = "linux", target_os = "android"))]
use super::epoll::Epoll;
#[cfg(any(
    target_vendor = "apple",
    target_os = "dragonfly",
    target_os = "freebsd",
    target_os = "netbsd",
    target_os = "openbsd"
))]
use super::kqueue::Kqueue;
#[cfg(all(test, aqueduct_shuttle))]
use super::model::Model;
use super::poll::Poll;
use super::select::Select;
#[cfg(any(target_os = "linux", target_os = "android"))]
use super::signal::Signal;
#[cfg(any(target_os = "linux", target_os = "android"))]
use super::uring::Uring;
use super::{Caps, Happening, Interest, Key, Mode, Netpoll, Submit};
use crate::error;
#[cfg(any(target_os = "linux", target_os = "android"))]
use crate::sys::uring::Ring;
use std::fmt;
use std::io;
use std::os::fd::{BorrowedFd, RawFd};
use std::time::Instant;

/// A way to ask the system which descriptors are ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Backend {
    /// epoll(7), of Linux.
    Epoll,
    /// kqueue(2), of the BSDs and macOS.
    Kqueue,
    /// poll(2): each wait names every descriptor anew.
    Poll,
    /// Real-time signals to the thread that waits: `F_SETSIG`, of Linux. What sends none is waited for
    /// by poll(2). A [`Poller`](super::Poller) then belongs to the thread that first adds a descriptor
    /// or waits: on others a wait fails with `Unsupported`. The signals it uses, `SIGIO` among them,
    /// stay blocked in that thread.
    Signal,
    /// select(2), as poll(2). Sets are as large as they have to be; where the system itself does not
    /// take a descriptor of a great number, it is refused.
    Select,
    /// io_uring(7), of Linux since 5.13: one call a turn, which orders and hears. Where it is forbidden,
    /// [`Epoll`](Self::Epoll) takes its place.
    Uring,
}

#[cfg(any(target_os = "linux", target_os = "android"))]
const HERE: &[Backend] =
    &[Backend::Epoll, Backend::Poll, Backend::Select, Backend::Signal, Backend::Uring];
#[cfg(any(
    target_vendor = "apple",
    target_os = "dragonfly",
    target_os = "freebsd",
    target_os = "netbsd",
    target_os = "openbsd"
))]
const HERE: &[Backend] = &[Backend::Kqueue, Backend::Poll, Backend::Select];
#[cfg(not(any(
    target_os = "linux",
    target_os = "android",
    target_vendor = "apple",
    target_os = "dragonfly",
    target_os = "freebsd",
    target_os = "netbsd",
    target_os = "openbsd"
)))]
const HERE: &[Backend] = &[Backend::Poll, Backend::Select];

impl Backend {
    /// Those that there are on this system, the best one first.
    #[must_use]
    pub fn available() -> &'static [Self] {
        HERE
    }

    /// The name that `AQUEDUCT_POLLER` takes.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Epoll => "epoll",
            Self::Kqueue => "kqueue",
            Self::Poll => "poll",
            Self::Select => "select",
            Self::Signal => "signal",
            Self::Uring => "uring",
        }
    }

    /// Whether it knows [`Mode::Edge`].
    #[must_use]
    pub fn has_edges(self) -> bool {
        match self {
            Self::Epoll | Self::Kqueue | Self::Signal | Self::Uring => true,
            Self::Poll | Self::Select => false,
        }
    }

    /// What the environment asks for, or the system's best.
    pub(super) fn chosen() -> io::Result<Self> {
        let Some(name) = std::env::var_os("AQUEDUCT_POLLER").filter(|name| !name.is_empty()) else {
            return Ok(HERE[0]);
        };
        let found = HERE.iter().find(|backend| name == *backend.name());
        found.copied().ok_or_else(|| error::no_backend(&name, HERE))
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The backend in use.
#[derive(Debug)]
pub(crate) enum Driver {
    #[cfg(all(test, aqueduct_shuttle))]
    Model(Model),
    #[cfg(any(target_os = "linux", target_os = "android"))]
    Epoll(Epoll),
    #[cfg(any(
        target_vendor = "apple",
        target_os = "dragonfly",
        target_os = "freebsd",
        target_os = "netbsd",
        target_os = "openbsd"
    ))]
    Kqueue(Kqueue),
    Poll(Poll),
    #[cfg(any(target_os = "linux", target_os = "android"))]
    Signal(Box<Signal>),
    #[cfg(any(target_os = "linux", target_os = "android"))]
    Uring(Box<Uring>),
    Select(Select),
}

macro_rules! ask {
    ($driver:expr, $backend:ident => $what:expr) => {
        match $driver {
            #[cfg(all(test, aqueduct_shuttle))]
            Driver::Model($backend) => $what,
            #[cfg(any(target_os = "linux", target_os = "android"))]
            Driver::Epoll($backend) => $what,
            #[cfg(any(
                target_vendor = "apple",
                target_os = "dragonfly",
                target_os = "freebsd",
                target_os = "netbsd",
                target_os = "openbsd"
            ))]
            Driver::Kqueue($backend) => $what,
            Driver::Poll($backend) => $what,
            #[cfg(any(target_os = "linux", target_os = "android"))]
            Driver::Signal($backend) => $what,
            Driver::Select($backend) => $what,
            #[cfg(any(target_os = "linux", target_os = "android"))]
            Driver::Uring($backend) => $what,
        }
    };
}

impl Driver {
    /// `choice`, or what the environment asks for, or the system's best.
    pub(super) fn new(choice: Option<Backend>) -> io::Result<Self> {
        #[cfg(all(test, aqueduct_shuttle))]
        if choice.is_none() {
            return Netpoll::init().map(Self::Model);
        }
        match choice.map_or_else(Backend::chosen, Ok)? {
            #[cfg(any(target_os = "linux", target_os = "android"))]
            Backend::Epoll => Netpoll::init().map(Self::Epoll),
            #[cfg(any(
                target_vendor = "apple",
                target_os = "dragonfly",
                target_os = "freebsd",
                target_os = "netbsd",
                target_os = "openbsd"
            ))]
            Backend::Kqueue => Netpoll::init().map(Self::Kqueue),
            Backend::Poll => Netpoll::init().map(Self::Poll),
            #[cfg(any(target_os = "linux", target_os = "android"))]
            Backend::Signal => Netpoll::init().map(Box::new).map(Self::Signal),
            Backend::Select => Netpoll::init().map(Self::Select),
            #[cfg(any(target_os = "linux", target_os = "android"))]
            Backend::Uring => match Netpoll::init() {
                Err(error) if Ring::is_forbidden(&error) => Netpoll::init().map(Self::Epoll),
                done => done.map(Box::new).map(Self::Uring),
            },
            other => Err(error::backend_elsewhere(other)),
        }
    }

    pub(super) fn kind(&self) -> Backend {
        match self {
            #[cfg(all(test, aqueduct_shuttle))]
            Self::Model(_) => HERE[0],
            #[cfg(any(target_os = "linux", target_os = "android"))]
            Self::Epoll(_) => Backend::Epoll,
            #[cfg(any(
                target_vendor = "apple",
                target_os = "dragonfly",
                target_os = "freebsd",
                target_os = "netbsd",
                target_os = "openbsd"
            ))]
            Self::Kqueue(_) => Backend::Kqueue,
            Self::Poll(_) => Backend::Poll,
            #[cfg(any(target_os = "linux", target_os = "android"))]
            Self::Signal(_) => Backend::Signal,
            Self::Select(_) => Backend::Select,
            #[cfg(any(target_os = "linux", target_os = "android"))]
            Self::Uring(_) => Backend::Uring,
        }
    }

    pub(super) fn caps(&self) -> Caps {
        ask!(self, it => it.caps())
    }

    /// Itself, if it carries operations out.
    pub(super) fn submit(&self) -> Option<&dyn Submit> {
        match self {
            #[cfg(any(target_os = "linux", target_os = "android"))]
            Self::Uring(uring) if uring.carries() => Some(&**uring),
            _ => None,
        }
    }

    /// How often the system was entered, where that is counted.
    pub(crate) fn enters(&self) -> Option<u64> {
        match self {
            #[cfg(any(target_os = "linux", target_os = "android"))]
            Self::Uring(uring) => Some(uring.enters()),
            _ => None,
        }
    }

    pub(super) fn open(
        &self,
        fd: BorrowedFd<'_>,
        key: Key,
        what: Interest,
        mode: Mode,
    ) -> io::Result<()> {
        ask!(self, it => it.open(fd, key, what, mode))
    }

    pub(super) fn modify(
        &self,
        fd: BorrowedFd<'_>,
        key: Key,
        what: Interest,
        mode: Mode,
    ) -> io::Result<()> {
        ask!(self, it => it.modify(fd, key, what, mode))
    }

    pub(super) fn close(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        ask!(self, it => it.close(fd))
    }

    pub(super) fn arm(&self, fd: BorrowedFd<'_>, key: Key, what: Interest) -> io::Result<()> {
        ask!(self, it => it.arm(fd, key, what))
    }

    pub(super) fn poll(
        &self,
        until: Option<Instant>,
        list: &mut Vec<Happening>,
    ) -> io::Result<bool> {
        ask!(self, it => it.poll(until, list))
    }

    pub(crate) fn wake(&self) {
        ask!(self, it => it.wake());
    }

    pub(super) fn is_poll_descriptor(&self, fd: RawFd) -> bool {
        ask!(self, it => it.is_poll_descriptor(fd))
    }

    pub(super) fn retire(&self) {
        ask!(self, it => it.retire());
    }

    pub(super) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        ask!(self, it => it.descriptor())
    }
}
