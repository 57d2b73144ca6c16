//! Readers and writers with a bound: limit, limit_strict, exact, skip, limit_writes, and the
//! helpers that fill a buffer.

use aqueduct::{ReadExt, WriteExt, copy};
use std::cell::Cell;
use std::io::{self, BufRead, BufReader, ErrorKind, IoSlice, IoSliceMut, Read, Write};

/// Fails the test if it is touched.
struct Untouchable;

impl Read for Untouchable {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        panic!("the reader was touched")
    }
}

impl BufRead for Untouchable {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        panic!("the reader was touched")
    }

    fn consume(&mut self, _: usize) {}
}

/// Answers one result after the other, and counts how often it is asked.
struct Script<'a> {
    answers: Vec<Result<&'a [u8], ErrorKind>>,
    asked: &'a Cell<usize>,
}

impl<'a> Script<'a> {
    fn new(asked: &'a Cell<usize>, answers: &[Result<&'a [u8], ErrorKind>]) -> Self {
        Self { answers: answers.iter().rev().copied().collect(), asked }
    }
}

impl Read for Script<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.asked.set(self.asked.get() + 1);
        let Some(answer) = self.answers.pop() else { return Ok(0) };
        let bytes = answer?;
        let n = bytes.len().min(buf.len());
        buf[..n].copy_from_slice(&bytes[..n]);
        if n < bytes.len() {
            self.answers.push(Ok(&bytes[n..]));
        }
        Ok(n)
    }
}

/// Claims one byte more than it was given room for.
struct Liar;

impl Read for Liar {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        Ok(buf.len() + 1)
    }

    fn read_vectored(&mut self, _: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        Ok(usize::MAX)
    }
}

