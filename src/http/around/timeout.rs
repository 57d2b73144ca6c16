use super::super::handler::{Handler, Request};
use super::super::response::Response;
use http::StatusCode;
use std::io;
use std::time::{Duration, Instant};

/// Handler that may wait for its client only for so long.
///
/// Made by [`Handler::timeout`]. After that time its reads of the body and its writes fail with
/// `TimedOut`. If it then returns such an error and the response has not begun, it is answered with 503.
/// A handler that computes, or waits for others, is not interrupted. Where the connection
/// [has no deadlines](super::super::Transport::deadlines), nothing happens.
#[derive(Debug, Clone)]
pub struct Timeout<H> {
    inner: H,
    time: Duration,
}

impl<H> Timeout<H> {
    /// `inner`, for so long.
    pub fn new(inner: H, time: Duration) -> Self {
        Self { inner, time }
    }
}

impl<H: Handler> Handler for Timeout<H> {
    fn serve(&self, request: &mut Request<'_>, response: &mut Response<'_>) -> io::Result<()> {
        let Some(at) = Instant::now().checked_add(self.time) else {
            return self.inner.serve(request, response);
        };
        let before = response.deadlines();
        let sooner = |other: Option<Instant>| Some(other.map_or(at, |other| other.min(at)));
        response.set_read_deadline(sooner(before.0));
        response.set_write_deadline(sooner(before.1));
        let result = self.inner.serve(request, response);
        response.set_read_deadline(before.0);
        response.set_write_deadline(before.1);
        match result {
            Err(error)
                if error.kind() == io::ErrorKind::TimedOut
                    && !response.has_begun()
                    && Instant::now() >= at =>
            {
                response.error(StatusCode::SERVICE_UNAVAILABLE, "this has taken too long")
            }
            result => result,
        }
    }
}
