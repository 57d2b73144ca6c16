//! Heads as raw bytes, whole and cut in two at every place.

use super::super::verdict;
use super::*;
use http::{HeaderMap, StatusCode};
use quickcheck::{Arbitrary, Gen, TestResult, quickcheck};
use std::fmt::Write;

const LIMITS: Limits = Limits { line: 120, head: 400, fields: 6 };

type Verdict = Result<Option<(Parts, Head, usize)>, StatusCode>;

fn parse_cut(bytes: &[u8], cuts: &[usize]) -> Verdict {
    verdict::head(bytes, cuts, &LIMITS)
}

/// The verdict, which is the same however the bytes arrive.
fn parse_all(bytes: &[u8]) -> Verdict {
    let whole = parse_cut(bytes, &[]);
    let told = |verdict: &Verdict| format!("{verdict:?}");
    let one_by_one: Vec<_> = (0..bytes.len()).collect();
    assert_eq!(told(&whole), told(&parse_cut(bytes, &one_by_one)), "byte by byte: {bytes:?}");
    for cut in 0..bytes.len() {
        assert_eq!(told(&whole), told(&parse_cut(bytes, &[cut])), "cut at {cut}: {bytes:?}");
    }
    whole
}

#[track_caller]
fn accepted(text: &str) -> (Parts, Head) {
    match parse_all(text.as_bytes()) {
        Ok(Some((parts, head, len))) => {
            assert_eq!(len, text.len(), "{text:?}");
            (parts, head)
        }
        other => panic!("{text:?}: {other:?}"),
    }
}

#[track_caller]
fn refused(bytes: impl AsRef<[u8]>) -> u16 {
    match parse_all(bytes.as_ref()) {
        Err(status) => status.as_u16(),
        other => panic!("{:?}: {other:?}", String::from_utf8_lossy(bytes.as_ref())),
    }
}

/// A request with these field lines beside its Host.
fn with(fields: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: h\r\n{fields}\r\n")
}

#[test]
fn a_head_is_taken_apart() {
    let text =
        "PUT /a/b?c=d HTTP/1.1\r\nHost: example.org:80\r\nX-Y:  some words\t \r\nx-y:\r\n\r\n";
    let (parts, head) = accepted(text);
    assert_eq!((parts.method, parts.version), (Method::PUT, Version::HTTP_11));
    assert_eq!((parts.uri.path(), parts.uri.query()), ("/a/b", Some("c=d")));
    assert_eq!(parts.headers["host"], "example.org:80");
    let values: Vec<_> = parts.headers.get_all("x-y").iter().collect();
    assert_eq!(values, ["some words", ""]);
    assert_eq!(head, Head { framing: Framing::None, expects: false, keep_alive: true });
}

#[test]
fn what_follows_the_head_is_not_looked_at() {
    let text = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n\n\n\0GET";
    let Ok(Some((_, _, len))) = parse_cut(text, &[]) else { panic!("it is a head") };
    assert_eq!(&text[len..], b"\n\n\0GET");
}

