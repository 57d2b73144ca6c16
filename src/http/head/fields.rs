//! Field lines, of heads and of trailers.

use super::super::refusal::Refusal;
use super::host::is_authority;
use http::{HeaderMap, HeaderName, HeaderValue, header};

/// Which of the fields that say something of the message or the connection there are. Most requests have
/// few of them, and need not be asked for the others.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Telling {
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

/// Parses field lines with their ends, up to an empty line or the end.
pub(in super::super) fn parse_all(bytes: &[u8], into: &mut HeaderMap) -> Result<(), Refusal> {
    let lines = bytes.split(|&b| b == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    for line in lines.take_while(|line| !line.is_empty()) {
        parse(line, into, &mut Telling::default())?;
    }
    Ok(())
}

/// Parses a field line, without its end. What may stand in a name and in a value is for the types of
/// both to say: all of a token, and no control but the tab.
pub(super) fn parse(
    line: &[u8],
    into: &mut HeaderMap,
    telling: &mut Telling,
) -> Result<(), Refusal> {
    const NAME: Refusal = Refusal::malformed("the name of a field is malformed");
    const VALUE: Refusal = Refusal::malformed("the value of a field is malformed");
    let colon = line.iter().position(|&b| b == b':').ok_or(NAME)?;
    let name = HeaderName::from_bytes(&line[..colon]).map_err(|_| NAME)?;
    let value = trim(&line[colon + 1..]);
    telling.note(&name, value);
    let value = HeaderValue::from_bytes(value).map_err(|_| VALUE)?;
    let full = Refusal::fields_too_large("the head has too many fields");
    into.try_append(name, value).map(drop).map_err(|_| full)
}

/// The value without the blanks around it, which are no part of it.
fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use quickcheck::quickcheck;

    /// Bytes of which many are what a parser may stumble over.
    fn line(bytes: &[u8]) -> Vec<u8> {
        let odd = b"aZ: \t-\r\0\x7f\x80\xff\x0b\"(\x1f";
        let choose = |&b: &u8| if b < 192 { odd[usize::from(b) % odd.len()] } else { b };
        bytes.iter().map(choose).filter(|&b| b != b'\n').collect()
    }

    quickcheck! {
        fn another_parser_agrees(bytes: Vec<u8>) -> bool {
            let line = line(&bytes);
            let mut headers = HeaderMap::new();
            let ours = parse(&line, &mut headers, &mut Telling::default()).ok();
            let text = [line.as_slice(), b"\r\n\r\n"].concat();
            let mut room = [httparse::EMPTY_HEADER; 2];
            let theirs = match httparse::parse_headers(&text, &mut room) {
                Ok(httparse::Status::Complete((len, [field]))) if len == text.len() => Some(field),
                _ => None,
            };
            match (ours, theirs) {
                (Some(()), Some(field)) => {
                    let same = headers.iter().next().is_some_and(|(name, value)| {
                        field.name.eq_ignore_ascii_case(name.as_str()) && value == field.value
                    });
                    same && headers.len() == 1
                }
                (None, None) => true,
                _ => false,
            }
        }
    }
}
