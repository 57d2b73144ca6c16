//! The laws of `Read`.

use super::{Law, SIZES, Violation, broken, call, places, same};
use std::io::{ErrorKind, IoSliceMut, Read};

/// Checks that readers made by `make`, each at the start of `content`, keep the laws of `Read`:
/// [`ReadCount`](Law::ReadCount), [`Content`](Law::Content), [`End`](Law::End),
/// [`EmptyRead`](Law::EmptyRead), [`ReadToEnd`](Law::ReadToEnd), [`ReadToString`](Law::ReadToString),
/// [`ReadExact`](Law::ReadExact) and [`ReadVectored`](Law::ReadVectored).
///
/// A content of some hundred bytes, UTF-8 with a few newlines, exercises every law; one of more
/// than 64 KiB exercises the buffers as well. What a read leaves in its buffer beyond the bytes
/// that it claims is not checked: std promises nothing there.
///
/// # Errors
///
/// The first law that was broken, and how.
///
/// # Examples
///
/// ```
/// use aqueduct::iotest::check_reader;
/// use std::io::{BufReader, Read};
///
/// check_reader(|| BufReader::with_capacity(3, &b"some text\n"[..]).take(4), b"some")?;
/// # Ok::<(), aqueduct::iotest::Violation>(())
/// ```
pub fn check_reader<R: Read>(mut make: impl FnMut() -> R, content: &[u8]) -> Result<(), Violation> {
    for size in SIZES {
        read_in_sizes(&mut make(), content, &[size])?;
    }
    read_in_sizes(&mut make(), content, &SIZES)?;
    read_in_sizes(&mut make(), content, &[content.len() + 1])?;
    read_with_empty(&mut make(), content)?;
    for place in places(content.len()) {
        read_to_end(&mut at(&mut make, place)?, content, place)?;
        read_to_string(&mut at(&mut make, place)?, content, place)?;
    }
    read_exact(&mut make, content)?;
    read_vectored(&mut make(), content)
}

/// A fresh reader after its first `place` bytes.
pub(super) fn at<R: Read>(make: &mut impl FnMut() -> R, place: usize) -> Result<R, Violation> {
    let mut reader = make();
    let mut buf = vec![0; place];
    let mut got = 0;
    while got < place {
        got += read(Law::Content, &mut reader, &mut buf[got..], got)?;
    }
    Ok(reader)
}

/// One read that must give something, as the end is not reached yet.
fn read<R: Read>(
    law: Law,
    reader: &mut R,
    buf: &mut [u8],
    done: usize,
) -> Result<usize, Violation> {
    let len = buf.len();
    let n = one_read(law, reader, buf, done)?;
    match n {
        0 if len > 0 => Err(broken!(law, "a read of {len} bytes after {done} gave 0, not the end")),
        n => Ok(n),
    }
}

/// One read, with its claim checked.
pub(super) fn one_read<R: Read>(
    law: Law,
    reader: &mut R,
    buf: &mut [u8],
    done: usize,
) -> Result<usize, Violation> {
    let len = buf.len();
    let doing = format!("a read of {len} bytes after {done}");
    let n = call(law, &doing, || reader.read(buf))?;
    if n > len {
        return Err(broken!(Law::ReadCount, "{doing} claimed {n}"));
    }
    Ok(n)
}

/// Empty reads between all others, and at the end.
fn read_with_empty<R: Read>(reader: &mut R, content: &[u8]) -> Result<(), Violation> {
    let mut got = Vec::new();
    let mut buf = [0; 61];
    loop {
        let done = got.len();
        let doing = format!("a read of 0 bytes after {done} of {}", content.len());
        for _ in 0..2 {
            match call(Law::EmptyRead, &doing, || reader.read(&mut []))? {
                0 => {}
                n => return Err(broken!(Law::EmptyRead, "{doing} claimed {n}")),
            }
        }
        let n = one_read(Law::Content, reader, &mut buf, done)?;
        got.extend_from_slice(&buf[..n]);
        if n == 0 || got.len() > content.len() {
            break;
        }
    }
    same(Law::EmptyRead, "reading with empty reads between", &got, content)
}

fn read_in_sizes<R: Read>(
    reader: &mut R,
    content: &[u8],
    sizes: &[usize],
) -> Result<(), Violation> {
    let mut got = Vec::new();
    let mut buf = vec![0; sizes.iter().copied().max().unwrap_or(1)];
    for &size in sizes.iter().cycle() {
        let n = one_read(Law::Content, reader, &mut buf[..size], got.len())?;
        got.extend_from_slice(&buf[..n]);
        if n == 0 || got.len() > content.len() {
            break;
        }
    }
    same(Law::Content, &format!("reading in sizes of {sizes:?}"), &got, content)?;
    for &size in sizes.iter().chain(sizes) {
        let n = one_read(Law::End, reader, &mut buf[..size], got.len())?;
        if n > 0 {
            return Err(broken!(Law::End, "a read of {size} bytes after the end gave {n}"));
        }
    }
    Ok(())
}

