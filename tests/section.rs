//! Reading and writing at offsets.

use aqueduct::adapters::{OffsetWriter, ReadAt, Section, WriteAt};
use aqueduct::copy;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::sync::Arc;

fn scratch(content: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(content).unwrap();
    file.rewind().unwrap();
    file
}

fn content(mut file: &File) -> Vec<u8> {
    let mut bytes = Vec::new();
    file.rewind().unwrap();
    file.read_to_end(&mut bytes).unwrap();
    bytes
}

fn all(mut reader: impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).unwrap();
    bytes
}

const TEXT: &[u8] = b"a long sample data, 1234567890";

#[test]
fn a_window_is_read_from_memory_and_files_alike() {
    let file = Arc::new(scratch(TEXT));
    for (offset, len) in
        [(0, 0), (0, 30), (2, 5), (25, 5), (25, 50), (30, 1), (99, 9), (0, u64::MAX)]
    {
        let from = TEXT.len().min(offset as usize);
        let to = TEXT.len().min(u64::saturating_add(offset, len) as usize);
        let expected = &TEXT[from..to];
        assert_eq!(all(TEXT.section(offset, len)), expected);
        assert_eq!(all(TEXT.to_vec().section(offset, len)), expected);
        assert_eq!(all((&*file).section(offset, len)), expected);
        assert_eq!(all(Arc::clone(&file).section(offset, len)), expected);
        let mut out = Vec::new();
        copy(&mut (&*file).section(offset, len), &mut out).unwrap();
        assert_eq!(out, expected);
    }
    assert_eq!((&*file).stream_position().unwrap(), 0);
}

#[test]
fn read_at_is_cut_at_the_windows_end() {
    let section = TEXT.section(2, 4);
    for (offset, len, expected) in [
        (0, 4, &b"long"[..]),
        (0, 9, b"long"),
        (1, 2, b"on"),
        (3, 4, b"g"),
        (4, 4, b""),
        (5, 4, b""),
        (u64::MAX, 4, b""),
        (2, 0, b""),
    ] {
        let mut buf = [0; 9];
        let n = section.read_at(&mut buf[..len], offset).unwrap();
        assert_eq!(&buf[..n], expected, "{offset} {len}");
    }
    assert_eq!(all(section.section(1, 2)), b"on", "a window of a window");
}

#[test]
fn seeking_behind_the_end_is_allowed_and_before_the_start_is_not() {
    let mut section = TEXT.section(2, 4);
    assert_eq!(section.seek(SeekFrom::End(3)).unwrap(), 7);
    assert_eq!(section.read(&mut [0; 4]).unwrap(), 0);
    assert_eq!(section.seek(SeekFrom::Current(-5)).unwrap(), 2);
    for to in [
        SeekFrom::Current(-3),
        SeekFrom::End(-5),
        SeekFrom::End(i64::MIN),
        SeekFrom::Start(u64::MAX),
    ] {
        assert_eq!(section.seek(to).unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(section.stream_position().unwrap(), 2, "a failed seek moves nothing");
    }
    assert_eq!(all(&mut section), b"ng");
    section.rewind().unwrap();
    assert_eq!(all(section), b"long");
}

#[test]
fn a_window_never_wraps_around() {
    let file = scratch(TEXT);
    for offset in [i64::MAX as u64 - 1, i64::MAX as u64, 1 << 63, u64::MAX] {
        let mut section = Section::new(&file, offset, u64::MAX);
        assert_eq!(section.len(), u64::MAX - offset);
        assert_eq!(section.read(&mut [0; 4]).unwrap(), 0);
        let mut out = Vec::new();
        assert_eq!(copy(&mut section, &mut out).unwrap(), 0);
    }
}

#[test]
fn sections_of_one_file_are_independent() {
    let file = scratch(TEXT);
    let (mut a, mut b) = ((&file).section(0, 6), (&file).section(7, 6));
    let mut two = [0; 2];
    a.read_exact(&mut two).unwrap();
    assert_eq!(all(&mut b), b"sample");
    assert_eq!(all(&mut a), b"long");
    assert_eq!(a.remaining(), 0);
}

#[test]
fn offset_writer_writes_where_it_is() {
    let file = scratch(b"0123456789");
    let mut sink = OffsetWriter::new(&file, 2);
    sink.write_all(b"ab").unwrap();
    assert_eq!(sink.seek(SeekFrom::Current(1)).unwrap(), 3);
    copy(&mut &b"cd"[..], &mut sink).unwrap();
    assert_eq!(sink.stream_position().unwrap(), 5);
    assert_eq!(sink.write_at(b"z", 6).unwrap(), 1);
    assert_eq!(sink.stream_position().unwrap(), 5, "write_at does not move");
    sink.rewind().unwrap();
    sink.write_all(b"A").unwrap();
    assert_eq!(content(&file), b"01Ab4cd7z9");
}

#[test]
fn offset_writer_seeks_only_where_it_can() {
    let mut sink = OffsetWriter::new(scratch(b""), 2);
    for to in [
        SeekFrom::End(0),
        SeekFrom::Current(-1),
        SeekFrom::Current(i64::MIN),
        SeekFrom::Start(u64::MAX),
    ] {
        assert_eq!(sink.seek(to).unwrap_err().kind(), ErrorKind::InvalidInput);
    }
    assert_eq!(sink.write_at(b"x", u64::MAX).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(sink.stream_position().unwrap(), 0);
}

#[test]
fn offsets_beyond_the_systems_are_an_error_of_writing() {
    let file = scratch(b"");
    for offset in [i64::MAX as u64, u64::MAX] {
        let mut sink = OffsetWriter::new(&file, offset);
        assert!(sink.write(b"x").is_err());
        assert!(copy(&mut &b"x"[..], &mut sink).is_err());
    }
    assert_eq!(content(&file), b"");
}

#[test]
fn offset_writer_refuses_a_file_opened_for_appending() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    std::fs::write(&path, b"kept").unwrap();
    let log = OpenOptions::new().append(true).open(&path).unwrap();
    assert_eq!(log.write_at(b"lost", 0).unwrap_err().kind(), ErrorKind::InvalidInput);
    let failed = copy(&mut &b"lost"[..], &mut OffsetWriter::new(&log, 0)).unwrap_err();
    assert_eq!(failed.kind(), ErrorKind::InvalidInput);
    assert_eq!(std::fs::read(&path).unwrap(), b"kept");
}

#[test]
fn a_section_copies_into_an_offset() {
    let (from, to) = (scratch(TEXT), scratch(b"__________"));
    copy(&mut (&from).section(7, 6), &mut OffsetWriter::new(&to, 2)).unwrap();
    assert_eq!(content(&to), b"__sample__");
}
