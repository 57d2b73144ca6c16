//! The conditions of a request: RFC 9110, 13. No I/O and no clock.

use http::{HeaderMap, Method, header};
use std::time::{SystemTime, UNIX_EPOCH};

/// What becomes of a request whose conditions were looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Go,
    /// 304.
    NotModified,
    /// 412.
    Failed,
}

/// Looks at the conditions of a request for what is described by the fields `ours`, its ETag and
/// Last-Modified. There is something, so `*` matches.
pub(super) fn check(method: &Method, theirs: &HeaderMap, ours: &HeaderMap) -> Verdict {
    let tag = ours.get(header::ETAG).map(|value| value.as_bytes());
    let reads = [Method::GET, Method::HEAD].contains(method);
    if theirs.contains_key(header::IF_MATCH) {
        if !names(theirs, header::IF_MATCH, |their| tag.is_some_and(|tag| same(tag, their))) {
            return Verdict::Failed;
        }
    } else if let Some(at) = date(theirs, header::IF_UNMODIFIED_SINCE) {
        if date(ours, header::LAST_MODIFIED).is_some_and(|modified| modified > at) {
            return Verdict::Failed;
        }
    }
    if theirs.contains_key(header::IF_NONE_MATCH) {
        if names(theirs, header::IF_NONE_MATCH, |their| tag.is_some_and(|tag| alike(tag, their))) {
            return if reads { Verdict::NotModified } else { Verdict::Failed };
        }
    } else if let Some(at) = date(theirs, header::IF_MODIFIED_SINCE).filter(|_| reads) {
        if date(ours, header::LAST_MODIFIED).is_some_and(|modified| modified <= at) {
            return Verdict::NotModified;
        }
    }
    Verdict::Go
}

/// Whether the range that was asked for is to be sent, and not the whole: the client has the same
/// version, or says nothing of it.
pub(super) fn range_holds(theirs: &HeaderMap, ours: &HeaderMap) -> bool {
    let mut values = theirs.get_all(header::IF_RANGE).iter();
    let Some(value) = values.next() else { return true };
    let value = value.as_bytes();
    if values.next().is_some() {
        return false;
    }
    if value.starts_with(b"\"") || value.starts_with(b"W/") {
        return ours.get(header::ETAG).is_some_and(|tag| same(tag.as_bytes(), value));
    }
    let at = date(theirs, header::IF_RANGE);
    at.is_some() && at == date(ours, header::LAST_MODIFIED)
}

/// A date that stands there once and is one, in seconds.
fn date(headers: &HeaderMap, name: header::HeaderName) -> Option<u64> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    let time: SystemTime = httpdate::parse_http_date(value.to_str().ok()?).ok()?;
    values.next().is_none().then(|| time.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs()))
}

/// The strong comparison of two entity tags.
fn same(a: &[u8], b: &[u8]) -> bool {
    a == b && a.starts_with(b"\"")
}

/// The weak comparison.
fn alike(a: &[u8], b: &[u8]) -> bool {
    fn opaque(tag: &[u8]) -> &[u8] {
        tag.strip_prefix(b"W/").unwrap_or(tag)
    }
    opaque(a) == opaque(b)
}

/// Whether the list of tags is `*`, or `is` holds for one of them. What is malformed ends the list.
fn names(headers: &HeaderMap, name: header::HeaderName, is: impl Fn(&[u8]) -> bool) -> bool {
    headers.get_all(name).iter().any(|value| {
        let mut rest = value.as_bytes().trim_ascii();
        if rest == b"*" {
            return true;
        }
        while let Some((tag, after)) = tag(rest) {
            if is(tag) {
                return true;
            }
            rest = after;
        }
        false
    })
}

