//! epoll(7), by edges.

use super::{Descriptor, END, INSTANCES, KERNEL, NUMBERS, files, kernel_of, sleep, tell};
use rustix::event::PollFlags;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

pub(crate) use rustix::event::epoll::{Event as Happened, EventFlags as Flags};

/// An instance. All its descriptors are watched by edges.
#[derive(Debug)]
pub(crate) struct Epoll {
    number: usize,
    wake: u64,
}

impl Epoll {
    pub(crate) fn new(wake: u64) -> io::Result<Self> {
        let number = NUMBERS - INSTANCES + KERNEL.instances.fetch_add(1, Relaxed);
        Ok(Self { number, wake })
    }

    pub(crate) fn add(&self, fd: BorrowedFd<'_>, key: u64, flags: Flags) -> io::Result<()> {
        let this = kernel_of(fd);
        let mut watchers = this.watchers.lock().unwrap();
        if watchers.iter().any(|(instance, _)| *instance == self.number) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        watchers.push((self.number, key));
        match this.object.bytes.fetch_add(0, Relaxed) {
            0 => {}
            END.. => tell(self.number, key, flags & (Flags::IN | Flags::RDHUP)),
            _ => tell(self.number, key, flags & Flags::IN),
        }
        Ok(())
    }

    pub(crate) fn modify(&self, _: BorrowedFd<'_>, _: u64, _: Flags) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn delete(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        let mut watchers = kernel_of(fd).watchers.lock().unwrap();
        let place = watchers.iter().position(|(instance, _)| *instance == self.number);
        let (_, key) = watchers.remove(place.ok_or(io::ErrorKind::NotFound)?);
        self.this().pending.lock().unwrap().retain(|event| event.data.u64() != key);
        Ok(())
    }

    pub(crate) fn wait(
        &self,
        list: &mut Vec<Happened>,
        deadline: Option<Instant>,
    ) -> io::Result<()> {
        KERNEL.sleeps.fetch_add(1, Relaxed);
        let this = self.this();
        loop {
            let mut pending = this.pending.lock().unwrap();
            list.append(&mut pending);
            this.object.bytes.swap(0, Relaxed);
            drop(pending);
            if !list.is_empty() || deadline.is_some() {
                return Ok(());
            }
            sleep(&[&this.object], deadline);
        }
    }

    pub(crate) fn signal(&self) {
        KERNEL.signals.fetch_add(1, Relaxed);
        tell(self.number, self.wake, Flags::IN);
    }

    pub(crate) fn is(&self, fd: RawFd) -> bool {
        fd == self.as_fd().as_raw_fd()
    }

    fn this(&self) -> &'static Descriptor {
        &KERNEL.descriptors[self.number]
    }
}

impl AsFd for Epoll {
    fn as_fd(&self) -> BorrowedFd<'_> {
        files()[self.number].as_fd()
    }
}

/// Nothing lasts here.
#[derive(Debug)]
pub(in crate::sys) enum Edge {}

impl Edge {
    pub(in crate::sys) fn new(_: BorrowedFd<'_>, _: PollFlags) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(in crate::sys) fn news(&self) -> io::Result<PollFlags> {
        match *self {}
    }
}

impl AsFd for Edge {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match *self {}
    }
}

impl From<Edge> for OwnedFd {
    fn from(edge: Edge) -> Self {
        match edge {}
    }
}
