//! poll(2) and select(2) for descriptors that others own, by their numbers.

#![expect(unsafe_code, reason = "descriptors by number")]

use super::imp;
use super::wait::in_steps;
use rustix::event::{
    FdSetElement, FdSetIter, PollFd, Timespec, fd_set_insert, fd_set_num_elements,
};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::time::Instant;

pub(crate) use rustix::event::PollFlags as Flags;

/// A descriptor, what is asked of it, and what came of it. A closed one answers `NVAL`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    pub(crate) fd: RawFd,
    pub(crate) want: Flags,
    pub(crate) got: Flags,
}

/// What tells that a short read proves nothing.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) const MARKS: Flags = Flags::PRI.union(Flags::RDHUP);
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) const MARKS: Flags = Flags::PRI;

/// The error for a descriptor that is closed.
pub(crate) const CLOSED: i32 = libc::EBADF;

const NOW: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

/// poll(2), until one of `list` has something to say or the deadline has passed.
pub(crate) fn poll(list: &mut [Asked], deadline: Option<Instant>) -> io::Result<()> {
    by_poll(list, |fds| in_steps(deadline, |timeout| Ok(rustix::event::poll(fds, timeout)?)))
}

/// poll(2) without waiting.
pub(crate) fn ask(list: &mut [Asked]) -> io::Result<()> {
    by_poll(list, |fds| super::retry(|| Ok(rustix::event::poll(fds, Some(&NOW))?)).map(drop))
}

fn by_poll(
    list: &mut [Asked],
    call: impl FnOnce(&mut [PollFd<'_>]) -> io::Result<()>,
) -> io::Result<()> {
    let mut fds: Vec<_> =
        list.iter().map(|it| PollFd::from_borrowed_fd(borrow(it.fd), it.want)).collect();
    call(&mut fds)?;
    for (it, answer) in list.iter_mut().zip(&fds) {
        it.got = answer.revents();
    }
    Ok(())
}

/// What is new with one descriptor.
#[derive(Debug)]
pub(crate) struct Edge(imp::Edge);

impl Edge {
    pub(crate) fn of(fd: RawFd, want: Flags) -> io::Result<Self> {
        imp::Edge::new(borrow(fd), want).map(Self)
    }

    pub(crate) fn news(&self) -> io::Result<Flags> {
        self.0.news()
    }

    /// What can be read when there is more.
    pub(crate) fn number(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

fn borrow<'a>(fd: RawFd) -> BorrowedFd<'a> {
    // SAFETY: no number that is asked for is -1. The descriptor may be closed, but is named to
    // poll(2) and no other call, which answers for a closed one and does nothing to an open one.
    unsafe { BorrowedFd::borrow_raw(fd) }
}

/// select(2), with sets as large as the greatest number needs. It knows no errors: they make a
/// descriptor readable and writable.
pub(crate) fn select(list: &mut [Asked], deadline: Option<Instant>) -> io::Result<()> {
    let most = list.iter().map(|it| it.fd).max().unwrap_or(0);
    let asked = [Flags::IN, Flags::OUT, Flags::PRI].map(|flag| set(most, list, flag));
    let [mut reading, mut writing, mut urgent] = asked.clone();
    in_steps(deadline, |timeout| {
        // What a call that was interrupted leaves in the sets is not known.
        for (set, asked) in [&mut reading, &mut writing, &mut urgent].into_iter().zip(&asked) {
            set.copy_from_slice(asked);
        }
        let sets = (Some(&mut *reading), Some(&mut *writing), Some(&mut *urgent));
        // SAFETY: select(2) fails with EBADF if one of the descriptors is closed, and does nothing
        // to those that are open. The sets are as long as the greatest of them needs.
        let n = unsafe { rustix::event::select(most + 1, sets.0, sets.1, sets.2, timeout)? };
        Ok(usize::try_from(n).unwrap_or(0))
    })?;
    let mut got = vec![Flags::empty(); most.cast_unsigned() as usize + 1];
    for (set, flag) in [(&reading, Flags::IN), (&writing, Flags::OUT), (&urgent, Flags::PRI)] {
        FdSetIter::new(set).for_each(|fd| got[fd.cast_unsigned() as usize] |= flag);
    }
    list.iter_mut().for_each(|it| it.got = got[it.fd.cast_unsigned() as usize]);
    Ok(())
}

/// Whether select(2) takes a descriptor of this number: beyond its own `FD_SETSIZE` some systems do
/// not.
pub(crate) fn select_takes(fd: RawFd) -> bool {
    const EVERYWHERE: RawFd = 1024;
    let mut list = [Asked { fd, want: Flags::IN, got: Flags::empty() }];
    fd < EVERYWHERE || select(&mut list, Some(Instant::now())).is_ok()
}

/// The set of those in `list` of which `flag` is wanted.
fn set(most: RawFd, list: &[Asked], flag: Flags) -> Box<[FdSetElement]> {
    let mut set = vec![FdSetElement::default(); fd_set_num_elements(list.len(), most + 1)];
    let wanted = list.iter().filter(|it| it.want.contains(flag));
    wanted.for_each(|it| fd_set_insert(&mut set, it.fd));
    set.into()
}
