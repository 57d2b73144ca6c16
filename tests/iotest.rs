//! Every law of the conformance checks can fail, and holds where it should.

use aqueduct::iotest::*;
use std::collections::BTreeSet;
use std::io::{
    self, BufRead, BufReader, Cursor, ErrorKind, IoSlice, IoSliceMut, Read, Seek, SeekFrom, Write,
};

fn text() -> Vec<u8> {
    (0..400).map(|i| format!("line {i} of ünicode\n")).collect::<String>().into_bytes()
}

/// Which method a broken reader breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flaw {
    EmptyReadClaims,
    EmptyReadEats,
    Overclaims,
    Skips,
    EndsEarly,
    GoesOn,
    Fails,
    InterruptsForEver,
    EndIsReadAgain,
    ToEndReplaces,
    ToEndMiscounts,
    ToEndInterrupted,
    ToStringLossy,
    ToStringKeepsRubbish,
    ExactStops,
    ExactWrongKind,
    VectoredReverses,
    VectoredStopsAtEmpty,
    VectoredOverclaims,
    FillEndsEarly,
    FillWrong,
    FillMoves,
    ConsumeZeroMoves,
    ConsumeAll,
    ReadIgnoresBuffer,
    UntilDropsDelimiter,
    UntilMiscounts,
    SkipStopsShort,
    LineDropsNewline,
    PositionOff,
    PositionMoves,
    StartOff,
    StartLies,
    CurrentForwardOnly,
    EndOff,
    BeforeClamps,
    BeforeErrorMoves,
    BeyondClamps,
    BeyondReads,
    BeyondWraps,
}

/// A correct reader but for one flaw.
struct Broken {
    inner: Cursor<Vec<u8>>,
    flaw: Flaw,
    ended: bool,
    lent: usize,
}

impl Broken {
    fn new(flaw: Flaw, content: &[u8]) -> Self {
        Self { inner: Cursor::new(content.to_vec()), flaw, ended: false, lent: 0 }
    }

    fn len(&self) -> u64 {
        self.inner.get_ref().len() as u64
    }

    fn skip(&mut self, n: u64) {
        let to = (self.inner.position() + n).min(self.len());
        self.inner.set_position(to);
    }
}

impl Read for Broken {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let at = self.inner.position();
        let lent = std::mem::take(&mut self.lent) as u64;
        match self.flaw {
            Flaw::EmptyReadClaims if buf.is_empty() => return Ok(1),
            Flaw::EmptyReadEats if buf.is_empty() => self.skip(1),
            Flaw::Skips if buf.len() == 7 => self.skip(1),
            Flaw::EndsEarly if at > 3 => return Ok(0),
            Flaw::GoesOn if at == self.len() && !buf.is_empty() => {
                buf[0] = b'+';
                return Ok(1);
            }
            Flaw::Fails if at > 3 && !buf.is_empty() => return Err(ErrorKind::WouldBlock.into()),
            Flaw::InterruptsForEver => return Err(ErrorKind::Interrupted.into()),
            Flaw::EndIsReadAgain if at == self.len() && !buf.is_empty() => {
                if self.ended {
                    self.inner.set_position(0);
                }
                self.ended = true;
            }
            Flaw::ReadIgnoresBuffer => self.skip(lent),
            Flaw::BeyondReads if at > self.len() && !buf.is_empty() => return Ok(1),
            _ => {}
        }
        let n = self.inner.read(buf)?;
        Ok(if self.flaw == Flaw::Overclaims && n > 0 { buf.len() + 1 } else { n })
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        match self.flaw {
            Flaw::VectoredReverses => {
                bufs.iter_mut().rev().try_fold(0, |n, b| Ok(n + self.inner.read(b)?))
            }
            Flaw::VectoredStopsAtEmpty => bufs.first_mut().map_or(Ok(0), |b| self.inner.read(b)),
            Flaw::VectoredOverclaims => {
                let room: usize = bufs.iter().map(|b| b.len()).sum();
                let n = self.inner.read_vectored(bufs)?;
                Ok(if n > 0 { room + 1 } else { 0 })
            }
            _ => self.inner.read_vectored(bufs),
        }
    }

    fn read_to_end(&mut self, buf: &mut Vec<u8>) -> io::Result<usize> {
        match self.flaw {
            Flaw::ToEndReplaces => buf.clear(),
            Flaw::ToEndInterrupted => return Err(ErrorKind::Interrupted.into()),
            Flaw::ToEndMiscounts => {
                self.inner.read_to_end(buf)?;
                return Ok(buf.len());
            }
            _ => {}
        }
        self.inner.read_to_end(buf)
    }

    fn read_to_string(&mut self, buf: &mut String) -> io::Result<usize> {
        if !matches!(self.flaw, Flaw::ToStringLossy | Flaw::ToStringKeepsRubbish) {
            return self.inner.read_to_string(buf);
        }
        let mut bytes = Vec::new();
        self.inner.read_to_end(&mut bytes)?;
        buf.push_str(&String::from_utf8_lossy(&bytes));
        match String::from_utf8(bytes) {
            Err(_) if self.flaw == Flaw::ToStringKeepsRubbish => Err(ErrorKind::InvalidData.into()),
            Err(e) => Ok(e.as_bytes().len()),
            Ok(text) => Ok(text.len()),
        }
    }

    fn read_exact(&mut self, buf: &mut [u8]) -> io::Result<()> {
        match self.flaw {
            Flaw::ExactStops => self.inner.read(buf).map(drop),
            Flaw::ExactWrongKind => {
                self.inner.read_exact(buf).map_err(|_| ErrorKind::WriteZero.into())
            }
            _ => self.inner.read_exact(buf),
        }
    }
}

