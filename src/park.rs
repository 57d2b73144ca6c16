//! Stop and wake the current flow of control.
//!
//! Whoever has to wait takes its [`Unparker`], puts it where the other side will find it, and
//! calls [`park_until`]. Waking leaves a permit: a wake that comes before the park makes the park
//! return at once, and any number of wakes leave one permit. **Every park may return for no
//! reason**, so each stands in a loop that asks again whether there is still something to wait for.
//!
//! A plain thread parks on a permit of its own, not on that of [`std::thread::park`]: code that
//! uses std's neither loses a wake to us nor costs us one. A thread that runs tasks
//! [installs](install) a [`Hook`], and what is parked then is the task.

mod permit;
mod spin;
mod turn;

pub(crate) use self::spin::spin_until;
pub(crate) use self::turn::{Turn, Turns};

use self::permit::Own;
use crate::sync::{thread, thread_local};
use crate::sys::memory::prefetch;
use crate::sys::{self, Watch};
use std::cell::{Cell, RefCell};
use std::fmt;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

/// Wakes one flow of control: leaves it the permit, and ends its park if it is parked.
///
/// It may outlive whom it wakes. It is a [`Waker`] in another word, so that a future may be
/// polled with it and a task needs no second way to be woken.
#[derive(Clone)]
pub(crate) struct Unparker(Waker);

impl Unparker {
    /// That of the running flow of control.
    pub(crate) fn current() -> Self {
        hook().map_or_else(Self::of_thread, |hook| hook.unparker())
    }

    /// That of the thread itself, whatever runs on it: it ends [`park_in_place`].
    pub(crate) fn of_thread() -> Self {
        // After the thread's locals are gone there is nobody to wake: `park_until` polls then.
        let waker = OWN.try_with(|own| Waker::from(Arc::clone(&own.permit)));
        Self(waker.unwrap_or_else(|_| Waker::noop().clone()))
    }

    /// Has what a wake changes fetched into the cache.
    pub(crate) fn approach(&self) {
        prefetch(self.0.data().cast());
    }

    /// Leaves the permit.
    pub(crate) fn unpark(&self) {
        self.0.wake_by_ref();
    }
}

impl From<Waker> for Unparker {
    fn from(waker: Waker) -> Self {
        Self(waker)
    }
}

impl From<Unparker> for Waker {
    fn from(unparker: Unparker) -> Self {
        unparker.0
    }
}

impl fmt::Debug for Unparker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Unparker")
    }
}

/// Stops the running flow of control until it is unparked, until `deadline`, or for no reason.
///
/// # Errors
///
/// Those of the hook: it may refuse to wait, as for a task that was cancelled. A plain thread
/// never fails.
pub(crate) fn park_until(deadline: Option<Instant>) -> io::Result<()> {
    if let Some(hook) = hook() {
        return hook.park_until(deadline);
    }
    // A destructor of another thread-local may wait after ours is gone. Nobody can wake it, but
    // its loop asks again after each return.
    if OWN.try_with(|own| own.permit.wait(deadline)).is_err() {
        let pause = Duration::from_millis(1);
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        thread::sleep(left.map_or(pause, |left| left.min(pause)));
    }
    Ok(())
}

/// As [`park_until`], in a wait that a cancel does not cut short.
///
/// # Errors
///
/// Those of the hook: somebody unwinds, say.
pub(crate) fn park_shielded(deadline: Option<Instant>) -> io::Result<()> {
    match hook() {
        Some(hook) => hook.park_shielded(deadline),
        None => park_until(deadline),
    }
}

/// Whether the running flow of control may stop, and others run: it was not cancelled.
pub(crate) fn may_stop() -> bool {
    hook().is_none_or(|hook| hook.may_stop())
}

