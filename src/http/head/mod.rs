//! Request heads: found, parsed, and judged by the policy. No I/O, no clock.

mod fields;
mod framing;
mod host;
mod line;
mod search;
#[cfg(test)]
mod tests;

pub(super) use self::fields::parse_all as parse_fields;
pub(super) use self::framing::{Framing, names};
pub(super) use self::host::{is_authority, without_port};

use self::fields::Telling;
use self::search::{Line, Search};
use super::refusal::Refusal;
use http::request::Parts;
use http::{Method, Version};

/// How much of a head is taken.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// The most bytes of a request line.
    pub(super) line: usize,
    /// The most bytes of a head, and of the trailers of a body.
    pub(super) head: usize,
    /// The most fields of a head, and of the trailers of a body.
    pub(super) fields: usize,
}

/// What a head says of the message and of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) framing: Framing,
    /// The client waits for a word before it sends the body.
    pub(super) expects: bool,
    /// Another request may follow.
    pub(super) keep_alive: bool,
}

/// A head on its way, as far as it was read.
#[derive(Debug, Default)]
pub(super) struct Reading {
    search: Search,
    telling: Telling,
}

impl Reading {
    /// Reads on in `bytes`, which begin with the head and grow from call to call, and puts it into
    /// `parts`, which have no headers at first. Once all of it is there: what it says, and its length.
    pub(super) fn read(
        &mut self,
        bytes: &[u8],
        limits: &Limits,
        parts: &mut Parts,
    ) -> Result<Option<(Head, usize)>, Refusal> {
        while let Some(line) = self.search.next(bytes, limits)? {
            match line {
                Line::Request(line) => line::parse(&bytes[line], parts)?,
                Line::Field(line) => {
                    fields::parse(&bytes[line], &mut parts.headers, &mut self.telling)?;
                }
                Line::End(len) => return Ok(Some((judge(parts, self.telling)?, len))),
            }
        }
        Ok(None)
    }
}

fn judge(parts: &Parts, telling: Telling) -> Result<Head, Refusal> {
    let Parts { method, version, headers, .. } = parts;
    let is_new = *version == Version::HTTP_11;
    // Each request names its host once; those of HTTP/1.0 may leave it out.
    match telling.hosts {
        0 if is_new => return Err(Refusal::malformed("no Host is named")),
        0 | 1 => {}
        _ => return Err(Refusal::malformed("several Hosts are named")),
    }
    if telling.malformed_host {
        return Err(Refusal::malformed("the Host is malformed"));
    }
    let framing = match telling.framing {
        true => Framing::of(headers, *version)?,
        false => Framing::None,
    };
    if *method == Method::CONNECT && framing != Framing::None {
        return Err(Refusal::malformed("a CONNECT request has no body"));
    }
    let expects = telling.expect && framing::expects_continue(headers)?;
    let keep_alive = if telling.connection { framing::persists(headers, *version) } else { is_new };
    Ok(Head { framing, expects: expects && is_new && framing.has_body(), keep_alive })
}
