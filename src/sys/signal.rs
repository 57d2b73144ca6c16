//! Signals that tell a thread which descriptor has news: `O_ASYNC`, `F_SETSIG`.
#![expect(unsafe_code, reason = "signals are raw calls")]

use super::kind::is_device;
use super::wait::in_steps;
use libc::{c_int, c_long};
use std::cell::Cell;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// A real-time signal of one thread, blocked there, and SIGIO, which comes when no more of the
/// former fit into the queue. Both stay blocked: a descriptor that somebody duplicated and forgot may
/// send one for ever.
#[derive(Debug)]
pub(crate) struct Line {
    owner: libc::pid_t,
    number: c_int,
    /// Readable while one of them is pending, for its own thread.
    fd: OwnedFd,
    /// How many overflows it knows of.
    seen: AtomicU64,
}

/// What a signal tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum News {
    /// A descriptor of this number has changed, or one that had it before.
    Of(RawFd),
    /// Signals were lost.
    Overflow,
}

thread_local! {
    /// Which signals of this thread are taken, by their distance from the first.
    static TAKEN: Cell<u64> = const { Cell::new(0) };
    /// SIGIO is one for all lines of the thread.
    static OVERFLOWS: Cell<u64> = const { Cell::new(0) };
}

/// The setting lies in the description: nobody may look at it while another changes it.
static ROUTING: Mutex<()> = Mutex::new(());

/// `siginfo_t` as far as it is filled for descriptors.
#[repr(C)]
struct Info {
    signal: c_int,
    errno: c_int,
    code: c_int,
    #[cfg(target_pointer_width = "64")]
    padding: c_int,
    band: c_long,
    fd: c_int,
}

impl Line {
    /// A line of the running thread.
    pub(crate) fn new() -> io::Result<Self> {
        let (first, last) = (libc::SIGRTMIN(), libc::SIGRTMAX());
        let taken = TAKEN.get();
        let number = (first..=last).find(|number| taken & 1 << (number - first) == 0);
        let number = number.ok_or(io::ErrorKind::ResourceBusy)?;
        let set = set(number);
        // SAFETY: the set is valid, and nothing is written to a null pointer.
        let failed =
            unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, ptr::null_mut()) };
        if failed != 0 {
            return Err(io::Error::from_raw_os_error(failed));
        }
        // SAFETY: the set is valid.
        let fd = check(unsafe {
            libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK)
        })?;
        TAKEN.set(taken | 1 << (number - first));
        // SAFETY: it was just made, and nobody else knows of it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        let seen = AtomicU64::new(OVERFLOWS.get());
        Ok(Self { owner: this_thread(), number, fd, seen })
    }

    pub(crate) fn is_of_this_thread(&self) -> bool {
        self.owner == this_thread()
    }

    /// Has the line's thread told of what happens to `fd`. `false` if that cannot be: the kind of
    /// descriptor does not do it, its description tells somebody else, or was not made for us.
    pub(crate) fn route(&self, fd: BorrowedFd<'_>) -> io::Result<bool> {
        let _routing = ROUTING.lock().unwrap_or_else(PoisonError::into_inner);
        let is_device = is_device(fd)?;
        let fd = fd.as_raw_fd();
        let flags = flags(fd)?;
        // Terminals tell of input alone.
        if flags & libc::O_ASYNC != 0 || flags & libc::O_NONBLOCK == 0 || is_device {
            return Ok(false);
        }
        let owner = Owner { kind: F_OWNER_TID, id: self.owner };
        let routed = set_owner(fd, &owner)
            .and_then(|()| set_signal(fd, self.number))
            .and_then(|()| set_flags(fd, flags | libc::O_ASYNC))
            .and_then(|()| Ok(self::flags(fd)? & libc::O_ASYNC != 0));
        match routed {
            Ok(true) => Ok(true),
            // It knows no owner, or keeps no such flag.
            Ok(false) | Err(_) => {
                clear(fd, flags);
                Ok(false)
            }
        }
    }

    /// Takes back what [`route`](Self::route) did, if it is still there. Signals may be pending.
    pub(crate) fn unroute(&self, fd: RawFd) {
        let _routing = ROUTING.lock().unwrap_or_else(PoisonError::into_inner);
        let mut owner = Owner { kind: 0, id: 0 };
        // SAFETY: it writes an owner.
        let known = unsafe { libc::fcntl(fd, F_GETOWN_EX, &raw mut owner) } == 0;
        // SAFETY: it answers a number.
        let signal = unsafe { libc::fcntl(fd, F_GETSIG) };
        // Another description may have the number by now.
        if known && (owner.kind, owner.id, signal) == (F_OWNER_TID, self.owner, self.number) {
            if let Ok(flags) = flags(fd) {
                clear(fd, flags);
            }
        }
    }

    /// Waits for a signal until the deadline; `None` if there was none. For the line's thread.
    pub(crate) fn wait(&self, deadline: Option<Instant>) -> io::Result<Option<News>> {
        if self.seen.swap(OVERFLOWS.get(), Ordering::Relaxed) != OVERFLOWS.get() {
            return Ok(Some(News::Overflow));
        }
        let set = set(self.number);
        let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
        let mut news = None;
        in_steps(deadline, |timeout| {
            let timeout = timeout
                .map(|it| libc::timespec { tv_sec: it.tv_sec as _, tv_nsec: it.tv_nsec as _ });
            let timeout = timeout.as_ref().map_or(ptr::null(), ptr::from_ref);
            // SAFETY: all three are valid, or null where that is allowed.
            let number = unsafe { libc::sigtimedwait(&raw const set, info.as_mut_ptr(), timeout) };
            match check(number) {
                Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => return Ok(0),
                Err(error) => return Err(error),
                Ok(libc::SIGIO) => news = Some(News::Overflow),
                Ok(_) => {
                    // SAFETY: it is larger than `Info`, and all of it is initialized.
                    let info = unsafe { info.as_ptr().cast::<Info>().read_unaligned() };
                    // Where somebody else has sent it, there is no descriptor in it.
                    news = Some(News::Of(if info.code > 0 { info.fd } else { -1 }));
                }
            }
            Ok(1)
        })?;
        if news == Some(News::Overflow) {
            OVERFLOWS.set(OVERFLOWS.get() + 1);
            self.seen.store(OVERFLOWS.get(), Ordering::Relaxed);
        }
        Ok(news)
    }
}

