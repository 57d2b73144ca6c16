//! A reader with a side: what the side gets, and what a failing side costs.

use aqueduct::adapters::TeePolicy;
use aqueduct::source::{Outlet, Outlets, Sink};
use aqueduct::{ReadExt, copy};
use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, ErrorKind, IoSliceMut, Read, Seek, Write};

/// A writer that plays back answers, and takes everything when they are used up.
#[derive(Default)]
struct Side {
    got: Vec<u8>,
    calls: usize,
    answers: VecDeque<Result<usize, ErrorKind>>,
}

impl Side {
    fn new(answers: impl IntoIterator<Item = Result<usize, ErrorKind>>) -> Self {
        Self { answers: answers.into_iter().collect(), ..Self::default() }
    }
}

impl Write for Side {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.calls += 1;
        let n = self.answers.pop_front().unwrap_or(Ok(buf.len()))?;
        self.got.extend_from_slice(&buf[..n.min(buf.len())]);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        panic!("the side was flushed by a read")
    }
}

/// As [`Side`], which may be flushed.
#[derive(Default)]
struct Outer(Side);

impl Write for Outer {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for Outer {
    fn outlets<'a>(&'a mut self, out: &mut Outlets<'a>) {
        out.push(Outlet::opaque(self));
    }
}

fn all(mut reader: impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).unwrap();
    bytes
}

#[test]
fn the_side_gets_what_is_read_before_the_read_returns() {
    let mut source = (&b"abcdef"[..]).tee(Side::default());
    let mut buf = [0; 4];
    assert_eq!(source.read(&mut buf).unwrap(), 4);
    assert_eq!(source.get_ref().1.got, b"abcd");
    assert_eq!(source.into_inner().0, b"ef");
}

#[test]
fn the_side_is_not_called_for_nothing() {
    let mut source = (&b""[..]).tee(Side::default());
    assert_eq!(source.read(&mut [0; 4]).unwrap(), 0);
    assert_eq!(source.read(&mut []).unwrap(), 0);
    source.consume(0);
    assert_eq!(source.get_ref().1.calls, 0);
}

#[test]
fn short_writes_are_continued_and_interruptions_retried() {
    let answers = [Ok(1), Err(ErrorKind::Interrupted), Ok(2), Err(ErrorKind::Interrupted)];
    let mut source = (&b"abcdef"[..]).tee(Side::new(answers));
    assert_eq!(all(&mut source), b"abcdef");
    assert_eq!(source.get_ref().1.got, b"abcdef");
}

#[test]
fn a_failing_side_loses_no_byte_of_the_source() {
    for (answer, kind) in [
        (Err(ErrorKind::BrokenPipe), ErrorKind::BrokenPipe),
        (Err(ErrorKind::WouldBlock), ErrorKind::WouldBlock),
        (Ok(0), ErrorKind::WriteZero),
        (Ok(100), ErrorKind::InvalidData),
    ] {
        let mut source = (&b"abcdef"[..]).tee(Side::new([Ok(1), answer]));
        let mut buf = [0; 3];
        assert_eq!(source.read(&mut buf).unwrap(), 3);
        assert_eq!(&buf, b"abc");
        assert_eq!(source.unwritten(), b"bc");
        assert_eq!(source.read(&mut buf).unwrap_err().kind(), kind);
        assert_eq!(source.unwritten(), b"bc");
        assert_eq!(all(&mut source), b"def");
        assert_eq!(source.unwritten(), b"");
        let side = &source.get_ref().1.got;
        assert!(side.starts_with(b"a") && side.ends_with(b"def"), "{side:?}");
    }
}

#[test]
fn an_error_with_no_next_read_can_be_taken() {
    let mut source = (&b"abc"[..]).tee(Side::new([Err(ErrorKind::BrokenPipe)]));
    source.read_exact(&mut [0; 3]).unwrap();
    assert_eq!(source.take_error().unwrap().kind(), ErrorKind::BrokenPipe);
    assert!(source.take_error().is_none());
    assert_eq!(source.read(&mut [0; 3]).unwrap(), 0);
}

#[test]
fn detach_drops_the_side_without_a_word() {
    let side = Side::new([Ok(1), Err(ErrorKind::BrokenPipe)]);
    let mut source = (&b"abcdef"[..]).tee(side).policy(TeePolicy::Detach);
    assert_eq!(all(&mut source), b"abcdef");
    assert!(source.take_error().is_none());
    assert!(!source.is_attached());
    assert_eq!(source.get_ref().1.got, b"a");
}

#[test]
fn collect_drops_the_side_and_keeps_the_error() {
    let side = Side::new([Ok(1), Err(ErrorKind::BrokenPipe)]);
    let mut source = (&b"abcdef"[..]).tee(side).policy(TeePolicy::Collect);
    assert_eq!(all(&mut source), b"abcdef");
    assert_eq!(source.take_error().unwrap().kind(), ErrorKind::BrokenPipe);
    assert!(source.take_error().is_none());
    assert_eq!(source.get_ref().1.got, b"a");
}

