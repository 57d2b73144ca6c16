//! What runs a test: threads that wait in one way or another, or tasks, or both.

use super::{PATIENCE, within};
use aqueduct::is_cancelled;
use aqueduct::poll::Local;
use aqueduct::task::{self, Runtime};
use std::cell::RefCell;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Instant;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// How the flows of control of a test wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// Threads, by poll(2).
    Plain,
    /// Threads, each through a poller of its own.
    Local,
    /// Threads, every other one through a poller of its own.
    Mixed,
    /// Tasks of one worker.
    Tasks,
    /// Tasks of two workers.
    Workers,
    /// Tasks of one worker, and every other one a plain thread. The test itself is what the worker
    /// did before it became one.
    Beside,
    /// Tasks of two workers that have nothing to do with each other, threads of both kinds, and
    /// streams that are at home elsewhere, where a test says so by [`Way::abroad`].
    Across,
}

/// Where one flow of control runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Thread,
    LocalThread,
    /// A task beside the test itself.
    Here,
    /// A task of the other runtime.
    There,
}

/// What runs the tasks of one test.
struct World {
    here: Runtime,
    there: Runtime,
}

thread_local! {
    static WORLD: RefCell<Weak<World>> = const { RefCell::new(Weak::new()) };
}

impl Way {
    const ALL: [Self; 7] = [
        Self::Plain,
        Self::Local,
        Self::Mixed,
        Self::Tasks,
        Self::Workers,
        Self::Beside,
        Self::Across,
    ];

    /// Those that are to be tested.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let tasks = runs_tasks();
        Self::ALL.into_iter().filter(move |way| tasks || way.is_of_threads())
    }

    /// Those in which every flow of control has a poller.
    pub(crate) fn pollers() -> impl Iterator<Item = Self> {
        let these = [Self::Local, Self::Tasks, Self::Workers, Self::Across];
        Self::all().filter(move |way| these.contains(way))
    }

    fn is_of_threads(self) -> bool {
        matches!(self, Self::Plain | Self::Local | Self::Mixed)
    }

    /// Runs a test, under a watchdog, where its first flow of control belongs.
    pub(crate) fn run<T: Send + 'static>(
        self,
        name: &str,
        body: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        let name = format!("{name}, {self:?}");
        let workers = match self {
            Self::Plain | Self::Local | Self::Mixed => {
                return within(&name, move || {
                    let _guard = self.enter(0);
                    body()
                });
            }
            Self::Beside => {
                return within(&name, move || {
                    Runtime::builder().workers(1).run(body).expect("a worker")
                });
            }
            Self::Tasks | Self::Across => 1,
            Self::Workers => 2,
        };
        within(&name, move || {
            let start = |n, name| Runtime::builder().workers(n).name(name).build().unwrap();
            let world = Arc::new(World { here: start(workers, "here"), there: start(1, "there") });
            let result = start_at(&world, Place::Here, body).join();
            let World { here, there } = Arc::into_inner(world).expect("the test has ended");
            here.shutdown().expect("the tasks have ended");
            there.shutdown().expect("the tasks have ended");
            result
        })
    }

    /// To be held by the thread of this number as long as it works. Tasks need none.
    fn enter(self, number: usize) -> Option<Local> {
        (self.place(number) == Place::LocalThread).then(|| Local::new().unwrap())
    }

    fn place(self, number: usize) -> Place {
        let places: &[_] = match self {
            Self::Plain => &[Place::Thread],
            Self::Local => &[Place::LocalThread],
            Self::Mixed => &[Place::LocalThread, Place::Thread],
            Self::Tasks | Self::Workers => &[Place::Here],
            Self::Beside => &[Place::Here, Place::Thread],
            Self::Across => &[Place::Here, Place::There, Place::Thread, Place::LocalThread],
        };
        places[number % places.len()]
    }

    /// Calls `f` where streams that wait become at home away from the test, if that is the way.
    pub(crate) fn abroad<T: Send + 'static>(self, f: impl FnOnce() -> T + Send + 'static) -> T {
        match self {
            Self::Across => Waiting::start(self, 1, f).join(),
            _ => f(),
        }
    }
}

/// Whether tasks are tested, too. Not under a checker that cannot follow them, for which
/// `AQUEDUCT_TEST_WAYS` is `threads`.
pub(crate) fn runs_tasks() -> bool {
    match std::env::var("AQUEDUCT_TEST_WAYS").as_deref() {
        Err(_) => true,
        Ok("threads") => false,
        Ok(other) => panic!("AQUEDUCT_TEST_WAYS={other}: only threads may be chosen"),
    }
}

/// Runs a test in each way.
pub(crate) fn on_all_ways(name: &str, body: fn(Way)) {
    for way in Way::all() {
        way.run(name, move || body(way));
    }
}

/// A thread's number, for [`until_asleep`].
pub(crate) fn this_thread() -> i32 {
    #[cfg(target_os = "linux")]
    return rustix::thread::gettid().as_raw_nonzero().get();
    // Nothing is known of threads here: each is taken for the one that asks.
    #[cfg(not(target_os = "linux"))]
    1
}

