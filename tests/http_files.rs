//! Files and other contents as responses: what is sent, and which part of it.
#![cfg(target_os = "linux")]

mod http_kit;

use aqueduct::http::{Request, Response, serve_content, serve_file};
use http_kit::site::{AT, BEFORE, Site, age, get, long};
use http_kit::{Reply, ask, replies, serve};
use std::fs::{self, File};
use std::io::{self, Cursor};
use std::time::{Duration, SystemTime};

#[test]
fn files_are_sent_with_all_that_is_known_of_them() {
    let site = Site::new();
    let reply = site.get("/ten.txt", "");
    assert_eq!((reply.status, reply.text()), (200, "0123456789"));
    for (name, value) in [
        ("content-type", Some("text/plain; charset=utf-8")),
        ("content-length", Some("10")),
        ("last-modified", Some(AT)),
        ("accept-ranges", Some("bytes")),
        ("x-content-type-options", Some("nosniff")),
        ("content-encoding", None),
        ("vary", None),
    ] {
        assert_eq!(reply.field(name), value, "{name}");
    }
    let long_ago = reply.field("etag").unwrap().to_owned();
    assert!(long_ago.starts_with('"') && long_ago.ends_with('"'), "{long_ago}");

    let reply = site.get("/long.bin?query", "");
    assert_eq!((reply.status, reply.field("content-length")), (200, Some("300000")));
    assert!(reply.body == long());
    let reply = site.get("/empty", "");
    assert_eq!((reply.status, reply.field("content-length")), (200, Some("0")));
    assert_eq!(reply.field("content-type"), Some("application/octet-stream"));
    assert_eq!(site.get("/%2Fempty", "").status, 404);
    assert_eq!(site.get("//ten.txt", "").text(), "0123456789");

    // Another length or time is another version.
    site.file("ten.txt", "012345678");
    assert_ne!(site.get("/ten.txt", "").field("etag").unwrap(), long_ago);
    site.file("ten.txt", "0123456789");
    assert_eq!(site.get("/ten.txt", "").field("etag").unwrap(), long_ago);
    age(&site.at("ten.txt"), 784_111_778);
    assert_ne!(site.get("/ten.txt", "").field("etag").unwrap(), long_ago);
    // What was changed just now may be changed again.
    fs::write(site.at("ten.txt"), "0123456789").unwrap();
    assert!(site.get("/ten.txt", "").field("etag").unwrap().starts_with("W/\""));
    let next_year = SystemTime::now() + Duration::from_secs(365 * 86400);
    File::open(site.at("ten.txt")).unwrap().set_modified(next_year).unwrap();
    let reply = site.get("/ten.txt", "");
    assert!(
        reply.field("last-modified").is_none() && reply.field("etag").unwrap().starts_with("W/")
    );
}

#[test]
fn heads_tell_the_same_and_other_methods_nothing() {
    let site = Site::new();
    for target in ["/ten.txt", "/long.bin", "/empty", "/indexed/", "/dir", "/none"] {
        let asked = |method: &str| {
            let request = format!("{method} {target} HTTP/1.1\r\nHost: h\r\n\r\n");
            let mut reply = ask(site.files(), &request);
            reply.fields.retain(|(name, _)| name != "Date");
            reply
        };
        let (whole, mut head) = (asked("GET"), asked("HEAD"));
        assert!(head.body.is_empty());
        head.body = whole.body.clone();
        assert_eq!(head, whole, "{target}");
        for method in ["POST", "PUT", "DELETE", "OPTIONS", "get"] {
            let reply = asked(method);
            assert_eq!((reply.status, reply.field("allow")), (405, Some("GET, HEAD")), "{method}");
        }
    }
    let head = "HEAD /ten.txt HTTP/1.1\r\nHost: h\r\nRange: bytes=0-1\r\n\r\n";
    let reply = ask(site.files(), head);
    assert_eq!((reply.status, reply.field("content-length")), (200, Some("10")));
}

#[test]
fn conditions_hold_for_files() {
    let site = Site::new();
    let etag = site.get("/ten.txt", "").field("etag").unwrap().to_owned();
    for (fields, status) in [
        (format!("If-None-Match: {etag}\r\n"), 304),
        (format!("If-None-Match: \"x\", W/{etag}\r\n"), 304),
        ("If-None-Match: \"x\"\r\n".into(), 200),
        (format!("If-Modified-Since: {AT}\r\n"), 304),
        (format!("If-Modified-Since: {BEFORE}\r\n"), 200),
        (format!("If-Match: {etag}\r\n"), 200),
        ("If-Match: \"x\"\r\n".into(), 412),
        (format!("If-Unmodified-Since: {AT}\r\n"), 200),
        (format!("If-Unmodified-Since: {BEFORE}\r\n"), 412),
        (format!("If-Range: {etag}\r\nRange: bytes=1-2\r\n"), 206),
        ("If-Range: \"x\"\r\nRange: bytes=1-2\r\n".into(), 200),
        (format!("If-Range: {AT}\r\nRange: bytes=1-2\r\n"), 206),
        (format!("If-Range: {BEFORE}\r\nRange: bytes=1-2\r\n"), 200),
        (format!("If-None-Match: {etag}\r\nRange: bytes=99-\r\n"), 304),
        ("If-Match: \"x\"\r\nRange: bytes=1-2\r\n".into(), 412),
    ] {
        let reply = site.get("/ten.txt", &fields);
        assert_eq!(reply.status, status, "{fields}");
        let has = |name| reply.field(name).is_some();
        match status {
            304 => {
                assert!(reply.field("etag") == Some(&*etag) && has("last-modified"), "{reply:?}");
                assert!(!has("content-type") && !has("content-length"), "{reply:?}");
            }
            412 => assert!(!has("etag") && !has("last-modified"), "{reply:?}"),
            200 => assert_eq!(reply.text(), "0123456789"),
            _ => assert_eq!(reply.text(), "12"),
        }
    }
}

