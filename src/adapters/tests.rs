//! The readers and writers as `copy` will see them: step by step, around the chain.

use super::*;
use crate::source::drive::{Step, pull, pull_all, push};
use crate::source::{Outcomes, Outlet, Outlets, Piece};
use crate::source::{Sink, Source};
use std::io::{BufReader, BufWriter, Cursor, ErrorKind, Seek, SeekFrom};

/// Takes `room` bytes, fails once with `kind`, and takes all after that.
#[derive(Debug)]
struct Hiccup {
    got: Vec<u8>,
    room: Option<usize>,
    kind: ErrorKind,
}

impl Hiccup {
    fn after(room: usize) -> Self {
        Self { got: Vec::new(), room: Some(room), kind: ErrorKind::StorageFull }
    }
}

impl Write for Hiccup {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = match self.room {
            None => buf.len(),
            Some(0) => {
                self.room = None;
                return Err(self.kind.into());
            }
            Some(room) => room.min(buf.len()),
        };
        self.room = self.room.map(|room| room - n);
        self.got.extend_from_slice(&buf[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for Hiccup {
    fn outlets<'a>(&'a mut self, out: &mut Outlets<'a>) {
        out.push(Outlet::opaque(self));
    }
}

/// Two writers, the second of which fails after the first has got everything.
#[derive(Debug, Default)]
struct Pair {
    first: Vec<u8>,
    second: Vec<u8>,
    room: usize,
    ahead: usize,
    failed: Option<usize>,
}

impl Write for Pair {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = self.room.min(buf.len());
        self.ahead = 0;
        if n == 0 {
            self.first.extend_from_slice(buf);
            self.ahead = buf.len();
            self.failed = Some(1);
            return Err(ErrorKind::StorageFull.into());
        }
        self.first.extend_from_slice(&buf[..n]);
        self.second.extend_from_slice(&buf[..n]);
        self.room -= n;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for Pair {
    fn outlets<'a>(&'a mut self, out: &mut Outlets<'a>) {
        out.push(Outlet::opaque(&mut self.first));
        out.push(Outlet::Opaque { to: &mut self.second, max: self.room as u64 });
    }

    fn advance(&mut self, out: &mut Outcomes<'_>) -> io::Result<()> {
        self.ahead = 0;
        out.take_all(2)
    }

    fn at_fault(&self) -> Option<usize> {
        self.failed
    }

    fn ahead(&self, outlet: usize) -> usize {
        if outlet == 0 { self.ahead } else { 0 }
    }
}

fn pulled<S: Source>(source: &mut S, max: usize) -> (Vec<u8>, io::Result<()>) {
    let mut out = Vec::new();
    let result = pull_all(source, &mut out, max);
    (out, result)
}

#[test]
fn limit_shrinks_the_piece_and_ends_at_it() {
    for max in [1, 2, 3, 100] {
        let mut source = (&b"abcdef"[..]).limit(4);
        assert_eq!(pulled(&mut source, max).0, b"abcd");
        assert_eq!(source.remaining(), 0);
        assert_eq!(source.into_inner(), b"ef");
    }
}

#[test]
fn limit_at_its_end_hears_of_an_inner_side_that_failed_last() {
    let mut source = (&b"abcdef"[..]).opaque().tee(Hiccup::after(2)).limit(4);
    let mut out = Vec::new();
    assert_eq!(pull(&mut source, &mut out, 10).unwrap(), Step::Through(4));
    let error = pull(&mut source, &mut out, 10).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StorageFull);
    assert_eq!(source.at_fault(), Some(0));
    assert_eq!(source.missed(0), b"cd");
    assert_eq!(pull(&mut source, &mut out, 10).unwrap(), Step::Ended);
    assert_eq!(out, b"abcd");
}

#[test]
fn limit_strict_probes_by_read_once_the_limit_is_reached() {
    let mut out = Vec::new();
    let mut source = (&b"abcdef"[..]).limit_strict(4);
    assert_eq!(pull(&mut source, &mut out, 10).unwrap(), Step::Around(4));
    assert!(matches!(source.piece(&mut Outlets::new(true)), Piece::Opaque));
    assert_eq!(pull(&mut source, &mut out, 10).unwrap_err().kind(), ErrorKind::FileTooLarge);
    assert_eq!(source.excess(), Some(b'e'));
    assert_eq!(out, b"abcd");

    let (out, result) = pulled(&mut (&b"abcd"[..]).limit_strict(4), 3);
    result.unwrap();
    assert_eq!(out, b"abcd");
}

#[test]
fn exact_fails_at_an_early_end_and_only_there() {
    let (out, result) = pulled(&mut (&b"abc"[..]).exact(4), 2);
    assert_eq!(result.unwrap_err().kind(), ErrorKind::UnexpectedEof);
    assert_eq!(out, b"abc");
    let (out, result) = pulled(&mut (&b"abcdef"[..]).exact(4), 3);
    result.unwrap();
    assert_eq!(out, b"abcd");
    let (_, result) = pulled(&mut (&b"abc"[..]).opaque().exact(4), 2);
    assert_eq!(result.unwrap_err().kind(), ErrorKind::UnexpectedEof);
}

#[test]
fn skip_reads_what_it_skips_and_goes_around_afterwards() {
    let mut out = Vec::new();
    let mut source = (&b"abcdefgh"[..]).skip(3);
    assert_eq!(pull(&mut source, &mut out, 2).unwrap(), Step::Through(2));
    assert_eq!(pull(&mut source, &mut out, 2).unwrap(), Step::Around(2));
    assert_eq!(out, b"defg");
}

#[test]
fn skip_lets_an_inner_side_see_what_is_skipped() {
    let mut seen = Vec::new();
    let (out, result) = pulled(&mut (&b"abcdefgh"[..]).tee(&mut seen).skip(3), 2);
    result.unwrap();
    assert_eq!(out, b"defgh");
    assert_eq!(seen, b"abcdefgh");
}

#[test]
fn limit_writer_bounds_every_outlet_and_counts_the_most_moved() {
    let mut sink = Vec::new().limit_writes(4);
    assert_eq!(push(&mut sink, b"abc").unwrap(), [3]);
    assert_eq!(push(&mut sink, b"def").unwrap(), [1]);
    assert_eq!(push(&mut sink, b"ghi").unwrap(), [0]);
    assert_eq!(sink.remaining(), 0);
    assert_eq!(sink.into_inner(), b"abcd");

    let mut pair = Pair { room: 2, ..Pair::default() }.limit_writes(5);
    assert_eq!(push(&mut pair, b"abc").unwrap(), [3, 2]);
    assert_eq!(pair.remaining(), 2);
}

#[test]
fn limit_writer_counts_though_the_outlet_fails() {
    let mut sink = Hiccup::after(2).limit_writes(4);
    assert_eq!(push(&mut sink, b"abc").unwrap_err().kind(), ErrorKind::StorageFull);
    assert_eq!(sink.remaining(), 2);
}

#[test]
fn tee_pushes_its_side_before_the_taps_within() {
    let (mut near, mut far) = (Vec::new(), Vec::new());
    let mut source = (&b"abcdef"[..]).tee(&mut near).limit(4).tee(&mut far);
    let mut taps = Outlets::new(true);
    source.piece(&mut taps);
    assert_eq!(taps.len(), 2);
    drop(taps);
    let (out, result) = pulled(&mut source, 3);
    result.unwrap();
    assert_eq!((&out[..], &near[..], &far[..]), (&b"abcd"[..], &b"abcd"[..], &b"abcd"[..]));
}

#[test]
fn tee_around_the_chain_fails_at_once_and_goes_on_with_the_side() {
    let mut source = (&b"abcdef"[..]).tee(Hiccup::after(1));
    let mut out = Vec::new();
    let error = pull(&mut source, &mut out, 3).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StorageFull);
    assert_eq!(source.at_fault(), Some(0));
    assert_eq!(source.missed(0), b"", "the engine knows what moved in its own step");
    pull_all(&mut source, &mut out, 3).unwrap();
    assert_eq!(source.at_fault(), None);
    assert_eq!(out, b"abcdef");
    assert_eq!(source.get_ref().1.got, b"adef");
}

