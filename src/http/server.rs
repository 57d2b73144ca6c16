//! The server and its options.

use super::conn::{End, Session};
use super::failure::Failure;
use super::handler::Handler;
use super::head;
use super::transport::{Plain, Transport};
use super::wire::Timeouts;
use std::fmt;
use std::io::{self, Read, Write};
use std::time::{Duration, SystemTime};

/// Serves connections with a handler.
///
/// # Examples
///
/// ```
/// use aqueduct::http::{Server, handler};
/// use std::time::Duration;
///
/// let server = Server::new(handler(|_, response| response.send("Hello!")))
///     .idle_timeout(Some(Duration::from_secs(10)))
///     .body_limit(Some(1 << 20));
/// # drop(server);
/// ```
pub struct Server<H> {
    handler: H,
    options: Options,
}

type Report = Box<dyn Fn(&Failure<'_>) + Send + Sync>;

/// What holds for all connections.
pub(super) struct Options {
    pub(super) limits: head::Limits,
    pub(super) body: Option<u64>,
    /// How much of a body that its handler has left is read.
    pub(super) drain: u64,
    pub(super) timeouts: Timeouts,
    pub(super) head_timeout: Option<Duration>,
    pub(super) idle_timeout: Option<Duration>,
    /// How long a client is listened to that was refused.
    pub(super) linger: Duration,
    pub(super) report: Report,
    pub(super) clock: fn() -> SystemTime,
}

/// A request line needs its end, and a head the empty line.
const ENDS: usize = 4;

impl<H: Handler> Server<H> {
    /// A server with the default options.
    #[must_use]
    pub fn new(handler: H) -> Self {
        let minute = Some(Duration::from_secs(60));
        let options = Options {
            limits: head::Limits { line: 8 << 10, head: 64 << 10, fields: 100 },
            body: None,
            drain: 256 << 10,
            timeouts: Timeouts { read: minute, write: minute },
            head_timeout: Some(Duration::from_secs(30)),
            idle_timeout: minute,
            linger: Duration::from_millis(500),
            report: Box::new(|failure| eprintln!("{failure}")),
            clock: SystemTime::now,
        };
        Self { handler, options }
    }

    /// The most bytes of a request's head, and of the trailers of a body: 64 KiB at first. What has
    /// more is answered with 431.
    #[must_use]
    pub fn max_head(mut self, bytes: usize) -> Self {
        self.options.limits.head = bytes.max(2 * ENDS);
        let line = self.options.limits.line;
        self.max_request_line(line)
    }

    /// The most bytes of a request line: 8 KiB at first. A longer one is answered with 414.
    #[must_use]
    pub fn max_request_line(mut self, bytes: usize) -> Self {
        self.options.limits.line = bytes.min(self.options.limits.head - ENDS);
        self
    }

    /// The most fields of a head, and of the trailers of a body: 100 at first. What has more is answered
    /// with 431.
    #[must_use]
    pub fn max_fields(mut self, count: usize) -> Self {
        self.options.limits.fields = count;
        self
    }

    /// The most bytes of a body; no limit at first. What has more is answered with 413, at once if
    /// the length was declared.
    #[must_use]
    pub fn body_limit(mut self, bytes: Option<u64>) -> Self {
        self.options.body = bytes;
        self
    }

    /// How many bytes that a handler has left of a body are read and dropped so that the connection can
    /// be used again: 256 KiB at first. If there are more, it is closed.
    #[must_use]
    pub fn drain_limit(mut self, bytes: u64) -> Self {
        self.options.drain = bytes;
        self
    }

    /// How long a client may take for a head, from its first byte or from the start of the connection: 30
    /// seconds at first. Then the connection is closed.
    #[must_use]
    pub fn head_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.options.head_timeout = timeout;
        self
    }

    /// How long a connection may wait for another request: a minute at first.
    #[must_use]
    pub fn idle_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.options.idle_timeout = timeout;
        self
    }

    /// How long each read of a body may wait for bytes: a minute at first.
    #[must_use]
    pub fn read_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.options.timeouts.read = timeout;
        self
    }

    /// How long a client may take nothing of what is written: a minute at first.
    #[must_use]
    pub fn write_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.options.timeouts.write = timeout;
        self
    }

    /// How long a client that was refused is still listened to: half a second at first.
    ///
    /// A connection that is closed while bytes arrive is reset, and what was said last may never be
    /// read. So a refusal is sent, its end as well, and what still comes is read and dropped for
    /// that long, or until the client closes. Only where the connection can
    /// [end one direction](Transport::shutdown_write) and has deadlines.
    #[must_use]
    pub fn linger(mut self, time: Duration) -> Self {
        self.options.linger = time;
        self
    }

    /// Has `report` told of handlers that have failed, in place of a line on standard error.
    ///
    /// What the client has caused, or the end of the connection, is no failure.
    #[must_use]
    pub fn on_failure(mut self, report: impl Fn(&Failure<'_>) + Send + Sync + 'static) -> Self {
        self.options.report = Box::new(report);
        self
    }

    /// Serves one connection, until one side ends it.
    ///
    /// It blocks as `stream` does, and the timeouts have no effect: see
    /// [`serve_transport`](Self::serve_transport) for streams that can do more.
    ///
    /// # Errors
    ///
    /// Those of `stream`. That the client closes the connection, or sends what is refused, is no error.
    ///
    /// # Examples
    ///
    /// ```
    /// use aqueduct::http::{Server, handler};
    ///
    /// /// What there is to read, and what was written.
    /// struct Script(&'static [u8], Vec<u8>);
    /// # use std::io::{Read, Result, Write};
    /// # impl Read for Script {
    /// #     fn read(&mut self, buf: &mut [u8]) -> Result<usize> { self.0.read(buf) }
    /// # }
    /// # impl Write for Script {
    /// #     fn write(&mut self, buf: &[u8]) -> Result<usize> { self.1.write(buf) }
    /// #     fn flush(&mut self) -> Result<()> { Ok(()) }
    /// # }
    ///
    /// let mut script = Script(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", Vec::new());
    /// Server::new(handler(|_, response| response.send("Hello!"))).serve_connection(&mut script)?;
    /// assert!(script.1.starts_with(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n"));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn serve_connection<S: Read + Write + Send>(&self, stream: S) -> io::Result<()> {
        self.serve_transport(Plain::new(stream))
    }

    /// Serves one connection, until one side ends it; with timeouts, and by the kernel's ways where the
    /// handler copies.
    ///
    /// # Errors
    ///
    /// Those of the connection; `TimedOut` after a timeout. That the client closes the connection, or
    /// sends what is refused, is no error.
    pub fn serve_transport<T: Transport>(&self, transport: T) -> io::Result<()> {
        let mut session = Session::new(&self.options);
        while session.burst(&self.options, &self.handler, &transport)? == End::Idle {}
        Ok(())
    }
}

impl<H> fmt::Debug for Server<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("limits", &self.options.limits).finish_non_exhaustive()
    }
}
