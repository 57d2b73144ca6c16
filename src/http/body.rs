//! The body of a request.

use super::incoming::Incoming;
use super::wire::Wire;
use crate::source::{Outcomes, Outlets, Piece, Source};
use http::HeaderMap;
use std::fmt;
use std::io::{self, Read};

/// The body of a request: a reader that ends where the body does.
///
/// Reading it takes bytes from the connection, as they come. It is a [`Source`], so that
/// [`copy`](crate::copy()) moves a body of known length from the socket to a file or pipe in the kernel.
///
/// A client that waits with `Expect: 100-continue` is told to go on at the first read that needs more
/// than what has arrived, unless the response has begun by then.
///
/// What a handler leaves is read and dropped after it, up to a bound; beyond that the connection is closed.
///
/// # Errors
///
/// | cause | kind | the server's answer if the handler returns it |
/// |---|---|---|
/// | the connection ended too early | `UnexpectedEof` | 400 |
/// | malformed chunks or trailers | `InvalidData` | 400 |
/// | more bytes than a [limit](Self::set_limit) allows | `FileTooLarge` | 413 |
/// | a deadline or timeout has passed | `TimedOut` | 408 |
///
/// Others are the connection's own.
///
/// # Examples
///
/// ```
/// use aqueduct::http::{Request, Response};
/// use std::{fs::File, io};
///
/// fn upload(request: &mut Request, response: &mut Response) -> io::Result<()> {
///     let mut store = File::create("/tmp/upload")?;
///     let n = aqueduct::copy(request.body_mut(), &mut store)?;
///     response.send(format!("stored {n} bytes\n"))
/// }
/// ```
#[derive(Default)]
pub struct Body<'c>(Kind<'c>);

#[derive(Default)]
enum Kind<'c> {
    #[default]
    Empty,
    Incoming(&'c Wire<'c>, &'c mut Incoming),
    Made(Box<dyn Source + Send + 'c>),
}

impl<'c> Body<'c> {
    /// No body.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// A body that is read from `source`. This is how a handler puts something between the
    /// connection and the handler that it wraps:
    ///
    /// ```
    /// use aqueduct::ReadExt;
    /// use aqueduct::http::{Body, Handler, Request, Response};
    /// use std::io;
    ///
    /// /// Says on standard error how fast the body comes.
    /// struct Watch<H>(H);
    ///
    /// impl<H: Handler> Handler for Watch<H> {
    ///     fn serve(&self, request: &mut Request, response: &mut Response) -> io::Result<()> {
    ///         let body = std::mem::take(request.body_mut());
    ///         let watched = body.progress(1 << 20, |total| eprintln!("{total} bytes"));
    ///         *request.body_mut() = Body::new(watched);
    ///         self.0.serve(request, response)
    ///     }
    /// }
    /// ```
    #[must_use]
    pub fn new(source: impl Source + Send + 'c) -> Self {
        Self(Kind::Made(Box::new(source)))
    }

    pub(super) fn incoming(wire: &'c Wire<'c>, incoming: &'c mut Incoming) -> Self {
        Self(Kind::Incoming(wire, incoming))
    }

    /// The connection's end of this body, if nobody has put anything before it.
    pub(super) fn origin(&mut self) -> Option<(&'c Wire<'c>, &mut Incoming)> {
        match &mut self.0 {
            Kind::Incoming(wire, incoming) => Some((wire, incoming)),
            Kind::Empty | Kind::Made(_) => None,
        }
    }

    /// How many bytes are still to come, if that is known: not of chunked bodies, nor of those that
    /// were [made](Self::new).
    #[must_use]
    pub fn remaining(&self) -> Option<u64> {
        match &self.0 {
            Kind::Empty => Some(0),
            Kind::Incoming(_, incoming) => incoming.left(),
            Kind::Made(_) => None,
        }
    }

    /// Lets at most `n` more bytes be read; a lower limit that was set before stays. If there are more, a read fails with `FileTooLarge`: the
    /// next one if the length was declared, else the one that would go past the limit. The server
    /// answers 413 to that.
    ///
    /// A body that was [made](Self::new) stays as it is.
    pub fn set_limit(&mut self, n: u64) {
        if let Kind::Incoming(_, incoming) = &mut self.0 {
            incoming.limit(n);
        }
    }

    /// All that is still to come, of which there may be `max` bytes.
    ///
    /// # Errors
    ///
    /// `FileTooLarge` if there are more; as [the body](Self#errors).
    pub fn bytes(&mut self, max: u64) -> io::Result<Vec<u8>> {
        self.set_limit(max);
        let mut bytes = Vec::new();
        let n = self.by_ref().take(max.saturating_add(1)).read_to_end(&mut bytes)?;
        match n as u64 > max {
            true => Err(crate::error::limit_exceeded(max)),
            false => Ok(bytes),
        }
    }

    /// All that is still to come, as text of at most `max` bytes.
    ///
    /// # Errors
    ///
    /// As [`bytes`](Self::bytes); `InvalidData` if it is not UTF-8.
    pub fn text(&mut self, max: u64) -> io::Result<String> {
        String::from_utf8(self.bytes(max)?)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }

    /// The fields that followed a chunked body; none before it was read to its end.
    #[must_use]
    pub fn trailers(&self) -> Option<&HeaderMap> {
        match &self.0 {
            Kind::Incoming(_, incoming) => Some(incoming.trailers()).filter(|map| !map.is_empty()),
            Kind::Empty | Kind::Made(_) => None,
        }
    }
}

impl Read for Body<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match &mut self.0 {
            Kind::Empty => Ok(0),
            Kind::Incoming(wire, incoming) => incoming.read(wire, buf),
            Kind::Made(source) => source.read(buf),
        }
    }
}