#[test]
fn tee_through_the_chain_hands_out_first_and_fails_next() {
    let mut source = (&b"abcdef"[..]).opaque().tee(Hiccup::after(1));
    let mut out = Vec::new();
    assert_eq!(pull(&mut source, &mut out, 3).unwrap(), Step::Through(3));
    assert_eq!(source.at_fault(), None);
    let mut none = [0; 4];
    assert_eq!(source.read(&mut none).unwrap_err().kind(), ErrorKind::StorageFull);
    assert_eq!(source.at_fault(), Some(0));
    assert_eq!(source.missed(0), b"bc");
    pull_all(&mut source, &mut out, 3).unwrap();
    assert_eq!(source.missed(0), b"");
    assert_eq!(out, b"abcdef");
    assert_eq!(source.get_ref().1.got, b"adef");
}

#[test]
fn tee_answers_opaque_while_an_error_waits() {
    let mut source = (&b"abcdef"[..]).tee(Hiccup::after(1));
    assert_eq!(source.read(&mut [0; 3]).unwrap(), 3);
    assert!(matches!(source.piece(&mut Outlets::new(true)), Piece::Opaque));
    assert!(source.read(&mut [0; 3]).is_err());
    assert!(matches!(source.piece(&mut Outlets::new(true)), Piece::Buffered(b"def")));
}

