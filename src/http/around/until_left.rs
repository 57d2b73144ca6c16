use super::super::handler::{Handler, Request};
use super::super::request::RequestExt;
use super::super::response::Response;
use crate::park::{Unparker, park_until};
use crate::task::{self, JoinError};
use std::io;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Handler that is cancelled when its client leaves.
///
/// Made by [`Handler::until_left`]. The handler within runs as a task of its own, while this one asks so
/// often whether the client [has left](super::super::Connection::has_left), by a system call. If so, every
/// wait of the handler fails with an error for which [`is_cancelled`](crate::is_cancelled) is true, whatever
/// it waits for: time, another task, another connection. The server closes the connection of a handler that
/// returns it, and reports nothing. A handler that computes is not interrupted.
///
/// For what takes long and matters to nobody else. A client that ends its side but still reads, which
/// hardly any does, counts as gone. A connection that was served by
/// [`serve_connection`](super::super::Server::serve_connection) or
/// [`serve_transport`](super::super::Server::serve_transport) tells nobody that the client has left.
#[derive(Debug, Clone)]
pub struct UntilLeft<H> {
    inner: H,
    every: Duration,
}

impl<H> UntilLeft<H> {
    /// `inner`, whose client is looked for so often.
    pub fn new(inner: H, every: Duration) -> Self {
        Self { inner, every }
    }
}

impl<H: Handler + Sync> Handler for UntilLeft<H> {
    fn serve(&self, request: &mut Request<'_>, response: &mut Response<'_>) -> io::Result<()> {
        let Some(connection) = request.connection().cloned() else {
            return self.inner.serve(request, response);
        };
        let done = AtomicBool::new(false);
        let tells = Tells { done: &done, waiter: Unparker::current() };
        let result = task::scope(|scope| {
            let serving = scope.spawn(|| {
                let _tells = tells;
                self.inner.serve(request, response)
            });
            let mut next = Instant::now().checked_add(self.every);
            while !done.load(Ordering::Acquire) && park_until(next).is_ok() {
                if next.is_some_and(|at| at <= Instant::now()) {
                    if connection.has_left() {
                        serving.cancel();
                        break;
                    }
                    next = Instant::now().checked_add(self.every);
                }
            }
            serving.join()
        });
        result.unwrap_or_else(|why| match why {
            JoinError::Panicked(payload) => resume_unwind(payload),
            JoinError::NotRun(error) | JoinError::NotJoined(error) => Err(error),
        })
    }
}

/// Tells, when it goes, that the handler is done.
struct Tells<'t> {
    done: &'t AtomicBool,
    waiter: Unparker,
}

impl Drop for Tells<'_> {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Release);
        self.waiter.unpark();
    }
}
