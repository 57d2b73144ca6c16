//! Reading the bodies of requests, and what becomes of what is not read.

mod http_kit;
mod kit;

use aqueduct::copy::{Copier, Path};
use aqueduct::http::{Body, Handler, Server, StatusCode, handler, header};
use aqueduct::stream::Stream;
use aqueduct::{ReadExt, WriteExt, copy};
use http_kit::{GET, Script, ask, post, replies, serve};
use kit::{noise, unix, within};
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

fn statuses(script: &Script) -> Vec<u16> {
    replies(&script.written, &["POST"]).iter().map(|reply| reply.status).collect()
}

/// `n` bytes in chunks of `size`.
fn chunks(n: usize, size: usize) -> String {
    let whole = format!("{size:x}\r\n{}\r\n", "x".repeat(size));
    whole.repeat(n / size) + "0\r\n\r\n"
}

#[test]
fn bodies_are_read_piece_by_piece() {
    let body = noise(50_000, 7);
    let mut chunked = Vec::new();
    for chunk in body.chunks(777) {
        write!(chunked, "{:x};x=y\r\n", chunk.len()).unwrap();
        chunked.extend_from_slice(chunk);
        chunked.extend_from_slice(b"\r\n");
    }
    chunked.extend_from_slice(b"0\r\nX-Sum: 7\r\n\r\n");
    let of_length = post("Content-Length: 50000\r\n", "").into_bytes();
    let of_chunks = post("Transfer-Encoding: chunked\r\n", "").into_bytes();
    for request in [[of_length, body.clone()].concat(), [of_chunks, chunked].concat()] {
        for size in [1, 100, 4096, 5000, 100_000] {
            let echo = handler(|request, response| {
                let (mut whole, mut buf) = (Vec::new(), vec![0; size]);
                while let n @ 1.. = request.body_mut().read(&mut buf)? {
                    whole.extend_from_slice(&buf[..n]);
                }
                assert_eq!(request.body_mut().read(&mut buf)?, 0);
                assert_eq!(request.body().remaining(), Some(0));
                response.send(whole)
            });
            for piece in [1000, 8192, 100_000] {
                let pieces = request.chunks(piece).chain([GET.as_bytes()]);
                let replies = replies(&serve(echo, pieces).written, &["POST"]);
                assert_eq!(replies.len(), 2);
                assert!(replies[0].body == body, "read by {size} of pieces of {piece}");
            }
        }
    }
}

#[test]
fn trailers_come_with_the_end() {
    let trailers = handler(|request, response| {
        assert!(request.body().trailers().is_none());
        io::copy(request.body_mut(), &mut io::sink())?;
        let trailers = request.body().trailers().expect("there are some");
        response.send(trailers["x-sum"].as_bytes())
    });
    let body = "1\r\nx\r\n0\r\nX-Sum: 7\r\n\r\n";
    assert_eq!(ask(trailers, &post("Transfer-Encoding: chunked\r\n", body)).text(), "7");
    // Those of the request before are forgotten.
    let none = handler(|request, _| {
        io::copy(request.body_mut(), &mut io::sink())?;
        assert!(request.body().trailers().is_none());
        Ok(())
    });
    let first = post("Transfer-Encoding: chunked\r\n", body);
    let counted = Mutex::new(0);
    let script = serve(
        handler(|request, response| {
            *counted.lock().unwrap() += 1;
            let which = *counted.lock().unwrap();
            if which == 1 { trailers(request, response) } else { none(request, response) }
        }),
        [&first, &post("Transfer-Encoding: chunked\r\n", "0\r\n\r\n")],
    );
    assert_eq!(statuses(&script), [200, 200]);
}

