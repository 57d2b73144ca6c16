//! Files and other contents as responses: what is sent, what is left out, what cannot be reached.
#![cfg(target_os = "linux")]

mod http_kit;

use aqueduct::http::{Files, Handler, Links, Mux, Request, Response, serve_content, serve_file};
use http_kit::{Reply, ask, replies, serve};
use std::fs::{self, File};
use std::io::{self, Cursor};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tempfile::TempDir;

/// A folder to serve, beside one that is none of a client's business.
struct Site(TempDir);

/// Sun, 06 Nov 1994 08:49:37 GMT
const AT: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
const LONG: u64 = 300_000;

fn long() -> Vec<u8> {
    (0..LONG).map(|n| (n % 251) as u8).collect()
}

impl Site {
    fn new() -> Self {
        let site = Self(tempfile::tempdir().unwrap());
        fs::create_dir_all(site.at("dir/sub")).unwrap();
        fs::create_dir_all(site.at("indexed")).unwrap();
        fs::create_dir_all(site.at(".well-known")).unwrap();
        fs::write(site.0.path().join("secret"), "secret").unwrap();
        for (name, text) in [
            ("ten.txt", "0123456789"),
            ("empty", ""),
            ("dir/page.html", "<p>"),
            ("dir/a&b <c>.txt", "x"),
            ("dir/.hidden", "h"),
            ("indexed/index.html", "index"),
            (".well-known/about", "known"),
        ] {
            site.file(name, text);
        }
        site.file("long.bin", long());
        site
    }

    fn root(&self) -> PathBuf {
        self.0.path().join("root")
    }

    fn at(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }

    fn file(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.at(name), bytes).unwrap();
        age(&self.at(name), 784_111_777);
    }

    fn files(&self) -> Files {
        Files::new(self.root()).unwrap()
    }

    fn get(&self, target: &str, fields: &str) -> Reply {
        get(self.files(), target, fields)
    }
}

fn age(path: &Path, seconds: u64) {
    let file = File::open(path).unwrap();
    file.set_modified(UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
}

fn get(handler: impl Handler, target: &str, fields: &str) -> Reply {
    ask(handler, &format!("GET {target} HTTP/1.1\r\nHost: h\r\n{fields}\r\n"))
}

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
fn folders_are_listed_or_stood_for() {
    let site = Site::new();
    assert_eq!(site.get("/indexed/", "").text(), "index");
    assert_eq!(site.get("/indexed/", "").field("content-type"), Some("text/html; charset=utf-8"));
    let reply = site.get("/dir/", "");
    assert_eq!(reply.field("content-type"), Some("text/html; charset=utf-8"));
    let policy = reply.field("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none';"), "{policy}");
    let page = reply.text();
    for part in [
        "<title>/dir/</title>",
        "href=\"./sub/\">sub</a>",
        "href=\"./page.html\">page.html</a><td title=\"3 bytes\">3 B<td>1994-11-06 08:49\n",
        "href=\"./a%26b%20%3Cc%3E.txt\">a&amp;b &lt;c&gt;.txt</a>",
        "href=\"../\"",
        "1 folder, 2 files, 4 B",
    ] {
        assert!(page.contains(part), "{part} is not in {page}");
    }
    assert!(!page.contains("hidden"), "{page}");
    assert!(page.find("sub").unwrap() < page.find("a%26b").unwrap(), "folders come first");
    assert!(get(site.files().hidden(true), "/dir/", "").text().contains(".hidden"));
    assert_eq!(get(site.files().listing(false), "/dir/", "").status, 403);
    assert_eq!(get(site.files().listing(false), "/indexed/", "").status, 200);
    let other = |names: &'static [&'static str]| site.files().index(names);
    assert_eq!(get(other(&["none", "page.html", "x"]), "/dir/", "").text(), "<p>");
    assert!(get(other(&[]), "/indexed/", "").text().contains("index.html"));
    // A folder stands for nothing.
    assert!(get(other(&["sub"]), "/dir/", "").text().contains("<title>/dir/"));
    assert_eq!(site.get("/ten.txt/", "").status, 404);
    assert_eq!(site.get("/none/", "").status, 404);
}

#[test]
fn folders_without_a_slash_are_elsewhere() {
    let site = Site::new();
    fs::create_dir(site.at("a:b c")).unwrap();
    for (target, location) in [
        ("/dir", "./dir/"),
        ("/dir/sub?x=/y", "./sub/?x=/y"),
        ("//dir", "./dir/"),
        ("/a:b%20c", "./a:b%20c/"),
    ] {
        let reply = site.get(target, "");
        assert_eq!((reply.status, reply.field("location")), (307, Some(location)), "{target}");
    }
    // Relative, so that it holds behind a prefix as well.
    let mut mux = Mux::new();
    mux.handle("/some/where/", site.files().strip_prefix("/some/where")).unwrap();
    assert_eq!(get(mux, "/some/where/dir", "").field("location"), Some("./dir/"));
}

