//! Chunked bodies as raw bytes, whole and cut in two at every place.

use super::super::verdict;
use super::*;
use http::StatusCode;
use quickcheck::quickcheck;

const LIMITS: Limits = Limits { bytes: 60, fields: 3 };

fn decode_cut(bytes: &[u8], cuts: &[usize]) -> verdict::Chunked {
    verdict::chunked(bytes, cuts, LIMITS)
}

/// The verdict, which is the same however the bytes arrive.
fn decode(bytes: &[u8]) -> verdict::Chunked {
    let whole = decode_cut(bytes, &[]);
    let one_by_one: Vec<_> = (0..bytes.len()).collect();
    assert_eq!(whole, decode_cut(bytes, &one_by_one), "byte by byte: {bytes:?}");
    for cut in (0..bytes.len()).step_by(1 + bytes.len() / 100) {
        assert_eq!(whole, decode_cut(bytes, &[cut]), "cut at {cut}: {bytes:?}");
    }
    whole
}

#[track_caller]
fn accepted(text: &str) -> String {
    let Ok(Some((data, _, taken))) = decode(text.as_bytes()) else { panic!("{text:?}") };
    assert_eq!(taken, text.len(), "{text:?}");
    String::from_utf8(data).unwrap()
}

#[track_caller]
fn refused(bytes: impl AsRef<[u8]>) -> u16 {
    let bytes = bytes.as_ref();
    match decode(bytes) {
        Err(status) => status.as_u16(),
        other => panic!("{:?}: {other:?}", String::from_utf8_lossy(bytes)),
    }
}

#[test]
fn bodies_are_taken_apart() {
    assert_eq!(accepted("0\r\n\r\n"), "");
    assert_eq!(accepted("3\r\nabc\r\n0\r\n\r\n"), "abc");
    assert_eq!(accepted("3\r\nabc\r\n00B\r\n0123456789\n\r\n000\r\n\r\n"), "abc0123456789\n");
    assert_eq!(accepted("000000000000000a\r\n0123456789\r\n0\r\n\r\n"), "0123456789");
    // A size in the data is data.
    assert_eq!(accepted("5\r\n0\r\n\r\n\r\n0\r\n\r\n"), "0\r\n\r\n");
}

#[test]
fn what_follows_the_body_is_left() {
    let (_, _, taken) = decode(b"1\r\nx\r\n0\r\n\r\nGET / HTTP/1.1").unwrap().unwrap();
    assert_eq!(taken, 11);
}

#[test]
fn trailers_are_found() {
    let (data, trailers, _) = decode(b"1\r\nx\r\n0\r\nA: b\r\nC:d\r\n\r\n").unwrap().unwrap();
    assert_eq!((data.as_slice(), trailers.as_slice()), (&b"x"[..], &b"A: b\r\nC:d\r\n\r\n"[..]));
    assert_eq!(refused("0\r\nA: b\n\r\n"), 400);
    assert_eq!(refused("0\r\n\n"), 400);
    assert_eq!(refused(format!("0\r\n{}\r\n", "a:b\r\n".repeat(4))), 431);
    let fits = format!("0\r\na:{}\r\n\r\n", "b".repeat(LIMITS.bytes - 6));
    accepted(&fits);
    assert_eq!(refused(fits.replace("a:", "a:b")), 431);
    assert_eq!(refused(format!("0\r\na:{}", "b".repeat(LIMITS.bytes))), 431);
}

#[test]
fn sizes() {
    for bad in [
        "\r\n",
        " 1\r\n",
        "+1\r\n",
        "-1\r\n",
        "0x1\r\n",
        "g\r\n",
        "1g\r\n",
        "1 \r\n",
        "1\t\r\n",
        "1,1\r\n",
        "1\n",
        "\n1\r\n",
        "1\r\r\n",
        "1\rx\r\n",
        "1\0\r\n",
        "\u{661}\r\n",
        "10000000000000000\r\n",
        "00000000000000001\r\n",
        "fffffffffffffffff",
    ] {
        assert_eq!(refused(format!("{bad}x\r\n0\r\n\r\n")), 400, "{bad:?}");
    }
    // Before the end of the line, which may never come.
    for start in ["x", " ", "1111111111111111111"] {
        assert_eq!(refused(start), 400, "{start:?}");
    }
    let mut decoder = Decoder::new();
    let next = decoder.next(b"ffffFFFFffffFFFF\r\n", LIMITS).unwrap().1;
    assert_eq!(next, Next::Data(u64::MAX));
}

