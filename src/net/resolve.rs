//! Names into addresses, off the caller's thread.

use crate::error;
use crate::park::{Unparker, park_until};
use std::io::{ErrorKind, Result};
use std::net::{SocketAddr, ToSocketAddrs};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// The addresses of `host`, in the order of preference that the system gives them.
pub(super) fn resolve(host: &str, port: u16, until: Option<Instant>) -> Result<Vec<SocketAddr>> {
    let name = host.to_owned();
    let found = elsewhere(until, move || Ok((&*name, port).to_socket_addrs()?.collect::<Vec<_>>()));
    match found? {
        Ok(addresses) => Ok(addresses),
        // The resolver's own errors have no number and no kind.
        Err(e) if e.raw_os_error().is_none() && e.kind() != ErrorKind::InvalidInput => {
            Err(error::unknown_host(host, &e))
        }
        Err(e) => Err(e),
    }
}

/// Runs `call`, which blocks and cannot be interrupted, on a thread that is there for such things. A
/// caller whose deadline passes goes on without it.
fn elsewhere<T: Send + 'static>(
    until: Option<Instant>,
    call: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<Result<T>> {
    let answer = Arc::new(Mutex::new(None));
    let (place, caller) = (Arc::clone(&answer), Unparker::current());
    let work = blocking::unblock(move || {
        let result = catch_unwind(AssertUnwindSafe(call));
        let result = result.unwrap_or_else(|_| Err(error::lookup_panicked()));
        *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        caller.unpark();
    });
    work.detach();
    loop {
        if let Some(result) = answer.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Ok(result);
        }
        if until.is_some_and(|at| at <= Instant::now()) {
            return Err(error::timed_out());
        }
        park_until(until)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    #[test]
    fn an_answer_comes_back_from_the_other_thread() {
        let here = thread::current().id();
        let there = elsewhere(None, || Ok(thread::current().id())).unwrap().unwrap();
        assert_ne!(here, there);
    }

    #[test]
    fn a_caller_does_not_wait_beyond_its_deadline() {
        let patience = Duration::from_secs(60);
        let (go, hear) = mpsc::channel::<()>();
        let (tell, ended) = mpsc::channel();
        let (tell_late, hear_late) = mpsc::channel();
        let at = Instant::now() + Duration::from_millis(5);
        thread::spawn(move || {
            tell_late.send(elsewhere(Some(at), move || {
                let _ = hear.recv();
                let _ = tell.send(());
                Ok(())
            }))
        });
        let late = hear_late.recv_timeout(patience).expect("it waits beyond its deadline");
        assert_eq!(late.unwrap_err().kind(), ErrorKind::TimedOut);
        assert!(Instant::now() >= at);
        // Nobody waits for the answer, and that harms nobody.
        drop(go);
        ended.recv_timeout(patience).unwrap();
    }

    #[test]
    fn a_lookup_that_panics_fails() {
        let failed = elsewhere::<()>(None, || panic!("a test's own")).unwrap();
        assert_eq!(failed.unwrap_err().kind(), ErrorKind::Other);
    }
}
