//! The fixed policy, point by point, on raw bytes: what is answered, whether the connection is closed, and
//! that nothing after a refused request is ever read as a request. In memory, and by the examples over sockets.
#![cfg(target_os = "linux")]

mod http_kit;
mod running;
mod tools;

use http_kit::{post, replies, talk, talk_all, without_date};
use running::Running;

const NEXT: &str = "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n";

/// The request is refused with this status, and nothing follows.
#[track_caller]
fn refused(request: impl AsRef<[u8]>, status: u16) {
    let request = request.as_ref();
    let mut bytes = request.to_vec();
    bytes.extend_from_slice(NEXT.as_bytes());
    let talk = talk_all(&bytes);
    let text = String::from_utf8_lossy(request);
    let replies = replies(&talk.written, &["GET"]);
    assert_eq!(replies.len(), 1, "{text:?}: {replies:?}");
    assert_eq!(replies[0].status, status, "{text:?}: {}", replies[0].text());
    assert!(replies[0].closes() && talk.closed, "{text:?} does not close");
    assert!(!talk.seen.iter().any(|seen| seen.contains("smuggled")), "{text:?}: {:?}", talk.seen);
    by_echo(|echo| assert_same(&echo.answers(&bytes, false), &talk.written, &text));
    by_hello(|hello| {
        let answers = hello.answers(&bytes, false);
        let replies = http_kit::replies(&answers, &["GET"]);
        // It does not look at bodies, and closes a connection on which one is malformed.
        let found = replies[0].status;
        assert!([status, 200, 405].contains(&found), "{text:?}: {found}");
        assert_eq!(replies.len(), 1, "{text:?}: {replies:?}");
    });
}

thread_local! {
    static ECHO: Running = Running::start("echo_http");
    static HELLO: Running = Running::start("hello");
}

fn by_echo(f: impl FnOnce(&Running)) {
    ECHO.with(f);
}

fn by_hello(f: impl FnOnce(&Running)) {
    HELLO.with(f);
}

#[track_caller]
fn assert_same(by_socket: &[u8], in_memory: &[u8], request: &str) {
    let told = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let by_socket = without_date(by_socket);
    assert_eq!(told(&by_socket), told(in_memory), "{request:?}: over a socket, and in memory");
}

/// The request is answered with 200 and this body, and so is the next one.
#[track_caller]
fn served(request: impl AsRef<[u8]>, body: &str) {
    let request = request.as_ref();
    let mut bytes = request.to_vec();
    bytes.extend_from_slice(NEXT.as_bytes());
    let talk = talk_all(&bytes);
    let text = String::from_utf8_lossy(request);
    let replies = replies(&talk.written, &["POST", "GET"]);
    let told: Vec<_> = replies.iter().map(|reply| (reply.status, reply.text())).collect();
    assert_eq!(told, [(200, body), (200, "")], "{text:?}");
    assert!(!talk.closed, "{text:?}");
    assert_eq!(talk.seen.len(), 2);
    by_echo(|echo| assert_same(&echo.answers(&bytes, true), &talk.written, &text));
}

#[test]
fn point_1_a_length_and_a_coding_are_one_too_many() {
    for fields in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: 5\r\nTransfer-Encoding: identity\r\n",
    ] {
        refused(post(fields, "0\r\n\r\n"), 400);
    }
}

#[test]
fn point_2_chunked_is_the_only_coding() {
    served(post("Transfer-Encoding: Chunked\r\n", "3\r\nabc\r\n0\r\n\r\n"), "abc");
    for (coding, status) in [
        ("gzip, chunked", 501),
        ("br;q=1 , chunked", 501),
        ("gzip", 400),
        ("identity", 400),
        ("chunked, gzip", 400),
        ("chunked, chunked", 400),
        ("chunked\r\nTransfer-Encoding: chunked", 400),
        ("chunked\r\nTransfer-Encoding: identity", 400),
        ("", 400),
        (",chunked", 400),
        ("chunked;x", 400),
        ("\u{b}chunked", 400),
        ("chunke", 400),
    ] {
        refused(post(&format!("Transfer-Encoding: {coding}\r\n"), "0\r\n\r\n"), status);
    }
    refused(post("Transfer-Encoding : chunked\r\n", "0\r\n\r\n"), 400);
    refused(post("Transfer-Encoding:\r\n chunked\r\n", "0\r\n\r\n"), 400);
}

#[test]
fn point_3_lengths() {
    served(post("Content-Length: 3\r\n", "abc"), "abc");
    served(post("Content-Length: 3\r\nContent-Length: 3\r\n", "abc"), "abc");
    served(post("Content-Length: 3, 3\r\n", "abc"), "abc");
    served(post("Content-Length: 0003\r\n", "abc"), "abc");
    served(post("Content-Length: 0\r\n", ""), "");
    for length in [
        "3, 4",
        "3\r\nContent-Length: 4",
        "+3",
        "-3",
        "3 ,",
        "0x3",
        "3.0",
        "",
        "three",
        "3 3",
        "9223372036854775808",
        "18446744073709551619",
    ] {
        refused(post(&format!("Content-Length: {length}\r\n"), "abc"), 400);
    }
}

