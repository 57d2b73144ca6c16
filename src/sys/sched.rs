//! How the scheduler treats the running thread.
#![cfg_attr(
    all(any(target_os = "linux", target_os = "android"), not(miri)),
    expect(unsafe_code, reason = "no safe call sets a policy")
)]

/// What a thread that is woken does to the one that has its processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manners {
    /// It may take it away: the way of all threads.
    Eager,
    /// It waits until that one's time is up, or it sleeps: SCHED_BATCH.
    Patient,
}

/// Turns the running thread from one into the other; whether it is so. A thread that is scheduled
/// by any other policy stays as it is.
#[cfg(all(any(target_os = "linux", target_os = "android"), not(miri)))]
pub(crate) fn turn(from: Manners, to: Manners) -> bool {
    let policy = |manners| match manners {
        Manners::Eager => libc::SCHED_OTHER,
        Manners::Patient => libc::SCHED_BATCH,
    };
    // SAFETY: it asks about the running thread.
    if unsafe { libc::sched_getscheduler(0) } != policy(from) {
        return false;
    }
    // SAFETY: all zero is a value of these numbers, and their right one for both policies.
    let none: libc::sched_param = unsafe { std::mem::zeroed() };
    // SAFETY: it concerns the running thread alone, and `none` outlives the call.
    unsafe { libc::sched_setscheduler(0, policy(to), &raw const none) == 0 }
}

#[cfg(not(all(any(target_os = "linux", target_os = "android"), not(miri))))]
pub(crate) fn turn(_: Manners, _: Manners) -> bool {
    false
}

#[cfg(all(test, any(target_os = "linux", target_os = "android"), not(miri)))]
mod tests {
    use super::*;
    use Manners::{Eager, Patient};

    #[test]
    fn a_thread_turns_from_what_it_is() {
        std::thread::spawn(|| {
            assert!(!turn(Patient, Eager), "it is eager");
            assert!(turn(Eager, Patient));
            assert!(!turn(Eager, Patient), "it is patient");
            assert!(turn(Patient, Eager));
        })
        .join()
        .unwrap();
    }
}
