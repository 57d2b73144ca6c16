//! Responses on their way to the connection.

use super::chunked;
use super::reply::{self, After, Framing};
use super::wire::Wire;
use crate::error;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Version, header};
use std::io;
use std::time::SystemTime;

/// A body that is no longer than this when its handler returns is sent with its length.
pub(super) const HELD: usize = 4 << 10;

/// What waits to be sent, of this response and those before it, is no longer than this.
const PENDING: usize = 16 << 10;

/// The responses of a connection, one at a time.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) trailers: HeaderMap,
    pub(super) state: State,
    /// What becomes of the connection.
    pub(super) after: After,
    /// The bytes of the body that were accepted.
    pub(super) accepted: u64,
    /// Heads and framed bodies that were not sent yet.
    pending: Vec<u8>,
    /// The start of a body, or the next chunk of it.
    held: Vec<u8>,
    version: Version,
    is_head: bool,
    is_connect: bool,
    clock: fn() -> SystemTime,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing was sent, not even the head.
    Open,
    /// The head was sent, and so many bytes of the body are still promised.
    Length(u64),
    Chunked,
    /// Up to the end of the connection.
    Close,
    /// There is none, or it is not sent.
    Bodiless,
    /// Finished.
    Over,
    /// Whoever has the connection now, it is not this response.
    TakenOver,
    /// The connection has failed.
    Broken,
}

impl Outgoing {
    pub(super) fn new(clock: fn() -> SystemTime) -> Self {
        Self {
            status: StatusCode::OK,
            headers: HeaderMap::new(),
            trailers: HeaderMap::new(),
            state: State::Over,
            after: After::Close,
            accepted: 0,
            pending: Vec::new(),
            held: Vec::new(),
            version: Version::HTTP_11,
            is_head: false,
            is_connect: false,
            clock,
        }
    }

    /// A clock for a connection to come.
    pub(super) fn set_clock(&mut self, clock: fn() -> SystemTime) {
        self.clock = clock;
    }

    /// Whether what was sent has not made it larger than usual.
    pub(super) fn is_small(&self) -> bool {
        self.pending.capacity() + self.held.capacity() <= 2 * PENDING
    }

    /// A request has come.
    pub(super) fn begin(&mut self, method: &Method, version: Version, after: After) {
        (self.version, self.after) = (version, after);
        self.is_head = *method == Method::HEAD;
        self.is_connect = *method == Method::CONNECT;
        self.accepted = 0;
        self.state = State::Open;
        self.clear();
    }

    /// Forgets what was prepared for a response that has not begun.
    pub(super) fn clear(&mut self) {
        self.status = StatusCode::OK;
        self.headers.clear();
        self.trailers.clear();
        self.held.clear();
    }

    /// Forgets the start of a body whose head was not sent.
    pub(super) fn discard_held(&mut self) {
        self.held.clear();
        self.accepted = 0;
    }

    pub(super) fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// How many bytes of the body are taken at most.
    pub(super) fn room(&self) -> u64 {
        match self.state {
            State::Open => self
                .declared()
                .ok()
                .flatten()
                .map_or(u64::MAX, |declared| declared.saturating_sub(self.held.len() as u64)),
            State::Length(left) => left,
            _ => u64::MAX,
        }
    }

    /// The length that the handler has declared.
    fn declared(&self) -> io::Result<Option<u64>> {
        let Some(value) = self.headers.get(header::CONTENT_LENGTH) else { return Ok(None) };
        let number = value.to_str().ok().and_then(|text| text.parse().ok());
        number.map(Some).ok_or_else(|| error::bad_field("the Content-Length", &"not a number"))
    }

    fn forbids_body(&self) -> bool {
        matches!(
            self.status,
            StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED
        )
    }

