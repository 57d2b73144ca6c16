//! The laws of `Seek`, seen through `Read`.

use super::reader::{at_once, one_read};
use super::{Law, Violation, broken, call, check_reader, places, retry, same};
use std::io::{Read, Seek, SeekFrom};

/// Checks that readers made by `make`, each at the start of `content`, keep the laws of `Read`
/// (see [`check_reader`]) and those of `Seek`: [`Position`](Law::Position),
/// [`SeekStart`](Law::SeekStart), [`SeekCurrent`](Law::SeekCurrent), [`SeekEnd`](Law::SeekEnd),
/// [`SeekBefore`](Law::SeekBefore) and [`SeekBeyond`](Law::SeekBeyond).
///
/// Position 0 is the start of the content and its end the end of the reader.
///
/// # Errors
///
/// The first law that was broken, and how.
///
/// # Examples
///
/// ```
/// use aqueduct::iotest::check_seek;
/// use std::io::{BufReader, Cursor};
///
/// check_seek(|| BufReader::new(Cursor::new(b"content")), b"content")?;
/// # Ok::<(), aqueduct::iotest::Violation>(())
/// ```
pub fn check_seek<R: Read + Seek>(
    mut make: impl FnMut() -> R,
    content: &[u8],
) -> Result<(), Violation> {
    check_reader(&mut make, content)?;
    position(&mut make(), content)?;
    absolute(&mut make(), content)?;
    relative(&mut make(), content)?;
    before_start(&mut make(), content)?;
    beyond_end(&mut make(), content)
}

fn position<R: Read + Seek>(reader: &mut R, content: &[u8]) -> Result<(), Violation> {
    let mut done = 0;
    let mut buf = [0; 64];
    for size in [1, 2, 3, 7, 64].into_iter().cycle() {
        stands(Law::Position, reader, content, done, "reading")?;
        let n = one_read(Law::Position, reader, &mut buf[..size], done)?;
        if n == 0 {
            break;
        }
        let end = (done + n).min(content.len());
        let doing = format!("a read after stream_position at {done}");
        same(Law::Position, &doing, &buf[..n], &content[done..end])?;
        done += n;
    }
    if done == content.len() {
        return Ok(());
    }
    Err(broken!(Law::Position, "the reader ended at {done} of {}", content.len()))
}

fn absolute<R: Read + Seek>(reader: &mut R, content: &[u8]) -> Result<(), Violation> {
    let len = content.len();
    for place in places(len).into_iter().rev().chain(places(len)) {
        seek(Law::SeekStart, reader, SeekFrom::Start(place as u64), place, len)?;
        reads_on(Law::SeekStart, reader, content, place)?;
        let back = -((len - place) as i64);
        seek(Law::SeekEnd, reader, SeekFrom::End(back), place, len)?;
        reads_on(Law::SeekEnd, reader, content, place)?;
    }
    at_once(Law::SeekStart, "rewind", reader.rewind())?;
    reads_on(Law::SeekStart, reader, content, 0).map(drop)
}

/// Backwards in two steps and forwards again, from everywhere.
fn relative<R: Read + Seek>(reader: &mut R, content: &[u8]) -> Result<(), Violation> {
    let law = Law::SeekCurrent;
    let len = content.len();
    let mut at = 0;
    let mut go = |reader: &mut R, to: usize| {
        let by = to as i64 - at as i64;
        seek(law, reader, SeekFrom::Current(by), to, len)?;
        stands(law, reader, content, to, "seeking")?;
        at = to + reads_on(law, reader, content, to)?;
        Ok(())
    };
    for place in places(len) {
        for to in [place, place, place / 2, place / 4, len, place] {
            go(reader, to)?;
        }
    }
    for place in places(len) {
        let doing = format!("seek_relative from the end to {place} of {len}");
        seek(law, reader, SeekFrom::End(0), len, len)?;
        at_once(law, &doing, reader.seek_relative(place as i64 - len as i64))?;
        reads_on(law, reader, content, place)?;
    }
    Ok(())
}

