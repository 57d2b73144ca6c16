//! The bytes of a connection, cut into bodies.

use super::chunked::{self, Decoder, Next};
use super::head::{self, Framing};
use super::input::Input;
use super::refusal::Refusal;
use super::wire::Wire;
use crate::error;
use crate::source::Piece;
use http::{HeaderMap, StatusCode, header};
use std::io;

/// What has arrived, and how much of the current request's body is still to come.
#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) input: Input,
    state: State,
    /// So many bytes of the body may still be handed out.
    allowed: u64,
    trailers: HeaderMap,
    limits: head::Limits,
    /// Why the last read failed, if that is the client's fault.
    fault: Option<Refusal>,
    /// The connection has failed.
    broken: bool,
    /// Somebody copies the body around `read`, whose errors are not seen here.
    direct: bool,
}

#[derive(Debug)]
enum State {
    /// The next byte is the next request's.
    Done,
    Length(u64),
    Chunked(Decoder),
    /// Nobody can tell, or wants to know, what the next byte is.
    Refused(Refusal),
}

const TOO_LARGE: Refusal = Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large");
const CUT_OFF: Refusal = Refusal::malformed("the body ends early");
const LATE: Refusal = Refusal::new(StatusCode::REQUEST_TIMEOUT, "the body comes too slowly");

impl Incoming {
    pub(super) fn new(limits: head::Limits) -> Self {
        Self {
            input: Input::default(),
            state: State::Done,
            allowed: u64::MAX,
            trailers: HeaderMap::new(),
            limits,
            fault: None,
            broken: false,
            direct: false,
        }
    }

    /// Limits for a connection to come.
    pub(super) fn set_limits(&mut self, limits: head::Limits) {
        self.limits = limits;
    }

    /// The head has been taken, and a body follows.
    pub(super) fn begin(&mut self, framing: Framing) {
        self.allowed = u64::MAX;
        self.fault = None;
        self.direct = false;
        self.trailers.clear();
        self.state = match framing {
            Framing::None | Framing::Length(0) => State::Done,
            Framing::Length(n) => State::Length(n),
            Framing::Chunked => State::Chunked(Decoder::new()),
        };
    }

    /// Lets at most `n` more bytes be handed out, or fewer if so few were allowed before. A body that is
    /// known to have more is refused now.
    pub(super) fn limit(&mut self, n: u64) {
        self.allowed = self.allowed.min(n);
        if matches!(self.state, State::Length(left) if left > n) {
            self.state = State::Refused(TOO_LARGE);
        }
    }

    pub(super) fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// How many bytes are still to come, if that is known.
    pub(super) fn left(&self) -> Option<u64> {
        match self.state {
            State::Done => Some(0),
            State::Length(left) => Some(left),
            State::Chunked(_) | State::Refused(_) => None,
        }
    }

    /// Whether all of the body has arrived already, as far as that can be told.
    pub(super) fn has_arrived(&self) -> bool {
        self.left().is_some_and(|left| left <= self.input.bytes().len() as u64)
    }

    pub(super) fn trailers(&self) -> &HeaderMap {
        &self.trailers
    }

    /// Why the last read failed, if that is the client's fault, and the body too large.
    pub(super) fn fault(&self) -> Option<Refusal> {
        match self.state {
            State::Refused(why) => Some(why),
            _ => self.fault,
        }
    }

    /// The handler has failed with `error`: if the body was copied around this, it may be the reason.
    pub(super) fn note(&mut self, error: &io::Error) {
        if self.direct && !self.is_done() {
            self.note_failure(error);
        }
    }

