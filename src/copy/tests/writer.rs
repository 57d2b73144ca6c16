//! Sinks as described, built, with their other ends in hand.

use super::drain::{Basin, Drain};
use crate::adapters::{
    CountWriter, LimitWriter, MultiWriter, OffsetWriter, WriteExt, multi_writer,
};
use crate::source::{Outcomes, Outlet, Outlets, Sink};
use std::cell::RefCell;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, ErrorKind, PipeReader, PipeWriter, Read, Seek, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::rc::Rc;

/// Bytes in memory that outlive the writer.
#[derive(Debug, Clone, Default)]
pub(super) struct Shared(Rc<RefCell<Vec<u8>>>);

impl Shared {
    pub(super) fn get(&self) -> Vec<u8> {
        self.0.borrow().clone()
    }
}

impl Write for Shared {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for Shared {
    fn outlets<'a>(&'a mut self, out: &mut Outlets<'a>) {
        out.push(Outlet::opaque(self));
    }
}

/// A writer that fails after `room` bytes.
#[derive(Debug)]
pub(super) struct Frail {
    got: Vec<u8>,
    room: usize,
    kind: ErrorKind,
    once: bool,
}

impl Write for Frail {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if self.room == 0 {
            if self.once {
                self.room = usize::MAX;
            }
            return Err(self.kind.into());
        }
        let n = self.room.min(buf.len());
        self.got.extend_from_slice(&buf[..n]);
        if self.room < usize::MAX {
            self.room -= n;
        }
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for Frail {
    fn outlets<'a>(&'a mut self, out: &mut Outlets<'a>) {
        out.push(Outlet::opaque(self));
    }
}

/// What came out at the other end of a pipe or socket.
#[derive(Debug)]
pub(super) struct Drained<R> {
    from: R,
    got: Vec<u8>,
}

impl<R: Read> Drained<R> {
    fn new(from: R) -> Self {
        Self { from, got: Vec::new() }
    }

    fn drain(&mut self) {
        match self.from.read_to_end(&mut self.got) {
            Ok(_) => {}
            Err(e) => assert_eq!(e.kind(), ErrorKind::WouldBlock),
        }
    }
}

const OFFSET: u64 = 5;

/// A writer of any of the kinds that a [`Drain`] describes.
#[derive(Debug)]
pub(super) enum Writer {
    Memory(Shared),
    File(File),
    Offset(OffsetWriter<File>),
    Pipe(PipeWriter, Drained<PipeReader>),
    Socket(UnixStream, Drained<UnixStream>),
    Nowhere(io::Sink),
    Null(File),
    Broken(PipeWriter),
    Frail(Frail),
    Count(CountWriter<Box<Self>>),
    Limit(LimitWriter<Box<Self>>),
    Buffered(BufWriter<Box<Self>>),
    Several(MultiWriter<Self>),
}

macro_rules! each {
    ($writer:expr, $w:pat => $body:expr) => {
        match $writer {
            Writer::Memory($w) => $body,
            Writer::File($w) | Writer::Null($w) => $body,
            Writer::Offset($w) => $body,
            Writer::Pipe($w, _) | Writer::Broken($w) => $body,
            Writer::Socket($w, _) => $body,
            Writer::Nowhere($w) => $body,
            Writer::Frail($w) => $body,
            Writer::Count($w) => $body,
            Writer::Limit($w) => $body,
            Writer::Buffered($w) => $body,
            Writer::Several($w) => $body,
        }
    };
}

impl Write for Writer {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        each!(self, w => w.write(buf))
    }

    fn flush(&mut self) -> io::Result<()> {
        each!(self, w => w.flush())
    }
}

impl Sink for Writer {
    fn prepare(&mut self) -> io::Result<()> {
        each!(self, w => Sink::prepare(w))
    }

    fn outlets<'a>(&'a mut self, out: &mut Outlets<'a>) {
        each!(self, w => w.outlets(out));
    }

    fn advance(&mut self, out: &mut Outcomes<'_>) -> io::Result<()> {
        each!(self, w => w.advance(out))
    }

    fn at_fault(&self) -> Option<usize> {
        each!(self, w => w.at_fault())
    }

    fn ahead(&self, outlet: usize) -> usize {
        each!(self, w => w.ahead(outlet))
    }
}

/// A file of `bytes`, at its start.
pub(super) fn file_of(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(bytes).expect("room for it");
    file.rewind().expect("a file has a position");
    file
}

fn device(path: &str) -> File {
    OpenOptions::new().write(true).open(path).expect("Linux has it")
}

impl Writer {
    /// Builds what `drain` describes.
    pub(super) fn build(drain: &Drain) -> Self {
        match drain {
            Drain::Leaf(basin) => Self::leaf(*basin),
            Drain::Count(inner) => Self::Count(Box::new(Self::build(inner)).count_writes()),
            Drain::Limit(n, inner) => Self::Limit(Box::new(Self::build(inner)).limit_writes(*n)),
            Drain::Buffered(n, inner) => {
                Self::Buffered(BufWriter::with_capacity(*n, Box::new(Self::build(inner))))
            }
            Drain::Several(sinks, policy) => {
                let sinks = sinks.iter().map(Self::build);
                Self::Several(multi_writer(sinks).policy(*policy))
            }
        }
    }

