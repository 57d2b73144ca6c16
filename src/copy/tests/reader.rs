//! Sources as described, built.

use super::feed::{Bytes, Feed, Lens, Spring};
use super::writer::{Shared, Writer, file_of};
use crate::adapters::{
    Count, Exact, Inspect, Limit, LimitStrict, MultiReader, Opaque, Progress, ReadAt, ReadExt,
    Section, Skip, Tee, multi_reader,
};
use crate::source::{Outcomes, Outlets, Piece, Source};
use std::cell::Cell;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufReader, Cursor, ErrorKind, PipeReader, PipeWriter, Read, Take, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::vec;

/// What an inspector shows its bytes to.
type See = Box<dyn FnMut(&[u8])>;

/// A reader of any of the kinds that a [`Feed`] describes.
pub(super) enum Reader {
    Memory(Cursor<Vec<u8>>),
    Deque(VecDeque<u8>),
    File(File),
    Section(Section<File>),
    Pipe(PipeReader, Supply<PipeWriter>),
    Socket(UnixStream, Supply<UnixStream>),
    Foreign(Opaque<Foreign>),
    Limit(Limit<Box<Self>>),
    Take(Take<Box<Self>>),
    Strict(LimitStrict<Box<Self>>),
    Exact(Exact<Box<Self>>),
    Skip(Skip<Box<Self>>),
    Count(Count<Box<Self>>),
    Progress(Progress<Box<Self>, Box<dyn FnMut(u64)>>, Rc<Cell<u64>>),
    Inspect(Inspect<Box<Self>, See>, Rc<Cell<u64>>),
    Opaque(Opaque<Box<Self>>),
    Buffered(BufReader<Box<Self>>),
    Tee(Box<Tee<Box<Self>, Writer>>),
    Parts(Box<MultiReader<vec::IntoIter<Self>>>),
}

macro_rules! each {
    ($reader:expr, $r:pat => $body:expr) => {
        match $reader {
            Reader::Memory($r) => $body,
            Reader::Deque($r) => $body,
            Reader::File($r) => $body,
            Reader::Section($r) => $body,
            Reader::Pipe($r, _) => $body,
            Reader::Socket($r, _) => $body,
            Reader::Foreign($r) => $body,
            Reader::Limit($r) => $body,
            Reader::Take($r) => $body,
            Reader::Strict($r) => $body,
            Reader::Exact($r) => $body,
            Reader::Skip($r) => $body,
            Reader::Count($r) => $body,
            Reader::Progress($r, _) => $body,
            Reader::Inspect($r, _) => $body,
            Reader::Opaque($r) => $body,
            Reader::Buffered($r) => $body,
            Reader::Tee($r) => $body,
            Reader::Parts($r) => $body,
        }
    };
}

impl Read for Reader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        each!(self, r => r.read(buf))
    }
}

impl Source for Reader {
    fn prepare(&mut self) -> io::Result<()> {
        each!(self, r => r.prepare())
    }

    fn piece<'a>(&'a mut self, taps: &mut Outlets<'a>) -> Piece<'a> {
        each!(self, r => r.piece(taps))
    }

    fn advance(&mut self, n: u64, taps: &mut Outcomes<'_>) -> io::Result<()> {
        each!(self, r => r.advance(n, taps))
    }

    fn end(&mut self) -> io::Result<bool> {
        each!(self, r => r.end())
    }

    fn at_fault(&self) -> Option<usize> {
        each!(self, r => r.at_fault())
    }

    fn missed(&self, tap: usize) -> &[u8] {
        each!(self, r => r.missed(tap))
    }
}

/// The other end of a pipe or socket, and what is still to come from there.
pub(super) struct Supply<W> {
    to: Option<W>,
    rest: Vec<u8>,
}

impl<W: Write> Supply<W> {
    fn new(mut to: W, bytes: &[u8], first: Option<usize>) -> Self {
        let first = first.map_or(bytes.len(), |first| first.min(bytes.len()));
        to.write_all(&bytes[..first]).expect("it is large enough");
        let all = first == bytes.len();
        Self { to: (!all).then_some(to), rest: bytes[first..].to_vec() }
    }

