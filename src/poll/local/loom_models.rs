//! Models of the sleep and the wake of a thread that polls a backend of its own, on the kernel of
//! `sys/model`. As in those of the permit, conditions have no order of their own.

use super::Local;
use crate::park::{Unparker, park_on, park_until};
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sys::Watch;
use crate::sys::model::{arrive, descriptor, read, signals, sleeps};
use loom::thread;
use std::mem::ManuallyDrop;

fn explore(preemptions: usize, body: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(body);
}

fn by_backend() {
    park_until(None).unwrap();
}

fn by_poll() {
    park_on(&mut [Watch::readable(descriptor(0))], None).unwrap();
}

/// Two wakers, who set a flag each before they wake, beside an owner who sleeps so until both
/// have come.
fn woken(park: fn()) {
    explore(3, move || {
        let local = ManuallyDrop::new(Local::new().unwrap());
        let flags: &[_; 2] = Box::leak(Box::new([(); 2].map(|()| AtomicBool::new(false))));
        let wakers = flags.each_ref().map(|flag| {
            let owner = Unparker::current();
            thread::spawn(move || {
                flag.store(true, Ordering::Relaxed);
                owner.unpark();
            })
        });
        while !flags.iter().all(|flag| flag.load(Ordering::Relaxed)) {
            park();
        }
        wakers.into_iter().for_each(|waker| waker.join().unwrap());
        assert!(signals() <= sleeps(), "{} signals, {} sleeps", signals(), sleeps());
        drop(ManuallyDrop::into_inner(local));
    });
}

#[test]
fn loom_no_wake_is_lost_and_each_sleep_has_one_signal() {
    woken(by_backend);
}

#[test]
fn loom_no_wake_is_lost_in_poll_and_each_sleep_has_one_signal() {
    woken(by_poll);
}

/// A sleep that a descriptor ends, with a waker on its way.
#[test]
fn loom_no_wake_is_lost_beside_a_descriptor() {
    explore(3, move || {
        let local = ManuallyDrop::new(Local::new().unwrap());
        let flag: &AtomicBool = Box::leak(Box::new(AtomicBool::new(false)));
        let owner = Unparker::current();
        let waker = thread::spawn(move || {
            flag.store(true, Ordering::Relaxed);
            owner.unpark();
        });
        let writer = thread::spawn(|| arrive(descriptor(0), 1));
        let mut bytes = 0;
        loop {
            bytes += read(descriptor(0), &mut [0]).unwrap_or(0);
            if bytes > 0 && flag.load(Ordering::Relaxed) {
                break;
            }
            by_poll();
        }
        waker.join().unwrap();
        writer.join().unwrap();
        assert!(signals() <= sleeps());
        drop(ManuallyDrop::into_inner(local));
    });
}
