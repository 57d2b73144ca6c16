//! Slices lent across threads: the only unsafe code of the pipe.
//!
//! Whoever has to wait leaves its slices on the [`Desk`], under the lock of the pipe, and the
//! other end copies into or out of them, under the same lock. They are taken back, under that
//! lock too, before the borrow ends: [`give`] and [`want`] are the only ways to leave something,
//! they do not return before they have cleared the desk, and they abort the process rather than
//! unwind in between. The desk stays where it is as long as the pipe: nothing here or elsewhere
//! moves what lies on it.
#![expect(unsafe_code, reason = "a lent slice is a raw pointer in shared state")]
#![allow(clippy::unnecessary_cast, reason = "the casts change a lifetime, which the lint misses")]

use super::gate::{Gate, Side, State};
use super::limits::{Limit, Limits};
use crate::error;
use crate::park::Unparker;
use crate::sync::MutexGuard;
use std::io::{self, IoSlice, IoSliceMut};
use std::ptr::NonNull;

/// What the ends of a rendezvous have left for each other. It lies on the stack of who has left it,
/// which costs a pipe that waits no room of its own.
#[derive(Default)]
pub(super) struct Desk {
    given: Option<NonNull<Given>>,
    wanted: Option<NonNull<Wanted>>,
}

/// A waiting writer's slices.
struct Given {
    parts: *const [IoSlice<'static>],
    at: Cursor,
    /// A reader came after the writer's deadline.
    late: bool,
}

/// A waiting reader's slices.
struct Wanted {
    parts: *mut [IoSliceMut<'static>],
    at: Cursor,
    /// A writer came after the reader's deadline.
    late: bool,
}

// SAFETY: it stands for a `&[IoSlice]` and a `&mut [IoSliceMut]`, which are `Send`.
unsafe impl Send for Desk {}

/// How far a list of slices has been gone through.
#[derive(Clone, Copy)]
pub(super) struct Cursor {
    part: usize,
    offset: usize,
    pub(super) left: usize,
    pub(super) moved: usize,
}

impl Cursor {
    /// Before the first of `total` bytes.
    pub(super) fn new(total: usize) -> Self {
        Self { part: 0, offset: 0, left: total, moved: 0 }
    }

