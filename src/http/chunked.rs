//! The chunked transfer coding: a strict decoder and an encoder. No I/O.
//!
//! The decoder is shown what has arrived and takes the framing out of it; the data between is left to the
//! caller, who may have it read to wherever it is wanted.

use super::refusal::Refusal;
use memchr::memchr;

/// The most bytes of a line with a chunk's size and extensions.
const LINE: usize = 4096;

/// The most bytes that may be sent in vain: framing beyond what is forgiven.
const WASTE: u64 = 16 << 10;

/// What a chunk's framing may cost without being counted as waste, beside twice its data.
const FORGIVEN: u64 = 16;

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// More bytes are needed to tell.
    More,
    /// So many bytes of data.
    Data(u64),
    /// The trailer fields with their ends and the empty line: so many bytes.
    Trailers(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Size,
    Data(u64),
    /// The end of the line after the data.
    DataEnd,
    Trailers,
    Done,
}

/// Decodes one body.
#[derive(Debug)]
pub(super) struct Decoder {
    state: State,
    /// So many bytes of the line, or of the trailers, were looked at already.
    seen: usize,
    /// Where in the trailers the line that is being looked at begins, and how many came before it.
    trailer: (usize, usize),
    waste: u64,
}

/// How much of the trailers is taken.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) bytes: usize,
    pub(super) fields: usize,
}

impl Decoder {
    pub(super) fn new() -> Self {
        Self { state: State::Size, seen: 0, trailer: (0, 0), waste: 0 }
    }

    /// Takes framing from the front of `bytes`, and tells how much of it and what comes next. What was not
    /// taken is to be shown again, with more behind it if there is `More` to come.
    pub(super) fn next(&mut self, bytes: &[u8], limits: Limits) -> Result<(usize, Next), Refusal> {
        let mut taken = 0;
        loop {
            let rest = &bytes[taken..];
            match self.state {
                State::Size => match self.line(rest)? {
                    None => return Ok((taken, Next::More)),
                    Some(len) => {
                        let size = size(&rest[..len])?;
                        taken += len + 2;
                        self.account(len as u64 + 2, size)?;
                        self.state = if size == 0 { State::Trailers } else { State::Data(size) };
                    }
                },
                State::Data(left) => return Ok((taken, Next::Data(left))),
                State::DataEnd => match rest {
                    [b'\r', b'\n', ..] => {
                        taken += 2;
                        self.state = State::Size;
                    }
                    [] | [b'\r'] => return Ok((taken, Next::More)),
                    _ => return Err(Refusal::malformed("a chunk does not end where it should")),
                },
                State::Trailers => return Ok((taken, self.trailers(rest, limits)?)),
                State::Done => return Ok((taken, Next::Trailers(0))),
            }
        }
    }

    /// So many bytes of data were taken.
    pub(super) fn took(&mut self, n: u64) {
        if let State::Data(left) = self.state {
            let left = left.saturating_sub(n);
            self.state = if left == 0 { State::DataEnd } else { State::Data(left) };
        }
    }

    /// The length of the line at the front, without its end.
    fn line(&mut self, bytes: &[u8]) -> Result<Option<usize>, Refusal> {
        let end = memchr(b'\n', &bytes[self.seen..]).map(|at| self.seen + at);
        if end.unwrap_or(bytes.len()) >= LINE {
            return Err(Refusal::malformed("the line of a chunk's size is too long"));
        }
        let Some(end) = end else {
            self.seen = bytes.len();
            plausible(bytes)?;
            return Ok(None);
        };
        self.seen = 0;
        match bytes[..end].strip_suffix(b"\r") {
            Some(line) => Ok(Some(line.len())),
            None => Err(Refusal::malformed("a line of a chunk's size has no carriage return")),
        }
    }

    /// A sender may chop its data into single bytes, but not send next to nothing in much framing.
    fn account(&mut self, framing: u64, data: u64) -> Result<(), Refusal> {
        let forgiven = data.saturating_mul(2).saturating_add(FORGIVEN);
        self.waste = (self.waste + framing).saturating_sub(forgiven);
        if self.waste > WASTE {
            return Err(Refusal::malformed("the chunks are more framing than data"));
        }
        Ok(())
    }

