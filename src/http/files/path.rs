//! Paths of requests as paths of files. No I/O.

use percent_encoding::percent_decode_str;
use std::borrow::Cow;

/// Where something lies below the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// Names with slashes between them: none is empty, a dot or two, or holds a NUL. Empty for the
    /// root itself.
    pub(super) path: Vec<u8>,
    /// A folder is meant: the request's path has ended with a slash.
    pub(super) is_folder: bool,
}

/// What everybody may ask for although its name begins with a dot (RFC 8615).
const WELL_KNOWN: &[u8] = b".well-known";

/// The place that the path of a request names; `None` if it can name none, or a hidden one that is to
/// stay so.
pub(super) fn place(path: &str, hidden: bool) -> Option<Place> {
    let mut place = Place { path: Vec::with_capacity(path.len()), is_folder: true };
    for segment in path.split('/') {
        let name: Cow<'_, [u8]> = percent_decode_str(segment).into();
        place.is_folder = matches!(&*name, b"" | b".");
        if place.is_folder {
            continue;
        }
        let dotted = name.starts_with(b".") && (!place.path.is_empty() || *name != *WELL_KNOWN);
        if *name == *b".." || name.iter().any(|b| matches!(b, b'/' | 0)) || (dotted && !hidden) {
            return None;
        }
        if !place.path.is_empty() {
            place.path.push(b'/');
        }
        place.path.extend_from_slice(&name);
    }
    Some(place)
}

/// The last name in the path of a request, as it stands there.
pub(super) fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use quickcheck::quickcheck;

    #[test]
    fn paths_name_places() {
        let folder = |path: &str| Some(Place { path: path.into(), is_folder: true });
        let file = |path: &str| Some(Place { path: path.into(), is_folder: false });
        for (path, wanted) in [
            ("/", folder("")),
            ("", folder("")),
            ("/a", file("a")),
            ("/a/", folder("a")),
            ("/a/b.txt", file("a/b.txt")),
            ("//a///b", file("a/b")),
            ("/./a/.", folder("a")),
            ("/%2e/a/%2E", folder("a")),
            ("/a%20b/%c3%a4", file("a b/ä")),
            ("/%", file("%")),
            ("/%zz%4", file("%zz%4")),
            ("/a+b", file("a+b")),
            ("/...", None),
            ("/a..", file("a..")),
            ("/.well-known/x", file(".well-known/x")),
            ("/a/.well-known/x", None),
            ("/.git/config", None),
            ("/a/.b", None),
            ("/%2egit/config", None),
            ("/..", None),
            ("/../a", None),
            ("/a/../b", None),
            ("/a/%2e%2e/b", None),
            ("/a/.%2E/b", None),
            ("/a%2fb", None),
            ("/..%2f..%2fetc%2fpasswd", None),
            ("/%2Fetc/passwd", None),
            ("/a%00", None),
            ("/a%00.txt", None),
        ] {
            assert_eq!(place(path, false), wanted, "{path}");
        }
        assert_eq!(place("/...", true), file("..."));
        assert_eq!(place("/.git/config", true), file(".git/config"));
        for path in ["/..", "/a/../b", "/%2e%2e/x", "/.%2e"] {
            assert_eq!(place(path, true), None, "{path}");
        }
        assert_eq!(place("/%ff", false).unwrap().path, b"\xff");
    }

    #[test]
    fn last_names_are_found() {
        for (path, name) in [("/a/b", "b"), ("/a/", ""), ("b", "b"), ("", "")] {
            assert_eq!(last(path), name);
        }
    }

    #[derive(Debug, Clone)]
    struct Path(String);

    impl quickcheck::Arbitrary for Path {
        fn arbitrary(g: &mut quickcheck::Gen) -> Self {
            let pieces = [
                "/", "/", ".", "..", "%2e", "%2F", "%2f", "%00", "%5c", "%25", "2e", "a", "\\",
                "~", "%",
            ];
            let len = usize::arbitrary(g) % 16;
            Self((0..len).filter_map(|_| g.choose(&pieces).copied()).collect())
        }
    }

    quickcheck! {
        fn no_place_is_above_the_root(path: Path, hidden: bool) -> bool {
            place(&path.0, hidden).is_none_or(|place| {
                let path = &place.path;
                let plain = |name: &[u8]| {
                    !matches!(name, b"" | b"." | b"..") && !name.contains(&0)
                };
                path.is_empty() || path.split(|b| *b == b'/').all(plain)
            })
        }
    }
}
