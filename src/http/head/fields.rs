//! Field lines, of heads and of trailers.

use super::super::refusal::Refusal;
use super::host::is_authority;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use httparse::{EMPTY_HEADER, Header, Status};

/// Programs send so many fields, and browsers so many: they have their place on the stack, which it takes
/// time to prepare.
const FEW: usize = 6;
const SOME: usize = 24;

/// Which of the fields that say something of the message or the connection there are. Most requests have
/// few of them, and need not be asked for the others.
#[derive(Debug, Clone, Copy, Default)]
pub(in super::super) struct Telling {
    /// The names of hosts, and whether all of them can be one.
    pub(super) hosts: usize,
    pub(super) malformed_host: bool,
    pub(super) connection: bool,
    pub(super) expect: bool,
    pub(super) framing: bool,
}

impl Telling {
    fn note(&mut self, name: &HeaderName, value: &[u8]) {
        if *name == header::HOST {
            self.hosts += 1;
            self.malformed_host |= !is_authority(value);
        } else if *name == header::CONNECTION {
            self.connection = true;
        } else if *name == header::EXPECT {
            self.expect = true;
        } else if *name == header::CONTENT_LENGTH || *name == header::TRANSFER_ENCODING {
            self.framing = true;
        }
    }
}

/// Parses `count` field lines with their ends, and the empty line after them.
pub(in super::super) fn parse(
    bytes: &[u8],
    count: usize,
    into: &mut HeaderMap,
) -> Result<Telling, Refusal> {
    if count <= FEW {
        fill(bytes, &mut [EMPTY_HEADER; FEW], into)
    } else if count <= SOME {
        fill(bytes, &mut [EMPTY_HEADER; SOME], into)
    } else {
        fill(bytes, &mut vec![EMPTY_HEADER; count], into)
    }
}

fn fill<'b>(
    bytes: &'b [u8],
    room: &mut [Header<'b>],
    into: &mut HeaderMap,
) -> Result<Telling, Refusal> {
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
    let mut telling = Telling::default();
    for field in fields {
        let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(field.name.as_bytes()), HeaderValue::from_bytes(field.value))
        else {
            return Err(Refusal::malformed("a field is malformed"));
        };
        telling.note(&name, field.value);
        if into.try_append(name, value).is_err() {
            let why = "the head has too many fields";
            return Err(Refusal::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, why));
        }
    }
    Ok(telling)
}