#[test]
fn what_is_left_is_dropped_up_to_a_bound() {
    let ignore = handler(|_, response| response.send("ignored"));
    let kept = |body: &str, fields: &str| statuses(&serve(ignore, [&post(fields, body), GET]));
    assert_eq!(kept("abc", "Content-Length: 3\r\n"), [200, 200]);
    assert_eq!(kept(&"x".repeat(262_144), "Content-Length: 262144\r\n"), [200, 200]);
    assert_eq!(kept(&"x".repeat(262_145), "Content-Length: 262145\r\n"), [200]);
    let coding = "Transfer-Encoding: chunked\r\n";
    assert_eq!(kept(&chunks(3, 1), coding), [200, 200]);
    assert_eq!(kept(&chunks(256 << 10, 4096), coding), [200, 200]);
    assert_eq!(kept(&chunks(512 << 10, 4096), coding), [200]);
    assert_eq!(kept("x\r\n", coding), [200]);

    // If it is known beforehand, it is said.
    let request = post("Content-Length: 262145\r\n", &"x".repeat(262_145));
    let script = serve(ignore, [&request, GET]);
    assert!(replies(&script.written, &["POST"])[0].closes() && !script.read_to_end);
    let small = post("Content-Length: 3\r\n", "abc");
    assert!(!replies(&serve(ignore, [small]).written, &["POST"])[0].closes());

    let server = Server::new(ignore).drain_limit(2);
    let mut script = Script::new([&post("Content-Length: 3\r\n", "abc"), GET]);
    server.serve_connection(&mut script).unwrap();
    assert_eq!(statuses(&script), [200]);
}

#[test]
fn a_body_read_in_part_or_taken_away_is_no_request() {
    let smuggler = post("Content-Length: 50\r\n", GET) + &"x".repeat(50 - GET.len());
    for way in 0..4 {
        let handler = handler(|request, response| match (request.method().as_str(), way) {
            ("GET", _) => response.send("got"),
            (_, 0) => request.body_mut().read_exact(&mut [0; 7]),
            (_, 1) => {
                drop(std::mem::take(request.body_mut()));
                assert_eq!(request.body_mut().read(&mut [0; 7])?, 0);
                Ok(())
            }
            (_, 2) => {
                let body = std::mem::take(request.body_mut());
                *request.body_mut() = Body::new(body.limit(3));
                request.body_mut().read_to_end(&mut Vec::new()).map(drop)
            }
            _ => {
                *request.body_mut() = Body::new(&b"other"[..]);
                response.send(request.body_mut().bytes(10)?)
            }
        });
        for cut in [0, 60, 80] {
            let (a, b) = smuggler.split_at(cut);
            let script = serve(handler, [a, b, GET]);
            let replies = replies(&script.written, &["POST", "GET"]);
            assert_eq!((replies.len(), replies[1].text()), (2, "got"), "way {way}, cut {cut}");
        }
    }
}

#[test]
fn whoever_was_not_asked_for_a_body_may_not_send_it() {
    let head = post("Expect: 100-continue\r\nContent-Length: 3\r\n", "");
    let refuse = handler(|_, response| response.error(StatusCode::FORBIDDEN, "not that one"));
    let script = serve(refuse, [&head, GET]);
    let answers = replies(&script.written, &["POST"]);
    assert_eq!((answers.len(), answers[0].status), (1, 403));
    assert!(answers[0].closes() && !script.read_to_end);

    // Once the response has begun, there is no 100.
    let early = handler(|request, response| {
        response.write_all(b"body: ")?;
        response.flush()?;
        copy(request.body_mut(), response)?;
        Ok(())
    });
    let script = serve(early, [&head, "abc"]);
    let answers = replies(&script.written, &["POST"]);
    assert_eq!((answers.len(), answers[0].text()), (1, "body: abc"));

    // What is too large is refused before.
    let server = Server::new(refuse).body_limit(Some(2));
    let mut script = Script::new([&head, "abc"]);
    server.serve_connection(&mut script).unwrap();
    assert_eq!(statuses(&script), [413]);
}

#[test]
fn limits_can_only_be_lowered() {
    let limit = |first: u64, then: u64| {
        handler(move |request, response| {
            request.body_mut().set_limit(first);
            request.body_mut().set_limit(then);
            let mut body = Vec::new();
            let error = request.body_mut().read_to_end(&mut body).map(drop);
            if let Err(error) = error {
                assert_eq!(error.kind(), ErrorKind::FileTooLarge);
                return Err(error);
            }
            response.send(body)
        })
    };
    let requests = [
        post("Content-Length: 5\r\n", "xxxxx"),
        post("Transfer-Encoding: chunked\r\n", &chunks(5, 1)),
    ];
    for request in requests {
        assert_eq!(ask(limit(5, 9), &request).status, 200);
        assert_eq!(ask(limit(4, 9), &request).status, 413);
        assert_eq!(ask(limit(9, 4), &request).status, 413);
        let text = |max| handler(move |request, r| r.send(request.body_mut().text(max)?));
        assert_eq!(ask(text(5), &request).text(), "xxxxx");
        assert_eq!(ask(text(4), &request).status, 413);
    }
}

