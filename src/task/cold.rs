//! Bytes of files that must come from a disk first: fetched off the worker.

use super::wait::unblock;
use super::worker;
use crate::sys;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

/// Whether the caller is a task that may wait, so that others of its worker could run meanwhile.
pub(crate) fn is_task() -> bool {
    worker::current().is_some_and(|worker| !worker.stands())
}

/// Systems read about this far ahead of who reads on and on, and what has come together mostly goes
/// together: one point in so many bytes tells of all of them.
const STRIDE: usize = 512 << 10;

/// So much is fetched by one read.
const SCRATCH: usize = 128 << 10;

/// The most that is fetched at a time.
const MOST: u64 = 1 << 20;

/// Fetches the next `len` bytes of a file, from `at` or else from its own offset on, if they are not in
/// memory and the caller is a task, which waits meanwhile. They may be gone again when they are read.
///
/// # Errors
///
/// The cancelled error. What fails otherwise is left for the read to say.
pub(crate) fn warm(fd: BorrowedFd<'_>, at: Option<u64>, len: u64) -> io::Result<()> {
    if len == 0 || !is_task() {
        return Ok(());
    }
    let Ok(start) = at.map_or_else(|| sys::tell(fd), Ok) else { return Ok(()) };
    let end = start.saturating_add(len.min(MOST));
    let mut points = (start..end).step_by(STRIDE).chain([end - 1]);
    let Some(cold) = points.find(|&at| sys::is_cold(fd, at)) else { return Ok(()) };
    let Ok(fd) = fd.try_clone_to_owned() else { return Ok(()) };
    unblock(move || {
        // Into memory of its own: the caller's is never lent to another thread.
        let mut scratch = vec![0; SCRATCH];
        let mut at = cold;
        while at < end {
            let len = scratch.len().min((end - at) as usize);
            match sys::read_at(fd.as_fd(), at, &mut scratch[..len]) {
                Ok(n) if n > 0 => at += n as u64,
                _ => break,
            }
        }
    })
}

/// Reads a file at an offset. A task waits off its worker for what is not in memory.
///
/// # Errors
///
/// Those of the file; the cancelled error.
#[cfg(feature = "http")]
pub(crate) fn read_at(fd: BorrowedFd<'_>, at: u64, buf: &mut [u8]) -> io::Result<usize> {
    if is_task() {
        match sys::read_warm(fd, at, buf) {
            Ok(n) => return Ok(n),
            Err(_) => warm(fd, Some(at), buf.len() as u64)?,
        }
    }
    sys::read_at(fd, at, buf)
}
