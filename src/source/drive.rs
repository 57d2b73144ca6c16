//! The protocol by hand, one step at a time: an engine for tests, which uses no system call but
//! read(2), write(2) and their positioned kin.

use super::{Outcome, Outcomes, Outlet, Outlets, Piece, Sink, Source};
use ::std::fs::File;
use ::std::io::{self, Read, Write};
use ::std::os::fd::BorrowedFd;
use ::std::os::unix::fs::FileExt;

/// What one step of a source came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// So many bytes went around the chain.
    Around(usize),
    /// So many bytes came by `read`.
    Through(usize),
    /// The piece was at its end, and the source has another one.
    Again,
    /// The source has ended.
    Ended,
}

fn file(fd: BorrowedFd<'_>) -> File {
    File::from(fd.try_clone_to_owned().expect("a test has descriptors to spare"))
}

fn too_many(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

/// Writes as much of `bytes` as `outlet` takes.
fn put(outlet: &mut Outlet<'_>, bytes: &[u8]) -> Outcome {
    let room = outlet.room().map_or(0, |room| too_many(room).min(bytes.len()));
    let mut done = 0;
    while done < room {
        let rest = &bytes[done..room];
        let result = match outlet {
            Outlet::Fd { fd, at: None, .. } => file(fd.fd()).write(rest),
            Outlet::Fd { fd, at: Some(at), .. } => file(fd.fd()).write_at(rest, *at + done as u64),
            Outlet::Discard { .. } => Ok(rest.len()),
            Outlet::Opaque { to, .. } => to.write(rest),
            Outlet::Gone => break,
        };
        let error = match result {
            Ok(0) => crate::error::takes_no_more(),
            Ok(n) => {
                done += n;
                continue;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => e,
        };
        return Outcome { moved: done as u64, error: Some(error) };
    }
    Outcome { moved: done as u64, error: None }
}

/// Takes one step of at most `max` bytes and appends them to `out`.
pub(crate) fn pull<S: Source + ?Sized>(
    source: &mut S,
    out: &mut Vec<u8>,
    max: usize,
) -> io::Result<Step> {
    source.prepare()?;
    let mut taps = Outlets::new(true);
    let piece = source.piece(&mut taps).limit(max as u64);
    let bytes = match piece {
        Piece::Buffered(bytes) => bytes.to_vec(),
        Piece::Fd { fd, max, at, .. } => {
            let mut bytes = vec![0; too_many(max)];
            let n = match at {
                None => file(fd.fd()).read(&mut bytes)?,
                Some(at) => file(fd.fd()).read_at(&mut bytes, at)?,
            };
            bytes.truncate(n);
            bytes
        }
        Piece::Opaque => {
            let mut bytes = vec![0; max];
            let n = source.read(&mut bytes)?;
            out.extend_from_slice(&bytes[..n]);
            return Ok(if n == 0 { Step::Ended } else { Step::Through(n) });
        }
    };
    if bytes.is_empty() {
        drop(taps);
        return source.end().map(|again| if again { Step::Again } else { Step::Ended });
    }
    let mut list: Vec<_> = taps.list().iter_mut().map(|tap| put(tap, &bytes)).collect();
    drop(taps);
    out.extend_from_slice(&bytes);
    let mut outcomes = Outcomes::new(&mut list, true);
    let result = source.advance(bytes.len() as u64, &mut outcomes);
    assert_eq!(outcomes.taken(), list.len(), "an adapter took other outcomes than its own");
    result.map(|()| Step::Around(bytes.len()))
}

/// Takes steps of at most `max` bytes until the source has ended or failed.
pub(crate) fn pull_all<S: Source + ?Sized>(
    source: &mut S,
    out: &mut Vec<u8>,
    max: usize,
) -> io::Result<()> {
    while pull(source, out, max)? != Step::Ended {}
    Ok(())
}

/// Puts `bytes` into every outlet of `sink`, in one step, and returns how many each took.
pub(crate) fn push<K: Sink + ?Sized>(sink: &mut K, bytes: &[u8]) -> io::Result<Vec<u64>> {
    sink.prepare()?;
    let mut outlets = Outlets::new(true);
    sink.outlets(&mut outlets);
    let mut list: Vec<_> = outlets.list().iter_mut().map(|outlet| put(outlet, bytes)).collect();
    drop(outlets);
    let moved = list.iter().map(|outcome| outcome.moved).collect();
    let mut outcomes = Outcomes::new(&mut list, true);
    let result = sink.advance(&mut outcomes);
    assert_eq!(outcomes.taken(), list.len(), "an adapter took other outcomes than its own");
    result.map(|()| moved)
}
