//! What a task waits for besides streams.

use super::worker;
use crate::park::{Unparker, park_until};
use crate::sync::thread;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// Waits for `duration`: never less, and on a plain thread too.
///
/// # Errors
///
/// The cancelled error, if the task was cancelled.
pub fn sleep(duration: Duration) -> io::Result<()> {
    // What cannot be said as a point in time is too far away to come.
    sleep_by(Instant::now().checked_add(duration))
}

/// Waits until `deadline`, on a plain thread too.
///
/// # Errors
///
/// Those of [`sleep`].
pub fn sleep_until(deadline: Instant) -> io::Result<()> {
    sleep_by(Some(deadline))
}

fn sleep_by(deadline: Option<Instant>) -> io::Result<()> {
    // A wait of no length hears of a cancel as well.
    loop {
        park_until(deadline)?;
        if deadline.is_some_and(|at| at <= Instant::now()) {
            return Ok(());
        }
    }
}

/// Lets all other tasks of this worker run that can, first.
pub fn yield_now() {
    match worker::current() {
        Some(worker) => worker.pause(),
        None => thread::yield_now(),
    }
}

/// Waits for a future, on a plain thread too.
///
/// So the channels, locks and timers of the asynchronous world serve tasks as well, if they ask no
/// certain runtime for anything.
///
/// # Examples
///
/// ```
/// use aqueduct::task;
///
/// let answer = task::spawn(|| task::wait(async { 6 * 7 }));
/// assert_eq!(answer.join()??, 42);
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
///
/// The cancelled error, if the task was cancelled. The future is dropped then.
pub fn wait<F: Future>(future: F) -> io::Result<F::Output> {
    let mut future = pin!(future);
    let waker: Waker = Unparker::current().into();
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Ok(output);
        }
        park_until(None)?;
    }
}

/// Runs `f`, which blocks, on a thread that is there for such things, and waits for it: other tasks
/// of this worker go on meanwhile. On a plain thread it is simply called.
///
/// There are at most 500 such threads in the process (`BLOCKING_MAX_THREADS` says otherwise); what comes
/// beyond waits for one, as do the lookups of names.
///
/// # Errors
///
/// The cancelled error, if the task was cancelled. `f` goes on then, and its result is dropped.
///
/// # Panics
///
/// If `f` does.
pub fn unblock<F, T>(f: F) -> io::Result<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    if worker::current().is_none() {
        return Ok(f());
    }
    let mut work = Detached(Some(blocking::unblock(f)));
    let result = wait(std::future::poll_fn(|context| match &mut work.0 {
        Some(task) => std::pin::Pin::new(task).poll(context),
        None => Poll::Pending,
    }));
    if result.is_ok() {
        work.0 = None;
    }
    result
}

/// Work that goes on when nobody waits for it any more.
struct Detached<T>(Option<blocking::Task<T>>);

impl<T> Drop for Detached<T> {
    fn drop(&mut self) {
        if let Some(task) = self.0.take() {
            task.detach();
        }
    }
}
