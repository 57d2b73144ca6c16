//! echo as a program: everything comes back, whatever the other connections do.
#![cfg(target_os = "linux")]

mod tools;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

/// A server that ends with the test.
struct Server {
    process: Child,
    port: u16,
}

impl Server {
    fn start(options: &[&str]) -> Self {
        let mut command = Command::new(tools::tool("echo"));
        command.args(options).arg("0").stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { process, port: line.trim().parse().unwrap() }
    }

    fn connect(&self) -> TcpStream {
        let peer = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        // A server that hangs is a failure, not a test without an end.
        peer.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        peer
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn comes_back(mut peer: TcpStream, bytes: Vec<u8>) {
    let mut to = peer.try_clone().unwrap();
    let sent = bytes.clone();
    let writes = thread::spawn(move || {
        to.write_all(&sent).unwrap();
        to.shutdown(Shutdown::Write).unwrap();
    });
    let mut back = Vec::new();
    peer.read_to_end(&mut back).unwrap();
    writes.join().unwrap();
    assert!(back == bytes, "{} bytes of {}", back.len(), bytes.len());
}

#[test]
fn everything_comes_back_on_many_connections() {
    let server = Server::start(&[]);
    // One that says nothing, one that is reset.
    let _silent = server.connect();
    drop(server.connect());
    thread::scope(|scope| {
        for i in 0..20_u8 {
            let (peer, len) = (server.connect(), 200_000 * usize::from(i % 5) + usize::from(i));
            let bytes = (0..len).map(|n| (n as u8).wrapping_mul(i)).collect();
            scope.spawn(move || comes_back(peer, bytes));
        }
    });
}

#[test]
fn silence_ends_a_connection() {
    let server = Server::start(&["-T", "0", "-w", "1"]);
    assert_eq!(server.connect().read(&mut [0; 8]).unwrap(), 0);
}

#[test]
fn a_port_that_is_taken_and_mistakes_are_told() {
    let server = Server::start(&[]);
    let place = tools::Place::new("echo");
    let plain = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    // By somebody, or by another echo.
    for taken in [plain.local_addr().unwrap().port(), server.port] {
        let out = place.sh(&format!("$T {taken}"));
        tools::check(&out, 1, "", &format!("echo: port {taken}: Address already in use\n"));
    }
    for (arguments, complaint) in [
        ("nonsense", "invalid number: 'nonsense'"),
        ("65536", "invalid number: '65536'"),
        ("-w -1 0", "invalid number: '-1'"),
    ] {
        let out = place.sh(&format!("$T {arguments}"));
        let text = format!("echo: {complaint}\nTry 'echo --help' for more information.\n");
        tools::check(&out, 1, "", &text);
    }
    drop(server);
}
