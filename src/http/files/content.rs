//! Responses that have a length and parts.

use super::super::handler::Request;
use super::super::response::Response;
use super::conditions::{self, Verdict};
use super::multipart::Multipart;
use super::range::{self, Ranges};
use crate::copy::Copier;
use crate::error;
use crate::source::Source;
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use std::io::{self, Seek, SeekFrom};
use std::ops::Range;

/// Answers a request with `content`, or the parts of it that were asked for, if the request's conditions
/// hold.
///
/// The fields of the response say what it is: set `Content-Type`, and `ETag` and `Last-Modified` for
/// the conditions to be held against, before the call. Then
///
/// | the request | is answered with |
/// |---|---|
/// | GET, HEAD and whatever else gets here | 200, and all of it |
/// | with a `Range` | 206, and one range, or several as `multipart/byteranges` |
/// | for bytes that do not exist | 416 |
/// | with `If-Range`, and another version | 200, and all of it |
/// | with `If-None-Match`, `If-Modified-Since`, and the same version | 304 |
/// | with `If-Match`, `If-Unmodified-Since`, and another version | 412 |
///
/// as [RFC 9110](https://www.rfc-editor.org/rfc/rfc9110) has it. A `Range` counts for GET alone, and is
/// ignored where it is malformed, or asks for more than 64 ranges or more bytes than there are. If another
/// status than 200 was set, or a `Content-Encoding`, it stays as it is; with a status that is none of
/// success neither conditions nor ranges count.
///
/// Where `content` can be sent by the kernel it is, as by [`copy`](crate::copy()); pages of files are not
/// shared, for which there is [`Files`](super::Files). Foreign readers join by
/// [`opaque`](crate::ReadExt::opaque).
///
/// # Errors
///
/// Those of `content` and of the connection; `UnexpectedEof` if `content` ends before the place to which
/// its end was sought.
///
/// # Examples
///
/// ```
/// use aqueduct::http::{Request, Response, serve_content};
/// use std::io::{self, Cursor};
///
/// fn poem(request: &mut Request, response: &mut Response) -> io::Result<()> {
///     response.set("Content-Type", "text/plain")?.set("ETag", "\"first\"")?;
///     serve_content(request, response, &mut Cursor::new("so much depends upon"))
/// }
/// # use aqueduct::http::Server;
/// # use std::io::{Read, Write};
/// # let (mut client, connection) = aqueduct::duplex_with_capacity(1024);
/// # client.write_all(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nRange: bytes=-4\r\n\r\n")?;
/// # Server::new(poem).serve_connection(connection)?;
/// # let mut answer = String::new();
/// # client.read_to_string(&mut answer)?;
/// # assert!(answer.starts_with("HTTP/1.1 206 Partial Content\r\n"));
/// # assert!(answer.ends_with("\r\n\r\nupon"));
/// # Ok::<(), io::Error>(())
/// ```
pub fn serve_content<C: Source + Seek + ?Sized>(
    request: &Request<'_>,
    response: &mut Response<'_>,
    content: &mut C,
) -> io::Result<()> {
    let len = content.seek(SeekFrom::End(0))?;
    serve(request, response, len, &mut |part, response| {
        content.seek(SeekFrom::Start(part.start))?;
        copy(&Copier::new(), content, part.end - part.start, response)
    })
}

/// Copies so many bytes and no fewer.
pub(super) fn copy<C: Source + ?Sized>(
    copier: &Copier,
    content: &mut C,
    len: u64,
    response: &mut Response<'_>,
) -> io::Result<()> {
    match copier.clone().limit(len).copy(content, response)?.copied() {
        n if n < len => Err(error::too_short(len - n)),
        _ => Ok(()),
    }
}

/// As [`serve_content`], for what has `len` bytes, any part of which `send` writes to the response.
pub(super) fn serve(
    request: &Request<'_>,
    response: &mut Response<'_>,
    len: u64,
    send: &mut dyn FnMut(Range<u64>, &mut Response<'_>) -> io::Result<()>,
) -> io::Result<()> {
    let mut ranges = Ranges::All;
    if response.status().is_success() {
        match conditions::check(request.method(), request.headers(), response.headers()) {
            Verdict::Go => {}
            Verdict::NotModified => return not_modified(response),
            Verdict::Failed => {
                let text = "it is another version by now";
                return response.error(StatusCode::PRECONDITION_FAILED, text);
            }
        }
        if response.status() == StatusCode::OK {
            response.set(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"))?;
            ranges = asked(request, response, len);
        }
    }
    let part = match ranges {
        Ranges::All => 0..len,
        Ranges::One(part) => {
            response.set_status(StatusCode::PARTIAL_CONTENT);
            let range = format!("bytes {}-{}/{len}", part.start, part.end - 1);
            response.set(header::CONTENT_RANGE, range)?;
            part
        }
        Ranges::Many(parts) => {
            let of = response.headers().get(header::CONTENT_TYPE).cloned();
            let parts = Multipart::new(parts, len, of.as_ref());
            response.set_status(StatusCode::PARTIAL_CONTENT);
            response.set(header::CONTENT_TYPE, parts.content_type())?;
            response.set(header::CONTENT_LENGTH, parts.len())?;
            return parts.write(response, send);
        }
        Ranges::None => {
            let text = format!("there are {len} bytes");
            response.error(StatusCode::RANGE_NOT_SATISFIABLE, text)?;
            return response.set(header::CONTENT_RANGE, format!("bytes */{len}")).map(drop);
        }
    };
    response.set(header::CONTENT_LENGTH, part.end - part.start)?;
    if *request.method() == Method::HEAD {
        return Ok(());
    }
    send(part, response)
}

fn asked(request: &Request<'_>, response: &Response<'_>, len: u64) -> Ranges {
    let mut values = request.headers().get_all(header::RANGE).iter();
    match (values.next(), values.next()) {
        (Some(value), None)
            if *request.method() == Method::GET
                && conditions::range_holds(request.headers(), response.headers()) =>
        {
            range::parse(value.as_bytes(), len)
        }
        _ => Ranges::All,
    }
}

fn not_modified(response: &mut Response<'_>) -> io::Result<()> {
    /// They describe what is not sent.
    const OF_BODY: [HeaderName; 3] =
        [header::CONTENT_TYPE, header::CONTENT_LENGTH, header::CONTENT_ENCODING];
    for name in OF_BODY {
        response.headers_mut().remove(name);
    }
    response.set_status(StatusCode::NOT_MODIFIED);
    Ok(())
}
