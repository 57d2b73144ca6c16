//! Requests that are not served, and what their senders hear.

use http::StatusCode;
use std::{error, fmt};

/// Why a request is refused: the status to answer with, and the reason in words. The connection ends with
/// the answer, since nobody can say where a next request would begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) why: &'static str,
}

impl Refusal {
    pub(super) const fn new(status: StatusCode, why: &'static str) -> Self {
        Self { status, why }
    }

    /// A request that breaks the grammar, or whose end two readers might see in two places.
    pub(super) const fn malformed(why: &'static str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, why)
    }

    /// Fields that are too long or too many.
    pub(super) const fn fields_too_large(why: &'static str) -> Self {
        Self::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, why)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.why)
    }
}

impl error::Error for Refusal {}
