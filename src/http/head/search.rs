//! The lines of a head, looking at every byte once however slowly they come.

use super::super::refusal::Refusal;
use super::Limits;
use http::StatusCode;
use memchr::memchr;
use std::ops::Range;

/// A line of a head, without its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Line {
    Request(Range<usize>),
    Field(Range<usize>),
    /// The empty one; the head is so long.
    End(usize),
}

/// A search under way. It goes on from where the bytes that it was shown ended, and what it finds does
/// not depend on where that was.
#[derive(Debug, Clone, Default)]
pub(super) struct Search {
    /// Where the line that is being looked at begins.
    start: usize,
    /// No line ends between there and here.
    seen: usize,
    /// The request line was found.
    has_request: bool,
    /// So many fields were.
    count: usize,
}

impl Search {
    /// Looks for the next line of the head that begins with `bytes`, which grow from call to call.
    pub(super) fn next(&mut self, bytes: &[u8], limits: &Limits) -> Result<Option<Line>, Refusal> {
        while let Some(at) = memchr(b'\n', &bytes[self.seen..]) {
            let end = self.seen + at;
            let line = self.line(bytes, end, limits)?;
            if line.end == end {
                return Err(Refusal::malformed("a line ends without a carriage return"));
            }
            let first = self.start == 0;
            self.start = end + 1;
            self.seen = self.start;
            match (self.has_request, line.is_empty()) {
                (true, true) => return Ok(Some(Line::End(self.start))),
                (true, false) if self.count == limits.fields => {
                    return Err(Refusal::fields_too_large("the head has too many fields"));
                }
                (true, false) => {
                    self.count += 1;
                    return Ok(Some(Line::Field(line)));
                }
                (false, false) => {
                    self.has_request = true;
                    return Ok(Some(Line::Request(line)));
                }
                // An empty line too many after the body before, as old clients send, is let pass.
                (false, true) if first => {}
                (false, true) => return Err(Refusal::malformed("there is no request line")),
            }
        }
        // What is too long, or no line at all, is refused before its end: that may never come.
        self.line(bytes, bytes.len(), limits)?;
        self.seen = bytes.len();
        Ok(None)
    }

    /// The line up to `end`, without a carriage return there, if it may stand in a head.
    fn line(&self, bytes: &[u8], end: usize, limits: &Limits) -> Result<Range<usize>, Refusal> {
        let line = &bytes[self.start..end];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if !self.has_request {
            let fits = &line[..line.len().min(limits.line)];
            let unseen = &fits[self.seen.saturating_sub(self.start + 1).min(fits.len())..];
            if !unseen.iter().all(|b| matches!(b, b' '..=b'~')) {
                return Err(Refusal::malformed("the request line holds what no line can"));
            }
            if line.len() > limits.line {
                return Err(match memchr(b' ', fits) {
                    Some(_) => {
                        Refusal::new(StatusCode::URI_TOO_LONG, "the request line is too long")
                    }
                    None => Refusal::malformed("the method is too long"),
                });
            }
        }
        if end >= limits.head {
            return Err(Refusal::fields_too_large("the head is too long"));
        }
        Ok(self.start..self.start + line.len())
    }
}
