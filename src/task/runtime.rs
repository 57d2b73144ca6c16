//! Who sets workers up, and takes them down.

use super::join::JoinHandle;
use super::pool::Pool;
use super::resident::Resident;
use super::worker;
use crate::poll::Backend;
use std::error;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

/// How many bytes of address space a task's stack has.
const STACK: usize = 256 << 10;
/// How long tasks may take to end once they are cancelled.
const PATIENCE: Duration = Duration::from_secs(5);

/// Options of a [`Runtime`], or of a [`run`](Builder::run).
#[derive(Debug, Clone)]
pub struct Builder {
    workers: usize,
    stack_size: usize,
    name: String,
    patience: Duration,
    backend: Option<Backend>,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            workers: thread::available_parallelism().map_or(1, usize::from),
            stack_size: STACK,
            name: "aqueduct".into(),
            patience: PATIENCE,
            backend: None,
        }
    }
}

impl Builder {
    /// So many threads run the tasks; at least one. By default a thread per processor.
    #[must_use]
    pub fn workers(mut self, n: usize) -> Self {
        self.workers = n.max(1);
        self
    }

    /// So many bytes of address space for each task's stack, rounded up to pages, two at least. By
    /// default 256 KiB.
    #[must_use]
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.stack_size = bytes;
        self
    }

    /// The threads are called `name`-0, `name`-1 and so on.
    #[must_use]
    pub fn name(mut self, name: &str) -> Self {
        self.name = name.into();
        self
    }

    /// The workers wait by this backend, whatever the environment says.
    #[must_use]
    pub fn backend(mut self, backend: Backend) -> Self {
        self.backend = Some(backend);
        self
    }

    /// When the runtime ends and cancels its tasks, so long they may take. By default five seconds.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Starts the workers.
    ///
    /// # Errors
    ///
    /// Those of the poller, and of starting threads.
    pub fn build(&self) -> io::Result<Runtime> {
        Ok(Runtime { pool: self.start(0)?, patience: self.patience })
    }

    /// Makes the calling thread one of the workers, until `f`, which it calls, returns. Then all tasks
    /// are cancelled, and what the message about those that did not end in time leaves to be said goes to
    /// standard error. Within a runtime, `f` is simply called.
    ///
    /// # Errors
    ///
    /// Those of [`build`](Self::build), before `f` was called.
    ///
    /// # Panics
    ///
    /// If `f` does.
    pub fn run<T>(&self, f: impl FnOnce() -> T) -> io::Result<T> {
        if worker::current().is_some() {
            return Ok(f());
        }
        let pool = self.start(1)?;
        let at_work = worker::begin(0, Arc::clone(&pool));
        let at_work = at_work.inspect_err(|_| pool.stop(Some(Instant::now())))?;
        let result = catch_unwind(AssertUnwindSafe(f));
        pool.stop(Instant::now().checked_add(self.patience));
        // The others are waited for by a thread that is no worker any more: its streams, which nobody
        // polls, move on.
        report(at_work.finish() + pool.join());
        Ok(result.unwrap_or_else(|payload| resume_unwind(payload)))
    }

    fn start(&self, spare: usize) -> io::Result<Arc<Pool>> {
        let pool = Pool::new(self.workers, self.stack_size, self.backend)?;
        // Those that have started must not wait for work that never comes.
        pool.start(spare, &self.name).inspect_err(|_| pool.stop(Some(Instant::now())))?;
        Ok(pool)
    }
}

fn report(left: usize) {
    if left > 0 {
        let left = Unfinished { tasks: left };
        eprintln!("aqueduct: {left}: left as they are, for ever");
    }
}

/// Workers, as threads of their own.
///
/// Dropped, it ends as by [`shutdown`](Self::shutdown), and tells standard error of tasks that did not.
///
/// # Examples
///
/// ```
/// use aqueduct::task::Runtime;
///
/// let runtime = Runtime::builder().workers(2).stack_size(64 << 10).build()?;
/// let halves = [1..=50, 51..=100].map(|half| runtime.spawn(|| half.sum::<u32>()));
/// let sum = halves.map(|half| half.join().unwrap_or_default()).iter().sum::<u32>();
/// assert_eq!(sum, 5050);
/// runtime.shutdown()?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Runtime {
    pool: Arc<Pool>,
    patience: Duration,
}