    fn note_failure(&mut self, error: &io::Error) {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => self.fault = Some(CUT_OFF),
            io::ErrorKind::TimedOut => self.fault = Some(LATE),
            io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => self.broken = true,
            _ => {}
        }
    }

    /// Whether the connection has failed in a read.
    pub(super) fn is_broken(&self) -> bool {
        self.broken
    }

    /// Reads bytes of the body; none, once it has ended.
    pub(super) fn read(&mut self, wire: &Wire<'_>, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        let result = self.read_some(wire, buf);
        match &result {
            Ok(_) => self.fault = None,
            // Nothing was taken, and whoever reads waits by himself.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.direct = true,
            Err(error) => {
                self.note_failure(error);
                self.broken |= self.fault().is_none();
            }
        }
        result
    }

    fn read_some(&mut self, wire: &Wire<'_>, buf: &mut [u8]) -> io::Result<usize> {
        let ready = self.ready(wire)?;
        if ready == 0 {
            return Ok(0);
        }
        let max = usize::try_from(ready).map_or(buf.len(), |ready| ready.min(buf.len()));
        let n = if self.input.goes_around(max) {
            wire.invite()?;
            self.arrived(wire.read(&mut buf[..max])?)?
        } else {
            if self.input.is_empty() {
                self.fill(wire)?;
            }
            self.input.take(&mut buf[..max])
        };
        self.took(n as u64);
        Ok(n)
    }

    /// How many bytes of data come next; 0 at the end. Chunks are opened on the way.
    fn ready(&mut self, wire: &Wire<'_>) -> io::Result<u64> {
        let ready = loop {
            match &mut self.state {
                State::Done => return Ok(0),
                State::Length(left) => break *left,
                State::Refused(why) => return Err(refused(*why)),
                State::Chunked(decoder) => {
                    let limits =
                        chunked::Limits { bytes: self.limits.head, fields: self.limits.fields };
                    let next = decoder.next(self.input.bytes(), limits);
                    match next {
                        Ok((taken, Next::Data(n))) => {
                            self.input.consume(taken);
                            break n;
                        }
                        Ok((taken, Next::More)) => {
                            self.input.consume(taken);
                            self.fill(wire)?;
                        }
                        Ok((taken, Next::Trailers(len))) => {
                            self.input.consume(taken);
                            self.end(len)?;
                        }
                        Err(why) => return Err(self.refuse(why)),
                    }
                }
            }
        };
        if self.allowed == 0 {
            return Err(self.refuse(TOO_LARGE));
        }
        Ok(ready.min(self.allowed))
    }

    fn took(&mut self, n: u64) {
        self.allowed = self.allowed.saturating_sub(n);
        match &mut self.state {
            State::Length(left) => {
                *left = left.saturating_sub(n);
                if *left == 0 {
                    self.state = State::Done;
                }
            }
            State::Chunked(decoder) => decoder.took(n),
            State::Done | State::Refused(_) => {}
        }
    }

    /// The last chunk has come, and `len` bytes of trailers.
    fn end(&mut self, len: usize) -> io::Result<()> {
        /// What a trailer must not change after the fact.
        const FRAMING: [header::HeaderName; 4] =
            [header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::HOST, header::TRAILER];
        let bytes = &self.input.bytes()[..len];
        if let Err(why) = head::parse_fields(bytes, &mut self.trailers) {
            return Err(self.refuse(why));
        }
        if FRAMING.iter().any(|name| self.trailers.contains_key(name)) {
            return Err(self.refuse(Refusal::malformed("a trailer speaks of framing")));
        }
        self.input.consume(len);
        self.state = State::Done;
        Ok(())
    }

    fn fill(&mut self, wire: &Wire<'_>) -> io::Result<()> {
        wire.invite()?;
        let n = self.input.fill(|buf| wire.read(buf))?;
        self.arrived(n).map(drop)
    }

    fn arrived(&self, n: usize) -> io::Result<usize> {
        match (n, self.left()) {
            (0, Some(missing)) => Err(error::too_short(missing)),
            (0, None) => Err(error::body_cut_off()),
            (n, _) => Ok(n),
        }
    }

    fn refuse(&mut self, why: Refusal) -> io::Error {
        self.state = State::Refused(why);
        refused(why)
    }

    /// Reads what is left of the body, up to `max` bytes; whether that was all.
    pub(super) fn drain(&mut self, wire: &Wire<'_>, max: u64) -> bool {
        self.limit(max);
        let mut scrap = [0; 4096];
        loop {
            match self.read(wire, &mut scrap) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(_) => return false,
            }
        }
    }

    /// Before bytes of the body go around this.
    pub(super) fn go_around(&mut self, wire: &Wire<'_>) -> io::Result<()> {
        self.direct = true;
        wire.before_read();
        wire.invite()
    }

    /// Where the next bytes of the body lie.
    pub(super) fn piece<'a>(&'a self, wire: &'a Wire<'_>) -> Piece<'a> {
        match self.state {
            State::Done => Piece::Buffered(&[]),
            State::Length(left) if self.input.is_empty() => wire.transport.piece().limit(left),
            State::Length(left) => Piece::Buffered(self.input.bytes()).limit(left),
            State::Chunked(_) | State::Refused(_) => Piece::Opaque,
        }
    }

    /// So many bytes of that piece were taken.
    pub(super) fn advance(&mut self, wire: &Wire<'_>, n: u64) {
        if self.input.is_empty() {
            wire.before_read();
        } else {
            self.input.consume(usize::try_from(n).unwrap_or(usize::MAX));
        }
        self.took(n);
    }

    /// That piece gave nothing.
    pub(super) fn ended(&mut self) -> io::Result<()> {
        match self.left() {
            Some(0) | None => Ok(()),
            Some(missing) => {
                self.fault = Some(CUT_OFF);
                Err(error::too_short(missing))
            }
        }
    }
}

fn refused(why: Refusal) -> io::Error {
    match why.status {
        StatusCode::PAYLOAD_TOO_LARGE => error::body_too_large(),
        _ => error::malformed_body(why.why),
    }
}
