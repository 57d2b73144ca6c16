//! The request line.

use super::super::refusal::Refusal;
use super::host;
use http::request::Parts;
use http::{Method, StatusCode, Uri, Version};
use memchr::memchr;

/// Parses a request line without its end: two spaces, and no others.
pub(super) fn parse(line: &[u8], into: &mut Parts) -> Result<(), Refusal> {
    let (method, rest) = split(line).ok_or(Refusal::malformed("the request line has no target"))?;
    let (target, version) =
        split(rest).ok_or(Refusal::malformed("the request line has no version"))?;
    let method =
        Method::from_bytes(method).map_err(|_| Refusal::malformed("the method is no token"))?;
    // Before the target, which other versions may write in another way.
    into.version = self::version(version)?;
    into.uri = self::target(&method, target)?;
    into.method = method;
    Ok(())
}

fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    memchr(b' ', bytes).map(|at| (&bytes[..at], &bytes[at + 1..]))
}

/// Any 1.x speaks 1.1 as well, if not 1.0.
fn version(bytes: &[u8]) -> Result<Version, Refusal> {
    match bytes {
        b"HTTP/1.1" => Ok(Version::HTTP_11),
        b"HTTP/1.0" => Ok(Version::HTTP_10),
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'2'..=b'9'] => Ok(Version::HTTP_11),
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            let why = "only HTTP/1.1 and HTTP/1.0 are spoken here";
            Err(Refusal::new(StatusCode::HTTP_VERSION_NOT_SUPPORTED, why))
        }
        _ => Err(Refusal::malformed("the version is malformed")),
    }
}

/// The four forms: an authority for CONNECT, an asterisk for OPTIONS, else a path or a whole URI.
fn target(method: &Method, bytes: &[u8]) -> Result<Uri, Refusal> {
    const WRONG: Refusal = Refusal::malformed("the target is malformed");
    if bytes == b"/" && *method != Method::CONNECT {
        // The default is this one, and needs no memory.
        return Ok(Uri::default());
    }
    // A fragment is the client's own business and not sent.
    if !bytes.iter().all(|&b| matches!(b, b'!'..=b'~') && b != b'#') {
        return Err(WRONG);
    }
    if *method == Method::CONNECT {
        if !host::is_authority(bytes) || host::port(bytes).is_none_or(|port| port == 0) {
            return Err(WRONG);
        }
    } else if bytes == b"*" {
        if *method != Method::OPTIONS {
            return Err(WRONG);
        }
    } else if bytes.first() != Some(&b'/') {
        let rest = after_scheme(bytes).ok_or(WRONG)?;
        let end = rest.iter().position(|b| b"/?".contains(b)).unwrap_or(rest.len());
        if !host::is_authority(&rest[..end]) {
            return Err(WRONG);
        }
    }
    if bytes.len() > usize::from(u16::MAX) - 1 {
        return Err(Refusal::new(StatusCode::URI_TOO_LONG, "the target is too long"));
    }
    Uri::try_from(bytes).map_err(|_| WRONG)
}

fn after_scheme(bytes: &[u8]) -> Option<&[u8]> {
    [b"http://".as_slice(), b"https://"].into_iter().find_map(|scheme| {
        let (start, rest) = bytes.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some(rest)
    })
}
