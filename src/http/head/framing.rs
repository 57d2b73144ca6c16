//! How long the body is, and what follows it.

use super::super::is_token;
use super::super::refusal::Refusal;
use http::{HeaderMap, HeaderValue, StatusCode, Version, header};

/// How the end of a request's body is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Framing {
    /// Nothing is said of a body, so there is none.
    None,
    /// It has so many bytes.
    Length(u64),
    /// By the last chunk.
    Chunked,
}

impl Framing {
    pub(super) fn of(headers: &HeaderMap, version: Version) -> Result<Self, Refusal> {
        let length = length(headers)?;
        let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter().peekable();
        if codings.peek().is_none() {
            return Ok(length.map_or(Self::None, Self::Length));
        }
        if length.is_some() {
            return Err(Refusal::malformed("both Content-Length and Transfer-Encoding are given"));
        }
        if version == Version::HTTP_10 {
            return Err(Refusal::malformed("HTTP/1.0 has no Transfer-Encoding"));
        }
        chunked(codings).map(|()| Self::Chunked)
    }

    /// Whether there may be bytes to come.
    pub(in super::super) fn has_body(self) -> bool {
        !matches!(self, Self::None | Self::Length(0))
    }
}

/// The one length that all fields and all their members agree on.
fn length(headers: &HeaderMap) -> Result<Option<u64>, Refusal> {
    const WRONG: Refusal = Refusal::malformed("the Content-Length is malformed");
    let mut members = headers.get_all(header::CONTENT_LENGTH).iter().flat_map(members);
    let Some(first) = members.next() else { return Ok(None) };
    if members.any(|other| other != first) {
        return Err(Refusal::malformed("several lengths are given"));
    }
    if first.is_empty() {
        return Err(WRONG);
    }
    let number = first.iter().try_fold(0u64, |n, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        n.checked_mul(10)?.checked_add(digit)
    });
    match number {
        Some(n) if i64::try_from(n).is_ok() => Ok(Some(n)),
        _ => Err(WRONG),
    }
}

/// Only `chunked`, once, is understood.
fn chunked<'v>(values: impl Iterator<Item = &'v HeaderValue>) -> Result<(), Refusal> {
    let codings: Vec<_> = values.flat_map(members).collect();
    let is_chunked = |coding: &&[u8]| coding.eq_ignore_ascii_case(b"chunked");
    match codings.split_last() {
        Some((last, [])) if is_chunked(last) => Ok(()),
        Some((last, others)) if is_chunked(last) && others.iter().all(is_coding) => {
            if others.iter().any(is_chunked) {
                return Err(Refusal::malformed("the body is chunked twice"));
            }
            Err(Refusal::new(StatusCode::NOT_IMPLEMENTED, "the transfer coding is not known"))
        }
        _ => Err(Refusal::malformed("the body's last transfer coding is not chunked")),
    }
}

/// A coding by its name, perhaps with parameters.
fn is_coding(member: &&[u8]) -> bool {
    let name = member.split(|&b| b == b';').next().unwrap_or(member);
    let name = name.trim_ascii_end();
    !name.is_empty() && name.iter().all(|&b| is_token(b))
}

/// Whether the client waits for a 100 before it sends the body; nothing else can be expected.
pub(super) fn expects_continue(headers: &HeaderMap) -> Result<bool, Refusal> {
    let mut expects = false;
    for member in headers.get_all(header::EXPECT).iter().flat_map(members) {
        if !member.eq_ignore_ascii_case(b"100-continue") {
            let why = "only 100-continue can be expected";
            return Err(Refusal::new(StatusCode::EXPECTATION_FAILED, why));
        }
        expects = true;
    }
    Ok(expects)
}

/// Whether the client lets another request follow on the same connection.
pub(super) fn persists(headers: &HeaderMap, version: Version) -> bool {
    let has = |option| headers.get_all(header::CONNECTION).iter().any(|value| names(value, option));
    !has("close") && (version != Version::HTTP_10 || has("keep-alive"))
}

/// Whether `option` is a member of the list.
pub(in super::super) fn names(value: &HeaderValue, option: &str) -> bool {
    members(value).any(|member| member.eq_ignore_ascii_case(option.as_bytes()))
}

/// The members of a list, without the blanks around them.
fn members(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    // A value holds no other white space than these.
    value.as_bytes().split(|&b| b == b',').map(<[u8]>::trim_ascii)
}
