//! A read or a write of a stream that is registered takes no memory from the allocator, waiting or not.
#![cfg(target_os = "linux")]

#[path = "kit/mod.rs"]
mod kit;

use aqueduct::stream::Stream;
use kit::{Waiting, Way, registered, streams, tcp, unix};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;

thread_local!(static TAKEN: Cell<usize> = const { Cell::new(0) });

/// How often this thread has asked for memory.
fn taken() -> usize {
    TAKEN.get()
}

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn count() {
    let _ = TAKEN.try_with(|taken| taken.set(taken.get() + 1));
}

#[expect(unsafe_code, reason = "an allocator is counted")]
// SAFETY: all is the system's allocator's.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as the caller has promised.
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as the caller has promised.
        unsafe { System.realloc(memory, layout, size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as the caller has promised.
        unsafe { System.dealloc(memory, layout) }
    }
}

/// Before what is kept for later has been made.
const WARM: usize = 200;
const ROUNDS: usize = 1000;

/// Each read waits for the other end's answer.
fn ping_pong(mut near: Stream<OwnedFd>, mut far: Stream<OwnedFd>, way: Way) -> usize {
    let echo = Waiting::start(way, 1, move || {
        let mut byte = [0];
        while far.read(&mut byte).unwrap() > 0 {
            far.write_all(&byte).unwrap();
        }
    });
    let mut before = 0;
    for round in 0..WARM + ROUNDS {
        if round == WARM {
            before = taken();
        }
        near.write_all(b"x").unwrap();
        near.read_exact(&mut [0]).unwrap();
    }
    let during = taken() - before;
    drop(near);
    echo.join();
    during
}

/// No call waits.
fn back_and_forth(mut near: Stream<OwnedFd>, mut far: Stream<OwnedFd>) -> usize {
    let mut before = 0;
    for round in 0..WARM + ROUNDS {
        if round == WARM {
            before = taken();
        }
        far.write_all(&[7; 100]).unwrap();
        near.read_exact(&mut [0; 100]).unwrap();
    }
    taken() - before
}

#[test]
fn reads_and_writes_take_no_memory() {
    fn check<T: Into<OwnedFd> + 'static>(pair: fn() -> (T, T)) {
        // Who waits for a stream that is at home elsewhere duplicates it each time.
        for way in Way::pollers().filter(|way| *way != Way::Across) {
            way.run("no memory is taken", move || {
                for waits in [false, true] {
                    let (near, far) = pair();
                    let (near, far) = streams((near.into(), far.into()));
                    let (near, far) = (registered(way, near), registered(way, far));
                    let taken =
                        if waits { ping_pong(near, far, way) } else { back_and_forth(near, far) };
                    assert_eq!(taken, 0, "in {ROUNDS} rounds, {way:?}, waits {waits}");
                }
            });
        }
    }
    check(tcp);
    check(unix);
}

#[test]
fn the_allocator_counts() {
    let before = taken();
    let mut bytes = Vec::<u8>::with_capacity(1);
    bytes.reserve(100);
    assert_eq!(std::hint::black_box(taken()) - before, 2, "{bytes:?}");
}
