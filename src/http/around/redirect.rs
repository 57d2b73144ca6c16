use super::super::handler::{Handler, Request};
use super::super::response::Response;
use http::StatusCode;
use std::io;

/// Handler that sends everybody elsewhere; made by [`redirect`].
#[derive(Debug, Clone)]
pub struct Redirect {
    status: StatusCode,
    location: String,
}

/// A handler that sends everybody to `location`, with a `status` that says how: 303 to look there, 307 or
/// 308 to do the same there.
///
/// ```
/// use aqueduct::http::{Mux, StatusCode, redirect};
///
/// let mut mux = Mux::new();
/// mux.handle("/old/", redirect(StatusCode::PERMANENT_REDIRECT, "/new/"))?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn redirect(status: StatusCode, location: impl Into<String>) -> Redirect {
    Redirect { status, location: location.into() }
}

impl Handler for Redirect {
    fn serve(&self, _: &mut Request<'_>, response: &mut Response<'_>) -> io::Result<()> {
        response.redirect(self.status, &self.location)
    }
}
