//! A thread that waits through a backend of its own.

use super::Backend;
use super::here::{self, Entered};
use super::registry::{Batch, Registry};
use crate::park::{Hook, Installed, Unparker, install};
use crate::sync::atomic::{AtomicU8, Ordering};
use crate::sys::{self, Watch};
use std::cell::Cell;
use std::fmt;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::time::Instant;

/// While this lives, the streams that its thread waits for are registered once with a backend of the
/// thread's own, edge-triggered if it has edges.
///
/// A plain thread asks poll(2) each time a stream makes it wait. That needs nothing to be set
/// up, and costs one call more a wait. A thread that serves the same few streams for long saves the
/// call. A stream stays with the first thread that waited for it so; everybody else waits for it by
/// poll(2), as without.
///
/// A thread that runs tasks has such a backend anyway, and this changes nothing there.
///
/// # Examples
///
/// ```
/// use aqueduct::poll::Local;
/// use aqueduct::stream::Stream;
/// use std::io::{Read, Write};
///
/// let (reader, writer) = std::io::pipe()?;
/// let mut reader = Stream::from_std(reader)?;
/// let other = std::thread::spawn(move || (&writer).write_all(b"late"));
///
/// let local = Local::new()?;
/// let mut text = String::new();
/// reader.read_to_string(&mut text)?;
/// assert_eq!(text, "late");
/// drop(local);
/// # other.join().unwrap()?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Local(Option<Own>);

struct Own {
    inner: Rc<Inner>,
    _here: Entered,
    _hook: Installed,
}

/// One flow of control, which polls where others park.
struct Inner {
    registry: Arc<Registry>,
    bell: Arc<Bell>,
    scratch: Cell<Batch>,
}

/// The permit of the thread, and how to reach it in its poll.
struct Bell {
    state: AtomicU8,
    registry: Arc<Registry>,
}

const RUNNING: u8 = 0;
const POLLING: u8 = 1;
const WOKEN: u8 = 2;

impl Local {
    /// Sets the calling thread up, with the backend that the environment variable
    /// `AQUEDUCT_POLLER` names, or else the system's best.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the environment asks for a backend that there is not; those of the system.
    pub fn new() -> io::Result<Self> {
        Self::with(None)
    }

    /// Sets the calling thread up with this backend, whatever the environment says.
    ///
    /// # Errors
    ///
    /// `Unsupported` where the system does not have it; those of the system.
    pub fn with_backend(backend: Backend) -> io::Result<Self> {
        Self::with(Some(backend))
    }

    fn with(choice: Option<Backend>) -> io::Result<Self> {
        if here::is_tended() {
            // Its flows of control must not stop all of it.
            return Ok(Self(None));
        }
        let registry = Registry::new(choice, false)?;
        let state = AtomicU8::new(RUNNING);
        let bell = Arc::new(Bell { state, registry: Arc::clone(&registry) });
        let inner = Rc::new(Inner { registry, bell, scratch: Cell::default() });
        let hook = install(Rc::clone(&inner) as Rc<dyn Hook>);
        let here = here::enter(Arc::clone(&inner.registry));
        Ok(Self(Some(Own { inner, _here: here, _hook: hook })))
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        if let Some(own) = &self.0 {
            own.inner.registry.evict();
        }
    }
}

impl fmt::Debug for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Local").finish_non_exhaustive()
    }
}

impl Inner {
    /// Polls the backend and tells whom it concerns.
    fn poll(&self, until: Option<Instant>) -> io::Result<()> {
        let mut batch = self.scratch.take();
        // Whoever is woken by an event is this thread, most of all, and it is awake then.
        // A permit left meanwhile is for this sleep, which ends: it is taken, not overwritten.
        let awake = || {
            self.bell.state.swap(RUNNING, Ordering::Acquire);
        };
        let result = self.registry.turn(until, &mut batch, awake);
        self.scratch.set(batch);
        result
    }

    /// Sleeps by `wait`, unless the permit is there, and takes the permit.
    fn sleep(&self, wait: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let state = &self.bell.state;
        let asleep = state.compare_exchange(RUNNING, POLLING, Ordering::Relaxed, Ordering::Relaxed);
        let result = if asleep.is_ok() { wait() } else { Ok(()) };
        state.swap(RUNNING, Ordering::Acquire);
        result
    }
}

impl Hook for Inner {
    fn park_until(&self, deadline: Option<Instant>) -> io::Result<()> {
        self.sleep(|| self.poll(deadline))
    }

    fn park_on(&self, watches: &mut [Watch<'_>], deadline: Option<Instant>) -> io::Result<()> {
        // The backend's own descriptor is readable when it has something to tell.
        let Some(own) = self.registry.backend.descriptor().map(Watch::readable) else {
            return here::park_on(&self.registry, watches, deadline);
        };
        let mut all: Vec<_> = watches.iter().map(Watch::again).chain([own]).collect();
        let result = self.sleep(|| sys::poll(&mut all, deadline));
        for (watch, done) in watches.iter_mut().zip(&all) {
            watch.answer(done);
        }
        if all.last().is_some_and(Watch::fired) {
            let told = self.poll(Some(Instant::now()));
            return result.and(told);
        }
        result
    }

    fn unparker(&self) -> Unparker {
        Unparker::from(Waker::from(Arc::clone(&self.bell)))
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.state.swap(WOKEN, Ordering::Release) == POLLING {
            self.registry.backend.wake();
        }
    }
}

#[cfg(all(test, aqueduct_loom))]
mod loom_models;
