//! The laws of `BufRead`.

use super::reader::{at, at_once, counted, one_read};
use super::{Law, Violation, broken, call, check_reader, places, same};
use std::io::BufRead;

/// Checks that readers made by `make`, each at the start of `content`, keep the laws of `Read`
/// (see [`check_reader`]) and those of `BufRead`: [`FillBuf`](Law::FillBuf),
/// [`FillBufAgain`](Law::FillBufAgain), [`ConsumeZero`](Law::ConsumeZero),
/// [`Consume`](Law::Consume), [`Mixed`](Law::Mixed), [`ReadUntil`](Law::ReadUntil),
/// [`SkipUntil`](Law::SkipUntil) and [`Lines`](Law::Lines).
///
/// The content wants some newlines; where it is not UTF-8, `Lines` is not checked.
///
/// # Errors
///
/// The first law that was broken, and how.
///
/// # Examples
///
/// ```
/// use aqueduct::iotest::check_bufread;
/// use std::io::BufReader;
///
/// let text = b"one\ntwo\n\nthree";
/// check_bufread(|| BufReader::with_capacity(2, &text[..]), text)?;
/// # Ok::<(), aqueduct::iotest::Violation>(())
/// ```
pub fn check_bufread<R: BufRead>(
    mut make: impl FnMut() -> R,
    content: &[u8],
) -> Result<(), Violation> {
    check_reader(&mut make, content)?;
    fill_and_consume(&mut make(), content)?;
    consume_parts(&mut make(), content)?;
    mixed(&mut make, content)?;
    read_until(&mut make(), content)?;
    skip_until(&mut make(), content)?;
    lines(&mut make, content)
}

/// What `fill_buf` lends, compared with the content after `done` bytes.
fn lent<R: BufRead>(
    law: Law,
    reader: &mut R,
    content: &[u8],
    done: usize,
) -> Result<Vec<u8>, Violation> {
    let doing = format!("fill_buf after {done} of {}", content.len());
    let bytes = call(law, &doing, || reader.fill_buf().map(<[u8]>::to_vec))?;
    let rest = &content[done..];
    if bytes.len() > rest.len() {
        return Err(broken!(law, "{doing} lent {} bytes of {}", bytes.len(), rest.len()));
    }
    if bytes.is_empty() && !rest.is_empty() {
        return Err(broken!(law, "{doing} lent nothing, as at the end"));
    }
    same(law, &doing, &bytes, &rest[..bytes.len()])?;
    Ok(bytes)
}

fn fill_and_consume<R: BufRead>(reader: &mut R, content: &[u8]) -> Result<(), Violation> {
    let mut done = 0;
    loop {
        let first = lent(Law::FillBuf, reader, content, done)?;
        let again = lent(Law::FillBufAgain, reader, content, done)?;
        same(Law::FillBufAgain, &format!("fill_buf again after {done}"), &again, &first)?;
        reader.consume(0);
        let again = lent(Law::ConsumeZero, reader, content, done)?;
        same(Law::ConsumeZero, &format!("fill_buf after consume(0) after {done}"), &again, &first)?;
        if first.is_empty() {
            return Ok(());
        }
        reader.consume(first.len());
        done += first.len();
    }
}

fn consume_parts<R: BufRead>(reader: &mut R, content: &[u8]) -> Result<(), Violation> {
    let mut done = 0;
    for part in [1, 2, 3, 7, 61, 1021].into_iter().cycle() {
        let bytes = lent(Law::Consume, reader, content, done)?;
        if bytes.is_empty() {
            break;
        }
        let part = part.min(bytes.len());
        reader.consume(part);
        done += part;
    }
    Ok(())
}

