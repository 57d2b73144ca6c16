//! echo_http: an HTTP server that sends requests back to who has sent them.

mod util;

use aqueduct::copy;
use aqueduct::http::{Mux, Request, Response, Server, header};
use std::io::{self, Write};
use std::process::ExitCode;
use util::Tool;

fn main() -> ExitCode {
    let tool = Tool::start("echo_http");
    let command = util::command("echo_http", "Serves HTTP, and sends requests back.");
    let mux = mux().expect("the patterns are different");
    util::port::serve(&tool, command, &Server::new(mux));
    tool.status()
}

fn mux() -> io::Result<Mux> {
    let mut mux = Mux::new();
    mux.handle("/", body)?.handle("/echo", fields)?.handle("/cookie", cookies)?;
    Ok(mux)
}

fn body(request: &mut Request<'_>, response: &mut Response<'_>) -> io::Result<()> {
    if let Some(kind) = request.headers().get(header::CONTENT_TYPE) {
        response.headers_mut().insert(header::CONTENT_TYPE, kind.clone());
    }
    copy(request.body_mut(), response)?;
    Ok(())
}

fn fields(request: &mut Request<'_>, response: &mut Response<'_>) -> io::Result<()> {
    response.set("Content-Type", "text/plain")?;
    for (name, value) in request.headers() {
        write!(response, "{}: ", capitals(name.as_str()))?;
        response.write_all(value.as_bytes())?;
        response.write_all(b"\n")?;
    }
    Ok(())
}

/// As most people write the name of a field.
fn capitals(name: &str) -> String {
    let mut initial = true;
    let capital = |c: char| {
        let c = if initial { c.to_ascii_uppercase() } else { c };
        initial = c == '-';
        c
    };
    name.chars().map(capital).collect()
}

fn cookies(request: &mut Request<'_>, response: &mut Response<'_>) -> io::Result<()> {
    response.set("Content-Type", "text/plain")?;
    for field in request.headers().get_all(header::COOKIE) {
        let pairs = field.as_bytes().split(|b| *b == b';').map(<[u8]>::trim_ascii);
        for pair in pairs.filter(|pair| pair.contains(&b'=')) {
            response.write_all(pair)?;
            response.write_all(b"\n")?;
        }
    }
    Ok(())
}
