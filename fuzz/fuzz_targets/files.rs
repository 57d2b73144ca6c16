//! No path and no range gets at what is not served, and what is answered is as long as it says.
#![no_main]

use aqueduct::http::{Files, Server};
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::symlink;
use std::sync::LazyLock;

/// Beside the folder that is served, and in a hidden file within.
const SECRET: &[u8] = b"none of a client's business";

static SERVER: LazyLock<Server<Files>> = LazyLock::new(|| {
    let place = std::env::temp_dir().join(format!("aqueduct-fuzz-{}", std::process::id()));
    let at = |name: &str| place.join(name);
    fs::create_dir_all(at("root/a/b")).expect("a folder can be made");
    for name in ["secret", "root/.secret", "root/a/.secret"] {
        fs::write(at(name), SECRET).expect("a file can be written");
    }
    fs::write(at("root/f"), "0123456789").expect("a file can be written");
    fs::write(at("root/a/g"), "0123456789").expect("a file can be written");
    for (target, link) in [("../secret", "root/l"), ("../..", "root/a/l"), ("/", "root/a/b/l")] {
        // Those of an earlier run are the same.
        let _ = symlink(target, at(link));
    }
    Server::new(Files::new(at("root")).expect("it is there"))
        .on_failure(|failure| panic!("{failure}"))
});

struct Client<'b>(&'b [u8], Vec<u8>);

impl Read for Client<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }
}

impl Write for Client<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.1.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

// A path, and what is to stand in Range behind a line feed.
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let (path, range) = match bytes.iter().position(|b| *b == b'\n') {
        Some(end) => (&bytes[..end], &bytes[end + 1..]),
        None => (bytes, &b"bytes=0-"[..]),
    };
    let mut request = b"GET /".to_vec();
    request.extend(path.iter().filter(|b| matches!(b, 0x21..=0x7e)));
    request.extend_from_slice(b" HTTP/1.1\r\nHost: h\r\nRange: ");
    request.extend(range.iter().filter(|b| matches!(b, b' '..=0x7e)));
    request.extend_from_slice(b"\r\n\r\n");
    let mut client = Client(&request, Vec::new());
    SERVER.serve_connection(&mut client).expect("nothing fails but requests");
    let answer = client.1;
    assert!(!answer.windows(SECRET.len()).any(|window| window == SECRET), "it is told");
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a head has an end");
    let head = std::str::from_utf8(&answer[..end]).expect("our heads are text");
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
    let length = length.map_or(0, |length| length.parse().expect("a number"));
    assert_eq!(answer.len() - end - 4, length, "{head}");
});
