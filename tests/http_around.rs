//! Handlers around handlers.

mod http_kit;

use aqueduct::duplex_with_capacity;
use aqueduct::http::{Handler, Server, StatusCode, handler, redirect};
use http_kit::{GET, ask, post, replies, serve};
use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

fn at(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n")
}

#[test]
fn prefixes_are_stripped_and_put_back() {
    let inner = handler(|request, response| response.send(request.uri().to_string()));
    for (prefix, target, seen) in [
        ("/api", "/api", Some("/")),
        ("/api", "/api/", Some("/")),
        ("/api/", "/api/a/b?c=d", Some("/a/b?c=d")),
        ("/api", "/api?q", Some("/?q")),
        ("/a/b", "/a/b/c", Some("/c")),
        ("/api", "http://h/api/x", Some("http://h/x")),
        ("", "/x", Some("/x")),
        ("/", "/x", Some("/x")),
        ("/api", "/apis", None),
        ("/api", "/", None),
        ("/api", "/%61pi/x", None),
    ] {
        let reply = ask(inner.strip_prefix(prefix), &at(target));
        let got = (reply.status == 200).then(|| reply.text());
        assert_eq!(got, seen, "{target} without {prefix}");
        assert!(seen.is_some() || reply.status == 404);
    }
    let stripped = inner.strip_prefix("/api");
    let after = handler(|request, response| {
        stripped.serve(request, response)?;
        assert_eq!(request.uri(), "/api/x");
        Ok(())
    });
    assert_eq!(ask(after, &at("/api/x")).text(), "/x");
}

#[test]
fn everybody_is_sent_elsewhere() {
    let reply = ask(redirect(StatusCode::SEE_OTHER, "/new"), GET);
    assert_eq!((reply.status, reply.field("location")), (303, Some("/new")));
}

#[test]
fn bodies_are_limited() {
    let ran = Mutex::new(0);
    let inner = handler(|request, response| {
        *ran.lock().unwrap() += 1;
        response.send(request.body_mut().text(100)?)
    });
    let limited = inner.limit_body(3);
    let serve = |request: &str| {
        let script =
            serve(handler(|request, response| limited.serve(request, response)), [request, GET]);
        let replies = replies(&script.written, &["POST"]);
        (replies[0].status, replies.len(), std::mem::take(&mut *ran.lock().unwrap()))
    };
    assert_eq!(serve(&post("Content-Length: 3\r\n", "abc")), (200, 2, 2));
    assert_eq!(serve(&post("Content-Length: 4\r\n", "abcd")), (413, 1, 0));
    let chunked =
        |n: usize| post("Transfer-Encoding: chunked\r\n", &("1\r\nx\r\n".repeat(n) + "0\r\n\r\n"));
    assert_eq!(serve(&chunked(3)), (200, 2, 2));
    assert_eq!(serve(&chunked(4)), (413, 1, 1));
}

#[test]
fn clients_may_take_only_so_long() {
    const SHORT: Duration = Duration::from_millis(20);
    let slow = handler(|request, response| response.send(request.body_mut().text(100)?));
    let answer = |server: Server<_>| {
        let (mut client, connection) = duplex_with_capacity(1024);
        let serving = thread::spawn(move || server.serve_transport(connection));
        client.write_all(post("Content-Length: 3\r\n", "ab").as_bytes()).unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).unwrap();
        serving.join().unwrap().unwrap();
        replies(&answer, &["POST"])[0].status
    };
    let long = Duration::MAX;
    assert_eq!(answer(Server::new(slow.timeout(SHORT).timeout(long))), 503);
    assert_eq!(answer(Server::new(slow.timeout(long).timeout(SHORT))), 503);
    let patient = slow.timeout(Duration::from_secs(60)).timeout(long);
    assert_eq!(answer(Server::new(patient).read_timeout(Some(SHORT))), 408);
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn each_request_is_a_line_of_the_log() {
    let lines = Lines::default();
    let inner = handler(|request, response| match request.uri().path() {
        "/tea" => response.set_status(StatusCode::IM_A_TEAPOT).send("short"),
        "/fail" => Err(io::Error::other("out of\nink")),
        "/lines" => response.upgrade(request.body_mut()).map(drop),
        _ => panic!("at the disco"),
    });
    let logged = inner.log(lines.clone());
    for target in ["/tea?milk=no", "/fail", "/lines", "/panic"] {
        serve(handler(|request, response| logged.serve(request, response)), [at(target)]);
    }
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let wanted = [
        ("\"GET /tea?milk=no HTTP/1.1\" 418 5 ", ""),
        ("\"GET /fail HTTP/1.1\" - 0 ", " out of\\nink"),
        ("\"GET /lines HTTP/1.1\" 101 0 ", ""),
        ("\"GET /panic HTTP/1.1\" - 0 ", " panicked"),
    ];
    assert_eq!(text.lines().count(), wanted.len());
    for (line, (start, end)) in text.lines().zip(wanted) {
        let line = line.strip_prefix("- ").expect("in memory nobody has an address");
        let (date, rest) = line.split_at(32);
        assert!(date.starts_with('[') && date.ends_with(" GMT] "), "{date}");
        let rest = rest.strip_prefix(start).expect(line);
        let seconds = rest.strip_suffix(end).expect(line);
        seconds.parse::<f64>().expect(line);
    }
}