#[test]
fn bytes_are_teed_when_consumed_and_never_twice() {
    let mut source = BufReader::with_capacity(4, &b"abcdef"[..]).tee(Side::default());
    assert_eq!(source.fill_buf().unwrap(), b"abcd");
    assert_eq!(source.fill_buf().unwrap(), b"abcd");
    assert_eq!(source.get_ref().1.calls, 0);
    source.consume(1);
    source.consume(2);
    assert_eq!(source.get_ref().1.got, b"abc");
    let mut byte = [0];
    source.read_exact(&mut byte).unwrap();
    assert_eq!(&byte, b"d");
    assert_eq!(source.fill_buf().unwrap(), b"ef");
    assert_eq!(all(&mut source), b"ef");
    assert_eq!(source.get_ref().1.got, b"abcdef");
}

#[test]
fn lines_reach_the_side_whole() {
    let mut source = BufReader::with_capacity(3, &b"one\ntwo\nthree"[..]).tee(Side::default());
    let mut line = String::new();
    source.read_line(&mut line).unwrap();
    assert_eq!(source.get_ref().1.got, b"one\n");
    source.skip_until(b'\n').unwrap();
    assert_eq!(source.get_ref().1.got, b"one\ntwo\n");
}

#[test]
fn a_failure_while_consuming_is_told_by_the_next_call() {
    let mut source = (&b"abcdef"[..]).tee(Side::new([Ok(1), Err(ErrorKind::BrokenPipe)]));
    source.fill_buf().unwrap();
    source.consume(2);
    source.consume(1);
    assert_eq!(source.unwritten(), b"bc", "what follows a refused byte waits with it");
    assert_eq!(source.fill_buf().unwrap_err().kind(), ErrorKind::BrokenPipe);
    assert_eq!(source.fill_buf().unwrap(), b"def");
    source.consume(3);
    assert_eq!(source.get_ref().1.got, b"adef");
}

#[test]
fn an_inner_side_that_fails_while_consuming_costs_the_outer_one_nothing() {
    let inner = (&b"abcdef"[..]).tee(Side::new([Ok(1), Err(ErrorKind::BrokenPipe)]));
    let mut source = inner.tee(Side::default());
    source.fill_buf().unwrap();
    source.consume(2);
    source.consume(2);
    assert_eq!(source.fill_buf().unwrap_err().kind(), ErrorKind::BrokenPipe);
    assert_eq!(all(&mut source), b"ef");
    assert_eq!(source.get_ref().1.got, b"abcdef");
}

#[test]
fn a_side_that_fails_while_consuming_is_heard_through_an_inspect() {
    let inner = (&b"abcdef"[..]).tee(Side::new([Ok(1), Err(ErrorKind::BrokenPipe)]));
    let mut seen = Vec::new();
    let mut source = inner.inspect(|bytes| seen.extend_from_slice(bytes));
    source.fill_buf().unwrap();
    source.consume(2);
    source.consume(2);
    assert_eq!(source.fill_buf().unwrap_err().kind(), ErrorKind::BrokenPipe);
    assert_eq!(all(&mut source), b"ef");
    drop(source);
    assert_eq!(seen, b"abcdef");
}

#[test]
fn read_to_end_tees_only_what_it_appends() {
    let mut source = (&b"def"[..]).tee(Side::default());
    let mut bytes = b"abc".to_vec();
    source.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, b"abcdef");
    assert_eq!(source.get_ref().1.got, b"def");
    let mut source = (&b"xyz"[..]).tee(Side::new([Err(ErrorKind::BrokenPipe)]));
    assert_eq!(source.read_to_end(&mut bytes).unwrap_err().kind(), ErrorKind::BrokenPipe);
    assert_eq!(bytes, b"abcdefxyz");
}

#[test]
fn vectored_reads_are_teed_in_order() {
    let mut source = (&b"abcdef"[..]).tee(Side::new([Ok(2), Ok(1), Err(ErrorKind::BrokenPipe)]));
    let (mut a, mut b, mut c) = ([0; 2], [0; 2], [0; 9]);
    let mut bufs = [&mut a[..], &mut b, &mut c].map(IoSliceMut::new);
    assert_eq!(source.read_vectored(&mut bufs).unwrap(), 6);
    assert_eq!((&a, &b, &c[..2]), (b"ab", b"cd", &b"ef"[..]));
    assert_eq!(source.get_ref().1.got, b"abc");
    assert_eq!(source.unwritten(), b"def");
}

#[test]
fn an_error_of_the_source_passes_and_the_side_has_what_came_before() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(ErrorKind::ConnectionReset.into())
        }
    }
    let mut source = (&b"abc"[..]).chain(Broken).tee(Side::default());
    let mut bytes = Vec::new();
    let error = source.read_to_end(&mut bytes).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert_eq!(source.get_ref().1.got, bytes);
}

#[test]
fn drain_reads_the_rest_for_the_sides_sake() {
    let mut source = io::repeat(7).limit(100_000).tee(Vec::new());
    source.read_exact(&mut [0; 1000]).unwrap();
    assert_eq!(source.drain().unwrap(), 99_000);
    assert_eq!(source.drain().unwrap(), 0);
    assert_eq!(source.get_ref().1.len(), 100_000);
}

