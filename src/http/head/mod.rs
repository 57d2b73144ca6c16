//! Request heads: found, parsed, and judged by the policy. No I/O, no clock.

mod fields;
mod framing;
mod host;
mod line;
mod search;
#[cfg(test)]
mod tests;

pub(super) use self::fields::parse as parse_fields;
pub(super) use self::framing::{Framing, names};
pub(super) use self::host::{is_authority, without_port};
pub(super) use self::search::{Found, Search};

use self::fields::Telling;
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

/// Parses the head that was found in `bytes` into `parts`, whose headers are empty.
pub(super) fn parse(bytes: &[u8], found: &Found, parts: &mut Parts) -> Result<Head, Refusal> {
    let line = line::parse(&bytes[found.line.clone()])?;
    parts.method = line.method;
    parts.uri = line.target;
    parts.version = line.version;
    let fields = &bytes[found.fields.clone()];
    let telling = fields::parse(fields, found.count, &mut parts.headers)?;
    judge(parts, telling)
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
