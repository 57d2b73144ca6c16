//! Clients that others have written, and what they make of the servers among the examples.
#![cfg(target_os = "linux")]

mod running;
mod tools;

use aqueduct::http::{HeaderMap, HeaderValue, Server, StatusCode, handler};
use aqueduct::net::TcpListener;
use running::Running;
use std::io::{Read, Write};
use std::process::{Command, Output, Stdio};
use std::thread;

fn there_is(program: &str, arguments: &[&str]) -> bool {
    let mut run = Command::new(program);
    run.args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
    run.status().is_ok_and(|status| status.success())
}

fn text(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

fn client(name: &str) -> String {
    format!("{}/tests/clients/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// What `ask` gets of a server whose answers have trailers, and hints ahead of them, at a port.
fn with_trailers(ask: impl FnOnce(&str) -> Output) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = Server::new(handler(|_, response| {
        response.inform(StatusCode::EARLY_HINTS, &HeaderMap::new())?;
        response.trailers_mut().insert("x-sum", HeaderValue::from_static("7"));
        response.write_all(b"abc")?;
        response.flush()?;
        response.write_all(b"def")
    }));
    let control = server.control();
    let serving = thread::spawn(move || server.serve(listener));
    let told = text(&ask(&port.to_string()));
    control.close();
    serving.join().unwrap().unwrap();
    told
}

#[test]
fn go_understands_it() {
    if !there_is("go", &["version"]) {
        return tools::not_run("go is not installed, so its client was not asked");
    }
    let echo = Running::start("echo_http");
    let port = echo.port.to_string();
    let run = Command::new("go").args(["run", &client("client.go"), &port]).output().unwrap();
    assert_eq!(text(&run), "ok\n");
    let told = with_trailers(|port| {
        Command::new("go").args(["run", &client("trailers.go"), port]).output().unwrap()
    });
    assert_eq!(told, "true abcdef <nil> map[X-Sum:[7]]\n");
}

#[test]
fn h11_understands_it() {
    let pythons = ["python3", "/usr/bin/python3"];
    let Some(python) = pythons.into_iter().find(|python| there_is(python, &["-c", "import h11"]))
    else {
        return tools::not_run("h11 is not installed, so its client was not asked");
    };
    let echo = Running::start("echo_http");
    let port = echo.port.to_string();
    let run = Command::new(python).args([&client("client.py"), &port]).output().unwrap();
    assert_eq!(text(&run), "ok\n");
    let told = with_trailers(|port| {
        // What it imports leaves nothing beside it.
        Command::new(python).args(["-B", &client("trailers.py"), port]).output().unwrap()
    });
    assert_eq!(told, "x-sum abcdef [(b'x-sum', b'7')]\n");
}

#[test]
fn curl_understands_it() {
    if !there_is("curl", &["--version"]) {
        return tools::not_run("curl is not installed, so it was not asked");
    }
    let (echo, hello) = (Running::start("echo_http"), Running::start("hello"));
    let (to_echo, to_hello) =
        (format!("http://127.0.0.1:{}", echo.port), format!("http://127.0.0.1:{}", hello.port));
    let curl = |arguments: &[&str]| {
        let limits = ["-sS", "--max-time", "60"];
        text(&Command::new("curl").args(limits).args(arguments).output().unwrap())
    };
    let told = curl(&["-v", &to_hello, &to_hello, &to_hello]);
    assert_eq!(told.matches("Hello, World!").count(), 3);
    assert_eq!(told.matches("Re-using existing connection").count(), 2, "{told}");
    let told = curl(&["-I", &to_hello]);
    assert!(told.contains("Content-Length: 13\r\nDate: "), "{told}");
    let told = curl(&["-0", "-v", &to_hello]);
    assert!(told.contains("Connection: close") && told.contains("Hello, World!"), "{told}");
    assert!(curl(&["-v", &format!("{to_hello}/x/../y//z"), "--path-as-is"]).contains(" 307 "));

    let place = tools::Place::new("echo_http");
    let body: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    place.file("body", &body);
    let path = |name: &str| place.path().join(name).display().to_string();
    let upload = format!("@{}", path("body"));
    for how in [
        &["--data-binary", &upload][..],
        &["--data-binary", &upload, "-H", "Expect: 100-continue"],
        &["--data-binary", &upload, "-H", "Transfer-Encoding: chunked"],
        &["--data-binary", &upload, "-H", "Transfer-Encoding: chunked", "-H", "Expect:"],
        &["-0", "--data-binary", &upload],
        &["-T", &path("body")],
    ] {
        let told = curl(&[how, &["-o", &path("back"), &to_echo]].concat());
        assert_eq!(told, "");
        assert!(place.read("back") == body, "{how:?}");
    }
    let told = curl(&["-v", "-d", "small", "-H", "Expect: 100-continue", &to_echo]);
    assert!(told.contains("100 Continue") && told.starts_with("small"), "{told}");
    assert_eq!(curl(&["-b", "a=1; b=2", &format!("{to_echo}/cookie")]), "a=1\nb=2\n");
    let told = curl(&["-H", "X-One-Two: 3", &format!("{to_echo}/echo")]);
    assert!(told.contains("X-One-Two: 3\n"), "{told}");
    let told = with_trailers(|port| {
        let url = format!("http://127.0.0.1:{port}");
        Command::new("curl").args(["-sSi", "--max-time", "60", &url]).output().unwrap()
    });
    let (hints, answer) = told.split_once("\r\n\r\n").unwrap();
    assert_eq!(hints, "HTTP/1.1 103 Early Hints");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\nTrailer: x-sum\r\n"), "{told}");
    assert!(answer.ends_with("\r\n\r\nabcdefX-Sum: 7\r\n"), "{told}");
}

#[test]
fn wrk_understands_it() {
    if !there_is("sh", &["-c", "command -v wrk"]) {
        return tools::not_run("wrk is not installed, so it was not asked");
    }
    let (echo, hello) = (Running::start("echo_http"), Running::start("hello"));
    for (port, path) in [(hello.port, ""), (echo.port, "echo")] {
        let url = format!("http://127.0.0.1:{port}/{path}");
        let told = text(&Command::new("wrk").args(["-t1", "-c50", "-d1s", &url]).output().unwrap());
        let line = told.lines().find(|line| line.contains(" requests in ")).expect(&told);
        let requests: usize = line.split_whitespace().next().unwrap().parse().unwrap();
        assert!(requests > 0, "{told}");
        assert!(!told.contains("Socket errors") && !told.contains("Non-2xx"), "{told}");
    }
}

#[test]
fn descriptors_that_run_out_come_back() {
    let mut command = Command::new("bash");
    command.args(["-c", "ulimit -n 30; exec \"$0\" 0"]).arg(tools::tool("hello"));
    let hello = Running::of(&mut command);
    let request = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    let mut clients: Vec<_> = (0..60).map(|_| hello.connect()).collect();
    clients.iter_mut().for_each(|client| client.write_all(request).unwrap());
    // Each leaves when it was served, for those who wait.
    for mut client in clients {
        let mut answer = [0; 15];
        client.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200 OK");
    }
}

#[test]
fn mistakes_are_told() {
    for name in ["hello", "echo_http"] {
        let taken = Running::start(name);
        let place = tools::Place::new(name);
        let out = place.sh(&format!("$T {}", taken.port));
        let text = format!("{name}: port {}: Address already in use\n", taken.port);
        tools::check(&out, 1, "", &text);
        for (arguments, complaint) in [
            ("nonsense", "invalid number: 'nonsense'"),
            ("65536", "invalid number: '65536'"),
            ("-w -1 0", "invalid number: '-1'"),
        ] {
            let out = place.sh(&format!("$T {arguments}"));
            let text = format!("{name}: {complaint}\nTry '{name} --help' for more information.\n");
            tools::check(&out, 1, "", &text);
        }
    }
}
