//! What the tests of the HTTP server share: scripted connections, and a strict reader of what is answered.
#![allow(dead_code, reason = "each test uses a part of it")]

pub(crate) mod site;

use aqueduct::http::{Handler, Request, Response, Server};
use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex};

/// A connection whose client has said all that it has to say.
pub(crate) struct Script {
    pieces: Vec<Vec<u8>>,
    pub(crate) written: Vec<u8>,
    /// The server has read to the end, so it had not closed the connection.
    pub(crate) read_to_end: bool,
    /// How much was written at each read.
    pub(crate) before_reads: Vec<usize>,
    pub(crate) writes: usize,
}

impl Script {
    /// The bytes arrive in these pieces.
    pub(crate) fn new<P: AsRef<[u8]>>(pieces: impl IntoIterator<Item = P>) -> Self {
        let mut pieces: Vec<_> = pieces.into_iter().map(|piece| piece.as_ref().to_vec()).collect();
        pieces.retain(|piece| !piece.is_empty());
        pieces.reverse();
        Self {
            pieces,
            written: Vec::new(),
            read_to_end: false,
            before_reads: Vec::new(),
            writes: 0,
        }
    }
}

impl Read for Script {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.before_reads.push(self.written.len());
        let Some(piece) = self.pieces.last_mut() else {
            self.read_to_end = true;
            return Ok(0);
        };
        let n = piece.len().min(buf.len());
        buf[..n].copy_from_slice(&piece[..n]);
        piece.drain(..n);
        self.pieces.pop_if(|piece| piece.is_empty());
        Ok(n)
    }
}

impl Write for Script {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.written.extend_from_slice(bytes);
        self.writes += 1;
        Ok(bytes.len())
    }

    fn write_vectored(&mut self, bufs: &[io::IoSlice<'_>]) -> io::Result<usize> {
        self.writes += 1;
        bufs.iter().for_each(|buf| self.written.extend_from_slice(buf));
        Ok(bufs.iter().map(|buf| buf.len()).sum())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// One answer, as a strict client understands it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Vec<(String, String)>,
    /// Its end is that of the connection.
    pub(crate) to_end: bool,
}

impl Reply {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut named = self.fields.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
        let value = named.next().map(|(_, value)| value.as_str());
        assert!(named.next().is_none(), "{name} stands twice in {self:?}");
        value
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn closes(&self) -> bool {
        self.field("connection") == Some("close")
    }
}

/// Takes the answers to requests with these methods out of `bytes`, of which nothing may be left.
pub(crate) fn replies(bytes: &[u8], methods: &[&str]) -> Vec<Reply> {
    let mut rest = bytes;
    let mut methods = methods.iter();
    let mut method = methods.next();
    let mut list = Vec::new();
    while !rest.is_empty() {
        let reply = reply(&mut rest, method == Some(&"HEAD"));
        if reply.status >= 200 {
            method = methods.next().or(method);
        }
        list.push(reply);
    }
    list
}

fn line<'b>(rest: &mut &'b [u8]) -> &'b str {
    let end = rest.windows(2).position(|two| two == b"\r\n").expect("a line has an end");
    let line = std::str::from_utf8(&rest[..end]).unwrap();
    assert!(!line.contains(['\r', '\n']), "{line:?}");
    *rest = &rest[end + 2..];
    line
}

fn fields(rest: &mut &[u8]) -> Vec<(String, String)> {
    let mut fields = Vec::new();
    loop {
        match line(rest) {
            "" => return fields,
            line => {
                let (name, value) = line.split_once(": ").expect("a field has a name");
                fields.push((name.to_owned(), value.to_owned()));
            }
        }
    }
}

fn reply(rest: &mut &[u8], to_head: bool) -> Reply {
    let status = line(rest);
    let status = status.strip_prefix("HTTP/1.1 ").expect(status);
    let (code, _reason) = status.split_once(' ').expect(status);
    assert_eq!(code.len(), 3);
    let fields = fields(rest);
    let status = code.parse().unwrap();
    let mut reply = Reply { status, fields, body: Vec::new(), trailers: Vec::new(), to_end: false };
    let (length, coding) = (reply.field("content-length"), reply.field("transfer-encoding"));
    let length = length.map(|length| length.parse::<usize>().unwrap());
    assert!(length.is_none() || coding.is_none(), "{reply:?}");
    if to_head || status < 200 || status == 204 || status == 304 {
        assert!(coding.is_none() && (to_head || length.is_none()), "{reply:?}");
    } else if let Some(n) = length {
        reply.body = rest[..n.min(rest.len())].to_vec();
        reply.to_end = n > rest.len();
        *rest = &rest[reply.body.len()..];
    } else if coding == Some("chunked") {
        reply.to_end = chunks(rest, &mut reply.body).is_none();
        if !reply.to_end {
            reply.trailers = self::fields(rest);
        }
    } else {
        assert!(coding.is_none(), "{reply:?}");
        reply.to_end = true;
        reply.body = std::mem::take(rest).to_vec();
    }
    reply
}

