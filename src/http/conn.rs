//! The life of a connection.

use super::body::Body;
use super::connection::{ConnState, Connection};
use super::failure::{self, Cause, Failure};
use super::handler::{Handler, Request};
use super::head::{Head, Reading};
use super::incoming::Incoming;
use super::outgoing::Outgoing;
use super::refusal::Refusal;
use super::reply::After;
use super::response::Response;
use super::server::Options;
use super::transport::Transport;
use super::wire::Wire;
use crate::error;
use http::request::Parts;
use http::{Method, StatusCode, Version};
use std::any::Any;
use std::io;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// What a connection that is being served needs, and an idle one does not.
#[derive(Debug)]
pub(super) struct Session {
    incoming: Incoming,
    outgoing: Outgoing,
    /// The head of the request, or of the last one, for the room that it takes.
    parts: Parts,
    /// Requests were served on this connection.
    used: bool,
    /// Until when its first head must have come.
    due: Option<Instant>,
}

/// Why nothing more is served now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// All that has come was answered, and the answers were sent. More may come.
    Idle,
    /// Nothing has come.
    Quiet,
    Closed,
}

/// What follows a request.
enum Then {
    Next,
    Close,
    /// Close, although the client may be sending.
    Refuse,
}

impl Session {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            incoming: Incoming::new(options.limits),
            outgoing: Outgoing::new(options.clock),
            parts: nothing(),
            used: false,
            due: after(options.head_timeout),
        }
    }

    /// Serves another connection, whose first head must have come until `fresh`, or that has had one.
    pub(super) fn begin(&mut self, options: &Options, fresh: Option<Option<Instant>>) {
        self.incoming.set_limits(options.limits);
        self.outgoing.set_clock(options.clock);
        self.used = fresh.is_none();
        self.due = fresh.flatten();
    }

    /// Whether it is fit for another connection, after a burst that has not closed its own.
    pub(super) fn is_small(&self) -> bool {
        self.outgoing.is_small()
    }

    /// Serves a request, and those that have come with it. It waits for the first one, unless the server
    /// waits [itself](Connection::is_known) for the connection to be readable.
    pub(super) fn burst(
        &mut self,
        options: &Options,
        handler: &dyn Handler,
        transport: &dyn Transport,
        connection: &Connection,
    ) -> io::Result<End> {
        let wire = Wire::new(transport, options.timeouts, connection);
        let mut first = true;
        loop {
            let then = match self.head(options, &wire, first)? {
                Next::Head(head) => self.exchange(options, handler, &wire, head)?,
                Next::Refused(why) => self.refuse(&wire, why)?,
                Next::End(end) => {
                    Connection::take_out_of(&mut self.parts.extensions);
                    wire.rests();
                    return Ok(end);
                }
            };
            (first, self.used) = (false, true);
            match then {
                Then::Next => {}
                Then::Close => {
                    self.outgoing.flush_pending(&wire)?;
                    return Ok(End::Closed);
                }
                Then::Refuse => {
                    self.outgoing.flush_pending(&wire)?;
                    linger(&wire, options.linger);
                    return Ok(End::Closed);
                }
            }
        }
    }

    /// Reads the next head. Before it waits, it sends what is pending.
    fn head(&mut self, options: &Options, wire: &Wire<'_>, first: bool) -> io::Result<Next> {
        let mut reading = Reading::default();
        self.parts.headers.clear();
        let mut due = self.due.take();
        loop {
            let input = &mut self.incoming.input;
            match reading.read(input.bytes(), &options.limits, &mut self.parts) {
                Ok(None) => {}
                Ok(Some((head, len))) => {
                    input.consume(len);
                    return Ok(Next::Head(head));
                }
                Err(why) => return Ok(Next::Refused(why)),
            }
            self.outgoing.flush_pending(wire)?;
            let empty = input.is_empty();
            if empty && !first {
                input.trim();
                return Ok(Next::End(End::Idle));
            }
            if !empty && due.is_none() {
                due = after(options.head_timeout);
            }
            let idle = empty && self.used;
            let arrived = wire.connection.link().filter(|_| empty);
            match input.fill(|buf| match arrived {
                Some(link) => link.try_read(buf),
                None if idle => wire.read_until(buf, after(options.idle_timeout)),
                None => wire.read_until(buf, due),
            }) {
                // Whoever leaves in the middle of a head will not hear an answer.
                Ok(0) => return Ok(Next::End(End::Closed)),
                Ok(_) if empty => wire.connection.tell(ConnState::Active),
                Ok(_) => {}
                Err(e) if arrived.is_some() && e.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(Next::End(End::Quiet));
                }
                Err(e) if idle && e.kind() == io::ErrorKind::TimedOut => {
                    return Ok(Next::End(End::Closed));
                }
                Err(e) => return Err(e),
            }
        }
    }

    /// Has the request answered whose head was read.
    fn exchange(
        &mut self,
        options: &Options,
        handler: &dyn Handler,
        wire: &Wire<'_>,
        head: Head,
    ) -> io::Result<Then> {
        let Self { incoming, outgoing, parts, .. } = self;
        incoming.begin(head.framing);
        // What follows CONNECT may be meant for somebody else.
        let stays = head.keep_alive && parts.method != Method::CONNECT;
        let after = if stays { After::KeepAlive } else { After::Close };
        outgoing.begin(&parts.method, parts.version, after);
        if let Some(limit) = options.body {
            incoming.limit(limit);
            if let Some(why) = incoming.fault() {
                return self.refuse_with(wire, why);
            }
        }
        // The client may wait for earlier answers before it sends the body.
        if !incoming.has_arrived() {
            outgoing.push(wire)?;
        }
        wire.begin(head.expects && incoming.input.is_empty());

        wire.connection.put_into(&mut parts.extensions);
        let parts = mem::replace(parts, nothing());
        let mut request = Request::from_parts(parts, Body::incoming(wire, incoming));
        let mut response = Response::new(wire, outgoing);
        let result = catch_unwind(AssertUnwindSafe(|| handler.serve(&mut request, &mut response)));
        (self.parts, _) = request.into_parts();

        // Better said at once: the connection cannot be used again.
        let too_much = incoming.left().is_some_and(|rest| rest > options.drain);
        let unsent = !incoming.is_done() && wire.is_waited_for();
        if too_much || incoming.fault().is_some() || unsent {
            outgoing.after = After::Close;
        }
        // Those that have come are still answered.
        let last = !incoming.is_done() || incoming.input.is_empty();
        if last && outgoing.is_open() && wire.connection.is_ending() {
            outgoing.after = After::Close;
        }
        let result = match result {
            Ok(Ok(())) => outgoing.finish(wire).map_err(Trouble::Error),
            Ok(Err(error)) => Err(Trouble::Error(error)),
            Err(panic) => Err(Trouble::Panic(panic)),
        };
        let then = match result {
            Ok(()) => self.settle(options, wire),
            Err(trouble) => self.fail(options, wire, trouble),
        };
        Connection::leave_alone_in(&mut self.parts.extensions);
        then
    }

    /// The response is finished: what becomes of the rest of the request?
    fn settle(&mut self, options: &Options, wire: &Wire<'_>) -> io::Result<Then> {
        let Self { incoming, outgoing, .. } = self;
        if outgoing.taken_over() {
            return Ok(Then::Close);
        }
        if outgoing.after == After::Close {
            // It may be sending another one by now.
            let surprised = wire.connection.is_ending();
            let clean = incoming.is_done() && incoming.input.is_empty() && !surprised;
            return Ok(if clean { Then::Close } else { Then::Refuse });
        }
        if incoming.is_done() {
            return Ok(Then::Next);
        }
        if !incoming.has_arrived() {
            outgoing.push(wire)?;
        }
        Ok(if incoming.drain(wire, options.drain) { Then::Next } else { Then::Refuse })
    }

    /// The handler has failed.
    fn fail(&mut self, options: &Options, wire: &Wire<'_>, trouble: Trouble) -> io::Result<Then> {
        if let Trouble::Error(error) = &trouble {
            self.incoming.note(error);
        }
        let broken = self.incoming.is_broken() || self.outgoing.is_broken();
        // Nobody else can tell what became of a connection that was taken over.
        let over = |error: &io::Error| self.outgoing.taken_over() && is_connections(error);
        let fault = match trouble {
            // It is the connection's own, as far as can be told.
            Trouble::Error(error) if broken || over(&error) || error::is_cancelled(&error) => {
                return Err(error);
            }
            Trouble::Error(_) => self.incoming.fault(),
            Trouble::Panic(_) => None,
        };
        if fault.is_none() {
            let Parts { method, uri, .. } = &self.parts;
            (options.report)(&Failure { method, uri, cause: trouble.cause() });
        }
        if !self.outgoing.is_open() {
            // Unfinished, so that the client does not take what it has got for all of the body.
            return Ok(Then::Close);
        }
        self.refuse_with(wire, fault.unwrap_or(FAILED))
    }

    /// Answers a request that could not be read.
    fn refuse(&mut self, wire: &Wire<'_>, why: Refusal) -> io::Result<Then> {
        self.outgoing.begin(&Method::GET, Version::HTTP_11, After::Close);
        self.refuse_with(wire, why)
    }

    fn refuse_with(&mut self, wire: &Wire<'_>, why: Refusal) -> io::Result<Then> {
        self.outgoing.clear();
        self.outgoing.after = After::Close;
        Response::new(wire, &mut self.outgoing).error(why.status, why.why)?;
        self.outgoing.finish(wire)?;
        Ok(Then::Refuse)
    }
}

