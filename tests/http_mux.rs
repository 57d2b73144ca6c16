//! Which handler answers, and what the mux answers by itself.

mod http_kit;

use aqueduct::http::{Handler, Mux, RequestExt, Server, handler};
use http_kit::{Reply, Script, ask, replies};
use std::io;

/// Answers with the pattern it was registered for, and with what `{x}` and `{rest...}` stand for.
fn mux(patterns: &[&'static str]) -> Mux {
    let mut mux = Mux::new();
    for &pattern in patterns {
        mux.handle_fn(pattern, move |request, response| {
            let (x, rest) = (request.path_value("x"), request.path_value("rest"));
            response.send(format!("{pattern} x={x} rest={rest} none={}", request.path_value("y")))
        })
        .unwrap();
    }
    mux
}

fn get(mux: &Mux, method: &str, host: &str, path: &str) -> Reply {
    let request = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    let mut script = Script::new([request]);
    let by_mux = handler(|request, response| mux.serve(request, response));
    Server::new(by_mux).serve_connection(&mut script).unwrap();
    replies(&script.written, &[method]).remove(0)
}

#[test]
fn the_most_specific_pattern_answers() {
    let mux = mux(&[
        "/",
        "/items/",
        "/items/{x}",
        "/items/new",
        "GET /items/{x}/parts",
        "/files/{rest...}",
        "/files/{x}/meta",
        "/exact/{$}",
        "HEAD /heads",
        "GET /heads",
        "/heads",
        "example.org/",
        "/caf%C3%A9",
    ]);
    for (path, wanted) in [
        ("/", "/ x= rest="),
        ("/else/where", "/ x= rest="),
        ("/items/", "/items/ x= rest="),
        ("/items/7", "/items/{x} x=7 rest="),
        ("/items/new", "/items/new x= rest="),
        ("/items/n%65w", "/items/new x= rest="),
        ("/items/7/", "/items/ x= rest="),
        ("/items/7/parts", "GET /items/{x}/parts x=7 rest="),
        ("/items/a%2Fb%20c", "/items/{x} x=a/b c rest="),
        ("/items/a%2F..%2Fb", "/items/{x} x=a/../b rest="),
        ("/files/", "/files/{rest...} x= rest="),
        ("/files/a/b%20c/", "/files/{rest...} x= rest=a/b c/"),
        ("/files/a/meta", "/files/{x}/meta x=a rest="),
        ("/files/meta", "/files/{rest...} x= rest=meta"),
        ("/exact/", "/exact/{$} x= rest="),
        ("/exact/more", "/ x= rest="),
        ("/heads", "GET /heads x= rest="),
        ("/caf%c3%A9?q", "/caf%C3%A9 x= rest="),
        ("http://localhost/items/7", "/items/{x} x=7 rest="),
        ("http://EXAMPLE.org:80/items/7", "example.org/ x= rest="),
    ] {
        let reply = get(&mux, "GET", "localhost:8080", path);
        assert_eq!(
            (reply.status, reply.text()),
            (200, format!("{wanted} none=").as_str()),
            "{path}"
        );
    }
    for host in ["example.org", "Example.ORG:8080"] {
        assert!(get(&mux, "GET", host, "/items/7").text().starts_with("example.org/"));
    }
    assert!(get(&mux, "GET", "example.org.evil", "/items/7").text().starts_with("/items"));
    assert!(get(&mux, "POST", "h", "/heads").text().starts_with("/heads"));
    assert_eq!(get(&mux, "HEAD", "h", "/items/7/parts").status, 200);
}

#[test]
fn nothing_there_and_not_like_that() {
    let mux = mux(&["GET /a", "POST /a", "PUT example.org/a", "DELETE /a/{x}", "/any"]);
    let reply = get(&mux, "GET", "h", "/b");
    assert_eq!((reply.status, reply.field("allow")), (404, None));
    let reply = get(&mux, "DELETE", "h", "/a");
    assert_eq!((reply.status, reply.field("allow")), (405, Some("GET, HEAD, POST")));
    let reply = get(&mux, "DELETE", "example.org", "/a");
    assert_eq!((reply.status, reply.field("allow")), (405, Some("GET, HEAD, POST, PUT")));
    assert_eq!(get(&mux, "GET", "h", "/a/b").field("allow"), Some("DELETE"));
    assert_eq!(get(&mux, "BREW", "h", "/any").status, 200);
    assert_eq!(get(&mux, "GET", "h", "/any/more").status, 404);
    let reply = get(&mux, "OPTIONS", "h", "*");
    assert_eq!((reply.status, reply.text()), (200, ""));
}

#[test]
fn paths_are_redirected_to_their_plain_form() {
    let mux = mux(&["/", "/dir/", "GET /sub/{$}", "/tree/{x}/", "/both", "/both/", "/posts"]);
    for (path, location) in [
        ("//", "/"),
        ("/a//b", "/a/b"),
        ("/a/../b", "/b"),
        ("/../../etc/passwd", "/etc/passwd"),
        ("/a/%2e%2E/b?c=d&e", "/b?c=d&e"),
        ("//evil.example/%2e", "/evil.example/"),
        ("/dir", "/dir/"),
        ("/dir?a=b", "/dir/?a=b"),
        ("/sub", "/sub/"),
        ("/tree/a%20b", "/tree/a%20b/"),
    ] {
        for method in ["GET", "HEAD"] {
            let reply = get(&mux, method, "h", path);
            assert_eq!((reply.status, reply.field("location")), (307, Some(location)), "{path}");
        }
    }
    for path in ["/dir/", "/both", "/both/", "/posts", "/other", "/dir/x", "/..."] {
        assert_eq!(get(&mux, "GET", "h", path).status, 200, "{path}");
    }
    // There is nothing to redirect to for this method.
    assert!(get(&mux, "PUT", "h", "/sub").text().starts_with("/ "));
}

#[test]
fn what_is_not_text_is_refused() {
    let mux = mux(&["/{x}", "/raw/"]);
    assert_eq!(get(&mux, "GET", "h", "/%ff").status, 400);
    assert_eq!(get(&mux, "GET", "h", "/%zz").text(), "/{x} x=%zz rest= none=");
    assert_eq!(get(&mux, "GET", "h", "/raw/%ff").status, 200);
}

#[test]
fn conflicts_name_both_patterns() {
    for (old, new) in [
        ("/a", "/a"),
        ("/{x}", "/{y}"),
        ("/a/", "/a/{rest...}"),
        ("/a/{x}", "/{x}/b"),
        ("GET /a/{x}", "/a/b"),
        ("GET /{x...}", "/a"),
        ("h/a/{x}", "H/{x}/b"),
        ("/caf%C3%A9", "/café"),
    ] {
        let mut mux = mux(&[old]);
        let nothing = handler(|_, _| Ok(()));
        let error = mux.handle(new, nothing).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        let text = error.to_string();
        assert!(text.contains(old) && text.contains(new), "{text}");
        // The refused one is not there.
        assert!(get(&mux, "GET", "h", "/nowhere/to/go").status != 500);
    }
    mux(&["/a/{x}", "GET /a/{x}", "GET /a/b", "HEAD /a/b", "h/a/b", "/a/{x}/c", "/{x}/{$}"]);
}

#[test]
fn one_mux_within_another() {
    let inner = mux(&["/{x}/{rest...}"]);
    let mut outer = Mux::new();
    outer.handle("/{y}/{x}/", inner).unwrap();
    let reply = ask(outer, "GET /a/b/c HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(reply.text(), "/{x}/{rest...} x=a rest=b/c none=a");
}

#[test]
fn connect_is_matched_by_its_host() {
    let mux = mux(&["CONNECT example.org/", "/"]);
    let reply = get(&mux, "CONNECT", "example.org:443", "example.org:443");
    assert!(reply.text().starts_with("CONNECT"));
}

#[test]
fn values_can_be_set() {
    let mut request = http_request();
    request.set_path_value("id", "7");
    request.set_path_value("id", "8");
    assert_eq!((request.path_value("id"), request.path_value("other")), ("8", ""));
}

fn http_request() -> aqueduct::http::Request<'static> {
    aqueduct::http::Request::new(aqueduct::http::Body::empty())
}