    fn leaf(basin: Basin) -> Self {
        match basin {
            Basin::Memory => Self::Memory(Shared::default()),
            Basin::File { append } => {
                let file = file_of(b"");
                if append {
                    let flags = rustix::fs::fcntl_getfl(&file).expect("a file has flags");
                    let flags = flags | rustix::fs::OFlags::APPEND;
                    rustix::fs::fcntl_setfl(&file, flags).expect("a file can append");
                }
                Self::File(file)
            }
            Basin::Offset => Self::Offset(OffsetWriter::new(file_of(b""), OFFSET)),
            Basin::Pipe { nonblocking } => pipe(1 << 20, nonblocking),
            Basin::Narrow => pipe(4096, true),
            Basin::Socket { nonblocking } => {
                let (to, from) = UnixStream::pair().expect("a socket");
                rustix::net::sockopt::set_socket_send_buffer_size(&to, 4 << 20).expect("a size");
                to.set_nonblocking(nonblocking).expect("a socket has the flag");
                from.set_nonblocking(true).expect("a socket has the flag");
                Self::Socket(to, Drained::new(from))
            }
            Basin::Nowhere => Self::Nowhere(io::sink()),
            Basin::Null => Self::Null(device("/dev/null")),
            Basin::Full => Self::Null(device("/dev/full")),
            Basin::Broken => Self::Broken(io::pipe().expect("a pipe").1),
            Basin::Frail { room, kind, once } => {
                Self::Frail(Frail { got: Vec::new(), room, kind, once })
            }
        }
    }

    fn inner(&mut self) -> Option<&mut Self> {
        match self {
            Self::Count(w) => Some(w.get_mut()),
            Self::Limit(w) => Some(w.get_mut()),
            Self::Buffered(w) => Some(w.get_mut()),
            _ => None,
        }
    }

    /// What each outlet has got, by the leaves behind it and with what lies in a buffer; `None`
    /// for an outlet that keeps nothing.
    pub(super) fn got(&mut self) -> Vec<Option<Vec<Vec<u8>>>> {
        if let Self::Buffered(buffered) = self {
            let waiting = buffered.buffer().to_vec();
            let leaves: Vec<_> = buffered.get_mut().got().into_iter().flatten().flatten().collect();
            let whole = leaves.into_iter().map(|leaf| [leaf, waiting.clone()].concat());
            let whole: Vec<_> = whole.collect();
            return vec![(!whole.is_empty()).then_some(whole)];
        }
        let one = match self {
            Self::Several(several) if several.is_empty() => None,
            Self::Several(several) => {
                let mut all = Vec::new();
                for i in 0..several.len() {
                    all.extend(several.get_mut(i).into_iter().flat_map(Self::got));
                }
                return all;
            }
            Self::Memory(shared) => Some(shared.get()),
            Self::File(file) => Some(content(file, 0)),
            Self::Offset(offset) => Some(content(offset.get_ref(), OFFSET)),
            Self::Pipe(_, drained) => {
                drained.drain();
                Some(drained.got.clone())
            }
            Self::Socket(_, drained) => {
                drained.drain();
                Some(drained.got.clone())
            }
            Self::Broken(_) => Some(Vec::new()),
            Self::Frail(frail) => Some(frail.got.clone()),
            Self::Nowhere(_) | Self::Null(_) => None,
            Self::Count(_) | Self::Limit(_) | Self::Buffered(_) => {
                return self.inner().map_or_else(Vec::new, Self::got);
            }
        };
        vec![one.map(|bytes| vec![bytes])]
    }

    /// Writes what is pending for outlet number `index` to it alone, as a caller does.
    pub(super) fn give(&mut self, index: usize, bytes: &[u8]) -> io::Result<()> {
        if crate::source::outlets(self) == 1 {
            return self.give_all(bytes);
        }
        let Self::Several(several) = self else {
            return self.inner().map_or(Ok(()), |inner| inner.give(index, bytes));
        };
        let mut first = 0;
        for i in 0..several.len() {
            let Some(sink) = several.get_mut(i) else { break };
            let width = crate::source::outlets(sink);
            if index < first + width {
                return sink.give(index - first, bytes);
            }
            first += width;
        }
        Ok(())
    }

    fn give_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        let mut tried = false;
        while !bytes.is_empty() {
            match self.write(bytes) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(n) => bytes = &bytes[n..],
                // Its reader takes what there is.
                Err(e) if e.kind() == ErrorKind::WouldBlock => drop(self.got()),
                // What fails once fails here for the first time.
                Err(_) if !tried => tried = true,
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// Every adapter has counted `n` bytes.
    pub(super) fn check_counts(&mut self, drain: &Drain, n: u64) {
        match (&mut *self, drain) {
            (Self::Count(w), _) => assert_eq!(w.count(), n, "counted"),
            (Self::Limit(w), Drain::Limit(max, _)) => {
                assert_eq!(w.remaining(), max - n, "left of a limit");
            }
            (Self::Several(w), Drain::Several(drains, _)) => {
                for (i, drain) in drains.iter().enumerate() {
                    assert_eq!(w.count(i), n, "counted for sink {i}");
                    w.get_mut(i).expect("it has as many").check_counts(drain, n);
                }
                return;
            }
            _ => {}
        }
        let (Drain::Count(inner) | Drain::Limit(_, inner) | Drain::Buffered(_, inner)) = drain
        else {
            return;
        };
        if let Some(writer) = self.inner() {
            writer.check_counts(inner, n);
        }
    }
}

fn pipe(size: usize, nonblocking: bool) -> Writer {
    let (from, to) = io::pipe().expect("a pipe");
    crate::sys::set_pipe_size(to.as_fd(), size).expect("a large pipe");
    rustix::io::ioctl_fionbio(&to, nonblocking).expect("a pipe has the flag");
    rustix::io::ioctl_fionbio(&from, true).expect("a pipe has the flag");
    Writer::Pipe(to, Drained::new(from))
}

fn content(file: &File, from: u64) -> Vec<u8> {
    let len = file.metadata().expect("a file has a length").len();
    let mut bytes = vec![0; len.saturating_sub(from) as usize];
    file.read_exact_at(&mut bytes, from).expect("a file can be read");
    bytes
}
