//! What an address says.

use crate::util;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// One of the two ends, as it was named.
#[derive(Debug, Clone)]
pub(crate) struct Address {
    pub(crate) place: Place,
    text: OsString,
}

#[derive(Debug, Clone)]
pub(crate) enum Place {
    /// Standard input and output.
    Standard,
    Tcp(String),
    TcpListen {
        at: String,
        fork: bool,
    },
    Unix(PathBuf),
    UnixListen {
        path: PathBuf,
        fork: bool,
    },
    /// A command for the shell.
    Exec(OsString),
    File(PathBuf),
}

impl Address {
    /// What `text` says, or what is wrong with it.
    pub(crate) fn parse(text: &OsStr) -> Result<Self, &'static str> {
        let place = parse(text)?;
        Ok(Self { place, text: text.to_owned() })
    }

    /// Whether it is for any number of connections.
    pub(crate) fn forks(&self) -> bool {
        matches!(
            self.place,
            Place::TcpListen { fork: true, .. } | Place::UnixListen { fork: true, .. }
        )
    }
}

/// As it was given, in quotes only if something other than its colons needs them.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rest: Vec<_> = self.text.as_bytes().iter().copied().filter(|&b| b != b':').collect();
        let rest = OsStr::from_bytes(&rest);
        match util::quoted_if_needed(rest) == rest.to_string_lossy() {
            true => write!(f, "{}", self.text.display()),
            false => f.write_str(&util::quoted(&self.text)),
        }
    }
}

fn parse(text: &OsStr) -> Result<Place, &'static str> {
    if text == "-" {
        return Ok(Place::Standard);
    }
    let bytes = text.as_bytes();
    let colon = bytes.iter().position(|&b| b == b':').ok_or("no such kind of address")?;
    let (kind, rest) = (&bytes[..colon], &bytes[colon + 1..]);
    if rest.is_empty() {
        return Err("something must follow the colon");
    }
    let (unforked, fork) = match rest.strip_suffix(b",fork") {
        Some(rest) => (rest, true),
        None => (rest, false),
    };
    let name = |bytes: &[u8]| OsStr::from_bytes(bytes).to_owned();
    match kind {
        b"tcp" => match host_and_port(rest) {
            Some(text) if text.contains(':') => Ok(Place::Tcp(text.to_owned())),
            _ => Err("not HOST:PORT"),
        },
        b"tcp-listen" => match host_and_port(unforked) {
            Some(text) => Ok(Place::TcpListen { at: text.to_owned(), fork }),
            None => Err("not PORT or HOST:PORT"),
        },
        b"unix" => Ok(Place::Unix(name(rest).into())),
        b"unix-listen" => Ok(Place::UnixListen { path: name(unforked).into(), fork }),
        b"exec" => Ok(Place::Exec(name(rest))),
        b"file" => Ok(Place::File(name(rest).into())),
        _ => Err("no such kind of address"),
    }
}

/// `text`, if it ends in a port.
fn host_and_port(text: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(text).ok()?;
    let port = text.rsplit(':').next()?;
    let digits = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    (digits && port.parse::<u16>().is_ok()).then_some(text)
}