/// The first tag of a list, and what follows it.
fn tag(list: &[u8]) -> Option<(&[u8], &[u8])> {
    let blank = |b: &&u8| matches!(**b, b' ' | b'\t' | b',');
    let list = &list[list.iter().take_while(blank).count()..];
    let open = if list.starts_with(b"W/") { 2 } else { 0 };
    let opaque = list.get(open..)?.strip_prefix(b"\"")?;
    let len = opaque.iter().position(|b| *b == b'"')?;
    let is_tag = |b: &u8| *b == 0x21 || matches!(*b, 0x23..=0x7e | 0x80..);
    if !opaque[..len].iter().all(is_tag) {
        return None;
    }
    let (tag, after) = list.split_at(open + len + 2);
    matches!(after.first(), None | Some(b' ' | b'\t' | b',')).then_some((tag, after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};
    use std::str::FromStr;

    fn map(fields: &[(&str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&str, &str)| {
            (HeaderName::from_str(name).unwrap(), HeaderValue::from_str(value).unwrap())
        };
        let mut map = HeaderMap::new();
        for (name, value) in fields.iter().map(pair) {
            map.append(name, value);
        }
        map
    }

    const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
    const AT: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const AFTER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

    #[test]
    fn conditions_are_judged() {
        use Verdict::{Failed, Go, NotModified};
        let strong = map(&[("etag", "\"a\""), ("last-modified", AT)]);
        let weak = map(&[("etag", "W/\"a\""), ("last-modified", AT)]);
        let bare = map(&[]);
        type Row<'a> = (&'a [(&'a str, &'a str)], [Verdict; 3]);
        let table: &[Row<'_>] = &[
            (&[], [Go, Go, Go]),
            (&[("if-match", "\"a\"")], [Go, Failed, Failed]),
            (&[("if-match", "*")], [Go, Go, Go]),
            (&[("if-match", "\"b\", \"a\"")], [Go, Failed, Failed]),
            (&[("if-match", "\"b\""), ("if-match", "\"a\"")], [Go, Failed, Failed]),
            (&[("if-match", "W/\"a\"")], [Failed, Failed, Failed]),
            (&[("if-match", "a")], [Failed, Failed, Failed]),
            (&[("if-match", "\"a\""), ("if-unmodified-since", BEFORE)], [Go, Failed, Failed]),
            (&[("if-unmodified-since", BEFORE)], [Failed, Failed, Go]),
            (&[("if-unmodified-since", AT)], [Go, Go, Go]),
            (&[("if-unmodified-since", "yesterday")], [Go, Go, Go]),
            (&[("if-none-match", "\"a\"")], [NotModified, NotModified, Go]),
            (&[("if-none-match", "W/\"a\"")], [NotModified, NotModified, Go]),
            (&[("if-none-match", "\"b\",\tW/\"a\"")], [NotModified, NotModified, Go]),
            (&[("if-none-match", "*")], [NotModified, NotModified, NotModified]),
            (&[("if-none-match", "\"b\"")], [Go, Go, Go]),
            (&[("if-none-match", "\"b\"\"a\"")], [Go, Go, Go]),
            (&[("if-none-match", "\"b\" x, \"a\"")], [Go, Go, Go]),
            (&[("if-none-match", "\"b\""), ("if-modified-since", AFTER)], [Go, Go, Go]),
            (&[("if-modified-since", BEFORE)], [Go, Go, Go]),
            (&[("if-modified-since", AT)], [NotModified, NotModified, Go]),
            (&[("if-modified-since", AFTER)], [NotModified, NotModified, Go]),
            (&[("if-modified-since", "0")], [Go, Go, Go]),
            (&[("if-modified-since", AT), ("if-modified-since", AT)], [Go, Go, Go]),
            (&[("if-match", "\"a\""), ("if-none-match", "\"a\"")], [NotModified, Failed, Failed]),
        ];
        for (fields, wanted) in table {
            let theirs = map(fields);
            let got = [&strong, &weak, &bare].map(|ours| check(&Method::GET, &theirs, ours));
            assert_eq!(got, *wanted, "{fields:?}");
            let post = [&strong, &weak, &bare].map(|ours| check(&Method::POST, &theirs, ours));
            let of_post = wanted.map(|verdict| match verdict {
                NotModified if theirs.contains_key("if-none-match") => Failed,
                NotModified => Go,
                other => other,
            });
            assert_eq!(post, of_post, "POST {fields:?}");
        }
    }

    #[test]
    fn ranges_hold_for_the_very_same_version() {
        let strong = map(&[("etag", "\"a\""), ("last-modified", AT)]);
        let weak = map(&[("etag", "W/\"a\""), ("last-modified", AT)]);
        let bare = map(&[]);
        for (value, wanted) in [
            ("\"a\"", [true, false, false]),
            ("\"b\"", [false, false, false]),
            ("W/\"a\"", [false, false, false]),
            (AT, [true, true, false]),
            (BEFORE, [false, false, false]),
            (AFTER, [false, false, false]),
            ("a", [false, false, false]),
            ("", [false, false, false]),
        ] {
            let theirs = map(&[("if-range", value)]);
            let got = [&strong, &weak, &bare].map(|ours| range_holds(&theirs, ours));
            assert_eq!(got, wanted, "{value}");
        }
        assert!(range_holds(&bare, &strong));
        assert!(!range_holds(&map(&[("if-range", "\"a\""), ("if-range", "\"a\"")]), &strong));
    }
}
