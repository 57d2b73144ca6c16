//! Workers that share their work: where a new task goes, and how all of them end.

use super::ending::Ending;
use super::job::{Core, Job, Join, Run};
use super::office::{Office, Post};
use super::resident::{Residence, Resident};
use super::worker::{self, Worker};
use crate::error;
use crate::poll::{Backend, Registry};
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::sync::thread;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Instant;

/// A function of more bytes is kept apart from its job.
const LARGE: usize = 32;

pub(super) struct Pool {
    pub(super) stack_size: usize,
    offices: Box<[Arc<Office>]>,
    registries: Box<[Arc<Registry>]>,
    next: AtomicUsize,
    stopping: AtomicBool,
    ending: Arc<Ending>,
}

/// What the thread of this number does. How many tasks it leaves.
fn work(number: usize, pool: Arc<Pool>) -> usize {
    match worker::begin(number, Arc::clone(&pool)) {
        Ok(at_work) => at_work.finish(),
        Err(_) => {
            // Who comes is told that nobody works here.
            worker::refuse_all(&pool.offices[number]);
            0
        }
    }
}

/// Frees the box, before what was in it is used.
#[expect(clippy::boxed_local, reason = "that is the point")]
fn unbox<F>(boxed: Box<F>) -> F {
    *boxed
}

impl Pool {
    pub(super) fn new(
        workers: usize,
        stack_size: usize,
        backend: Option<Backend>,
    ) -> io::Result<Arc<Self>> {
        let registries = (0..workers).map(|_| Registry::new(backend, true));
        let registries = registries.collect::<io::Result<Box<[_]>>>()?;
        Ok(Arc::new(Self {
            stack_size,
            offices: registries.iter().map(Office::new).collect(),
            registries,
            next: AtomicUsize::new(0),
            stopping: AtomicBool::new(false),
            ending: Arc::default(),
        }))
    }

    pub(super) fn backend(&self) -> Backend {
        self.registries[0].kind()
    }

    /// How often the system was entered for all workers, where that is counted.
    pub(super) fn enters(&self) -> Option<u64> {
        self.registries.iter().map(|registry| registry.backend.enters()).sum()
    }

    /// What the worker of this number works with.
    pub(super) fn place(&self, number: usize) -> (Arc<Office>, Arc<Registry>) {
        (Arc::clone(&self.offices[number]), Arc::clone(&self.registries[number]))
    }

    /// Starts threads for all workers but the first `spare` ones.
    pub(super) fn start(self: &Arc<Self>, spare: usize, name: &str) -> io::Result<()> {
        for number in spare..self.offices.len() {
            let pool = Arc::clone(self);
            let attendance = self.ending.attend();
            let thread = thread::Builder::new().name(format!("{name}-{number}"));
            thread.spawn(move || {
                // What comes after it is dropped before it tells of the end.
                let mut attendance = attendance;
                attendance.left = work(number, pool);
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
        self.give(here.as_deref(), office, Arc::clone(&job) as _);
        job
    }

    /// A new task that [rests](Resident) between its turns, the first of which is now.
    pub(super) fn settle(self: &Arc<Self>, resident: impl Resident) {
        let here = worker::current().filter(|here| Arc::ptr_eq(&here.pool, self));
        let office = self.choose(here.as_deref());
        let job = Arc::new(Residence::new(Core::new(Arc::clone(office), None), resident));
        self.give(here.as_deref(), office, job);
    }

    /// Has the worker in `office` carry out `job`.
    fn give(&self, here: Option<&Worker>, office: &Arc<Office>, job: Arc<dyn Run>) {
        if self.is_stopping() {
            return job.refuse(error::no_runtime());
        }
        match here {
            Some(here) if Arc::ptr_eq(&here.office, office) => here.admit(job),
            _ => {
                if let Err(Post::Start(job)) = office.post(Post::Start(job)) {
                    job.refuse(error::no_runtime());
                }
            }
        }
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
        self.ending.set_deadline(deadline);
        self.stopping.store(true, Ordering::SeqCst);
        for office in &self.offices {
            let _ = office.post(Post::Stop);
        }
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.ending.deadline()
    }

    /// Waits for the threads' ends, as far as they hear of it, and returns how many tasks are left.
    pub(super) fn join(&self) -> usize {
        let left = self.ending.wait();
        left.unwrap_or_else(|| self.offices.iter().map(|office| office.load()).sum())
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("workers", &self.offices.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[cfg(not(any(miri, aqueduct_loom)))]
mod tests {
    use super::*;
    use crate::task::sleep;
    use std::time::Duration;

    #[test]
    fn a_task_whose_way_to_its_worker_a_stop_overtakes_is_cancelled_as_well() {
        let pool = Pool::new(1, 64 << 10, None).unwrap();
        pool.start(0, "late").unwrap();
        let office = &pool.offices[0];
        let late = || -> Arc<Job<_, _>> {
            let core = Core::new(Arc::clone(office), None);
            Arc::new(Job::new(core, || sleep(Duration::from_secs(3600))))
        };
        // It keeps the worker from its inbox.
        let (go, gone) = std::sync::mpsc::channel::<()>();
        drop(pool.spawn(None, move || gone.recv()));
        pool.stop(Instant::now().checked_add(Duration::from_secs(5)));
        let _ = office.post(Post::Start(late()));
        drop(go);
        assert_eq!(pool.join(), 0, "it was waited for in vain");
    }
}
