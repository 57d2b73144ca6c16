//! What all handles of a stream share: its descriptor, and the loop that tries, waits and tries
//! again.

use super::act::{Act, Moving};
use super::{Control, Handle, Outlet, Piece};
use crate::error;
use crate::park::{self, Turn};
use crate::poll::{Desc, Side, State, Submitter, Wait, What, keeps, polls, wait_from};
use crate::sys::{self, Manner, Nowait, Transfer};
use std::cell::LazyCell;
use std::io::{ErrorKind, IoSlice, IoSliceMut, Result};
use std::ops::{Deref, Range};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use std::time::Instant;

#[derive(Debug)]
pub(super) struct Inner<T: AsFd> {
    /// There until it is given back.
    io: Option<T>,
    desc: Arc<Desc>,
    nowait: Nowait,
    /// Its description was blocking before.
    restore: bool,
    /// A read that falls short has left nothing, unless the peer has hung up.
    drains: bool,
    /// What calls use that may block.
    patient: fn(&T) -> BorrowedFd<'_>,
}

impl<T: AsFd> Inner<T> {
    pub(super) fn new(io: T) -> Result<Self> {
        let fd = io.as_fd();
        let manner = sys::manner(fd)?;
        let restore = manner.waits() && !sys::set_nonblocking(fd, true)?;
        let mut this = Self::with(io, manner, T::as_fd);
        this.restore = restore;
        Ok(this)
    }

    /// A descriptor that is used in this manner as it is, and where calls may block by what
    /// `patient` answers.
    pub(super) fn with(io: T, manner: Manner, patient: fn(&T) -> BorrowedFd<'_>) -> Self {
        Self {
            desc: Desc::new(),
            nowait: manner.nowait,
            restore: false,
            drains: manner.drains,
            patient,
            io: Some(io),
        }
    }

    /// As [`with`](Self::with), for a socket that was made without blocking: std's way is to block.
    pub(super) fn made(io: T, manner: Manner) -> Self {
        let mut this = Self::with(io, manner, T::as_fd);
        this.restore = true;
        this
    }

    pub(super) fn manner(&self) -> Manner {
        Manner { nowait: self.nowait, drains: self.drains }
    }

    pub(super) fn into_std(mut self) -> std::result::Result<T, (Self, std::io::Error)> {
        if self.restore {
            if let Err(error) = sys::set_nonblocking(self.as_fd(), false) {
                return Err((self, error));
            }
        }
        self.desc.leave(self.as_fd());
        let io = self.io.take();
        Ok(io.expect("it is taken here alone, and with it the stream ends"))
    }

    pub(super) fn get_ref(&self) -> &T {
        self.io.as_ref().expect("it is taken where the stream ends")
    }

    pub(super) fn desc(&self) -> &Arc<Desc> {
        &self.desc
    }

    pub(super) fn control(&self) -> Control {
        Control::new(Arc::clone(&self.desc))
    }

