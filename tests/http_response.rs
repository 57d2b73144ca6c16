//! What becomes of what a handler writes.

mod http_kit;

use aqueduct::http::{HeaderMap, HeaderValue, Server, StatusCode, handler, header};
use http_kit::{GET, HEAD, OLD, Script, ask, post, replies, serve};
use std::io::{self, ErrorKind, Write};
use std::sync::{Arc, Mutex};

const HELD: usize = 4 << 10;

#[test]
fn small_bodies_have_a_length() {
    for len in [0, 1, 13, HELD] {
        let reply = ask(handler(|_, response| response.write_all(&vec![b'x'; len])), GET);
        assert_eq!(reply.field("content-length"), Some(len.to_string().as_str()));
        assert_eq!(reply.body, vec![b'x'; len]);
        assert!(!reply.closes());
    }
}

#[test]
fn large_bodies_have_chunks() {
    for len in [HELD + 1, 100_000] {
        for piece in [1, 1000, len] {
            let body: Vec<_> = (0..len).map(|n| n as u8).collect();
            let pieces = body.chunks(piece);
            let reply = ask(
                handler(|_, response| {
                    pieces.clone().try_for_each(|piece| response.write_all(piece))
                }),
                GET,
            );
            assert_eq!(reply.field("transfer-encoding"), Some("chunked"));
            assert_eq!(reply.body, body);
        }
    }
}

#[test]
fn small_writes_become_few_chunks() {
    let script = serve(
        handler(|_, response| (0..HELD * 10).try_for_each(|_| response.write_all(b"x"))),
        [GET],
    );
    assert!(script.written.len() < HELD * 10 + 500, "{}", script.written.len());
    assert!(script.writes <= 5, "{} writes", script.writes);
}

#[test]
fn a_flush_sends_the_head() {
    let flush = handler(|_, response| {
        response.write_all(b"a")?;
        response.flush()?;
        response.flush()?;
        response.write_all(b"b")
    });
    let reply = ask(flush, GET);
    assert_eq!(reply.field("transfer-encoding"), Some("chunked"));
    assert_eq!(reply.text(), "ab");
    let script = serve(flush, [GET]);
    assert!(String::from_utf8_lossy(&script.written).contains("\r\n\r\n1\r\na\r\n1\r\nb\r\n0\r\n"));

    let nothing = handler(|_, response| {
        response.flush()?;
        assert!(response.has_begun());
        response.set_status(StatusCode::NOT_FOUND);
        Ok(())
    });
    let reply = ask(nothing, GET);
    assert_eq!((reply.status, reply.text()), (200, ""));
}

#[test]
fn a_declared_length_is_kept() {
    let exact = handler(|_, response| {
        response.set(header::CONTENT_LENGTH, 6)?;
        response.write_all(b"abc")?;
        response.write_all(b"def")
    });
    let reply = ask(exact, GET);
    assert_eq!((reply.field("content-length"), reply.text()), (Some("6"), "abcdef"));

    let more = handler(|_, response| {
        response.set(header::CONTENT_LENGTH, 4)?;
        assert_eq!(response.write(b"abcdef")?, 4);
        assert_eq!(response.write(b"ef")?, 0);
        assert_eq!(response.write_all(b"ef").unwrap_err().kind(), ErrorKind::WriteZero);
        assert_eq!(response.written(), 4);
        Ok(())
    });
    let script = serve(more, [GET, GET]);
    let texts: Vec<_> =
        replies(&script.written, &["GET"]).iter().map(|r| r.text().to_owned()).collect();
    assert_eq!(texts, ["abcd", "abcd"]);

    // The client must not believe that this is all.
    let fewer = handler(|_, response| {
        response.set(header::CONTENT_LENGTH, 9)?;
        response.write_all(b"abcdef")
    });
    let script = serve(fewer, [GET, GET]);
    let replies = replies(&script.written, &["GET"]);
    assert!(replies.len() == 1 && replies[0].to_end && !script.read_to_end, "{replies:?}");

    // A length that is set late counts what was written before.
    let late = |declared: u64, then: &'static [u8], flush: bool| {
        handler(move |_, response| {
            response.write_all(b"abc")?;
            response.set(header::CONTENT_LENGTH, declared)?;
            response.write_all(then)?;
            if flush { response.flush() } else { Ok(()) }
        })
    };
    for flush in [false, true] {
        for (declared, then, text) in [(3, "", "abc"), (5, "de", "abcde")] {
            let reply = ask(late(declared, then.as_bytes(), flush), GET);
            let length = declared.to_string();
            assert_eq!((reply.field("content-length"), reply.text()), (Some(&*length), text));
        }
        assert_eq!(ask(late(2, b"", flush), GET).status, 500);
        assert_eq!(ask(late(2, b"d", flush), GET).status, 500);
    }
    let script = serve(late(5, b"def", false), [GET, GET]);
    assert_eq!(http_kit::replies(&script.written, &["GET"])[0].text(), "abcde");
    assert!(!script.read_to_end);

    // Nothing was sent, so the truth can still be told.
    let none = handler(|_, response| response.set(header::CONTENT_LENGTH, 9).map(drop));
    assert_eq!(ask(none, GET).status, 500);
    let nonsense = handler(|_, response| {
        response.set(header::CONTENT_LENGTH, "many")?;
        response.write_all(b"x")
    });
    assert_eq!(ask(nonsense, GET).status, 500);
}

