//! The words of the protocol: pieces, outlets, outcomes, handles.

use crate::poll::Desc;
use crate::sys::Nowait;
use std::fmt;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

/// A descriptor, as a stream hands it to the copy engine, with how to wait for it.
#[derive(Clone, Copy)]
pub struct Handle<'a> {
    fd: BorrowedFd<'a>,
    stream: Option<(&'a Arc<Desc>, Nowait)>,
    /// The same file, for calls that block: nobody could end them.
    patient: Option<BorrowedFd<'a>>,
}

impl<'a> Handle<'a> {
    /// A handle for a descriptor that is read and written by plain system calls.
    #[must_use]
    pub fn new(fd: BorrowedFd<'a>) -> Self {
        Self { fd, stream: None, patient: Some(fd) }
    }

    /// A handle for the descriptor of a stream of ours, whose deadlines hold and whose calls never
    /// block, unless it is `patient`: then there is nothing that a call would have to hear of.
    pub(crate) fn of_stream(
        fd: BorrowedFd<'a>,
        desc: &'a Arc<Desc>,
        nowait: Nowait,
        patient: Option<BorrowedFd<'a>>,
    ) -> Self {
        Self { fd, stream: Some((desc, nowait)), patient }
    }

    /// The descriptor, for as long as the handle's owner is borrowed.
    #[must_use]
    pub fn fd(self) -> BorrowedFd<'a> {
        self.fd
    }

    /// What waits for it, if it is of a stream.
    pub(crate) fn desc(self) -> Option<&'a Arc<Desc>> {
        self.stream.map(|(desc, _)| desc)
    }

    /// A descriptor of the same file for calls that may block; `None` if they might have to be ended.
    pub(crate) fn patient(self) -> Option<BorrowedFd<'a>> {
        self.patient
    }

    /// How its calls are kept from blocking, if it is of a stream.
    pub(crate) fn nowait(self) -> Option<Nowait> {
        self.stream.map(|(_, nowait)| nowait)
    }
}

impl fmt::Debug for Handle<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Handle").field(&self.fd).finish()
    }
}

impl AsFd for Handle<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd
    }
}

/// Where the next bytes of a source lie.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "complete: memory, descriptor, or neither")]
pub enum Piece<'a> {
    /// They are these, already in memory. Not empty, unless the source has ended.
    Buffered(&'a [u8]),
    /// They are the next bytes of this descriptor. `read` may then answer `WouldBlock` where the
    /// descriptor has none, even if it is that of a stream: the copy waits, and calls it again.
    Fd {
        /// The descriptor.
        fd: Handle<'a>,
        /// At most so many; 0 means that the piece is at its end.
        max: u64,
        /// Read at this offset instead of the descriptor's own.
        at: Option<u64>,
        /// Some may lie in a buffer that nobody can see (std's standard input), so that one
        /// large plain `read` must come first.
        hidden: bool,
    },
    /// Only `read` will do.
    Opaque,
}

impl<'a> Piece<'a> {
    /// The next bytes of `fd`, without a bound, at the descriptor's own offset.
    #[must_use]
    pub fn fd(fd: BorrowedFd<'a>) -> Self {
        Self::Fd { fd: Handle::new(fd), max: u64::MAX, at: None, hidden: false }
    }

    /// The same piece, of at most `max` bytes. An opaque piece stays as it is.
    #[must_use]
    pub fn limit(self, max: u64) -> Self {
        match self {
            Self::Buffered(bytes) => {
                let len = usize::try_from(max).map_or(bytes.len(), |max| max.min(bytes.len()));
                Self::Buffered(&bytes[..len])
            }
            Self::Fd { fd, max: room, at, hidden } => {
                Self::Fd { fd, max: room.min(max), at, hidden }
            }
            Self::Opaque => Self::Opaque,
        }
    }
}

/// Where bytes for a sink, or for a tap of a source, may be put.
#[non_exhaustive]
pub enum Outlet<'a> {
    /// Into this descriptor.
    Fd {
        /// The descriptor.
        fd: Handle<'a>,
        /// At most so many.
        max: u64,
        /// Written at this offset instead of the descriptor's own.
        at: Option<u64>,
    },
    /// Nowhere: the bytes are only counted.
    Discard {
        /// At most so many.
        max: u64,
    },
    /// By `write`.
    Opaque {
        /// The writer.
        to: &'a mut dyn Write,
        /// At most so many.
        max: u64,
    },
    /// The outlet was given up; it keeps its number and gets nothing.
    Gone,
}

impl<'a> Outlet<'a> {
    /// Into `fd`, without a bound, at the descriptor's own offset.
    #[must_use]
    pub fn fd(fd: BorrowedFd<'a>) -> Self {
        Self::Fd { fd: Handle::new(fd), max: u64::MAX, at: None }
    }

    /// By the `write` of `to`, without a bound.
    #[must_use]
    pub fn opaque(to: &'a mut dyn Write) -> Self {
        Self::Opaque { to, max: u64::MAX }
    }