    /// The caller has the stream, or his half of it, to himself.
    pub(super) fn piece(self: &Arc<Self>) -> Piece<'_> {
        let fd = self.handle(&self.desc.read);
        Piece::Fd { fd, max: u64::MAX, at: None, hidden: false }
    }

    /// As [`piece`](Self::piece).
    pub(super) fn outlet(self: &Arc<Self>) -> Outlet<'_> {
        Outlet::Fd { fd: self.handle(&self.desc.write), max: u64::MAX, at: None }
    }

    fn handle(self: &Arc<Self>, side: &Side) -> Handle<'_> {
        // A `Control` shares the state, so does whoever tells of events, and a task its thread.
        let alone = self.is_alone().0 && Arc::strong_count(&self.desc) == 1;
        fence(Ordering::Acquire);
        let patient = alone && side.is_patient() && polls();
        let patient = patient.then(|| (self.patient)(self.get_ref()));
        Handle::of_stream(self.as_fd(), &self.desc, self.nowait, patient)
    }

    /// Whether nobody else has the stream but who has `self` to himself.
    pub(super) fn is_alone(self: &Arc<Self>) -> Alone {
        // The other half shares all of it.
        let alone = Arc::strong_count(self) == 1;
        // What others did before they let go is seen from here on.
        fence(Ordering::Acquire);
        Alone(alone)
    }

    pub(super) fn read(&self, alone: Alone, buf: &mut [u8]) -> Result<usize> {
        if buf.is_empty() {
            return self.desc.read.refuse().map(|()| 0);
        }
        let len = buf.len();
        self.reading(alone, len, self.moving(&self.desc.read, Transfer::Read(buf)))
    }

    pub(super) fn read_vectored(&self, alone: Alone, bufs: &mut [IoSliceMut<'_>]) -> Result<usize> {
        let part = at_once(bufs);
        let bufs = &mut bufs[part];
        // Of those alone that the call is given: falling short of the others proves nothing.
        let len = bufs.iter().map(|buf| buf.len()).sum();
        if len == 0 {
            return self.desc.read.refuse().map(|()| 0);
        }
        self.reading(alone, len, self.moving(&self.desc.read, Transfer::ReadVectored(bufs)))
    }

    pub(super) fn peek(&self, buf: &mut [u8]) -> Result<usize> {
        if self.nowait != Nowait::Socket {
            return Err(error::peeks_no_socket());
        }
        if buf.is_empty() {
            return self.desc.read.refuse().map(|()| 0);
        }
        // What was peeked at is still there, however short the answer.
        let peek = |nowait: Nowait, fd: BorrowedFd<'_>| nowait.peek(fd, buf);
        self.reading(Alone(false), 0, peek)
    }

    pub(super) fn write(&self, alone: Alone, bytes: &[u8]) -> Result<usize> {
        let side = &self.desc.write;
        let mut patience = Patience::new(side);
        let _turn = patience.enter(alone)?;
        let mut done = 0;
        loop {
            let rest = &bytes[done..];
            let step = self.moving(side, Transfer::Write(rest));
            match self.perform(side, What::Writable, || patience.until(), step) {
                Ok((0, _)) => return Ok(done),
                Ok((n, _)) => {
                    park::spend(n as u64);
                    done += n.min(rest.len());
                    patience.renew();
                }
                Err(error) if done == 0 => return Err(error),
                // It comes again at the next call.
                Err(_) => return Ok(done),
            }
            if done == bytes.len() {
                return Ok(done);
            }
        }
    }

    pub(super) fn write_vectored(&self, alone: Alone, bufs: &[IoSlice<'_>]) -> Result<usize> {
        let bufs = &bufs[at_once(bufs)];
        let side = &self.desc.write;
        let mut patience = Patience::new(side);
        let _turn = patience.enter(alone)?;
        let call = self.moving(side, Transfer::WriteVectored(bufs));
        let (n, _) = self.perform(side, What::Writable, || patience.until(), call)?;
        park::spend(n as u64);
        Ok(n)
    }

    pub(super) fn try_read(&self, buf: &mut [u8]) -> Result<usize> {
        let side = &self.desc.read;
        let Some(_turn) = side.try_enter() else { return would_block() };
        let seen = side.begin()?.seen;
        if buf.is_empty() {
            return Ok(0);
        }
        let result = self.nowait.read(self.as_fd(), buf);
        match &result {
            Ok(n) => self.note(*n, buf.len(), seen),
            Err(error) if error.kind() == ErrorKind::WouldBlock => side.word().note_drained(seen),
            Err(_) => {}
        }
        result
    }

    pub(super) fn try_write(&self, bytes: &[u8]) -> Result<usize> {
        let Some(_turn) = self.desc.write.try_enter() else { return would_block() };
        self.desc.write.begin()?;
        self.nowait.write(self.as_fd(), bytes)
    }

    fn moving<'a, 'b>(&self, side: &'a Side, transfer: Transfer<'a, 'b>) -> Moving<'a, 'b> {
        Moving::new(transfer, side, self.manner())
    }

    /// One read of `len` bytes at most.
    fn reading(&self, alone: Alone, len: usize, call: impl Act<usize>) -> Result<usize> {
        let side = &self.desc.read;
        let mut patience = Patience::new(side);
        let _turn = patience.enter(alone)?;
        let (n, seen) = self.perform(side, What::Readable, || patience.until(), call)?;
        self.note(n, len, seen);
        park::spend(n as u64);
        Ok(n)
    }

    /// A read of `len` bytes has got `n`.
    fn note(&self, n: usize, len: usize, seen: State) {
        if self.drains && 0 < n && n < len && !seen.is_hung_up() && keeps(&self.desc) {
            self.desc.read.word().note_drained(seen);
        }
    }

    /// The seam: tries the call, which must not wait, and waits where it would have, until it goes on. On a
    /// worker whose backend carries operations out, the wait is for the call itself.
    /// Answers the word's state before the call that went on, too.
    pub(super) fn perform<R>(
        &self,
        side: &Side,
        what: What,
        mut until: impl FnMut() -> Option<Instant>,
        mut act: impl Act<R>,
    ) -> Result<(R, State)> {
        let fd = self.as_fd();
        let mut wait = Wait::new(fd, what, Some(&self.desc));
        let mut waited = false;
        let mut flies = act.flies();
        let submitter = LazyCell::new(Submitter::here);
        loop {
            let seen = side.word().begin();
            // Where the wait was by poll(2) no event need have come.
            let fired = std::mem::take(&mut wait.fired);
            let at_once = flies && !side.expects() && !side.is_hasty() && submitter.is_some();
            let tries =
                !at_once && (seen.is_ready() || fired || side.is_hasty() || !keeps(&self.desc));
            // Who has to wait first does not look at the clock: a wait that comes too late ends at once.
            let mut round = side.round(seen, tries || waited || at_once)?;
            if tries {
                match act.call(self.nowait, fd) {
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    done => return done.map(|done| (done, round.seen)),
                }
                let Some(dry) = side.word().drained(round.seen) else { continue };
                round.seen = dry;
            }
            if side.is_hasty() {
                return Err(ErrorKind::WouldBlock.into());
            }
            let until = until();
            if until.is_some_and(|at| at <= Instant::now()) {
                return Err(error::timed_out());
            }
            if let (true, Some(submitter)) = (flies, &*submitter) {
                if let Some(done) = act.fly(submitter, until, fd) {
                    return done.map(|done| (done, round.seen));
                }
                flies = false;
                continue;
            }
            waited = true;
            wait_from(&mut wait, round, until)?;
        }
    }
}

/// Whether the caller has the direction to himself as long as his call lasts, by the borrow checker's word.
#[derive(Debug, Clone, Copy)]
pub(super) struct Alone(pub(super) bool);

/// How long a call may wait by its side's timeout, which is looked at when it first has to.
struct Patience<'a> {
    side: &'a Side,
    until: Option<Option<Instant>>,
}

