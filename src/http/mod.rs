//! An HTTP/1.1 server.
#![allow(dead_code, unused_imports, reason = "TODO")]

mod chunked;
mod head;
mod refusal;
mod reply;

/// What tokens are made of.
fn is_token(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b)
}