#[test]
fn reading_fails_in_the_same_way_again() {
    for (body, kind) in [
        ("3\r\nab", ErrorKind::UnexpectedEof),
        ("3\r\nabcd\r\n", ErrorKind::InvalidData),
        ("4\r\nabcd\r\n0\r\n\r\n", ErrorKind::FileTooLarge),
    ] {
        let read = handler(|request, response| {
            let body = request.body_mut();
            body.set_limit(3);
            let mut bytes = Vec::new();
            assert_eq!(body.read_to_end(&mut bytes).unwrap_err().kind(), kind);
            assert_eq!(body.read(&mut [0; 9]).unwrap_err().kind(), kind);
            assert!(b"abc".starts_with(&bytes));
            // An answer of the handler's own is sent, and the connection still ends.
            response.send("anyhow")
        });
        let request = post("Transfer-Encoding: chunked\r\n", body);
        // A chunk that is cut off would swallow what follows.
        let next = if kind == ErrorKind::UnexpectedEof { "" } else { GET };
        let script = serve(read, [&request, next]);
        let answers = replies(&script.written, &["POST"]);
        assert_eq!((answers.len(), answers[0].text()), (1, "anyhow"), "{body:?}");
        assert!(answers[0].closes());
    }
}

/// A server for one end of a pair of sockets.
fn over_sockets(
    handler: impl Handler + Send + 'static,
    talk: impl FnOnce(std::os::unix::net::UnixStream) + Send + 'static,
) {
    within("a connection over sockets", move || {
        let (client, connection) = unix();
        let client = thread::spawn(move || talk(client));
        let connection = Stream::from_std(connection).unwrap();
        Server::new(handler).serve_transport(connection).unwrap();
        client.join().unwrap();
    });
}

#[test]
fn copy_takes_a_body_by_the_kernel() {
    const LEN: usize = 3 << 20;
    let store = handler(|request, response| {
        if request.method() == "GET" {
            return response.send("next");
        }
        let mut file = tempfile::tempfile()?;
        let report = Copier::new().copy(request.body_mut(), &mut file)?;
        assert!(cfg!(not(target_os = "linux")) || report.bytes(Path::Splice) > 0, "{report:?}");
        assert_eq!((report.copied(), request.body().remaining()), (LEN as u64, Some(0)));
        file.rewind()?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        assert!(bytes == noise(LEN, 3));
        response.send("stored")
    });
    over_sockets(store, |mut client| {
        let head = post(&format!("Content-Length: {LEN}\r\nConnection: keep-alive\r\n"), "");
        let last = GET.replace("Host", "Connection: close\r\nHost");
        let request = [head.as_bytes(), &noise(LEN, 3), last.as_bytes()].concat();
        let mut writer = client.try_clone().unwrap();
        let writing = thread::spawn(move || writer.write_all(&request).unwrap());
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).unwrap();
        writing.join().unwrap();
        let answers = replies(&answer, &["POST", "GET"]);
        assert_eq!(answers.iter().map(|r| r.text()).collect::<Vec<_>>(), ["stored", "next"]);
    });
}

