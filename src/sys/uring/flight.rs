//! Operations that the system carries out while their caller waits.
//!
//! What an operation borrows is in the system's hands until its answer has come, whatever happens
//! meanwhile. So the caller does not get away before: [`Ring::carry`] returns with the answer, and who
//! unwinds through it waits for the answer on the way.

use super::{Ring, UNHEARD, WATCH};
use crate::sys::Nowait;
use crate::sys::net::SEND;
use crate::sys::transfer::{Moved, Transfer};
use io_uring::squeue::Entry;
use io_uring::types::{CancelBuilder, Fd};
use io_uring::{cqueue, opcode};
use std::cell::UnsafeCell;
use std::fmt;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Waker;
use std::time::Duration;

/// No answer yet. None has all these flags.
const FLYING: u64 = u64::MAX;
/// At the place where the descriptor stands, if it stands anywhere.
const HERE: u64 = u64::MAX;

/// An operation under way.
pub(crate) struct Flight<'r> {
    ring: &'r Ring,
    place: Place,
}

/// Where the answer goes. The operation's tag is its address.
#[repr(align(8))]
struct Place {
    /// The flags, and the result.
    answer: AtomicU64,
    waker: UnsafeCell<Option<Waker>>,
}

// SAFETY: the waker is touched by whoever takes the answer out of the queue, which one alone does.
unsafe impl Sync for Place {}

impl Ring {
    /// Whether operations are to be had: all those that are under way can be ended by one order.
    pub(crate) fn carries(&self) -> bool {
        self.cooperative
    }

