//! A thread that runs tasks: its queue, its timers, its poller.

use super::carrier::{self, Carrier, suspend};
use super::job::{Core, Rest, Run};
use super::manners::Courtesy;
use super::office::{Office, Post};
use super::pool::Pool;
use super::stack::Stacks;
use super::table::{Alarm, Table};
use super::timers::{Moment, NEVER, Timers};
use crate::error;
use crate::park::{self, Hook, Installed, Unparker};
use crate::poll::{self, Batch, Entered, Registry};
use crate::sync::{thread, thread_local};
use crate::sys::Watch;
use crate::sys::overflow::{self, SignalStack};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

/// The place of what the thread was doing before it became a worker. It runs on the thread's
/// own stack, and the tasks run where it waits.
const ROOT: u32 = 0;
/// The worker itself runs.
const NOBODY: u32 = u32::MAX;

/// So many turns pass between two looks at the clock.
const GLANCE: u32 = 32;
/// A busy worker polls about this often.
const POLL: Duration = Duration::from_micros(200);
/// So many carriers without work are kept as they are. Beyond, their memory is given back.
const KEEP: usize = 128;

pub(super) struct Worker {
    pub(super) office: Arc<Office>,
    registry: Arc<Registry>,
    pub(super) pool: Arc<Pool>,
    table: RefCell<Table>,
    /// Who is to run, in this order.
    queue: RefCell<VecDeque<u32>>,
    /// Who runs.
    current: Cell<u32>,
    /// The carrier that has just stopped has done its work.
    finished: Cell<bool>,
    /// Carriers are to end.
    closing: Cell<bool>,
    /// Everything was cancelled.
    stopped: Cell<bool>,
    idle: RefCell<Vec<Carrier>>,
    stacks: Stacks,
    timers: RefCell<Timers>,
    start: Instant,
    turns: Cell<u32>,
    polled: Cell<Instant>,
    courtesy: Courtesy,
    /// Scratch room.
    posts: RefCell<Vec<Post>>,
    batch: Cell<Batch>,
}

/// What a park finds.
enum Before {
    Cancelled,
    Woken,
    Parked,
}

thread_local! {
    static HERE: RefCell<Option<Rc<Worker>>> = const { RefCell::new(None) };
}

/// The worker that this thread is.
pub(super) fn current() -> Option<Rc<Worker>> {
    HERE.try_with(|here| here.borrow().clone()).ok().flatten()
}

/// Lets the task in `place` run, if `office` is that of this thread.
pub(super) fn enqueue_here(office: &Arc<Office>, place: u32) -> bool {
    let here = HERE.try_with(|here| match &*here.borrow() {
        Some(worker) if Arc::ptr_eq(&worker.office, office) => {
            worker.queue.borrow_mut().push_back(place);
            true
        }
        _ => false,
    });
    here.unwrap_or(false)
}

/// The thread is a worker until this is dropped.
pub(super) struct AtWork {
    pub(super) worker: Rc<Worker>,
    _here: Entered,
    _hook: Installed,
    _signals: SignalStack,
}

/// Makes the running thread the worker of this number.
pub(super) fn begin(number: usize, pool: Arc<Pool>) -> io::Result<AtWork> {
    let signals = overflow::prepare()?;
    let (office, registry) = pool.place(number);
    let here = poll::enter(Arc::clone(&registry));
    let mut table = Table::default();
    table.insert(Arc::new(Root(Core::new(Arc::clone(&office), None))));
    let worker = Rc::new(Worker {
        table: RefCell::new(table),
        queue: RefCell::default(),
        current: Cell::new(ROOT),
        finished: Cell::new(false),
        closing: Cell::new(false),
        stopped: Cell::new(false),
        idle: RefCell::default(),
        stacks: Stacks::new(pool.stack_size, None),
        timers: RefCell::default(),
        start: Instant::now(),
        turns: Cell::new(0),
        polled: Cell::new(Instant::now()),
        courtesy: Courtesy::new(),
        posts: RefCell::default(),
        batch: Cell::default(),
        office,
        registry,
        pool,
    });
    HERE.with(|here| here.replace(Some(Rc::clone(&worker))));
    let hook = park::install(Rc::clone(&worker) as Rc<dyn Hook>);
    Ok(AtWork { worker, _here: here, _hook: hook, _signals: signals })
}