fn before_start<R: Read + Seek>(reader: &mut R, content: &[u8]) -> Result<(), Violation> {
    let law = Law::SeekBefore;
    let len = content.len() as i64;
    for place in places(content.len()) {
        let p = place as i64;
        for to in [
            SeekFrom::Current(-p - 1),
            SeekFrom::Current(-p - 1000),
            SeekFrom::Current(i64::MIN),
            SeekFrom::End(-len - 1),
            SeekFrom::End(i64::MIN),
        ] {
            seek(law, reader, SeekFrom::Start(place as u64), place, content.len())?;
            if let Ok(landed) = retry(law, "seeking", &mut || reader.seek(to))? {
                return Err(broken!(law, "{to:?} at {place} of {len} gave Ok({landed})"));
            }
            stands(law, reader, content, place, &format!("the failed {to:?}"))?;
            reads_on(law, reader, content, place)?;
        }
    }
    Ok(())
}

fn beyond_end<R: Read + Seek>(reader: &mut R, content: &[u8]) -> Result<(), Violation> {
    let law = Law::SeekBeyond;
    let len = content.len();
    for place in places(len) {
        for (to, lands) in [
            (SeekFrom::Start(len as u64 + 1), Some(len as u64 + 1)),
            (SeekFrom::End(1), Some(len as u64 + 1)),
            (SeekFrom::Current((len - place) as i64 + 1000), Some(len as u64 + 1000)),
            (SeekFrom::Start(u64::MAX), Some(u64::MAX)),
            (SeekFrom::End(i64::MAX), (len as u64).checked_add(i64::MAX as u64)),
        ] {
            seek(law, reader, SeekFrom::Start(place as u64), place, len)?;
            let Ok(landed) = retry(law, "seeking", &mut || reader.seek(to))? else {
                stands(law, reader, content, place, &format!("the failed {to:?}"))?;
                reads_on(law, reader, content, place)?;
                continue;
            };
            if Some(landed) != lands {
                return Err(broken!(law, "{to:?} at {place} of {len} gave Ok({landed})"));
            }
            let n = one_read(law, reader, &mut [0; 8], len)?;
            if n > 0 {
                return Err(broken!(law, "a read of 8 bytes at {landed} of {len} gave {n}"));
            }
            // One more step would pass the greatest position; only an error is right.
            if landed == u64::MAX {
                let past = SeekFrom::Current(1);
                if let Ok(landed) = retry(law, "seeking", &mut || reader.seek(past))? {
                    return Err(broken!(law, "{past:?} at {} gave Ok({landed})", u64::MAX));
                }
            }
            let back = call(law, "stream_position", || reader.stream_position())?;
            if back != landed {
                return Err(broken!(law, "stream_position is {back} after {to:?}, not {landed}"));
            }
        }
        seek(law, reader, SeekFrom::Start(place as u64), place, len)?;
        reads_on(law, reader, content, place)?;
    }
    Ok(())
}

fn seek<R: Seek>(
    law: Law,
    reader: &mut R,
    to: SeekFrom,
    lands: usize,
    len: usize,
) -> Result<(), Violation> {
    let doing = format!("seeking to {lands} of {len} by {to:?}");
    let at = call(law, &doing, || reader.seek(to))?;
    if at == lands as u64 { Ok(()) } else { Err(broken!(law, "{doing} returned {at}")) }
}

fn stands<R: Seek>(
    law: Law,
    reader: &mut R,
    content: &[u8],
    place: usize,
    after: &str,
) -> Result<(), Violation> {
    let doing = format!("stream_position after {after}");
    let at = call(law, &doing, || reader.stream_position())?;
    if at == place as u64 {
        return Ok(());
    }
    Err(broken!(law, "{doing} is {at}, not {place} of {}", content.len()))
}

/// Reads a little and compares it; returns how much.
fn reads_on<R: Read>(
    law: Law,
    reader: &mut R,
    content: &[u8],
    place: usize,
) -> Result<usize, Violation> {
    let rest = &content[place..];
    let mut buf = [0; 5];
    let n = one_read(law, reader, &mut buf, place)?;
    if n == 0 && !rest.is_empty() || n > rest.len() {
        let len = content.len();
        return Err(broken!(law, "a read of 5 bytes after seeking to {place} of {len} gave {n}"));
    }
    same(law, &format!("a read after seeking to {place}"), &buf[..n], &rest[..n])?;
    Ok(n)
}