#[test]
fn point_4_chunks() {
    let chunked = |body: &str| post("Transfer-Encoding: chunked\r\n", body);
    served(chunked("000A;x=\"y;\\\"\" ;z\r\n0123456789\r\n0\r\nX: y\r\n\r\n"), "0123456789");
    for body in [
        "3 \r\nabc\r\n0\r\n\r\n",
        " 3\r\nabc\r\n0\r\n\r\n",
        "+3\r\nabc\r\n0\r\n\r\n",
        "0x3\r\nabc\r\n0\r\n\r\n",
        "3\nabc\r\n0\r\n\r\n",
        "3\r\nabc\n0\r\n\r\n",
        "3\r\nabcd\r\n0\r\n\r\n",
        "3\r\nab\r\n0\r\n\r\n",
        "\r\n\r\n",
        "3;\0\r\nabc\r\n0\r\n\r\n",
        "3;a=\"\r\nabc\r\n0\r\n\r\n",
        "3;a\nb\r\nabc\r\n0\r\n\r\n",
        "00000000000000003\r\nabc\r\n0\r\n\r\n",
        "10000000000000000\r\n",
        "0\r\nX : y\r\n\r\n",
        "0\r\nX: y\n\r\n",
        "0\r\nX: y\r\n z\r\n\r\n",
        "0\r\nContent-Length: 3\r\n\r\n",
        "0\r\nTransfer-Encoding: chunked\r\n\r\n",
        "0\r\nHost: other\r\n\r\n",
    ] {
        refused(chunked(body), 400);
    }
    let line = format!("3;{}\r\nabc\r\n0\r\n\r\n", "a".repeat(4096));
    let wasteful = format!("1;{}\r\nx\r\n", "a".repeat(1000)).repeat(20);
    for body in [line, wasteful] {
        let replies = replies(&talk([chunked(&body), NEXT.into()]).written, &["POST"]);
        assert_eq!((replies.len(), replies[0].status), (1, 400));
    }
}

#[test]
fn points_5_to_7_field_lines() {
    for field in [
        "X: y\n",
        "X: y\rz\r\n",
        "X: y\r\r\n",
        "X: y\r\n z\r\n",
        "X: y\r\n\tz\r\n",
        " X: y\r\n",
        "X : y\r\n",
        "X\t: y\r\n",
        ": y\r\n",
        "X y\r\n",
        "X(: y\r\n",
        "X: \0\r\n",
        "X: \x1b\r\n",
        "X: \x7f\r\n",
    ] {
        refused(post(field, ""), 400);
    }
    refused("GET / HTTP/1.1\nHost: h\n\n", 400);
    refused("GET / HTTP/1.1\r\nHost: h\r\n\n", 400);
    served(post("X: \u{e9}\ty\r\nX-Empty:\r\n", ""), "");
}

#[test]
fn point_8_hosts() {
    let get = |host: &str| format!("GET / HTTP/1.1\r\n{host}\r\n");
    for host in ["h", "h:1", "[::1]:1", "a.b-c_d", "127.0.0.1"] {
        served(get(&format!("Host: {host}\r\n")), "");
    }
    for host in ["", "a b", "a/b", "a@b", "h:p", "[::1", "a,b c", "\u{e9}"] {
        refused(get(&format!("Host: {host}\r\n")), 400);
    }
    refused(get(""), 400);
    refused(get("Host: h\r\nHost: h\r\n"), 400);
    refused(get("Host: h\r\nhost: i\r\n"), 400);
}

#[test]
fn points_9_and_10_request_lines() {
    let get = |line: &str| format!("{line}\r\nHost: h\r\n\r\n");
    served(get("GET / HTTP/1.1"), "");
    served(get("GET / HTTP/1.9"), "");
    served(get("GET http://other/x HTTP/1.1"), "");
    served(get("OPTIONS * HTTP/1.1"), "");
    served(get("\r\nGET / HTTP/1.1"), "");
    for line in [
        "GET  / HTTP/1.1",
        "GET / HTTP/1.1 ",
        "GET /a b HTTP/1.1",
        "GET\t/ HTTP/1.1",
        "GET /",
        "G\"T / HTTP/1.1",
        "GET /\u{e9} HTTP/1.1",
        "GET /\x01 HTTP/1.1",
        "GET x HTTP/1.1",
        "GET * HTTP/1.1",
        "GET / HTTP/1",
        "GET / HTTP/1.1x",
        "CONNECT / HTTP/1.1",
        "GET h:1 HTTP/1.1",
        "\r\n\r\nGET / HTTP/1.1",
        "\nGET / HTTP/1.1",
        "GET / hTTP/1.1",
    ] {
        refused(get(line), 400);
    }
    for line in ["GET / HTTP/2.0", "GET / HTTP/0.9", "GET / HTTP/9.9"] {
        refused(get(line), 505);
    }
}