/// Returns when the thread sleeps in the kernel, or is gone: likely where it was sent to wait.
pub(crate) fn until_asleep(thread: i32) {
    loop {
        let Ok(stat) = fs::read_to_string(format!("/proc/self/task/{thread}/stat")) else { return };
        // The name before it may hold anything but ends with the last parenthesis.
        let state = stat.rsplit_once(") ").map(|(_, rest)| rest.as_bytes()[0]);
        // One that strace(1) has stopped does not sleep.
        if matches!(state, Some(b'S' | b'D')) {
            return;
        }
        task::yield_now();
    }
}

/// A call that is expected to wait, in a flow of control of its own.
pub(crate) struct Waiting<T> {
    flow: Flow<T>,
    /// The number of its thread, as soon as it runs.
    number: Arc<AtomicI32>,
}

enum Flow<T> {
    /// Its result, for who may wait only as tasks do.
    Thread(thread::JoinHandle<()>, UnboundedReceiver<thread::Result<T>>),
    Task(task::JoinHandle<T>),
}

impl<T: Send + 'static> Waiting<T> {
    pub(crate) fn start(
        way: Way,
        number: usize,
        call: impl FnOnce() -> T + Send + 'static,
    ) -> Self {
        let world = WORLD.with_borrow(Weak::upgrade);
        match (way.place(number), world) {
            (place @ (Place::Here | Place::There), Some(world)) => start_at(&world, place, call),
            // Where there is a runtime, it is that one's.
            (Place::Here | Place::There, None) => start_task(Weak::new(), task::spawn, call),
            (place, world) => {
                let world = world.as_ref().map_or_else(Weak::new, Arc::downgrade);
                start_thread(world, place, call)
            }
        }
    }

    /// Until it seems to wait.
    pub(crate) fn asleep(self) -> Self {
        let patience = Instant::now() + PATIENCE;
        let thread = loop {
            match self.number.load(Ordering::Relaxed) {
                0 => task::yield_now(),
                number => break number,
            }
            assert!(Instant::now() < patience, "it does not even start");
        };
        if thread == this_thread() {
            // What runs on the same worker has run until it waited, once it is our turn again.
            task::yield_now();
        } else {
            until_asleep(thread);
        }
        self
    }

    pub(crate) fn join(self) -> T {
        self.join_or_unrun().expect("it was run")
    }

    /// `None` if it was cancelled before it began.
    pub(crate) fn join_or_unrun(self) -> Option<T> {
        match self.flow {
            Flow::Task(task) => match task.join() {
                Ok(value) => Some(value),
                Err(task::JoinError::Panicked(payload)) => resume_unwind(payload),
                Err(task::JoinError::NotRun(error)) if is_cancelled(&error) => None,
                Err(error) => panic!("{error}"),
            },
            Flow::Thread(thread, mut result) => {
                let result = task::wait(result.recv()).unwrap().expect("a result is sent");
                thread.join().expect("nothing comes after the result");
                Some(result.unwrap_or_else(|payload| resume_unwind(payload)))
            }
        }
    }

    pub(crate) fn is_finished(&self) -> bool {
        match &self.flow {
            Flow::Task(task) => task.is_finished(),
            Flow::Thread(thread, _) => thread.is_finished(),
        }
    }

    /// The task, to be cancelled; `None` if it is a thread.
    pub(crate) fn task(&self) -> Option<&task::JoinHandle<T>> {
        match &self.flow {
            Flow::Task(task) => Some(task),
            Flow::Thread(..) => None,
        }
    }
}

fn start_at<T: Send + 'static>(
    world: &Arc<World>,
    place: Place,
    call: impl FnOnce() -> T + Send + 'static,
) -> Waiting<T> {
    let runtime = if place == Place::There { &world.there } else { &world.here };
    start_task(Arc::downgrade(world), |call| runtime.spawn(call), call)
}

fn start_task<T: Send + 'static>(
    world: Weak<World>,
    spawn: impl FnOnce(Box<dyn FnOnce() -> T + Send>) -> task::JoinHandle<T>,
    call: impl FnOnce() -> T + Send + 'static,
) -> Waiting<T> {
    let number = Arc::new(AtomicI32::new(0));
    let known = Arc::clone(&number);
    let task = spawn(Box::new(move || {
        WORLD.set(world);
        known.store(this_thread(), Ordering::Relaxed);
        call()
    }));
    Waiting { flow: Flow::Task(task), number }
}

fn start_thread<T: Send + 'static>(
    world: Weak<World>,
    place: Place,
    call: impl FnOnce() -> T + Send + 'static,
) -> Waiting<T> {
    let number = Arc::new(AtomicI32::new(0));
    let known = Arc::clone(&number);
    let (tell, result) = unbounded_channel();
    let thread = thread::spawn(move || {
        WORLD.set(world);
        known.store(this_thread(), Ordering::Relaxed);
        let ended = catch_unwind(AssertUnwindSafe(|| {
            let _guard = (place == Place::LocalThread).then(|| Local::new().unwrap());
            call()
        }));
        let _ = tell.send(ended);
    });
    Waiting { flow: Flow::Thread(thread, result), number }
}
