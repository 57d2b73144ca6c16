//! What a handler answers with.

use super::body::Body;
use super::connection::ConnState;
use super::outgoing::{HELD, Outgoing};
use super::upgrade::Upgraded;
use super::wire::Wire;
use crate::error;
use crate::source::{Outcomes, Outlet, Outlets, Sink};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use std::fmt::{self, Display};
use std::io::{self, Write};
use std::time::Instant;

/// The response to a request: a writer of its body, with the status and the fields to send before it.
///
/// A handler sets [status](Self::set_status) and [fields](Self::headers_mut) and then writes. The head is
/// sent when more has been written than is held back (4 KiB), or at a [`flush`](Write::flush), or when
/// the handler returns; what is set later has no effect. How the body's end is told is the server's
/// business:
///
/// | | |
/// |---|---|
/// | a `Content-Length` was set | so many bytes are taken, as by [`limit_writes`](crate::WriteExt::limit_writes) |
/// | all was written before the head was sent | `Content-Length` |
/// | else, and for [trailers](Self::trailers_mut) | chunks; for HTTP/1.0 the connection's end |
/// | HEAD | what is written is counted and dropped |
/// | status 204, 205, 304 | there is no body: writes fail with `InvalidInput` |
///
/// `Connection: close` closes the connection afterwards. `Date` is added unless there is one;
/// `Transfer-Encoding` and other options of `Connection` are not the handler's to set, and left out.
///
/// What is written is collected and sent with what else is ready, at the latest when the server would
/// wait for the client. A handler that waits for anything else flushes before.
///
/// It is a [`Sink`]: with a `Content-Length`, [`copy`](crate::copy()) may have the kernel put the bytes
/// into the socket.
///
/// # Examples
///
/// ```
/// use aqueduct::http::{Request, Response, StatusCode};
/// use std::io::{self, Write};
///
/// fn teapot(_: &mut Request, response: &mut Response) -> io::Result<()> {
///     response.set_status(StatusCode::IM_A_TEAPOT);
///     response.set("Content-Type", "text/plain")?.set("X-Spouts", 1)?;
///     write!(response, "short and stout")
/// }
/// ```
pub struct Response<'c> {
    wire: &'c Wire<'c>,
    out: &'c mut Outgoing,
}

impl<'c> Response<'c> {
    pub(super) fn new(wire: &'c Wire<'c>, out: &'c mut Outgoing) -> Self {
        Self { wire, out }
    }