    fn trailers(&mut self, bytes: &[u8], limits: Limits) -> Result<Next, Refusal> {
        let (mut start, mut count) = self.trailer;
        while let Some(at) = memchr(b'\n', &bytes[self.seen..]) {
            let feed = self.seen + at;
            if feed >= limits.bytes {
                return Err(Refusal::fields_too_large("the trailers are too long"));
            }
            if feed == start || bytes[feed - 1] != b'\r' {
                return Err(Refusal::malformed("a trailer ends without a carriage return"));
            }
            if feed == start + 1 {
                self.state = State::Done;
                return Ok(Next::Trailers(feed + 1));
            }
            if count == limits.fields {
                return Err(Refusal::fields_too_large("there are too many trailers"));
            }
            (start, count) = (feed + 1, count + 1);
            self.seen = start;
            self.trailer = (start, count);
        }
        if bytes.len() >= limits.bytes {
            return Err(Refusal::fields_too_large("the trailers are too long"));
        }
        self.seen = bytes.len();
        Ok(Next::More)
    }
}

/// Refuses early what cannot become a size: its line may never end.
fn plausible(bytes: &[u8]) -> Result<(), Refusal> {
    match bytes.iter().take(17).position(|b| !b.is_ascii_hexdigit()) {
        Some(0) => Err(Refusal::malformed("a chunk has no size")),
        None if bytes.len() > 16 => Err(TOO_LARGE),
        _ => Ok(()),
    }
}

const TOO_LARGE: Refusal = Refusal::malformed("the size of a chunk is too large");

/// Parses the line of a chunk: its size, and extensions, which mean nothing here.
fn size(line: &[u8]) -> Result<u64, Refusal> {
    let digits = line.iter().position(|b| !b.is_ascii_hexdigit()).unwrap_or(line.len());
    match digits {
        0 => return Err(Refusal::malformed("a chunk has no size")),
        1..=16 => {}
        _ => return Err(TOO_LARGE),
    }
    let size = line[..digits].iter().fold(0, |size, &digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            _ => (digit | 0x20) - b'a' + 10,
        };
        size << 4 | u64::from(value)
    });
    if !are_extensions(&line[digits..]) {
        return Err(Refusal::malformed("what follows a chunk's size is malformed"));
    }
    Ok(size)
}

/// `*( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] )`
fn are_extensions(mut bytes: &[u8]) -> bool {
    while !bytes.is_empty() {
        let Some(rest) = blanks(bytes).strip_prefix(b";") else { return false };
        let Some(rest) = token(blanks(rest)) else { return false };
        bytes = match blanks(rest).strip_prefix(b"=") {
            None => rest,
            Some(value) => match blanks(value) {
                [b'"', text @ ..] => match quoted(text) {
                    Some(rest) => rest,
                    None => return false,
                },
                text => match token(text) {
                    Some(rest) => rest,
                    None => return false,
                },
            },
        };
    }
    true
}

fn blanks(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().position(|b| !b" \t".contains(b)).unwrap_or(bytes.len());
    &bytes[end..]
}

/// What follows the token at the front, if there is one.
fn token(bytes: &[u8]) -> Option<&[u8]> {
    let end = bytes.iter().position(|&b| !super::is_token(b)).unwrap_or(bytes.len());
    (end > 0).then(|| &bytes[end..])
}

/// What follows the closing quote.
fn quoted(mut bytes: &[u8]) -> Option<&[u8]> {
    let is_text = |b: u8| matches!(b, b'\t' | b' '..=b'~' | 0x80..);
    loop {
        bytes = match bytes {
            [b'"', rest @ ..] => return Some(rest),
            [b'\\', b, rest @ ..] if is_text(*b) => rest,
            [b, rest @ ..] if *b != b'\\' && is_text(*b) => rest,
            _ => return None,
        }
    }
}

/// What ends the data of a chunk, and what ends a body that has no trailers.
pub(super) const END_OF_CHUNK: &[u8] = b"\r\n";
pub(super) const LAST_CHUNK: &[u8] = b"0\r\n";

/// Writes what comes before `len` bytes of data; `len` is not 0, which would end the body.
pub(super) fn begin_chunk(out: &mut Vec<u8>, len: usize) {
    let digits = (usize::BITS - len.leading_zeros()).div_ceil(4);
    for digit in (0..digits).rev() {
        let value = (len >> (4 * digit) & 0xf) as u8;
        out.push(if value < 10 { b'0' + value } else { b'a' + value - 10 });
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests;