impl BufRead for Broken {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.flaw == Flaw::FillMoves {
            let moves = std::mem::replace(&mut self.lent, 1);
            self.skip(moves as u64);
        }
        let at = self.inner.position().min(self.len()) as usize;
        let end = (at + 16).min(self.inner.get_ref().len());
        self.lent = end - at;
        match self.flaw {
            Flaw::FillMoves => self.lent = 1,
            Flaw::FillEndsEarly if at > 3 => return Ok(&[]),
            Flaw::FillWrong if at > 3 => return Ok(b"!"),
            _ => {}
        }
        Ok(&self.inner.get_ref()[at..end])
    }

    fn consume(&mut self, n: usize) {
        let lent = std::mem::take(&mut self.lent);
        match self.flaw {
            Flaw::ConsumeZeroMoves if n == 0 => self.skip(1),
            Flaw::ConsumeAll if n > 0 => self.skip(lent as u64),
            _ => self.skip(n as u64),
        }
    }

    fn read_until(&mut self, delimiter: u8, buf: &mut Vec<u8>) -> io::Result<usize> {
        let n = self.inner.read_until(delimiter, buf)?;
        match self.flaw {
            Flaw::UntilDropsDelimiter => drop(buf.pop()),
            Flaw::UntilMiscounts => return Ok(buf.len()),
            _ => {}
        }
        Ok(n)
    }

    fn skip_until(&mut self, delimiter: u8) -> io::Result<usize> {
        let n = self.inner.skip_until(delimiter)?;
        if self.flaw == Flaw::SkipStopsShort {
            self.inner.set_position(self.inner.position().saturating_sub(1));
        }
        Ok(n)
    }

    fn read_line(&mut self, buf: &mut String) -> io::Result<usize> {
        let n = self.inner.read_line(buf)?;
        if self.flaw == Flaw::LineDropsNewline && buf.ends_with('\n') {
            buf.pop();
        }
        Ok(n)
    }
}

impl Seek for Broken {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = self.inner.position();
        match (self.flaw, to) {
            (Flaw::StartOff, SeekFrom::Start(n)) if n > 0 => {
                self.inner.set_position(n - 1);
                return Ok(n);
            }
            (Flaw::StartLies, SeekFrom::Start(n)) => {
                self.inner.set_position(n);
                return Ok(at);
            }
            (Flaw::CurrentForwardOnly, SeekFrom::Current(n)) if n < 0 => {
                return Err(ErrorKind::Unsupported.into());
            }
            (Flaw::EndOff, SeekFrom::End(n)) if n < 0 => {
                return self.inner.seek(SeekFrom::End(n + 1));
            }
            _ => {}
        }
        let answer = self.inner.seek(to);
        match (self.flaw, &answer) {
            (Flaw::BeforeClamps, Err(_)) => self.inner.seek(SeekFrom::Start(0)),
            (Flaw::BeforeErrorMoves, Err(_)) => {
                self.skip(1);
                answer
            }
            (Flaw::BeyondClamps, Ok(n)) if *n > self.len() => self.inner.seek(SeekFrom::End(0)),
            (Flaw::BeyondWraps, Err(_)) if at == u64::MAX => self.inner.seek(SeekFrom::Start(0)),
            _ => answer,
        }
    }

    fn stream_position(&mut self) -> io::Result<u64> {
        match self.flaw {
            Flaw::PositionOff => Ok(self.inner.position() / 2),
            Flaw::PositionMoves => {
                let at = self.inner.position();
                self.skip(1);
                Ok(at)
            }
            _ => Ok(self.inner.position()),
        }
    }
}

