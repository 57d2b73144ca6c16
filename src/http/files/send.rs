//! Files on their way into responses.

use super::super::handler::Request;
use super::super::reply::date_of;
use super::super::response::Response;
use super::root::{self, Entry};
use super::{content, content_type};
use crate::adapters::ReadAt;
use crate::copy::Copier;
use crate::{error, task};
use http::{HeaderValue, header};
use std::cell::Cell;
use std::fs::File;
use std::io::{self, Write};
use std::ops::Range;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::SystemTime;

/// A file, and how it is sent.
pub(super) struct Sending<'e> {
    pub(super) entry: &'e Entry,
    /// The Content-Encoding that it is in; empty for none.
    pub(super) coding: &'static str,
    pub(super) kind: HeaderValue,
    pub(super) share_pages: bool,
}

/// Answers a request with the file at `path`, as [`Files`](super::Files) would send it.
///
/// The path is the handler's own: it is opened as it is, symbolic links and all. A path that a client
/// has a say in is for [`Files`](super::Files) to open. Another `Content-Type` may be set before.
///
/// # Errors
///
/// Those of opening and reading it, `IsADirectory` among them, which answer for themselves only with 500;
/// those of the connection.
///
/// # Examples
///
/// ```
/// use aqueduct::http::{Mux, serve_file};
///
/// let mut mux = Mux::new();
/// mux.handle_fn("GET /licence", |request, response| {
///     response.set("Content-Type", "text/plain; charset=utf-8")?;
///     serve_file(request, response, "LICENSE-MIT")
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn serve_file(
    request: &Request<'_>,
    response: &mut Response<'_>,
    path: impl AsRef<Path>,
) -> io::Result<()> {
    let path = path.as_ref().to_owned();
    let kind = response.headers().get(header::CONTENT_TYPE).cloned();
    let kind = kind.unwrap_or_else(|| content_type(&path));
    let open = move || {
        let file = File::open(path)?;
        let about = file.metadata()?;
        Ok::<_, io::Error>(Entry { file, about })
    };
    let entry = task::unblock(open)??;
    if entry.about.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    Sending { entry: &entry, coding: "", kind, share_pages: true }.send(request, response)
}

impl Sending<'_> {
    pub(super) fn send(self, request: &Request<'_>, response: &mut Response<'_>) -> io::Result<()> {
        let Self { entry, coding, kind, share_pages } = self;
        let (len, modified, now) = (entry.about.len(), entry.modified(), SystemTime::now());
        response.set(header::CONTENT_TYPE, kind)?;
        response.set(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"))?;
        if !coding.is_empty() {
            response.set(header::CONTENT_ENCODING, HeaderValue::from_static(coding))?;
        }
        response.set(header::ETAG, root::tag(modified, len, coding, now))?;
        // No response may tell of a change that is to come.
        if modified <= now {
            let date = HeaderValue::from_bytes(&date_of(modified));
            response.set(
                header::LAST_MODIFIED,
                date.map_err(|why| error::bad_field("a date", &why))?,
            )?;
        }
        content::serve(request, response, len, &mut |part, response| {
            send(&entry.file, part, share_pages, response)
        })
    }
}

/// What is no longer is read and sent in one piece.
const SMALL: u64 = 64 << 10;

thread_local! {
    /// The buffer of the last small file on this thread.
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

fn send(
    file: &File,
    part: Range<u64>,
    share_pages: bool,
    response: &mut Response<'_>,
) -> io::Result<()> {
    let len = part.end - part.start;
    if len > SMALL {
        // Once the head is out, the kernel can do the rest.
        if !response.has_begun() {
            response.flush()?;
        }
        let copier = Copier { warm: 0, ..Copier::new().share_pages(share_pages) };
        return content::copy(&copier, &mut file.section(part.start, len), len, response);
    }
    // A task that has to wait takes it along.
    let mut buf = SPARE.try_with(Cell::take).unwrap_or_default();
    buf.resize(SMALL as usize, 0);
    let bytes = &mut buf[..len as usize];
    let result = fill(file, part.start, bytes).and_then(|()| response.write_all(bytes));
    let _ = SPARE.try_with(|spare| spare.set(buf));
    result
}

fn fill(file: &File, mut at: u64, mut buf: &mut [u8]) -> io::Result<()> {
    while !buf.is_empty() {
        match task::read_at(file.as_fd(), at, buf)? {
            0 => return Err(error::too_short(buf.len() as u64)),
            n => {
                at += n as u64;
                buf = &mut buf[n..];
            }
        }
    }
    Ok(())
}