/// As [`park_until`], and until one of `watches` fires. The flow of control must not hold a
/// watch that nobody else may see: all of them are asked together.
///
/// # Errors
///
/// As [`park_until`], and those of poll(2).
pub(crate) fn park_on(watches: &mut [Watch<'_>], deadline: Option<Instant>) -> io::Result<()> {
    match hook() {
        Some(hook) => hook.park_on(watches, deadline),
        None => park_in_place(watches, deadline),
    }
}

/// As [`park_on`], for the thread as a whole.
///
/// # Errors
///
/// Those of poll(2).
pub(crate) fn park_in_place(
    watches: &mut [Watch<'_>],
    deadline: Option<Instant>,
) -> io::Result<()> {
    OWN.try_with(|own| own.poll(watches, deadline)).unwrap_or_else(|_| {
        let soon = Instant::now() + Duration::from_millis(1);
        sys::poll(watches, Some(deadline.map_or(soon, |deadline| deadline.min(soon))))
    })
}

/// How a thread that runs other flows of control parks the one that is running.
pub(crate) trait Hook {
    /// As [`park_until`]; must not unwind.
    fn park_until(&self, deadline: Option<Instant>) -> io::Result<()>;

    /// As [`park_shielded`]; must not unwind.
    fn park_shielded(&self, deadline: Option<Instant>) -> io::Result<()> {
        self.park_until(deadline)
    }

    /// As [`may_stop`].
    fn may_stop(&self) -> bool {
        true
    }

    /// As [`park_on`]; must not unwind.
    fn park_on(&self, watches: &mut [Watch<'_>], deadline: Option<Instant>) -> io::Result<()>;

    /// Lets other flows of control run, if there are any.
    fn pause(&self) {}

    /// That of the flow of control that is running, which
    /// [`park_until`](Self::park_until) would stop.
    fn unparker(&self) -> Unparker;
}

/// What a flow of control may do before others get their turn: so many small calls that did not wait,
/// or a mebibyte.
const BUDGET: u64 = 64;

thread_local! {
    static LEFT: Cell<u64> = const { Cell::new(BUDGET) };
}

/// A call has gone on without waiting and moved so many bytes. Who does nothing but that must let
/// others run now and then, and here they do: nothing may be locked.
pub(crate) fn spend(bytes: u64) {
    let cost = 1 + bytes / (1 << 14);
    let _ = LEFT.try_with(|left| match left.get().checked_sub(cost) {
        Some(rest) => left.set(rest),
        None => {
            left.set(BUDGET);
            if let Some(hook) = hook() {
                hook.pause();
            }
        }
    });
}

/// Another flow of control has its turn.
pub(crate) fn refill() {
    LEFT.with(|left| left.set(BUDGET));
}

/// Makes `hook` answer for this thread until the guard is dropped, and then the one before it
/// that is still in place: guards may be dropped in any order.
#[must_use = "the hook is removed when this is dropped"]
pub(crate) fn install(hook: Rc<dyn Hook>) -> Installed {
    HOOKS.with(|hooks| hooks.borrow_mut().push(Rc::clone(&hook)));
    Installed { hook }
}

/// A hook is in place on this thread.
pub(crate) struct Installed {
    hook: Rc<dyn Hook>,
}

impl Drop for Installed {
    fn drop(&mut self) {
        // Without its list the thread has no hook any more, which is what the drop is for.
        let _ = HOOKS.try_with(|hooks| {
            let mut hooks = hooks.borrow_mut();
            let place = hooks.iter().rposition(|there| Rc::ptr_eq(there, &self.hook));
            place.map(|place| hooks.remove(place))
        });
    }
}

thread_local! {
    static HOOKS: RefCell<Vec<Rc<dyn Hook>>> = const { RefCell::new(Vec::new()) };
    static OWN: Own = Own::default();
}

/// A copy, for the list must be free while the hook runs other flows of control.
fn hook() -> Option<Rc<dyn Hook>> {
    HOOKS.try_with(|hooks| hooks.borrow().last().cloned()).ok().flatten()
}

/// How long a wait lasts in which what it is for is not heard.
pub(crate) const DEAF: Duration = Duration::from_millis(10);

#[cfg(test)]
#[cfg(not(any(aqueduct_loom, aqueduct_shuttle)))]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn a_wake_before_the_park_is_kept_and_wakes_do_not_add_up() {
        let me = Unparker::current();
        me.unpark();
        me.unpark();
        park_until(None).unwrap();
        let soon = Instant::now() + Duration::from_millis(2);
        while Instant::now() < soon {
            park_until(Some(soon)).unwrap();
        }
    }

    #[test]
    fn a_past_deadline_does_not_wait() {
        park_until(Some(Instant::now())).unwrap();
    }

    #[test]
    fn two_threads_wake_each_other_in_turns() {
        let rounds = if cfg!(miri) { 20 } else { 20_000 };
        let turn = AtomicUsize::new(0);
        let sleepers = [const { Mutex::new(None::<Unparker>) }; 2];
        thread::scope(|scope| {
            for me in 0..2 {
                let (turn, sleepers) = (&turn, &sleepers);
                scope.spawn(move || {
                    *sleepers[me].lock().unwrap() = Some(Unparker::current());
                    for round in 0..rounds {
                        while turn.load(Ordering::Acquire) != 2 * round + me {
                            park_until(None).unwrap();
                        }
                        turn.store(2 * round + me + 1, Ordering::Release);
                        // Who has not come so far will see the turn before it parks.
                        if let Some(other) = &*sleepers[1 - me].lock().unwrap() {
                            other.unpark();
                        }
                    }
                });
            }
        });
        assert_eq!(turn.into_inner(), 2 * rounds);
    }

    #[test]
    fn wakes_from_std_do_no_harm_and_are_not_taken() {
        thread::current().unpark();
        let me = Unparker::current();
        let other = thread::spawn(move || me.unpark());
        park_until(None).unwrap();
        other.join().unwrap();
        thread::park();
    }

    struct Counting(Cell<usize>);

    impl Hook for Counting {
        fn park_until(&self, _: Option<Instant>) -> io::Result<()> {
            self.0.set(self.0.get() + 1);
            Err(crate::error::cancelled())
        }

        fn park_on(&self, _: &mut [Watch<'_>], deadline: Option<Instant>) -> io::Result<()> {
            self.park_until(deadline)
        }

        fn unparker(&self) -> Unparker {
            Unparker::from(Waker::noop().clone())
        }
    }

    #[test]
    fn a_hook_parks_instead_of_the_thread_until_it_is_removed() {
        let hook = Rc::new(Counting(Cell::new(0)));
        let installed = install(Rc::clone(&hook) as Rc<dyn Hook>);
        let refused = park_until(None).unwrap_err();
        assert!(crate::is_cancelled(&refused));
        Unparker::current().unpark();
        drop(installed);
        assert_eq!(hook.0.get(), 1);
        Unparker::current().unpark();
        park_until(None).unwrap();
        assert_eq!(hook.0.get(), 1);
    }

    #[test]
    fn a_thread_without_its_locals_can_still_wait() {
        struct Late(Arc<AtomicUsize>);
        impl Drop for Late {
            fn drop(&mut self) {
                while self.0.load(Ordering::Acquire) == 0 {
                    let _unparker = Unparker::current();
                    park_until(None).unwrap();
                }
                self.0.store(2, Ordering::Release);
            }
        }
        thread_local!(static LATE: RefCell<Option<Late>> = const { RefCell::new(None) });
        let flag = Arc::new(AtomicUsize::new(0));
        let theirs = Arc::clone(&flag);
        let thread = thread::spawn(move || {
            // Registered first, so destroyed last or first: either way the wait must end.
            LATE.with(|late| *late.borrow_mut() = Some(Late(theirs)));
            Unparker::current().unpark();
        });
        flag.store(1, Ordering::Release);
        thread.join().unwrap();
        assert_eq!(flag.load(Ordering::Acquire), 2);
    }
}
