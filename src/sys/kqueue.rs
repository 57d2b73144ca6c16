//! kqueue(2), of the BSDs and macOS.
#![expect(unsafe_code, reason = "descriptors by number")]

use super::wait::in_steps;
use rustix::event::Timespec;
use rustix::event::kqueue::{Event, EventFilter, EventFlags, kevent_timespec, kqueue};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::ptr;
use std::time::Instant;

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Filter {
    Read,
    Write,
}

/// What to do with a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deed {
    /// Tell of it once for each change, or at each call.
    Add {
        edge: bool,
    },
    Delete,
    /// Only to learn whether it is there.
    Enable,
}

/// An event, in the words that all systems share.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Happened {
    pub(crate) fd: RawFd,
    pub(crate) filter: Filter,
    pub(crate) eof: bool,
    /// That of the descriptor.
    pub(crate) error: Option<i32>,
    pub(crate) tag: usize,
}

/// A queue, with an event of its own by which a wait is ended.
#[derive(Debug)]
pub(crate) struct Kqueue {
    queue: OwnedFd,
    waker: waker::Waker,
}

const NOW: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

impl Kqueue {
    pub(crate) fn new() -> io::Result<Self> {
        let queue = kqueue()?;
        rustix::io::fcntl_setfd(&queue, rustix::io::FdFlags::CLOEXEC)?;
        let waker = waker::Waker::new(queue.as_fd())?;
        Ok(Self { queue, waker })
    }

    /// Does the same with several filters of one descriptor. How each of them fared.
    pub(crate) fn change(
        &self,
        fd: RawFd,
        filters: &[Filter],
        deed: Deed,
        tag: usize,
    ) -> io::Result<Vec<i32>> {
        let flags = EventFlags::RECEIPT
            | match deed {
                Deed::Add { edge: true } => EventFlags::ADD | EventFlags::CLEAR,
                Deed::Add { edge: false } => EventFlags::ADD,
                Deed::Delete => EventFlags::DELETE,
                Deed::Enable => EventFlags::ENABLE,
            };
        let event = |filter: &Filter| {
            let filter = match filter {
                Filter::Read => EventFilter::Read(fd),
                Filter::Write => EventFilter::Write(fd),
            };
            Event::new(filter, flags, ptr::without_provenance_mut(tag))
        };
        let changes: Vec<_> = filters.iter().map(event).collect();
        let mut receipts = Vec::with_capacity(changes.len());
        call(self.queue.as_fd(), &changes, &mut receipts, Some(&NOW))?;
        // A receipt is an error, also where there was none.
        Ok(receipts.iter().map(errno).collect())
    }

    /// Appends what has happened, within the capacity of `list`; whether it was woken. Empty-handed
    /// at the deadline, and never before it.
    pub(crate) fn wait(
        &self,
        list: &mut Vec<Happened>,
        deadline: Option<Instant>,
    ) -> io::Result<bool> {
        let mut events = Vec::with_capacity(list.capacity() - list.len());
        in_steps(deadline, |timeout| {
            events.clear();
            call(self.queue.as_fd(), &[], &mut events, timeout)?;
            Ok(events.len())
        })?;
        let mut woken = false;
        for event in &events {
            if self.waker.is(event) {
                woken = true;
                continue;
            }
            let (fd, filter) = match event.filter() {
                EventFilter::Read(fd) => (fd, Filter::Read),
                EventFilter::Write(fd) => (fd, Filter::Write),
                _ => continue,
            };
            let flags = event.flags();
            list.push(Happened {
                fd,
                filter,
                eof: flags.contains(EventFlags::EOF),
                error: flags.contains(EventFlags::ERROR).then(|| errno(event)),
                tag: event.udata().addr(),
            });
        }
        if woken {
            self.waker.clear();
        }
        Ok(woken)
    }

    pub(crate) fn signal(&self) {
        self.waker.signal(self.queue.as_fd());
    }

    pub(crate) fn is(&self, fd: RawFd) -> bool {
        fd == self.queue.as_raw_fd() || self.waker.has(fd)
    }
}

impl AsFd for Kqueue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.queue.as_fd()
    }
}

fn errno(event: &Event) -> i32 {
    i32::try_from(event.data()).unwrap_or(i32::MAX)
}

/// Where it is interrupted, the changes are made all the same.
fn call(
    queue: BorrowedFd<'_>,
    changes: &[Event],
    events: &mut Vec<Event>,
    timeout: Option<&Timespec>,
) -> io::Result<()> {
    let room = rustix::buffer::spare_capacity(events);
    // SAFETY: a number that is closed by now is answered by an error, and nothing is done to the
    // descriptor that has it.
    match unsafe { kevent_timespec(queue, changes, room, timeout) } {
        Err(error) if !changes.is_empty() && error == rustix::io::Errno::INTR => Ok(()),
        done => Ok(done.map(drop)?),
    }
}

/// An event of the program's own.
#[cfg(any(target_vendor = "apple", target_os = "freebsd", target_os = "dragonfly"))]
mod waker {
    use super::*;
    use rustix::event::kqueue::{UserDefinedFlags, UserFlags};

    #[derive(Debug)]
    pub(super) struct Waker;

    fn event(user: UserFlags, flags: EventFlags) -> Event {
        let user_flags = UserDefinedFlags::new(0);
        let filter = EventFilter::User { ident: 0, flags: user, user_flags };
        Event::new(filter, flags, ptr::null_mut())
    }

    impl Waker {
        pub(super) fn new(queue: BorrowedFd<'_>) -> io::Result<Self> {
            let event = event(UserFlags::empty(), EventFlags::ADD | EventFlags::CLEAR);
            call(queue, &[event], &mut Vec::new(), Some(&NOW))?;
            Ok(Self)
        }

        pub(super) fn signal(&self, queue: BorrowedFd<'_>) {
            // It was added, and there is nothing else that could fail.
            let event = event(UserFlags::TRIGGER, EventFlags::empty());
            let _ = call(queue, &[event], &mut Vec::new(), Some(&NOW));
        }

        pub(super) fn clear(&self) {}

        pub(super) fn is(&self, event: &Event) -> bool {
            matches!(event.filter(), EventFilter::User { .. })
        }

        pub(super) fn has(&self, _: RawFd) -> bool {
            false
        }
    }
}

/// A pipe, on systems that did not always have such events.
#[cfg(not(any(target_vendor = "apple", target_os = "freebsd", target_os = "dragonfly")))]
mod waker {
    use super::*;

    #[derive(Debug)]
    pub(super) struct Waker(crate::sys::Event);

    impl Waker {
        pub(super) fn new(queue: BorrowedFd<'_>) -> io::Result<Self> {
            let this = Self(crate::sys::Event::new()?);
            let filter = EventFilter::Read(this.number());
            let event = Event::new(filter, EventFlags::ADD, ptr::null_mut());
            call(queue, &[event], &mut Vec::new(), Some(&NOW))?;
            Ok(this)
        }

        fn number(&self) -> RawFd {
            self.0.as_fd().as_raw_fd()
        }

        pub(super) fn signal(&self, _: BorrowedFd<'_>) {
            self.0.signal();
        }

        pub(super) fn clear(&self) {
            self.0.clear();
        }

        pub(super) fn is(&self, event: &Event) -> bool {
            matches!(event.filter(), EventFilter::Read(fd) if fd == self.number())
        }

        pub(super) fn has(&self, fd: RawFd) -> bool {
            self.0.is(fd)
        }
    }
}
