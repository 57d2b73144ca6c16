//! The pipe that holds bytes: the writer fills one buffer while the reader empties another.
//!
//! The reader swaps the two when its own is empty. So the lock is held for one append or one
//! swap, the ends meet once per bufferful instead of once per call, and what was swapped is
//! the reader's alone, to be lent out without a copy.

use super::gate::{Gate, Side, State, lock};
use super::limits::Apart;
use crate::error;
use crate::park::spin_until;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Mutex, MutexGuard};
use std::io::{self, IoSlice};
use std::sync::Arc;

pub(super) struct Buffered {
    gate: Gate<Vec<u8>, Arc<Apart>>,
    capacity: usize,
    /// How many bytes lie there, or more where there is an end to be seen: a hint, to look at
    /// without the lock.
    level: AtomicUsize,
}

/// The reader's buffer: bytes that it has fetched and not handed out.
#[derive(Default)]
pub(super) struct Ahead {
    bytes: Vec<u8>,
    at: usize,
    end: usize,
}

impl Ahead {
    #[inline]
    pub(super) fn left(&self) -> &[u8] {
        self.bytes.get(self.at..self.end).unwrap_or_default()
    }

    #[inline]
    pub(super) fn consume(&mut self, n: usize) {
        self.at = self.at.saturating_add(n).min(self.end);
    }

    /// Refills it, when empty, by `read` into `size` bytes of it.
    pub(super) fn refill(
        &mut self,
        size: usize,
        read: impl FnOnce(&mut [u8]) -> io::Result<usize>,
    ) -> io::Result<()> {
        (self.at, self.end) = (0, 0);
        self.bytes.resize(size, 0);
        self.end = read(&mut self.bytes)?;
        Ok(())
    }