/// `None` if the last chunk is missing.
fn chunks(rest: &mut &[u8], body: &mut Vec<u8>) -> Option<()> {
    while !rest.is_empty() {
        let size = usize::from_str_radix(line(rest), 16).unwrap();
        if size == 0 {
            return Some(());
        }
        body.extend_from_slice(&rest[..size]);
        assert_eq!(&rest[size..size + 2], b"\r\n");
        *rest = &rest[size + 2..];
    }
    None
}

/// What a server did with a connection.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Talk {
    pub(crate) written: Vec<u8>,
    /// The server has closed the connection without waiting for the client to do so.
    pub(crate) closed: bool,
    /// The requests that the handler has seen: method, target, body.
    pub(crate) seen: Vec<String>,
}

/// Answers 200 with the body of the request, or fails as its body does, and remembers what it saw.
#[derive(Clone, Default)]
pub(crate) struct Echo(pub(crate) Arc<Mutex<Vec<String>>>);

impl Handler for Echo {
    fn serve(&self, request: &mut Request<'_>, response: &mut Response<'_>) -> io::Result<()> {
        let seen = format!("{} {}", request.method(), request.uri());
        self.0.lock().unwrap().push(seen);
        let mut body = Vec::new();
        request.body_mut().read_to_end(&mut body)?;
        let text = String::from_utf8_lossy(&body).into_owned();
        self.0.lock().unwrap().last_mut().unwrap().push_str(&format!(" {text:?}"));
        response.send(body)
    }
}

/// Has an echo server talk to a client that sends these pieces.
pub(crate) fn talk<P: AsRef<[u8]>>(pieces: impl IntoIterator<Item = P>) -> Talk {
    let echo = Echo::default();
    let mut script = Script::new(pieces);
    let server = Server::new(echo.clone()).body_limit(Some(1000));
    server.serve_connection(&mut script).unwrap();
    let Script { written, read_to_end, .. } = script;
    let seen = std::mem::take(&mut *echo.0.lock().unwrap());
    Talk { written: without_date(&written), closed: !read_to_end, seen }
}

/// What two clocks may tell differently.
pub(crate) fn without_date(bytes: &[u8]) -> Vec<u8> {
    let mut text = bytes.to_vec();
    let mut from = 0;
    while let Some(at) = text[from..].windows(8).position(|eight| eight == b"\r\nDate: ") {
        let start = from + at + 8;
        // `Sun, 06 Nov 1994 08:49:37 GMT`
        assert_eq!(&text[start + 25..start + 31], b" GMT\r\n");
        text[start..start + 29].fill(b'.');
        from = start;
    }
    text
}

/// As [`talk`], the same however the bytes arrive.
pub(crate) fn talk_all(bytes: &[u8]) -> Talk {
    let whole = talk([bytes]);
    assert_eq!(whole, talk(bytes.chunks(1)), "byte by byte: {:?}", String::from_utf8_lossy(bytes));
    for cut in 1..bytes.len() {
        let (a, b) = bytes.split_at(cut);
        assert_eq!(whole, talk([a, b]), "cut at {cut}: {:?}", String::from_utf8_lossy(bytes));
    }
    whole
}

/// Has `handler` serve a client that sends these pieces.
pub(crate) fn serve<P: AsRef<[u8]>>(
    handler: impl Handler,
    pieces: impl IntoIterator<Item = P>,
) -> Script {
    let mut script = Script::new(pieces);
    Server::new(handler).on_failure(|_| {}).serve_connection(&mut script).unwrap();
    script
}

/// The one answer of `handler` to a request.
pub(crate) fn ask(handler: impl Handler, request: &str) -> Reply {
    let script = serve(handler, [request]);
    let method = request.split(' ').next().unwrap();
    let mut replies = replies(&script.written, &[method]);
    assert_eq!(replies.len(), 1, "{replies:?}");
    replies.remove(0)
}

pub(crate) const GET: &str = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
pub(crate) const HEAD: &str = "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n";
pub(crate) const OLD: &str = "GET / HTTP/1.0\r\n\r\n";

pub(crate) fn post(fields: &str, body: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: h\r\n{fields}\r\n{body}")
}