    fn go_on(&mut self) {
        if let Some(mut to) = self.to.take() {
            to.write_all(&self.rest).expect("it is large enough");
        }
    }
}

/// A reader that says nothing of itself, and may fail once.
pub(super) struct Foreign {
    bytes: Cursor<Vec<u8>>,
    chunk: usize,
    fails: Option<(u64, ErrorKind)>,
}

impl Read for Foreign {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut most = self.chunk.min(buf.len());
        if let Some((at, kind)) = self.fails {
            if at == self.bytes.position() {
                self.fails = None;
                return Err(kind.into());
            }
            most = most.min((at - self.bytes.position()) as usize);
        }
        self.bytes.read(&mut buf[..most])
    }
}

/// Builds what `feed` describes. What a side gets that is not seen from outside is in `hidden`.
pub(super) fn build(feed: &Feed, veiled: bool, hidden: &mut Vec<Shared>) -> Reader {
    match feed {
        Feed::Leaf(spring, bytes) => leaf(*spring, *bytes),
        Feed::Parts(parts) => {
            let parts: Vec<_> = parts.iter().map(|part| build(part, true, hidden)).collect();
            Reader::Parts(Box::new(multi_reader(parts)))
        }
        Feed::Over(lens, inner) => over(lens, inner, veiled, hidden),
    }
}

fn over(lens: &Lens, inner: &Feed, veiled: bool, hidden: &mut Vec<Shared>) -> Reader {
    if let Lens::Tee(side, policy) = lens {
        let side = Writer::build(side);
        if let (true, Writer::Memory(shared)) = (veiled, &side) {
            hidden.push(shared.clone());
        }
        let inner = Box::new(build(inner, veiled, hidden));
        return Reader::Tee(Box::new(inner.tee(side).policy(*policy)));
    }
    let veiled = veiled || matches!(lens, Lens::Opaque);
    let inner = Box::new(build(inner, veiled, hidden));
    let cell = Rc::new(Cell::new(0));
    let told = cell.clone();
    match *lens {
        Lens::Limit(n) => Reader::Limit(inner.limit(n)),
        Lens::Take(n) => Reader::Take(Read::take(inner, n)),
        Lens::Strict(n) => Reader::Strict(inner.limit_strict(n)),
        Lens::Exact(n) => Reader::Exact(inner.exact(n)),
        Lens::Skip(n) => Reader::Skip(ReadExt::skip(inner, n)),
        Lens::Count => Reader::Count(ReadExt::count(inner)),
        Lens::Progress => Reader::Progress(inner.progress(1, Box::new(move |n| told.set(n))), cell),
        Lens::Inspect => {
            let see = move |bytes: &[u8]| told.set(told.get() + bytes.len() as u64);
            Reader::Inspect(ReadExt::inspect(inner, Box::new(see)), cell)
        }
        Lens::Opaque => Reader::Opaque(inner.opaque()),
        Lens::Buffered(n) => Reader::Buffered(BufReader::with_capacity(n, inner)),
        Lens::Tee(..) => unreachable!("built above"),
    }
}

fn leaf(spring: Spring, content: Bytes) -> Reader {
    let bytes = content.get();
    match spring {
        Spring::Memory => Reader::Memory(Cursor::new(bytes)),
        Spring::Deque => {
            // Its bytes in two halves, as after some use.
            let mut deque = VecDeque::with_capacity(bytes.len() + 1);
            let (front, back) = bytes.split_at(bytes.len() / 2);
            deque.extend(back);
            front.iter().rev().for_each(|&byte| deque.push_front(byte));
            Reader::Deque(deque)
        }
        Spring::File => Reader::File(file_of(&bytes)),
        Spring::Section => {
            let around = [&b"before"[..], &bytes, b"behind"].concat();
            Reader::Section(file_of(&around).section(6, bytes.len() as u64))
        }
        Spring::Pipe { nonblocking } => pipe(&bytes, nonblocking, None),
        Spring::Socket { nonblocking } => socket(&bytes, nonblocking, None),
        Spring::Stalling { socket: false, first } => pipe(&bytes, true, Some(first)),
        Spring::Stalling { socket: true, first } => socket(&bytes, true, Some(first)),
        Spring::Foreign { chunk } => foreign(bytes, chunk, None),
        Spring::Hiccup { after, again } => {
            let kind = if again { ErrorKind::WouldBlock } else { ErrorKind::ConnectionReset };
            foreign(bytes, 1 << 20, Some((after as u64, kind)))
        }
    }
}

