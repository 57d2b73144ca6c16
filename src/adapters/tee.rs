use super::honest;
use crate::error;
use crate::source::{Outcomes, Outlets, Piece, Sink, Source, outlets};
use std::collections::VecDeque;
use std::io::{self, BufRead, IoSliceMut, Read, Write};

/// What a [`Tee`] does when its side fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum TeePolicy {
    /// The next read fails with the side's error, once; reads after that go on, and so does the
    /// side, without the bytes that it [refused](Tee::unwritten).
    #[default]
    Fail,
    /// The side gets nothing more, and nobody hears of the error.
    Detach,
    /// The side gets nothing more, and [`Tee::take_error`] tells the error.
    Collect,
}

/// Reader that writes what is read to a side as well.
///
/// Made by [`ReadExt::tee`](super::ReadExt::tee). The side gets each byte once, before the
/// `read` that hands it out returns; through [`BufRead`], when it is consumed. The side must
/// take all of them: short writes are continued, `Interrupted` is retried, and `Ok(0)` is an
/// error of kind `WriteZero`. A side that blocks makes the reader block. Nothing is flushed but
/// by a [`copy`](crate::copy()) that goes around the side's buffer.
///
/// A failing side loses no byte of the source. `read` hands out what it has read, and with
/// [`TeePolicy::Fail`] the *next* call returns the error. Should there be no next call, or is an
/// adapter around this one satisfied before (a [`Limit`](super::Limit), say, at its limit),
/// then [`take_error`](Self::take_error) tells it.
///
/// There is no `Seek`: what the side gets would have gaps.
///
/// # Errors
///
/// Those of the reader, and by the policy those of the side. An error of the side has the kind
/// that the side gave it, `WouldBlock` too.
///
/// # Examples
///
/// ```
/// use aqueduct::ReadExt;
/// use std::io::Read;
///
/// let mut seen = Vec::new();
/// let mut request = String::new();
/// (&b"GET / HTTP/1.1"[..]).tee(&mut seen).read_to_string(&mut request)?;
/// assert_eq!(seen, request.as_bytes());
/// # Ok::<(), std::io::Error>(())
/// ```
#[doc(alias = "TeeReader")]
#[derive(Debug)]
pub struct Tee<R, W> {
    inner: R,
    side: W,
    policy: TeePolicy,
    attached: bool,
    /// How many taps the side is, as of the last time that it was asked.
    width: usize,
    /// Whether `trouble` holds anything that the next call has to see to.
    troubled: bool,
    trouble: Trouble,
}

/// What is left of errors.
#[derive(Debug, Default)]
struct Trouble {
    /// Errors to be returned by the next calls, and whose they are.
    kept: VecDeque<(Party, io::Error)>,
    /// The last error returned was the side's.
    blamed: bool,
    /// Bytes handed out that the side did not accept.
    unwritten: Vec<u8>,
    /// With [`TeePolicy::Collect`], why the side was dropped.
    collected: Option<io::Error>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Party {
    Source,
    Side,
}

impl<R, W> Tee<R, W> {
    /// The reader `inner`, with `side` getting a copy.
    pub fn new(inner: R, side: W) -> Self {
        Self {
            inner,
            side,
            policy: TeePolicy::default(),
            attached: true,
            width: 1,
            troubled: false,
            trouble: Trouble::default(),
        }
    }