#[test]
fn send_declares_the_length() {
    let body = vec![b'x'; 3 * HELD];
    let reply = ask(handler(|_, response| response.send(&body)), GET);
    assert_eq!(reply.field("content-length"), Some("12288"));
    let script = serve(handler(|_, response| response.send("")), [GET, GET]);
    assert_eq!(replies(&script.written, &["GET"]).len(), 2);
}

#[test]
fn head_gets_the_head_of_get() {
    let of_len = |len: usize| handler(move |_, response| response.write_all(&vec![b'x'; len]));
    let reply = ask(of_len(7), HEAD);
    assert_eq!(reply.field("content-length"), Some("7"));
    // How long it would have been is not known when the head is written.
    let reply = ask(of_len(100_000), HEAD);
    assert_eq!((reply.field("content-length"), reply.field("transfer-encoding")), (None, None));
    let declared = handler(|_, response| {
        response.set(header::CONTENT_LENGTH, 99)?;
        Ok(())
    });
    assert_eq!(ask(declared, HEAD).field("content-length"), Some("99"));
    let sent = handler(|_, response| {
        response.send(vec![b'x'; 100_000])?;
        assert_eq!(response.written(), 100_000);
        Ok(())
    });
    let script = serve(sent, [HEAD, HEAD]);
    let replies = replies(&script.written, &["HEAD", "HEAD"]);
    let lengths: Vec<_> = replies.iter().map(|r| r.field("content-length")).collect();
    assert_eq!(lengths, [Some("100000"), Some("100000")]);
}

#[test]
fn some_statuses_have_no_body() {
    for (status, length) in [(204, None), (304, None), (205, Some("0"))] {
        let status = StatusCode::from_u16(status).unwrap();
        for flush in [false, true] {
            let silent = handler(|_, response| {
                response.set_status(status);
                let error = response.write(b"x").unwrap_err();
                assert_eq!(error.kind(), ErrorKind::InvalidInput);
                if flush { response.flush() } else { Ok(()) }
            });
            let script = serve(silent, [GET, GET]);
            let replies = replies(&script.written, &["GET"]);
            assert_eq!(replies.len(), 2);
            assert_eq!(replies[0].field("content-length"), length);
            assert_eq!(replies[0].field("transfer-encoding"), None);
        }
    }
}

