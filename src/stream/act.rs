//! What a call of a stream does: tried without waiting, or left to the system.

use crate::poll::{Side, Submitter};
use crate::sys::{Manner, Nowait, Transfer};
use crate::task;
use std::io::{ErrorKind, Result};
use std::os::fd::BorrowedFd;
use std::time::Instant;

/// One call. Any function is one.
pub(super) trait Act<R> {
    /// Tries it; `WouldBlock` if it would have to wait.
    fn call(&mut self, nowait: Nowait, fd: BorrowedFd<'_>) -> Result<R>;

    /// Whether it can be left to the system.
    fn flies(&self) -> bool {
        false
    }

    /// Leaves it to the system, and waits for what comes of it; `None` if it has to be tried after all.
    fn fly(&mut self, _: &Submitter, _: Option<Instant>, _: BorrowedFd<'_>) -> Option<Result<R>> {
        None
    }
}

impl<R, F: FnMut(Nowait, BorrowedFd<'_>) -> Result<R>> Act<R> for F {
    fn call(&mut self, nowait: Nowait, fd: BorrowedFd<'_>) -> Result<R> {
        self(nowait, fd)
    }
}

/// Bytes moved.
pub(super) struct Moving<'a, 'b> {
    transfer: Transfer<'a, 'b>,
    side: &'a Side,
    manner: Manner,
}

impl<'a, 'b> Moving<'a, 'b> {
    pub(super) fn new(transfer: Transfer<'a, 'b>, side: &'a Side, manner: Manner) -> Self {
        Self { transfer, side, manner }
    }

    /// Notes what the next call of the side is to expect after this one has moved `n` bytes. Writes are left
    /// to the system even where they need not wait: those of many tasks are given in one call.
    fn note(&self, n: usize, left: bool) {
        self.side.expect(self.transfer.reads() && (left || n == self.transfer.len()));
    }
}

impl Act<usize> for Moving<'_, '_> {
    fn call(&mut self, nowait: Nowait, fd: BorrowedFd<'_>) -> Result<usize> {
        let result = match nowait {
            // Only a disk makes it wait.
            Nowait::Never if self.transfer.reads() && task::is_task() => {
                match self.transfer.call(Nowait::Call, fd) {
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {
                        task::warm(fd, None, self.transfer.len() as u64)?;
                        self.transfer.call(Nowait::Never, fd)
                    }
                    done => done,
                }
            }
            _ => self.transfer.call(nowait, fd),
        };
        match &result {
            Ok(n) => self.note(*n, !self.manner.drains),
            Err(error) if error.kind() == ErrorKind::WouldBlock => self.side.expect(false),
            Err(_) => {}
        }
        result
    }

    /// Sockets, and pipes that are non-blocking: of what else there is, some make the system block a thread.
    fn flies(&self) -> bool {
        let Manner { nowait, drains } = self.manner;
        nowait == Nowait::Socket || nowait == Nowait::Flag && drains
    }

    fn fly(
        &mut self,
        submitter: &Submitter,
        until: Option<Instant>,
        fd: BorrowedFd<'_>,
    ) -> Option<Result<usize>> {
        let Self { transfer, side, manner } = self;
        let moved = submitter.carry(side, until, fd, manner.nowait, transfer)?;
        Some(moved.map(|moved| {
            self.note(moved.bytes, moved.left);
            moved.bytes
        }))
    }
}
