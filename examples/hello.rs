//! hello: an HTTP server that says hello.

mod util;

use aqueduct::http::{HeaderValue, Mux, Server, header};
use std::process::ExitCode;
use util::Tool;

fn main() -> ExitCode {
    let tool = Tool::start("hello");
    let mut mux = Mux::new();
    let added = mux.handle_fn("GET /", |_, response| {
        const TEXT: HeaderValue = HeaderValue::from_static("text/plain");
        response.set(header::CONTENT_TYPE, TEXT)?.send("Hello, World!")
    });
    added.expect("the pattern is one, and the first");
    let command = util::command("hello", "Serves HTTP, and says hello to whoever asks.");
    util::port::serve(&tool, command, &Server::new(mux));
    tool.status()
}