#[test]
fn ranges_are_sent() {
    let site = Site::new();
    for (range, status, told, body) in [
        ("bytes=0-0", 206, Some("bytes 0-0/10"), "0"),
        ("bytes=2-4", 206, Some("bytes 2-4/10"), "234"),
        ("bytes=7-", 206, Some("bytes 7-9/10"), "789"),
        ("bytes=-2", 206, Some("bytes 8-9/10"), "89"),
        ("bytes=0-9", 206, Some("bytes 0-9/10"), "0123456789"),
        ("bytes=5-3", 200, None, "0123456789"),
        ("bytes=0-5,3-9", 200, None, "0123456789"),
        ("bytes=10-", 416, Some("bytes */10"), "there are 10 bytes\n"),
        ("bytes=-0", 416, Some("bytes */10"), "there are 10 bytes\n"),
    ] {
        let reply = site.get("/ten.txt", &format!("Range: {range}\r\n"));
        assert_eq!((reply.status, reply.text()), (status, body), "{range}");
        assert_eq!(reply.field("content-range"), told, "{range}");
    }
    let twice = "Range: bytes=0-0\r\nRange: bytes=1-1\r\n";
    assert_eq!(site.get("/ten.txt", twice).status, 200);
    assert_eq!(site.get("/empty", "Range: bytes=0-\r\n").status, 200);
    // Beyond what is read in one piece.
    let reply = site.get("/long.bin", "Range: bytes=7-200006\r\n");
    assert_eq!(reply.field("content-range"), Some("bytes 7-200006/300000"));
    assert!(reply.body == long()[7..200_007]);
}

/// The parts of a `multipart/byteranges`: what they are of, and their bytes.
fn parts(reply: &Reply) -> Vec<(String, Vec<u8>)> {
    let kind = reply.field("content-type").unwrap();
    let boundary = kind.strip_prefix("multipart/byteranges; boundary=").unwrap();
    let (line, end) = (format!("\r\n--{boundary}\r\n"), format!("\r\n--{boundary}--\r\n"));
    let mut rest = reply.body.strip_suffix(end.as_bytes()).unwrap();
    let find = |text: &[u8], part: &[u8]| text.windows(part.len()).position(|w| w == part);
    let mut list = Vec::new();
    while !rest.is_empty() {
        rest = rest.strip_prefix(line.as_bytes()).unwrap();
        let head = find(rest, b"\r\n\r\n").unwrap();
        let fields = String::from_utf8(rest[..head].to_vec()).unwrap();
        let body = &rest[head + 4..];
        let len = find(body, line.as_bytes()).unwrap_or(body.len());
        list.push((fields, body[..len].to_vec()));
        rest = &body[len..];
    }
    list
}

#[test]
fn several_ranges_are_parts() {
    let site = Site::new();
    let reply = site.get("/ten.txt", "Range: bytes=8-9, 0-1,50-60,-1\r\n");
    assert_eq!(reply.status, 206);
    assert!(reply.field("content-range").is_none());
    let head = |range: &str| {
        format!("Content-Type: text/plain; charset=utf-8\r\nContent-Range: bytes {range}/10")
    };
    let wanted = [("8-9", "89"), ("0-1", "01"), ("9-9", "9")];
    let wanted = wanted.map(|(range, bytes)| (head(range), bytes.as_bytes().to_vec()));
    assert_eq!(parts(&reply), wanted);
    let reply = site.get("/long.bin", "Range: bytes=0-99999,200000-299999\r\n");
    let bodies: Vec<_> = parts(&reply).into_iter().map(|(_, body)| body).collect();
    assert!(bodies == [long()[..100_000].to_vec(), long()[200_000..].to_vec()]);
    assert_eq!(reply.field("content-length"), Some(&*reply.body.len().to_string()));
}

