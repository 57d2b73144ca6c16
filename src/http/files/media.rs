//! Media types, by the ends of names.

use http::HeaderValue;
use std::path::Path;

/// The media type of files with such a name, for `Content-Type`, by what follows the last dot of it.
/// Text is taken for UTF-8. `application/octet-stream` if nothing is known.
///
/// ```
/// use aqueduct::http::content_type;
///
/// assert_eq!(content_type("notes/tea.HTML"), "text/html; charset=utf-8");
/// assert_eq!(content_type("pot.png"), "image/png");
/// assert_eq!(content_type("Makefile"), "application/octet-stream");
/// ```
#[must_use]
pub fn content_type(name: impl AsRef<Path>) -> HeaderValue {
    let extension = name.as_ref().extension().and_then(|extension| extension.to_str());
    let known = extension.and_then(|extension| mime_guess::from_ext(extension).first_raw());
    match known {
        None => HeaderValue::from_static("application/octet-stream"),
        Some("text/html") => HeaderValue::from_static("text/html; charset=utf-8"),
        Some("text/plain") => HeaderValue::from_static("text/plain; charset=utf-8"),
        Some("text/css") => HeaderValue::from_static("text/css; charset=utf-8"),
        Some("text/javascript") => HeaderValue::from_static("text/javascript; charset=utf-8"),
        Some(text) if text.starts_with("text/") => {
            let value = HeaderValue::try_from(format!("{text}; charset=utf-8"));
            value.unwrap_or(HeaderValue::from_static("text/plain; charset=utf-8"))
        }
        Some(other) => HeaderValue::from_static(other),
    }
}