impl Write for Liar {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        Ok(buf.len() + 1)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn all(mut reader: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn copied(mut source: impl aqueduct::source::Source) -> (Vec<u8>, Option<ErrorKind>) {
    let mut out = Vec::new();
    let failed = copy(&mut source, &mut out).err().map(|error| error.kind());
    (out, failed)
}

#[test]
fn limit_of_zero_does_not_touch_the_reader() {
    let mut none = Untouchable.limit(0);
    assert_eq!(none.read(&mut [0; 4]).unwrap(), 0);
    assert_eq!(none.fill_buf().unwrap(), b"");
    assert_eq!(none.read_vectored(&mut [IoSliceMut::new(&mut [0; 4])]).unwrap(), 0);
    assert_eq!(Untouchable.exact(0).read(&mut [0; 4]).unwrap(), 0);
}

#[test]
fn limit_beyond_the_end_is_no_error() {
    assert_eq!(all((&b"abc"[..]).limit(u64::MAX)).unwrap(), b"abc");
    assert_eq!(copied((&b"abc"[..]).limit(10)), (b"abc".to_vec(), None));
}

#[test]
fn limit_counts_what_is_consumed() {
    let mut lines = BufReader::new(&b"one\ntwo\nthree"[..]).limit(9);
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    assert_eq!((&line[..], lines.remaining()), ("one\n", 5));
    line.clear();
    lines.read_line(&mut line).unwrap();
    lines.read_line(&mut line).unwrap();
    assert_eq!(line, "two\nt");
    lines.consume(100);
    assert_eq!(all(lines.into_inner()).unwrap(), b"hree");
}

#[test]
fn limit_can_be_set_again() {
    let mut source = (&b"abcdef"[..]).limit(2);
    assert_eq!(all(&mut source).unwrap(), b"ab");
    source.set_remaining(3);
    assert_eq!(all(&mut source).unwrap(), b"cde");
}

#[test]
fn limit_bounds_vectored_reads() {
    for limit in 0..8 {
        let mut source = (&b"abcdefgh"[..]).limit(limit);
        let mut bytes = Vec::<u8>::new();
        loop {
            let (mut a, mut b) = ([0; 2], [0; 3]);
            let mut bufs = [&mut [][..], &mut a, &mut b].map(IoSliceMut::new);
            let n = source.read_vectored(&mut bufs).unwrap();
            bytes.extend(a.iter().chain(&b).take(n));
            if n == 0 {
                break;
            }
        }
        assert_eq!(bytes, b"abcdefgh"[..limit as usize]);
    }
}

#[test]
fn limits_nest() {
    let (bytes, _) = copied((&b"abcdef"[..]).limit(5).limit(3).limit(4));
    assert_eq!(bytes, b"abc");
}

#[test]
fn a_lying_reader_is_invalid_data() {
    let mut buf = [0; 4];
    let mut results = vec![
        Liar.limit(9).read(&mut buf),
        Liar.limit_strict(9).read(&mut buf),
        Liar.exact(9).read(&mut buf),
        Liar.skip(9).read(&mut buf),
        Liar.tee(Vec::new()).read(&mut buf),
        Liar.read_full(&mut buf),
        Liar.limit_writes(9).write(b"abc"),
    ];
    for limit in [2, 9] {
        results.push(Liar.limit(limit).read_vectored(&mut [IoSliceMut::new(&mut buf)]));
        results.push(Liar.limit_strict(limit).read_vectored(&mut [IoSliceMut::new(&mut buf)]));
        results.push(Liar.exact(limit).read_vectored(&mut [IoSliceMut::new(&mut buf)]));
    }
    for result in results {
        assert_eq!(result.unwrap_err().kind(), ErrorKind::InvalidData);
    }
}

#[test]
fn limit_strict_lets_what_fits_pass() {
    assert_eq!(all((&b"abcd"[..]).limit_strict(4)).unwrap(), b"abcd");
    assert_eq!(copied((&b"abcd"[..]).limit_strict(4)), (b"abcd".to_vec(), None));
    assert_eq!(copied((&b"abc"[..]).limit_strict(4)), (b"abc".to_vec(), None));
}

#[test]
fn limit_strict_hands_out_the_limit_and_then_fails() {
    let (bytes, kind) = copied((&b"abcde"[..]).limit_strict(4));
    assert_eq!((&bytes[..], kind), (&b"abcd"[..], Some(ErrorKind::FileTooLarge)));
    let mut source = (&b"abcde"[..]).limit_strict(4);
    assert_eq!(source.fill_buf().unwrap(), b"abcd");
    source.consume(9);
    assert_eq!(source.fill_buf().unwrap_err().kind(), ErrorKind::FileTooLarge);
    assert_eq!(source.read(&mut [0]).unwrap_err().kind(), ErrorKind::FileTooLarge);
    assert_eq!(source.excess(), None);
    assert_eq!(source.into_inner(), b"e");
}

#[test]
fn limit_strict_probes_once() {
    for (beyond, end) in [(&b"x"[..], Some(ErrorKind::FileTooLarge)), (b"", None)] {
        let asked = Cell::new(0);
        let mut source = Script::new(&asked, &[Ok(b"ab"), Ok(beyond), Ok(b"late")]).limit_strict(2);
        assert_eq!(source.read(&mut [0; 9]).unwrap(), 2);
        for _ in 0..3 {
            assert_eq!(source.read(&mut [0; 9]).err().map(|e| e.kind()), end);
        }
        assert_eq!(asked.get(), 2);
    }
}

#[test]
fn limit_strict_asks_again_after_a_probe_that_failed() {
    let asked = Cell::new(0);
    let script = [Ok(&b"ab"[..]), Err(ErrorKind::WouldBlock), Err(ErrorKind::Interrupted)];
    let mut source = Script::new(&asked, &script).limit_strict(2);
    assert_eq!(source.read(&mut [0; 9]).unwrap(), 2);
    assert_eq!(source.read(&mut [0; 9]).unwrap_err().kind(), ErrorKind::WouldBlock);
    assert_eq!(all(source).unwrap(), b"");
}

#[test]
fn limit_strict_ignores_an_empty_buffer() {
    let mut source = Untouchable.limit_strict(0);
    assert_eq!(source.read(&mut []).unwrap(), 0);
    assert_eq!(source.read_vectored(&mut [IoSliceMut::new(&mut [])]).unwrap(), 0);
}

#[test]
fn exact_leaves_the_rest() {
    let mut source = &b"abcdef"[..];
    assert_eq!(all(source.by_ref().exact(4)).unwrap(), b"abcd");
    assert_eq!(source, b"ef");
    assert_eq!(copied((&b"abcdef"[..]).exact(4)), (b"abcd".to_vec(), None));
}

#[test]
fn exact_fails_where_the_reader_is_short() {
    let (bytes, kind) = copied((&b"abc"[..]).exact(4));
    assert_eq!((&bytes[..], kind), (&b"abc"[..], Some(ErrorKind::UnexpectedEof)));
    let mut source = (&b"abc"[..]).exact(4);
    source.consume(3);
    assert_eq!(source.fill_buf().unwrap_err().kind(), ErrorKind::UnexpectedEof);
    assert_eq!(source.read(&mut []).unwrap(), 0, "an empty buffer proves nothing");
    assert_eq!(source.remaining(), 1);
    let empty = source.read_vectored(&mut [IoSliceMut::new(&mut [])]);
    assert_eq!(empty.unwrap(), 0);
}

#[test]
fn skip_leaves_out_the_first_bytes() {
    for n in 0..9 {
        let expected = &b"abcdef"[n.min(6)..];
        assert_eq!(all((&b"abcdef"[..]).skip(n as u64)).unwrap(), expected);
        assert_eq!(copied((&b"abcdef"[..]).skip(n as u64)).0, expected);
        let mut buffered = (&b"abcdef"[..]).skip(n as u64);
        assert_eq!(buffered.fill_buf().unwrap(), expected);
        let (mut a, mut b) = ([0; 2], [0; 9]);
        let mut bufs = [&mut a[..], &mut b].map(IoSliceMut::new);
        let read = (&b"abcdef"[..]).skip(n as u64).read_vectored(&mut bufs).unwrap();
        assert_eq!(read, expected.len());
    }
}

#[test]
fn skip_is_longer_than_any_buffer() {
    let mut source = io::repeat(1).limit(1 << 20).chain(&b"tail"[..]).skip(1 << 20);
    let mut two = [0; 2];
    source.read_exact(&mut two).unwrap();
    assert_eq!(&two, b"ta");
}

#[test]
fn skip_keeps_its_count_over_errors() {
    let asked = Cell::new(0);
    let script = [
        Ok(&b"abc"[..]),
        Err(ErrorKind::Interrupted),
        Ok(b"d"),
        Err(ErrorKind::WouldBlock),
        Ok(b"efg"),
    ];
    let mut source = Script::new(&asked, &script).skip(5);
    assert_eq!(source.read(&mut []).unwrap(), 0);
    assert_eq!(asked.get(), 0);
    assert_eq!(source.read(&mut [0; 9]).unwrap_err().kind(), ErrorKind::WouldBlock);
    assert_eq!(source.remaining(), 1);
    assert_eq!(all(source).unwrap(), b"fg");
}

#[test]
fn limit_writer_takes_so_many_and_then_none() {
    let mut out = Vec::new();
    let mut sink = (&mut out).limit_writes(4);
    assert_eq!(sink.write(b"abc").unwrap(), 3);
    assert_eq!(sink.write(b"def").unwrap(), 1);
    assert_eq!(sink.write(b"ef").unwrap(), 0);
    assert_eq!(sink.write_all(b"ef").unwrap_err().kind(), ErrorKind::WriteZero);
    assert_eq!(out, b"abcd");
}

#[test]
fn limit_writer_bounds_vectored_writes() {
    for limit in 0..8 {
        let mut sink = Vec::new().limit_writes(limit);
        let mut left = &b"abcdefgh"[..];
        loop {
            let (a, b) = left.split_at(left.len().min(3));
            let n = sink.write_vectored(&[b"", a, b].map(IoSlice::new)).unwrap();
            left = &left[n..];
            if n == 0 {
                break;
            }
        }
        assert_eq!(sink.into_inner(), b"abcdefgh"[..limit as usize]);
    }
}

#[test]
fn copy_into_a_limited_writer_fails_only_beyond_it() {
    let mut out = Vec::new().limit_writes(4);
    assert_eq!(copy(&mut &b"abcd"[..], &mut out).unwrap(), 4);
    let mut out = Vec::new().limit_writes(4);
    let failed = copy(&mut &b"abcdef"[..], &mut out).unwrap_err();
    assert_eq!(failed.kind(), ErrorKind::WriteZero);
    assert_eq!(failed.copied, 4);
    assert_eq!(out.into_inner(), b"abcd");
}

#[test]
fn read_at_least_reads_until_there_are_enough() {
    let asked = Cell::new(0);
    let script = [Ok(&b"ab"[..]), Err(ErrorKind::Interrupted), Ok(b"cde"), Ok(b"f")];
    let mut source = Script::new(&asked, &script);
    let mut buf = [0; 9];
    assert_eq!(source.read_at_least(&mut buf, 4).unwrap(), 5);
    assert_eq!(&buf[..5], b"abcde");
    assert_eq!(source.read_at_least(&mut buf, 4).unwrap(), 1, "truncated");
    assert_eq!(source.read_at_least(&mut buf, 4).unwrap(), 0, "ended");
}

#[test]
fn read_at_least_nothing_reads_nothing() {
    assert_eq!(Untouchable.read_at_least(&mut [0; 4], 0).unwrap(), 0);
    assert_eq!(Untouchable.read_full(&mut []).unwrap(), 0);
}

#[test]
fn read_at_least_refuses_a_buffer_that_is_too_small() {
    let kind = Untouchable.read_at_least(&mut [0; 4], 5).unwrap_err().kind();
    assert_eq!(kind, ErrorKind::InvalidInput);
}

#[test]
fn read_at_least_passes_errors_on_unless_it_has_enough() {
    let asked = Cell::new(0);
    let script = [Ok(&b"ab"[..]), Err(ErrorKind::TimedOut)];
    let mut source = Script::new(&asked, &script);
    assert_eq!(source.read_at_least(&mut [0; 4], 2).unwrap(), 2);
    assert_eq!(source.read_full(&mut [0; 4]).unwrap_err().kind(), ErrorKind::TimedOut);
    let object: &mut dyn Read = &mut &b"abc"[..];
    assert_eq!(object.read_full(&mut [0; 2]).unwrap(), 2, "through dyn Read");
}
