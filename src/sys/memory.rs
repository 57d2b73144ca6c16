//! Address space of our own, for stacks.
#![expect(unsafe_code, reason = "mappings are raw addresses")]

use std::io;
use std::ops::Range;
use std::ptr::{self, NonNull};
use std::sync::OnceLock;

/// How a page is made to fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guard {
    /// By a mark in the page table, which leaves the mapping in one piece. Linux since 6.13.
    Marked,
    /// By its protection, which splits the mapping in two. Systems bound how many mappings a
    /// process may have, Linux at 65,530.
    Protected,
}

/// Zeroed memory that becomes real page by page, when it is first written to.
#[derive(Debug)]
pub(crate) struct Region {
    start: NonNull<libc::c_void>,
    len: usize,
}

// SAFETY: it is a range of addresses that this value owns, like a boxed slice.
unsafe impl Send for Region {}
// SAFETY: as above; methods touch the mapping by system calls alone.
unsafe impl Sync for Region {}

/// Has the cache line of this address fetched, whatever the address is.
#[inline]
pub(crate) fn prefetch(at: *const u8) {
    // SAFETY: it is a hint, which never faults.
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(at.cast());
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = at;
}

pub(crate) fn page_size() -> usize {
    static SIZE: OnceLock<usize> = OnceLock::new();
    *SIZE.get_or_init(|| {
        // SAFETY: it only asks.
        let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        usize::try_from(size).unwrap_or(4096)
    })
}

impl Region {
    /// `len` bytes of address space, whole pages.
    pub(crate) fn reserve(len: usize) -> io::Result<Self> {
        let (access, flags) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANON);
        // SAFETY: a new mapping, at an address that the system chooses, concerns nobody else.
        let start = unsafe { libc::mmap(ptr::null_mut(), len, access, flags, -1, 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start).ok_or(io::ErrorKind::OutOfMemory)?;
        let this = Self { start, len };
        // A stack would become real two megabytes at a time. Kernels without huge pages refuse.
        #[cfg(target_os = "linux")]
        let _ = this.advise(0..len, libc::MADV_NOHUGEPAGE);
        Ok(this)
    }

    pub(crate) fn start(&self) -> usize {
        self.start.as_ptr() as usize
    }

    /// Makes the pages of `range` fault, for good, in the cheapest way there is; `how` forces one.
    pub(crate) fn guard(&self, range: Range<usize>, how: Option<Guard>) -> io::Result<Guard> {
        #[cfg(target_os = "linux")]
        {
            const MADV_GUARD_INSTALL: libc::c_int = 102;
            if how != Some(Guard::Protected) {
                match self.advise(range.clone(), MADV_GUARD_INSTALL) {
                    Ok(()) => return Ok(Guard::Marked),
                    Err(error) if how.is_some() => return Err(error),
                    // An older kernel, or memory that is locked.
                    Err(_) => {}
                }
            }
        }
        if how == Some(Guard::Marked) {
            return Err(io::ErrorKind::Unsupported.into());
        }
        self.within(&range);
        // SAFETY: the range lies in our mapping, and nobody has been given its addresses yet.
        let result = unsafe {
            libc::mprotect(self.start.as_ptr().byte_add(range.start), range.len(), libc::PROT_NONE)
        };
        if result == 0 { Ok(Guard::Protected) } else { Err(io::Error::last_os_error()) }
    }

    /// Gives the memory of `range` back, guards excepted; it reads as zeroes then.
    ///
    /// # Safety
    ///
    /// Nobody needs what lies in there.
    pub(crate) unsafe fn discard(&self, range: Range<usize>) -> io::Result<()> {
        self.advise(range, libc::MADV_DONTNEED)
    }

    fn advise(&self, range: Range<usize>, advice: libc::c_int) -> io::Result<()> {
        self.within(&range);
        // SAFETY: the range lies in our mapping. Of the advices given here one loses what is in it,
        // which is `discard`'s to promise.
        let result = unsafe {
            libc::madvise(self.start.as_ptr().byte_add(range.start), range.len(), advice)
        };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    fn within(&self, range: &Range<usize>) {
        assert!(range.start <= range.end && range.end <= self.len, "a range of this region");
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and whoever had addresses in it held this value.
        unsafe { libc::munmap(self.start.as_ptr(), self.len) };
    }
}
