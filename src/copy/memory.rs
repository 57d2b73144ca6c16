//! Steps through memory: the loop over `read`, and pieces that lie in memory already.

use super::engine::{Engine, Flow, Moved, Stop};
use super::error::Pending;
use super::{Path, Side};
use crate::source::{Handle, Outcome, Outlet, Outlets, Piece, Sink, Source};
use crate::{error, sys};
use std::cell::Cell;
use std::io;
use std::os::fd::AsRawFd;

/// The default size of the buffer.
pub(super) const BUFFER: usize = 128 << 10;

/// A plain read of so many bytes goes past any buffer that std hides.
const PAST_HIDDEN: usize = 64 << 10;

thread_local! {
    /// The buffer of the last copy on this thread.
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

impl Engine<'_> {
    /// `read` of the whole source, which feeds its own taps, then a write to each outlet.
    pub(super) fn through(
        &mut self,
        source: &mut dyn Source,
        sink: &mut dyn Sink,
        left: u64,
    ) -> Result<Flow, Stop> {
        self.prepared = false;
        self.plain = None;
        let size = self.buffer_size();
        // Thread-locals are gone when a destructor of another one copies.
        let mut buf = SPARE.try_with(Cell::take).unwrap_or_default();
        if buf.len() != size {
            // Zeroes from the system, not written by us: a small copy touches few pages of them.
            buf = vec![0; size];
        }
        let flow = self.through_buffer(source, sink, left, &mut buf);
        if size == BUFFER {
            let _ = SPARE.try_with(|spare| spare.set(buf));
        }
        flow
    }

    fn through_buffer(
        &mut self,
        source: &mut dyn Source,
        sink: &mut dyn Sink,
        left: u64,
        buf: &mut [u8],
    ) -> Result<Flow, Stop> {
        let mut list = Outlets::new(false);
        sink.outlets(&mut list);
        let outlets = list.list();
        let room = outlets.iter().filter_map(Outlet::room).min().unwrap_or(u64::MAX);
        let ask = left.min(room.max(1)).min(buf.len() as u64) as usize;
        let n = self.read(source, &mut buf[..ask])?;
        if n == 0 {
            return Ok(Flow::End);
        }
        let bytes = &buf[..n];
        let mut outcomes = self.fed(source, n as u64);
        // At no room the source has more than a sink may take: the byte read is owed to that one.
        outcomes.extend(outlets.iter_mut().map(|outlet| match outlet.room() {
            Some(0) => Outcome { moved: 0, error: Some(error::takes_no_more()) },
            _ => self.put(outlet, bytes),
        }));
        let pending = Pending::after(bytes, &outcomes, &self.gone);
        let moved = Moved { n: n as u64, path: Path::ReadWrite, outcomes, pending };
        self.settle(moved, None, sink, false)
    }

    /// What the taps got of `n` bytes that `read` has handed out. One that is given up since has
    /// missed some; one that still owes an error is seen to when it comes out.
    fn fed(&self, source: &mut dyn Source, n: u64) -> Vec<Outcome> {
        if self.taps == 0 {
            return Vec::new();
        }
        let mut list = Outlets::new(true);
        source.piece(&mut list);
        let now: Vec<_> = list.list().iter().map(|o| matches!(o, Outlet::Gone)).collect();
        let fed = now.iter().zip(&self.gone).enumerate().map(|(tap, states)| match states {
            (_, true) => 0,
            (true, false) => n.saturating_sub(source.missed(tap).len() as u64),
            (false, false) => n,
        });
        fed.map(|moved| Outcome { moved, error: None }).collect()
    }

    fn read(&mut self, source: &mut dyn Source, buf: &mut [u8]) -> Result<usize, Stop> {
        loop {
            let error = match source.read(buf) {
                Ok(n) if n > buf.len() => error::lying("reader", n, buf.len()),
                Ok(n) => {
                    if buf.len() >= PAST_HIDDEN {
                        self.note_emptied(source);
                    }
                    return Ok(n);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock && source.at_fault().is_none() => {
                    match self.wait_readable(source) {
                        Ok(()) => continue,
                        Err(e) => e,
                    }
                }
                Err(e) => e,
            };
            return Err(reading_failed(source, error));
        }
    }

    fn note_emptied(&mut self, source: &mut dyn Source) {
        if let Piece::Fd { fd, hidden: true, .. } = source.piece(&mut Outlets::new(true)) {
            self.ends.emptied(fd.fd().as_raw_fd());
        }
    }

    /// The piece lies in memory: a write to each outlet, taps included.
    pub(super) fn memory(
        &mut self,
        source: &mut dyn Source,
        sink: &mut dyn Sink,
        max: u64,
    ) -> Result<Flow, Stop> {
        self.prepared = false;
        let mut list = Outlets::new(false);
        let piece = source.piece(&mut list);
        let Piece::Buffered(bytes) = piece.limit(max) else {
            // Asked again, the source changed its mind: only `read` will do.
            return self.through(source, sink, max);
        };
        sink.outlets(&mut list);
        let mut outcomes: Vec<_> =
            list.list().iter_mut().map(|outlet| self.put(outlet, bytes)).collect();
        // Bytes that nobody got stay where they are.
        let n = match outcomes.len() {
            0 => bytes.len() as u64,
            _ => outcomes.iter().map(|outcome| outcome.moved).max().unwrap_or(0),
        };
        outcomes.resize_with(self.gone.len(), Outcome::default);
        let pending = Pending::after(&bytes[..n as usize], &outcomes, &self.gone);
        let moved = Moved { n, path: Path::ReadWrite, outcomes, pending };
        self.settle(moved, Some((source, false)), sink, false)
    }
}

/// A failed `read` is the source's failure, or that of a tap which it fed itself.
pub(super) fn reading_failed(source: &dyn Source, error: io::Error) -> Stop {
    Stop::new(source.at_fault().map_or(Side::Source, Side::Sink), error)
}

impl Engine<'_> {
    /// Writes `bytes` to `outlet`, waiting for it where the options say so.
    pub(super) fn put(&self, outlet: &mut Outlet<'_>, bytes: &[u8]) -> Outcome {
        match outlet {
            Outlet::Fd { fd, at, .. } => self.put_fd(*fd, *at, bytes),
            Outlet::Opaque { to, .. } => {
                let blocked = || Err(io::ErrorKind::WouldBlock.into());
                write_all(|bytes, _| to.write(bytes), bytes, blocked)
            }
            Outlet::Discard { .. } => Outcome { moved: bytes.len() as u64, error: None },
            Outlet::Gone => Outcome::default(),
        }
    }

    pub(super) fn put_fd(&self, to: Handle<'_>, at: Option<u64>, bytes: &[u8]) -> Outcome {
        let write = |bytes: &[u8], past| match (to.nowait(), to.desc()) {
            (Some(nowait), Some(desc)) if at.is_none() => {
                desc.write.begin()?;
                nowait.write(to.fd(), bytes)
            }
            _ => sys::write(to.fd(), at.map(|at| at + past), bytes),
        };
        write_all(write, bytes, || self.wait_writable(to))
    }
}

/// Writes all of `bytes` by `write`, an offset moving along.
fn write_all(
    mut write: impl FnMut(&[u8], u64) -> io::Result<usize>,
    bytes: &[u8],
    mut blocked: impl FnMut() -> io::Result<()>,
) -> Outcome {
    let mut moved = 0;
    while moved < bytes.len() {
        let rest = &bytes[moved..];
        let failure = match write(rest, moved as u64) {
            Ok(0) => error::takes_no_more(),
            Ok(n) if n > rest.len() => error::lying("writer", n, rest.len()),
            Ok(n) => {
                moved += n;
                continue;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => match blocked() {
                Ok(()) => continue,
                Err(e) => e,
            },
            Err(e) => e,
        };
        return Outcome { moved: moved as u64, error: Some(failure) };
    }
    Outcome { moved: moved as u64, error: None }
}
