//! Tasks: flows of control with stacks of their own, as many as there is memory for.
//!
//! A task is to a thread what Go's goroutines are: plain code that seems to block. It reads and
//! writes [streams](crate::stream), waits in pipes in memory, sleeps, joins other tasks; and where a
//! thread would stop, it makes room for another task. A few threads, the workers, run all of them.
//!
//! ```
//! use aqueduct::task;
//! use std::io::{Read, Write};
//!
//! # fn main() -> std::io::Result<()> {
//! let (mut reader, mut writer) = aqueduct::pipe();
//! let text = task::run(|| {
//!     let listener = task::spawn(move || {
//!         let mut text = String::new();
//!         reader.read_to_string(&mut text).map(|_| text)
//!     });
//!     writer.write_all(b"from one task to another")?;
//!     drop(writer);
//!     listener.join()?
//! })??;
//! assert_eq!(text, "from one task to another");
//! # Ok(())
//! # }
//! ```
//!
//! # Who runs what
//!
//! A task is given to a worker when it is spawned, and stays there: thread-locals keep their meaning,
//! and what it holds across a wait need not be `Send`. Nothing is taken from a task that runs. So
//! **what truly blocks or computes for long holds up all tasks of its worker**: std's sockets and
//! locks, sleeping by [`std::thread::sleep`], files that are read as such. Use this crate's streams, over
//! files as well, and [sockets](crate::net), which look names up elsewhere, and [`unblock`] for the
//! rest.
//!
//! [`spawn`] puts a task with the worker that has least to do, in the runtime of the running task, or
//! else in one that is started for the whole process when it is first needed, with a worker per
//! processor. [`run`] makes the calling thread a worker, for as long as a function takes, and
//! [`Runtime`] starts threads of its own.
//!
//! On Linux a worker that has much to do is scheduled by `SCHED_BATCH`, and what its tasks start meanwhile, a
//! thread or a process, inherits that. A thread with another policy than `SCHED_OTHER` keeps it.
//!
//! # Cancelling
//!
//! No task is ever unwound by force. [`JoinHandle::cancel`] makes all its waits fail, and what
//! follows is the task's own business, as after any other error. When a runtime ends, all its tasks
//! are cancelled; those that take longer than it has patience are left as they are for ever, with
//! their stacks and what lies on them.
//!
//! A task that unwinds from a panic does not wait: a descriptor holds up its worker then, and
//! everything else fails with `Deadlock`. The panic ends with the task, and [`JoinHandle::join`] tells it.
//!
//! # Stacks
//!
//! A stack is 256 KiB of address space unless a [`Builder`] says otherwise, of which only what was
//! touched becomes memory, at least a page. Below lies a guard: a task that overflows its stack ends
//! the process with a message that names the task. Where the system's guards need a mapping each (Linux
//! before 6.13, or with memory locked), their number is bounded by `vm.max_map_count`, to about 32,000.
//!
//! # Safety
//!
//! Nothing here is `unsafe` to use. But code of others that relies by `unsafe` on the calls of a thread
//! being nested, so that what was called last returns first, is wrong on any kind of stackful task: the
//! crate `scoped-tls` is an example. Entered spans of `tracing`, and locks of std that are held across
//! a wait, misbehave as well, although soundly.

mod bell;
mod carrier;
mod cold;
mod ending;
mod job;
mod join;
mod manners;
#[cfg(all(test, aqueduct_shuttle))]
pub(crate) mod models;
mod office;
mod permit;
mod pool;
mod resident;
mod runtime;
mod scope;
mod stack;
mod table;
mod timers;
mod wait;
mod worker;

#[cfg(feature = "http")]
pub(crate) use self::cold::read_at;
pub(crate) use self::cold::{is_task, warm};
pub use self::join::{JoinError, JoinHandle};
pub(crate) use self::resident::Resident;
pub use self::runtime::{Builder, Report, Runtime, Unfinished, run};
pub use self::scope::{Scope, ScopedJoinHandle, scope};
pub use self::wait::{sleep, sleep_until, unblock, wait, yield_now};

/// Starts a task that runs `f`.
///
/// It belongs to the runtime of the running task, or to the one of the process. `f` may hold what
/// is not `Send` once it runs.
///
/// # Examples
///
/// ```
/// let six = aqueduct::task::spawn(|| 1 + 2 + 3);
/// assert_eq!(six.join()?, 6);
/// # Ok::<(), aqueduct::task::JoinError>(())
/// ```
///
/// What is shared with it must be fit for that:
///
/// ```compile_fail,E0277
/// let count = std::rc::Rc::new(5);
/// let task = aqueduct::task::spawn(move || *count);
/// # drop(task);
/// ```
///
/// and must last; [`scope`] is for what is borrowed:
///
/// ```compile_fail,E0373
/// let text = String::from("gone before the task may have ended");
/// let task = aqueduct::task::spawn(|| text.len());
/// # drop(task);
/// ```
pub fn spawn<F, T>(f: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    runtime::spawn(None, f)
}

/// As [`spawn`], with a name, which messages about the task mention.
pub fn spawn_named<F, T>(name: &str, f: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    runtime::spawn(Some(name.into()), f)
}

/// Starts a task that rests without a stack between its turns, as [`spawn`] does.
#[cfg_attr(not(feature = "http"), expect(dead_code, reason = "the server's alone"))]
pub(crate) fn settle(resident: impl Resident) {
    runtime::settle(resident);
}

/// The name of the running task, if it has one.
#[must_use]
pub fn name() -> Option<String> {
    worker::current()?.running(|core| core.name().map(String::from))?
}

/// Whether the running task was cancelled, so that its waits fail. Never on a plain thread.
#[must_use]
pub fn is_cancelled() -> bool {
    worker::current().and_then(|here| here.running(job::Core::is_cancelled)).unwrap_or(false)
}
