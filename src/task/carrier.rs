//! What tasks run on: a coroutine that carries out one job after another.
#![expect(unsafe_code, reason = "who suspends finds its coroutine by a pointer")]

use super::stack::{HEADER, Stack};
use crate::sync::thread_local;
use crate::sys::memory::prefetch;
use crate::sys::overflow::{self, Bounds};
use corosensei::{Coroutine, Yielder};
use std::cell::Cell;
use std::mem;
use std::ptr::{self, NonNull};

/// A flow of control with a stack of its own, which runs while its thread [resumes](Self::resume)
/// it. Dropped before its end, it is left as it is, for ever.
pub(super) struct Carrier(NonNull<Body>);

/// It lies at the top of the stack that it owns, so that a task that waits takes no more than its page.
#[repr(align(16))]
struct Body {
    coroutine: Coroutine<(), (), (), Stack>,
    bounds: Bounds,
    /// Where it was suspended last.
    mark: Cell<*const u8>,
}

const _: () = assert!(size_of::<Body>() <= HEADER);

thread_local! {
    /// That of the carrier that runs on this thread.
    static YIELDER: Cell<*const Yielder<(), ()>> = const { Cell::new(ptr::null()) };
    /// Where the carrier that has stopped last did so.
    static MARK: Cell<*const u8> = const { Cell::new(ptr::null()) };
}

impl Carrier {
    /// `body` must catch its panics.
    pub(super) fn new(stack: Stack, body: impl FnOnce() + 'static) -> Self {
        let (place, bounds) = (stack.header().cast(), stack.bounds());
        let coroutine = Coroutine::with_stack(stack, move |yielder, ()| {
            set(yielder);
            body();
        });
        // SAFETY: the header is aligned, large enough, and ours alone, as long as there is the stack.
        unsafe { place.write(Body { coroutine, bounds, mark: Cell::new(ptr::null()) }) };
        Self(place)
    }

    /// Has its own lines fetched into the cache, for [`warm`](Self::warm) and `resume`.
    pub(super) fn approach(&self) {
        prefetch(self.0.as_ptr().cast());
        prefetch(self.0.as_ptr().cast::<u8>().wrapping_add(64));
    }

    /// Has what it looks at first when it goes on fetched into the cache.
    pub(super) fn warm(&self) {
        // SAFETY: as in `resume`.
        let mark = unsafe { self.0.as_ref() }.mark.get();
        for line in -1..4 {
            prefetch(mark.wrapping_offset(64 * line));
        }
    }

    /// Runs it until it suspends itself, or ends: whether it has ended.
    pub(super) fn resume(&mut self) -> bool {
        // SAFETY: it was written by `new` and is taken out by `drop`; `&mut self` says that nobody
        // else has it. What runs on the stack does not touch its header.
        let body = unsafe { self.0.as_mut() };
        // SAFETY: they are borrowed until the outer ones are back.
        let outer = unsafe { overflow::on(&raw const body.bounds) };
        let ended = body.coroutine.resume(()).as_return().is_some();
        body.mark.set(MARK.with(Cell::get));
        // SAFETY: whoever set the outer ones has not got further meanwhile.
        unsafe { overflow::on(outer) };
        ended
    }
}

impl Drop for Carrier {
    fn drop(&mut self) {
        // SAFETY: it was written by `new`, and nobody looks at it after this.
        let body = unsafe { self.0.read() };
        if body.coroutine.started() && !body.coroutine.done() {
            mem::forget(body);
        }
    }
}

/// Stops the carrier that is running. It returns when it is resumed.
pub(super) fn suspend() {
    let yielder = YIELDER.with(Cell::get);
    MARK.with(|mark| mark.set((&raw const yielder).cast()));
    assert!(!yielder.is_null(), "only what runs on a carrier can be suspended");
    // SAFETY: the pointer was set by the carrier that runs now, either when it started or below,
    // after its last resume, since every other one that ran meanwhile has suspended or ended. The
    // yielder lies on its stack as long as it has not ended.
    unsafe { (*yielder).suspend(()) };
    set(yielder);
}

fn set(yielder: *const Yielder<(), ()>) {
    YIELDER.with(|place| place.set(yielder));
}

/// Runs `f`, which does not unwind, as the task of this name.
pub(super) fn named(name: &str, f: impl FnOnce()) {
    // SAFETY: the name is borrowed until it is taken back.
    unsafe { overflow::rename(name) };
    f();
    // SAFETY: it is there for ever.
    unsafe { overflow::rename("") };
}