impl Source for Body<'_> {
    fn prepare(&mut self) -> io::Result<()> {
        match &mut self.0 {
            Kind::Empty => Ok(()),
            Kind::Incoming(wire, incoming) => incoming.go_around(wire),
            Kind::Made(source) => source.prepare(),
        }
    }

    fn piece<'a>(&'a mut self, taps: &mut Outlets<'a>) -> Piece<'a> {
        match &mut self.0 {
            Kind::Empty => Piece::Buffered(&[]),
            Kind::Incoming(wire, incoming) => incoming.piece(wire),
            Kind::Made(source) => source.piece(taps),
        }
    }

    fn advance(&mut self, n: u64, taps: &mut Outcomes<'_>) -> io::Result<()> {
        match &mut self.0 {
            Kind::Empty => Ok(()),
            Kind::Incoming(wire, incoming) => {
                incoming.advance(wire, n);
                Ok(())
            }
            Kind::Made(source) => source.advance(n, taps),
        }
    }

    fn end(&mut self) -> io::Result<bool> {
        match &mut self.0 {
            Kind::Empty => Ok(false),
            Kind::Incoming(_, incoming) => incoming.ended().map(|()| false),
            Kind::Made(source) => source.end(),
        }
    }

    fn at_fault(&self) -> Option<usize> {
        match &self.0 {
            Kind::Empty | Kind::Incoming(..) => None,
            Kind::Made(source) => source.at_fault(),
        }
    }

    fn missed(&self, tap: usize) -> &[u8] {
        match &self.0 {
            Kind::Empty | Kind::Incoming(..) => &[],
            Kind::Made(source) => source.missed(tap),
        }
    }
}

impl fmt::Debug for Body<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Empty => f.write_str("Body(empty)"),
            Kind::Incoming(_, incoming) => match incoming.left() {
                Some(left) => write!(f, "Body({left} bytes to come)"),
                None => f.write_str("Body(chunked)"),
            },
            Kind::Made(_) => f.write_str("Body(made)"),
        }
    }
}