#[test]
fn no_path_leads_out() {
    let site = Site::new();
    // Everything that is served is allowed here, but no way out.
    for target in [
        "/../secret",
        "/dir/../../secret",
        "/..",
        "/../",
        "/%2e%2e/secret",
        "/.%2e/secret",
        "/%2E./secret",
        "/..%2fsecret",
        "/%2e%2e%2fsecret",
        "/dir/..%2f..%2fsecret",
        "/..%5csecret",
        "/..\\secret",
        "/%2fetc%2fpasswd",
        "//etc/passwd",
        "/dir//../../secret",
        "/./../secret",
        "/..;/secret",
        "/ten.txt%00.html",
        "/%00",
        "/dir/%c0%ae%c0%ae/%c0%ae%c0%ae/secret",
        "/dir/%252e%252e/%252e%252e/secret",
        "/ten.txt/../../secret",
        "/none/../../secret",
    ] {
        let reply = get(site.files().hidden(true), target, "");
        assert_eq!(reply.status, 404, "{target}: {:?}", reply.text());
    }
    for target in ["/dir/.hidden", "/.well-known/../dir/.hidden", "/dir/%2ehidden"] {
        assert_eq!(site.get(target, "").status, 404, "{target}");
    }
    assert_eq!(get(site.files().hidden(true), "/dir/.hidden", "").text(), "h");
    assert_eq!(site.get("/.well-known/about", "").text(), "known");
    assert_eq!(site.get(&format!("/{}", "a".repeat(300)), "").status, 404);
    assert_eq!(site.get(&format!("/{}", "a/".repeat(3000)), "").status, 404);
}

#[test]
fn links_are_followed_as_far_as_they_may_lead() {
    let site = Site::new();
    for (link, target) in
        [("in", "dir/page.html"), ("out", "../secret"), ("folder", "dir"), ("loop", "loop")]
    {
        symlink(target, site.at(link)).unwrap();
    }
    symlink(site.at("ten.txt"), site.at("absolute")).unwrap();
    symlink("../../secret", site.at("dir/far")).unwrap();
    let names = ["in", "out", "folder/page.html", "loop", "absolute", "dir/far"];
    for (links, wanted) in [
        (Links::Refused, [404, 404, 404, 404, 404, 404]),
        (Links::Beneath, [200, 404, 200, 404, 404, 404]),
        (Links::Followed, [200, 200, 200, 404, 200, 200]),
    ] {
        let files = || site.files().links(links);
        let got = names.map(|name| get(files(), &format!("/{name}"), "").status);
        assert_eq!(got, wanted, "{links:?}");
        // What cannot be had is not listed either.
        let page = get(files(), "/", "");
        let listed = ["in", "out", "loop", "absolute"]
            .map(|name| page.text().contains(&format!("href=\"./{name}\"")));
        assert_eq!(listed, [0, 1, 3, 4].map(|at| wanted[at] == 200), "{links:?}");
        assert_eq!(page.text().contains("href=\"./folder/\""), wanted[2] == 200);
    }
    // The folder itself may be reached by one.
    symlink("root", site.0.path().join("alias")).unwrap();
    let files = Files::new(site.0.path().join("alias")).unwrap();
    assert_eq!(get(files, "/ten.txt", "").status, 200);
}

#[test]
fn what_is_no_file_is_not_there() {
    let site = Site::new();
    let path = site.at("fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o644.into(), 0)
        .unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(site.at("socket")).unwrap();
    assert_eq!(site.get("/fifo", "").status, 404);
    assert_eq!(site.get("/socket", "").status, 404);
    let page = site.get("/", "");
    assert!(!page.text().contains("fifo") && !page.text().contains("socket"));
    // Nobody is refused who is the superuser.
    fs::set_permissions(site.at("ten.txt"), fs::Permissions::from_mode(0o0)).unwrap();
    if File::open(site.at("ten.txt")).is_err() {
        assert_eq!(site.get("/ten.txt", "").status, 403);
    }
    assert!(Files::new(site.at("ten.txt")).is_err() && Files::new(site.at("none")).is_err());
}

#[test]
fn compressed_neighbours_stand_in() {
    let site = Site::new();
    site.file("ten.txt.gz", "gz");
    site.file("ten.txt.br", "br!");
    site.file("long.bin.gz", "old");
    age(&site.at("long.bin.gz"), 784_111_776);
    fs::create_dir(site.at("empty.br")).unwrap();
    for (target, accept, coding, body) in [
        ("/ten.txt", "gzip, br", Some("br"), "br!"),
        ("/ten.txt", "gzip, br;q=0.5", Some("gzip"), "gz"),
        ("/ten.txt", "br;q=0, zstd, *;q=0.1", Some("gzip"), "gz"),
        ("/ten.txt", "zstd, deflate", None, "0123456789"),
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
