//! The server and its options.

use super::conn::{End, Session};
use super::connection::{ConnState, Connection};
use super::failure::Failure;
use super::handler::Handler;
use super::head;
use super::roll::{Control, Roll};
use super::serve::{Listening, Serving};
use super::transport::{Plain, Transport};
use super::wire::Timeouts;
use std::fmt;
use std::io::{self, Read, Write};
use std::sync::Arc;
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
    handler: Arc<H>,
    options: Arc<Options>,
    roll: Arc<Roll>,
}

type Report = Arc<dyn Fn(&Failure<'_>) + Send + Sync>;
type Hear = Arc<dyn Fn(&Connection, ConnState) + Send + Sync>;

/// What holds for all connections.
#[derive(Clone)]
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
    /// How many there may be.
    pub(super) connections: Option<usize>,
    pub(super) on_state: Option<Hear>,
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
            connections: None,
            on_state: None,
            report: Arc::new(|failure| eprintln!("{failure}")),
            clock: crate::sys::rough_time,
        };
        Self { handler: Arc::new(handler), options: Arc::new(options), roll: Arc::default() }
    }

    /// The options, to be changed. Those of connections that there are already stay as they are.
    fn options(&mut self) -> &mut Options {
        Arc::make_mut(&mut self.options)
    }

    /// The most bytes of a request's head, and of the trailers of a body: 64 KiB at first. What has
    /// more is answered with 431.
    #[must_use]
    pub fn max_head(mut self, bytes: usize) -> Self {
        self.options().limits.head = bytes.max(2 * ENDS);
        let line = self.options.limits.line;
        self.max_request_line(line)
    }

    /// The most bytes of a request line: 8 KiB at first. A longer one is answered with 414.
    #[must_use]
    pub fn max_request_line(mut self, bytes: usize) -> Self {
        let options = self.options();
        options.limits.line = bytes.min(options.limits.head - ENDS);
        self
    }

    /// The most fields of a head, and of the trailers of a body: 100 at first. What has more is answered
    /// with 431.
    #[must_use]
    pub fn max_fields(mut self, count: usize) -> Self {
        self.options().limits.fields = count;
        self
    }

    /// The most bytes of a body; no limit at first. What has more is answered with 413, at once if
    /// the length was declared.
    #[must_use]
    pub fn body_limit(mut self, bytes: Option<u64>) -> Self {
        self.options().body = bytes;
        self
    }

    /// How many bytes that a handler has left of a body are read and dropped so that the connection can
    /// be used again: 256 KiB at first. If there are more, it is closed.
    #[must_use]
    pub fn drain_limit(mut self, bytes: u64) -> Self {
        self.options().drain = bytes;
        self
    }

    /// How long a client may take for a head, from its first byte or from the start of the connection: 30
    /// seconds at first. Then the connection is closed.
    #[must_use]
    pub fn head_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.options().head_timeout = timeout;
        self
    }

    /// How long a connection may wait for another request: a minute at first.
    #[must_use]
    pub fn idle_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.options().idle_timeout = timeout;
        self
    }

    /// How long each read of a body may wait for bytes: a minute at first.
    #[must_use]
    pub fn read_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.options().timeouts.read = timeout;
        self
    }

    /// How long a client may take nothing of what is written: a minute at first.
    #[must_use]
    pub fn write_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.options().timeouts.write = timeout;
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
        self.options().linger = time;
        self
    }

    /// Has `report` told of handlers that have failed, in place of a line on standard error.
    ///
    /// What the client has caused, or the end of the connection, is no failure.
    #[must_use]
    pub fn on_failure(mut self, report: impl Fn(&Failure<'_>) + Send + Sync + 'static) -> Self {
        self.options().report = Arc::new(report);
        self
    }

    /// The most connections at a time; no limit at first. While there are so many, nobody is accepted:
    /// clients wait in the listener's queue.
    #[must_use]
    pub fn max_connections(mut self, count: Option<usize>) -> Self {
        self.options().connections = count.map(|count| count.max(1));
        self
    }

    /// Has `hear` told what each connection does that the server accepts. It is called where the
    /// connection is served, which waits for it.
    #[must_use]
    pub fn on_state(
        mut self,
        hear: impl Fn(&Connection, ConnState) + Send + Sync + 'static,
    ) -> Self {
        self.options().on_state = Some(Arc::new(hear));
        self
    }

    /// A handle that ends the server.
    #[must_use]
    pub fn control(&self) -> Control {
        Control { roll: Arc::clone(&self.roll) }
    }

    /// Accepts connections and serves them, each by a [task](crate::task) while it has something to say,
    /// until a [`Control`] ends the server and all of them have ended, or `listener` fails.
    ///
    /// The tasks are those of the runtime in which this is called, else those of the process. A
    /// connection on which no request is under way has no task and no buffers: it takes some hundred
    /// bytes. Where no descriptor is left, accepting waits until one is. A server may serve several
    /// listeners, each by a call of its own.
    ///
    /// # Errors
    ///
    /// Those of `listener`, whose connections go on; `TimedOut` if connections had to be closed at the
    /// deadline of a [shutdown](Control::shutdown).
    ///
    /// # Examples
    ///
    /// ```
    /// use aqueduct::http::{Server, handler};
    /// use aqueduct::net::{TcpListener, TcpStream};
    /// use std::io::{Read, Write};
    ///
    /// let listener = TcpListener::bind("localhost:0")?;
    /// let address = listener.local_addr()?;
    /// let server = Server::new(handler(|_, response| response.send("Hello!")));
    /// let control = server.control();
    /// let serving = std::thread::spawn(move || server.serve(listener));
    ///
    /// let mut client = TcpStream::connect(address)?;
    /// client.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    /// let mut answer = String::new();
    /// client.read_to_string(&mut answer)?;
    /// assert!(answer.ends_with("\r\n\r\nHello!"));
    ///
    /// control.shutdown(None);
    /// serving.join().unwrap()?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn serve(&self, listener: impl Into<Listening>) -> io::Result<()>
    where
        H: Send + Sync + 'static,
    {
        let serving = Serving {
            handler: Arc::clone(&self.handler) as _,
            options: Arc::clone(&self.options),
            roll: Arc::clone(&self.roll),
        };
        Arc::new(serving).serve(listener.into())
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
        const UNKNOWN: Connection = Connection::unknown();
        let mut session = Session::new(&self.options);
        while session.burst(&self.options, &*self.handler, &transport, &UNKNOWN)? == End::Idle {}
        Ok(())
    }
}

impl<H> fmt::Debug for Server<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("limits", &self.options.limits).finish_non_exhaustive()
    }
}
