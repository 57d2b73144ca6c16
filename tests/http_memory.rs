//! What a client declares costs nothing. Alone in its file, since it looks at the whole process.
#![cfg(target_os = "linux")]

mod http_kit;

use aqueduct::http::{Server, handler};
use http_kit::{Script, post};
use std::fs;
use std::io::{self, Read};

/// The most address space that this process has had, in KiB.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmPeak:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn declared_lengths_allocate_nothing() {
    let read = |way: usize| {
        handler(move |request, response| {
            let body = request.body_mut();
            match way {
                0 => body.read_to_end(&mut Vec::new()).map(drop),
                1 => body.bytes(u64::MAX).map(drop),
                2 => body.text(u64::MAX - 1).map(drop),
                3 => io::copy(body, &mut Vec::new()).map(drop),
                4 => aqueduct::copy(body, &mut Vec::new()).map(drop).map_err(Into::into),
                _ => body.read_exact(&mut [0; 9]),
            }?;
            response.send("it was all there?")
        })
    };
    let requests = [
        post("Content-Length: 9223372036854775807\r\n", "x"),
        post("Content-Length: 1099511627776\r\n", "x"),
        post("Transfer-Encoding: chunked\r\n", "ffffffffffffffff\r\nx"),
        post("Transfer-Encoding: chunked\r\n", "10000000000\r\nx"),
    ];
    let run = |way, request: &String| {
        let mut script = Script::new([request]);
        Server::new(read(way)).serve_connection(&mut script).unwrap();
        assert!(script.written.starts_with(b"HTTP/1.1 400 "));
    };
    run(4, &requests[0]);
    let before = peak();
    for request in &requests {
        (0..6).for_each(|way| run(way, request));
    }
    let grown = peak() - before;
    assert!(grown < 32 << 10, "{grown} KiB");
}