    /// Has the system carry out `transfer`, and wakes `waker` when it has. Until then `wait` is called,
    /// again and again.
    ///
    /// # Errors
    ///
    /// The operation's own; `WouldBlock` if the system will not wait for this one.
    pub(crate) fn carry(
        &self,
        fd: BorrowedFd<'_>,
        nowait: Nowait,
        transfer: &mut Transfer<'_, '_>,
        waker: Waker,
        mut wait: impl FnMut(&Flight<'_>),
    ) -> io::Result<Moved> {
        let mut head = MaybeUninit::zeroed();
        let entry = entry(Fd(fd.as_raw_fd()), nowait == Nowait::Socket, transfer, &mut head);
        let answer = AtomicU64::new(FLYING);
        let flight =
            Flight { ring: self, place: Place { answer, waker: UnsafeCell::new(Some(waker)) } };
        self.flights.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the descriptor is open, and the buffers, the head and the place are there, untouched,
        // until the answer has come: that is what `landing` waits for, even if `wait` unwinds.
        if unsafe { self.push(&entry.user_data(flight.tag())) }.is_err() {
            self.flights.fetch_sub(1, Ordering::Relaxed);
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let landing = Landing(&flight);
        while !flight.has_landed() {
            wait(&flight);
        }
        drop(landing);
        flight.answer()
    }

    /// Ends all operations, and waits until they have.
    pub(crate) fn ground(&self) {
        while self.flights.load(Ordering::Acquire) > 0 {
            let all = opcode::AsyncCancel2::new(CancelBuilder::any()).build().user_data(UNHEARD);
            // SAFETY: the order has no pointer in it.
            let _ = unsafe { self.push(&all) };
            self.pass();
        }
        for waker in self.set_aside().woken.drain(..) {
            waker.wake();
        }
    }

    /// Gives the orders, waits for an answer, and leaves it to whoever waits next.
    fn pass(&self) {
        let entered = self.enter(1);
        drop(self.set_aside());
        let again = [libc::EINTR, libc::EBUSY];
        if entered.is_err_and(|error| !again.contains(&error.raw_os_error().unwrap_or(0))) {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Flight<'_> {
    fn tag(&self) -> u64 {
        let tag = (&raw const self.place).expose_provenance() as u64;
        debug_assert!(tag & WATCH == 0 && tag != UNHEARD, "a place is aligned");
        tag
    }

    fn has_landed(&self) -> bool {
        self.place.answer.load(Ordering::Acquire) != FLYING
    }

    fn answer(&self) -> io::Result<Moved> {
        let answer = self.place.answer.load(Ordering::Acquire);
        let (flags, result) = ((answer >> 32) as u32, answer as u32 as i32);
        match usize::try_from(result) {
            Ok(bytes) => Ok(Moved { bytes, left: cqueue::sock_nonempty(flags) }),
            Err(_) => Err(io::Error::from_raw_os_error(-result)),
        }
    }

    /// Orders to give it up. It may succeed all the same, and its answer has to be waited for.
    pub(crate) fn cancel(&self) {
        // An order that comes later finds nothing of it: orders are taken up one after another, and who
        // flies next from this place is behind.
        let order = opcode::AsyncCancel::new(self.tag()).build().user_data(UNHEARD);
        // SAFETY: the order has no pointer in it.
        while !self.has_landed() && unsafe { self.ring.push(&order) }.is_err() {
            // There is no memory at the moment.
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Gives it up, and the thread waits until it has ended.
    pub(crate) fn land(&self) {
        while !self.has_landed() {
            // It may have been missed. Its own answer ends the pass.
            self.cancel();
            self.ring.pass();
        }
    }
}

impl fmt::Debug for Flight<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flight").field("landed", &self.has_landed()).finish_non_exhaustive()
    }
}

struct Landing<'a>(&'a Flight<'a>);

impl Drop for Landing<'_> {
    fn drop(&mut self) {
        self.0.land();
    }
}

/// The answer to an operation has come. Who waits for it is to be woken afterwards.
///
/// # Safety
///
/// It must be of an operation, and of none that was answered before.
pub(super) unsafe fn answered(ring: &Ring, entry: &cqueue::Entry) -> Option<Waker> {
    let place = ptr::with_exposed_provenance::<Place>(entry.user_data() as usize);
    // SAFETY: the place is there until the answer lies in it, and nobody else has this one.
    let place = unsafe { &*place };
    // SAFETY: as above.
    let waker = unsafe { (*place.waker.get()).take() };
    let answer = u64::from(entry.flags()) << 32 | u64::from(entry.result().cast_unsigned());
    // From here on the place may be gone.
    place.answer.store(answer, Ordering::Release);
    ring.flights.fetch_sub(1, Ordering::Release);
    waker
}

fn entry(
    fd: Fd,
    is_socket: bool,
    transfer: &mut Transfer<'_, '_>,
    head: &mut MaybeUninit<libc::msghdr>,
) -> Entry {
    let send = (SEND.bits() as i32) & !libc::MSG_DONTWAIT;
    let len = |len: usize| u32::try_from(len).unwrap_or(u32::MAX).min(LONGEST);
    match transfer {
        Transfer::Read(buf) if is_socket => {
            opcode::Recv::new(fd, buf.as_mut_ptr(), len(buf.len())).build()
        }
        Transfer::Read(buf) => {
            opcode::Read::new(fd, buf.as_mut_ptr(), len(buf.len())).offset(HERE).build()
        }
        Transfer::Write(bytes) if is_socket => {
            opcode::Send::new(fd, bytes.as_ptr(), len(bytes.len())).flags(send).build()
        }
        Transfer::Write(bytes) => {
            opcode::Write::new(fd, bytes.as_ptr(), len(bytes.len())).offset(HERE).build()
        }
        Transfer::ReadVectored(bufs) if is_socket => {
            let head = message(head, bufs.as_mut_ptr().cast(), bufs.len());
            opcode::RecvMsg::new(fd, head).build()
        }
        Transfer::ReadVectored(bufs) => {
            opcode::Readv::new(fd, bufs.as_ptr().cast(), bufs.len() as u32).offset(HERE).build()
        }
        Transfer::WriteVectored(bufs) if is_socket => {
            let head = message(head, bufs.as_ptr().cast_mut().cast(), bufs.len());
            opcode::SendMsg::new(fd, head).flags(send as u32).build()
        }
        Transfer::WriteVectored(bufs) => {
            opcode::Writev::new(fd, bufs.as_ptr().cast(), bufs.len() as u32).offset(HERE).build()
        }
    }
}

/// No call moves more.
const LONGEST: u32 = 0x7fff_f000;

/// A head for these buffers; the rest of it stays zero: no address, nothing beside the bytes.
fn message(
    head: &mut MaybeUninit<libc::msghdr>,
    bufs: *mut libc::iovec,
    len: usize,
) -> *mut libc::msghdr {
    let head = head.as_mut_ptr();
    // SAFETY: all zeroes are a head, and they are there. std's slices of buffers are iovecs.
    unsafe {
        (*head).msg_iov = bufs;
        (*head).msg_iovlen = len as _;
    }
    head
}
