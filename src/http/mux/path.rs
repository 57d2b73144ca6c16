//! Paths in their plainest form.

use percent_encoding::percent_decode_str;
use std::borrow::Cow;

/// The segment `text`, decoded, unless that is not UTF-8.
pub(super) fn decoded(text: &str) -> Option<Cow<'_, str>> {
    match text.contains('%') {
        true => percent_decode_str(text).decode_utf8().ok(),
        false => Some(Cow::Borrowed(text)),
    }
}

/// `path` without dots and empty segments, if it has any. Dots count however they are written.
pub(super) fn cleaned(path: &str) -> Option<String> {
    // Only after a slash can something begin that does not belong there.
    let suspect = |two: &[u8]| two[0] == b'/' && matches!(two[1], b'/' | b'.' | b'%');
    if path.starts_with('/') && !path.as_bytes().windows(2).any(suspect) {
        return None;
    }
    let segments = || path.strip_prefix('/').unwrap_or(path).split('/');
    let last = segments().count() - 1;
    let odd = |(at, text): (usize, &str)| (text.is_empty() && at < last) || dots(text).is_some();
    if path.starts_with('/') && !segments().enumerate().any(odd) {
        return None;
    }
    let mut kept: Vec<&str> = Vec::new();
    let mut open = false;
    for text in segments() {
        open = true;
        match dots(text) {
            Some(1) => {}
            Some(_) => drop(kept.pop()),
            None if text.is_empty() => {}
            None => {
                kept.push(text);
                open = false;
            }
        }
    }
    let mut clean = kept.iter().fold(String::new(), |path, text| path + "/" + text);
    if open {
        clean.push('/');
    }
    Some(clean)
}

/// How many dots `text` is, if it is one or two.
fn dots(text: &str) -> Option<usize> {
    if !text.starts_with(['.', '%']) {
        return None;
    }
    match text.to_ascii_lowercase().as_str() {
        "." | "%2e" => Some(1),
        ".." | ".%2e" | "%2e." | "%2e%2e" => Some(2),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned() {
        for clean in
            ["/", "/a", "/a/", "/a/b", "/...", "/.a", "/a..", "/%2ea", "/a%2f..", "/%2e%2f"]
        {
            assert_eq!(cleaned(clean), None, "{clean}");
        }
        for (path, clean) in [
            ("", "/"),
            ("//", "/"),
            ("//a", "/a"),
            ("/a//b", "/a/b"),
            ("/a//", "/a/"),
            ("/.", "/"),
            ("/./a", "/a"),
            ("/a/.", "/a/"),
            ("/..", "/"),
            ("/../../a", "/a"),
            ("/a/..", "/"),
            ("/a/b/..", "/a/"),
            ("/a/b/../c", "/a/c"),
            ("/a/%2E%2e/b", "/b"),
            ("/a/.%2e/%2E/b/", "/b/"),
            ("//evil.example/..", "/"),
        ] {
            assert_eq!(cleaned(path).as_deref(), Some(clean), "{path}");
            assert_eq!(cleaned(clean), None, "{clean} is clean");
        }
    }
}
