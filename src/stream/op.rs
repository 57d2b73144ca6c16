//! What the sockets above need of a stream: one made of a known descriptor, and calls of their own.

use super::{Inner, Stream};
use crate::park::{self, Turn};
use crate::poll::{self, Desc, Side, Wait, What};
use crate::sys::Manner;
use std::io::Result;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A call of one direction, which has its turn until this is dropped.
pub(crate) struct Op<'a, T: AsFd> {
    inner: &'a Inner<T>,
    side: &'a Side,
    what: What,
    until: Option<Instant>,
    _turn: Turn<'a>,
}

impl<T: AsFd> Stream<T> {
    /// A socket that was made without blocking, used in a manner that is known: nothing is asked.
    pub(crate) fn made(io: T, manner: Manner) -> Self {
        Self { inner: Arc::new(Inner::made(io, manner)) }
    }

    pub(crate) fn manner(&self) -> Manner {
        self.inner.manner()
    }

    pub(crate) fn reading(&self) -> Result<Op<'_, T>> {
        self.begin(&self.inner.desc().read, What::Readable)
    }

    pub(crate) fn writing(&self) -> Result<Op<'_, T>> {
        self.begin(&self.inner.desc().write, What::Writable)
    }

    fn begin<'a>(&'a self, side: &'a Side, what: What) -> Result<Op<'a, T>> {
        let until = side.timeout.starting_now();
        let turn = side.enter(until)?;
        Ok(Op { inner: &self.inner, side, what, until, _turn: turn })
    }

    /// The stream in a wait for several.
    pub(crate) fn wait(&self, what: What) -> Wait<'_> {
        Wait::new(self.as_fd(), what, Some(self.inner.desc()))
    }

    /// For a call that this crate makes beside the stream's own.
    pub(crate) fn desc(&self) -> &Desc {
        self.inner.desc()
    }
}

impl<T: AsFd> Op<'_, T> {
    /// Tries `call`, which must not wait, and waits where it would have, until it goes on.
    pub(crate) fn perform<R>(
        &self,
        mut call: impl FnMut(BorrowedFd<'_>) -> Result<R>,
    ) -> Result<R> {
        let call = |_, fd: BorrowedFd<'_>| call(fd);
        let (result, _) = self.inner.perform(self.side, self.what, || self.until, call)?;
        park::spend(0);
        Ok(result)
    }

    /// Waits for `length`, for what no descriptor tells of.
    pub(crate) fn pause(&self, length: Duration) -> Result<()> {
        poll::pause(self.side, length, self.until)
    }

    /// Until when it may wait, as far as that is known now.
    pub(crate) fn until(&self) -> Result<Option<Instant>> {
        let deadline = self.side.begin()?.deadline;
        Ok([self.until, deadline].into_iter().flatten().min())
    }
}
