//! Models of a poll that others end.

use super::{Epoll, Netpoll};
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sys::model::{signals, sleeps};
use loom::thread;

/// Two wakers, who set a flag each before they wake, beside a poller who looks for both.
fn woken(wake: fn(&Epoll)) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(move || {
        let epoll: &Epoll = Box::leak(Box::new(Epoll::init().unwrap()));
        let flags: &[_; 2] = Box::leak(Box::new([(); 2].map(|()| AtomicBool::new(false))));
        let wakers = flags.each_ref().map(|flag| {
            thread::spawn(move || {
                flag.store(true, Ordering::Relaxed);
                wake(epoll);
            })
        });
        while !flags.iter().all(|flag| flag.load(Ordering::Relaxed)) {
            assert!(epoll.poll(None, &mut Vec::new()).unwrap(), "nothing else has happened");
        }
        wakers.into_iter().for_each(|waker| waker.join().unwrap());
        assert!(signals() <= sleeps() + 1, "{} signals, {} sleeps", signals(), sleeps());
    });
}

#[test]
fn loom_each_wake_is_heard() {
    woken(Epoll::wake);
}

/// What it sees may be over: a change, if only of nothing, would have come before or after.
#[test]
#[should_panic(expected = "deadlock")]
fn loom_a_waker_that_only_looks_for_another_is_not_heard() {
    woken(|epoll| {
        if !epoll.woken.load(Ordering::Acquire) {
            epoll.woken.store(true, Ordering::Release);
            epoll.instance.signal();
        }
    });
}