impl Runtime {
    /// One with a worker per processor.
    ///
    /// # Errors
    ///
    /// Those of [`Builder::build`].
    pub fn new() -> io::Result<Self> {
        Builder::default().build()
    }

    /// Options.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Starts a task, as [`spawn`](super::spawn) does, in this runtime.
    pub fn spawn<F, T>(&self, f: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        JoinHandle { job: Ok(self.pool.spawn(None, f)) }
    }

    /// The backend by which its workers wait.
    #[must_use]
    pub fn backend(&self) -> Backend {
        self.pool.backend()
    }

    /// What it has to tell of itself.
    #[must_use]
    pub fn report(&self) -> Report {
        Report { backend: self.pool.backend(), enters: self.pool.enters() }
    }

    /// Cancels all tasks, waits for their ends, and ends the workers. From a task of its own
    /// the runtime cannot be waited for, and is only told. A task of another runtime that waits here
    /// makes room for others, and a cancel does not cut the wait short.
    ///
    /// # Errors
    ///
    /// [`Unfinished`] if some tasks have not ended in time. They are left as they are for ever.
    pub fn shutdown(self) -> Result<(), Unfinished> {
        match self.end() {
            0 => Ok(()),
            tasks => Err(Unfinished { tasks }),
        }
    }

    fn end(&self) -> usize {
        self.pool.stop(Instant::now().checked_add(self.patience));
        match worker::current() {
            Some(here) if Arc::ptr_eq(&here.pool, &self.pool) => 0,
            _ => self.pool.join(),
        }
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        if !self.pool.is_stopping() {
            report(self.end());
        }
    }
}

/// What a [`Runtime`] tells of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The backend by which its workers wait: another one than was asked for, where that is forbidden.
    pub backend: Backend,
    /// How often io_uring_enter(2) was called so far; `None` with another backend.
    pub enters: Option<u64>,
}

/// Tasks that have not ended although they were cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unfinished {
    /// How many.
    pub tasks: usize,
}

impl fmt::Display for Unfinished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.tasks {
            1 => f.write_str("a task was cancelled and has not ended"),
            n => write!(f, "{n} tasks were cancelled and have not ended"),
        }
    }
}

impl error::Error for Unfinished {}

impl From<Unfinished> for io::Error {
    fn from(error: Unfinished) -> Self {
        Self::new(io::ErrorKind::TimedOut, error)
    }
}

/// Makes the calling thread a worker, the only one, until `f`, which it calls, returns: what a program
/// wants that does many things at a time and has one thread. `f` runs on the thread's own stack.
///
/// Tasks that are still there then are cancelled and have five seconds to end. Within a runtime, `f` is
/// simply called. [`Builder::run`] is the same with options.
///
/// # Errors
///
/// Those of [`Builder::build`], before `f` was called.
///
/// # Panics
///
/// If `f` does.
pub fn run<T>(f: impl FnOnce() -> T) -> io::Result<T> {
    Builder::default().workers(1).run(f)
}

/// A task in the runtime of the running task, or in that of the process.
pub(super) fn spawn<F, T>(name: Option<Box<str>>, f: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    if let Some(here) = worker::current() {
        return JoinHandle { job: Ok(here.pool.spawn(name, f)) };
    }
    match everybodys() {
        Ok(pool) => JoinHandle { job: Ok(pool.spawn(name, f)) },
        Err(error) => JoinHandle { job: Err(Some(error)) },
    }
}

/// As [`spawn`], a task that rests between its turns. Without a runtime there is nothing of it.
pub(super) fn settle(resident: impl Resident) {
    match worker::current() {
        Some(here) => here.pool.settle(resident),
        None => drop(everybodys().map(|pool| pool.settle(resident))),
    }
}

/// The runtime of the process. It never ends.
fn everybodys() -> io::Result<&'static Arc<Pool>> {
    static POOL: OnceLock<Arc<Pool>> = OnceLock::new();
    if let Some(pool) = POOL.get() {
        return Ok(pool);
    }
    let started = Builder::default().start(0)?;
    let mine = Arc::clone(&started);
    let pool = POOL.get_or_init(|| started);
    if !Arc::ptr_eq(pool, &mine) {
        // Another thread was quicker.
        mine.stop(Some(Instant::now()));
    }
    Ok(pool)
}
