//! Handlers that do anything in any order: a strict client always understands what it gets.

mod http_kit;

use aqueduct::http::{
    HeaderMap, HeaderValue, Request, Response, Server, StatusCode, handler, header,
};
use http_kit::{Script, replies};
use quickcheck::{Arbitrary, Gen, TestResult, quickcheck};
use std::io::{self, Read, Write};
use std::sync::Mutex;

/// What a handler does next.
#[derive(Debug, Clone)]
enum Act {
    Write(usize),
    Copy(usize),
    Flush,
    Length(u64),
    NoLength,
    Status(u16),
    Trailer,
    Inform,
    Error,
    Close,
    Read(usize),
    Fail,
}

impl Arbitrary for Act {
    fn arbitrary(g: &mut Gen) -> Self {
        let size = *g.choose(&[0, 1, 7, 100, 4000, 4096, 4097, 20_000, 100_000]).unwrap();
        match u8::arbitrary(g) % 24 {
            0..6 => Self::Write(size),
            6..9 => Self::Copy(size),
            9..11 => Self::Flush,
            11..13 => Self::Length(size as u64),
            13 => Self::NoLength,
            14 => Self::Status(*g.choose(&[200, 204, 205, 304, 404, 101]).unwrap()),
            15 => Self::Trailer,
            16 => Self::Inform,
            17 => Self::Error,
            18 => Self::Close,
            19..23 => Self::Read(size),
            _ => Self::Fail,
        }
    }
}

/// What was accepted of a body since its start.
#[derive(Debug, Default)]
struct Told {
    body: Vec<u8>,
}

fn act(
    act: &Act,
    told: &mut Told,
    request: &mut Request<'_>,
    response: &mut Response<'_>,
) -> io::Result<()> {
    let bytes = |n: usize| (0..n).map(|i| (i % 251) as u8).collect::<Vec<_>>();
    match *act {
        Act::Write(n) => {
            let bytes = bytes(n);
            let mut rest = &bytes[..];
            while let Ok(n @ 1..) = response.write(rest) {
                told.body.extend_from_slice(&rest[..n]);
                rest = &rest[n..];
            }
        }
        Act::Copy(n) => {
            let bytes = bytes(n);
            let before = response.written();
            let _ = aqueduct::copy(&mut &bytes[..], response);
            let n = response.written() - before;
            told.body.extend_from_slice(&bytes[..n as usize]);
        }
        Act::Flush => response.flush()?,
        Act::Length(n) => drop(response.set(header::CONTENT_LENGTH, n)?),
        Act::NoLength => drop(response.headers_mut().remove(header::CONTENT_LENGTH)),
        Act::Status(status) => drop(response.set_status(StatusCode::from_u16(status).unwrap())),
        Act::Trailer => {
            response.trailers_mut().insert("x-sum", HeaderValue::from_static("7"));
        }
        Act::Inform => drop(response.inform(StatusCode::EARLY_HINTS, &HeaderMap::new())),
        Act::Error => {
            if response.error(StatusCode::CONFLICT, "no").is_ok() {
                told.body = b"no\n".to_vec();
            }
        }
        Act::Close => drop(response.set(header::CONNECTION, "close")?),
        Act::Read(n) => drop(request.body_mut().read(&mut vec![0; n])),
        Act::Fail => return Err(io::Error::other("out of ink")),
    }
    Ok(())
}

#[derive(Debug, Clone)]
struct Asked {
    method: &'static str,
    old: bool,
    keep: bool,
    body: Option<usize>,
    chunked: bool,
    acts: Vec<Act>,
}

impl Arbitrary for Asked {
    fn arbitrary(g: &mut Gen) -> Self {
        let old = u8::arbitrary(g) % 4 == 0;
        Self {
            method: g.choose(&["GET", "HEAD", "POST"]).unwrap(),
            old,
            keep: u8::arbitrary(g) % 8 != 0,
            body: g.choose(&[None, Some(0), Some(5), Some(10_000)]).copied().unwrap(),
            chunked: !old && bool::arbitrary(g),
            acts: (0..u8::arbitrary(g) % 7).map(|_| Act::arbitrary(g)).collect(),
        }
    }

    fn shrink(&self) -> Box<dyn Iterator<Item = Self>> {
        let this = self.clone();
        Box::new(self.acts.shrink().map(move |acts| Self { acts, ..this.clone() }))
    }
}

impl Asked {
    fn text(&self) -> String {
        let version = if self.old { "1.0" } else { "1.1" };
        let connection = if self.keep { "keep-alive" } else { "close" };
        let (field, body) = match self.body {
            None => (String::new(), String::new()),
            Some(n) if self.chunked => {
                let chunk =
                    if n > 0 { format!("{n:x}\r\n{}\r\n", "b".repeat(n)) } else { String::new() };
                ("Transfer-Encoding: chunked\r\n".into(), chunk + "0\r\n\r\n")
            }
            Some(n) => (format!("Content-Length: {n}\r\n"), "b".repeat(n)),
        };
        let method = self.method;
        format!(
            "{method} / HTTP/{version}\r\nHost: h\r\nConnection: {connection}\r\n{field}\r\n{body}"
        )
    }
}

/// What a connection comes to on which these requests are served: an error, in words.
fn check(asked: &[Asked], piece: usize) -> Result<(), String> {
    let told = Mutex::new(Vec::new());
    let server = Server::new(handler(|request, response| {
        let mut told = told.lock().unwrap();
        let asked = &asked[told.len()];
        told.push((Told::default(), false));
        let (this, done) = told.last_mut().unwrap();
        asked.acts.iter().try_for_each(|next| act(next, this, request, response))?;
        *done = true;
        Ok(())
    }))
    .on_failure(|_| {});
    let text: String = asked.iter().map(Asked::text).collect();
    let mut script = Script::new(text.as_bytes().chunks(piece));
    server.serve_connection(&mut script).map_err(|error| error.to_string())?;

    let methods: Vec<_> = asked.iter().map(|asked| asked.method).collect();
    let all = replies(&script.written, &methods);
    let finals: Vec<_> = all.iter().filter(|reply| reply.status >= 200).collect();
    let told = told.into_inner().unwrap();
    if finals.len() != told.len() {
        return Err(format!("{} requests were served, {} answered", told.len(), finals.len()));
    }
    for (n, (reply, (told, done))) in finals.iter().zip(&told).enumerate() {
        let whole = !reply.to_end || reply.closes();
        let bodiless = asked[n].method == "HEAD" || [204, 205, 304].contains(&reply.status);
        if reply.status == 500 || bodiless {
            continue;
        }
        if !told.body.starts_with(&reply.body) || (whole && *done && reply.body != told.body) {
            return Err(format!("number {n} has the wrong body: {} bytes", reply.body.len()));
        }
        if !whole && n + 1 < finals.len() {
            return Err(format!("something follows number {n}, which was cut off"));
        }
    }
    // Half a response to HEAD cannot be told from a whole one.
    let failed = told.last().is_some_and(|(_, done)| !done);
    let open = finals.last().is_none_or(|reply| !reply.closes() && !reply.to_end);
    if open && !failed && finals.len() < asked.len() {
        return Err(format!("after {} the connection was closed unannounced", finals.len()));
    }
    Ok(())
}

quickcheck! {
    fn a_strict_client_understands(asked: Vec<Asked>, piece: usize) -> TestResult {
        let asked = &asked[..asked.len().min(6)];
        match check(asked, piece % 5000 + 1).and_then(|()| check(asked, usize::MAX)) {
            Ok(()) => TestResult::passed(),
            Err(why) => TestResult::error(why),
        }
    }
}
