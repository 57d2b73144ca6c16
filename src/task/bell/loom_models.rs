//! Models of a worker's sleep: those who leave news, and the worker who must not sleep over it
//! (I7), nor be woken twice for one sleep (I8). loom's `Notify` stands for the poller's event.

use super::Bell;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::sync::{Mutex, Notify};
use loom::thread;

struct Model {
    bell: Bell,
    inbox: Mutex<Vec<u32>>,
    event: Notify,
    wakes: AtomicUsize,
}

impl Model {
    fn new() -> &'static Self {
        Box::leak(Box::new(Self {
            bell: Bell::new(),
            inbox: Mutex::new(Vec::new()),
            event: Notify::new(),
            wakes: AtomicUsize::new(0),
        }))
    }

    fn post(&self, news: u32) {
        self.inbox.lock().unwrap().push(news);
        if self.bell.ring() {
            self.wakes.fetch_add(1, Ordering::Relaxed);
            self.event.notify();
        }
    }

    /// Sleeps and collects until `n` news have come; how often it slept.
    fn work(&self, n: usize, sleeps: bool) -> usize {
        let (mut got, mut slept) = (Vec::new(), 0);
        while got.len() < n {
            if self.bell.is_rung() {
                self.bell.answer();
                got.append(&mut self.inbox.lock().unwrap());
            } else if sleeps && self.bell.doze() {
                slept += 1;
                self.event.wait();
                self.bell.rise();
            } else {
                thread::yield_now();
            }
        }
        got.sort_unstable();
        assert!(got.iter().copied().eq(0..n as u32), "news is lost or doubled: {got:?}");
        slept
    }
}

#[test]
fn loom_no_news_is_slept_over_and_one_wake_is_enough_for_a_sleep() {
    loom::model(|| {
        let model = Model::new();
        let posts: Vec<_> = (0..2).map(|i| thread::spawn(move || model.post(i))).collect();
        let slept = model.work(2, true);
        posts.into_iter().for_each(|post| post.join().unwrap());
        assert!(model.wakes.load(Ordering::Relaxed) <= slept);
    });
}

#[test]
#[should_panic(expected = "deadlock")]
fn loom_to_ring_before_the_news_is_left_loses_it() {
    loom::model(|| {
        let model = Model::new();
        let early = thread::spawn(move || {
            let wake = model.bell.ring();
            if wake {
                model.event.notify();
            }
            model.inbox.lock().unwrap().push(0);
        });
        model.work(1, true);
        early.join().unwrap();
    });
}

#[test]
#[should_panic(expected = "deadlock")]
fn loom_to_answer_after_the_news_was_collected_loses_some() {
    loom::model(|| {
        let model = Model::new();
        let post = thread::spawn(move || {
            model.post(0);
            model.post(1);
        });
        let mut got = 0;
        while got < 2 {
            if model.bell.is_rung() {
                got += model.inbox.lock().unwrap().drain(..).count();
                model.bell.answer();
            } else if model.bell.doze() {
                model.event.wait();
                model.bell.rise();
            }
        }
        post.join().unwrap();
    });
}