fn mixed<R: BufRead>(make: &mut impl FnMut() -> R, content: &[u8]) -> Result<(), Violation> {
    let law = Law::Mixed;
    let reader = &mut make();
    let mut done = 0;
    let mut buf = [0; 17];
    for size in [1, 5, 0, 2, 17].into_iter().cycle() {
        let bytes = lent(law, reader, content, done)?;
        if bytes.is_empty() {
            break;
        }
        let n = one_read(law, reader, &mut buf[..size], done)?;
        let end = (done + n).min(content.len());
        same(law, &format!("a read after fill_buf after {done}"), &buf[..n], &content[done..end])?;
        done += n;
        let part = lent(law, reader, content, done)?.len().min(2);
        reader.consume(part);
        done += part;
    }
    for place in places(content.len()) {
        let reader = &mut at(make, place)?;
        let part = lent(law, reader, content, place)?.len().div_ceil(2);
        reader.consume(part);
        let place = place + part;
        let exact = (content.len() - place).min(3);
        let doing = format!("read_exact of {exact} bytes after consuming up to {place}");
        at_once(law, &doing, reader.read_exact(&mut buf[..exact]))?;
        same(law, &doing, &buf[..exact], &content[place..place + exact])?;
        lent(law, reader, content, place + exact)?;
        let mut rest = Vec::new();
        let doing = format!("read_to_end after fill_buf after {}", place + exact);
        at_once(law, &doing, reader.read_to_end(&mut rest))?;
        same(law, &doing, &rest, &content[place + exact..])?;
    }
    Ok(())
}

fn read_until<R: BufRead>(reader: &mut R, content: &[u8]) -> Result<(), Violation> {
    let law = Law::ReadUntil;
    let mut got = b"kept".to_vec();
    for record in content.split_inclusive(|&b| b == b'\n') {
        let doing = format!("read_until a newline after {}", got.len() - 4);
        let before = got.len();
        let count = at_once(law, &doing, reader.read_until(b'\n', &mut got))?;
        same(law, &doing, got.get(before..).unwrap_or(&[]), record)?;
        counted(law, &doing, count, record.len())?;
    }
    same(law, "read_until onto 4 bytes", &got, &[b"kept", content].concat())?;
    let count = at_once(law, "read_until at the end", reader.read_until(b'\n', &mut got))?;
    counted(law, "read_until at the end", count, 0)
}

fn skip_until<R: BufRead>(reader: &mut R, content: &[u8]) -> Result<(), Violation> {
    let law = Law::SkipUntil;
    let mut done = 0;
    for record in content.split_inclusive(|&b| b == b'\n') {
        let doing = format!("skip_until a newline after {done}");
        let count = at_once(law, &doing, reader.skip_until(b'\n'))?;
        counted(law, &doing, count, record.len())?;
        done += record.len();
        lent(law, reader, content, done)?;
    }
    let count = at_once(law, "skip_until at the end", reader.skip_until(b'\n'))?;
    counted(law, "skip_until at the end", count, 0)
}

fn lines<R: BufRead>(make: &mut impl FnMut() -> R, content: &[u8]) -> Result<(), Violation> {
    let law = Law::Lines;
    let Ok(text) = std::str::from_utf8(content) else {
        return Ok(());
    };
    let mut reader = make();
    let mut got = String::new();
    for line in text.split_inclusive('\n') {
        let doing = format!("read_line after {}", got.len());
        let count = at_once(law, &doing, reader.read_line(&mut got))?;
        counted(law, &doing, count, line.len())?;
    }
    same(law, "read_line to the end", got.as_bytes(), content)?;
    let mut lines = make().lines();
    for (number, want) in text.lines().enumerate() {
        let doing = format!("line {number} of lines()");
        match lines.next() {
            Some(line) => {
                same(law, &doing, at_once(law, &doing, line)?.as_bytes(), want.as_bytes())?
            }
            None => return Err(broken!(law, "{doing} is missing")),
        }
    }
    match lines.next() {
        None => Ok(()),
        Some(_) => Err(broken!(law, "lines() goes on after the last line")),
    }
}