#[test]
fn point_11_expectations() {
    let head = post("Expect: 100-Continue\r\nContent-Length: 3\r\n", "");
    let statuses = |pieces: &[&str]| {
        let talk = talk(pieces);
        assert_eq!(talk.seen, ["POST / \"abc\""]);
        let replies = replies(&talk.written, &["POST"]);
        replies.iter().map(|reply| reply.status).collect::<Vec<_>>()
    };
    assert_eq!(statuses(&[&head, "abc"]), [100, 200]);
    // It did not wait.
    assert_eq!(statuses(&[&format!("{head}abc")]), [200]);
    assert_eq!(statuses(&[&format!("{head}a"), "bc"]), [200]);
    let empty = post("Expect: 100-continue\r\nContent-Length: 0\r\n", "");
    assert_eq!(replies(&talk([empty]).written, &["POST"])[0].status, 200);
    let old = head.replace("HTTP/1.1", "HTTP/1.0");
    assert_eq!(replies(&talk([&old, "abc"]).written, &["POST"])[0].status, 200);
    for expected in ["200-ok", "100-continue, x", ""] {
        refused(post(&format!("Expect: {expected}\r\nContent-Length: 3\r\n"), "abc"), 417);
    }
}

#[test]
fn point_12_no_coding_in_http_1_0() {
    let old = |field: &str| format!("POST / HTTP/1.0\r\nHost: h\r\n{field}\r\n0\r\n\r\n");
    refused(old("Transfer-Encoding: chunked\r\nConnection: keep-alive\r\n"), 400);
    refused(old("Transfer-Encoding: identity\r\n"), 400);
}

#[test]
fn point_13_the_preface_of_http_2() {
    refused("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505);
}

#[test]
fn point_14_limits() {
    let long = |n: usize| "x".repeat(n);
    let status = |request: String| {
        let talk = talk([request.as_bytes(), NEXT.as_bytes()]);
        let replies = replies(&talk.written, &["GET"]);
        assert!(talk.closed && replies.len() == 1 && replies[0].closes(), "{replies:?}");
        replies[0].status
    };
    assert_eq!(status(format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", long(8192))), 414);
    assert_eq!(status(format!("GET /{}", long(100_000))), 414);
    assert_eq!(status(post(&format!("X: {}\r\n", long(66_000)), "")), 431);
    assert_eq!(status(post(&format!("{}: y\r\n", long(66_000)), "")), 431);
    assert_eq!(status(post(&"X: y\r\n".repeat(100), "")), 431);
    assert_eq!(status(post("Content-Length: 1001\r\n", &long(1001))), 413);
    assert_eq!(status(post("Content-Length: 9223372036854775807\r\n", &long(50))), 413);
    let chunked = post("Transfer-Encoding: chunked\r\n", "");
    assert_eq!(status(format!("{chunked}3e9\r\n{}\r\n0\r\n\r\n", long(1001))), 413);
    assert_eq!(status(format!("{chunked}ffffffffffffffff\r\n{}", long(1001))), 413);
    let trailers = format!("{chunked}0\r\n{}\r\n", "X: y\r\n".repeat(101));
    assert_eq!(status(trailers), 431);
}

#[test]
fn what_is_common_fits() {
    let target = "x".repeat(8000);
    served_once(&format!("GET /{target} HTTP/1.1\r\nHost: h\r\n\r\n"));
    served_once(&post(&format!("Cookie: {}\r\n", "x".repeat(60_000)), ""));
    served_once(&post(&"X: y\r\n".repeat(99), ""));
}

#[track_caller]
fn served_once(request: &str) {
    let talk = talk([request.as_bytes(), NEXT.as_bytes()]);
    let replies = replies(&talk.written, &["GET"]);
    assert_eq!(replies.iter().map(|reply| reply.status).collect::<Vec<_>>(), [200, 200]);
}

#[test]
fn what_never_ends_is_not_answered() {
    for start in ["", "\r\n", "GET", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: h\r\n"] {
        let talk = talk_all(start.as_bytes());
        assert_eq!(String::from_utf8_lossy(&talk.written), "", "{start:?}");
    }
}

#[test]
fn bodies_that_are_cut_off_are_an_error() {
    for (fields, body) in [
        ("Content-Length: 3\r\n", "ab"),
        ("Content-Length: 9223372036854775807\r\n", "ab"),
        ("Transfer-Encoding: chunked\r\n", "3\r\nab"),
        ("Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n"),
        ("Transfer-Encoding: chunked\r\n", "0\r\n"),
        ("Transfer-Encoding: chunked\r\n", ""),
    ] {
        let request = post(fields, body);
        let unlimited = aqueduct::http::Server::new(http_kit::Echo::default());
        let mut script = http_kit::Script::new([request.as_bytes()]);
        unlimited.serve_connection(&mut script).unwrap();
        let replies = replies(&script.written, &["POST"]);
        assert_eq!((replies.len(), replies[0].status), (1, 400), "{request:?}");
        assert!(replies[0].closes());
    }
}
