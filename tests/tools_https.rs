//! https as a program: what curl gets through TLS.
#![cfg(target_os = "linux")]

mod tools;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tools::Place;

/// Ends with the test.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn curl_gets_files_through_tls() {
    let place = Place::new("https");
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ed25519", "-nodes", "-days", "2"])
        .args(["-keyout", "key.pem", "-out", "cert.pem"])
        .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"])
        .current_dir(place.path())
        .stderr(Stdio::null())
        .status();
    if !made.is_ok_and(|status| status.success()) {
        tools::not_run("openssl is not installed, or makes no keys for Ed25519");
        return;
    }
    let long: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    place.file("long.bin", &long);
    let mut server = Server(
        place.command(&["cert.pem", "key.pem", ".", "0"]).stdout(Stdio::piped()).spawn().unwrap(),
    );
    let mut port = String::new();
    BufReader::new(server.0.stdout.take().unwrap()).read_line(&mut port).unwrap();
    let port = port.trim();
    let url = format!("https://localhost:{port}/long.bin");

    // Whoever speaks no TLS is alone with that.
    let mut plain = TcpStream::connect(("127.0.0.1", port.parse().unwrap())).unwrap();
    plain.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP"));

    let curl = |arguments: &[&str]| {
        let mut command = Command::new("curl");
        command.args(["-sS", "--max-time", "60", "--cacert", "cert.pem"]).args(arguments);
        command.current_dir(place.path()).output()
    };
    let Ok(out) = curl(&[&url]) else { return tools::not_run("curl is not installed") };
    assert_eq!((out.status.code(), &*out.stderr), (Some(0), &b""[..]));
    assert!(out.stdout == long);
    // Twice by the same connection, and then by one that is closed.
    let out = curl(&["-w", "%{num_connects}", "-r", "7-9", &url, &url]).unwrap();
    let part = [&long[7..10], b"1", &long[7..10], b"0"].concat();
    assert_eq!((out.status.code(), out.stdout), (Some(0), part));
    let out = curl(&["-0", "-r", "-1", &url]).unwrap();
    assert_eq!((out.status.code(), &*out.stdout), (Some(0), &long[2_999_999..]));
}