    /// What to do when the side fails.
    #[must_use]
    pub fn policy(mut self, policy: TeePolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Whether the side still gets bytes.
    pub fn is_attached(&self) -> bool {
        self.attached
    }

    /// The side's error that was not returned yet; with [`TeePolicy::Collect`], why it was
    /// dropped.
    pub fn take_error(&mut self) -> Option<io::Error> {
        let kept = self.trouble.kept.iter().position(|&(party, _)| party == Party::Side);
        let kept = kept.and_then(|index| self.trouble.kept.remove(index));
        kept.map(|(_, error)| error).or_else(|| self.trouble.collected.take())
    }

    /// The bytes handed out that the side did not accept, from its failure until the call after
    /// the one that returned the error.
    pub fn unwritten(&self) -> &[u8] {
        &self.trouble.unwritten
    }

    /// The reader and the side within.
    pub fn get_ref(&self) -> (&R, &W) {
        (&self.inner, &self.side)
    }

    /// The reader and the side within. What is read or written there passes by the tee.
    pub fn get_mut(&mut self) -> (&mut R, &mut W) {
        (&mut self.inner, &mut self.side)
    }

    /// The reader and the side within.
    pub fn into_inner(self) -> (R, W) {
        (self.inner, self.side)
    }

    fn owes_side(&self) -> bool {
        self.trouble.kept.iter().any(|&(party, _)| party == Party::Side)
    }

    fn keep(&mut self, party: Party, error: io::Error) {
        self.trouble.kept.push_back((party, error));
        self.troubled = true;
    }

    /// Returns the oldest error kept, and otherwise forgets the last one returned.
    #[cold]
    fn settle(&mut self) -> io::Result<()> {
        self.acquit();
        match self.trouble.kept.pop_front() {
            Some((party, error)) => {
                self.trouble.blamed = party == Party::Side;
                Err(error)
            }
            None => {
                self.trouble.unwritten = Vec::new();
                self.troubled = false;
                Ok(())
            }
        }
    }

    /// What the side missed is told until the call after the error.
    fn acquit(&mut self) {
        if self.trouble.blamed {
            self.trouble.blamed = false;
            self.trouble.unwritten.clear();
        }
    }

    /// The side failed in a step around the chain: returns its error, or keeps to the policy.
    fn side_failed(&mut self, error: io::Error) -> io::Result<()> {
        match self.policy {
            TeePolicy::Fail => {
                self.trouble.blamed = true;
                self.troubled = true;
                return Err(error);
            }
            TeePolicy::Collect => self.trouble.collected = Some(error),
            TeePolicy::Detach => {}
        }
        self.attached = false;
        Ok(())
    }
}

impl<R, W: Write> Tee<R, W> {
    #[inline]
    fn feed(&mut self, bytes: &[u8]) {
        if self.troubled {
            self.acquit();
            if self.owes_side() {
                self.trouble.unwritten.extend_from_slice(bytes);
                return;
            }
        }
        match feed(&mut self.side, bytes) {
            Ok(()) => {}
            Err((rest, error)) => self.refused(rest, error),
        }
    }

    /// The side failed while bytes were handed out: the error has to wait.
    #[cold]
    fn refused(&mut self, rest: &[u8], error: io::Error) {
        self.trouble.unwritten = rest.to_vec();
        self.troubled = true;
        if let Err(error) = self.side_failed(error) {
            self.trouble.blamed = false;
            self.keep(Party::Side, error);
        }
    }
}

/// Writes all of `bytes`, or tells which rest was not accepted.
#[inline]
fn feed<'b, W: Write>(side: &mut W, bytes: &'b [u8]) -> Result<(), (&'b [u8], io::Error)> {
    let mut rest = bytes;
    while !rest.is_empty() {
        match side.write(rest).and_then(|n| honest("writer", n, rest.len())) {
            Ok(0) => return Err((rest, error::takes_no_more())),
            Ok(n) => rest = &rest[n..],
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err((rest, e)),
        }
    }
    Ok(())
}

impl<R: Read, W: Write> Tee<R, W> {
    /// Reads the source to its end, so that the side gets the rest, and returns how many bytes
    /// that were.
    ///
    /// # Errors
    ///
    /// Those of `read`, but `Interrupted`, which is retried. Called again, it goes on.
    pub fn drain(&mut self) -> io::Result<u64> {
        let mut scratch = [0; 8 << 10];
        let mut drained = 0;
        loop {
            match self.read(&mut scratch) {
                Ok(0) => return Ok(drained),
                Ok(n) => drained += n as u64,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }
}

impl<R: Read, W: Write> Read for Tee<R, W> {
    #[inline]
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.troubled {
            self.settle()?;
        }
        let n = honest("reader", self.inner.read(buf)?, buf.len())?;
        if self.attached {
            self.feed(&buf[..n]);
        }
        Ok(n)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        if self.troubled {
            self.settle()?;
        }
        let max = bufs.iter().map(|buf| buf.len()).sum();
        let n = honest("reader", self.inner.read_vectored(bufs)?, max)?;
        let mut left = n;
        for buf in bufs {
            let filled = left.min(buf.len());
            left -= filled;
            if filled > 0 && self.attached {
                self.feed(&buf[..filled]);
            }
        }
        Ok(n)
    }
}

impl<R: BufRead, W: Write> BufRead for Tee<R, W> {
    #[inline]
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.troubled {
            self.settle()?;
        }
        self.inner.fill_buf()
    }

