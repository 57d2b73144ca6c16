//! Which connections a server has, and how all of them end.

use crate::error;
use crate::park::{Unparker, park_until};
use crate::stream;
use std::fmt;
use std::io;
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Ends a server, from wherever it is held: see [`Server::control`](super::Server::control).
#[derive(Clone)]
pub struct Control {
    pub(super) roll: Arc<Roll>,
}

impl Control {
    /// Has the server end when everything was answered, or at `deadline`.
    ///
    /// It accepts what has already connected, and nobody after that. Connections are closed at once on
    /// which no request has arrived, the others after their response, which says so. What is left at
    /// the deadline is closed as by [`close`](Self::close). This does not wait:
    /// [`Server::serve`](super::Server::serve) returns when all is over.
    ///
    /// Called again, it moves the deadline. After it the server serves nobody any more.
    pub fn shutdown(&self, deadline: Option<Instant>) {
        self.roll.end(deadline, false);
    }

    /// Closes all connections: what handlers read and write fails with `NotConnected`.
    pub fn close(&self) {
        self.roll.close();
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let connections = self.roll.state().count;
        f.debug_struct("Control").field("connections", &connections).finish_non_exhaustive()
    }
}

#[derive(Default)]
pub(super) struct Roll {
    ending: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    places: Vec<Option<stream::Control>>,
    free: Vec<u32>,
    count: usize,
    listeners: Vec<stream::Control>,
    /// When those that are left are closed.
    deadline: Option<Instant>,
    closed: bool,
    /// Who waits for any of this to change.
    waiters: Vec<Unparker>,
}

impl State {
    fn changed(&mut self) -> Vec<Unparker> {
        mem::take(&mut self.waiters)
    }
}

fn wake(waiters: Vec<Unparker>) {
    waiters.iter().for_each(Unparker::unpark);
}

impl Roll {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Acquire)
    }

    /// Somebody listens, until the end.
    pub(super) fn listens(&self, listener: stream::Control) {
        let mut state = self.state();
        if self.is_ending() {
            listener.set_read_deadline(Some(Instant::now()));
        }
        state.listeners.push(listener);
    }

    /// A connection; `None` if there are to be none any more.
    pub(super) fn enter(&self, connection: stream::Control) -> Option<u32> {
        let mut state = self.state();
        if state.closed {
            return None;
        }
        state.count += 1;
        if let Some(place) = state.free.pop() {
            state.places[place as usize] = Some(connection);
            return Some(place);
        }
        state.places.push(Some(connection));
        // There are not so many descriptors.
        Some((state.places.len() - 1) as u32)
    }

    pub(super) fn leave(&self, place: u32) {
        let mut state = self.state();
        let connection = state.places[place as usize].take();
        state.free.push(place);
        state.count -= 1;
        let waiters = state.changed();
        drop((state, connection));
        wake(waiters);
    }

    /// The end begins, and is there at once if it `closes`.
    fn end(&self, deadline: Option<Instant>, closes: bool) {
        let mut state = self.state();
        state.deadline = deadline;
        // Not later: who waits must not take a close for a deadline that has passed.
        state.closed |= closes;
        self.ending.store(true, Ordering::Release);
        for listener in mem::take(&mut state.listeners) {
            listener.set_read_deadline(Some(Instant::now()));
        }
        for connection in state.places.iter().flatten() {
            // Those that rest look whether a request has come, and end.
            connection.nudge();
            if closes {
                connection.close();
            }
        }
        let waiters = state.changed();
        drop(state);
        wake(waiters);
    }

    fn close(&self) {
        self.end(Some(Instant::now()), true);
    }

    pub(super) fn has_fewer(&self, most: usize) -> bool {
        self.state().count < most
    }

    /// Waits until there are fewer than `most` connections, or no more to come.
    pub(super) fn make_room(&self, most: usize) -> io::Result<()> {
        self.wait(|state| state.count < most || self.is_ending(), |_| None).map(drop)
    }

    /// Waits until the last connection has ended, or has been closed at the deadline.
    pub(super) fn wait_for_all(&self) -> io::Result<()> {
        if self.wait(|state| state.count == 0 || state.closed, |state| state.deadline)? {
            return Ok(());
        }
        let left = self.state().count;
        self.close();
        Err(error::cut_off(left))
    }

    /// `false` if the time that `until` tells came first.
    fn wait(
        &self,
        done: impl Fn(&State) -> bool,
        until: impl Fn(&State) -> Option<Instant>,
    ) -> io::Result<bool> {
        loop {
            let mut state = self.state();
            if done(&state) {
                return Ok(true);
            }
            let until = until(&state);
            if until.is_some_and(|at| at <= Instant::now()) {
                return Ok(false);
            }
            state.waiters.push(Unparker::current());
            drop(state);
            park_until(until)?;
        }
    }
}

#[cfg(all(test, not(miri), not(aqueduct_loom), not(aqueduct_shuttle)))]
mod tests {
    use super::*;
    use crate::net::UnixStream;
    use std::thread;

    #[test]
    fn a_close_is_no_deadline_that_has_passed() {
        let (stream, _peer) = UnixStream::pair().unwrap();
        for _ in 0..200 {
            let roll = Roll::default();
            roll.enter(stream.control()).unwrap();
            thread::scope(|scope| {
                let waiting = scope.spawn(|| roll.wait_for_all());
                while roll.state().waiters.is_empty() {
                    thread::yield_now();
                }
                roll.close();
                waiting.join().unwrap().unwrap();
            });
        }
    }
}
