//! epoll(7).

use super::wait::in_steps;
use super::{Call, Event, faults::gate, retry};
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{PollFd, PollFlags, Timespec};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::Instant;

pub(crate) use rustix::event::epoll::{Event as Happened, EventFlags as Flags};

const NOW: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

/// epoll_wait(2) counts milliseconds. Where one would be much of the whole, poll(2) waits for the
/// instance, in nanoseconds. (epoll_pwait2(2) would do both, but is new, and forbidden by some filters.)
const SHORT: i64 = 5_000_000;

/// An instance, with an event of its own by which a wait is ended.
#[derive(Debug)]
pub(crate) struct Epoll {
    epoll: OwnedFd,
    event: Event,
}

impl Epoll {
    /// `wake` is the key under which [`signal`](Self::signal) shows.
    pub(crate) fn new(wake: u64) -> io::Result<Self> {
        let this = Self { epoll: epoll::create(CreateFlags::CLOEXEC)?, event: Event::new()? };
        // Each write of an eventfd is an edge, so nobody has to read it.
        this.add(this.event.as_fd(), wake, EventFlags::IN | EventFlags::ET)?;
        Ok(this)
    }

    pub(crate) fn add(&self, fd: BorrowedFd<'_>, key: u64, flags: Flags) -> io::Result<()> {
        retry(|| gate(Call::Watch, 1))?;
        Ok(epoll::add(&self.epoll, fd, EventData::new_u64(key), flags)?)
    }

    pub(crate) fn modify(&self, fd: BorrowedFd<'_>, key: u64, flags: Flags) -> io::Result<()> {
        Ok(epoll::modify(&self.epoll, fd, EventData::new_u64(key), flags)?)
    }

    pub(crate) fn delete(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        Ok(epoll::delete(&self.epoll, fd)?)
    }

    /// Appends what has happened to `list`, within its capacity. Empty-handed at the deadline,
    /// and never before it.
    pub(crate) fn wait(
        &self,
        list: &mut Vec<Happened>,
        deadline: Option<Instant>,
    ) -> io::Result<()> {
        in_steps(deadline, |timeout| {
            let short = timeout.filter(|it| it.tv_sec == 0 && (1..SHORT).contains(&it.tv_nsec));
            let mut own = [PollFd::new(&self.epoll, PollFlags::IN)];
            let timeout = match short {
                Some(_) if rustix::event::poll(&mut own, short)? == 0 => return Ok(0),
                Some(_) => Some(&NOW),
                None => timeout,
            };
            Ok(epoll::wait(&self.epoll, rustix::buffer::spare_capacity(list), timeout)?)
        })
    }

    pub(crate) fn signal(&self) {
        self.event.signal();
    }

    pub(crate) fn is(&self, fd: RawFd) -> bool {
        fd == self.epoll.as_raw_fd() || self.event.is(fd)
    }
}

impl AsFd for Epoll {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

/// What is new with one descriptor.
#[derive(Debug)]
pub(super) struct Edge(OwnedFd);

impl Edge {
    pub(super) fn new(fd: BorrowedFd<'_>, want: PollFlags) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        // The flags are those of poll(2), whose bits are an i16 for libc and a u16 for the kernel.
        let flags = EventFlags::from_bits_truncate(want.bits() as u32) | EventFlags::ET;
        epoll::add(&epoll, fd, EventData::new_u64(0), flags)?;
        Ok(Self(epoll))
    }

    /// What it is like, if anything has come since the last time: at first, what it is like now.
    pub(super) fn news(&self) -> io::Result<PollFlags> {
        let mut list = Vec::with_capacity(1);
        epoll::wait(&self.0, rustix::buffer::spare_capacity(&mut list), Some(&NOW))?;
        let flags = list.first().map_or(EventFlags::empty(), |event: &Happened| event.flags);
        Ok(PollFlags::from_bits_truncate(flags.bits() as _))
    }
}

impl AsFd for Edge {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<Edge> for OwnedFd {
    fn from(edge: Edge) -> Self {
        edge.0
    }
}
