//! An HTTP/1.1 server.
//!
//! A [`Handler`] is plain code that seems to block: it reads the request's [`Body`] and writes its
//! [`Response`], and all adapters and [`copy`](crate::copy()) work on both. A [`Mux`] chooses the handler, a
//! [`Server`] serves connections with it: those that it [accepts](Server::serve), or any other.
//!
//! ```
//! use aqueduct::http::{Handler, Mux, RequestExt, Server, StatusCode};
//! use std::io::{self, Read, Write};
//!
//! let mut mux = Mux::new();
//! mux.handle_fn("GET /hello/{name}", |request, response| {
//!     response.set("Content-Type", "text/plain")?;
//!     write!(response, "Hello, {}!", request.path_value("name"))
//! })?;
//! mux.handle_fn("POST /notes", |request, response| {
//!     let mut store = tempfile::tempfile()?;
//!     // From a socket, the kernel moves the bytes.
//!     let n = aqueduct::copy(request.body_mut(), &mut store)?;
//!     response.set_status(StatusCode::CREATED).send(format!("{n} bytes"))
//! })?;
//! let server = Server::new(mux.limit_body(1 << 30).log(io::stderr()));
//!
//! let (mut client, connection) = aqueduct::duplex_with_capacity(1 << 12);
//! client.write_all(b"POST /notes HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\ntea")?;
//! client.write_all(b"GET /hello/you HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
//! server.serve_transport(connection)?;
//!
//! let mut answers = String::new();
//! client.read_to_string(&mut answers)?;
//! assert!(answers.starts_with("HTTP/1.1 201 Created\r\n"));
//! assert!(answers.ends_with("\r\n\r\nHello, you!"));
//! # Ok::<(), io::Error>(())
//! ```
//!
//! # Why handlers look like this
//!
//! `Fn(&mut Request, &mut Response) -> io::Result<()>`:
//!
//! * *The request is lent.* Who wraps a handler still has it afterwards, to write it to a log or to put
//!   it back as it was; and the server uses its memory for the next one. It is `http`'s own type, with
//!   which other crates work. What is in it may be taken: `std::mem::take(request.body_mut())`.
//! * *The response is a writer*, not a value to return: what is large or slow is written as it comes,
//!   and `write!` does for the rest. Status and fields can change until something was sent.
//! * *An error is a result.* `?` on whatever fails is answered by the server, as long as nothing was sent.
//! * *Body and response are two values*, so that one can be copied into the other.
//!
//! # Clients that leave
//!
//! Nothing is done in a handler's back. If its client is gone, what it reads and writes fails, by a reset
//! or a timeout; and one that does neither for long asks [`Connection::has_left`] and
//! [`Connection::is_ending`] now and then, and returns, or is cancelled by [`Handler::until_left`]. Slow clients, and those that stop, hold up the task
//! of their own connection and nothing else, until its timeouts end it.
//!
//! # What is refused
//!
//! Requests that two readers could understand in two ways are answered with 400 (or what fits better) and
//! the end of the connection; nothing that follows is read as a request:
//!
//! * `Content-Length` together with `Transfer-Encoding`; codings other than one `chunked`; lengths
//!   that are no number, beyond 2⁶³-1 or contradictory; any coding in HTTP/1.0;
//! * chunks with sizes of more than 16 digits, malformed extensions, lines over 4 KiB, or more framing than
//!   data; trailers that speak of framing;
//! * lines that do not end with CR LF, folded fields, blanks before the colon, names that are no tokens,
//!   control characters;
//! * no `Host` or several, an empty or malformed one; targets with bytes outside of visible ASCII, with a
//!   fragment or in the wrong form; versions other than 1.x (505); expectations other than
//!   `100-continue` (417);
//! * request lines over 8 KiB (414), heads over 64 KiB or 100 fields (431), bodies over the limit, if one
//!   is set (413): see [`Server`]. What a client declares never takes memory.

mod around;
mod body;
mod chunked;
mod conn;
mod connection;
mod failure;
mod files;
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
mod roll;
mod serve;
mod server;
mod transport;
mod upgrade;
#[cfg(any(test, fuzzing))]
mod verdict;
mod wire;

pub use self::around::{AccessLog, LimitBody, Redirect, StripPrefix, Timeout, UntilLeft, redirect};
pub use self::body::Body;
pub use self::connection::{ConnState, Connection};
pub use self::failure::{Cause, Failure};
pub use self::files::{Files, Links, content_type, serve_content, serve_file};
pub use self::handler::{Handler, Request, handler};
pub use self::mux::Mux;
pub use self::request::RequestExt;
pub use self::response::Response;
pub use self::roll::Control;
pub use self::serve::Listening;
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