    /// The status: 200 until another one is set.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.out.status
    }

    /// Sets the status.
    pub fn set_status(&mut self, status: StatusCode) -> &mut Self {
        self.out.status = status;
        self
    }

    /// The fields that are sent before the body.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.out.headers
    }

    /// The fields that are sent before the body.
    pub fn headers_mut(&mut self) -> &mut HeaderMap {
        &mut self.out.headers
    }

    /// Sets a field, in place of all of this name that were set before. Names and values may be
    /// strings, values numbers too.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for what cannot be a name or a value.
    pub fn set<N, V>(&mut self, name: N, value: V) -> io::Result<&mut Self>
    where
        N: TryInto<HeaderName, Error: Display>,
        V: TryInto<HeaderValue, Error: Display>,
    {
        let name = name.try_into().map_err(|why| error::bad_field("a field's name", &why))?;
        let value = value.try_into().map_err(|why| error::bad_field("a field's value", &why))?;
        self.out.headers.insert(name, value);
        Ok(self)
    }

    /// The fields that follow the body.
    ///
    /// Only chunks can be followed by any: one that is set before the head is sent makes the body
    /// chunked, and one that is set later is sent if it is. Clients of HTTP/1.0 get none.
    pub fn trailers_mut(&mut self) -> &mut HeaderMap {
        &mut self.out.trailers
    }

    /// Whether the head was sent, so that status and fields cannot change any more.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        !self.out.is_open()
    }

    /// How many bytes of the body were written so far.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.out.accepted
    }

    /// Writes `body`, which is all of it, so that its length can be told.
    ///
    /// # Errors
    ///
    /// As [`Write`]'s.
    pub fn send(&mut self, body: impl AsRef<[u8]>) -> io::Result<()> {
        let body = body.as_ref();
        if self.out.is_open() && self.out.accepted == 0 && body.len() > HELD {
            self.out.headers.insert(header::CONTENT_LENGTH, body.len().into());
        }
        self.write_all(body)
    }

    /// Answers with an error: a status and a line of text for people. Fields that tell of another
    /// body are taken out.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the head was sent already; as [`Write`]'s.
    pub fn error(&mut self, status: StatusCode, text: impl Display) -> io::Result<()> {
        /// They told of the body that is not sent.
        const OF_BODY: [HeaderName; 8] = [
            header::CONTENT_LENGTH,
            header::CONTENT_ENCODING,
            header::CONTENT_LANGUAGE,
            header::CONTENT_RANGE,
            header::CONTENT_DISPOSITION,
            header::CACHE_CONTROL,
            header::ETAG,
            header::LAST_MODIFIED,
        ];
        self.start_anew()?;
        for name in OF_BODY {
            self.out.headers.remove(name);
        }
        self.out.status = status;
        self.set(header::CONTENT_TYPE, "text/plain; charset=utf-8")?;
        self.set(header::X_CONTENT_TYPE_OPTIONS, "nosniff")?;
        writeln!(self, "{text}")
    }

    /// Sends the client to `location`.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the head was sent already or `location` cannot stand in it; as [`Write`]'s.
    pub fn redirect(&mut self, status: StatusCode, location: &str) -> io::Result<()> {
        self.start_anew()?;
        self.out.status = status;
        self.set(header::LOCATION, location).map(drop)
    }

    fn start_anew(&mut self) -> io::Result<()> {
        if self.has_begun() {
            return Err(error::head_sent());
        }
        self.out.discard_held();
        Ok(())
    }

    /// Answers ahead of the response, at once: 103 (early hints) or 102. Clients of HTTP/1.0 are not told.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the head was sent already or `status` is not such; the connection's own.
    pub fn inform(&mut self, status: StatusCode, headers: &HeaderMap) -> io::Result<()> {
        // 100 is sent by itself, and after 101 it would not be HTTP any more.
        if !status.is_informational() || status.as_u16() < 102 {
            return Err(error::not_interim(status));
        }
        self.out.inform(status, headers)?;
        self.out.push(self.wire)
    }

    /// Until when reads of this request's body may wait; `None` is for ever. The server's timeouts hold
    /// beside it.
    ///
    /// Where the connection [has no deadlines](super::Transport::deadlines) nothing happens.
    pub fn set_read_deadline(&mut self, at: Option<Instant>) {
        self.wire.set_read_deadline(at);
    }

    /// Until when writes of this response may wait; `None` is for ever. As
    /// [`set_read_deadline`](Self::set_read_deadline).
    pub fn set_write_deadline(&mut self, at: Option<Instant>) {
        self.wire.set_write_deadline(at);
    }

    pub(super) fn deadlines(&self) -> (Option<Instant>, Option<Instant>) {
        self.wire.deadlines()
    }

    /// Agrees to another protocol: sends 101 with the fields that were set and `Connection: upgrade`, or
    /// 200 if the request was CONNECT, and hands the connection over. It is closed when the handler
    /// returns.
    ///
    /// The field `Upgrade`, and what else the protocol wants, is for the handler to check and to set.
    ///
    /// # Examples
    ///
    /// ```
    /// use aqueduct::http::{Request, Response};
    /// use std::io::{self, BufRead, BufReader, Write};
    ///
    /// /// Speaks in lines, and echoes them.
    /// fn lines(request: &mut Request, response: &mut Response) -> io::Result<()> {
    ///     response.set("Upgrade", "lines")?;
    ///     let (reader, mut writer) = response.upgrade(request.body_mut())?.split();
    ///     for line in BufReader::new(reader).lines() {
    ///         writeln!(writer, "{}", line?)?;
    ///     }
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the head was sent already, the client speaks HTTP/1.0, or the request's body was
    /// not read to its end or was replaced; the connection's own.
    pub fn upgrade<'u>(&'u mut self, body: &'u mut Body<'_>) -> io::Result<Upgraded<'u>> {
        let (_, incoming) = body.origin().ok_or_else(not_the_connections)?;
        if !incoming.is_done() {
            return Err(error::cannot_take_over("the body of the request was not read"));
        }
        self.out.switch()?;
        self.hijack(body)
    }

    /// Hands the connection over as it is, with the bytes that have arrived: nothing of this response
    /// is sent, and nothing more is read as a request. It is closed when the handler returns.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the request's body was replaced; the connection's own.
    pub fn hijack<'u>(&'u mut self, body: &'u mut Body<'_>) -> io::Result<Upgraded<'u>> {
        let (_, incoming) = body.origin().ok_or_else(not_the_connections)?;
        self.out.push(self.wire)?;
        self.out.hand_over();
        self.wire.connection.tell(ConnState::Hijacked);
        self.wire.without_timeouts();
        Ok(Upgraded::new(self.wire, &mut incoming.input))
    }
}

fn not_the_connections() -> io::Error {
    error::cannot_take_over("the body of the request was replaced")
}

impl Write for Response<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(self.wire, bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush(self.wire)
    }
}

impl Response<'_> {
    /// Whether bytes may go around this.
    fn passes(&self, direct: bool) -> bool {
        direct && self.out.is_plain() && self.wire.transport.outlet().is_some()
    }
}

impl Sink for Response<'_> {
    fn prepare(&mut self) -> io::Result<()> {
        self.wire.before_write();
        if self.passes(true) { self.out.push(self.wire) } else { Ok(()) }
    }

    fn outlets<'a>(&'a mut self, out: &mut Outlets<'a>) {
        let (direct, room) = (out.direct(), self.out.room());
        let from = out.len();
        let passes = self.passes(direct);
        out.push(match self.wire.transport.outlet().filter(|_| passes) {
            Some(outlet) => outlet,
            None => Outlet::opaque(self),
        });
        out.limit(from, room);
    }

    fn advance(&mut self, out: &mut Outcomes<'_>) -> io::Result<()> {
        let from = out.taken();
        let result = out.take();
        if self.passes(out.direct()) {
            self.wire.before_write();
            self.out.passed(out.moved_since(from));
            if result.is_err() {
                self.out.give_up();
            }
        }
        result
    }
}

impl fmt::Debug for Response<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.out.status)
            .field("headers", &self.out.headers)
            .field("state", &self.out.state)
            .finish()
    }
}
