//! One task, as its worker and its joiner see it.

use super::JoinError;
use super::office::Office;
use super::permit::Permit;
use crate::park::Unparker;
use crate::sync::atomic::{AtomicU32, Ordering};
use crate::sync::{Mutex, MutexGuard};
use std::io;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError};
use std::task::{Wake, Waker};

/// What wakes and cancels a task need of it.
#[derive(Debug)]
pub(super) struct Core {
    permit: Permit,
    /// Where its worker keeps it; set before it can first park.
    place: AtomicU32,
    office: Arc<Office>,
    /// Boxed twice, since most have none.
    name: Option<Box<Box<str>>>,
}

impl Core {
    pub(super) fn new(office: Arc<Office>, name: Option<Box<str>>) -> Self {
        Self { permit: Permit::new(), place: AtomicU32::new(0), office, name: name.map(Box::new) }
    }

    pub(super) fn name(&self) -> Option<&str> {
        self.name.as_deref().map(|name| &**name)
    }

    pub(super) fn settle(&self, place: u32) {
        self.place.store(place, Ordering::Relaxed);
    }

    /// Has it run if `stopped`.
    fn run_if(&self, stopped: bool) {
        if stopped {
            self.office.wake(self.place.load(Ordering::Relaxed));
        }
    }

    pub(super) fn wake(&self) {
        self.run_if(self.permit.wake());
    }

    /// All its waits fail from now on, the one under way too.
    pub(super) fn cancel(&self) {
        self.run_if(self.permit.cancel());
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.permit.is_cancelled()
    }

    /// As [`Permit::park`].
    pub(super) fn park(&self) -> bool {
        self.permit.park()
    }

    /// As [`Permit::unpark`].
    pub(super) fn unpark(&self) {
        self.permit.unpark();
    }
}

/// A task whose types its worker need not know.
pub(super) trait Run: Send + Sync {
    fn core(&self) -> &Core;

    /// Carries it out. Catches panics.
    fn run(&self);

    /// It is never carried out, and this is why.
    fn refuse(&self, why: io::Error);

    /// It has begun, and never goes on.
    fn abandon(&self, why: io::Error);

    fn waker(self: Arc<Self>) -> Waker;
}

/// What a joiner needs of a task.
pub(super) trait Join<T>: Run {
    /// The result, if it is there; otherwise `joiner` is woken when it is.
    fn fetch(&self, joiner: &dyn Fn() -> Unparker) -> Option<Result<T, JoinError>>;

    fn is_finished(&self) -> bool;

    /// Nobody will ask for the result.
    fn detach(&self);
}

/// A task with its function and its result.
pub(super) struct Job<F, T> {
    core: Core,
    state: Mutex<State<F, T>>,
}

struct State<F, T> {
    stage: Stage<F, T>,
    /// Nobody will ask for the result.
    detached: bool,
}

enum Stage<F, T> {
    New(F, Option<Unparker>),
    /// With who waits for the end.
    Running(Option<Unparker>),
    Done(Result<T, JoinError>),
    /// The result has been fetched.
    Over,
}

impl<F, T> Job<F, T> {
    pub(super) fn new(core: Core, f: F) -> Self {
        let state = State { stage: Stage::New(f, None), detached: false };
        Self { core, state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State<F, T>> {
        // Nobody else's code runs under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(&self) -> Option<F> {
        let stage = &mut self.state().stage;
        match mem::replace(stage, Stage::Over) {
            Stage::New(f, joiner) => {
                *stage = Stage::Running(joiner);
                Some(f)
            }
            other => {
                *stage = other;
                None
            }
        }
    }

    fn end(&self, result: Result<T, JoinError>) {
        let mut state = self.state();
        let (stage, unwanted) = match state.detached {
            true => (Stage::Over, Some(result)),
            false => (Stage::Done(result), None),
        };
        let before = mem::replace(&mut state.stage, stage);
        drop(state);
        if let Stage::Running(Some(joiner)) = before {
            joiner.unpark();
        }
        if let Some(result) = unwanted {
            discard(result);
        }
    }
}

/// Drops what is somebody else's, whatever its destructor does.
fn discard<T>(value: T) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(value))) {
        mem::forget(payload);
    }
}

impl<F, T> Run for Job<F, T>
where
    F: FnOnce() -> T + Send,
    T: Send,
    Self: 'static,
{
    fn core(&self) -> &Core {
        &self.core
    }

    fn run(&self) {
        if let Some(f) = self.start() {
            self.end(catch_unwind(AssertUnwindSafe(f)).map_err(JoinError::Panicked));
        }
    }

    fn refuse(&self, why: io::Error) {
        if let Some(f) = self.start() {
            discard(f);
            self.end(Err(JoinError::NotRun(why)));
        }
    }

    fn abandon(&self, why: io::Error) {
        self.end(Err(JoinError::NotJoined(why)));
    }

    fn waker(self: Arc<Self>) -> Waker {
        Waker::from(self)
    }
}

impl<F, T> Join<T> for Job<F, T>
where
    F: FnOnce() -> T + Send,
    T: Send,
    Self: 'static,
{
    fn fetch(&self, joiner: &dyn Fn() -> Unparker) -> Option<Result<T, JoinError>> {
        let mut state = self.state();
        if let Stage::Done(_) = state.stage {
            if let Stage::Done(result) = mem::replace(&mut state.stage, Stage::Over) {
                return Some(result);
            }
        }
        if let Stage::New(_, place) | Stage::Running(place) = &mut state.stage {
            *place = Some(joiner());
        }
        None
    }

    fn is_finished(&self) -> bool {
        matches!(self.state().stage, Stage::Done(_) | Stage::Over)
    }

    fn detach(&self) {
        let mut state = self.state();
        state.detached = true;
        let unwanted = match &mut state.stage {
            Stage::Done(_) => Some(mem::replace(&mut state.stage, Stage::Over)),
            Stage::New(_, joiner) | Stage::Running(joiner) => {
                *joiner = None;
                None
            }
            Stage::Over => None,
        };
        drop(state);
        drop(unwanted);
    }
}

impl<F, T> Wake for Job<F, T>
where
    F: Send,
    T: Send,
{
    fn wake(self: Arc<Self>) {
        self.core.wake();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.core.wake();
    }
}
