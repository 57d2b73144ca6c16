//! What relay takes of what is scarce: memory and descriptors for connections that are idle, and what it
//! says where there is none left.
#![cfg(target_os = "linux")]

#[path = "kit/mod.rs"]
mod kit;
mod tools;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use tools::{Place, check};

/// KiB of memory for each connection. A build for debugging has stacks of several pages.
const EACH: usize = if cfg!(debug_assertions) { 40 } else { 12 };

/// Descriptors of pipes, all connections together: brokers that are kept for the next copy.
const PIPE_ENDS: usize = 32;

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Killed {
    /// Resident memory with page tables, in KiB.
    fn memory(&self) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        let lines = status.lines().filter(|l| l.starts_with("VmRSS:") || l.starts_with("VmPTE:"));
        lines.map(|line| line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap()).sum()
    }

    /// How many descriptors it has of sockets, and of pipes.
    fn descriptors(&self) -> (usize, usize) {
        let all = fs::read_dir(format!("/proc/{}/fd", self.0.id())).unwrap();
        let names: Vec<_> =
            all.filter_map(|entry| fs::read_link(entry.unwrap().path()).ok()).collect();
        let of =
            |kind: &str| names.iter().filter(|n| n.to_string_lossy().starts_with(kind)).count();
        (of("socket:"), of("pipe:"))
    }
}

/// Everything back, over any number of connections, none of which is closed.
fn echo(listener: TcpListener, len: usize) {
    let mut kept = Vec::new();
    let mut bytes = vec![0; len];
    for stream in listener.incoming() {
        let mut stream = stream.unwrap();
        stream.read_exact(&mut bytes).unwrap();
        stream.write_all(&bytes).unwrap();
        kept.push(stream);
    }
}

/// Limited by the descriptors that this process may have: two for each.
fn many() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    let allowed = limit.maximum.map_or(1000, |most| (most as usize).saturating_sub(100) / 2);
    if allowed < 1000 {
        tools::not_run(&format!("only {allowed} connections at once, for want of descriptors"));
    }
    allowed.min(1000)
}

/// Each of many connections passes `len` bytes there and back, and is idle then.
fn idle_after(len: usize) {
    let many = many();
    kit::within("idle connections", move || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = format!("tcp:{}", listener.local_addr().unwrap());
        thread::spawn(move || echo(listener, len));
        let mut command = Command::new(tools::tool("relay"));
        command.args(["-v", "tcp-listen:127.0.0.1:0,fork", &target]).stdin(Stdio::null());
        let mut relay = Killed(command.stderr(Stdio::piped()).spawn().unwrap());
        let mut errors = BufReader::new(relay.0.stderr.take().unwrap());
        let mut line = String::new();
        errors.read_line(&mut line).unwrap();
        let at = line.trim_end().strip_prefix("relay: listening at ").expect("it listens");
        let said = kit::noise(len, 11);
        let talk = || {
            let mut client = TcpStream::connect(at).unwrap();
            let mut back = vec![0; len];
            let mut to = client.try_clone().unwrap();
            thread::scope(|scope| {
                scope.spawn(|| to.write_all(&said).unwrap());
                client.read_exact(&mut back).unwrap();
            });
            assert!(back == said);
            client
        };
        // Workers, and what is allocated once.
        let mut clients: Vec<_> = (0..20).map(|_| talk()).collect();
        let (small, (sockets, _)) = (relay.memory(), relay.descriptors());
        clients.extend((0..many).map(|_| talk()));
        let (large, (all, pipes)) = (relay.memory(), relay.descriptors());
        assert_eq!(all - sockets, 2 * many, "descriptors of sockets");
        assert!(pipes <= PIPE_ENDS, "{pipes} descriptors of pipes");
        let each = large.saturating_sub(small) as f64 / many as f64;
        assert!(each <= EACH as f64, "{each} KiB for each connection");
    });
}

#[test]
fn a_connection_that_is_idle_has_two_descriptors_and_little_memory() {
    idle_after(100);
}

#[test]
fn pipes_are_not_kept_by_connections_that_have_become_idle() {
    // More than goes through memory first.
    idle_after(200_000);
}

#[test]
fn a_full_disk_and_names_that_nobody_has_are_said() {
    let place = Place::new("relay");
    let full = place.sh("yes | head -c 1000000 | $T -u - file:/dev/full");
    check(&full, 1, "", "relay: file:/dev/full: write error: No space left on device\n");
    for addresses in ["- tcp:nobody.invalid:80", "tcp-listen:nobody.invalid:80,fork -"] {
        let output = place.sh(&format!("$T {addresses} </dev/null"));
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{addresses}: {errors}");
        assert!(errors.contains(": no address of \"nobody.invalid\": "), "{errors}");
    }
    let folder = place.sh("$T -u file:. -");
    check(&folder, 1, "", "relay: file:.: read error: Is a directory\n");
    let without = place.sh("ulimit -n 5; $T - exec:cat </dev/null");
    assert_eq!(without.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&without.stderr).contains("Too many open files"));
}