impl AtWork {
    /// Works until the pool was stopped and its patience, or the work, has ended. Returns how many
    /// tasks are left as they are, for ever.
    pub(super) fn finish(self) -> usize {
        self.worker.serve();
        self.worker.leave()
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        self.worker.courtesy.end();
        let _ = HERE.try_with(RefCell::take);
    }
}

impl Worker {
    /// Takes in a new task.
    pub(super) fn admit(&self, job: Arc<dyn Run>) {
        // Whoever left it here had not heard of the end.
        if self.stopped.get() {
            job.core().cancel();
        }
        self.office.count(true);
        let place = self.table.borrow_mut().insert(job);
        self.queue.borrow_mut().push_back(place);
    }

    /// Waits, as the root, until the pool was stopped and all tasks have ended, or the pool's
    /// patience has.
    fn serve(&self) {
        loop {
            let mut deadline = None;
            if self.stopped.get() {
                deadline = self.pool.deadline();
                if self.office.load() == 0 || deadline.is_some_and(|at| at <= Instant::now()) {
                    return;
                }
            }
            // It fails only where it must not wait, and the root is not there.
            let _ = self.park(deadline, true);
        }
    }

    /// Stops the running task until it is woken, until `deadline`, or for no reason. A cancel is an
    /// error unless the task is `shielded` from it.
    pub(super) fn park(&self, deadline: Option<Instant>, shielded: bool) -> io::Result<()> {
        if self.stands() {
            return Err(error::wait_while_panicking());
        }
        let place = self.current.get();
        let before = self.core(place, |core| match core.is_cancelled() && !shielded {
            true => Before::Cancelled,
            false if core.park() => Before::Parked,
            false => Before::Woken,
        });
        match before {
            Before::Woken => return Ok(()),
            Before::Parked => {}
            Before::Cancelled => {
                // Who ignores it must not keep the others from running.
                self.pause();
                return Err(error::cancelled());
            }
        }
        if let Some(at) = deadline {
            self.arm(place, at);
        }
        self.switch(place);
        let mut table = self.table.borrow_mut();
        let slot = table.slot(place);
        slot.until = NEVER;
        let cancelled = slot.job.as_ref().is_some_and(|job| {
            let core = job.core();
            core.unpark();
            core.is_cancelled()
        });
        if cancelled && !shielded { Err(error::cancelled()) } else { Ok(()) }
    }

    /// Lets the others run first.
    pub(super) fn pause(&self) {
        if !self.stands() {
            let place = self.current.get();
            self.queue.borrow_mut().push_back(place);
            self.switch(place);
        }
    }

    /// Whether nobody else may run now: a task unwinds, or the worker drops what was a task's.
    pub(super) fn stands(&self) -> bool {
        self.current.get() == NOBODY || thread::panicking()
    }

    /// What `f` says of the running task.
    pub(super) fn running<T>(&self, f: impl FnOnce(&Core) -> T) -> Option<T> {
        let place = self.current.get();
        (place != NOBODY).then(|| self.core(place, f))
    }

    fn core<T>(&self, place: u32, f: impl FnOnce(&Core) -> T) -> T {
        let table = self.table.borrow();
        f(table.get(place).job.as_ref().expect("a task that runs has its job").core())
    }

    fn arm(&self, place: u32, at: Instant) {
        let at = self.moment(at);
        let (set, orphaned) = self.table.borrow_mut().arm(place, at);
        if set {
            self.timers.borrow_mut().set(at, place);
        }
        if orphaned {
            self.orphan();
        }
    }

    /// An alarm has lost its owner.
    fn orphan(&self) {
        let table = self.table.borrow();
        self.timers.borrow_mut().orphan(|at, place| table.owns(at, place));
    }

    fn moment(&self, at: Instant) -> Moment {
        let after = at.saturating_duration_since(self.start).as_nanos();
        // In more than five hundred years is as late as it gets.
        Moment::try_from(after).map_or(NEVER - 1, |after| after.min(NEVER - 1))
    }

    /// Runs others until the task in `place`, which is running, comes out of the queue again.
    fn switch(&self, place: u32) {
        if place == ROOT { self.drive() } else { suspend() }
    }

    /// Runs tasks until it is the root's turn. Kept apart from what lies on the stacks of those that wait.
    #[inline(never)]
    fn drive(&self) {
        self.current.set(NOBODY);
        loop {
            self.keep_house();
            let next = self.queue.borrow_mut().pop_front();
            self.foresee();
            match next {
                Some(ROOT) => break,
                Some(place) => self.go(place),
                None => self.rest(),
            }
        }
        self.current.set(ROOT);
        park::refill();
    }