fn reader(flaw: Flaw) -> Law {
    let content = text();
    check_reader(|| Broken::new(flaw, &content), &content).unwrap_err().law()
}

fn bufread(flaw: Flaw) -> Law {
    let content = text();
    check_bufread(|| Broken::new(flaw, &content), &content).unwrap_err().law()
}

fn seeker(flaw: Flaw) -> Law {
    let content = text();
    check_seek(|| Broken::new(flaw, &content), &content).unwrap_err().law()
}

#[test]
fn each_broken_reader_is_caught_by_its_law() {
    assert_eq!(reader(Flaw::EmptyReadClaims), Law::EmptyRead);
    assert_eq!(reader(Flaw::EmptyReadEats), Law::EmptyRead);
    assert_eq!(reader(Flaw::Overclaims), Law::ReadCount);
    assert_eq!(reader(Flaw::Skips), Law::Content);
    assert_eq!(reader(Flaw::EndsEarly), Law::Content);
    assert_eq!(reader(Flaw::GoesOn), Law::Content);
    assert_eq!(reader(Flaw::Fails), Law::Content);
    assert_eq!(reader(Flaw::InterruptsForEver), Law::Content);
    assert_eq!(reader(Flaw::EndIsReadAgain), Law::End);
    assert_eq!(reader(Flaw::ToEndReplaces), Law::ReadToEnd);
    assert_eq!(reader(Flaw::ToEndMiscounts), Law::ReadToEnd);
    assert_eq!(reader(Flaw::ToEndInterrupted), Law::ReadToEnd);
    assert_eq!(reader(Flaw::ExactStops), Law::ReadExact);
    assert_eq!(reader(Flaw::ExactWrongKind), Law::ReadExact);
    assert_eq!(reader(Flaw::VectoredReverses), Law::ReadVectored);
    assert_eq!(reader(Flaw::VectoredStopsAtEmpty), Law::ReadVectored);
    assert_eq!(reader(Flaw::VectoredOverclaims), Law::ReadVectored);
    let binary = b"\xffnot text\n";
    for flaw in [Flaw::ToStringLossy, Flaw::ToStringKeepsRubbish] {
        let broken = check_reader(|| Broken::new(flaw, binary), binary).unwrap_err();
        assert_eq!(broken.law(), Law::ReadToString, "{broken}");
    }
}

#[test]
fn each_broken_bufread_is_caught_by_its_law() {
    assert_eq!(bufread(Flaw::FillEndsEarly), Law::FillBuf);
    assert_eq!(bufread(Flaw::FillWrong), Law::FillBuf);
    assert_eq!(bufread(Flaw::FillMoves), Law::FillBufAgain);
    assert_eq!(bufread(Flaw::ConsumeZeroMoves), Law::ConsumeZero);
    assert_eq!(bufread(Flaw::ConsumeAll), Law::Consume);
    assert_eq!(bufread(Flaw::ReadIgnoresBuffer), Law::Mixed);
    assert_eq!(bufread(Flaw::UntilDropsDelimiter), Law::ReadUntil);
    assert_eq!(bufread(Flaw::UntilMiscounts), Law::ReadUntil);
    assert_eq!(bufread(Flaw::SkipStopsShort), Law::SkipUntil);
    assert_eq!(bufread(Flaw::LineDropsNewline), Law::Lines);
}

#[test]
fn each_broken_seek_is_caught_by_its_law() {
    assert_eq!(seeker(Flaw::PositionOff), Law::Position);
    assert_eq!(seeker(Flaw::PositionMoves), Law::Position);
    assert_eq!(seeker(Flaw::StartOff), Law::SeekStart);
    assert_eq!(seeker(Flaw::StartLies), Law::SeekStart);
    assert_eq!(seeker(Flaw::CurrentForwardOnly), Law::SeekCurrent);
    assert_eq!(seeker(Flaw::EndOff), Law::SeekEnd);
    assert_eq!(seeker(Flaw::BeforeClamps), Law::SeekBefore);
    assert_eq!(seeker(Flaw::BeforeErrorMoves), Law::SeekBefore);
    assert_eq!(seeker(Flaw::BeyondClamps), Law::SeekBeyond);
    assert_eq!(seeker(Flaw::BeyondReads), Law::SeekBeyond);
    assert_eq!(seeker(Flaw::BeyondWraps), Law::SeekBeyond);
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    EmptyClaims,
    EmptyWrites,
    Overclaims,
    Doubles,
    Loses,
    TakesNone,
    AllInterrupted,
    AllDoubles,
    VectoredFirstOnly,
    VectoredReverses,
    VectoredOverclaims,
    FmtCut,
    FlushFails,
    FlushWrites,
    FlushKeeps,
}

