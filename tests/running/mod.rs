//! Servers among the examples, running, and raw bytes sent to them.
#![allow(dead_code, reason = "each test uses a part of it")]

use crate::tools;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A server that ends with the test.
pub(crate) struct Running {
    pub(crate) process: Child,
    pub(crate) port: u16,
}

impl Running {
    pub(crate) fn start(name: &str) -> Self {
        Self::of(Command::new(tools::tool(name)).arg("0"))
    }

    /// What `command` starts says at which port it listens.
    pub(crate) fn of(command: &mut Command) -> Self {
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { process, port: line.trim().parse().unwrap() }
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let client = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        // A server that hangs is a failure, not a test without an end.
        client.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        client
    }

    /// All that is answered to `bytes`, after which the client ends its side, or waits for the server
    /// to close.
    pub(crate) fn answers(&self, bytes: &[u8], ends: bool) -> Vec<u8> {
        let mut client = self.connect();
        // Who is refused early may be told so in a write.
        let gone = |e: &std::io::Error| {
            matches!(e.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset)
        };
        match client.write_all(bytes) {
            Ok(()) if ends => client.shutdown(Shutdown::Write).unwrap(),
            Err(e) if !gone(&e) => panic!("{e}"),
            _ => {}
        }
        let mut answers = Vec::new();
        client.read_to_end(&mut answers).unwrap();
        answers
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
