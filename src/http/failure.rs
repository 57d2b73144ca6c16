//! What went wrong in a handler.

use http::{Method, Uri};
use std::any::Any;
use std::{fmt, io};

/// What [`Server::on_failure`](super::Server::on_failure) is told.
#[derive(Debug)]
pub struct Failure<'f> {
    pub(super) method: &'f Method,
    pub(super) uri: &'f Uri,
    pub(super) cause: Cause<'f>,
}

/// Why a handler has failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum Cause<'f> {
    /// It has returned this.
    Error(&'f io::Error),
    /// It has panicked, with this as its message.
    Panic(&'f str),
}

impl Failure<'_> {
    /// The method of the request.
    #[must_use]
    pub fn method(&self) -> &Method {
        self.method
    }

    /// The target of the request.
    #[must_use]
    pub fn uri(&self) -> &Uri {
        self.uri
    }

    /// What happened.
    #[must_use]
    pub fn cause(&self) -> &Cause<'_> {
        &self.cause
    }
}

impl fmt::Display for Failure<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: ", self.method, self.uri)?;
        match self.cause {
            Cause::Error(error) => write!(f, "{error}"),
            Cause::Panic(text) => write!(f, "the handler panicked: {text}"),
        }
    }
}

/// The message of a panic.
pub(super) fn message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("(no message)")
}