/// A correct writer but for one fault; what comes after the last flush has not arrived.
struct Faulty {
    fault: Fault,
    got: Vec<u8>,
    arrived: usize,
}

impl Write for Faulty {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self.fault {
            Fault::EmptyClaims if buf.is_empty() => return Ok(1),
            Fault::EmptyWrites if buf.is_empty() => self.got.push(0),
            Fault::Overclaims => return Ok(buf.len() + 1),
            Fault::Doubles if buf.len() == 7 => self.got.extend_from_slice(buf),
            Fault::Loses if self.got.len() > 10 => return Ok(buf.len()),
            Fault::TakesNone if self.got.len() > 10 => return Ok(0),
            _ => {}
        }
        self.got.extend_from_slice(buf);
        Ok(buf.len())
    }

    fn write_all(&mut self, buf: &[u8]) -> io::Result<()> {
        match self.fault {
            Fault::AllInterrupted if !buf.is_empty() => return Err(ErrorKind::Interrupted.into()),
            Fault::AllDoubles if buf.len() == 7 => self.got.extend_from_slice(buf),
            _ => {}
        }
        self.got.extend_from_slice(buf);
        Ok(())
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        match self.fault {
            Fault::VectoredFirstOnly => bufs.first().map_or(Ok(0), |b| self.write(b)),
            Fault::VectoredReverses => bufs.iter().rev().try_fold(0, |n, b| Ok(n + self.write(b)?)),
            Fault::VectoredOverclaims => bufs.iter().try_fold(1, |n, b| Ok(n + self.write(b)?)),
            _ => bufs.iter().try_fold(0, |n, b| Ok(n + self.write(b)?)),
        }
    }

    fn write_fmt(&mut self, text: std::fmt::Arguments<'_>) -> io::Result<()> {
        let text = text.to_string();
        let cut = if self.fault == Fault::FmtCut { 3 } else { 0 };
        self.write_all(&text.as_bytes()[cut..])
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.fault {
            Fault::FlushFails => return Err(ErrorKind::BrokenPipe.into()),
            // Only where flushes come often, so that it is no other law's fault.
            Fault::FlushWrites if self.arrived == self.got.len() => self.got.push(b'!'),
            Fault::FlushKeeps => return Ok(()),
            _ => {}
        }
        self.arrived = self.got.len();
        Ok(())
    }
}

fn writer(fault: Fault) -> Law {
    let make = || Faulty { fault, got: Vec::new(), arrived: 0 };
    let arrived = |w: Faulty| w.got[..w.arrived].to_vec();
    check_writer(make, arrived, &text()).unwrap_err().law()
}

#[test]
fn each_faulty_writer_is_caught_by_its_law() {
    assert_eq!(writer(Fault::EmptyClaims), Law::EmptyWrite);
    assert_eq!(writer(Fault::EmptyWrites), Law::EmptyWrite);
    assert_eq!(writer(Fault::Overclaims), Law::WriteCount);
    assert_eq!(writer(Fault::Doubles), Law::Write);
    assert_eq!(writer(Fault::Loses), Law::Write);
    assert_eq!(writer(Fault::TakesNone), Law::Write);
    assert_eq!(writer(Fault::AllInterrupted), Law::WriteAll);
    assert_eq!(writer(Fault::AllDoubles), Law::WriteAll);
    assert_eq!(writer(Fault::VectoredFirstOnly), Law::WriteVectored);
    assert_eq!(writer(Fault::VectoredReverses), Law::WriteVectored);
    assert_eq!(writer(Fault::VectoredOverclaims), Law::WriteVectored);
    assert_eq!(writer(Fault::FmtCut), Law::WriteFmt);
    assert_eq!(writer(Fault::FlushFails), Law::Flush);
    assert_eq!(writer(Fault::FlushWrites), Law::Flush);
    assert_eq!(writer(Fault::FlushKeeps), Law::Write);
}