    /// Refills it, when empty, with all of `bytes`, which get its memory in return.
    fn swap(&mut self, bytes: &mut Vec<u8>) {
        self.bytes.clear();
        std::mem::swap(&mut self.bytes, bytes);
        (self.at, self.end) = (0, self.bytes.len());
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

impl Buffered {
    pub(super) fn new(capacity: usize) -> Self {
        Self { gate: Gate::new(Vec::new()), capacity, level: AtomicUsize::new(0) }
    }

    pub(super) fn gate(&self) -> &Gate<Vec<u8>, Arc<Apart>> {
        &self.gate
    }

    pub(super) fn close(&self, side: Side, failure: Option<io::Error>) {
        self.gate.close(side, failure);
        self.level.store(usize::MAX, Ordering::Relaxed);
        if matches!(side, Side::Reader) {
            let rest = std::mem::take(&mut self.gate.lock().between);
            drop(rest);
        }
    }

    /// How many bytes the memory for the writer could hold.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.gate.lock().between.capacity()
    }

    /// All of `parts`, with waits while the buffer is full.
    pub(super) fn write(&self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let total = parts.iter().fold(0, |sum: usize, part| sum.saturating_add(part.len()));
        let mut state = self.gate.lock();
        self.gate.check_write(&state)?;
        if total == 0 {
            return Ok(0);
        }
        if !state.busy(Side::Writer) && total <= self.capacity - state.between.len() {
            reserve(&mut state.between, total, self.capacity)?;
            let before = state.between.len();
            parts.iter().for_each(|part| state.between.extend_from_slice(part));
            warm(&mut state.between, before);
            self.level.store(state.between.len(), Ordering::Relaxed);
            let reader = state.waiting(Side::Reader);
            drop(state);
            if let Some(reader) = reader {
                reader.unpark();
            }
            return Ok(total);
        }
        self.write_slowly(state, parts)
    }

    #[cold]
    fn write_slowly<'a>(
        &'a self,
        state: MutexGuard<'a, State<Vec<u8>>>,
        parts: &[IoSlice<'_>],
    ) -> io::Result<usize> {
        let mut state = self.gate.enter(state, Side::Writer)?;
        let mut written = 0usize;
        let mut parts = parts.iter().map(|part| &**part).filter(|part| !part.is_empty());
        let mut part = parts.next();
        let mut failed = None;
        while let Some(bytes) = part {
            failed = self.gate.check_write(&state).err();
            if failed.is_some() {
                break;
            }
            let room = self.capacity - state.between.len();
            let n = room.min(bytes.len()).min(usize::MAX - written);
            if n > 0 {
                failed = reserve(&mut state.between, n, self.capacity).err();
                if failed.is_some() {
                    break;
                }
                let (now, later) = bytes.split_at(n);
                state.between.extend_from_slice(now);
                self.level.store(state.between.len(), Ordering::Relaxed);
                written += n;
                part = if later.is_empty() { parts.next() } else { Some(later) };
            } else if room > 0 {
                break;
            } else {
                let reader = state.waiting(Side::Reader);
                let (again, outcome) = self.gate.wait(state, Side::Writer, reader);
                state = again;
                failed = outcome.err();
                if failed.is_some() {
                    break;
                }
            }
        }
        let reader = state.waiting(Side::Reader);
        self.gate.leave(state, Side::Writer, reader);
        match failed {
            // The count first; the cause is there for the next call.
            Some(error) if written == 0 => Err(error),
            _ => Ok(written),
        }
    }

    /// The reader's buffer, filled if it was empty, with waits; still empty only at the end.
    pub(super) fn fetch<'a>(&self, ahead: &'a Mutex<Ahead>) -> io::Result<MutexGuard<'a, Ahead>> {
        let mut mine = lock(ahead);
        let mut turn = false;
        loop {
            let mut state = self.gate.lock();
            let mut wake = None;
            // What is there belongs to who came first.
            let busy = !turn && state.busy(Side::Reader);
            let answer = if let Err(error) = self.gate.limit(Side::Reader).check() {
                Some(Err(error))
            } else if !mine.left().is_empty() {
                Some(Ok(()))
            } else if busy {
                None
            } else if !state.between.is_empty() {
                mine.swap(&mut state.between);
                self.level.store(0, Ordering::Relaxed);
                wake = state.waiting(Side::Writer);
                Some(Ok(()))
            } else {
                state.read_end()
            };
            if let Some(answer) = answer {
                if turn {
                    self.gate.leave(state, Side::Reader, wake);
                } else {
                    drop(state);
                    if let Some(writer) = wake {
                        writer.unpark();
                    }
                }
                return answer.map(|()| mine);
            }
            // Others look into the buffer while this one waits.
            drop(mine);
            if turn {
                let (again, outcome) = self.gate.wait(state, Side::Reader, None);
                if let Err(error) = outcome {
                    self.gate.leave(again, Side::Reader, None);
                    return Err(error);
                }
            } else {
                drop(state);
                if busy || !self.look() {
                    drop(self.gate.enter(self.gate.lock(), Side::Reader)?);
                    turn = true;
                }
            }
            mine = lock(ahead);
        }
    }

    /// Whether something has come before it paid to wait for it.
    ///
    /// A writer that goes on and on is let alone for a while: if each of its writes were fetched
    /// as it comes, the ends would hinder each other at all of them.
    fn look(&self) -> bool {
        let level = || self.level.load(Ordering::Relaxed);
        if !spin_until(|| level() > 0) {
            return false;
        }
        let mut seen = 0;
        for _ in 0..ROUNDS {
            let now = level();
            if now <= seen || now > self.capacity / 2 {
                break;
            }
            seen = now;
            (0..PAUSES).for_each(|_| std::hint::spin_loop());
        }
        true
    }
}

/// How often, and after how many pauses, a reader looks whether the writer goes on.
const ROUNDS: u32 = 32;
const PAUSES: u32 = 16;

/// Room for `more` bytes, grown by doubling but not past the capacity of the pipe.
#[inline]
fn reserve(bytes: &mut Vec<u8>, more: usize, capacity: usize) -> io::Result<()> {
    if more <= bytes.capacity() - bytes.len() {
        return Ok(());
    }
    let wanted = bytes.len() + more;
    let size = wanted.max(bytes.capacity().saturating_mul(2)).clamp(256.min(capacity), capacity);
    bytes.try_reserve_exact(size - bytes.len()).map_err(|_| error::no_memory(wanted))
}

/// How much of the buffer small writes take over from the reader's cache at a time.
const BLOCK: usize = 1024;

/// Takes over the block that a small write, of all after `before`, has come to.
///
/// Each line that the reader has read lies in its processor's cache, and the unlocking of a
/// mutex waits until the lines written before it are in ours. Zeros written in one go overlap
/// these transfers; without them, every write of a line waits for one.
#[inline]
fn warm(bytes: &mut Vec<u8>, before: usize) {
    let len = bytes.len();
    let block = len.div_ceil(BLOCK);
    if block > before.div_ceil(BLOCK) && len - before <= BLOCK / 4 {
        bytes.resize((block * BLOCK).min(bytes.capacity()), 0);
        bytes.truncate(len);
    }
}
