//! Files as responses.

mod conditions;
mod content;
mod encoding;
mod listing;
mod media;
mod multipart;
mod path;
mod range;
mod root;
mod send;

pub use self::content::serve_content;
pub use self::media::content_type;
pub use self::send::serve_file;

use self::path::Place;
use self::root::{Entry, Root};
use self::send::Sending;
use super::handler::{Handler, Request};
use super::response::Response;
use crate::sys;
use http::{HeaderValue, Method, StatusCode, header};
use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

/// What becomes of symbolic links below the folder of [`Files`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Links {
    /// There is nothing where one is.
    Refused,
    /// They are followed as long as no step leads out of the folder; absolute ones lead out.
    Beneath,
    /// They are followed wherever they lead: who can make links in the folder can publish what the server
    /// can read.
    Followed,
}

/// Handler that serves the files below a folder.
///
/// To GET and HEAD; other methods are answered with 405. What is sent has its `Content-Type` by the
/// file's name ([`content_type`]), with `X-Content-Type-Options: nosniff`, `Last-Modified` and an
/// `ETag` of time and length, so that conditions and ranges work as [`serve_content`] tells. For a folder
/// its index file is sent, or a list of what lies in it; without a slash at the end of the path, the
/// client is redirected to where it has one.
///
/// # What cannot be reached
///
/// Nothing outside of the folder, whatever the path: a `..`, a slash or a NUL in a segment, encoded or not,
/// are 404, and the way is looked for from the open folder on, by openat2(2) with `RESOLVE_BENEATH`
/// or, where that is not to be had, folder by folder. [`Links`] says what holds for symbolic links;
/// only those that stay below are followed at first. So are names that begin with a dot (but `/.well-known/`),
/// unless [allowed](Self::hidden), and what is neither a file nor a folder. The folder is opened once, and
/// stays the one that is served whatever its name stands for later.
///
/// # How files are sent
///
/// Files of up to 64 KiB are read and sent together with the head. What is larger is put into the socket by
/// sendfile(2), the pages of the file by reference: **what is written into a file in place while the
/// client has not got it yet may reach it in the new version**, even though the head tells of the old one.
/// Replace files by rename(2), as most programs do, or [have the bytes copied](Self::share_pages).
/// A file that becomes shorter meanwhile ends the connection, so that the client knows. On a task,
/// what is not in memory is fetched off the worker, names as well.
///
/// # Examples
///
/// ```
/// use aqueduct::http::{Files, Handler, Mux};
///
/// # fn main() -> std::io::Result<()> {
/// let mut mux = Mux::new();
/// mux.handle("/manual/", Files::new("man")?.listing(false).strip_prefix("/manual"))?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Files {
    root: Root,
    index: Vec<Vec<u8>>,
    listing: bool,
    hidden: bool,
    precompressed: bool,
    share_pages: bool,
}

impl Files {
    /// A handler for the files below `folder`.
    ///
    /// # Errors
    ///
    /// Those of opening it.
    pub fn new(folder: impl AsRef<Path>) -> io::Result<Self> {
        Ok(Self {
            root: Root::new(folder.as_ref())?,
            index: vec![b"index.html".to_vec()],
            listing: true,
            hidden: false,
            precompressed: false,
            share_pages: true,
        })
    }

