//! The pipe that holds nothing: whoever comes first waits, whoever comes second copies.

use super::gate::{Gate, Side};
use super::lend::{Cursor, Desk, give, want};
use super::limits::Limits;
use std::io::{self, IoSlice, IoSliceMut};

pub(super) struct Rendezvous {
    gate: Gate<Desk, Limits>,
}

impl Rendezvous {
    pub(super) fn new() -> Self {
        Self { gate: Gate::new(Desk::default()) }
    }

    pub(super) fn gate(&self) -> &Gate<Desk, Limits> {
        &self.gate
    }

    pub(super) fn close(&self, side: Side, failure: Option<io::Error>) {
        self.gate.close(side, failure);
    }

    /// All of `parts`; returns when the last byte is in the hands of a reader.
    pub(super) fn write(&self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let total = parts.iter().fold(0, |sum: usize, part| sum.saturating_add(part.len()));
        let state = self.gate.lock();
        self.gate.check_write(&state)?;
        if total == 0 {
            return Ok(0);
        }
        let mut state = self.gate.enter(state, Side::Writer)?;
        let mut at = Cursor::new(total);
        let mut outcome = Ok(());
        let mut reader = None;
        if state.both_open() {
            if state.between.hand(parts, &mut at, self.gate.limit(Side::Reader)) {
                reader = state.waiting(Side::Reader);
            }
            if at.left > 0 {
                (state, outcome) = give(&self.gate, state, parts, &mut at, reader.take());
            }
        }
        // The count first; the cause is there for the next call.
        let answer = match (at.moved, outcome, state.write_error()) {
            (0, Err(error), _) | (0, Ok(()), Some(error)) => Err(error),
            (moved, ..) => Ok(moved),
        };
        self.gate.leave(state, Side::Writer, reader);
        answer
    }

    /// What one write has for `parts`; 0 only at the end, or when there is no room in them.
    pub(super) fn read(&self, parts: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let total = parts.iter().fold(0, |sum: usize, part| sum.saturating_add(part.len()));
        let state = self.gate.lock();
        self.gate.limit(Side::Reader).check()?;
        if total == 0 {
            return Ok(0);
        }
        let mut state = self.gate.enter(state, Side::Reader)?;
        let mut at = Cursor::new(total);
        let mut outcome = Ok(());
        let mut writer = None;
        if state.both_open() {
            match state.between.pick(parts, &mut at, self.gate.limit(Side::Writer)) {
                Some(true) => writer = state.waiting(Side::Writer),
                Some(false) => {}
                None => (state, outcome) = want(&self.gate, state, parts, &mut at),
            }
        }
        let answer = match (at.moved, outcome, state.read_end()) {
            (0, Err(error), _) | (0, Ok(()), Some(Err(error))) => Err(error),
            (moved, ..) => Ok(moved),
        };
        self.gate.leave(state, Side::Reader, writer);
        answer
    }
}
