//! What only Linux has: above all the calls that move bytes without showing them to the program.

pub(super) use super::epoll::Edge;
use super::{Call, faults::gate, retry};
use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::{
    FileType, Mode, OFlags, Stat, copy_file_range as cfr, fcntl_getfl, fstat, fstatfs, major,
    minor, sendfile as send,
};
use rustix::pipe::{SpliceFlags, fcntl_getpipe_size, fcntl_setpipe_size};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::OnceLock;
#[cfg(feature = "http")]
use std::time::{Duration, SystemTime};

/// The time of day as of the last tick of the kernel's clock, some milliseconds ago at most. It
/// costs a third of the exact one.
#[cfg(feature = "http")]
pub(crate) fn rough_time() -> SystemTime {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn flags(block: bool) -> SpliceFlags {
    // Never MORE: it corks sockets for 200 ms. MOVE has had no effect since 2.6.21.
    if block { SpliceFlags::empty() } else { SpliceFlags::NONBLOCK }
}

/// splice(2): moves bytes where one side at least is a pipe.
pub(crate) fn splice(
    from: (BorrowedFd<'_>, Option<u64>),
    to: (BorrowedFd<'_>, Option<u64>),
    len: usize,
    block: bool,
) -> io::Result<usize> {
    retry(|| {
        let len = gate(Call::Splice, len)?;
        let (mut start, mut end) = (from.1, to.1);
        Ok(rustix::pipe::splice(from.0, start.as_mut(), to.0, end.as_mut(), len, flags(block))?)
    })
}

/// tee(2): duplicates the bytes at the head of a pipe into another pipe.
pub(crate) fn tee(
    from: BorrowedFd<'_>,
    to: BorrowedFd<'_>,
    len: usize,
    block: bool,
) -> io::Result<usize> {
    retry(|| Ok(rustix::pipe::tee(from, to, gate(Call::Tee, len)?, flags(block))?))
}

/// sendfile(2): a file into a socket.
pub(crate) fn sendfile(
    from: (BorrowedFd<'_>, Option<u64>),
    to: BorrowedFd<'_>,
    len: usize,
) -> io::Result<usize> {
    retry(|| {
        let len = gate(Call::Sendfile, len)?;
        let mut start = from.1;
        Ok(send(to, from.0, start.as_mut(), len)?)
    })
}

/// copy_file_range(2): a file into a file.
pub(crate) fn copy_file_range(
    from: (BorrowedFd<'_>, Option<u64>),
    to: (BorrowedFd<'_>, Option<u64>),
    len: usize,
) -> io::Result<usize> {
    retry(|| {
        let len = gate(Call::CopyFileRange, len)?;
        let (mut start, mut end) = (from.1, to.1);
        Ok(cfr(from.0, start.as_mut(), to.0, end.as_mut(), len)?)
    })
}

/// The capacity of a pipe in bytes: its slots, each of a page, although a slot may hold less.
pub(crate) fn pipe_size(fd: BorrowedFd<'_>) -> io::Result<usize> {
    Ok(fcntl_getpipe_size(fd)?)
}

/// How many bytes lie in a pipe.
pub(crate) fn queued(fd: BorrowedFd<'_>) -> io::Result<u64> {
    Ok(rustix::io::ioctl_fionread(fd)?)
}

/// Asks for a pipe of `size` bytes. Beyond the user's quota the answer is EPERM.
pub(crate) fn set_pipe_size(fd: BorrowedFd<'_>, size: usize) -> io::Result<usize> {
    Ok(fcntl_setpipe_size(fd, size)?)
}

/// A descriptor that one side makes readable and the other clears: an eventfd(2).
#[derive(Debug)]
pub(crate) struct Event(OwnedFd);

impl Event {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?))
    }

    pub(crate) fn is(&self, fd: RawFd) -> bool {
        self.0.as_raw_fd() == fd
    }

    /// Makes it readable.
    pub(crate) fn signal(&self) {
        // The one error there is says that the counter is full, and then it is readable.
        let _ = retry(|| Ok(rustix::io::write(&self.0, &1_u64.to_ne_bytes())?));
    }

    /// Makes it unreadable.
    pub(crate) fn clear(&self) {
        let _ = retry(|| Ok(rustix::io::read(&self.0, &mut [0; 8])?));
    }
}

impl AsFd for Event {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Whether `fd` is a pipe whose calls can say that they must not wait. Those with a name in the
/// file system cannot.
pub(crate) fn answers_nowait(fd: BorrowedFd<'_>) -> bool {
    static PIPES_DO: OnceLock<bool> = OnceLock::new();
    let probe = || {
        let (reader, _writer) = super::pipe()?;
        let answer = super::Nowait::Call.read(reader.as_fd(), &mut [0]);
        Ok::<_, io::Error>(answer.is_err_and(|e| e.kind() == io::ErrorKind::WouldBlock))
    };
    const PIPEFS: i64 = 0x5049_5045;
    fstatfs(fd).is_ok_and(|system| system.f_type == PIPEFS)
        && *PIPES_DO.get_or_init(|| probe().unwrap_or(false))
}

/// Pipes and terminals do, but for the masters of those: each open of one makes another terminal.
/// Of other devices nobody knows.
fn opens_alike(fd: BorrowedFd<'_>, stat: &Stat) -> bool {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Fifo => true,
        FileType::CharacterDevice => {
            const PTMX: (u32, u32) = (5, 2);
            let number = (major(stat.st_rdev), minor(stat.st_rdev));
            number != PTMX && rustix::termios::isatty(fd)
        }
        _ => false,
    }
}

/// Opens the file of `fd` once more, as a non-blocking description of our own, if that is the same
/// thing as the one that was given.
pub(crate) fn reopen(fd: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let theirs = fstat(fd)?;
    if !opens_alike(fd, &theirs) {
        return Err(io::ErrorKind::Unsupported.into());
    }
    let mode = fcntl_getfl(fd)? & OFlags::RWMODE;
    let flags = mode | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    let private = retry(|| Ok(rustix::fs::open(&*path, flags, Mode::empty())?))?;
    // Where something else is mounted on /proc, the path leads elsewhere.
    let ours = fstat(&private)?;
    if (ours.st_dev, ours.st_ino, ours.st_rdev) == (theirs.st_dev, theirs.st_ino, theirs.st_rdev) {
        Ok(private)
    } else {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// openat2(2): in one call, however the path goes.
#[cfg(feature = "http")]
pub(super) fn open_beneath(
    root: BorrowedFd<'_>,
    path: &[u8],
    flags: OFlags,
    links: super::Links,
    cached: bool,
) -> io::Result<OwnedFd> {
    use super::Links;
    use rustix::fs::ResolveFlags;
    let mut resolve = match links {
        Links::Refused => ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS,
        Links::Beneath => ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS,
        Links::Followed => ResolveFlags::empty(),
    };
    resolve.set(ResolveFlags::CACHED, cached);
    retry(|| Ok(rustix::fs::openat2(root, path, flags, Mode::empty(), resolve)?))
}