    /// The names of files that stand for their folder, the first that is there: `index.html` at first.
    #[must_use]
    pub fn index<N: Into<OsString>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.index = names.into_iter().map(|name| name.into().into_vec()).collect();
        self
    }

    /// Whether a folder without an index file is listed, as it is at first; else the answer is 403.
    #[must_use]
    pub fn listing(mut self, yes: bool) -> Self {
        self.listing = yes;
        self
    }

    /// Whether names that begin with a dot are served and listed.
    #[must_use]
    pub fn hidden(mut self, yes: bool) -> Self {
        self.hidden = yes;
        self
    }

    /// What becomes of symbolic links: [`Links::Beneath`] at first.
    #[must_use]
    pub fn links(mut self, links: Links) -> Self {
        self.root.links = match links {
            Links::Refused => sys::Links::Refused,
            Links::Beneath => sys::Links::Beneath,
            Links::Followed => sys::Links::Followed,
        };
        self
    }

    /// Whether `name.br`, `name.zst` or `name.gz` is sent in place of `name` to clients that accept such a
    /// `Content-Encoding`. One that is older than `name` is not.
    #[must_use]
    pub fn precompressed(mut self, yes: bool) -> Self {
        self.precompressed = yes;
        self
    }

    /// Whether pages of large files go into the socket by reference, as they do at first: see
    /// [above](Self#how-files-are-sent) and [`Copier::share_pages`](crate::Copier::share_pages).
    #[must_use]
    pub fn share_pages(mut self, yes: bool) -> Self {
        self.share_pages = yes;
        self
    }

    /// What is sent for a folder.
    fn indexed(&self, place: &Place) -> io::Result<Option<(Vec<u8>, Entry)>> {
        for name in &self.index {
            let path = join(&place.path, name);
            match self.root.open(&path) {
                Ok(entry) if entry.about.is_file() => return Ok(Some((path, entry))),
                Ok(_) => {}
                Err(error) if sys::is_absent(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    fn serve_folder(
        &self,
        place: &Place,
        request: &Request<'_>,
        response: &mut Response<'_>,
    ) -> io::Result<()> {
        let found = match self.indexed(place) {
            Ok(Some((path, entry))) => return self.send(&path, &entry, request, response),
            Ok(None) => self.root.open(&place.path),
            Err(error) => Err(error),
        };
        match found {
            Ok(entry) if !entry.about.is_dir() => not_found(response),
            Ok(_) if !self.listing => {
                response.error(StatusCode::FORBIDDEN, "this folder is not listed")
            }
            Ok(entry) => {
                let body = listing::page(&self.root, &place.path, entry.file, self.hidden)?;
                listing::describe(response)?;
                response.send(body)
            }
            Err(error) => refused(error, response),
        }
    }

    /// Sends the file that was opened at `path`, or one of its compressed neighbours.
    fn send(
        &self,
        path: &[u8],
        entry: &Entry,
        request: &Request<'_>,
        response: &mut Response<'_>,
    ) -> io::Result<()> {
        let kind = content_type(root::name(path));
        let mut sending = Sending { entry, coding: "", kind, share_pages: self.share_pages };
        if !self.precompressed {
            return sending.send(request, response);
        }
        response.headers_mut().append(header::VARY, HeaderValue::from_static("accept-encoding"));
        for coding in encoding::accepted(request.headers()) {
            let Ok(other) = self.root.open(&[path, coding.suffix].concat()) else { continue };
            if other.about.is_file() && other.modified() >= entry.modified() {
                (sending.entry, sending.coding) = (&other, coding.name);
                return sending.send(request, response);
            }
        }
        sending.send(request, response)
    }
}

impl Handler for Files {
    fn serve(&self, request: &mut Request<'_>, response: &mut Response<'_>) -> io::Result<()> {
        if ![Method::GET, Method::HEAD].contains(request.method()) {
            response.set(header::ALLOW, HeaderValue::from_static("GET, HEAD"))?;
            return response.error(StatusCode::METHOD_NOT_ALLOWED, "files are only read");
        }
        let Some(place) = path::place(request.uri().path(), self.hidden) else {
            return not_found(response);
        };
        if place.is_folder {
            return self.serve_folder(&place, request, response);
        }
        match self.root.open(&place.path) {
            Ok(entry) if entry.about.is_file() => self.send(&place.path, &entry, request, response),
            Ok(entry) if entry.about.is_dir() => {
                // Relative, since a prefix may have been stripped; with a dot, since a name may look
                // like a scheme.
                let uri = request.uri();
                let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
                let location = format!("./{}/{query}", path::last(uri.path()));
                response.redirect(StatusCode::TEMPORARY_REDIRECT, &location)
            }
            Ok(_) => not_found(response),
            Err(error) => refused(error, response),
        }
    }
}

/// Answers for a file that cannot be opened.
fn refused(error: io::Error, response: &mut Response<'_>) -> io::Result<()> {
    if sys::is_absent(&error) {
        not_found(response)
    } else if sys::is_forbidden(&error) {
        response.error(StatusCode::FORBIDDEN, "this is not for everybody")
    } else {
        Err(error)
    }
}

fn not_found(response: &mut Response<'_>) -> io::Result<()> {
    response.error(StatusCode::NOT_FOUND, "there is nothing here")
}

fn join(folder: &[u8], name: &[u8]) -> Vec<u8> {
    if folder.is_empty() { name.to_vec() } else { [folder, b"/", name].concat() }
}
