//! Readers one after the other.

use aqueduct::adapters::multi_reader;
use aqueduct::iotest::Script;
use aqueduct::{ReadExt, copy};
use std::io::{BufRead, ErrorKind, Read};

#[test]
fn an_error_stays_with_its_part_and_an_empty_buffer_proves_nothing() {
    let mut multi = multi_reader([
        Script::new().data("a").fail(ErrorKind::Other).data("b"),
        Script::new().data("c"),
    ]);
    assert_eq!(multi.read(&mut []).unwrap(), 0);
    let mut all = Vec::new();
    assert_eq!(multi.read_to_end(&mut all).unwrap_err().kind(), ErrorKind::Other);
    multi.read_to_end(&mut all).unwrap();
    assert_eq!(all, b"abc");
}

#[test]
fn flattened_pushed_copied_and_buffered() {
    let nest = || multi_reader([multi_reader([&b"a"[..], b""]), multi_reader([&b"b"[..], b"c"])]);
    let mut flat = nest().flatten();
    flat.push(b"d");
    let mut out = Vec::new();
    assert_eq!(copy(&mut flat, &mut out).unwrap(), 4);
    assert_eq!(out, b"abcd");
    let mut lines = Vec::new();
    nest().count().read_until(b'c', &mut lines).unwrap();
    assert_eq!(lines, b"abc");
    assert_eq!(multi_reader([&b""[..]; 0]).read(&mut [0]).unwrap(), 0);
}
