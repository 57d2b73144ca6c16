//! The registry of the running thread, and what a wait needs of it.

use super::registry::{Desc, Registry};
use super::{Interest, Mode};
use crate::park::{DEAF, Unparker, park_until};
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

/// Whether somebody polls this thread's registry for all that runs here.
pub(super) fn is_tended() -> bool {
    with(|registry| registry.is_tended()).unwrap_or(false)
}

/// This thread's registry, if somebody polls it for all that runs here, and if it `suits`.
pub(super) fn tended(suits: impl FnOnce(&Registry) -> bool) -> Option<Arc<Registry>> {
    with(|registry| (registry.is_tended() && suits(registry)).then(|| Arc::clone(registry)))?
}

/// Whether events for all of these arrive by themselves by now: at this thread's backend, or at
/// one that is always polled.
pub(super) fn settle<'a>(
    all: impl Iterator<Item = (BorrowedFd<'a>, Option<&'a Arc<Desc>>, Interest)>,
) -> io::Result<bool> {
    let settled = with(|registry| {
        for (fd, desc, what) in all {
            let Some(desc) = desc else { return Ok(false) };
            if !desc.settle(fd, registry, what)? {
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
    with(|registry| registry.drains() && desc.lives_at(registry)).unwrap_or(false)
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
    let mut deadline = deadline;
    for watch in watches.iter_mut() {
        let news = watch.news()?;
        if watch.fired() {
            return Ok(());
        }
        match Guest::new(registry, watch, news) {
            Ok(Some(guest)) if guest.announce(&me)? => guests.push(guest),
            // It is never broken either.
            Ok(None) if !watch.reads() && !watch.writes() => {}
            Ok(_) => return Ok(()),
            // No descriptor is left, for one: it is looked at again, a little later.
            Err(_) => {
                let soon = Instant::now() + DEAF;
                deadline = Some(deadline.map_or(soon, |at| at.min(soon)));
            }
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
    /// `None` if the descriptor is always ready.
    fn new(
        registry: &Arc<Registry>,
        watch: &Watch<'_>,
        news: Option<OwnedFd>,
    ) -> io::Result<Option<Self>> {
        let own = Interest { readable: watch.reads(), writable: watch.writes() };
        let (fd, what) = match news {
            Some(news) => (news, Interest::READABLE),
            None => (watch.fd().try_clone_to_owned()?, own),
        };
        let guest = Self { fd, desc: Desc::new() };
        let visits = guest.desc.visit(guest.fd.as_fd(), registry, what, Mode::Edge)?;
        Ok(visits.then_some(guest))
    }

    /// Announces the running flow of control as waiting; `false` if something has happened already.
    fn announce(&self, me: &Unparker) -> io::Result<bool> {
        for side in [&self.desc.read, &self.desc.write] {
            let dry = side.word().drained(side.begin()?.seen);
            if !dry.is_some_and(|dry| side.park(dry, me.clone())) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.desc.leave(self.fd.as_fd());
    }
}
