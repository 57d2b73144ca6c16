//! Models of a thread's permit. Conditions are stored and looked at without any order of their
//! own: whoever takes the permit must see what was done before it was left.

use super::super::{OWN, Unparker, park_on, park_until};
use super::{IDLE, POLLING, Permit, WOKEN};
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sys::Watch;
use crate::sys::model::{arrive, descriptor, read, run_out_of_descriptors, signals, sleeps};
use loom::thread;
use std::sync::{Arc, Weak};
use std::task::Wake;

/// How the owner sleeps.
type Park = fn();

fn by_condition() {
    park_until(None).unwrap();
}

fn by_poll() {
    park_on(&mut [], None).unwrap();
}

/// Beside a descriptor that is ready, too.
fn by_poll_of_a_descriptor() {
    park_on(&mut [Watch::readable(descriptor(0))], None).unwrap();
}

/// Flags that wakers set, each its own, before they wake.
struct Flags<const N: usize>([AtomicBool; N]);

impl<const N: usize> Flags<N> {
    fn new() -> &'static Self {
        Box::leak(Box::new(Self(std::array::from_fn(|_| AtomicBool::new(false)))))
    }

    fn are_set(&self) -> bool {
        self.0.iter().all(|flag| flag.load(Ordering::Relaxed))
    }
}

fn explore(preemptions: usize, body: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(body);
}

fn wake(permit: &Arc<Permit>) {
    permit.wake_by_ref();
}

/// `N` wakers beside the owner, who parks by these in turn until all have come.
fn woken<const N: usize>(parks: &'static [Park], wake: fn(&Arc<Permit>)) {
    explore(3, move || {
        let flags = Flags::<N>::new();
        let wakers: Vec<_> = (0..N)
            .map(|n| {
                let owner = OWN.with(|own| Arc::clone(&own.permit));
                thread::spawn(move || {
                    flags.0[n].store(true, Ordering::Relaxed);
                    wake(&owner);
                })
            })
            .collect();
        let mut parks = parks.iter().cycle();
        while !flags.are_set() {
            parks.next().unwrap()();
        }
        wakers.into_iter().for_each(|waker| waker.join().unwrap());
        assert_eq!(signals(), sleeps(), "signals, and sleeps in poll");
    });
}

#[test]
fn loom_no_wake_is_lost() {
    woken::<2>(&[by_condition], wake);
}

#[test]
fn loom_no_wake_is_lost_in_poll_and_each_sleep_has_one_signal() {
    woken::<2>(&[by_poll], wake);
}

#[test]
fn loom_no_wake_is_lost_whichever_way_the_owner_sleeps() {
    woken::<2>(&[by_poll, by_condition], wake);
    woken::<2>(&[by_condition, by_poll], wake);
}

/// A sleep that ends by itself, with a waker on its way to the event.
#[test]
fn loom_no_wake_is_lost_beside_a_descriptor() {
    explore(3, || {
        let flags = Flags::<1>::new();
        let owner = Unparker::current();
        let waker = thread::spawn(move || {
            flags.0[0].store(true, Ordering::Relaxed);
            owner.unpark();
        });
        let writer = thread::spawn(|| arrive(descriptor(0), 1));
        let mut bytes = 0;
        loop {
            bytes += read(descriptor(0), &mut [0]).unwrap_or(0);
            if bytes > 0 && flags.are_set() {
                break;
            }
            by_poll_of_a_descriptor();
        }
        waker.join().unwrap();
        writer.join().unwrap();
        assert!(signals() <= sleeps());
    });
}

#[test]
fn loom_a_wake_is_heard_without_descriptors() {
    explore(3, || {
        run_out_of_descriptors();
        let flags = Flags::<1>::new();
        let owner = Unparker::current();
        let waker = thread::spawn(move || {
            flags.0[0].store(true, Ordering::Relaxed);
            owner.unpark();
        });
        while !flags.are_set() {
            by_poll();
        }
        waker.join().unwrap();
    });
}

/// To look first whether anybody sleeps, and then to leave the permit, loses wakes.
#[test]
#[should_panic(expected = "deadlock")]
fn loom_a_waker_that_looks_first_is_not_heard() {
    woken::<1>(&[by_poll], |permit| {
        let polling = permit.state.load(Ordering::Acquire) == POLLING;
        permit.state.store(WOKEN, Ordering::Release);
        if polling {
            permit.event.get().and_then(Weak::upgrade).unwrap().signal();
        }
    });
}

/// Whoever finds the permit there must leave the event alone.
#[test]
#[should_panic(expected = "signals")]
fn loom_a_waker_that_signals_all_the_same_signals_too_often() {
    woken::<2>(&[by_poll], |permit| {
        if permit.state.swap(WOKEN, Ordering::AcqRel) != IDLE {
            if let Some(event) = permit.event.get().and_then(Weak::upgrade) {
                event.signal();
            }
        }
    });
}
