//! Systems for which there is no backend yet: nothing can be made of it.

use super::{Caps, Happening, Interest, Key, Mode, Netpoll};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, RawFd};
use std::time::Instant;

#[derive(Debug)]
pub(crate) enum None {}

impl Netpoll for None {
    const CAPS: Caps = Caps { edge: false };

    fn init() -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn open(&self, _: BorrowedFd<'_>, _: Key, _: Interest, _: Mode) -> io::Result<()> {
        match *self {}
    }

    fn modify(&self, _: BorrowedFd<'_>, _: Key, _: Interest, _: Mode) -> io::Result<()> {
        match *self {}
    }

    fn close(&self, _: BorrowedFd<'_>) -> io::Result<()> {
        match *self {}
    }

    fn poll(&self, _: Option<Instant>, _: &mut Vec<Happening>) -> io::Result<bool> {
        match *self {}
    }

    fn wake(&self) {
        match *self {}
    }

    fn is_poll_descriptor(&self, _: RawFd) -> bool {
        match *self {}
    }
}

impl AsFd for None {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match *self {}
    }
}
