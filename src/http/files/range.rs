//! The field Range. No I/O.

use std::ops::Range;

/// What of a body is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ranges {
    /// All of it: nothing else was asked for, or not in a way that is understood or reasonable.
    All,
    One(Range<u64>),
    /// Two at least, none of them empty, in the order in which they were asked for.
    Many(Vec<Range<u64>>),
    /// Only bytes that do not exist.
    None,
}

/// More than so many ranges are nothing that a reader needs.
const MOST: usize = 64;

/// Reads the value of a Range for a body of `len` bytes.
///
/// A sender may ignore any Range. We ignore those that are malformed or of another unit, and those
/// that would cost more than the whole: too many ranges, or more bytes than there are.
pub(super) fn parse(value: &[u8], len: u64) -> Ranges {
    let Some(set) =
        value.split_at_checked(6).filter(|(unit, _)| unit.eq_ignore_ascii_case(b"bytes="))
    else {
        return Ranges::All;
    };
    // There is no way to tell of none of no bytes, and some clients ask for ranges always.
    if len == 0 {
        return Ranges::All;
    }
    let mut ranges = Vec::new();
    let mut count = 0;
    for spec in set.1.split(|b| *b == b',') {
        let spec = spec.trim_ascii();
        // Lists may have empty elements.
        if spec.is_empty() {
            continue;
        }
        count += 1;
        match one(spec, len) {
            Err(Malformed) => return Ranges::All,
            _ if count > MOST => return Ranges::All,
            Ok(range) => ranges.extend(range),
        }
    }
    let total = ranges.iter().map(|range| range.end - range.start).try_fold(0, u64::checked_add);
    match ranges.len() {
        _ if count == 0 => Ranges::All,
        0 => Ranges::None,
        1 => Ranges::One(ranges.remove(0)),
        _ if total.is_none_or(|total| total > len) => Ranges::All,
        _ => Ranges::Many(ranges),
    }
}

struct Malformed;

/// `a-b`, `a-` or `-n`; `None` if there are no such bytes.
fn one(spec: &[u8], len: u64) -> Result<Option<Range<u64>>, Malformed> {
    let dash = spec.iter().position(|b| *b == b'-').ok_or(Malformed)?;
    let (first, last) = (&spec[..dash], &spec[dash + 1..]);
    if first.is_empty() {
        let n = number(last)?.min(len);
        return Ok((n > 0).then(|| len - n..len));
    }
    let first = number(first)?;
    let end = match last {
        [] => len,
        last => {
            let last = number(last)?;
            if last < first {
                return Err(Malformed);
            }
            last.saturating_add(1).min(len)
        }
    };
    Ok((first < len).then_some(first..end))
}

/// Digits, as many as one likes: beyond 64 bits there is nothing anyway.
fn number(digits: &[u8]) -> Result<u64, Malformed> {
    if digits.is_empty() {
        return Err(Malformed);
    }
    digits.iter().try_fold(0_u64, |number, digit| match digit {
        b'0'..=b'9' => Ok(number.saturating_mul(10).saturating_add(u64::from(digit - b'0'))),
        _ => Err(Malformed),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use quickcheck::quickcheck;

    #[test]
    fn ranges_are_read() {
        use Ranges::{All, Many, None, One};
        for (value, wanted) in [
            ("bytes=0-0", One(0..1)),
            ("bytes=0-9", One(0..10)),
            ("bytes=0-10", One(0..10)),
            ("BYTES=3-5", One(3..6)),
            ("bytes=3-", One(3..10)),
            ("bytes=9-", One(9..10)),
            ("bytes=-3", One(7..10)),
            ("bytes=-10", One(0..10)),
            ("bytes=-11", One(0..10)),
            ("bytes= 3-5 ", One(3..6)),
            ("bytes=,3-5,,", One(3..6)),
            ("bytes=0-1,3-5", Many(vec![0..2, 3..6])),
            ("bytes=3-5 ,\t-1", Many(vec![3..6, 9..10])),
            ("bytes=3-5,10-11", One(3..6)),
            ("bytes=0-99999999999999999999999", One(0..10)),
            ("bytes=-99999999999999999999999", One(0..10)),
            ("bytes=0-18446744073709551615", One(0..10)),
            ("bytes=10-", None),
            ("bytes=10-12,20-", None),
            ("bytes=-0", None),
            ("bytes=99999999999999999999999-", None),
            ("bytes=18446744073709551615-18446744073709551615", None),
            ("bytes=0-9,0-0", All),
            ("bytes=0-5,5-9", All),
            ("bytes=5-3", All),
            ("bytes=", All),
            ("bytes=,", All),
            ("bytes=-", All),
            ("bytes=--1", All),
            ("bytes=1", All),
            ("bytes=a-b", All),
            ("bytes=+1-2", All),
            ("bytes=1 -2", All),
            ("bytes=1-2,x", All),
            ("bytes 1-2", All),
            ("lines=1-2", All),
            ("byte", All),
            ("", All),
        ] {
            assert_eq!(parse(value.as_bytes(), 10), wanted, "{value}");
        }
        for value in ["bytes=0-", "bytes=-1", "bytes=0-0"] {
            assert_eq!(parse(value.as_bytes(), 0), All, "{value} of nothing");
        }
        assert_eq!(parse(b"bytes=0-", u64::MAX), One(0..u64::MAX));
        let apart = |n: u64| (0..n).map(|i| format!("{}-{},", 3 * i, 3 * i)).collect::<String>();
        let many = |n| parse(format!("bytes={}", apart(n)).as_bytes(), 1000);
        assert!(matches!(many(MOST as u64), Many(list) if list.len() == MOST));
        assert_eq!(many(MOST as u64 + 1), All);
    }

    #[derive(Debug, Clone)]
    struct Value(Vec<u8>);

    impl quickcheck::Arbitrary for Value {
        fn arbitrary(g: &mut quickcheck::Gen) -> Self {
            let pieces: [&[u8]; 10] =
                [b"0", b"7", b"-", b"-", b",", b" ", b"9", b"12", b"x", b"18446744073709551615"];
            let len = usize::arbitrary(g) % 12;
            let tail =
                (0..len).flat_map(|_| g.choose(&pieces).copied().unwrap_or_default().to_vec());
            Self(b"bytes=".iter().copied().chain(tail).collect())
        }
    }

    quickcheck! {
        fn ranges_lie_within_and_are_no_more_than_the_whole(value: Value, len: u64) -> bool {
            let len = len % 20;
            let inside = |range: &Range<u64>| range.start < range.end && range.end <= len;
            match parse(&value.0, len) {
                Ranges::All | Ranges::None => true,
                Ranges::One(range) => inside(&range),
                Ranges::Many(list) => {
                    let total: u64 = list.iter().map(|range| range.end - range.start).sum();
                    list.len() > 1 && list.iter().all(inside) && total <= len
                }
            }
        }

        fn any_bytes_are_read(value: Vec<u8>, len: u64) -> bool {
            let _ = parse(&value, len);
            true
        }
    }
}
