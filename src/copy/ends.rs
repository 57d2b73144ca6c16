//! What the engine has learnt of the descriptors at both ends.

use super::plan::{From, To};
use crate::source::{Handle, Outlet, Piece};
use crate::sys::{self, Identity, Kind};
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

/// Pipes are grown to this size on request: the largest that an ordinary user may have.
const GROWN: usize = 1 << 20;

/// One end of a step, a descriptor.
#[derive(Debug, Clone, Copy)]
pub(super) struct End<'a> {
    pub(super) fd: BorrowedFd<'a>,
    pub(super) handle: Handle<'a>,
    pub(super) at: Option<u64>,
    pub(super) kind: Kind,
}

impl<'a> End<'a> {
    /// The descriptor and the offset `moved` bytes on.
    pub(super) fn past(&self, moved: u64) -> (BorrowedFd<'a>, Option<u64>) {
        (self.fd, self.at.map(|at| at.saturating_add(moved)))
    }
}

/// What is known of each end; the source is number 0, outlet `i` is number `i + 1`.
#[derive(Debug, Default)]
pub(super) struct Ends {
    known: Vec<Option<Known>>,
    /// Hidden buffers that were read past in this copy.
    emptied: Vec<RawFd>,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    fd: RawFd,
    identity: Identity,
    grown: bool,
    /// The capacity, once asked for, if it is a pipe.
    capacity: Option<usize>,
}

impl Ends {
    /// Forgets everything about the ends, since their descriptors may be others now.
    pub(super) fn forget(&mut self) {
        self.known.clear();
    }

    /// The hidden buffer over `fd` was read past and holds nothing any more.
    pub(super) fn emptied(&mut self, fd: RawFd) {
        self.emptied.push(fd);
    }

    /// What the source said, with the kind of its descriptor.
    pub(super) fn source(&mut self, piece: &Piece<'_>) -> From {
        match *piece {
            Piece::Buffered(bytes) => From::Memory { len: bytes.len() as u64 },
            Piece::Opaque => From::Opaque,
            Piece::Fd { fd, max, hidden, .. } => {
                let hidden = hidden && !self.emptied.contains(&fd.fd().as_raw_fd());
                From::Fd { kind: self.look(0, fd).kind, max, hidden }
            }
        }
    }

    /// What outlet number `index` said, with the kind of its descriptor.
    pub(super) fn outlet(&mut self, index: usize, outlet: &Outlet<'_>) -> To {
        match *outlet {
            Outlet::Fd { fd, max, .. } => To::Fd { kind: self.look(index + 1, fd).kind, max },
            _ => To::unknown(outlet),
        }
    }

    /// Whether both are the same file, other than at offsets that are at least `max` apart.
    pub(super) fn same_file(
        &mut self,
        piece: &Piece<'_>,
        index: usize,
        outlet: &Outlet<'_>,
        left: u64,
    ) -> bool {
        let (&Piece::Fd { fd: from, max, at, .. }, &Outlet::Fd { fd: to, max: room, at: into }) =
            (piece, outlet)
        else {
            return false;
        };
        let (from, to) = (self.look(0, from), self.look(index + 1, to));
        let is_file = |end: &Identity| matches!(end.kind, Kind::File { .. });
        if !is_file(&from) || !is_file(&to) || (from.device, from.inode) != (to.device, to.inode) {
            return false;
        }
        let span = max.min(room).min(left);
        match (at, into) {
            (Some(a), Some(b)) => a.abs_diff(b) < span,
            _ => true,
        }
    }

    /// Grows the pipe at end `number`, once; a refusal changes nothing.
    pub(super) fn grow(&mut self, number: usize, fd: BorrowedFd<'_>) {
        let Some(Some(known)) = self.known.get_mut(number) else { return };
        if !known.grown && matches!(known.identity.kind, Kind::Pipe { .. }) {
            known.grown = true;
            if sys::pipe_size(fd).is_ok_and(|size| size < GROWN) {
                let _ = sys::set_pipe_size(fd, GROWN);
                known.capacity = None;
            }
        }
    }

    /// The capacity of the pipe at end `number`, as it was when first asked for.
    pub(super) fn capacity(&mut self, number: usize, fd: BorrowedFd<'_>) -> Option<usize> {
        let known = self.known.get_mut(number)?.as_mut()?;
        if known.capacity.is_none() {
            known.capacity = sys::pipe_size(fd).ok();
        }
        known.capacity
    }

    fn look(&mut self, number: usize, fd: Handle<'_>) -> Identity {
        if self.known.len() <= number {
            self.known.resize(number + 1, None);
        }
        let raw = fd.fd().as_raw_fd();
        match self.known[number] {
            Some(known) if known.fd == raw => known.identity,
            _ => {
                // What fstat refuses is left to read and write, which say why.
                let unknown = Identity { kind: Kind::Other, device: 0, inode: 0 };
                let identity = Identity::of(fd.fd()).unwrap_or(unknown);
                self.known[number] =
                    Some(Known { fd: raw, identity, grown: false, capacity: None });
                identity
            }
        }
    }
}