/// The tests above name each law at least once; a new law without a broken type is noticed here.
#[test]
fn no_law_is_without_a_broken_type() {
    let source = include_str!("iotest.rs");
    let named: BTreeSet<_> = Law::ALL
        .iter()
        .filter(|law| {
            source.contains(&format!("Law::{law:?})")) || source.contains(&format!("Law::{law:?},"))
        })
        .collect();
    assert_eq!(named.len(), Law::ALL.len(), "{:?}", named);
}

#[test]
fn a_violation_tells_the_law_and_the_place_by_debug_too() {
    let broken = check_reader(|| &b"abcdef"[..], b"abcxef").unwrap_err();
    let message = broken.to_string();
    assert!(message.contains("0x64 as byte 3, not 0x78"), "{message}");
    assert!(message.contains(broken.law().text()), "{message}");
    assert_eq!(message, format!("{broken:?}"));
}

#[test]
fn stds_own_types_keep_the_laws() {
    let large: Vec<u8> = (0..200_000u32).map(|i| (i / 7) as u8 ^ (i as u8)).collect();
    for content in [&b""[..], b"x", b"\n", b"no newline", &text(), b"\xff\n\xfe", &large] {
        check_bufread(|| content, content).unwrap();
        check_bufread(|| BufReader::with_capacity(5, content), content).unwrap();
        check_bufread(|| content.take(content.len() as u64), content).unwrap();
        let (a, b) = content.split_at(content.len() / 3);
        check_bufread(|| a.chain(b), content).unwrap();
        check_seek(|| Cursor::new(content), content).unwrap();
        check_seek(|| BufReader::with_capacity(5, Cursor::new(content)), content).unwrap();
        check_writer(Vec::new, |w| w, content).unwrap();
        check_writer(
            || io::BufWriter::with_capacity(9, Vec::new()),
            |w| w.get_ref().clone(),
            content,
        )
        .unwrap();
        check_writer(|| io::LineWriter::new(Vec::new()), |w| w.get_ref().clone(), content).unwrap();
    }
}

#[test]
fn files_keep_the_laws() {
    let content = text();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &content).unwrap();
    check_seek(|| file.reopen().unwrap(), &content).unwrap();
    let fresh = || tempfile::NamedTempFile::new().unwrap();
    check_writer(fresh, |w| std::fs::read(w.path()).unwrap(), &content).unwrap();
}

#[test]
fn the_doubles_that_only_slow_down_keep_the_laws() {
    for content in [&b""[..], b"\n", &text()] {
        check_bufread(|| OneByte::new(content), content).unwrap();
        check_bufread(|| Half::new(content), content).unwrap();
        check_bufread(|| Chunked::new(content, [3, 0, 1, 50]), content).unwrap();
        check_bufread(|| Chunked::new(content, []), content).unwrap();
        for every in [0, 2, 3, 7] {
            check_bufread(|| InterruptEvery::new(content, every), content).unwrap();
            check_seek(|| InterruptEvery::new(Cursor::new(content), every), content).unwrap();
            let make = || ShortWrite::new(InterruptEvery::new(Vec::new(), every), 3);
            check_writer(make, |w| w.into_inner().into_inner(), content).unwrap();
        }
        check_writer(Recorder::new, |w| w.bytes().to_vec(), content).unwrap();
        let make = || Script::new().accept_all();
        check_writer(make, |w| w.finish().unwrap(), content).unwrap();
        check_bufread(|| Script::new().data(content), content).unwrap();
    }
}

#[test]
fn the_doubles_that_break_laws_are_caught() {
    let content = &text()[..];
    let law = |broken: Result<(), Violation>| broken.unwrap_err().law();
    assert_eq!(law(check_reader(|| Lying::new(content, 1000), content)), Law::ReadCount);
    assert_eq!(law(check_reader(|| TimeoutOnce::new(content), content)), Law::Content);
    assert_eq!(law(check_reader(|| WouldBlockEvery::new(content, 3), content)), Law::Content);
    assert_eq!(law(check_reader(|| ErrReader::new(ErrorKind::Other), b"")), Law::Content);
    let make = || DataThenErr::new(content, ErrorKind::Other);
    assert_eq!(law(check_reader(make, content)), Law::Content);
    let make = || Truncate::new(Vec::new(), 50);
    assert_eq!(law(check_writer(make, |w| w.into_inner(), content)), Law::Write);
    assert_eq!(law(check_writer(ZeroWrite::new, |_| Vec::new(), content)), Law::Write);
    let make = || Lying::new(Vec::new(), 1);
    assert_eq!(law(check_writer(make, |w| w.into_inner(), content)), Law::WriteCount);
}
