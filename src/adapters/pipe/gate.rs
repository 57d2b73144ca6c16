//! What both kinds of pipe share: who has closed, who is next, and who waits.

use super::failure::Failure;
use super::limits::{Limit, Place};
use crate::error;
use crate::park::{Unparker, park_until};
use crate::sync::{Mutex, MutexGuard, thread};
use std::collections::VecDeque;
use std::io;
use std::sync::PoisonError;
use std::time::Instant;

/// One lock over the ends of a pipe and what lies between them.
pub(super) struct Gate<T, L> {
    state: Mutex<State<T>>,
    limits: L,
}

pub(super) struct State<T> {
    reader: End,
    writer: End,
    /// Nothing hinders a write: both ends are open, and the writer has no deadline.
    plain: bool,
    pub(super) between: T,
}

/// One end. Its operations take turns, so that the bytes of one write stay together.
#[derive(Default)]
struct End {
    closed: bool,
    /// Somebody has the turn.
    busy: bool,
    /// What it left for the other end when it was closed.
    failure: Option<Failure>,
    /// There once two have wanted the turn at the same time.
    queue: Option<Box<Queue>>,
    /// Who has the turn and waits for the other end.
    waiting: Option<Unparker>,
}

/// Who wants the turn, first come first served. Whoever is taken out has got it.
#[derive(Default)]
struct Queue {
    waiting: VecDeque<(u64, Unparker)>,
    next: u64,
}

#[derive(Clone, Copy)]
pub(super) enum Side {
    Reader,
    Writer,
}

/// Locks `mutex`. Nobody else's code runs under a lock of ours, so a poisoned one is in order.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T, L: Place> Gate<T, L> {
    pub(super) fn new(between: T) -> Self {
        let (reader, writer) = Default::default();
        let state = State { reader, writer, plain: true, between };
        Self { state: Mutex::new(state), limits: L::new() }
    }

    pub(super) fn limits(&self) -> &L {
        &self.limits
    }

    #[inline]
    pub(super) fn limit(&self, side: Side) -> &Limit {
        self.limits.limits().of(side)
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State<T>> {
        lock(&self.state)
    }

    /// Closes one end, unless it is closed, and wakes both for it. Waits for nothing but a copy.
    pub(super) fn close(&self, side: Side, failure: Option<io::Error>) {
        let mut state = self.lock();
        self.limit(side).close();
        state.plain = false;
        let end = state.end(side);
        if !end.closed {
            end.closed = true;
            end.failure = failure.map(Failure::new);
        }
        // Those in the queues get their turn, one after another, and then see it for themselves.
        let waiting = [state.reader.waiting.take(), state.writer.waiting.take()];
        drop(state);
        waiting.iter().flatten().for_each(Unparker::unpark);
    }

    /// Why nothing may be written.
    #[inline]
    pub(super) fn check_write(&self, state: &State<T>) -> io::Result<()> {
        if state.plain { Ok(()) } else { self.refuse_write(state) }
    }

    #[cold]
    fn refuse_write(&self, state: &State<T>) -> io::Result<()> {
        self.limit(Side::Writer).check()?;
        state.write_error().map_or(Ok(()), Err)
    }

    /// Moves the deadline of one end. Whoever has the turn there looks again; if it has passed, those
    /// in the queue get the turn one after another, and then see it for themselves.
    pub(super) fn set_deadline(&self, side: Side, at: Option<Instant>) {
        let mut state = self.lock();
        self.limit(side).set_deadline(at);
        if matches!(side, Side::Writer) {
            state.plain = at.is_none() && state.both_open();
        }
        let waiting = state.waiting(side);
        drop(state);
        waiting.iter().for_each(Unparker::unpark);
    }

    /// Waits, once, for the other end. `wake` is woken when the lock is open.
    ///
    /// The error says why there must be no wait; the lock is held again then, too.
    pub(super) fn wait<'a>(
        &'a self,
        mut state: MutexGuard<'a, State<T>>,
        side: Side,
        wake: Option<Unparker>,
    ) -> (MutexGuard<'a, State<T>>, io::Result<()>) {
        state.end(side).waiting = Some(Unparker::current());
        drop(state);
        if let Some(peer) = wake {
            peer.unpark();
        }
        let outcome = park(self.limit(side));
        let mut state = self.lock();
        state.end(side).waiting = None;
        (state, outcome)
    }

    /// Takes the turn of one end, in the order of the calls.
    pub(super) fn enter<'a>(
        &'a self,
        mut state: MutexGuard<'a, State<T>>,
        side: Side,
    ) -> io::Result<MutexGuard<'a, State<T>>> {
        let end = state.end(side);
        if !end.busy {
            end.busy = true;
            return Ok(state);
        }
        let queue = end.queue.get_or_insert_default();
        let ticket = queue.next;
        queue.next = ticket.wrapping_add(1);
        queue.waiting.push_back((ticket, Unparker::current()));
        loop {
            drop(state);
            let outcome = park(self.limit(side));
            state = self.lock();
            let queue = &mut state.end(side).queue.get_or_insert_default().waiting;
            let Some(place) = queue.iter().position(|(other, _)| *other == ticket) else {
                // The turn may have come too late, and has to be passed on then.
                return match self.limit(side).check() {
                    Ok(()) => Ok(state),
                    Err(error) => {
                        self.leave(state, side, None);
                        Err(error)
                    }
                };
            };
            if let Err(error) = outcome {
                queue.remove(place);
                return Err(error);
            }
        }
    }

    /// Passes the turn on, opens the lock, and wakes `wake` and the next one.
    pub(super) fn leave(
        &self,
        mut state: MutexGuard<'_, State<T>>,
        side: Side,
        wake: Option<Unparker>,
    ) {
        let end = state.end(side);
        let next = end.queue.as_mut().and_then(|queue| queue.waiting.pop_front());
        let next = next.map(|(_, next)| next);
        end.busy = next.is_some();
        drop(state);
        [wake, next].iter().flatten().for_each(Unparker::unpark);
    }
}