fn read_to_end<R: Read>(reader: &mut R, content: &[u8], place: usize) -> Result<(), Violation> {
    let law = Law::ReadToEnd;
    let doing = format!("read_to_end after {place} of {}", content.len());
    let before = b"kept".to_vec();
    let mut got = before.clone();
    let count = at_once(law, &doing, reader.read_to_end(&mut got))?;
    let want = [&before[..], &content[place..]].concat();
    same(law, &format!("{doing} onto 4 bytes"), &got, &want)?;
    counted(law, &doing, count, content.len() - place)?;
    let again = at_once(law, &format!("{doing} and at the end"), reader.read_to_end(&mut got))?;
    counted(law, &format!("{doing} and at the end"), again, 0)
}

fn read_to_string<R: Read>(reader: &mut R, content: &[u8], place: usize) -> Result<(), Violation> {
    let law = Law::ReadToString;
    let doing = format!("read_to_string after {place} of {}", content.len());
    let mut got = String::from("kept");
    let answer = reader.read_to_string(&mut got);
    match std::str::from_utf8(&content[place..]) {
        Ok(text) => {
            let count = at_once(law, &doing, answer)?;
            same(law, &doing, got.as_bytes(), format!("kept{text}").as_bytes())?;
            counted(law, &doing, count, text.len())
        }
        Err(_) => {
            match answer {
                Ok(_) => return Err(broken!(law, "{doing} gave Ok for bytes that are no UTF-8")),
                Err(e) if e.kind() != ErrorKind::InvalidData => {
                    return Err(broken!(
                        law,
                        "{doing} failed with {:?}, not InvalidData",
                        e.kind()
                    ));
                }
                Err(_) => {}
            }
            same(law, &format!("{doing}, which failed,"), got.as_bytes(), b"kept")
        }
    }
}

fn read_exact<R: Read>(make: &mut impl FnMut() -> R, content: &[u8]) -> Result<(), Violation> {
    let law = Law::ReadExact;
    let len = content.len();
    let mut reader = make();
    let mut done = 0;
    for &size in SIZES.iter().cycle() {
        let size = size.min(len - done);
        let mut buf = vec![0; size];
        let doing = format!("asking for {size} bytes after {done} of {len}");
        at_once(law, &doing, reader.read_exact(&mut buf))?;
        same(law, &doing, &buf, &content[done..done + size])?;
        done += size;
        if done == len {
            break;
        }
    }
    at_once(law, "asking for 0 bytes at the end", reader.read_exact(&mut []))?;
    for place in places(len) {
        let mut reader = at(make, place)?;
        let size = len - place + 1;
        let doing = format!("asking for {size} bytes after {place} of {len}");
        match reader.read_exact(&mut vec![0; size]) {
            Ok(()) => return Err(broken!(law, "{doing} gave Ok")),
            Err(e) if e.kind() != ErrorKind::UnexpectedEof => {
                return Err(broken!(law, "{doing} failed with {:?}: {e}", e.kind()));
            }
            Err(_) => {}
        }
    }
    Ok(())
}

fn read_vectored<R: Read>(reader: &mut R, content: &[u8]) -> Result<(), Violation> {
    let law = Law::ReadVectored;
    let shapes: [&[usize]; 7] =
        [&[0, 3, 0, 2, 0], &[], &[1], &[0, 0], &[5, 7, 11], &[0, 1000, 0, 3000], &[1, 1, 1]];
    let mut got = Vec::new();
    for shape in shapes.iter().cycle() {
        let room: usize = shape.iter().sum();
        let doing = format!("read_vectored into {shape:?} after {}", got.len());
        let mut bufs: Vec<Vec<u8>> = shape.iter().map(|&len| vec![0; len]).collect();
        let mut slices: Vec<_> = bufs.iter_mut().map(|buf| IoSliceMut::new(buf)).collect();
        let n = call(law, &doing, || reader.read_vectored(&mut slices))?;
        if n > room {
            return Err(broken!(law, "{doing} claimed {n} bytes"));
        }
        got.extend(bufs.concat().into_iter().take(n));
        if (n == 0 && room > 0) || got.len() > content.len() {
            break;
        }
    }
    same(law, "read_vectored to the end", &got, content)
}

/// A call that loops itself, and so must not be interrupted.
pub(super) fn at_once<T>(
    law: Law,
    doing: &str,
    answer: std::io::Result<T>,
) -> Result<T, Violation> {
    answer.map_err(|e| broken!(law, "{doing} failed: {e} ({:?})", e.kind()))
}

pub(super) fn counted(law: Law, doing: &str, got: usize, want: usize) -> Result<(), Violation> {
    if got == want { Ok(()) } else { Err(broken!(law, "{doing} returned {got}, not {want}")) }
}