    /// Writes bytes of the body, as many as it may still have.
    pub(super) fn write(&mut self, wire: &Wire<'_>, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        if self.state == State::Open {
            if self.forbids_body() {
                return Err(error::no_body(self.status));
            }
            if self.declared()?.is_none() && self.held.len() + bytes.len() <= HELD {
                self.held.extend_from_slice(bytes);
                self.accepted += bytes.len() as u64;
                return Ok(bytes.len());
            }
            self.commit(wire)?;
        }
        let n = usize::try_from(self.room()).map_or(bytes.len(), |room| room.min(bytes.len()));
        let bytes = &bytes[..n];
        match &mut self.state {
            State::Chunked if self.held.len() + n <= HELD => self.held.extend_from_slice(bytes),
            State::Chunked => self.chunk(wire, bytes)?,
            State::Length(left) => {
                *left -= n as u64;
                self.send(wire, bytes)?;
            }
            State::Close => self.send(wire, bytes)?,
            State::Bodiless if self.is_head => {}
            State::Bodiless => return Err(error::no_body(self.status)),
            State::Open | State::Over | State::TakenOver | State::Broken => {
                return Err(error::closed());
            }
        }
        self.accepted += n as u64;
        Ok(n)
    }

    /// Sends all that can be sent.
    pub(super) fn flush(&mut self, wire: &Wire<'_>) -> io::Result<()> {
        if self.state == State::Open {
            self.commit(wire)?;
        }
        if self.state == State::Chunked && !self.held.is_empty() {
            self.chunk(wire, &[])?;
        }
        self.push(wire)?;
        wire.transport.flush()
    }

    /// Sends what is pending, and leaves the response as it is.
    pub(super) fn push(&mut self, wire: &Wire<'_>) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        self.sent(|pending| wire.write_all(&[pending]))
    }

    /// Sends what is pending, and has the connection send it.
    pub(super) fn flush_pending(&mut self, wire: &Wire<'_>) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        self.push(wire)?;
        wire.transport.flush()
    }

    /// An answer ahead of the response.
    pub(super) fn inform(&mut self, status: StatusCode, headers: &HeaderMap) -> io::Result<()> {
        if self.state != State::Open {
            return Err(error::head_sent());
        }
        // Nobody who speaks HTTP/1.0 expects one.
        if self.version != Version::HTTP_10 {
            reply::write_interim(&mut self.pending, status, headers);
        }
        Ok(())
    }

    /// The handler has returned, and all of the body was written.
    pub(super) fn finish(&mut self, wire: &Wire<'_>) -> io::Result<()> {
        if self.state == State::Open {
            self.commit_whole(wire)?;
        }
        match self.state {
            State::Length(left) if left > 0 => return Err(error::body_incomplete(left)),
            State::Chunked => {
                if !self.held.is_empty() {
                    self.chunk(wire, &[])?;
                }
                self.pending.extend_from_slice(chunked::LAST_CHUNK);
                for (name, value) in &self.trailers {
                    reply::field(&mut self.pending, name, value.as_bytes());
                }
                self.pending.extend_from_slice(b"\r\n");
            }
            _ => {}
        }
        if !matches!(self.state, State::TakenOver | State::Broken) {
            self.state = State::Over;
        }
        // Many small responses are sent together, but not any number of them.
        if self.pending.len() > PENDING { self.push(wire) } else { Ok(()) }
    }

    /// Writes the head that ends HTTP on this connection.
    pub(super) fn switch(&mut self) -> io::Result<()> {
        if self.state != State::Open {
            return Err(error::head_sent());
        }
        if self.version == Version::HTTP_10 {
            return Err(error::cannot_take_over("HTTP/1.0 has no upgrade"));
        }
        let status = match self.is_connect {
            true => StatusCode::OK,
            false => {
                self.headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
                StatusCode::SWITCHING_PROTOCOLS
            }
        };
        reply::write_interim(&mut self.pending, status, &self.headers);
        (self.status, self.state) = (status, State::Over);
        Ok(())
    }

    /// Takes the connection from this response: nothing more is framed.
    pub(super) fn hand_over(&mut self) {
        self.state = State::TakenOver;
        self.after = After::Close;
    }

    /// Leaves the response as it is, for good.
    pub(super) fn give_up(&mut self) {
        self.state = State::Broken;
        self.after = After::Close;
    }

    pub(super) fn taken_over(&self) -> bool {
        self.state == State::TakenOver
    }

    pub(super) fn is_broken(&self) -> bool {
        self.state == State::Broken
    }

    /// Writes the head of a response whose whole body is held.
    fn commit_whole(&mut self, wire: &Wire<'_>) -> io::Result<()> {
        let declared = self.declared()?;
        if self.forbids_body() {
            let framing = match self.status {
                StatusCode::RESET_CONTENT => Framing::Length(0),
                _ => Framing::Silent,
            };
            return self.head(wire, framing, State::Bodiless);
        }
        let held = self.held.len() as u64;
        match declared {
            Some(n) if self.is_head => return self.head(wire, Framing::Length(n), State::Bodiless),
            // Nothing was sent, so the head can still be another one.
            Some(n) if n != held => return Err(error::not_as_declared(held, n)),
            _ => {}
        }
        if !self.trailers.is_empty() && self.version != Version::HTTP_10 && !self.is_head {
            return self.head(wire, Framing::Chunked, State::Chunked);
        }
        self.head(wire, Framing::Length(held), State::Bodiless)?;
        if !self.is_head {
            self.pending.extend_from_slice(&self.held);
        }
        self.held.clear();
        Ok(())
    }

    /// Writes the head of a response whose body is to come.
    fn commit(&mut self, wire: &Wire<'_>) -> io::Result<()> {
        let declared = self.declared()?;
        let (framing, state) = match declared {
            _ if self.forbids_body() => return self.commit_whole(wire),
            Some(n) if self.is_head => (Framing::Length(n), State::Bodiless),
            // Some of it was written before the length was set.
            Some(n) => match n.checked_sub(self.held.len() as u64) {
                Some(left) => (Framing::Length(n), State::Length(left)),
                None => return Err(error::not_as_declared(self.held.len() as u64, n)),
            },
            None if self.is_head => (Framing::Silent, State::Bodiless),
            None if self.version == Version::HTTP_10 => (Framing::Close, State::Close),
            None => (Framing::Chunked, State::Chunked),
        };
        self.head(wire, framing, state)?;
        if state != State::Chunked {
            if !self.is_head {
                self.pending.extend_from_slice(&self.held);
            }
            self.held.clear();
        }
        Ok(())
    }

    fn head(&mut self, wire: &Wire<'_>, framing: Framing, state: State) -> io::Result<()> {
        if self.status.is_informational() {
            return Err(error::not_a_final_status(self.status));
        }
        if framing == Framing::Close {
            self.after = After::Close;
        }
        if framing == Framing::Chunked && !self.trailers.is_empty() {
            let names = self.trailers.keys().map(header::HeaderName::as_str).collect::<Vec<_>>();
            if let Ok(names) = names.join(", ").try_into() {
                self.headers.insert(header::TRAILER, names);
            }
        }
        let how = (self.version, self.after);
        let Self { pending, status, headers, clock, .. } = self;
        self.after = reply::write_head(pending, *status, headers, framing, how, *clock);
        self.state = state;
        wire.answered();
        Ok(())
    }

    /// Bytes of the body as they are.
    fn send(&mut self, wire: &Wire<'_>, bytes: &[u8]) -> io::Result<()> {
        if self.pending.len() + bytes.len() <= PENDING {
            self.pending.extend_from_slice(bytes);
            return Ok(());
        }
        self.sent(|pending| wire.write_all(&[pending, bytes]))
    }

    /// What is held and `bytes`, as one chunk.
    fn chunk(&mut self, wire: &Wire<'_>, bytes: &[u8]) -> io::Result<()> {
        let held = std::mem::take(&mut self.held);
        let len = held.len() + bytes.len();
        chunked::begin_chunk(&mut self.pending, len);
        let result = if self.pending.len() + len <= PENDING {
            self.pending.extend_from_slice(&held);
            self.pending.extend_from_slice(bytes);
            Ok(())
        } else {
            self.sent(|pending| wire.write_all(&[pending, &held, bytes]))
        };
        self.held = held;
        self.held.clear();
        result?;
        self.pending.extend_from_slice(chunked::END_OF_CHUNK);
        Ok(())
    }

    /// Has `write` send what is pending. If it fails, nobody knows how much of it has gone, and the
    /// connection is good for nothing more.
    fn sent(&mut self, write: impl FnOnce(&[u8]) -> io::Result<()>) -> io::Result<()> {
        let result = write(&self.pending);
        self.pending.clear();
        if result.is_err() {
            self.give_up();
        }
        result
    }

    /// So many bytes of the body went around this.
    pub(super) fn passed(&mut self, n: u64) {
        if let State::Length(left) = &mut self.state {
            *left = left.saturating_sub(n);
        }
        self.accepted += n;
    }

    /// Whether bytes may go around this to the connection, once nothing is pending.
    pub(super) fn is_plain(&self) -> bool {
        matches!(self.state, State::Length(_) | State::Close)
    }
}