#[test]
fn request_lines() {
    let line = |line: &str| format!("{line}\r\nHost: h\r\n\r\n");
    for good in [
        "GET / HTTP/1.1",
        "GET / HTTP/1.0",
        "GET /%00%zz;=?%//?? HTTP/1.1",
        "GET http://h HTTP/1.1",
        "GET HTTPS://h:8080/x?y HTTP/1.1",
        "GET http://[::1]?q HTTP/1.1",
        "OPTIONS * HTTP/1.1",
        "OPTIONS /x HTTP/1.1",
        "CONNECT h:443 HTTP/1.1",
        "CONNECT [::1]:443 HTTP/1.1",
        "M!#$%&'*+-.^_`|~9 / HTTP/1.1",
        "\r\nGET / HTTP/1.1",
    ] {
        accepted(&line(good));
    }
    for version in 2..=9 {
        assert_eq!(accepted(&line(&format!("GET / HTTP/1.{version}"))).0.version, Version::HTTP_11);
    }
    for bad in [
        "GET /",
        "GET",
        "",
        " GET / HTTP/1.1",
        "GET  / HTTP/1.1",
        "GET /  HTTP/1.1",
        "GET / HTTP/1.1 ",
        "GET / x HTTP/1.1",
        "GET\t/ HTTP/1.1",
        "GET / HTTP/1.1\r",
        "\r\n\r\nGET / HTTP/1.1",
        "G(T / HTTP/1.1",
        "G\u{e9}T / HTTP/1.1",
        "GET / http/1.1",
        "GET / HTTP/11",
        "GET / HTTP/1.10",
        "GET / HTTP/1.",
        "GET / HTTP/1.x",
        "GET / HTTQ/1.1",
        "GET x HTTP/1.1",
        "GET h:80 HTTP/1.1",
        "GET * HTTP/1.1",
        "GET /\u{e9} HTTP/1.1",
        "GET /\0 HTTP/1.1",
        "GET /\x7f HTTP/1.1",
        "GET /#f HTTP/1.1",
        "GET ftp://h/ HTTP/1.1",
        "GET http:///x HTTP/1.1",
        "GET http://u@h/ HTTP/1.1",
        "GET http://h:99999/ HTTP/1.1",
        "CONNECT h HTTP/1.1",
        "CONNECT h: HTTP/1.1",
        "CONNECT h:0 HTTP/1.1",
        "CONNECT /x HTTP/1.1",
        "CONNECT http://h:80/ HTTP/1.1",
        "CONNECT * HTTP/1.1",
    ] {
        assert_eq!(refused(line(bad)), 400, "{bad:?}");
    }
    for other in ["GET / HTTP/2.0", "GET / HTTP/0.9", "GET x HTTP/3.1", "PRI * HTTP/2.0"] {
        assert_eq!(refused(line(other)), 505, "{other:?}");
    }
    assert_eq!(refused(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 505);
}

#[test]
fn what_cannot_become_a_line_is_refused_before_its_end() {
    for start in ["\x16\x03\x01\x02", "GET /\u{e9}", "GET /\rx", "\n", "GET / HTTP/1.1\n"] {
        assert_eq!(refused(start), 400, "{start:?}");
    }
    assert!(matches!(parse_all(b"GET / HTTP/1.1\r"), Ok(None)));
    assert!(matches!(parse_all(b""), Ok(None)));
}

#[test]
fn field_lines() {
    for bad in [
        "no colon\r\n",
        "name : value\r\n",
        ": value\r\n",
        " leading: blank\r\n",
        "a: b\r\n folded\r\n",
        "a: b\r\n\tfolded\r\n",
        "na(me: value\r\n",
        "n\u{e9}me: value\r\n",
        "a: \0\r\n",
        "a: \x01\r\n",
        "a: \x7f\r\n",
        "a: b\rc\r\n",
        "a: b\r\r\n",
        "a: b\n",
        "a: b\nc: d\r\n",
        "\n",
    ] {
        assert_eq!(refused(with(bad)), 400, "{bad:?}");
    }
    let (parts, _) = accepted(&with("a:b\r\nA: \u{e9}\t!\r\n"));
    assert_eq!(parts.headers.get_all("a").iter().count(), 2);
}

#[test]
fn hosts() {
    let get = |version: &str, fields: &str| format!("GET / HTTP/{version}\r\n{fields}\r\n");
    let host = |value: &str| get("1.1", &format!("Host: {value}\r\n"));
    for good in [
        "h",
        "h:80",
        "h:",
        "127.0.0.1:8080",
        "[::1]",
        "[::1]:80",
        "[v1.x:y]",
        "a_b-c.~d",
        "%41b",
        "a,b;c=d",
    ] {
        accepted(&host(good));
    }
    for bad in [
        "",
        " ",
        ":80",
        "h:x",
        "h:65536",
        "h:8 0",
        "h h",
        "h/",
        "u@h",
        "h?",
        "h#",
        "%4",
        "%zz",
        "[::1",
        "::1",
        "[x]",
        "[v1]",
        "[]",
        "h\u{e9}",
        "[::1]x",
        "a\"b",
        "<h>",
        "[::1%25eth0]",
    ] {
        assert_eq!(refused(host(bad)), 400, "{bad:?}");
    }
    assert_eq!(refused(get("1.1", "")), 400);
    assert_eq!(refused(get("1.1", "Host: h\r\nHost: h\r\n")), 400);
    assert_eq!(refused(get("1.0", "Host: h\r\nHost: h\r\n")), 400);
    assert_eq!(refused(get("1.0", "Host: h h\r\n")), 400);
    assert_eq!(refused("CONNECT h:1 HTTP/1.1\r\n\r\n"), 400);
    accepted(&get("1.0", ""));
    accepted(&get("1.0", "Host: h\r\n"));
}

#[test]
fn framing() {
    let framing = |fields: &str| accepted(&with(fields)).1.framing;
    assert_eq!(framing(""), Framing::None);
    assert_eq!(framing("Content-Length: 0\r\n"), Framing::Length(0));
    assert_eq!(framing("Content-Length: 007\r\n"), Framing::Length(7));
    assert_eq!(framing("Content-Length: 7\r\ncontent-length: 7\r\n"), Framing::Length(7));
    assert_eq!(framing("Content-Length: 7 ,\t7\r\n"), Framing::Length(7));
    let most = i64::MAX as u64;
    assert_eq!(framing(&format!("Content-Length: {most}\r\n")), Framing::Length(most));
    assert_eq!(framing("Transfer-Encoding: chunked\r\n"), Framing::Chunked);
    assert_eq!(framing("Transfer-Encoding:\tCHUNKed \r\n"), Framing::Chunked);
    for bad in [
        "Content-Length: \r\n",
        "Content-Length: +7\r\n",
        "Content-Length: -7\r\n",
        "Content-Length: 0x7\r\n",
        "Content-Length: 7 7\r\n",
        "Content-Length: 7,\r\n",
        "Content-Length: 7, 07\r\n",
        "Content-Length: 7\r\nContent-Length: 8\r\n",
        "Content-Length: 9223372036854775808\r\n",
        "Content-Length: 99999999999999999999999\r\n",
        "Content-Length: \u{661}\r\n",
        "Content-Length: 7\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 7\r\n",
        "Transfer-Encoding: \r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding: gzip\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: chunked, gzip\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
        "Transfer-Encoding: chunked, gzip, chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked;q=1\r\n",
        "Transfer-Encoding: \"chunked\"\r\n",
        "Transfer-Encoding: , chunked\r\n",
        "Transfer-Encoding: chunked,\r\n",
        "Transfer-Encoding: a b, chunked\r\n",
    ] {
        assert_eq!(refused(with(bad)), 400, "{bad:?}");
    }
    assert_eq!(refused(with("Transfer-Encoding: gzip, chunked\r\n")), 501);
    assert_eq!(refused(with("Transfer-Encoding: x;y=z\r\nTransfer-Encoding: chunked\r\n")), 501);
    assert_eq!(refused("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), 400);
    assert_eq!(refused("CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\nContent-Length: 1\r\n\r\n"), 400);
}

#[test]
fn expectations() {
    let expects = |version: &str, fields: &str| {
        let text = format!("PUT / HTTP/{version}\r\nHost: h\r\n{fields}\r\n");
        accepted(&text).1.expects
    };
    let body = "Content-Length: 1\r\n";
    assert!(expects("1.1", &format!("Expect: 100-Continue\r\n{body}")));
    assert!(expects("1.1", "Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n"));
    assert!(!expects("1.1", body));
    assert!(!expects("1.1", "Expect: 100-continue\r\n"));
    assert!(!expects("1.1", "Expect: 100-continue\r\nContent-Length: 0\r\n"));
    assert!(!expects("1.0", &format!("Expect: 100-continue\r\n{body}")));
    for other in ["", "101-continue", "100-continue, x", "100-continue=1"] {
        assert_eq!(refused(with(&format!("Expect: {other}\r\n{body}"))), 417, "{other:?}");
    }
}

#[test]
fn persistence() {
    let keeps = |version: &str, connection: &str| {
        let text = format!("GET / HTTP/{version}\r\nHost: h\r\n{connection}\r\n");
        accepted(&text).1.keep_alive
    };
    assert!(keeps("1.1", ""));
    assert!(keeps("1.1", "Connection: x, upgrade\r\n"));
    assert!(!keeps("1.1", "Connection: x, CLOSE\r\n"));
    assert!(!keeps("1.1", "Connection: keep-alive\r\nConnection: close\r\n"));
    assert!(!keeps("1.0", ""));
    assert!(keeps("1.0", "Connection: Keep-Alive\r\n"));
    assert!(!keeps("1.0", "Connection: keep-alive, close\r\n"));
}

#[test]
fn limits_are_kept_to_the_byte() {
    let longest = format!("GET /{} HTTP/1.1", "x".repeat(LIMITS.line - 14));
    assert_eq!(longest.len(), LIMITS.line);
    accepted(&format!("{longest}\r\nHost: h\r\n\r\n"));
    assert_eq!(refused(format!("{longest}x\r\nHost: h\r\n\r\n")), 414);
    assert_eq!(refused("M".repeat(LIMITS.line + 1)), 400);
    assert_eq!(refused(format!("GET /{}", "x".repeat(LIMITS.line))), 414);

    let fields = |n: usize| with(&"a: b\r\n".repeat(n - 1));
    accepted(&fields(LIMITS.fields));
    assert_eq!(refused(fields(LIMITS.fields + 1)), 431);

    let around = with("a: \r\n").len();
    let head = |len: usize| with(&format!("a: {}\r\n", "x".repeat(len - around)));
    accepted(&head(LIMITS.head));
    assert_eq!(refused(head(LIMITS.head + 1)), 431);
    assert_eq!(refused(&head(LIMITS.head + 9)[..LIMITS.head]), 431);
}

#[test]
fn more_fields_than_a_map_can_hold_are_refused() {
    let count = 40_000;
    let fields: String = (0..count).fold(String::new(), |mut text, n| {
        let _ = write!(text, "x{n}:\r\n");
        text
    });
    let mut headers = HeaderMap::new();
    let refusal = parse_fields(format!("{fields}\r\n").as_bytes(), &mut headers);
    assert_eq!(refusal.unwrap_err().status, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
}

/// A request that keeps all rules.
#[derive(Debug, Clone)]
struct Proper {
    method: String,
    target: String,
    fields: Vec<(String, String)>,
}

fn pick(g: &mut Gen, from: &str, least: usize, most: usize) -> String {
    let bytes = from.as_bytes();
    let len = least + usize::arbitrary(g) % (most - least + 1);
    (0..len).map(|_| char::from(*g.choose(bytes).unwrap())).collect()
}

impl Arbitrary for Proper {
    fn arbitrary(g: &mut Gen) -> Self {
        let token = "ABYZabyz0189!#$%&'*+-.^_`|~";
        let count = usize::arbitrary(g) % LIMITS.fields;
        let fields = (0..count).map(|n| {
            // None of those that mean something.
            let name = format!("x{n}{}", pick(g, token, 0, 6)).to_ascii_lowercase();
            let value = pick(g, "az AZ\t09:;,\"=/", 0, 12);
            (name, value.trim_matches([' ', '\t']).to_owned())
        });
        let fields = fields.collect();
        let target = format!("/{}", pick(g, "az/09?&=%~.", 0, 20));
        Self { method: pick(g, token, 1, 8), target, fields }
    }
}

quickcheck! {
    fn what_is_written_is_read(request: Proper) -> TestResult {
        if ["CONNECT", "OPTIONS"].contains(&request.method.as_str()) {
            return TestResult::discard();
        }
        let mut text = format!("{} {} HTTP/1.1\r\nhost: h\r\n", request.method, request.target);
        for (name, value) in &request.fields {
            let _ = write!(text, "{name}: {value}\r\n");
        }
        text.push_str("\r\n");
        let (parts, _) = accepted(&text);
        let read = parts.headers.iter().filter(|(name, _)| *name != "host");
        let read: Vec<_> =
            read.map(|(n, v)| (n.to_string(), v.to_str().unwrap().to_owned())).collect();
        TestResult::from_bool(
            parts.method.as_str() == request.method
                && parts.uri.to_string() == request.target
                && read == request.fields,
        )
    }

    fn any_bytes_get_one_verdict(bytes: Vec<u8>, cut: usize) -> bool {
        let cut = cut % (bytes.len() + 1);
        format!("{:?}", parse_cut(&bytes, &[])) == format!("{:?}", parse_cut(&bytes, &[cut]))
    }

    fn a_byte_changed_is_no_panic(request: Proper, at: usize, byte: u8) -> bool {
        let mut text = format!(
            "{} {} HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n",
            request.method, request.target
        ).into_bytes();
        let at = at % text.len();
        text[at] = byte;
        let _ = parse_all(&text);
        true
    }
}