#[test]
fn http_1_0_gets_what_it_understands() {
    let large = handler(|_, response| response.write_all(&[b'x'; 2 * HELD]));
    let reply = ask(large, OLD);
    assert!(reply.closes() && reply.to_end);
    assert_eq!(reply.body.len(), 2 * HELD);
    assert_eq!(reply.field("transfer-encoding"), None);

    const KEEP: &str = "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
    let small = handler(|_, response| response.write_all(b"x"));
    let reply = ask(small, OLD);
    assert!(reply.closes() && !reply.to_end);
    let script = serve(small, [KEEP, KEEP]);
    let kept = replies(&script.written, &["GET"]);
    assert_eq!((kept.len(), kept[0].field("connection")), (2, Some("keep-alive")));
    // Only the connection's end could tell its end.
    let script = serve(large, [KEEP, KEEP]);
    assert!(!script.read_to_end);
    assert_eq!(replies(&script.written, &["GET"]).len(), 1);
}

#[test]
fn trailers_follow_chunks() {
    let early = handler(|_, response| {
        response.trailers_mut().insert("x-sum", HeaderValue::from_static("7"));
        response.write_all(b"abc")
    });
    let reply = ask(early, GET);
    assert_eq!((reply.text(), reply.field("trailer")), ("abc", Some("x-sum")));
    assert_eq!(reply.trailers, [("X-Sum".to_owned(), "7".to_owned())]);
    for request in [HEAD, OLD] {
        let reply = ask(early, request);
        assert_eq!((reply.field("content-length"), reply.field("trailer")), (Some("3"), None));
    }
    let late = handler(|_, response| {
        response.flush()?;
        response.trailers_mut().insert("x-sum", HeaderValue::from_static("7"));
        Ok(())
    });
    assert_eq!(ask(late, GET).trailers.len(), 1);
}

#[test]
fn answers_ahead_of_the_response() {
    let hint = handler(|_, response| {
        let mut headers = HeaderMap::new();
        headers.insert(header::LINK, HeaderValue::from_static("</a.css>"));
        response.inform(StatusCode::EARLY_HINTS, &headers)?;
        for status in [StatusCode::OK, StatusCode::CONTINUE, StatusCode::SWITCHING_PROTOCOLS] {
            assert_eq!(
                response.inform(status, &headers).unwrap_err().kind(),
                ErrorKind::InvalidInput
            );
        }
        response.flush()?;
        assert!(response.inform(StatusCode::EARLY_HINTS, &headers).is_err());
        Ok(())
    });
    let script = serve(hint, [GET]);
    let replies = replies(&script.written, &["GET"]);
    assert_eq!(replies.iter().map(|r| r.status).collect::<Vec<_>>(), [103, 200]);
    assert_eq!(replies[0].field("link"), Some("</a.css>"));
    assert!(ask(hint, OLD).status == 200);
}

