//! Models of a task that stops, and of those who wake and cancel it. loom's `Notify` stands for its
//! worker's queue: whoever is told to have the task run notifies it.

use super::Permit;
use loom::sync::Notify;
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use loom::thread;

struct Model {
    permit: Permit,
    queue: Notify,
    queued: AtomicUsize,
    done: AtomicBool,
}

impl Model {
    fn new() -> &'static Self {
        Box::leak(Box::new(Self {
            permit: Permit::new(),
            queue: Notify::new(),
            queued: AtomicUsize::new(0),
            done: AtomicBool::new(false),
        }))
    }

    fn run_if(&self, stopped: bool) {
        if stopped {
            let before = self.queued.fetch_add(1, Ordering::Relaxed);
            assert_eq!(before, 0, "the task is in the queue twice");
            self.queue.notify();
        }
    }

    fn finish(&self) {
        self.done.store(true, Ordering::Release);
        self.run_if(self.permit.wake());
    }

    fn cancel(&self) {
        self.run_if(self.permit.cancel());
    }

    /// One park as the worker has it; whether the task was cancelled.
    fn park(&self) -> bool {
        if self.permit.is_cancelled() {
            return true;
        }
        if self.permit.park() {
            // Unlike a worker's queue, `Notify` returns for no reason as well.
            while self.queued.load(Ordering::Relaxed) == 0 {
                self.queue.wait();
            }
            self.queued.store(0, Ordering::Relaxed);
            self.permit.unpark();
        }
        self.permit.is_cancelled()
    }
}

#[test]
fn loom_a_wake_is_never_lost_and_queues_a_task_once() {
    loom::model(|| {
        let model = Model::new();
        let other = thread::spawn(move || {
            // For no reason at all, and then for one.
            model.run_if(model.permit.wake());
            model.finish();
        });
        while !model.done.load(Ordering::Acquire) {
            model.park();
        }
        other.join().unwrap();
    });
}

#[test]
fn loom_two_wakers_queue_a_task_once() {
    loom::model(|| {
        let model = Model::new();
        let wakers: Vec<_> = (0..2).map(|_| thread::spawn(move || model.finish())).collect();
        while !model.done.load(Ordering::Acquire) {
            model.park();
        }
        wakers.into_iter().for_each(|waker| waker.join().unwrap());
    });
}

#[test]
fn loom_a_cancel_ends_the_park_under_way_or_the_next() {
    loom::model(|| {
        let model = Model::new();
        let other = thread::spawn(move || model.cancel());
        while !model.park() {}
        other.join().unwrap();
    });
}

#[test]
#[should_panic(expected = "deadlock")]
fn loom_a_cancel_that_does_not_wake_is_slept_over() {
    loom::model(|| {
        let model = Model::new();
        let other = thread::spawn(move || model.permit.cancelled.store(true, Ordering::SeqCst));
        while !model.park() {}
        other.join().unwrap();
    });
}
