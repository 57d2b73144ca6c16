//! Tasks that borrow.
#![expect(unsafe_code, reason = "a task that borrows is kept as one that does not")]

use super::job::Join;
use super::join::{JoinError, JoinHandle};
use super::{runtime, worker};
use crate::error;
use crate::park::{self, Unparker, park_until};
use crate::sync::{Mutex, MutexGuard, thread};
use std::fmt;
use std::marker::PhantomData;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, PoisonError};

/// A place to spawn tasks that borrow from outside; see [`scope`].
pub struct Scope<'scope, 'env: 'scope> {
    shared: Arc<Shared>,
    /// The scope was entered by somebody who may not wait for its end.
    barren: bool,
    _scope: PhantomData<&'scope mut &'scope ()>,
    _env: PhantomData<&'env mut &'env ()>,
}

/// What outlives the scope's tasks by a moment.
#[derive(Default)]
struct Shared(Mutex<State>);

#[derive(Default)]
struct State {
    running: usize,
    /// Those that come now are cancelled as well.
    cancelled: bool,
    /// A task has panicked, and nobody has asked for its result.
    panicked: bool,
    /// The end of the scope waits.
    joiner: Option<Unparker>,
    /// To cancel the tasks by.
    handles: Vec<JoinHandle<()>>,
}

/// Runs `f`, which may spawn tasks that borrow what is there now, and waits for their ends.
///
/// If the calling task is cancelled, so are the scope's tasks, and the scope waits on: what they
/// borrow must stay.
///
/// # Examples
///
/// ```
/// use aqueduct::task;
///
/// let words = ["to", "borrow"];
/// let mut total = 0;
/// task::scope(|scope| {
///     let first = scope.spawn(|| words[0].len());
///     let second = scope.spawn(|| words[1].len());
///     total = first.join()? + second.join()?;
///     Ok::<(), task::JoinError>(())
/// })?;
/// assert_eq!(total, 8);
/// # Ok::<(), task::JoinError>(())
/// ```
///
/// What is made inside cannot be borrowed by a task, which may last longer:
///
/// ```compile_fail,E0373
/// aqueduct::task::scope(|scope| {
///     let inner = String::from("too short a life");
///     drop(scope.spawn(|| inner.len()));
/// });
/// ```
///
/// # Panics
///
/// If `f` panics, or a task whose handle was not joined; after all tasks have ended.
pub fn scope<'env, F, T>(f: F) -> T
where
    F: for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> T,
{
    let scope = Scope {
        shared: Arc::default(),
        barren: thread::panicking()
            || worker::current().is_some_and(|it| it.running(|_| ()).is_none()),
        _scope: PhantomData,
        _env: PhantomData,
    };
    let result = catch_unwind(AssertUnwindSafe(|| f(&scope)));
    let panicked = scope.shared.join();
    match result {
        Err(payload) => resume_unwind(payload),
        Ok(_) if panicked => panic!("a task of the scope panicked"),
        Ok(value) => value,
    }
}

impl<'scope> Scope<'scope, '_> {
    /// Starts a task, which ends before the scope does. The handle need not be kept.
    // The caller is about to wait, and this should not lie on its stack.
    #[inline(never)]
    pub fn spawn<F, T>(&'scope self, f: F) -> ScopedJoinHandle<'scope, T>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        let packet = Arc::new(Packet::new(Arc::clone(&self.shared)));
        if self.barren {
            packet.end(Err(JoinError::NotRun(error::wait_while_panicking())));
            return ScopedJoinHandle { packet, job: None, _scope: PhantomData };
        }
        self.shared.state().running += 1;
        let theirs = Arc::clone(&packet);
        let body: Box<dyn FnOnce(bool) + Send + 'scope> = Box::new(move |wanted| {
            theirs.end(if wanted {
                catch_unwind(AssertUnwindSafe(f)).map_err(JoinError::Panicked)
            } else {
                Err(JoinError::NotRun(error::cancelled()))
            });
        });
        // SAFETY: the scope does not return before `Ended` was dropped, which comes after the body,
        // whether it was run or not. So whatever the body borrows lasts longer than it does.
        let body = unsafe { mem::transmute::<Box<dyn FnOnce(bool) + Send + 'scope>, Body>(body) };
        let work = Work { body: Some(body), _ended: Ended(Arc::clone(&self.shared)) };
        let handle = runtime::spawn(None, move || work.run());
        let job = handle.job.as_ref().ok().cloned();
        self.shared.state().remember(handle);
        ScopedJoinHandle { packet, job, _scope: PhantomData }
    }
}

type Body = Box<dyn FnOnce(bool) + Send>;

/// The body is gone before the end is told.
struct Work {
    body: Option<Body>,
    _ended: Ended,
}