#[test]
fn errors_and_redirects() {
    let error = handler(|_, response| {
        response.set(header::ETAG, "\"x\"")?.set("x-kept", "yes")?;
        write!(response, "half a page")?;
        response.error(StatusCode::NOT_FOUND, "no such page")
    });
    let reply = ask(error, GET);
    assert_eq!((reply.status, reply.text()), (404, "no such page\n"));
    assert_eq!((reply.field("etag"), reply.field("x-kept")), (None, Some("yes")));
    assert_eq!(reply.field("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(reply.field("content-length"), Some("13"));

    let redirect = handler(|_, response| response.redirect(StatusCode::SEE_OTHER, "/else?where"));
    let reply = ask(redirect, GET);
    assert_eq!((reply.status, reply.field("location")), (303, Some("/else?where")));
    assert_eq!(ask(handler(|_, r| r.redirect(StatusCode::FOUND, "/\r\nX: y")), GET).status, 500);

    let late = handler(|_, response| {
        response.flush()?;
        for result in [
            response.error(StatusCode::NOT_FOUND, "too late"),
            response.redirect(StatusCode::FOUND, "/"),
        ] {
            assert_eq!(result.unwrap_err().kind(), ErrorKind::InvalidInput);
        }
        Ok(())
    });
    assert_eq!(ask(late, GET).text(), "");
}

#[test]
fn fields_are_checked() {
    let fields = handler(|_, response| {
        assert!(response.set("a b", "c").is_err());
        assert!(response.set("a", "c\r\nd: e").is_err());
        response.set("a", "b")?.set("a", "c")?.set("n", 7)?;
        response.headers_mut().append("a", HeaderValue::from_static("d"));
        Ok(())
    });
    let reply = ask(fields, GET);
    let values: Vec<_> =
        reply.fields.iter().filter(|(n, _)| n == "A").map(|(_, v)| v.as_str()).collect();
    assert_eq!((values, reply.field("n")), (vec!["c", "d"], Some("7")));
}

#[test]
fn the_handler_can_close() {
    let close = handler(|_, response| {
        response.set(header::CONNECTION, "close")?;
        response.write_all(b"x")
    });
    let script = serve(close, [GET, GET]);
    let replies = replies(&script.written, &["GET"]);
    assert!(replies.len() == 1 && replies[0].closes() && !script.read_to_end);
}

/// What is reported of a server whose handler is `handler`, and its answers.
fn reports(
    handler: impl aqueduct::http::Handler,
    request: &str,
) -> (Vec<String>, Vec<http_kit::Reply>, Script) {
    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = Arc::clone(&told);
    let mut script = Script::new([request, GET]);
    Server::new(handler)
        .on_failure(move |failure| tell.lock().unwrap().push(failure.to_string()))
        .serve_connection(&mut script)
        .unwrap();
    let replies = replies(&script.written, &[request.split(' ').next().unwrap(), "GET"]);
    let told = std::mem::take(&mut *told.lock().unwrap());
    (told, replies, script)
}

#[test]
fn what_fails_is_answered_and_reported() {
    let fail = handler(|_, response| {
        response.set("x-half", "done")?;
        write!(response, "half a page")?;
        Err(io::Error::other("out of ink"))
    });
    let (told, replies, script) = reports(fail, GET);
    assert_eq!(told, ["GET /: out of ink"]);
    assert_eq!((replies.len(), replies[0].status), (1, 500));
    assert_eq!(replies[0].field("x-half"), None);
    assert!(replies[0].closes() && !script.read_to_end);
    assert!(!replies[0].text().contains("ink"), "what went wrong is not the client's business");

    let panic = handler(|_, response| {
        write!(response, "half a page")?;
        panic!("at the disco")
    });
    let (told, replies, _) = reports(panic, GET);
    assert_eq!(told, ["GET /: the handler panicked: at the disco"]);
    assert_eq!((replies.len(), replies[0].status), (1, 500));
    assert_eq!(reports(panic, HEAD).1[0].status, 500);
}

#[test]
fn what_fails_half_way_is_seen_to_be_half() {
    for panics in [false, true] {
        let half = handler(|_, response| {
            response.write_all(b"half a page")?;
            response.flush()?;
            assert!(!panics, "at the disco");
            Err(io::Error::other("out of ink"))
        });
        let (told, replies, script) = reports(half, GET);
        assert_eq!((told.len(), replies.len()), (1, 1));
        assert!(replies[0].to_end && !script.read_to_end, "{replies:?}");
        assert_eq!(replies[0].text(), "half a page");
    }
}

#[test]
fn an_interim_status_is_no_answer() {
    let wrong = handler(|_, response| {
        response.set_status(StatusCode::CONTINUE);
        Ok(())
    });
    let (told, replies, _) = reports(wrong, GET);
    assert_eq!((told.len(), replies[0].status), (1, 500));
}

#[test]
fn what_the_client_does_wrong_is_not_reported() {
    let read = handler(|request, response| {
        let body = request.body_mut().text(3)?;
        response.send(body)
    });
    for (request, status) in [
        (post("Content-Length: 4\r\n", "abcd"), 413),
        (post("Transfer-Encoding: chunked\r\n", "4\r\nabcd\r\n0\r\n\r\n"), 413),
        (post("Transfer-Encoding: chunked\r\n", "x\r\n"), 400),
    ] {
        let (told, replies, script) = reports(read, &request);
        assert_eq!(told, [""; 0]);
        assert_eq!((replies.len(), replies[0].status), (1, status), "{request:?}");
        assert!(!script.read_to_end);
    }
}
