//! What the misbehaving readers and writers do, one by one.

use aqueduct::iotest::*;
use std::io::{ErrorKind, IoSlice, Read, Write};

#[test]
fn timeout_once_and_would_block_lose_nothing() {
    let mut reader = TimeoutOnce::new(&b"abcd"[..]);
    let mut buf = [0; 2];
    assert_eq!(reader.read(&mut buf).unwrap(), 2);
    assert_eq!(reader.read(&mut buf).unwrap_err().kind(), ErrorKind::TimedOut);
    assert_eq!(reader.read(&mut buf).unwrap(), 2);
    assert_eq!(&buf, b"cd");
    let mut writer = WouldBlockEvery::new(Vec::new(), 2);
    assert_eq!(writer.write(b"ab").unwrap(), 2);
    assert_eq!(writer.write(b"cd").unwrap_err().kind(), ErrorKind::WouldBlock);
    assert_eq!(writer.write(b"").unwrap(), 0);
    assert_eq!(writer.write(b"cd").unwrap(), 2);
    assert_eq!(writer.into_inner(), b"abcd");
}

#[test]
fn a_short_write_cuts_across_slices() {
    let mut writer = ShortWrite::new(Recorder::new(), 3);
    let slices = [IoSlice::new(b"ab"), IoSlice::new(b""), IoSlice::new(b"cd"), IoSlice::new(b"e")];
    assert_eq!(writer.write_vectored(&slices).unwrap(), 3);
    assert_eq!(writer.get_ref().bytes(), b"abc");
    let cut = vec![b"ab".to_vec(), vec![], b"c".to_vec()];
    assert_eq!(writer.get_ref().calls(), [Call::WriteVectored { slices: cut, took: Ok(3) }]);
}

#[test]
fn truncate_keeps_a_short_write_short() {
    let mut writer = Truncate::new(ShortWrite::new(Vec::new(), 2), 3);
    assert_eq!(writer.write(b"abcdef").unwrap(), 2);
    assert_eq!(writer.write(b"cdef").unwrap(), 4);
    assert_eq!(writer.write(b"gh").unwrap(), 2);
    assert_eq!(writer.into_inner().into_inner(), b"abc");
}

#[test]
fn a_recorder_keeps_what_the_inner_writer_answered() {
    let slow = Script::new().accept(1).fail(ErrorKind::WouldBlock).fail_flush(ErrorKind::Other);
    let mut writer = Recorder::over(slow);
    assert_eq!(writer.write(b"ab").unwrap(), 1);
    assert!(writer.write(b"b").is_err());
    assert!(writer.flush().is_err());
    assert_eq!(writer.bytes(), b"a");
    assert_eq!(writer.flushes(), 1);
    assert_eq!(
        writer.calls(),
        [
            Call::Write { bytes: b"ab".to_vec(), took: Ok(1) },
            Call::Write { bytes: b"b".to_vec(), took: Err(ErrorKind::WouldBlock) },
            Call::Flush { result: Err(ErrorKind::Other) },
        ]
    );
}

#[test]
fn a_script_tells_of_steps_left_and_of_calls_out_of_turn() {
    let mut script = Script::new().data("abc").accept(2);
    let mut buf = [0; 2];
    assert_eq!(script.read(&mut buf).unwrap(), 2);
    assert_eq!(script.remaining().count(), 2);
    let left = script.clone().finish().unwrap_err().to_string();
    assert!(left.contains("2 steps left"), "{left}");

    assert_eq!(script.write(b"too early").unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(script.read(&mut buf).unwrap(), 1);
    assert_eq!(script.write(b"now").unwrap(), 2);
    assert_eq!(script.written(), b"no");
    assert_eq!(script.remaining().count(), 0);
    assert_eq!(script.write(b"after the end").unwrap(), 0);
    let misuse = script.finish().unwrap_err().to_string();
    assert!(misuse.contains("a write where it has a read"), "{misuse}");
}

#[test]
fn every_double_goes_into_copy() {
    let content: Vec<u8> = (0..500u32).map(|i| (i * 7 % 251) as u8).collect();
    let mut sink = ShortWrite::new(InterruptEvery::new(Recorder::new(), 3), 5);
    let mut source = Chunked::new(Half::new(OneByte::new(&content[..])), [2, 9]);
    assert_eq!(aqueduct::copy(&mut source, &mut sink).unwrap(), content.len() as u64);
    assert_eq!(sink.get_ref().get_ref().bytes(), content);

    let failed =
        aqueduct::copy(&mut DataThenErr::new(&b"ab"[..], ErrorKind::Other), &mut ZeroWrite::new());
    assert_eq!(failed.unwrap_err().kind(), ErrorKind::WriteZero);
    let failed = aqueduct::copy(&mut ErrReader::new(ErrorKind::Unsupported), &mut Vec::new());
    assert_eq!(failed.unwrap_err().kind(), ErrorKind::Unsupported);
    let failed = aqueduct::copy(&mut TimeoutOnce::new(OneByte::new(&b"ab"[..])), &mut Vec::new());
    assert_eq!(failed.unwrap_err().taken, 1);
    let failed =
        aqueduct::copy(&mut WouldBlockEvery::new(&b"ab"[..], 1), &mut Truncate::new(Vec::new(), 1));
    assert_eq!(failed.unwrap_err().kind(), ErrorKind::WouldBlock);
}
