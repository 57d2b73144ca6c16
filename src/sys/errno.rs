//! What an error of a kernel-copying call means.

use rustix::io::Errno;
use std::io;

/// What to do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// A descriptor is not ready.
    Again,
    /// The kernel does not do this between these two; another way may work.
    Refused,
    /// A true failure of reading or writing.
    Failed,
}

/// The verdict on an error of splice, tee or sendfile.
///
/// Sockets report an error once and then forget it, so only what is known to mean "not this way"
/// may lead to another try; the try tells the reason, if there is one, once more.
pub(crate) fn verdict(error: &io::Error) -> Verdict {
    let Some(errno) = Errno::from_io_error(error) else {
        return match error.kind() {
            io::ErrorKind::Unsupported => Verdict::Refused,
            _ => Verdict::Failed,
        };
    };
    match errno {
        Errno::AGAIN => Verdict::Again,
        // An old kernel, a sandbox, a file system or a descriptor without the operation.
        Errno::NOSYS | Errno::PERM | Errno::ACCESS | Errno::INVAL | Errno::OPNOTSUPP => {
            Verdict::Refused
        }
        // Different file systems; offsets beyond what the call can express.
        Errno::XDEV | Errno::OVERFLOW | Errno::SPIPE | Errno::NOTTY => Verdict::Refused,
        // Not open for this direction, or append-only: read and write say which.
        Errno::BADF | Errno::TXTBSY | Errno::ISDIR => Verdict::Refused,
        // No memory for the kernel's own buffers.
        Errno::NOMEM | Errno::NOBUFS => Verdict::Refused,
        _ => Verdict::Failed,
    }
}

/// The verdict on an error of copy_file_range.
pub(crate) fn verdict_on_range(error: &io::Error) -> Verdict {
    match Errno::from_io_error(error) {
        // CIFS and NFS answer these for what they cannot do; between files a plain read or write
        // meets a true error again and can tell whose it is.
        Some(Errno::IO | Errno::NOENT | Errno::FBIG) => Verdict::Refused,
        _ => verdict(error),
    }
}

/// Whether an error of sendfile or of splice from a file is the file's own.
pub(crate) fn is_files_own(error: &io::Error) -> bool {
    Errno::from_io_error(error) == Some(Errno::IO)
}

/// Whether an error of accept says that there is no descriptor left, or no memory. The connection
/// is still in the queue.
pub(crate) fn is_shortage(error: &io::Error) -> bool {
    let shortages = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
    Errno::from_io_error(error).is_some_and(|errno| shortages.contains(&errno))
}

/// Whether an error of accept is that of the one connection, which has left the queue by it: it
/// was given up by its peer, or had failed when it was its turn.
pub(crate) fn is_connections_own(error: &io::Error) -> bool {
    let Some(errno) = Errno::from_io_error(error) else { return false };
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if errno == Errno::NONET {
        return true;
    }
    let own = [
        Errno::CONNABORTED,
        Errno::CONNRESET,
        Errno::PROTO,
        Errno::NOPROTOOPT,
        Errno::NETDOWN,
        Errno::NETUNREACH,
        Errno::HOSTDOWN,
        Errno::HOSTUNREACH,
    ];
    own.contains(&errno)
}

/// Whether there is no file of that name, or none that may be reached by it.
#[cfg(feature = "http")]
pub(crate) fn is_absent(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        // A fifo or socket without its other end; a link that is not to be followed, as others tell it.
        Some(
            Errno::NOENT
                | Errno::NOTDIR
                | Errno::LOOP
                | Errno::XDEV
                | Errno::NAMETOOLONG
                | Errno::NXIO
                | Errno::MLINK
        )
    )
}

/// Whether a file is there and may not be opened.
#[cfg(feature = "http")]
pub(crate) fn is_forbidden(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::ACCESS | Errno::PERM))
}