impl<'a> Patience<'a> {
    fn new(side: &'a Side) -> Self {
        Self { side, until: None }
    }

    /// `None` for who needs no turn.
    fn enter(&mut self, Alone(alone): Alone) -> Result<Option<Turn<'a>>> {
        if alone {
            return Ok(None);
        }
        match self.side.try_enter() {
            Some(turn) => Ok(Some(turn)),
            None => self.side.enter(self.until()).map(Some),
        }
    }

    /// The call has got on, and may wait as long once more.
    fn renew(&mut self) {
        self.until = None;
    }

    fn until(&mut self) -> Option<Instant> {
        *self.until.get_or_insert_with(|| self.side.timeout.starting_now())
    }
}

/// As many buffers as one call takes, from the first that is not empty: nothing done would be an end.
fn at_once<B: Deref<Target = [u8]>>(bufs: &[B]) -> Range<usize> {
    let start = bufs.iter().position(|buf| !buf.is_empty()).unwrap_or(0);
    start..bufs.len().min(start.saturating_add(sys::IOV_MAX))
}

fn would_block() -> Result<usize> {
    Err(ErrorKind::WouldBlock.into())
}

impl<T: AsFd> AsFd for Inner<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.get_ref().as_fd()
    }
}

impl<T: AsFd> Drop for Inner<T> {
    fn drop(&mut self) {
        if let Some(io) = &self.io {
            self.desc.leave(io.as_fd());
        }
    }
}
