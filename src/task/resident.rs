//! A task that comes and goes: in between there is nothing of it but what it will go on with.

use super::job::{Core, Rest, Run};
use crate::park::Unparker;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};
use std::time::Instant;

/// What a task does that rests without a stack.
pub(crate) trait Resident: Sized + Send + 'static {
    /// What it does until it rests again; `None` is the end.
    fn turn(self) -> Option<Self>;

    /// Sees to it that `me` is woken for the next turn. Until when it rests at most; `None` is no
    /// rest at all.
    fn rest(&self, me: &Unparker) -> Option<Option<Instant>>;
}

/// A resident in its worker's table.
pub(super) struct Residence<R> {
    core: Core,
    resident: Mutex<Option<R>>,
}

impl<R: Resident> Residence<R> {
    pub(super) fn new(core: Core, resident: R) -> Self {
        Self { core, resident: Mutex::new(Some(resident)) }
    }

    fn resident(&self) -> MutexGuard<'_, Option<R>> {
        self.resident.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn leave(&self) {
        let resident = self.resident().take();
        // Its end is its own business.
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(resident))) {
            std::mem::forget(payload);
        }
    }
}

impl<R: Resident> Run for Residence<R> {
    fn core(&self) -> &Core {
        &self.core
    }

    fn run(&self) {
        // What has woken it for this turn is none for the next one.
        self.core.unpark();
        let resident = self.resident().take();
        let next = catch_unwind(AssertUnwindSafe(|| resident.and_then(R::turn)));
        match next {
            Ok(next) => *self.resident() = next,
            Err(payload) => std::mem::forget(payload),
        }
    }

    fn rest(&self, me: Unparker) -> Rest {
        match self.resident().as_ref().map(|resident| resident.rest(&me)) {
            Some(Some(until)) => Rest::Until(until),
            Some(None) => Rest::Not,
            None => Rest::Over,
        }
    }

    fn refuse(&self, _: io::Error) {
        self.leave();
    }

    fn abandon(&self, _: io::Error) {}

    fn waker(self: Arc<Self>) -> Waker {
        Waker::from(self)
    }
}

impl<R: Resident> Wake for Residence<R> {
    fn wake(self: Arc<Self>) {
        self.core.wake();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.core.wake();
    }
}

#[cfg(all(test, not(miri), not(aqueduct_loom), not(aqueduct_shuttle)))]
mod tests {
    use super::*;
    use crate::task::{self, settle, yield_now};
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    /// Counts its turns, and rests until somebody wakes it.
    struct Counting {
        turns: Arc<AtomicUsize>,
        waker: Arc<Mutex<Option<Unparker>>>,
    }

    impl Resident for Counting {
        fn turn(self) -> Option<Self> {
            self.turns.fetch_add(1, SeqCst);
            Some(self)
        }

        fn rest(&self, me: &Unparker) -> Option<Option<Instant>> {
            *self.waker.lock().unwrap() = Some(me.clone());
            Some(None)
        }
    }

    #[test]
    fn a_wake_is_for_one_turn() {
        const WAKES: usize = 5;
        let (turns, waker) = (Arc::<AtomicUsize>::default(), Arc::<Mutex<_>>::default());
        let counting = Counting { turns: Arc::clone(&turns), waker: Arc::clone(&waker) };
        task::run(|| {
            settle(counting);
            for wakes in 0..WAKES {
                while turns.load(SeqCst) <= wakes {
                    yield_now();
                }
                // It would have another one by now.
                (0..3).for_each(|_| yield_now());
                assert_eq!(turns.load(SeqCst), wakes + 1);
                let waker: Option<Unparker> = waker.lock().unwrap().take();
                waker.expect("it rests").unpark();
            }
        })
        .unwrap();
    }
}