    fn step(&mut self, n: usize, of: usize) {
        self.left -= n;
        self.moved += n;
        self.offset += n;
        if self.offset == of {
            self.part += 1;
            self.offset = 0;
        }
    }
}

/// As many bytes as both have left.
fn copy(from: &[IoSlice<'_>], f: &mut Cursor, to: &mut [IoSliceMut<'_>], t: &mut Cursor) {
    while f.left > 0 && t.left > 0 {
        let (Some(source), Some(target)) = (from.get(f.part), to.get_mut(t.part)) else { return };
        let bytes = &source[f.offset..];
        let room = &mut target[t.offset..];
        let n = bytes.len().min(room.len()).min(f.left).min(t.left);
        room[..n].copy_from_slice(&bytes[..n]);
        let (source, target) = (source.len(), target.len());
        f.step(n, source);
        t.step(n, target);
    }
}

impl Given {
    fn is_open(&self) -> bool {
        self.at.left > 0 && !self.late
    }
}

impl Wanted {
    fn is_open(&self) -> bool {
        self.at.moved == 0 && !self.late
    }
}

impl Desk {
    /// Copies into the slices of a reader that waits and has got nothing so far; whether it did.
    /// `limit` is the reader's, and a reader that is late once stays so: the writer that it was
    /// too late for does not come back to it.
    pub(super) fn hand(&mut self, parts: &[IoSlice<'_>], at: &mut Cursor, limit: &Limit) -> bool {
        // SAFETY: what lies on the desk is there until its reader, within `want`, takes it back. It
        // needs the lock for that, which our caller holds while it has `&mut self`, and does not
        // touch it otherwise.
        let Some(wanted) = self.wanted.as_mut().map(|wanted| unsafe { wanted.as_mut() }) else {
            return false;
        };
        if !wanted.is_open() {
            return false;
        }
        wanted.late = limit.check().is_err();
        if wanted.late {
            return false;
        }
        // SAFETY: as above, and the slices are borrowed from within `want`, where nobody touches
        // them, so that no other reference to them exists.
        let room = unsafe { &mut *wanted.parts };
        copy(parts, at, room, &mut wanted.at);
        true
    }

    /// Copies out of the slices of a writer that waits. `None`: there is none; else whether it
    /// has nothing left. `limit` is the writer's; see [`hand`](Self::hand).
    pub(super) fn pick(
        &mut self,
        parts: &mut [IoSliceMut<'_>],
        at: &mut Cursor,
        limit: &Limit,
    ) -> Option<bool> {
        // SAFETY: what lies on the desk is there until its writer, within `give`, takes it back. It
        // needs the lock for that, which our caller holds while it has `&mut self`, and does not
        // touch it otherwise.
        let given = self.given.as_mut().map(|given| unsafe { given.as_mut() })?;
        if !given.is_open() {
            return None;
        }
        given.late = limit.check().is_err();
        if given.late {
            return None;
        }
        // SAFETY: as above, and the slices are borrowed from within `give`; they are only read, here
        // and there.
        let bytes = unsafe { &*given.parts };
        copy(bytes, &mut given.at, parts, at);
        Some(given.at.left == 0)
    }
}

type Locked<'a> = MutexGuard<'a, State<Desk>>;

/// Lends `parts` to the reader until all is taken or an end is closed. The caller has the turn.
pub(super) fn give<'a>(
    gate: &'a Gate<Desk, Limits>,
    mut state: Locked<'a>,
    parts: &[IoSlice<'_>],
    at: &mut Cursor,
    mut wake: Option<Unparker>,
) -> (Locked<'a>, io::Result<()>) {
    let stay = Stay;
    // A cast may lengthen the lifetime behind a raw pointer; whoever reads through it says why
    // it still lives.
    let parts = std::ptr::from_ref(parts) as *const [IoSlice<'static>];
    let mut given = Given { parts, at: *at, late: false };
    let place = NonNull::from(&mut given);
    state.between.given = Some(place);
    let mut outcome = Ok(());
    // SAFETY: `given` is there until we return, and this is read under the lock.
    while outcome.is_ok() && state.both_open() && unsafe { place.as_ref() }.is_open() {
        (state, outcome) = gate.wait(state, Side::Writer, wake.take());
    }
    state.between.given = None;
    // SAFETY: as above, and nobody else can reach it any more.
    let given = unsafe { place.as_ref() };
    *at = given.at;
    if given.late && outcome.is_ok() {
        outcome = Err(error::timed_out());
    }
    std::mem::forget(stay);
    (state, outcome)
}

/// Lends `parts` to the writer until something is there or an end is closed. The caller has the
/// turn.
pub(super) fn want<'a>(
    gate: &'a Gate<Desk, Limits>,
    mut state: Locked<'a>,
    parts: &mut [IoSliceMut<'_>],
    at: &mut Cursor,
) -> (Locked<'a>, io::Result<()>) {
    let stay = Stay;
    let parts = std::ptr::from_mut(parts) as *mut [IoSliceMut<'static>];
    let mut wanted = Wanted { parts, at: *at, late: false };
    let place = NonNull::from(&mut wanted);
    state.between.wanted = Some(place);
    let mut outcome = Ok(());
    // SAFETY: `wanted` is there until we return, and this is read under the lock.
    while outcome.is_ok() && state.both_open() && unsafe { place.as_ref() }.is_open() {
        (state, outcome) = gate.wait(state, Side::Reader, None);
    }
    state.between.wanted = None;
    // SAFETY: as above, and nobody else can reach it any more.
    let wanted = unsafe { place.as_ref() };
    *at = wanted.at;
    if wanted.late && outcome.is_ok() {
        outcome = Err(error::timed_out());
    }
    std::mem::forget(stay);
    (state, outcome)
}

/// Slices of this stack are lent: it must not be unwound. Parks do not unwind, and if one did,
/// the other end would go on with memory that is no longer there.
struct Stay;

impl Drop for Stay {
    fn drop(&mut self) {
        std::process::abort();
    }
}
