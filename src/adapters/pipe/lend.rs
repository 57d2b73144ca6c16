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
use super::limits::Limit;
use crate::error;
use crate::park::Unparker;
use std::io::{self, IoSlice, IoSliceMut};
use std::sync::MutexGuard;

/// What the ends of a rendezvous have left for each other.
#[derive(Default)]
pub(super) struct Desk {
    given: Option<Given>,
    wanted: Option<Wanted>,
}

/// A waiting writer's slices.
struct Given {
    parts: *const [IoSlice<'static>],
    at: Cursor,
    /// Its deadline had passed when the reader came: nothing is taken any more.
    late: bool,
}

/// A waiting reader's slices.
struct Wanted {
    parts: *mut [IoSliceMut<'static>],
    at: Cursor,
    /// Its deadline had passed when the writer came: nothing is put there any more.
    late: bool,
}

// SAFETY: it stands for a `&[IoSlice]`, which is `Send`.
unsafe impl Send for Given {}
// SAFETY: it stands for a `&mut [IoSliceMut]`, which is `Send`.
unsafe impl Send for Wanted {}

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

impl Desk {
    /// Copies into the slices of a reader that waits and has got nothing so far; whether it did.
    /// `limit` is the reader's, and a reader that is late once stays so: the writer that it was
    /// too late for does not come back to it.
    pub(super) fn hand(&mut self, parts: &[IoSlice<'_>], at: &mut Cursor, limit: &Limit) -> bool {
        match &mut self.wanted {
            Some(wanted) if wanted.at.moved == 0 && !wanted.late => {
                wanted.late = limit.check().is_err();
                if wanted.late {
                    return false;
                }
                // SAFETY: the slices lie on the desk, so their reader is within `want`, which
                // takes them back before the borrow it was given ends. It needs the lock for
                // that, which our caller holds while it has `&mut self`. The reader itself does
                // not touch them meanwhile, and no other reference to them exists.
                let room = unsafe { &mut *wanted.parts };
                copy(parts, at, room, &mut wanted.at);
                true
            }
            _ => false,
        }
    }

    /// Copies out of the slices of a writer that waits. `None`: there is none; else whether it
    /// has nothing left. `limit` is the writer's; see [`hand`](Self::hand).
    pub(super) fn pick(
        &mut self,
        parts: &mut [IoSliceMut<'_>],
        at: &mut Cursor,
        limit: &Limit,
    ) -> Option<bool> {
        let given = self.given.as_mut().filter(|given| given.at.left > 0 && !given.late)?;
        given.late = limit.check().is_err();
        if given.late {
            return None;
        }
        // SAFETY: the slices lie on the desk, so their writer is within `give`, which takes them
        // back before the borrow it was given ends. It needs the lock for that, which our caller
        // holds while it has `&mut self`. They are only read, here and by the writer.
        let bytes = unsafe { &*given.parts };
        copy(bytes, &mut given.at, parts, at);
        Some(given.at.left == 0)
    }
}

type Locked<'a> = MutexGuard<'a, State<Desk>>;

/// Lends `parts` to the reader until all is taken or an end is closed. The caller has the turn.
pub(super) fn give<'a>(
    gate: &'a Gate<Desk>,
    mut state: Locked<'a>,
    parts: &[IoSlice<'_>],
    at: &mut Cursor,
    mut wake: Option<Unparker>,
) -> (Locked<'a>, io::Result<()>) {
    let stay = Stay;
    // A cast may lengthen the lifetime behind a raw pointer; whoever reads through it says why
    // it still lives.
    let parts = std::ptr::from_ref(parts) as *const [IoSlice<'static>];
    state.between.given = Some(Given { parts, at: *at, late: false });
    let mut outcome = Ok(());
    while outcome.is_ok()
        && state.both_open()
        && state.between.given.as_ref().is_some_and(|given| given.at.left > 0 && !given.late)
    {
        (state, outcome) = gate.wait(state, Side::Writer, wake.take());
    }
    if let Some(given) = state.between.given.take() {
        *at = given.at;
        if given.late && outcome.is_ok() {
            outcome = Err(error::timed_out());
        }
    }
    std::mem::forget(stay);
    (state, outcome)
}

/// Lends `parts` to the writer until something is there or an end is closed. The caller has the
/// turn.
pub(super) fn want<'a>(
    gate: &'a Gate<Desk>,
    mut state: Locked<'a>,
    parts: &mut [IoSliceMut<'_>],
    at: &mut Cursor,
) -> (Locked<'a>, io::Result<()>) {
    let stay = Stay;
    let parts = std::ptr::from_mut(parts) as *mut [IoSliceMut<'static>];
    state.between.wanted = Some(Wanted { parts, at: *at, late: false });
    let mut outcome = Ok(());
    while outcome.is_ok()
        && state.both_open()
        && state.between.wanted.as_ref().is_some_and(|wanted| wanted.at.moved == 0 && !wanted.late)
    {
        (state, outcome) = gate.wait(state, Side::Reader, None);
    }
    if let Some(wanted) = state.between.wanted.take() {
        *at = wanted.at;
        if wanted.late && outcome.is_ok() {
            outcome = Err(error::timed_out());
        }
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