    /// How many bytes it takes at most; `None` when it is gone.
    #[must_use]
    pub fn room(&self) -> Option<u64> {
        match self {
            Self::Fd { max, .. } | Self::Discard { max } | Self::Opaque { max, .. } => Some(*max),
            Self::Gone => None,
        }
    }
}

impl fmt::Debug for Outlet<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fd { fd, max, at } => write!(f, "Fd({fd:?}, max {max}, at {at:?})"),
            Self::Discard { max } => write!(f, "Discard(max {max})"),
            Self::Opaque { max, .. } => write!(f, "Opaque(max {max})"),
            Self::Gone => f.write_str("Gone"),
        }
    }
}

/// A list that sources push their taps onto, and sinks their outlets.
#[derive(Debug)]
pub struct Outlets<'a> {
    list: Vec<Outlet<'a>>,
    direct: bool,
}

impl<'a> Outlets<'a> {
    pub(crate) fn new(direct: bool) -> Self {
        Self { list: Vec::new(), direct }
    }

    /// Whether the bytes will go around the writers' own buffers, which
    /// [`Sink::prepare`](super::Sink::prepare) flushed before. A writer that buffers describes
    /// what lies behind it then, and pushes itself as [`Outlet::Opaque`] otherwise.
    #[must_use]
    pub fn direct(&self) -> bool {
        self.direct
    }

    /// Adds an outlet.
    pub fn push(&mut self, outlet: Outlet<'a>) {
        self.list.push(outlet);
    }

    /// Adds `n` outlets that are [`Gone`](Outlet::Gone), so that the later ones keep their number.
    pub fn push_gone(&mut self, n: usize) {
        self.list.extend((0..n).map(|_| Outlet::Gone));
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Bounds every outlet from number `from` on to at most `max` bytes.
    pub fn limit(&mut self, from: usize, max: u64) {
        for outlet in self.list.iter_mut().skip(from) {
            match outlet {
                Outlet::Fd { max: room, .. }
                | Outlet::Discard { max: room }
                | Outlet::Opaque { max: room, .. } => *room = max.min(*room),
                Outlet::Gone => {}
            }
        }
    }

    pub(crate) fn list(&mut self) -> &mut [Outlet<'a>] {
        &mut self.list
    }
}

/// How one outlet fared in one step.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) moved: u64,
    pub(crate) error: Option<io::Error>,
}

/// How each outlet fared in one step, in the order they were pushed.
#[derive(Debug)]
pub struct Outcomes<'o> {
    list: &'o mut [Outcome],
    next: usize,
    direct: bool,
    settles: bool,
}

impl<'o> Outcomes<'o> {
    pub(crate) fn new(list: &'o mut [Outcome], direct: bool) -> Self {
        Self { list, next: 0, direct, settles: false }
    }

    /// Nothing moved; the caller has taken over what outlets have missed.
    pub(crate) fn settling(list: &'o mut [Outcome]) -> Self {
        Self { list, next: 0, direct: false, settles: true }
    }

    /// Whether the caller has taken over what outlets have missed after a failed `write`. It gives
    /// each its own and sends nothing again, so that no outlet is [ahead](super::Sink::ahead) of
    /// the others any more.
    #[must_use]
    pub fn settles(&self) -> bool {
        self.settles
    }

    /// What [`Outlets::direct`] said when the outlets were pushed.
    #[must_use]
    pub fn direct(&self) -> bool {
        self.direct
    }

    /// Takes the next outlet's outcome: its error, if there was one. The bytes that it got are
    /// in [`moved_since`](Self::moved_since), whether it failed or not.
    ///
    /// # Errors
    ///
    /// The outlet's own.
    pub fn take(&mut self) -> io::Result<()> {
        let error = self.list.get_mut(self.next).and_then(|outcome| outcome.error.take());
        self.next += 1;
        error.map_or(Ok(()), Err)
    }

    /// Takes the outcomes of `n` outlets and keeps the first error.
    ///
    /// # Errors
    ///
    /// That of the first outlet among them that failed.
    pub fn take_all(&mut self, n: usize) -> io::Result<()> {
        let mut first = Ok(());
        for _ in 0..n {
            let this = self.take();
            first = first.and(this);
        }
        first
    }

    /// Takes the error that says of one of the next `n` outlets that it takes no more bytes, and
    /// of all of them if several do.
    pub(crate) fn refusal(&mut self, n: usize) -> Option<io::Error> {
        let full = |e: &mut io::Error| e.kind() == io::ErrorKind::WriteZero;
        let next = self.list.iter_mut().skip(self.next).take(n);
        next.filter_map(|outcome| outcome.error.take_if(full)).fold(None, |a, b| a.or(Some(b)))
    }

    /// How many outcomes were taken so far: the number of the next one.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.next
    }

    /// The most bytes that any outlet from number `from` up to the last one taken has got.
    ///
    /// An adapter that counts notes [`taken`](Self::taken), lets what it wraps take its
    /// outcomes, and then asks here how many bytes went through.
    #[must_use]
    pub fn moved_since(&self, from: usize) -> u64 {
        let end = self.next.min(self.list.len());
        self.list.get(from..end).into_iter().flatten().map(|o| o.moved).max().unwrap_or(0)
    }
}
