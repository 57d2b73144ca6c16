//! Records and lines.

use aqueduct::ReadExt;
use aqueduct::adapters::{Ending, Overlong};
use aqueduct::iotest::{OneByte, Script};
use std::io::{BufRead, BufReader, ErrorKind};

fn all(reader: impl BufRead, max: usize, policy: Overlong) -> Vec<Vec<u8>> {
    let mut records = reader.records(b'\n').max_len(max).overlong(policy);
    let mut list = Vec::new();
    while let Some(record) = records.next().unwrap() {
        list.push(record.to_vec());
    }
    list
}

#[test]
fn overlong_policies_hold_for_every_buffer_size() {
    let input = b"abc\nabcdefgh\n\nab";
    for size in 1..20 {
        let reader = || BufReader::with_capacity(size, &input[..]);
        assert_eq!(all(reader(), 8, Overlong::Error), [&b"abc"[..], b"abcdefgh", b"", b"ab"]);
        assert_eq!(all(reader(), 3, Overlong::Skip), [&b"abc"[..], b"", b"ab"]);
        assert_eq!(all(reader(), 3, Overlong::Truncate), [&b"abc"[..], b"abc", b"", b"ab"]);
        let split = [&b"abc"[..], b"abc", b"def", b"gh", b"", b"ab"];
        assert_eq!(all(reader(), 3, Overlong::Split), split);
        let mut strict = reader().records(b'\n').max_len(3);
        assert_eq!(strict.next().unwrap(), Some(&b"abc"[..]));
        assert_eq!(strict.next().unwrap_err().kind(), ErrorKind::InvalidData);
        assert_eq!(strict.next().unwrap(), Some(&b""[..]));
    }
}

#[test]
fn lines_lose_one_carriage_return_wherever_the_buffer_ends() {
    for size in 1..9 {
        let mut lines = BufReader::with_capacity(size, &b"ab\r\n\r\r\nc\r"[..]).lines_bytes();
        assert_eq!(lines.next().unwrap(), Some(&b"ab"[..]));
        assert!(lines.terminated());
        assert_eq!(lines.next().unwrap(), Some(&b"\r"[..]));
        assert_eq!(lines.next().unwrap(), Some(&b"c"[..]));
        assert_eq!(lines.ending(), Ending::End);
        assert_eq!(lines.next().unwrap(), None);
        assert_eq!(lines.consumed(), 9);
    }
}

#[test]
fn data_goes_before_its_error_and_a_passing_error_splits_nothing() {
    let script = Script::new().data("ab").fail(ErrorKind::WouldBlock).data("c\nde");
    let mut records = BufReader::new(script.fail(ErrorKind::Other).data("f")).records(b'\n');
    assert_eq!(records.next().unwrap_err().kind(), ErrorKind::WouldBlock);
    assert_eq!(records.next().unwrap(), Some(&b"abc"[..]));
    assert_eq!(records.next().unwrap(), Some(&b"de"[..]));
    assert_eq!(records.ending(), Ending::Error);
    assert_eq!(records.next().unwrap_err().kind(), ErrorKind::Other);
    assert_eq!(records.next().unwrap(), Some(&b"f"[..]));
}

#[test]
fn a_borrowed_reader_stands_after_the_last_record() {
    let mut reader = BufReader::new(OneByte::new(&b"one\ntwo\n"[..]));
    assert_eq!((&mut reader).records(b'\n').next().unwrap(), Some(&b"one"[..]));
    assert_eq!((&mut reader).records(b'\n').next().unwrap(), Some(&b"two"[..]));
}