/// A pipe whose other end hangs on the stack that is being unwound is never woken.
fn park(limit: &Limit) -> io::Result<()> {
    let until = limit.until()?;
    if thread::panicking() { Err(error::wait_while_panicking()) } else { park_until(until) }
}

impl<T> State<T> {
    fn end(&mut self, side: Side) -> &mut End {
        match side {
            Side::Reader => &mut self.reader,
            Side::Writer => &mut self.writer,
        }
    }

    /// Whether somebody has the turn of that end.
    #[inline]
    pub(super) fn busy(&self, side: Side) -> bool {
        match side {
            Side::Reader => self.reader.busy,
            Side::Writer => self.writer.busy,
        }
    }

    /// Who waits at that end and is to be woken, once.
    #[inline]
    pub(super) fn waiting(&mut self, side: Side) -> Option<Unparker> {
        self.end(side).waiting.take()
    }

    #[inline]
    pub(super) fn both_open(&self) -> bool {
        !self.reader.closed && !self.writer.closed
    }

    /// Why nothing can be written, when an end is closed; one's own comes first.
    pub(super) fn write_error(&self) -> Option<io::Error> {
        match (self.writer.closed, self.reader.closed, &self.reader.failure) {
            (false, false, _) => None,
            (false, true, None) => Some(error::reader_gone()),
            (false, true, Some(failure)) => Some(failure.error()),
            (true, ..) => Some(error::closed()),
        }
    }

    /// What a read answers when there is nothing to read, unless both ends are open.
    pub(super) fn read_end(&self) -> Option<io::Result<()>> {
        match (self.reader.closed, self.writer.closed, &self.writer.failure) {
            (false, false, _) => None,
            (false, true, None) => Some(Ok(())),
            (false, true, Some(failure)) => Some(Err(failure.error())),
            (true, ..) => Some(Err(error::closed())),
        }
    }
}
