//! The heads of responses, as bytes. No I/O; the clock is an argument.

use super::head::names;
use http::header::{self, HeaderMap, HeaderName};
use http::{StatusCode, Version};
use std::io::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How the end of a response's body is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// There is no body, and nothing is said of one.
    Silent,
    /// It has so many bytes; or would have, if it were sent.
    Length(u64),
    /// By the last chunk.
    Chunked,
    /// By the end of the connection.
    Close,
}

/// What becomes of the connection afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    Close,
    KeepAlive,
}

/// Writes a final response's head, and tells what becomes of the connection, which `headers` may ask to
/// be closed. What else they say of framing and connection is left out.
pub(super) fn write_head(
    out: &mut Vec<u8>,
    status: StatusCode,
    headers: &HeaderMap,
    framing: Framing,
    (version, mut after): (Version, After),
    clock: fn() -> SystemTime,
) -> After {
    status_line(out, status);
    let mut dated = false;
    for (name, value) in headers {
        if *name == header::CONTENT_LENGTH || *name == header::TRANSFER_ENCODING {
            continue;
        }
        if *name == header::CONNECTION {
            if names(value, "close") {
                after = After::Close;
            }
            continue;
        }
        dated |= *name == header::DATE;
        field(out, name, value.as_bytes());
    }
    match framing {
        Framing::Silent | Framing::Close => {}
        Framing::Length(n) => {
            out.extend_from_slice(b"Content-Length: ");
            decimal(out, n);
            out.extend_from_slice(b"\r\n");
        }
        Framing::Chunked => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
    }
    match (after, version) {
        (After::Close, _) => out.extend_from_slice(b"Connection: close\r\n"),
        (After::KeepAlive, Version::HTTP_10) => {
            out.extend_from_slice(b"Connection: keep-alive\r\n");
        }
        (After::KeepAlive, _) => {}
    }
    if !dated {
        out.extend_from_slice(b"Date: ");
        out.extend_from_slice(&date(clock()));
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
    after
}

/// Writes the head of an answer that is not the last: 1xx.
pub(super) fn write_interim(out: &mut Vec<u8>, status: StatusCode, headers: &HeaderMap) {
    status_line(out, status);
    for (name, value) in headers {
        field(out, name, value.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

fn status_line(out: &mut Vec<u8>, status: StatusCode) {
    if status == StatusCode::OK {
        out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
        return;
    }
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(status.canonical_reason().unwrap_or_default().as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Writes a field line. Names begin with capitals, as people and old clients are used to.
pub(super) fn field(out: &mut Vec<u8>, name: &HeaderName, value: &[u8]) {
    if *name == header::CONTENT_TYPE {
        // Almost every response has it.
        out.extend_from_slice(b"Content-Type: ");
    } else {
        let mut initial = true;
        out.extend(name.as_str().bytes().map(|b| {
            let b = if initial { b.to_ascii_uppercase() } else { b };
            initial = b == b'-';
            b
        }));
        out.extend_from_slice(b": ");
    }
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

pub(super) fn decimal(out: &mut Vec<u8>, n: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    let mut rest = n;
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// The text of a Date.
type Date = [u8; 29];

thread_local! {
    /// The text of the second that was asked for last.
    static LATEST: std::cell::Cell<(u64, Date)> = const { std::cell::Cell::new((u64::MAX, [0; 29])) };
}

/// The second of `time`. Times that a Date cannot tell become the nearest that it can.
fn second(time: SystemTime) -> u64 {
    /// The end of the year 9999.
    const END: u64 = 253_402_300_799;
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()).min(END)
}

/// `now`, as a Date tells it.
pub(super) fn date(now: SystemTime) -> Date {
    let second = second(now);
    let known = LATEST.try_with(|latest| latest.get()).ok().filter(|(at, _)| *at == second);
    known.map(|(_, text)| text).unwrap_or_else(|| {
        let text = spelled(second);
        let _ = LATEST.try_with(|latest| latest.set((second, text)));
        text
    })
}

/// Another time than now, as a Date tells it.
pub(super) fn date_of(time: SystemTime) -> Date {
    spelled(second(time))
}

fn spelled(second: u64) -> Date {
    let time = UNIX_EPOCH + Duration::from_secs(second);
    let mut text = [b' '; 29];
    // It is as long as that for every year of four digits.
    let _ = write!(&mut text[..], "{}", httpdate::HttpDate::from(time));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn head(
        status: u16,
        headers: &[(HeaderName, &'static str)],
        framing: Framing,
        how: (Version, After),
    ) -> String {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name, HeaderValue::from_static(value));
        }
        let status = StatusCode::from_u16(status).unwrap();
        let mut out = Vec::new();
        let clock = || UNIX_EPOCH + Duration::from_secs(784_111_777);
        let after = write_head(&mut out, status, &map, framing, how, clock);
        assert_eq!(after, how.1);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn heads_are_written() {
        use After::{Close, KeepAlive};
        use Framing::{Chunked, Length, Silent};
        const DATE: &str = "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n";
        let (new, old) = (Version::HTTP_11, Version::HTTP_10);
        let text = (header::CONTENT_TYPE, "text/plain");
        let own_date = (header::DATE, "today");
        let ours = [
            (header::CONTENT_LENGTH, "99"),
            (header::TRANSFER_ENCODING, "gzip"),
            (header::CONNECTION, "upgrade"),
        ];
        let table: &[(String, String)] = &[
            (
                head(200, &[text], Length(13), (new, KeepAlive)),
                format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n{DATE}"
                ),
            ),
            (
                head(404, &ours, Chunked, (new, Close)),
                format!(
                    "HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n{DATE}"
                ),
            ),
            (
                head(599, &[], Length(u64::MAX), (old, KeepAlive)),
                format!(
                    "HTTP/1.1 599 \r\nContent-Length: 18446744073709551615\r\nConnection: keep-alive\r\n{DATE}"
                ),
            ),
            (
                head(204, &[own_date], Silent, (new, KeepAlive)),
                "HTTP/1.1 204 No Content\r\nDate: today\r\n\r\n".into(),
            ),
        ];
        for (got, wanted) in table {
            assert_eq!(got, wanted);
        }
    }

    #[test]
    fn several_values_are_several_lines() {
        let cookies = [(header::SET_COOKIE, "a=1"), (header::SET_COOKIE, "b=2")];
        let text = head(200, &cookies, Framing::Silent, (Version::HTTP_11, After::KeepAlive));
        assert!(text.contains("Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n"), "{text}");
    }

    #[test]
    fn dates_are_told_for_every_time() {
        let text = |time| String::from_utf8(date(time).to_vec()).unwrap();
        assert_eq!(text(UNIX_EPOCH), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(text(UNIX_EPOCH - Duration::from_secs(1)), "Thu, 01 Jan 1970 00:00:00 GMT");
        let far = UNIX_EPOCH + Duration::from_secs(1 << 50);
        assert_eq!(text(far), "Fri, 31 Dec 9999 23:59:59 GMT");
        assert_eq!(text(UNIX_EPOCH + Duration::from_millis(1999)), "Thu, 01 Jan 1970 00:00:01 GMT");
    }

    #[test]
    fn numbers_are_told() {
        for n in [0, 7, 10, 99, 100, u64::MAX] {
            let mut out = Vec::new();
            decimal(&mut out, n);
            assert_eq!(out, n.to_string().into_bytes());
        }
    }
}