    #[inline]
    fn consume(&mut self, amount: usize) {
        if self.attached && amount > 0 {
            self.feed_buffered(amount);
        }
        self.inner.consume(amount);
    }
}

impl<R: BufRead, W: Write> Tee<R, W> {
    #[inline]
    fn feed_buffered(&mut self, amount: usize) {
        if self.troubled {
            return self.feed_buffered_late(amount);
        }
        // What is consumed lies in the buffer, so this reads nothing.
        let (rest, error) = match self.inner.fill_buf() {
            Ok(bytes) => match feed(&mut self.side, &bytes[..amount.min(bytes.len())]) {
                Ok(()) => return,
                Err((rest, error)) => (rest.to_vec(), error),
            },
            // An inner tee speaks up here about its own side.
            Err(error) => {
                self.keep(Party::Source, error);
                return self.feed_buffered_late(amount);
            }
        };
        self.refused(&rest, error);
    }

    #[cold]
    fn feed_buffered_late(&mut self, amount: usize) {
        let bytes = match self.inner.fill_buf() {
            Ok(bytes) => bytes[..amount.min(bytes.len())].to_vec(),
            Err(error) => return self.keep(Party::Source, error),
        };
        self.feed(&bytes);
    }
}

/// The side is the first taps, the source's own follow.
impl<R: Source, W: Sink> Source for Tee<R, W> {
    fn prepare(&mut self) -> io::Result<()> {
        if self.troubled {
            self.settle()?;
        }
        if self.attached {
            if let Err(error) = self.side.prepare() {
                self.side_failed(error)?;
            }
        }
        self.inner.prepare()
    }

    fn piece<'a>(&'a mut self, taps: &mut Outlets<'a>) -> Piece<'a> {
        let from = taps.len();
        if self.attached {
            self.side.outlets(taps);
        } else {
            taps.push_gone(outlets(&mut self.side));
        }
        self.width = taps.len() - from;
        let piece = self.inner.piece(taps);
        // An error that waits comes out of `read`.
        if self.trouble.kept.is_empty() { piece } else { Piece::Opaque }
    }

    fn advance(&mut self, n: u64, taps: &mut Outcomes<'_>) -> io::Result<()> {
        if self.troubled {
            self.acquit();
            if taps.settles() {
                self.trouble.unwritten.clear();
            }
        }
        let side = match self.attached {
            true => self.side.advance(taps),
            false => taps.take_all(self.width),
        };
        let source = self.inner.advance(n, taps);
        let Err(error) = side else { return source };
        match (self.side_failed(error), source) {
            (Ok(()), source) => source,
            (side, Ok(())) => side,
            (side, Err(error)) => {
                self.keep(Party::Source, error);
                side
            }
        }
    }

    fn end(&mut self) -> io::Result<bool> {
        self.inner.end()
    }

    fn at_fault(&self) -> Option<usize> {
        if self.trouble.blamed {
            return Some(self.side.at_fault().unwrap_or(0));
        }
        self.inner.at_fault().map(|tap| tap + self.width)
    }

    fn missed(&self, tap: usize) -> &[u8] {
        match tap.checked_sub(self.width) {
            None => {
                let got = self.side.ahead(tap).min(self.trouble.unwritten.len());
                &self.trouble.unwritten[got..]
            }
            Some(tap) => self.inner.missed(tap),
        }
    }
}