#[test]
fn tee_tells_what_each_outlet_of_its_side_missed() {
    let side = Pair { room: 2, ..Pair::default() };
    let mut seen = Vec::new();
    let mut source = (&b"abcdef"[..]).tee(&mut seen).tee(side);
    source.piece(&mut Outlets::new(true));
    assert_eq!(source.read(&mut [0; 5]).unwrap(), 5);
    source.read(&mut [0; 5]).unwrap_err();
    assert_eq!(source.at_fault(), Some(1));
    assert_eq!(source.missed(0), b"", "the first outlet is ahead of what was accepted");
    assert_eq!(source.missed(1), b"cde");
    assert_eq!(source.missed(2), b"");
    assert_eq!(source.get_ref().1.first, b"abcde");
    assert_eq!(source.get_ref().1.second, b"ab");
}

#[test]
fn tee_numbers_an_inner_sides_fault_behind_its_own_outlets() {
    let outer = Pair { room: 100, ..Pair::default() };
    let mut source = (&b"abcdef"[..]).tee(Hiccup::after(1)).tee(outer);
    source.piece(&mut Outlets::new(true));
    assert_eq!(source.read(&mut [0; 5]).unwrap(), 5);
    source.read(&mut [0; 5]).unwrap_err();
    assert_eq!(source.at_fault(), Some(2));
    assert_eq!(source.missed(2), b"bcde");
    assert_eq!(source.missed(0), b"");
}

#[test]
fn tee_tells_of_two_sides_that_fail_in_one_step_one_after_the_other() {
    let mut source = (&b"abcdef"[..]).tee(Hiccup::after(1)).tee(Hiccup::after(2));
    let mut out = Vec::new();
    pull(&mut source, &mut out, 3).unwrap_err();
    assert_eq!(source.at_fault(), Some(0));
    source.read(&mut [0; 3]).unwrap_err();
    pull_all(&mut source, &mut out, 3).unwrap();
    assert_eq!(out, b"abcdef");
    assert_eq!(source.get_ref().1.got, b"abdef");
    assert_eq!(source.get_ref().0.get_ref().1.got, b"adef");
}

#[test]
fn tee_that_lost_its_side_pushes_gone() {
    for policy in [TeePolicy::Detach, TeePolicy::Collect] {
        let mut source = (&b"abcdef"[..]).tee(Pair::default()).policy(policy);
        assert_eq!(source.read(&mut [0; 2]).unwrap(), 2);
        let mut taps = Outlets::new(true);
        source.piece(&mut taps);
        assert!(taps.list().iter().all(|tap| matches!(tap, Outlet::Gone)));
        assert_eq!(taps.len(), 2);
        drop(taps);
        let (out, result) = pulled(&mut source, 3);
        result.unwrap();
        assert_eq!(out, b"cdef");
        assert_eq!(source.at_fault(), None);
        assert_eq!(source.take_error().is_some(), policy == TeePolicy::Collect);
    }
}

#[test]
fn tee_around_the_chain_keeps_to_its_policy() {
    for policy in [TeePolicy::Detach, TeePolicy::Collect] {
        let mut source = (&b"abcdef"[..]).tee(Hiccup::after(4)).policy(policy);
        let (out, result) = pulled(&mut source, 3);
        result.unwrap();
        assert_eq!(out, b"abcdef");
        assert!(!source.is_attached());
        assert_eq!(source.get_ref().1.got, b"abcd");
        assert_eq!(source.take_error().is_some(), policy == TeePolicy::Collect);
    }
}

#[test]
fn tee_flushes_a_buffering_side_before_going_around_it() {
    let mut source = (&b"abcdef"[..]).opaque().tee(BufWriter::new(Vec::new()));
    source.read_exact(&mut [0; 2]).unwrap();
    assert_eq!(source.get_ref().1.get_ref(), b"");
    source.prepare().unwrap();
    assert_eq!(source.get_ref().1.get_ref(), b"ab");
}

#[test]
fn tee_in_a_buffered_reader_feeds_each_byte_once() {
    let mut seen = Vec::new();
    let mut source = BufReader::with_capacity(4, (&b"abcdefgh"[..]).tee(&mut seen));
    source.read_exact(&mut [0; 2]).unwrap();
    let (out, result) = pulled(&mut source, 3);
    result.unwrap();
    assert_eq!(out, b"cdefgh");
    assert_eq!(seen, b"abcdefgh");
}

