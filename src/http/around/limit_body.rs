use super::super::handler::{Handler, Request};
use super::super::response::Response;
use http::StatusCode;
use std::io;

/// Handler whose requests may have bodies of so many bytes.
///
/// Made by [`Handler::limit_body`]. One that is declared longer is answered with 413 at once, and of one
/// that turns out to be, [reads fail](super::super::Body::set_limit).
#[derive(Debug, Clone)]
pub struct LimitBody<H> {
    inner: H,
    bytes: u64,
}

impl<H> LimitBody<H> {
    /// `inner`, with bodies of at most so many bytes.
    pub fn new(inner: H, bytes: u64) -> Self {
        Self { inner, bytes }
    }
}

impl<H: Handler> Handler for LimitBody<H> {
    fn serve(&self, request: &mut Request<'_>, response: &mut Response<'_>) -> io::Result<()> {
        let declared = request.body().remaining();
        request.body_mut().set_limit(self.bytes);
        if declared.is_some_and(|bytes| bytes > self.bytes) {
            return response.error(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large");
        }
        self.inner.serve(request, response)
    }
}