#[test]
fn drain_reports_the_side_and_goes_on() {
    let mut source = (&b"abc"[..]).opaque().tee(Side::new([Err(ErrorKind::StorageFull)]));
    assert_eq!(source.drain().unwrap_err().kind(), ErrorKind::StorageFull);
    assert_eq!(source.drain().unwrap(), 0);
}

#[test]
fn copy_feeds_the_side_too() {
    let (mut out, mut seen) = (Vec::new(), Vec::new());
    let text = b"abc".repeat(100_000);
    assert_eq!(copy(&mut (&text[..]).tee(&mut seen), &mut out).unwrap(), 300_000);
    assert!(out == text && seen == text);
}

#[test]
fn copy_stopped_by_the_side_can_go_on() {
    let side = Outer(Side::new([Ok(2), Err(ErrorKind::StorageFull)]));
    let mut source = (&b"abcdef"[..]).tee(side);
    let mut out = Vec::new();
    let failed = copy(&mut source, &mut out).unwrap_err();
    assert_eq!(failed.kind(), ErrorKind::StorageFull);
    copy(&mut source, &mut out).unwrap();
    assert_eq!(out, b"abcdef", "no byte is lost to the sink, or comes twice");
    assert_eq!(source.get_ref().1.0.got, b"ab");
}

#[test]
fn copy_detaches_a_side_that_fails() {
    let side = Outer(Side::new([Ok(2), Err(ErrorKind::StorageFull)]));
    let mut source = (&b"abcdef"[..]).tee(side).policy(TeePolicy::Detach);
    let mut out = Vec::new();
    assert_eq!(copy(&mut source, &mut out).unwrap(), 6);
    assert_eq!(out, b"abcdef");
}

#[test]
fn copy_tells_of_a_side_that_failed_in_the_last_read_before_a_limit() {
    let side = Outer(Side::new([Ok(2), Err(ErrorKind::StorageFull)]));
    let mut source = (&b"abcdef"[..]).opaque().tee(side).limit(4);
    let mut out = Vec::new();
    let failed = copy(&mut source, &mut out).unwrap_err();
    assert_eq!(failed.kind(), ErrorKind::StorageFull);
    assert_eq!(failed.pending(0), b"cd");
    assert_eq!(out, b"abcd");
}

#[test]
fn copy_owes_a_side_too_that_failed_in_the_read_before_the_sink_did() {
    let failing = || Outer(Side::new([Ok(1), Err(ErrorKind::StorageFull)]));
    let mut source = (&b"abcdef"[..]).opaque().tee(failing());
    let mut sink = Outer(Side::new([Ok(4), Err(ErrorKind::BrokenPipe)]));
    let failed = copy(&mut source, &mut sink).unwrap_err();
    assert_eq!(failed.kind(), ErrorKind::BrokenPipe);
    assert_eq!((failed.pending(0), failed.pending(1)), (&b"bcdef"[..], &b"ef"[..]));
    assert_eq!((failed.report().delivered(0), failed.report().delivered(1)), (1, 4));
    // The side's own error is still told, and what it missed is not owed twice.
    let late = copy(&mut source, &mut sink).unwrap_err();
    assert_eq!((late.kind(), late.taken), (ErrorKind::StorageFull, 0));
    assert_eq!(late.pending(0), b"");
}

#[test]
fn copy_owes_both_sides_that_failed_in_one_read() {
    let failing = |n| Outer(Side::new([Ok(n), Err(ErrorKind::StorageFull)]));
    let mut source = (&b"abcdef"[..]).opaque().tee(failing(1)).tee(failing(2));
    let failed = copy(&mut source, &mut Vec::new()).unwrap_err();
    assert_eq!((failed.pending(0), failed.pending(1)), (&b"cdef"[..], &b"bcdef"[..]));
    assert_eq!((failed.report().delivered(0), failed.report().delivered(1)), (2, 1));
}

#[test]
fn copy_owes_nothing_to_a_side_given_up_in_the_step_that_stopped_it() {
    let side = Outer(Side::new([Ok(2), Err(ErrorKind::StorageFull)]));
    let mut source = (&b"abcdef"[..]).tee(side).policy(TeePolicy::Detach);
    let mut sink = Outer(Side::new([Ok(4), Err(ErrorKind::BrokenPipe)]));
    let failed = copy(&mut source, &mut sink).unwrap_err();
    assert_eq!((failed.taken, failed.report().delivered(0)), (4, 2));
    assert_eq!(failed.pending(0), b"");
}

#[test]
fn copy_through_descriptors_feeds_source_sink_and_side_alike() {
    let text = b"0123456789abcdef".repeat(40_000);
    let mut files = [(); 3].map(|()| tempfile::tempfile().unwrap());
    files[0].write_all(&text).unwrap();
    files[0].rewind().unwrap();
    let [from, side, to] = &mut files;
    let mut source = from.skip(5).limit(500_000).tee(&mut *side).exact(500_000);
    assert_eq!(copy(&mut source, to).unwrap(), 500_000);
    for file in [side, to] {
        file.rewind().unwrap();
        assert!(all(file) == text[5..500_005]);
    }
}