fn foreign(bytes: Vec<u8>, chunk: usize, fails: Option<(u64, ErrorKind)>) -> Reader {
    Reader::Foreign(Foreign { bytes: Cursor::new(bytes), chunk, fails }.opaque())
}

fn pipe(bytes: &[u8], nonblocking: bool, first: Option<usize>) -> Reader {
    let (reader, writer) = io::pipe().expect("a pipe");
    if bytes.len() > 4096 {
        crate::sys::set_pipe_size(writer.as_fd(), 1 << 20).expect("a large pipe");
    }
    rustix::io::ioctl_fionbio(&reader, nonblocking).expect("a pipe has the flag");
    let supply = Supply::new(writer, bytes, first);
    Reader::Pipe(reader, supply)
}

fn socket(bytes: &[u8], nonblocking: bool, first: Option<usize>) -> Reader {
    let (reader, writer) = UnixStream::pair().expect("a socket");
    reader.set_nonblocking(nonblocking).expect("a socket has the flag");
    let supply = Supply::new(writer, bytes, first);
    Reader::Socket(reader, supply)
}

impl Reader {
    fn inner(&mut self) -> Option<&mut Self> {
        Some(match self {
            Self::Limit(r) => r.get_mut(),
            Self::Take(r) => r.get_mut(),
            Self::Strict(r) => r.get_mut(),
            Self::Exact(r) => r.get_mut(),
            Self::Skip(r) => r.get_mut(),
            Self::Count(r) => r.get_mut(),
            Self::Progress(r, _) => r.get_mut(),
            Self::Inspect(r, _) => r.get_mut(),
            Self::Opaque(r) => r.get_mut(),
            Self::Buffered(r) => r.get_mut(),
            Self::Tee(r) => r.get_mut().0,
            Self::Parts(r) => return r.get_mut(),
            _ => return None,
        })
    }

    /// The sides of the tees that are seen from outside, in the order of their outlets.
    pub(super) fn sides(&mut self) -> Vec<&mut Writer> {
        match self {
            Self::Parts(_) | Self::Opaque(_) => Vec::new(),
            Self::Tee(tee) => {
                let (inner, side) = tee.get_mut();
                let mut sides = vec![side];
                sides.extend(inner.sides());
                sides
            }
            other => other.inner().map_or_else(Vec::new, Self::sides),
        }
    }

    /// Writes what is pending for tap number `index` to it alone.
    pub(super) fn give(&mut self, mut index: usize, bytes: &[u8]) -> io::Result<()> {
        for side in self.sides() {
            let width = crate::source::outlets(side);
            if index < width {
                return side.give(index, bytes);
            }
            index -= width;
        }
        Ok(())
    }

    /// What the source has nothing more of for now comes in.
    pub(super) fn go_on(&mut self) {
        match self {
            Self::Pipe(_, supply) => supply.go_on(),
            Self::Socket(_, supply) => supply.go_on(),
            other => other.inner().into_iter().for_each(Self::go_on),
        }
    }

    /// The counts of all adapters, from outside in.
    pub(super) fn counts(&mut self) -> Vec<u64> {
        let mut counts = Vec::new();
        let mut next = Some(self);
        while let Some(reader) = next {
            counts.extend(match reader {
                Self::Section(r) => Some(r.remaining()),
                Self::Limit(r) => Some(r.remaining()),
                Self::Take(r) => Some(Take::limit(r)),
                Self::Strict(r) => Some(r.remaining()),
                Self::Exact(r) => Some(r.remaining()),
                Self::Skip(r) => Some(r.remaining()),
                Self::Count(r) => Some(r.total()),
                Self::Progress(_, told) | Self::Inspect(_, told) => Some(told.get()),
                Self::Parts(_) => break,
                _ => None,
            });
            next = reader.inner();
        }
        counts
    }
}