#[test]
fn compressed_neighbours_stand_in() {
    let site = Site::new();
    site.file("ten.txt.gz", "gz");
    site.file("ten.txt.br", "br!");
    site.file("ten.txt.zst", "zstd");
    site.file("long.bin.gz", "old");
    age(&site.at("long.bin.gz"), 784_111_776);
    fs::create_dir(site.at("empty.br")).unwrap();
    for (target, accept, coding, body) in [
        ("/ten.txt", "gzip, br", Some("br"), "br!"),
        ("/ten.txt", "gzip, br;q=0.5", Some("gzip"), "gz"),
        ("/ten.txt", "br;q=0, zstd;q=0, *;q=0.1", Some("gzip"), "gz"),
        ("/ten.txt", "br;q=0, zstd, *;q=0.1", Some("zstd"), "zstd"),
        ("/ten.txt", "compress, deflate", None, "0123456789"),
        ("/ten.txt", "", None, "0123456789"),
        ("/empty", "br", None, ""),
    ] {
        let fields = format!("Accept-Encoding: {accept}\r\n");
        let reply = get(site.files().precompressed(true), target, &fields);
        assert_eq!((reply.status, reply.text()), (200, body), "{accept}");
        assert_eq!(reply.field("content-encoding"), coding, "{accept}");
        assert_eq!(reply.field("vary"), Some("accept-encoding"));
        assert_ne!(reply.field("content-type"), Some("application/gzip"));
        assert!(
            site.get(target, &fields).field("content-encoding").is_none(),
            "only when asked for"
        );
    }
    let accept = "Accept-Encoding: gzip\r\n";
    let files = || site.files().precompressed(true);
    assert!(get(files(), "/long.bin", accept).body == long(), "an old one is of another version");
    // Each representation has its own tag, and ranges are of it.
    let tag = |fields: &str| get(files(), "/ten.txt", fields).field("etag").unwrap().to_owned();
    assert!(tag(accept).ends_with("-gzip\"") && !tag("").contains("gzip"), "{}", tag(accept));
    let fields = format!("{accept}If-None-Match: {}\r\n", tag(accept));
    let reply = get(files(), "/ten.txt", &fields);
    assert_eq!((reply.status, reply.field("vary")), (304, Some("accept-encoding")));
    let reply = get(files(), "/ten.txt", &format!("{accept}Range: bytes=1-\r\n"));
    assert_eq!((reply.text(), reply.field("content-range")), ("z", Some("bytes 1-1/2")));
    assert_eq!(get(files(), "/ten.txt.gz", "").field("content-type"), Some("application/gzip"));
}

#[test]
fn contents_of_any_kind_are_served() {
    let poem = |request: &mut Request<'_>, response: &mut Response<'_>| {
        response.set("ETag", "\"v1\"")?;
        serve_content(request, response, &mut Cursor::new("0123456789"))
    };
    let reply = get(poem, "/", "");
    assert_eq!((reply.status, reply.text()), (200, "0123456789"));
    assert!(reply.field("content-type").is_none() && reply.field("last-modified").is_none());
    assert_eq!(get(poem, "/", "Range: bytes=-3\r\n").text(), "789");
    assert_eq!(get(poem, "/", "If-None-Match: \"v1\"\r\n").status, 304);
    let reply = get(poem, "/", "Range: bytes=0-0,2-2\r\n");
    assert_eq!(parts(&reply)[1], ("Content-Range: bytes 2-2/10".into(), b"2".to_vec()));
    // An error page has no ranges.
    let error = |request: &mut Request<'_>, response: &mut Response<'_>| {
        response.set_status(aqueduct::http::StatusCode::NOT_FOUND).set("ETag", "\"v1\"")?;
        serve_content(request, response, &mut Cursor::new("not found"))
    };
    let reply = get(error, "/", "Range: bytes=0-0\r\nIf-None-Match: \"v1\"\r\n");
    assert_eq!((reply.status, reply.text()), (404, "not found"));
    let licence = |request: &mut Request<'_>, response: &mut Response<'_>| {
        response.set("Content-Type", "text/x-licence")?;
        serve_file(request, response, concat!(env!("CARGO_MANIFEST_DIR"), "/LICENSE-MIT"))
    };
    let reply = get(licence, "/", "Range: bytes=0-2\r\n");
    assert_eq!((reply.text(), reply.field("content-type")), ("MIT", Some("text/x-licence")));
    let none = |request: &mut Request<'_>, response: &mut Response<'_>| {
        serve_file(request, response, "/nonexistent")
    };
    assert_eq!(get(none, "/", "").status, 500);
}

/// Ends earlier than it says.
struct Short(u64);

impl io::Read for Short {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = buf.len().min(5_u64.saturating_sub(self.0) as usize);
        buf[..n].fill(b'x');
        self.0 += n as u64;
        Ok(n)
    }
}

impl io::Seek for Short {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        match to {
            io::SeekFrom::End(_) => return Ok(10),
            io::SeekFrom::Start(n) => self.0 = n,
            io::SeekFrom::Current(_) => {}
        }
        Ok(self.0)
    }
}

#[test]
fn a_content_that_ends_early_ends_the_connection() {
    use aqueduct::ReadExt;
    let short = |request: &mut Request<'_>, response: &mut Response<'_>| {
        serve_content(request, response, &mut Short(0).opaque())
    };
    let request = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    let script = serve(short, [request, request]);
    let replies = replies(&script.written, &["GET"]);
    assert_eq!(replies.len(), 1);
    assert!(replies[0].to_end && replies[0].text() == "xxxxx" && !script.read_to_end);
}
