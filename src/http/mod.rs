//! An HTTP/1.1 server.

mod around;
mod body;
mod chunked;
mod conn;
mod failure;
mod handler;
mod head;
mod incoming;
mod input;
mod mux;
mod outgoing;
mod refusal;
mod reply;
mod request;
mod response;
mod server;
mod transport;
mod upgrade;
#[cfg(any(test, fuzzing))]
mod verdict;
mod wire;

pub use self::around::{AccessLog, LimitBody, Redirect, StripPrefix, Timeout, redirect};
pub use self::body::Body;
pub use self::failure::{Cause, Failure};
pub use self::handler::{Handler, Request, handler};
pub use self::mux::Mux;
pub use self::request::RequestExt;
pub use self::response::Response;
pub use self::server::Server;
pub use self::transport::Transport;
pub use self::upgrade::{Upgraded, UpgradedReader, UpgradedWriter};
#[cfg(fuzzing)]
#[doc(hidden)]
pub use self::verdict::fuzzing;
pub use ::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, Version, header};

/// What tokens are made of.
fn is_token(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b)
}
