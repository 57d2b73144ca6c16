//! Signals that are waited for, for tools that must tidy up before they end.
#![allow(unsafe_code, reason = "signal sets and sigwait(3) have no safe interface")]

use std::mem::MaybeUninit;

/// Signals that no longer end the process.
pub(crate) struct Signals(libc::sigset_t);

impl Signals {
    /// Holds back those of `signals` that whoever started us does not have ignored. To be called
    /// before any thread is started: threads inherit it.
    pub(crate) fn hold(signals: &[libc::c_int]) -> Self {
        let mut set = MaybeUninit::uninit();
        // SAFETY: sigemptyset initialises the set; the signals are constants that exist, for
        // which none of the calls can fail; the old mask is not asked for.
        unsafe {
            libc::sigemptyset(set.as_mut_ptr());
            for &signal in signals {
                if !is_ignored(signal) {
                    libc::sigaddset(set.as_mut_ptr(), signal);
                }
            }
            let set = set.assume_init();
            libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut());
            Self(set)
        }
    }

    /// Waits for one of them, and tells which.
    pub(crate) fn wait(&self) -> libc::c_int {
        let mut signal = 0;
        // SAFETY: the set is valid, and `signal` is room for the answer.
        while unsafe { libc::sigwait(&self.0, &mut signal) } != 0 {}
        signal
    }
}

fn is_ignored(signal: libc::c_int) -> bool {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: a null new action only asks; `action` is room for the answer, and all zeroes is a
    // value of the type even if there is none.
    let handler = unsafe {
        libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr());
        action.assume_init().sa_sigaction
    };
    handler == libc::SIG_IGN
}