    /// Has fetched what the next two need to go on, while another runs.
    fn foresee(&self) {
        let (queue, table) = (self.queue.borrow(), self.table.borrow());
        let carrier = |n: usize| queue.get(n).and_then(|&place| table.get(place).carrier.as_ref());
        if let Some(next) = carrier(0) {
            next.warm();
        }
        if let Some(after) = carrier(1) {
            after.approach();
        }
    }

    /// Runs the task in `place` until it stops or ends.
    fn go(&self, place: u32) {
        let Some(mut carrier) = self.carrier_for(place) else { return };
        self.courtesy.turn();
        self.current.set(place);
        park::refill();
        let ended = carrier.resume();
        let place = self.current.replace(NOBODY);
        if !self.finished.take() {
            self.table.borrow_mut().slot(place).carrier = Some(carrier);
        } else if !ended && self.idle.borrow().len() < KEEP {
            self.idle.borrow_mut().push(carrier);
        } else if !ended {
            end(self, carrier);
        }
    }

    fn carrier_for(&self, place: u32) -> Option<Carrier> {
        let stopped = self.table.borrow_mut().slot(place).carrier.take();
        let ready = stopped.or_else(|| self.idle.borrow_mut().pop());
        if ready.is_some() {
            return ready;
        }
        match self.stacks.take() {
            Ok(stack) => Some(Carrier::new(stack, carry_on)),
            Err(error) => {
                let (job, _) = self.table.borrow_mut().remove(place);
                self.ended();
                if let Some(job) = job {
                    job.refuse(error::no_stack(self.pool.stack_size, &error));
                }
                None
            }
        }
    }

    /// Carries out the job of the running task, which ends with it.
    fn carry(&self) {
        let place = self.current.get();
        let job = {
            let mut table = self.table.borrow_mut();
            let slot = table.slot(place);
            slot.until = NEVER;
            slot.job.clone().expect("a task has its job")
        };
        carrier::named(job.core().name().unwrap_or(""), || {
            if job.core().is_cancelled() {
                job.refuse(error::cancelled());
            } else {
                job.run();
            }
        });
        let goes_on = match job.rest(Unparker::from(Arc::clone(&job).waker())) {
            Rest::Over => false,
            Rest::Until(until) if job.core().park() => {
                if let Some(at) = until {
                    self.arm(place, at);
                }
                true
            }
            // It was woken already.
            Rest::Until(_) | Rest::Not => {
                self.queue.borrow_mut().push_back(place);
                true
            }
        };
        if goes_on {
            return;
        }
        let (_job, armed) = self.table.borrow_mut().remove(place);
        if armed {
            self.orphan();
        }
        self.ended();
    }

    fn ended(&self) {
        self.office.count(false);
        if self.stopped.get() && self.office.load() == 0 {
            self.core(ROOT, Core::wake);
        }
    }

    /// Makes the next in the queue the running task if it has not begun yet: its predecessor's
    /// carrier serves as well.
    fn succeed(&self) -> bool {
        let mut queue = self.queue.borrow_mut();
        let Some(&next) = queue.front() else { return false };
        let fresh = next != ROOT && self.table.borrow().get(next).carrier.is_none();
        if !fresh || self.closing.get() || self.office.has_news() || self.is_due() {
            return false;
        }
        queue.pop_front();
        self.courtesy.turn();
        self.count();
        self.current.set(next);
        park::refill();
        true
    }

    /// Counts a turn.
    fn count(&self) {
        self.turns.set((self.turns.get() + 1) % GLANCE);
    }

    /// Whether it is time for a look at the clock, which `keep_house` takes.
    fn is_due(&self) -> bool {
        self.turns.get() == GLANCE - 1
    }

    /// What has to be done however busy the worker is.
    fn keep_house(&self) {
        if self.office.has_news() {
            self.collect();
        }
        let due = self.is_due();
        self.count();
        if due {
            let now = Instant::now();
            self.fire(now);
            if now.saturating_duration_since(self.polled.get()) > POLL {
                self.polled.set(now);
                self.poll(Some(now));
            }
        }
    }

    fn collect(&self) {
        let mut posts = self.posts.take();
        self.office.collect(&mut posts);
        for post in posts.drain(..) {
            match post {
                Post::Wake(place) => self.queue.borrow_mut().push_back(place),
                Post::Start(job) => {
                    self.admit(job);
                    self.office.fetched();
                }
                Post::Stop => {
                    self.stopped.set(true);
                    let jobs: Vec<_> = self.table.borrow().jobs().skip(1).cloned().collect();
                    jobs.iter().for_each(|job| job.core().cancel());
                    self.core(ROOT, Core::wake);
                }
            }
        }
        posts.shrink_to(1024);
        self.posts.replace(posts);
    }

