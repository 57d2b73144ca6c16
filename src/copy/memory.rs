//! Steps through memory: the loop over `read`, and pieces that lie in memory already.

use super::engine::{Engine, Flow, Moved, Stop};
use super::error::Pending;
use super::{Path, Side};
use crate::error;
use crate::poll::Desc;
use crate::source::{Outcome, Outlet, Outlets, Piece, Sink, Source};
use std::cell::Cell;
use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;

/// The default size of the buffer.
pub(super) const BUFFER: usize = 128 << 10;

/// A plain read of so many bytes goes past any buffer that std hides.
const PAST_HIDDEN: usize = 64 << 10;

thread_local! {
    /// The buffer of the last copy on this thread.
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Why nothing was read.
enum Unread {
    /// There is nothing yet.
    Later,
    Never(Box<Stop>),
}

impl Engine<'_> {
    /// `read` of the whole source, which feeds its own taps, then a write to each outlet.
    pub(super) fn through(
        &mut self,
        source: &mut dyn Source,
        sink: &mut dyn Sink,
        left: u64,
    ) -> Result<Flow, Box<Stop>> {
        self.prepared = false;
        self.plain = None;
        let size = self.buffer_size();
        // Thread-locals are gone when a destructor of another one copies.
        let mut buf = SPARE.try_with(Cell::take).unwrap_or_default();
        if buf.len() != size {
            // Zeroes from the system, not written by us: a small copy touches few pages of them.
            buf = vec![0; size];
        }
        let ask = self.room(sink, left).min(buf.len() as u64) as usize;
        let read = self.read(source, &mut buf[..ask]);
        let flow = match read {
            Ok(0) => Ok(Flow::End),
            Ok(n) => self.hand_out(source, sink, &buf[..n]),
            Err(Unread::Later) => Ok(Flow::Wait),
            Err(Unread::Never(stop)) => Err(stop),
        };
        if size <= BUFFER {
            let _ = SPARE.try_with(|spare| spare.set(buf));
        }
        flow
    }

    /// How many bytes to ask for. At no room one is: whether the source has more than a sink may
    /// take makes a difference.
    fn room(&self, sink: &mut dyn Sink, left: u64) -> u64 {
        let mut list = Outlets::new(false);
        sink.outlets(&mut list);
        let room = list.list().iter().filter_map(Outlet::room).min().unwrap_or(u64::MAX);
        left.min(room.max(1))
    }

    /// Writes what was read to each outlet of the sink.
    #[inline(never)]
    fn hand_out(
        &mut self,
        source: &mut dyn Source,
        sink: &mut dyn Sink,
        bytes: &[u8],
    ) -> Result<Flow, Box<Stop>> {
        let mut outcomes = self.fed(source, bytes.len() as u64);
        let mut list = Outlets::new(false);
        sink.outlets(&mut list);
        outcomes.extend(list.list().iter_mut().map(|outlet| match outlet.room() {
            // The byte read is owed to that one.
            Some(0) => Outcome { moved: 0, error: Some(error::takes_no_more()) },
            _ => self.put(outlet, bytes),
        }));
        let pending = Pending::after(bytes, &outcomes, &self.gone);
        let moved = Moved { n: bytes.len() as u64, path: Path::ReadWrite, outcomes, pending };
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

    #[inline(never)]
    fn read(&mut self, source: &mut dyn Source, buf: &mut [u8]) -> Result<usize, Unread> {
        let stream = stream_of(source);
        let mut read = || match &stream {
            Some(desc) => desc.read.hastily(|| source.read(buf)),
            None => source.read(buf),
        };
        let result = loop {
            match read() {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                result => break result,
            }
        };
        let error = match result {
            Ok(n) if n > buf.len() => error::lying("reader", n, buf.len()),
            Ok(n) => {
                if buf.len() >= PAST_HIDDEN {
                    self.note_emptied(source);
                }
                return Ok(n);
            }
            Err(e)
                if e.kind() == io::ErrorKind::WouldBlock
                    && source.at_fault().is_none()
                    && self.waits_for(source) =>
            {
                return Err(Unread::Later);
            }
            Err(e) => e,
        };
        Err(Unread::Never(reading_failed(source, error)))
    }

    fn note_emptied(&mut self, source: &mut dyn Source) {
        if let Piece::Fd { fd, hidden: true, .. } = source.piece(&mut Outlets::new(true)) {
            self.ends.emptied(fd.fd().as_raw_fd());
        }
    }

    /// The piece lies in memory: a write to each outlet, taps included.
    #[inline(never)]
    pub(super) fn memory(
        &mut self,
        source: &mut dyn Source,
        sink: &mut dyn Sink,
        max: u64,
    ) -> Result<Flow, Box<Stop>> {
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

/// What waits for the descriptor that a source reads from, if it is a stream.
fn stream_of(source: &mut dyn Source) -> Option<Arc<Desc>> {
    match source.piece(&mut Outlets::new(true)) {
        Piece::Fd { fd, .. } => fd.desc().cloned(),
        _ => None,
    }
}

/// A failed `read` is the source's failure, or that of a tap which it fed itself.
pub(super) fn reading_failed(source: &dyn Source, error: io::Error) -> Box<Stop> {
    Stop::new(source.at_fault().map_or(Side::Source, Side::Sink), error)
}