const FAILED: Refusal =
    Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "the server has failed at this");

/// What came instead of a request, or one.
enum Next {
    Head(Head),
    Refused(Refusal),
    End(End),
}

/// How a handler has failed.
enum Trouble {
    Error(io::Error),
    Panic(Box<dyn Any + Send>),
}

impl Trouble {
    fn cause(&self) -> Cause<'_> {
        match self {
            Self::Error(error) => Cause::Error(error),
            Self::Panic(payload) => Cause::Panic(failure::message(&**payload)),
        }
    }
}

/// The head of no request.
fn nothing() -> Parts {
    http::Request::new(()).into_parts().0
}

/// Whether `error` tells of a connection that has ended.
fn is_connections(error: &io::Error) -> bool {
    use io::ErrorKind::*;
    matches!(
        error.kind(),
        BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected | TimedOut | UnexpectedEof
    )
}

fn after(timeout: Option<Duration>) -> Option<Instant> {
    Instant::now().checked_add(timeout?)
}

/// Reads what still comes, for a while, so that the client gets to read what was said to it.
fn linger(wire: &Wire<'_>, time: Duration) {
    if wire.transport.deadlines().is_none() || wire.transport.shutdown_write().is_err() {
        return;
    }
    let until = after(Some(time));
    let mut scrap = [0; 4096];
    while matches!(wire.read_until(&mut scrap, until), Ok(1..)) {}
}
