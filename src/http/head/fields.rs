//! Field lines, of heads and of trailers.

use super::super::refusal::Refusal;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use httparse::{EMPTY_HEADER, Header, Status};

/// So many fields have their place on the stack.
const FEW: usize = 24;

/// Parses `count` field lines with their ends, and the empty line after them.
pub(in super::super) fn parse(
    bytes: &[u8],
    count: usize,
    into: &mut HeaderMap,
) -> Result<(), Refusal> {
    if count <= FEW {
        fill(bytes, &mut [EMPTY_HEADER; FEW], into)
    } else {
        fill(bytes, &mut vec![EMPTY_HEADER; count], into)
    }
}

fn fill<'b>(bytes: &'b [u8], room: &mut [Header<'b>], into: &mut HeaderMap) -> Result<(), Refusal> {
    let fields = match httparse::parse_headers(bytes, room) {
        Ok(Status::Complete((len, fields))) if len == bytes.len() => fields,
        Err(httparse::Error::HeaderName) => {
            return Err(Refusal::malformed("the name of a field is malformed"));
        }
        Err(httparse::Error::HeaderValue) => {
            return Err(Refusal::malformed("the value of a field is malformed"));
        }
        _ => return Err(Refusal::malformed("a field is malformed")),
    };
    for field in fields {
        let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(field.name.as_bytes()), HeaderValue::from_bytes(field.value))
        else {
            return Err(Refusal::malformed("a field is malformed"));
        };
        if into.try_append(name, value).is_err() {
            let why = "the head has too many fields";
            return Err(Refusal::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, why));
        }
    }
    Ok(())
}
