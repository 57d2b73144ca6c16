//! The laws of `Write`.

use super::reader::at_once;
use super::{Law, SIZES, Violation, broken, call, same};
use std::io::{IoSlice, Write};

/// Checks that writers made by `make` keep the laws of `Write` when `content` is written to them:
/// [`WriteCount`](Law::WriteCount), [`Write`](Law::Write), [`EmptyWrite`](Law::EmptyWrite),
/// [`WriteAll`](Law::WriteAll), [`WriteVectored`](Law::WriteVectored),
/// [`WriteFmt`](Law::WriteFmt) and [`Flush`](Law::Flush).
///
/// `arrived` tells which bytes came out at the far end. It is called after `flush`, and must not
/// flush by itself. The writers need room for all of `content`; a short write is no violation,
/// but a write that takes nothing is.
///
/// # Errors
///
/// The first law that was broken, and how.
///
/// # Examples
///
/// ```
/// use aqueduct::iotest::check_writer;
/// use std::io::BufWriter;
///
/// check_writer(
///     || BufWriter::with_capacity(4, Vec::new()),
///     |writer| writer.get_ref().clone(),
///     b"some content",
/// )?;
/// # Ok::<(), aqueduct::iotest::Violation>(())
/// ```
pub fn check_writer<W: Write>(
    mut make: impl FnMut() -> W,
    mut arrived: impl FnMut(W) -> Vec<u8>,
    content: &[u8],
) -> Result<(), Violation> {
    type Way<W> = (Law, &'static str, fn(&mut W, &[u8]) -> Result<(), Violation>);
    let ways: [Way<W>; 7] = [
        (Law::Write, "writing in sizes", write_in_sizes),
        (Law::Write, "writing at once", write_at_once),
        (Law::EmptyWrite, "writing with empty writes between", write_with_empty),
        (Law::WriteAll, "write_all in sizes", write_all),
        (Law::WriteVectored, "write_vectored", write_vectored),
        (Law::WriteFmt, "write_fmt", write_fmt),
        (Law::Flush, "writing with flushes between", write_and_flush),
    ];
    for (law, doing, write) in ways {
        let mut writer = make();
        write(&mut writer, content)?;
        flush(&mut writer, content.len())?;
        let want = match law {
            Law::WriteFmt => text_of(content).into_bytes(),
            _ => content.to_vec(),
        };
        same(law, doing, &arrived(writer), &want)?;
    }
    Ok(())
}

fn flush<W: Write>(writer: &mut W, done: usize) -> Result<(), Violation> {
    let doing = format!("flush after {done} bytes");
    call(Law::Flush, &doing, || writer.flush())
}

/// One write that must take something.
fn one_write<W: Write>(writer: &mut W, bytes: &[u8], done: usize) -> Result<usize, Violation> {
    let len = bytes.len();
    let doing = format!("a write of {len} bytes after {done}");
    match call(Law::Write, &doing, || writer.write(bytes))? {
        n if n > len => Err(broken!(Law::WriteCount, "{doing} claimed {n}")),
        0 if len > 0 => Err(broken!(Law::Write, "{doing} took none")),
        n => Ok(n),
    }
}

fn write_in_sizes<W: Write>(writer: &mut W, content: &[u8]) -> Result<(), Violation> {
    let mut done = 0;
    for &size in SIZES.iter().cycle() {
        if done == content.len() {
            break;
        }
        let end = content.len().min(done + size);
        done += one_write(writer, &content[done..end], done)?;
    }
    Ok(())
}

fn write_with_empty<W: Write>(writer: &mut W, content: &[u8]) -> Result<(), Violation> {
    let law = Law::EmptyWrite;
    let mut done = 0;
    for &size in [3, 64, 1021].iter().cycle() {
        let doing = format!("a write of 0 bytes after {done}");
        match call(law, &doing, || writer.write(&[]))? {
            0 => {}
            n => return Err(broken!(law, "{doing} claimed {n}")),
        }
        at_once(law, "write_all of 0 bytes", writer.write_all(&[]))?;
        if done == content.len() {
            break;
        }
        let end = content.len().min(done + size);
        done += one_write(writer, &content[done..end], done)?;
    }
    Ok(())
}

fn write_at_once<W: Write>(writer: &mut W, content: &[u8]) -> Result<(), Violation> {
    let mut done = 0;
    while done < content.len() {
        done += one_write(writer, &content[done..], done)?;
    }
    Ok(())
}

fn write_all<W: Write>(writer: &mut W, content: &[u8]) -> Result<(), Violation> {
    let mut rest = content;
    for &size in SIZES.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (now, later) = rest.split_at(size.min(rest.len()));
        let doing =
            format!("write_all of {} bytes after {}", now.len(), content.len() - rest.len());
        at_once(Law::WriteAll, &doing, writer.write_all(now))?;
        rest = later;
    }
    Ok(())
}

fn write_vectored<W: Write>(writer: &mut W, content: &[u8]) -> Result<(), Violation> {
    let law = Law::WriteVectored;
    let shapes: [&[usize]; 7] =
        [&[0, 3, 0, 2, 0], &[], &[1], &[0, 0], &[5, 7, 11], &[0, 1000, 0, 3000], &[1, 1, 1]];
    let mut done = 0;
    for shape in shapes.iter().cycle() {
        let mut rest = &content[done..];
        let mut slices = Vec::new();
        for &len in *shape {
            let (now, later) = rest.split_at(len.min(rest.len()));
            slices.push(IoSlice::new(now));
            rest = later;
        }
        let given: usize = slices.iter().map(|slice| slice.len()).sum();
        let doing = format!("write_vectored of {shape:?} after {done} of {}", content.len());
        match call(law, &doing, || writer.write_vectored(&slices))? {
            n if n > given => return Err(broken!(law, "{doing} claimed {n} bytes of {given}")),
            0 if given > 0 => return Err(broken!(law, "{doing} took none")),
            n => done += n,
        }
        if done == content.len() {
            break;
        }
    }
    Ok(())
}

/// What of `content` is UTF-8: never longer, so that it fits where `content` does.
fn text_of(content: &[u8]) -> String {
    content.utf8_chunks().map(|chunk| chunk.valid()).collect()
}

fn write_fmt<W: Write>(writer: &mut W, content: &[u8]) -> Result<(), Violation> {
    let text = text_of(content);
    let mut half = text.len() / 2;
    while !text.is_char_boundary(half) {
        half -= 1;
    }
    let (one, two) = text.split_at(half);
    at_once(Law::WriteFmt, "write_fmt", write!(writer, "{one}{two}"))
}

fn write_and_flush<W: Write>(writer: &mut W, content: &[u8]) -> Result<(), Violation> {
    let mut done = 0;
    for &size in [1, 13, 700, 9000].iter().cycle() {
        flush(writer, done)?;
        flush(writer, done)?;
        if done == content.len() {
            break;
        }
        let end = content.len().min(done + size);
        done += one_write(writer, &content[done..end], done)?;
    }
    Ok(())
}
