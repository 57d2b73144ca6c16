//! What the process was started with, before Rust's runtime changed it: the runtime opens
//! /dev/null in place of standard descriptors that are closed, and ignores SIGPIPE.
#![allow(unsafe_code, reason = "signal dispositions and an initialiser have no safe interface")]

use std::io;
use std::os::fd::{IntoRawFd, OwnedFd};
use std::sync::atomic::{AtomicU8, Ordering};

/// Bits 0 to 2: this standard descriptor was closed. Bit 3: SIGPIPE was ignored.
static FOUND: AtomicU8 = AtomicU8::new(0);
const SIGPIPE_IGNORED: u8 = 1 << 3;

/// Runs before the runtime's own start. Elsewhere than on Linux all is taken to be as usual.
#[cfg(target_os = "linux")]
#[used]
// SAFETY: the section holds pointers to functions of this signature, which the C runtime calls
// once, on the only thread, after libc is ready; this one calls libc only.
#[unsafe(link_section = ".init_array")]
static LOOK: extern "C" fn() = {
    extern "C" fn look() {
        let mut found = 0;
        for fd in 0..3 {
            // SAFETY: F_GETFD takes no pointer, and any number may be asked about.
            if unsafe { libc::fcntl(fd, libc::F_GETFD) } == -1 {
                found |= 1 << fd;
            }
        }
        let mut action = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
        // SAFETY: a null new action only asks; `action` is room for the answer, and all zeroes
        // is a value of the type even if there is none.
        let handler = unsafe {
            libc::sigaction(libc::SIGPIPE, std::ptr::null(), action.as_mut_ptr());
            action.assume_init().sa_sigaction
        };
        if handler == libc::SIG_IGN {
            found |= SIGPIPE_IGNORED;
        }
        FOUND.store(found, Ordering::Relaxed);
    }
    look
};

pub(super) fn was_open(fd: u8) -> io::Result<()> {
    if FOUND.load(Ordering::Relaxed) & (1 << fd) == 0 {
        return Ok(());
    }
    Err(io::Error::from_raw_os_error(libc::EBADF))
}

/// Whether the process was started with SIGPIPE ignored.
pub(crate) fn sigpipe_is_ignored() -> bool {
    FOUND.load(Ordering::Relaxed) & SIGPIPE_IGNORED != 0
}

pub(super) fn restore_sigpipe() {
    if !sigpipe_is_ignored() {
        set_sigpipe(libc::SIG_DFL);
    }
}

/// From here on a reader that goes away is an error of the write, for tools that go on then.
pub(crate) fn ignore_sigpipe() {
    set_sigpipe(libc::SIG_IGN);
}

/// Ends the process as if SIGPIPE had not been ignored: for tools that had to tidy up first.
pub(crate) fn die_of_sigpipe() {
    die_of(libc::SIGPIPE);
}

/// Ends the process as `signal` does that nobody has taken care of.
pub(crate) fn die_of(signal: libc::c_int) {
    let mut set = std::mem::MaybeUninit::uninit();
    // SAFETY: the signal exists, and its default disposition runs no code of ours; sigemptyset
    // initialises the set, and the old mask is not asked for.
    unsafe {
        libc::signal(signal, libc::SIG_DFL);
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), signal);
        libc::pthread_sigmask(libc::SIG_UNBLOCK, set.as_ptr(), std::ptr::null_mut());
        libc::raise(signal);
    }
}

fn set_sigpipe(disposition: libc::sighandler_t) {
    // SAFETY: the disposition is SIG_DFL or SIG_IGN, so no handler of ours ever runs. The call
    // cannot fail for a signal that exists and may be ignored.
    unsafe { libc::signal(libc::SIGPIPE, disposition) };
}

pub(super) fn close(fd: OwnedFd) -> io::Result<()> {
    // SAFETY: the descriptor was owned and is given up here.
    match unsafe { libc::close(fd.into_raw_fd()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