#[test]
fn section_of_memory_is_in_memory() {
    let mut section = b"0123456789".section(2, 5);
    assert!(matches!(section.piece(&mut Outlets::new(true)), Piece::Buffered(b"23456")));
    assert_eq!(pulled(&mut section, 2).0, b"23456");
    section.seek(SeekFrom::Start(100)).unwrap();
    assert_eq!(pulled(&mut section, 2).0, b"");
    section.seek(SeekFrom::End(-1)).unwrap();
    assert_eq!(pulled(&mut section, 2).0, b"6");
}

#[test]
fn opaque_is_opaque_both_ways() {
    let mut source = Cursor::new(b"abc").opaque();
    assert!(matches!(source.piece(&mut Outlets::new(true)), Piece::Opaque));
    assert_eq!(pulled(&mut source, 2).0, b"abc");
    let mut sink = Vec::new().opaque_writes();
    assert_eq!(push(&mut sink, b"abc").unwrap(), [3]);
    assert_eq!(sink.into_inner(), b"abc");
}

#[cfg(not(miri))]
mod files {
    use super::*;
    use std::fs::{File, OpenOptions};

    fn scratch(content: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        file.rewind().unwrap();
        file
    }

    #[test]
    fn a_chain_over_a_file_comes_down_to_its_descriptor() {
        let mut seen = Vec::new();
        let mut source = scratch(b"abcdefgh").limit(6).tee(&mut seen).exact(5).limit_strict(5);
        let mut taps = Outlets::new(true);
        let piece = source.piece(&mut taps);
        assert!(matches!(piece, Piece::Fd { max: 5, at: None, hidden: false, .. }), "{piece:?}");
        drop(taps);
        let (out, result) = pulled(&mut source, 2);
        result.unwrap();
        assert_eq!(out, b"abcde");
        assert_eq!(seen, b"abcde");
    }

    #[test]
    fn section_of_a_file_says_where() {
        let mut file = scratch(b"0123456789");
        let mut section = (&file).section(2, 5);
        section.seek(SeekFrom::Start(1)).unwrap();
        let piece = section.piece(&mut Outlets::new(true));
        assert!(matches!(piece, Piece::Fd { max: 4, at: Some(3), .. }), "{piece:?}");
        assert_eq!(pulled(&mut section, 3).0, b"3456");
        let mut beyond = (&file).section(8, u64::MAX);
        assert_eq!(pulled(&mut beyond, 3).0, b"89");
        let mut far = (&file).section(u64::MAX - 1, u64::MAX);
        assert_eq!(pulled(&mut far, 3).0, b"");
        assert_eq!(far.len(), 1);
        assert_eq!(far.read(&mut [0; 4]).unwrap(), 0);
        assert_eq!(file.stream_position().unwrap(), 0);
    }

    #[test]
    fn offset_writer_says_where_and_counts_both_ways() {
        let file = scratch(b"..........");
        let mut sink = OffsetWriter::new(&file, 2);
        sink.write_all(b"ab").unwrap();
        let mut outlets = Outlets::new(true);
        sink.outlets(&mut outlets);
        assert!(matches!(outlets.list(), [Outlet::Fd { at: Some(4), .. }]), "{outlets:?}");
        drop(outlets);
        assert_eq!(push(&mut sink, b"cd").unwrap(), [2]);
        sink.write_all(b"ef").unwrap();
        assert_eq!(sink.stream_position().unwrap(), 6);
        let mut content = Vec::new();
        (&file).read_to_end(&mut content).unwrap();
        assert_eq!(content, b"..abcdef..");
    }

    #[test]
    fn offset_writer_refuses_a_file_that_appends() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        std::fs::write(&path, b"kept").unwrap();
        let log = OpenOptions::new().append(true).open(&path).unwrap();
        let mut sink = OffsetWriter::new(&log, 0);
        assert_eq!(sink.write(b"lost").unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(push(&mut sink, b"lost").unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(std::fs::read(&path).unwrap(), b"kept");
    }

    /// Memory that can be written at offsets, without a descriptor.
    struct Shared(std::sync::Mutex<[u8; 8]>);

    impl WriteAt for Shared {
        fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
            let mut memory = self.0.lock().unwrap();
            let from = (offset as usize).min(8);
            let n = buf.len().min(8 - from);
            memory[from..from + n].copy_from_slice(&buf[..n]);
            Ok(n)
        }
    }

    #[test]
    fn offset_writer_without_a_descriptor_counts_each_byte_once() {
        let mut sink = OffsetWriter::new(Shared([b'.'; 8].into()), 1);
        assert_eq!(push(&mut sink, b"abc").unwrap(), [3]);
        assert_eq!(sink.stream_position().unwrap(), 3);
        assert_eq!(push(&mut sink, b"defgh").unwrap_err().kind(), ErrorKind::WriteZero);
        assert_eq!(*sink.into_inner().0.lock().unwrap(), *b".abcdefg");
    }
}
