//! io_uring(7): orders to be told which descriptors are ready, and [operations](flight).
#![expect(unsafe_code, reason = "the queues are memory shared with the kernel")]

mod flight;

pub(crate) use self::flight::Flight;

use super::wait::in_steps;
use io_uring::squeue::Entry;
use io_uring::types::{Fd, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode};
use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Instant;

pub(crate) use rustix::event::epoll::EventFlags as Flags;

/// So many orders are collected before they have to be given.
const ORDERS: u32 = 256;
/// So many answers lie in the queue itself; what is beyond waits in the kernel.
const ANSWERS: u32 = 1024;

/// The tag of what nobody wants to hear of.
const UNHEARD: u64 = 0;
/// In the tag of what is watched, above which is that of the caller. The others are of operations.
const WATCH: u64 = 1;

/// A ring. Both queues may be used by any thread, each by one at a time.
pub(crate) struct Ring {
    ring: IoUring,
    orders: Mutex<()>,
    /// Those that had to be taken out of the queue before anybody waited for them.
    answers: Mutex<Heard>,
    /// Waits under way, which do not see what is ordered meanwhile.
    waits: AtomicUsize,
    /// Operations under way.
    flights: AtomicUsize,
    cooperative: bool,
    enters: AtomicU64,
}

/// What has come.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    pub(crate) answers: Vec<Answer>,
    /// Those whose operations have been carried out.
    pub(crate) woken: Vec<Waker>,
}

impl Heard {
    fn is_empty(&self) -> bool {
        self.answers.is_empty() && self.woken.is_empty()
    }
}

/// What came of an order.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answer {
    pub(crate) tag: u64,
    pub(crate) result: Result<Flags, i32>,
    /// More answers will follow.
    pub(crate) more: bool,
}

impl Ring {
    /// # Errors
    ///
    /// `Unsupported` if the system's rings cannot do what is needed here.
    pub(crate) fn new() -> io::Result<Self> {
        let make = |cooperative: bool| {
            let mut builder = IoUring::builder();
            // A child's changes would be ours.
            builder.dontfork().setup_cqsize(ANSWERS);
            if cooperative {
                // Who waits is woken, and nobody who works is interrupted.
                builder.setup_coop_taskrun();
            }
            builder.build(ORDERS)
        };
        let (ring, cooperative) = match make(true) {
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => (make(false)?, false),
            done => (done?, true),
        };
        let params = ring.params();
        // The last is of the version that has orders with more than one answer.
        let serves = params.is_feature_nodrop()
            && params.is_feature_ext_arg()
            && params.is_feature_resource_tagging();
        if !serves {
            return Err(io::ErrorKind::Unsupported.into());
        }
        Ok(Self {
            ring,
            orders: Mutex::default(),
            answers: Mutex::default(),
            waits: AtomicUsize::new(0),
            flights: AtomicUsize::new(0),
            cooperative,
            enters: AtomicU64::new(0),
        })
    }

    /// How often the system was called.
    pub(crate) fn enters(&self) -> u64 {
        self.enters.load(Ordering::Relaxed)
    }

    /// Whether `error`, of [`new`](Self::new), says that there are no rings for this program.
    pub(crate) fn is_forbidden(error: &io::Error) -> bool {
        use libc::{EACCES, EINVAL, ENOMEM, ENOSYS, EPERM};
        // ENOMEM: of the memory that may be locked, on older systems.
        let answers = [EACCES, EINVAL, ENOMEM, ENOSYS, EPERM];
        error.kind() == io::ErrorKind::Unsupported
            || error.raw_os_error().is_some_and(|number| answers.contains(&number))
    }

    /// Orders to tell under `tag`, of 63 bits, what happens to `fd`: once, or each time.
    pub(crate) fn watch(&self, fd: RawFd, tag: u64, what: Flags, again: bool) -> io::Result<()> {
        let order = opcode::PollAdd::new(Fd(fd), what.bits()).multi(again);
        // SAFETY: the order has no pointer in it.
        unsafe { self.push(&order.build().user_data(tag << 1 | WATCH)) }
    }

    /// Orders to forget what was ordered under `tag`, at once.
    pub(crate) fn forget(&self, tag: u64) -> io::Result<()> {
        let order = opcode::AsyncCancel::new(tag << 1 | WATCH);
        // SAFETY: the order has no pointer in it.
        unsafe { self.push(&order.build().user_data(UNHEARD)) }?;
        self.submit()
    }

