//! Pipes of our own, through which bytes go where neither end is one, and copies for each
//! further outlet.
//!
//! A broker is held only for a step. An empty one goes back to the pool; one that still holds
//! bytes is closed, so that nobody ever finds another copy's bytes in it. All of them together
//! are bounded.

use crate::sys;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

const LARGE: usize = 1 << 20;
const SMALL: usize = 64 << 10;
/// The most memory that all brokers of the process may hold.
const BOUND: usize = 16 << 20;
/// Once less than this is left of it, new brokers are small.
const RESERVE: usize = 2 << 20;

/// So many empty brokers are kept for the next copies.
const IDLE: usize = 4;

static POOL: Pool = Pool::new();

/// Takes a broker of at least `capacity` bytes; `Ok(None)` when the process's share is used up or
/// the system grants no pipe so large.
pub(super) fn take(capacity: usize) -> io::Result<Option<Broker>> {
    POOL.take(capacity)
}

/// Idle brokers, and the memory of all.
#[derive(Debug)]
struct Pool {
    idle: Mutex<Vec<Broker>>,
    held: AtomicUsize,
}

/// An empty pipe.
#[derive(Debug)]
pub(super) struct Broker {
    reader: OwnedFd,
    writer: OwnedFd,
    charge: Charge,
}

/// A share of [`BOUND`], given back on drop.
#[derive(Debug)]
struct Charge {
    pool: &'static Pool,
    bytes: usize,
}

impl Pool {
    const fn new() -> Self {
        Self { idle: Mutex::new(Vec::new()), held: AtomicUsize::new(0) }
    }

    fn take(&'static self, capacity: usize) -> io::Result<Option<Broker>> {
        let pooled = {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            let found = idle.iter().rposition(|broker| broker.capacity() >= capacity);
            found.map(|index| idle.swap_remove(index))
        };
        pooled.map_or_else(|| self.create(capacity), |broker| Ok(Some(broker)))
    }

    fn create(&'static self, capacity: usize) -> io::Result<Option<Broker>> {
        let generous = self.held.load(Ordering::Relaxed) + LARGE + RESERVE <= BOUND;
        let size = capacity.max(if generous { LARGE } else { SMALL });
        let Some(mut charge) = self.charge(size) else { return Ok(None) };
        let (reader, writer) = sys::pipe()?;
        // EPERM: the user's quota of pipe memory is used up. What the pipe has must do.
        let granted = sys::set_pipe_size(writer.as_fd(), size)
            .or_else(|_| sys::pipe_size(writer.as_fd()))
            .unwrap_or(SMALL);
        if granted < capacity {
            return Ok(None);
        }
        charge.reduce(granted);
        Ok(Some(Broker { reader, writer, charge }))
    }

    fn charge(&'static self, bytes: usize) -> Option<Charge> {
        let add = |held: usize| held.checked_add(bytes).filter(|&sum| sum <= BOUND);
        let added = self.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
        added.ok().map(|_| Charge { pool: self, bytes })
    }
}

impl Charge {
    fn reduce(&mut self, bytes: usize) {
        let excess = self.bytes.saturating_sub(bytes);
        self.bytes -= excess;
        self.pool.held.fetch_sub(excess, Ordering::Relaxed);
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.pool.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Broker {
    /// Back to the pool. Only for a broker that is empty; any other is dropped.
    pub(super) fn give_back(self) {
        let mut idle = self.charge.pool.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE {
            idle.push(self);
        }
    }

    pub(super) fn capacity(&self) -> usize {
        self.charge.bytes
    }

    pub(super) fn reader(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }

    pub(super) fn writer(&self) -> BorrowedFd<'_> {
        self.writer.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_of_all_brokers_is_bounded() {
        static POOL: Pool = Pool::new();
        let mut held = Vec::new();
        while let Some(broker) = POOL.take(0).expect("a pipe") {
            held.push(broker);
            assert!(held.len() <= BOUND / SMALL);
        }
        assert!(POOL.held.load(Ordering::Relaxed) <= BOUND);
        assert_eq!(held.last().map(Broker::capacity), Some(SMALL), "small ones come last");
        drop(held);
        assert_eq!(POOL.held.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn few_idle_brokers_are_kept() {
        static POOL: Pool = Pool::new();
        let held: Vec<_> = (0..6).filter_map(|_| POOL.take(0).expect("a pipe")).collect();
        held.into_iter().for_each(Broker::give_back);
        assert_eq!(POOL.idle.lock().expect("no panic").len(), IDLE);
    }
}