impl Work {
    fn run(mut self) {
        if let Some(body) = self.body.take() {
            body(true);
        }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        if let Some(body) = self.body.take() {
            body(false);
        }
    }
}

struct Ended(Arc<Shared>);

impl Drop for Ended {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.running -= 1;
        let joiner = if state.running == 0 { state.joiner.take() } else { None };
        drop(state);
        if let Some(joiner) = joiner {
            joiner.unpark();
        }
    }
}

impl State {
    fn remember(&mut self, handle: JoinHandle<()>) {
        if self.cancelled {
            handle.cancel();
        }
        if self.handles.len() > 2 * self.running + 64 {
            self.handles.retain(|handle| !handle.is_finished());
        }
        self.handles.push(handle);
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for all tasks, whatever happens; whether one has panicked unheard.
    fn join(&self) -> bool {
        loop {
            let mut state = self.state();
            if state.running == 0 {
                // Before the panic that may follow: who unwinds takes no locks.
                let handles = mem::take(&mut state.handles);
                let panicked = state.panicked;
                drop(state);
                drop(handles);
                return panicked;
            }
            state.joiner = Some(Unparker::current());
            if super::is_cancelled() && !mem::replace(&mut state.cancelled, true) {
                state.handles.iter().for_each(JoinHandle::cancel);
            }
            drop(state);
            // Nobody gets here who may not wait; and to leave would take away what is borrowed.
            if park::park_shielded(None).is_err() {
                thread::yield_now();
            }
        }
    }
}

/// A result on its way to the handle.
struct Packet<T> {
    state: Mutex<Outcome<T>>,
    shared: Arc<Shared>,
}

enum Outcome<T> {
    /// Not there yet; who waits for it.
    Awaited(Option<Unparker>),
    /// The handle is gone.
    Unwanted,
    Done(Result<T, JoinError>),
    Fetched,
}

impl<T> Packet<T> {
    fn new(shared: Arc<Shared>) -> Self {
        Self { state: Mutex::new(Outcome::Awaited(None)), shared }
    }

    fn outcome(&self) -> MutexGuard<'_, Outcome<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, result: Result<T, JoinError>) {
        let mut outcome = self.outcome();
        match mem::replace(&mut *outcome, Outcome::Fetched) {
            Outcome::Unwanted => {
                drop(outcome);
                self.lose(result);
            }
            Outcome::Awaited(joiner) => {
                *outcome = Outcome::Done(result);
                drop(outcome);
                if let Some(joiner) = joiner {
                    joiner.unpark();
                }
            }
            other => *outcome = other,
        }
    }

    /// Nobody asks for `result`.
    fn lose(&self, result: Result<T, JoinError>) {
        let panicked = matches!(result, Err(JoinError::Panicked(_)));
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(result)));
        let failed = dropped.map_err(mem::forget).is_err();
        if panicked || failed {
            self.shared.state().panicked = true;
        }
    }
}

/// A task of a [`Scope`]. Dropped, it leaves the task to the scope's end.
pub struct ScopedJoinHandle<'scope, T> {
    packet: Arc<Packet<T>>,
    job: Option<Arc<dyn Join<()>>>,
    _scope: PhantomData<&'scope ()>,
}

impl<T> ScopedJoinHandle<'_, T> {
    /// Waits for the task's end and returns its result.
    ///
    /// # Errors
    ///
    /// Those of [`JoinHandle::join`].
    pub fn join(self) -> Result<T, JoinError> {
        loop {
            let mut outcome = self.packet.outcome();
            match mem::replace(&mut *outcome, Outcome::Fetched) {
                Outcome::Done(result) => return result,
                _ => *outcome = Outcome::Awaited(Some(Unparker::current())),
            }
            drop(outcome);
            park_until(None).map_err(JoinError::NotJoined)?;
        }
    }

    /// As [`JoinHandle::cancel`].
    pub fn cancel(&self) {
        if let Some(job) = &self.job {
            job.core().cancel();
        }
    }

    /// Whether the task has ended, so that [`join`](Self::join) would not wait.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        matches!(*self.packet.outcome(), Outcome::Done(_) | Outcome::Fetched)
    }
}

impl<T> Drop for ScopedJoinHandle<'_, T> {
    fn drop(&mut self) {
        let mut outcome = self.packet.outcome();
        match mem::replace(&mut *outcome, Outcome::Unwanted) {
            Outcome::Done(result) => {
                drop(outcome);
                self.packet.lose(result);
            }
            Outcome::Fetched => *outcome = Outcome::Fetched,
            _ => {}
        }
    }
}

impl<T> fmt::Debug for ScopedJoinHandle<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScopedJoinHandle").finish_non_exhaustive()
    }
}

impl fmt::Debug for Scope<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope")
            .field("running", &self.shared.state().running)
            .finish_non_exhaustive()
    }
}