    /// Wakes those whose time has come; whether there were any.
    fn fire(&self, now: Instant) -> bool {
        let (now, mut any) = (self.moment(now), false);
        loop {
            let due = self.timers.borrow_mut().due(now);
            let Some((at, place)) = due else { return any };
            let alarm = self.table.borrow_mut().alarm(now, at, place);
            match alarm {
                Alarm::Orphan => self.timers.borrow_mut().buried(),
                Alarm::Idle => {}
                Alarm::Later(until) => self.timers.borrow_mut().set(until, place),
                Alarm::Due(job) => {
                    job.core().wake();
                    any = true;
                }
            }
        }
    }

    /// Nobody is to run: sleeps until somebody is.
    fn rest(&self) {
        let now = Instant::now();
        if self.fire(now) {
            return;
        }
        self.courtesy.rest(now);
        self.polled.set(now);
        let next = self.timers.borrow().next();
        let until = next.and_then(|at| self.start.checked_add(Duration::from_nanos(at)));
        let _ = self.office.sleep(|| {
            self.poll(until);
            Ok(())
        });
    }

    fn poll(&self, until: Option<Instant>) {
        let mut batch = self.batch.take();
        if self.registry.turn(until, &mut batch, || ()).is_err() {
            // Nothing is known that it could be. It must not become a loop without a pause.
            thread::sleep(Duration::from_millis(1));
        }
        self.batch.set(batch);
    }

    /// The end of the worker: those who have begun and not ended are left as they are. Returns how
    /// many.
    fn leave(&self) -> usize {
        self.current.set(NOBODY);
        refuse_all(&self.office);
        self.closing.set(true);
        for carrier in self.idle.take() {
            end(self, carrier);
        }
        // What those have lent to the system may be gone once their ends are told.
        self.registry.ground();
        let (begun, others) = self.table.borrow_mut().leak();
        begun.iter().for_each(|job| job.abandon(error::left_by_runtime()));
        others.iter().for_each(|job| job.refuse(error::no_runtime()));
        self.registry.evict();
        begun.len()
    }
}

/// Nobody works in `office` any more.
pub(super) fn refuse_all(office: &Office) {
    for post in office.close() {
        if let Post::Start(job) = post {
            office.fetched();
            job.refuse(error::no_runtime());
        }
    }
}

/// What a carrier does.
fn carry_on() {
    let Some(worker) = current() else { return };
    while !worker.closing.get() {
        worker.carry();
        if !worker.succeed() {
            worker.finished.set(true);
            suspend();
        }
    }
}

/// Ends a carrier that has nothing to do.
fn end(worker: &Worker, mut carrier: Carrier) {
    let before = worker.closing.replace(true);
    carrier.resume();
    worker.closing.set(before);
}

impl Hook for Worker {
    fn park_until(&self, deadline: Option<Instant>) -> io::Result<()> {
        self.park(deadline, false)
    }

    fn park_shielded(&self, deadline: Option<Instant>) -> io::Result<()> {
        self.park(deadline, true)
    }

    fn may_stop(&self) -> bool {
        !self.stands() && !self.running(Core::is_cancelled).unwrap_or(false)
    }

    fn park_on(&self, watches: &mut [Watch<'_>], deadline: Option<Instant>) -> io::Result<()> {
        if self.stands() {
            return park::park_in_place(watches, deadline);
        }
        poll::park_on(&self.registry, watches, deadline)
    }

    fn pause(&self) {
        self.pause();
    }

    fn unparker(&self) -> Unparker {
        if self.stands() {
            return Unparker::of_thread();
        }
        let job = self.table.borrow().get(self.current.get()).job.clone();
        Unparker::from(job.expect("a task that runs has its job").waker())
    }
}

/// What the thread was before, as a task among tasks.
struct Root(Core);

impl Run for Root {
    fn core(&self) -> &Core {
        &self.0
    }

    fn run(&self) {}

    fn refuse(&self, _: io::Error) {}

    fn abandon(&self, _: io::Error) {}

    fn waker(self: Arc<Self>) -> Waker {
        Waker::from(self)
    }
}

impl Wake for Root {
    fn wake(self: Arc<Self>) {
        self.0.wake();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.wake();
    }
}
