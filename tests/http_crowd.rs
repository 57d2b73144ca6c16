//! Many connections at once, each of which is served, rests and is served again.
#![cfg(target_os = "linux")]

mod running;
mod tools;

use running::Running;
use rustix::process::{Resource, getrlimit, setrlimit};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n";

/// The end of an answer's head and its body; what is before it has no such bytes.
const END: &[u8] = b"\r\n\r\nHello, World!";

fn asks(client: &mut TcpStream) {
    client.write_all(REQUEST).unwrap();
}

fn is_answered(client: &mut TcpStream) {
    let (mut answer, mut len) = ([0; 1024], 0);
    while !answer[..len].ends_with(END) {
        let n = client.read(&mut answer[len..]).unwrap();
        assert!(n > 0, "{:?}", String::from_utf8_lossy(&answer[..len]));
        len += n;
    }
    assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"));
}

/// How many is 1,000, or what `AQUEDUCT_CROWD` says.
#[test]
fn a_crowd_is_served_twice() {
    let count = std::env::var("AQUEDUCT_CROWD").map_or(1000, |n| n.parse().unwrap());
    let mut limit = getrlimit(Resource::Nofile);
    if limit.maximum.is_some_and(|most| most < count + 100) {
        return tools::not_run("a process may not have so many descriptors");
    }
    limit.current = limit.maximum;
    // The server inherits it.
    setrlimit(Resource::Nofile, limit).unwrap();
    let hello = Running::of(Command::new(tools::tool("hello")).arg("0"));
    let mut clients: Vec<_> = (0..count).map(|_| hello.connect()).collect();
    for _ in 0..2 {
        clients.iter_mut().for_each(asks);
        clients.iter_mut().for_each(is_answered);
    }
}
