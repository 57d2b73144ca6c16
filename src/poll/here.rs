//! The registry of the running thread, and what a wait needs of it.

use super::registry::{Desc, Registry};
use super::{Interest, Mode};
use crate::park::{Unparker, park_until};
use crate::sync::thread_local;
use crate::sys::{self, Watch};
use std::cell::RefCell;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Instant;

thread_local! {
    /// The last is in use. They may go in any order.
    static HERE: RefCell<Vec<Arc<Registry>>> = const { RefCell::new(Vec::new()) };
}

/// A registry is that of its thread until this is dropped.
#[must_use = "the registry is forgotten when this is dropped"]
pub(crate) struct Entered {
    registry: Arc<Registry>,
}

/// From now on what this thread waits for is registered with `registry`, which it polls.
pub(crate) fn enter(registry: Arc<Registry>) -> Entered {
    HERE.with(|all| all.borrow_mut().push(Arc::clone(&registry)));
    Entered { registry }
}

impl Drop for Entered {
    fn drop(&mut self) {
        // A thread whose locals are gone has no current one any more.
        let _ = HERE.try_with(|all| {
            let mut all = all.borrow_mut();
            let place = all.iter().rposition(|there| Arc::ptr_eq(there, &self.registry));
            place.map(|place| all.remove(place))
        });
    }
}

fn with<T>(f: impl FnOnce(&Arc<Registry>) -> T) -> Option<T> {
    HERE.try_with(|all| all.borrow().last().map(f)).ok().flatten()
}

/// Whether events for all of these arrive by themselves by now: at this thread's backend, or at
/// one that is always polled.
pub(super) fn settle<'a>(
    all: impl Iterator<Item = (BorrowedFd<'a>, Option<&'a Arc<Desc>>)>,
) -> io::Result<bool> {
    let settled = with(|registry| {
        for (fd, desc) in all {
            let Some(desc) = desc else { return Ok(false) };
            if !desc.settle(fd, registry)? {
                return Ok(false);
            }
        }
        Ok(true)
    });
    settled.unwrap_or(Ok(false))
}

/// Whether this thread has no registry: it waits by poll(2) alone, which looks at the descriptors
/// themselves.
pub(crate) fn polls() -> bool {
    with(|_| ()).is_none()
}

/// Whether edges that reach this thread keep the words of `desc` up to date, so that a short
/// read can prove that nothing is left.
pub(crate) fn keeps(desc: &Desc) -> bool {
    Registry::EDGES && with(|registry| desc.lives_at(registry)).unwrap_or(false)
}

/// Parks until one of `watches` fires, whoever may have its descriptor registered: a duplicate of
/// each, or what tells of its news, is watched by `registry` meanwhile. For flows of control that
/// cannot stop in poll(2).
pub(crate) fn park_on(
    registry: &Arc<Registry>,
    watches: &mut [Watch<'_>],
    deadline: Option<Instant>,
) -> io::Result<()> {
    sys::look(watches)?;
    if watches.iter().any(Watch::fired) {
        return Ok(());
    }
    let me = Unparker::current();
    let mut guests = Vec::with_capacity(watches.len());
    for watch in watches.iter_mut() {
        match Guest::new(registry, watch, &me)? {
            Some(guest) => guests.push(guest),
            // It never makes anybody wait.
            None => return Ok(()),
        }
    }
    let parked = park_until(deadline);
    drop(guests);
    parked?;
    sys::look(watches)
}

/// A descriptor that stands for another, registered for one wait.
struct Guest {
    fd: OwnedFd,
    desc: Arc<Desc>,
}

impl Guest {
    /// `None` if the descriptor is always ready, or has just become so.
    fn new(
        registry: &Arc<Registry>,
        watch: &mut Watch<'_>,
        me: &Unparker,
    ) -> io::Result<Option<Self>> {
        let own = Interest { readable: watch.reads(), writable: watch.writes() };
        let (fd, what) = match watch.news()? {
            Some(news) => (news, Interest::READABLE),
            None => (watch.fd().try_clone_to_owned()?, own),
        };
        if watch.fired() {
            return Ok(None);
        }
        let guest = Self { fd, desc: Desc::new() };
        if !guest.desc.visit(guest.fd.as_fd(), registry, what, Mode::Edge)? {
            return Ok(None);
        }
        let sides = [&guest.desc.read, &guest.desc.write];
        for side in sides {
            let dry = side.begin().map(|round| side.word().drained(round.seen))?;
            if !dry.is_some_and(|dry| side.park(dry, me)) {
                return Ok(None);
            }
        }
        Ok(Some(guest))
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.desc.leave(self.fd.as_fd());
    }
}
