//! A connection's requests are the same however they arrive, and what is answered is HTTP.
#![no_main]

use aqueduct::http::{Server, handler};
use std::io::{self, Read, Write};
use std::sync::Mutex;

/// A client that sends pieces of so many bytes.
struct Client<'b> {
    bytes: &'b [u8],
    piece: usize,
    answers: Vec<u8>,
}

impl Read for Client<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let max = buf.len().min(self.piece);
        self.bytes.read(&mut buf[..max])
    }
}

impl Write for Client<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.answers.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What the handler has seen, and the statuses that were answered.
fn serve(bytes: &[u8], piece: usize) -> (Vec<String>, Vec<String>) {
    let seen = Mutex::new(Vec::new());
    let echo = handler(|request, response| {
        let what = format!("{} {}", request.method(), request.uri());
        let body = request.body_mut().bytes(1 << 16);
        let told = format!("{what} {:?}", body.as_ref().map_err(io::Error::kind));
        seen.lock().unwrap().push(told);
        match request.headers().contains_key("x-stream") {
            true => response.flush().and(response.write_all(&body?)),
            false => response.send(body?),
        }
    });
    let mut client = Client { bytes, piece, answers: Vec::new() };
    let server = Server::new(echo).on_failure(|_| {}).max_head(2000).max_fields(20);
    server.serve_connection(&mut client).expect("nothing fails but the requests");
    let statuses = statuses(&client.answers, &seen.lock().unwrap());
    (seen.into_inner().unwrap(), statuses)
}

/// Reads the answers as a client would.
fn statuses(mut rest: &[u8], seen: &[String]) -> Vec<String> {
    let mut statuses = Vec::new();
    while !rest.is_empty() {
        let end = rest.windows(4).position(|four| four == b"\r\n\r\n").expect("a head has an end");
        let head = std::str::from_utf8(&rest[..end]).expect("our heads are text");
        rest = &rest[end + 4..];
        let status = head.strip_prefix("HTTP/1.1 ").expect("our version")[..3].to_owned();
        if status == "100" {
            continue;
        }
        let to_head = seen.get(statuses.len()).is_some_and(|what| what.starts_with("HEAD "));
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
        if let (false, Some(length)) = (to_head, length) {
            rest = &rest[length.parse::<usize>().expect("a number")..];
        } else if !to_head && head.contains("\r\nTransfer-Encoding: chunked") {
            rest = after_chunks(rest);
        } else if !to_head {
            assert!(head.contains("\r\nConnection: close"), "{head}");
            rest = &[];
        }
        statuses.push(status);
    }
    statuses
}

fn after_chunks(mut rest: &[u8]) -> &[u8] {
    loop {
        let Some(end) = rest.windows(2).position(|two| two == b"\r\n") else { return &[] };
        let size = std::str::from_utf8(&rest[..end]).expect("a size");
        let size = usize::from_str_radix(size, 16).expect("a size");
        rest = &rest[end + 2 + size + 2..];
        if size == 0 {
            return rest;
        }
    }
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let (first, rest) = bytes.split_first().unwrap_or((&0, &[]));
    let whole = serve(rest, usize::MAX);
    assert_eq!(whole, serve(rest, usize::from(*first).max(1)));
    assert_eq!(whole, serve(rest, 1));
});