    /// Puts an order into the queue, or fails.
    ///
    /// # Safety
    ///
    /// What `entry` points to must be there until its answer was taken.
    unsafe fn push(&self, entry: &Entry) -> io::Result<()> {
        loop {
            let guard = lock(&self.orders);
            // SAFETY: the lock makes this thread the only one that fills the queue; the caller answers
            // for the rest.
            let pushed = unsafe { self.ring.submission_shared().push(entry) };
            let waits = self.waits.load(Ordering::SeqCst) > 0;
            drop(guard);
            if pushed.is_ok() {
                if waits {
                    // If that fails, it is in the queue all the same, and given by the next call.
                    let _ = self.submit();
                }
                return Ok(());
            }
            if !self.try_submit()? {
                // They wait for whoever waits next. If somebody does now, he was woken by them.
                drop(self.set_aside());
            }
        }
    }

    /// Gives the orders that were collected.
    pub(crate) fn submit(&self) -> io::Result<()> {
        self.try_submit().map(drop)
    }

    /// As [`submit`](Self::submit); `false` if there are answers that have to be taken first.
    fn try_submit(&self) -> io::Result<bool> {
        match super::retry(|| self.enter(0)) {
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => Ok(false),
            done => done.map(|_| true),
        }
    }

    fn enter(&self, want: usize) -> io::Result<usize> {
        self.enters.fetch_add(1, Ordering::Relaxed);
        self.ring.submitter().submit_and_wait(want)
    }

    /// Adds to `heard` what is there, or else the first that comes before the deadline. What was ordered
    /// is given in the same call.
    pub(crate) fn wait(&self, heard: &mut Heard, deadline: Option<Instant>) -> io::Result<()> {
        self.take(heard);
        if !heard.is_empty() {
            // If that fails, the orders are in the queue all the same, and the next wait says so. What was
            // heard is told once, and must not be lost with it.
            let _ = self.submit_if_any();
            return Ok(());
        }
        self.waits.fetch_add(1, Ordering::SeqCst);
        // Whoever orders from now on sees that somebody waits.
        drop(lock(&self.orders));
        let result = in_steps(deadline, |timeout| {
            let entered = match timeout {
                None => self.enter(1),
                Some(timeout) if timeout.tv_sec == 0 && timeout.tv_nsec == 0 => self.enter(0),
                Some(timeout) => {
                    let time = Timespec::new()
                        .sec(timeout.tv_sec.cast_unsigned())
                        .nsec(timeout.tv_nsec as u32);
                    self.enters.fetch_add(1, Ordering::Relaxed);
                    self.ring.submitter().submit_with_args(1, &SubmitArgs::new().timespec(&time))
                }
            };
            self.take(heard);
            match entered {
                _ if !heard.is_empty() => Ok(1),
                Err(error) if error.raw_os_error() == Some(libc::ETIME) => Ok(0),
                Err(error) if error.raw_os_error() == Some(libc::EBUSY) => Ok(0),
                Err(error) => Err(error),
                // Orders were given, and that hides how the wait ended.
                Ok(given) if given > 0 => Err(io::ErrorKind::Interrupted.into()),
                Ok(_) => Ok(0),
            }
        });
        self.waits.fetch_sub(1, Ordering::SeqCst);
        result
    }

    fn submit_if_any(&self) -> io::Result<()> {
        let guard = lock(&self.orders);
        // SAFETY: the lock makes this thread the only one that uses the queue.
        let is_empty = unsafe { self.ring.submission_shared().is_empty() };
        drop(guard);
        if is_empty { Ok(()) } else { self.submit() }
    }

    fn take(&self, heard: &mut Heard) {
        let mut aside = self.set_aside();
        heard.answers.append(&mut aside.answers);
        heard.woken.append(&mut aside.woken);
    }

    /// Empties the queue.
    fn set_aside(&self) -> MutexGuard<'_, Heard> {
        let mut aside = lock(&self.answers);
        // SAFETY: the lock makes this thread the only one that empties the queue.
        for entry in unsafe { self.ring.completion_shared() } {
            match entry.user_data() {
                UNHEARD => {}
                tag if tag & WATCH != 0 => {
                    let result = entry.result();
                    aside.answers.push(Answer {
                        tag: tag >> 1,
                        result: u32::try_from(result)
                            .map(Flags::from_bits_retain)
                            .map_err(|_| -result),
                        more: cqueue::more(entry.flags()),
                    });
                }
                // SAFETY: all other tags are of operations, which have one answer.
                _ => aside.woken.extend(unsafe { flight::answered(self, &entry) }),
            }
        }
        aside
    }
}

impl AsFd for Ring {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the ring is open as long as it is there.
        unsafe { BorrowedFd::borrow_raw(self.ring.as_raw_fd()) }
    }
}

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Ring").field(&self.as_fd()).finish()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