#[test]
fn chunks_end_where_they_should() {
    for bad in ["1\r\nxy\r\n", "1\r\nx\n", "1\r\nx\rx", "1\r\nx0\r\n\r\n", "1\r\n\r\n\n0\r\n\r\n"] {
        assert_eq!(refused(bad), 400, "{bad:?}");
    }
    for more in [
        "",
        "1",
        "1\r",
        "1\r\n",
        "1\r\nx",
        "1\r\nx\r",
        "1\r\nx\r\n",
        "0\r\n",
        "0\r\n\r",
        "0\r\na: b",
    ] {
        assert_eq!(decode(more.as_bytes()), Ok(None), "{more:?}");
    }
}

#[test]
fn extensions() {
    for good in [
        ";a",
        " ;a",
        "\t ; a",
        ";a=b",
        ";a = b ; c",
        ";a=\"\"",
        ";a=\"b;\\\"c\\\\\t\u{e9}\"",
        ";a;b=\"c\";d=e",
    ] {
        assert_eq!(accepted(&format!("1{good}\r\nx\r\n0{good}\r\n\r\n")), "x", "{good:?}");
    }
    for bad in [
        ";",
        ";;a",
        ";a;",
        ";a=",
        ";=b",
        ";a b",
        ";a=b c",
        ";a=\"b",
        ";a=\"b\"c",
        ";a=\"\0\"",
        ";a=\"\\\0\"",
        ";a=\"\x7f\"",
        ";a\0",
        ";a=\u{e9}",
        ";a\r;b",
        ";a ",
        ";a=\"\n\"",
        "a;b ",
    ] {
        assert_eq!(refused(format!("1{bad}\r\nx\r\n0\r\n\r\n")), 400, "{bad:?}");
    }
}

#[test]
fn lines_are_limited_to_the_byte() {
    let line = |len: usize| format!("1;{}\r\nx\r\n0\r\n\r\n", "a".repeat(len - 4));
    let whole = |text: String| decode_cut(text.as_bytes(), &[]);
    assert!(whole(line(LINE)).is_ok());
    assert_eq!(whole(line(LINE + 1)), Err(StatusCode::BAD_REQUEST));
    assert_eq!(whole(format!("1;{}", "a".repeat(LINE))), Err(StatusCode::BAD_REQUEST));
}

#[test]
fn framing_may_not_outweigh_data() {
    let whole = |text: String| decode_cut(text.as_bytes(), &[]);
    // A byte a chunk is slow, and allowed for ever.
    assert!(whole("1\r\nx\r\n".repeat(100_000) + "0\r\n\r\n").is_ok());
    let wasteful = format!("1;{}\r\nx\r\n", "a".repeat(1000));
    assert!(whole(wasteful.repeat(16) + "0\r\n\r\n").is_ok());
    assert_eq!(whole(wasteful.repeat(17)), Err(StatusCode::BAD_REQUEST));
    // With as much data, it is in order.
    let heavy = format!("400;{}\r\n{}\r\n", "a".repeat(1000), "x".repeat(1024));
    assert!(whole(heavy.repeat(100) + "0\r\n\r\n").is_ok());
}

quickcheck! {
    fn what_is_encoded_is_decoded(chunks: Vec<Vec<u8>>, next: Vec<u8>) -> bool {
        let mut body = Vec::new();
        for chunk in chunks.iter().filter(|chunk| !chunk.is_empty()) {
            begin_chunk(&mut body, chunk.len());
            body.extend_from_slice(chunk);
            body.extend_from_slice(END_OF_CHUNK);
        }
        body.extend_from_slice(LAST_CHUNK);
        body.extend_from_slice(b"\r\n");
        let len = body.len();
        body.extend_from_slice(&next);
        decode(&body) == Ok(Some((chunks.concat(), b"\r\n".to_vec(), len)))
    }

    fn any_bytes_get_one_verdict(bytes: Vec<u8>) -> bool {
        let _ = decode(&bytes);
        true
    }

    fn sizes_are_told(len: usize) -> bool {
        let len = len.max(1);
        let mut out = Vec::new();
        begin_chunk(&mut out, len);
        out == format!("{len:x}\r\n").into_bytes()
    }

    fn a_byte_changed_gets_one_verdict(at: usize, byte: u8) -> bool {
        let mut body = b"3;a=\"b\"\r\nabc\r\n1\r\nx\r\n0\r\nA: b\r\n\r\n".to_vec();
        let at = at % body.len();
        body[at] = byte;
        let _ = decode(&body);
        true
    }
}
