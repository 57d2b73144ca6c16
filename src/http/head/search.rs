//! Where a head ends, looking at every byte once however slowly they come.

use super::super::refusal::Refusal;
use super::Limits;
use http::StatusCode;
use memchr::memchr;
use std::ops::Range;

/// A head that has arrived in full: where its parts lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Found {
    /// The request line, without its end.
    pub(in super::super) line: Range<usize>,
    /// The field lines with their ends, and the empty line.
    pub(in super::super) fields: Range<usize>,
    /// How many field lines there are.
    pub(in super::super) count: usize,
}

/// A search under way. It goes on from where the bytes that it was shown ended, and its verdict does
/// not depend on where that was.
#[derive(Debug, Clone, Default)]
pub(in super::super) struct Search {
    /// Where the line that is being looked at begins.
    start: usize,
    /// No line ends between there and here.
    seen: usize,
    /// The request line, once its end was found.
    line: Option<Range<usize>>,
    count: usize,
}

impl Search {
    /// Looks for the end of the head that begins with `bytes`, which grow from call to call.
    pub(in super::super) fn find(
        &mut self,
        bytes: &[u8],
        limits: &Limits,
    ) -> Result<Option<Found>, Refusal> {
        while let Some(at) = memchr(b'\n', &bytes[self.seen..]) {
            let line = self.line(bytes, self.seen + at, limits)?;
            if line.end == self.seen + at {
                return Err(Refusal::malformed("a line ends without a carriage return"));
            }
            let first = self.start == 0;
            self.start = line.end + 2;
            self.seen = self.start;
            match &self.line {
                // An empty line too many after the body before, as old clients send, is let pass.
                None if line.is_empty() && first => {}
                None if line.is_empty() => {
                    return Err(Refusal::malformed("there is no request line"));
                }
                None => self.line = Some(line),
                Some(request) if line.is_empty() => {
                    let fields = request.end + 2..self.start;
                    return Ok(Some(Found { line: request.clone(), fields, count: self.count }));
                }
                Some(_) if self.count == limits.fields => {
                    return Err(too_large("the head has too many fields"));
                }
                Some(_) => self.count += 1,
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
        if self.line.is_none() {
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
            return Err(too_large("the head is too long"));
        }
        Ok(self.start..self.start + line.len())
    }
}

fn too_large(why: &'static str) -> Refusal {
    Refusal::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, why)
}
