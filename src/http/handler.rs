//! What answers requests.

use super::around::{AccessLog, LimitBody, StripPrefix, Timeout, UntilLeft};
use super::body::Body;
use super::response::Response;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

/// A request, as handlers get it: `http`'s own, with a [`Body`] to read.
pub type Request<'c> = http::Request<Body<'c>>;

/// Answers requests.
///
/// Every function `Fn(&mut Request, &mut Response) -> io::Result<()>` is one; implement the trait for what
/// has state, or wraps other handlers.
///
/// What a handler returns early is answered for it, as long as the head was not sent: with 4xx if its
/// reading of the body failed by the client's fault (see [`Body`]), else with 500, and the error
/// is [reported](super::Server::on_failure). So `?` is all that most handlers need for what goes wrong. If the
/// head was sent, the connection is closed, and the client knows that the body is not all of it. A panic
/// is an error like any other.
///
/// # Examples
///
/// ```
/// use aqueduct::http::{Request, Response, Server};
/// use std::io::{self, Read, Write};
///
/// fn hello(request: &mut Request, response: &mut Response) -> io::Result<()> {
///     write!(response, "You asked for {}", request.uri().path())
/// }
///
/// let (mut client, connection) = aqueduct::duplex_with_capacity(1024);
/// client.write_all(b"GET /tea HTTP/1.1\r\nHost: example.org\r\nConnection: close\r\n\r\n")?;
/// Server::new(hello).serve_connection(connection)?;
///
/// let mut answer = String::new();
/// client.read_to_string(&mut answer)?;
/// assert!(answer.ends_with("\r\n\r\nYou asked for /tea"));
/// # Ok::<(), io::Error>(())
/// ```
pub trait Handler {
    /// Answers `request`, by writing to `response`.
    ///
    /// # Errors
    ///
    /// Those that are for the [server](Handler) to answer.
    fn serve(&self, request: &mut Request<'_>, response: &mut Response<'_>) -> io::Result<()>;

    /// This handler, without the start of the path: see [`StripPrefix`].
    ///
    /// ```
    /// use aqueduct::http::{Handler, Mux};
    ///
    /// let mut api = Mux::new();
    /// api.handle_fn("GET /status", |_, response| response.send("fine"))?;
    /// let mut mux = Mux::new();
    /// mux.handle("/api/", api.strip_prefix("/api"))?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    fn strip_prefix(self, prefix: &str) -> StripPrefix<Self>
    where
        Self: Sized,
    {
        StripPrefix::new(self, prefix)
    }

    /// This handler, for bodies of at most so many bytes: see [`LimitBody`].
    fn limit_body(self, bytes: u64) -> LimitBody<Self>
    where
        Self: Sized,
    {
        LimitBody::new(self, bytes)
    }

    /// This handler, which waits for its client only for so long: see [`Timeout`].
    fn timeout(self, time: Duration) -> Timeout<Self>
    where
        Self: Sized,
    {
        Timeout::new(self, time)
    }

    /// This handler, cancelled when its client has left, for which is looked so often: see [`UntilLeft`].
    ///
    /// ```
    /// use aqueduct::http::{Handler, Mux, handler};
    /// use std::time::Duration;
    ///
    /// let report = handler(|_, response| {
    ///     aqueduct::task::sleep(Duration::from_secs(60))?; // or whatever else takes long
    ///     response.send("done")
    /// });
    /// let mut mux = Mux::new();
    /// mux.handle("/report", report.until_left(Duration::from_secs(1)))?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    fn until_left(self, every: Duration) -> UntilLeft<Self>
    where
        Self: Sized,
    {
        UntilLeft::new(self, every)
    }

    /// This handler, with a line to `writer` for each request: see [`AccessLog`].
    fn log<W: Write>(self, writer: W) -> AccessLog<Self, W>
    where
        Self: Sized,
    {
        AccessLog::new(self, writer)
    }
}

impl<F> Handler for F
where
    F: Fn(&mut Request<'_>, &mut Response<'_>) -> io::Result<()>,
{
    fn serve(&self, request: &mut Request<'_>, response: &mut Response<'_>) -> io::Result<()> {
        self(request, response)
    }
}

impl<H: Handler + ?Sized> Handler for Arc<H> {
    fn serve(&self, request: &mut Request<'_>, response: &mut Response<'_>) -> io::Result<()> {
        (**self).serve(request, response)
    }
}

/// The closure `f`, whose arguments need no types here.
///
/// ```
/// use aqueduct::http::{Server, handler};
///
/// let server = Server::new(handler(|_, response| response.send("Hello!")));
/// # drop(server);
/// ```
pub fn handler<F>(f: F) -> F
where
    F: Fn(&mut Request<'_>, &mut Response<'_>) -> io::Result<()>,
{
    f
}
