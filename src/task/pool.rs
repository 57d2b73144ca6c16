//! Workers that share their work: where a new task goes, and how all of them end.

use super::job::{Core, Job, Join, Run};
use super::office::{Office, Post};
use super::worker::{self, Worker};
use crate::error;
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::sync::{Condvar, Mutex, MutexGuard, thread};
use std::fmt;
use std::io;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

/// A function of more bytes is kept apart from its job.
const LARGE: usize = 32;

pub(super) struct Pool {
    pub(super) stack_size: usize,
    offices: Box<[Arc<Office>]>,
    next: AtomicUsize,
    stopping: AtomicBool,
    roll: Arc<Roll>,
}

/// How the threads end. Apart from the pool, all of which they have let go of when they say so.
#[derive(Default)]
struct Roll {
    ending: Mutex<Ending>,
    ended: Condvar,
}

#[derive(Default)]
struct Ending {
    /// Until when tasks may take to end.
    deadline: Option<Instant>,
    /// Threads that have not ended.
    threads: usize,
    /// Tasks that were left.
    left: usize,
}

/// Frees the box, before what was in it is used.
#[expect(clippy::boxed_local, reason = "that is the point")]
fn unbox<F>(boxed: Box<F>) -> F {
    *boxed
}

/// A worker's thread reports that it ends, however it does.
struct Attendance(Arc<Roll>, usize);

impl Pool {
    pub(super) fn new(workers: usize, stack_size: usize) -> io::Result<Arc<Self>> {
        let offices = (0..workers).map(|_| Office::new()).collect::<io::Result<_>>()?;
        Ok(Arc::new(Self {
            stack_size,
            offices,
            next: AtomicUsize::new(0),
            stopping: AtomicBool::new(false),
            roll: Arc::default(),
        }))
    }

    /// The first worker's, which a thread that waits may take over itself.
    pub(super) fn first(&self) -> &Arc<Office> {
        &self.offices[0]
    }

    /// Starts threads for all workers but the first `spare` ones.
    pub(super) fn start(self: &Arc<Self>, spare: usize, name: &str) -> io::Result<()> {
        for (i, office) in self.offices.iter().enumerate().skip(spare) {
            let (pool, office) = (Arc::clone(self), Arc::clone(office));
            self.roll.ending().threads += 1;
            let attendance = Attendance(Arc::clone(&self.roll), 0);
            let thread = thread::Builder::new().name(format!("{name}-{i}"));
            thread.spawn(move || {
                // What comes after it is dropped before it tells of the end.
                let mut attendance = attendance;
                let office = office;
                match worker::begin(Arc::clone(&office), pool) {
                    Ok(at_work) => attendance.1 = at_work.finish(),
                    // Who comes is told that nobody works here.
                    Err(_) => worker::refuse_all(&office),
                }
            })?;
        }
        Ok(())
    }

    /// A new task, for the worker that has least to do. The worker that asks has it rather than
    /// another that has hardly less: it needs nobody to be woken.
    pub(super) fn spawn<F, T>(self: &Arc<Self>, name: Option<Box<str>>, f: F) -> Arc<dyn Join<T>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        // A job lasts as long as its task, but what the function holds moves to the task's stack
        // when it begins; so it had better not leave a large hole.
        if size_of::<F>() > LARGE {
            let f = Box::new(f);
            self.begin(name, move || unbox(f)())
        } else {
            self.begin(name, f)
        }
    }

    fn begin<F, T>(self: &Arc<Self>, name: Option<Box<str>>, f: F) -> Arc<dyn Join<T>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let here = worker::current().filter(|here| Arc::ptr_eq(&here.pool, self));
        let office = self.choose(here.as_deref());
        let job = Arc::new(Job::new(Core::new(Arc::clone(office), name), f));
        if self.is_stopping() {
            job.refuse(error::no_runtime());
            return job;
        }
        match &here {
            Some(here) if Arc::ptr_eq(&here.office, office) => here.admit(Arc::clone(&job) as _),
            _ => {
                if let Err(Post::Start(job)) = office.post(Post::Start(Arc::clone(&job) as _)) {
                    job.refuse(error::no_runtime());
                }
            }
        }
        job
    }

    fn choose<'a>(&'a self, here: Option<&'a Worker>) -> &'a Arc<Office> {
        let count = self.offices.len();
        if count == 1 {
            return &self.offices[0];
        }
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let other = &self.offices[turn % count];
        let rival = match here {
            Some(here) if here.office.load() <= other.load() + other.load() / 4 => &here.office,
            Some(_) => other,
            None => &self.offices[turn.wrapping_add(1) % count],
        };
        if here.is_some() || rival.load() < other.load() { rival } else { other }
    }

    /// Cancels all tasks and takes no more in. Those that go on may take until `deadline`.
    pub(super) fn stop(&self, deadline: Option<Instant>) {
        self.roll.ending().deadline = deadline;
        self.stopping.store(true, Ordering::SeqCst);
        for office in &self.offices {
            let _ = office.post(Post::Stop);
        }
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.roll.ending().deadline
    }

    /// Waits until the threads have ended, or a moment longer than the deadline, for threads that
    /// do not even hear of it. Returns how many tasks are left.
    pub(super) fn join(&self) -> usize {
        const GRACE: Duration = Duration::from_millis(100);
        let mut ending = self.roll.ending();
        while ending.threads > 0 {
            let wait = match ending.deadline {
                None => self.roll.ended.wait(ending).unwrap_or_else(PoisonError::into_inner),
                Some(at) => {
                    let until = at.checked_add(GRACE).unwrap_or(at);
                    let left = until.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        break;
                    }
                    let waited = self.roll.ended.wait_timeout(ending, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
            ending = wait;
        }
        if ending.threads == 0 {
            return ending.left;
        }
        self.offices.iter().map(|office| office.load()).sum()
    }
}

impl Roll {
    fn ending(&self) -> MutexGuard<'_, Ending> {
        self.ending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Attendance {
    fn drop(&mut self) {
        let mut ending = self.0.ending();
        ending.threads -= 1;
        ending.left += self.1;
        self.0.ended.notify_all();
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("workers", &self.offices.len()).finish_non_exhaustive()
    }
}