impl AsFd for Line {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        // Elsewhere the number is lost to its thread, which is likely to have ended.
        if self.is_of_this_thread() {
            while let Ok(Some(_)) = self.wait(Some(Instant::now())) {}
            let bit = 1 << (self.number - libc::SIGRTMIN());
            let _ = TAKEN.try_with(|taken| taken.set(taken.get() & !bit));
        }
    }
}

const F_SETSIG: c_int = 10;
const F_GETSIG: c_int = 11;
const F_SETOWN_EX: c_int = 15;
const F_GETOWN_EX: c_int = 16;
const F_OWNER_TID: c_int = 0;

#[repr(C)]
struct Owner {
    kind: c_int,
    id: libc::pid_t,
}

fn clear(fd: RawFd, flags: c_int) {
    // Whatever fails, there is nothing else that could be done.
    let _ = set_flags(fd, flags & !libc::O_ASYNC);
    let _ = set_signal(fd, 0);
    let _ = set_owner(fd, &Owner { kind: F_OWNER_TID, id: 0 });
}

fn set(number: c_int) -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: the first makes the set valid; the numbers are those of signals.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), number);
        libc::sigaddset(set.as_mut_ptr(), libc::SIGIO);
        set.assume_init()
    }
}

fn flags(fd: RawFd) -> io::Result<c_int> {
    // SAFETY: it takes no pointer.
    check(unsafe { libc::fcntl(fd, libc::F_GETFL) })
}

fn set_flags(fd: RawFd, flags: c_int) -> io::Result<()> {
    // SAFETY: it takes no pointer.
    check(unsafe { libc::fcntl(fd, libc::F_SETFL, flags) }).map(drop)
}

fn set_signal(fd: RawFd, number: c_int) -> io::Result<()> {
    // SAFETY: it takes no pointer.
    check(unsafe { libc::fcntl(fd, F_SETSIG, number) }).map(drop)
}

fn set_owner(fd: RawFd, owner: &Owner) -> io::Result<()> {
    // SAFETY: it reads an owner.
    check(unsafe { libc::fcntl(fd, F_SETOWN_EX, ptr::from_ref(owner)) }).map(drop)
}

fn check(result: c_int) -> io::Result<c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn this_thread() -> libc::pid_t {
    // SAFETY: it takes nothing.
    unsafe { libc::gettid() }
}