#[test]
fn copy_sends_a_body_by_the_kernel() {
    const LEN: usize = 3 << 20;
    let file = handler(|request, response| {
        let mut file = tempfile::tempfile()?;
        file.write_all(&noise(LEN, 5))?;
        file.rewind()?;
        let old = request.uri().path() == "/to-the-end";
        if !old {
            response.set(header::CONTENT_LENGTH, LEN as u64)?;
        }
        let report = Copier::new().share_pages(true).copy(&mut file, response)?;
        assert!(cfg!(not(target_os = "linux")) || report.bytes(Path::Sendfile) > 0, "{report:?}");
        assert_eq!((report.copied(), response.written()), (LEN as u64, LEN as u64));
        Ok(())
    });
    over_sockets(file, |mut client| {
        write!(client, "{GET}GET /to-the-end HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).unwrap();
        let answers = replies(&answer, &["GET"]);
        assert_eq!((answers.len(), answers[0].to_end, answers[1].to_end), (2, false, true));
        assert!(answers.iter().all(|reply| reply.body == noise(LEN, 5)));
    });
}

#[test]
fn copy_goes_from_body_to_response() {
    const LEN: usize = 1 << 20;
    let echo = handler(|request, response| {
        response.set(header::CONTENT_LENGTH, LEN as u64)?;
        let mut count = request.body_mut().count();
        copy(&mut count, &mut response.count_writes())?;
        assert_eq!(count.total(), LEN as u64);
        Ok(())
    });
    over_sockets(echo, |mut client| {
        let fields = format!("Connection: close\r\nContent-Length: {LEN}\r\n");
        let request = [post(&fields, "").as_bytes(), &noise(LEN, 9)].concat();
        let mut writer = client.try_clone().unwrap();
        let writing = thread::spawn(move || writer.write_all(&request).unwrap());
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).unwrap();
        writing.join().unwrap();
        assert!(replies(&answer, &["POST"])[0].body == noise(LEN, 9));
    });
}

#[test]
fn copy_keeps_to_the_length_and_drops_for_head() {
    let long = handler(|_, response| {
        response.set(header::CONTENT_LENGTH, 100_000)?;
        let error = copy(&mut io::repeat(b'x').limit(200_000), response).unwrap_err();
        assert_eq!((error.kind(), error.copied), (ErrorKind::WriteZero, 100_000));
        Ok(())
    });
    let script = serve(long, [GET, GET]);
    let lengths: Vec<_> = replies(&script.written, &["GET"]).iter().map(|r| r.body.len()).collect();
    assert_eq!(lengths, [100_000, 100_000]);

    let head = handler(|_, response| {
        response.set(header::CONTENT_LENGTH, 200_000)?;
        assert_eq!(copy(&mut io::repeat(b'x').limit(200_000), response)?, 200_000);
        assert_eq!(response.written(), 200_000);
        Ok(())
    });
    let reply = ask(head, http_kit::HEAD);
    assert_eq!(reply.field("content-length"), Some("200000"));
}

#[test]
fn a_body_that_stops_fails_a_copy_by_the_kernel() {
    a_body_stops_after(300_000);
}

#[test]
fn a_body_that_does_not_begin_fails_a_copy() {
    a_body_stops_after(0);
}

fn a_body_stops_after(sent: usize) {
    let store = handler(|request, _| {
        copy(request.body_mut(), &mut tempfile::tempfile()?)?;
        Ok(())
    });
    within("a body that stops", move || {
        let (mut client, connection) = unix();
        let server = thread::spawn(move || {
            Server::new(store)
                .read_timeout(Some(Duration::from_millis(100)))
                .on_failure(|failure| panic!("{failure}"))
                .serve_transport(Stream::from_std(connection).unwrap())
        });
        client.write_all(post("Content-Length: 500000\r\n", "").as_bytes()).unwrap();
        client.write_all(&noise(sent, 1)).unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).unwrap();
        assert_eq!(replies(&answer, &["POST"])[0].status, 408);
        server.join().unwrap().unwrap();
    });
}

#[test]
fn a_body_that_ends_early_fails_a_copy_by_the_kernel() {
    let store = handler(|request, response| {
        let error = copy(request.body_mut(), &mut tempfile::tempfile()?).unwrap_err();
        assert_eq!((error.kind(), error.copied), (ErrorKind::UnexpectedEof, 300_000));
        response.flush()?;
        Err(error.into())
    });
    over_sockets(store, |mut client| {
        client.write_all(post("Content-Length: 500000\r\n", "").as_bytes()).unwrap();
        client.write_all(&noise(300_000, 1)).unwrap();
        client.shutdown(std::net::Shutdown::Write).unwrap();
        client.read_to_end(&mut Vec::new()).unwrap();
    });
}
