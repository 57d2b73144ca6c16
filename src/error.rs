//! Every error that the crate itself raises: one constructor per cause, in one place.
//!
//! | cause | [`io::ErrorKind`] |
//! |---|---|
//! | cancelled ([`Cancelled`], [`is_cancelled`]) | `Other` |
//! | a limit was exceeded (`limit_strict`) | `FileTooLarge` |
//! | fewer bytes than were promised (`exact`, `copy_n`) | `UnexpectedEof` |
//! | a writer that takes nothing more | `WriteZero` |
//! | a record longer than allowed | `InvalidData` |
//! | the body of an HTTP request is malformed | `InvalidData` |
//! | a reader or writer that claims more bytes than it was given | `InvalidData` |
//! | the other end is gone | `BrokenPipe` |
//! | closed by this end | `NotConnected` |
//! | a name without an address | `NotFound` |
//! | what is no address | `InvalidInput` |
//! | a wait that might never end, begun while the thread unwinds | `Deadlock` |
//! | the same file on both ends of a copy | `InvalidInput` |
//! | an HTTP response asked for what it cannot do any more | `InvalidInput` |
//! | a stream that cannot end one direction alone | `Unsupported` |
//! | a seek to nowhere, a write at an offset of an append-only file, more asked for than fits | `InvalidInput` |
//!
//! Errors of the system pass through with their number; nothing is ever reported as `Interrupted`.

use std::ffi::OsStr;
use std::{error, fmt, io};

/// What an [`io::Error`] carries when an operation was cancelled; see [`is_cancelled`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cancelled;

impl fmt::Display for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the operation was cancelled")
    }
}

impl error::Error for Cancelled {}

/// Whether `error` says that an operation was cancelled.
///
/// # Examples
///
/// ```
/// let ordinary = std::io::Error::other("disk on fire");
/// assert!(!aqueduct::is_cancelled(&ordinary));
/// ```
#[must_use]
pub fn is_cancelled(error: &io::Error) -> bool {
    let mut next: Option<&(dyn error::Error + 'static)> = Some(error);
    while let Some(this) = next {
        if this.is::<Cancelled>() {
            return true;
        }
        // An io::Error's own `source` skips what it carries.
        next = match this.downcast_ref::<io::Error>() {
            Some(wrapper) => wrapper.get_ref().map(|inner| inner as &dyn error::Error),
            None => this.source(),
        };
    }
    false
}

pub(crate) fn cancelled() -> io::Error {
    io::Error::other(Cancelled)
}

pub(crate) fn limit_exceeded(limit: u64) -> io::Error {
    let text = format!("the reader holds more than the {limit} bytes allowed");
    io::Error::new(io::ErrorKind::FileTooLarge, text)
}

pub(crate) fn too_short(missing: u64) -> io::Error {
    let text = format!("the reader ended {missing} bytes before it should have");
    io::Error::new(io::ErrorKind::UnexpectedEof, text)
}

pub(crate) fn takes_no_more() -> io::Error {
    io::Error::new(io::ErrorKind::WriteZero, "the writer takes no more bytes")
}

pub(crate) fn record_too_long(max: usize) -> io::Error {
    let text = format!("a record is longer than the {max} bytes allowed");
    io::Error::new(io::ErrorKind::InvalidData, text)
}

pub(crate) fn lying(who: &str, claimed: usize, given: usize) -> io::Error {
    let text = format!("the {who} claims {claimed} bytes of a buffer of {given}");
    io::Error::new(io::ErrorKind::InvalidData, text)
}

pub(crate) fn reader_gone() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "the reading end is gone")
}

pub(crate) fn sinks_gone() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "every writer is gone")
}

pub(crate) fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "this end was closed")
}

pub(crate) fn timed_out() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "the deadline has passed")
}

/// What an [`io::Error`] carries when a copy has been silent for too long.
#[derive(Debug)]
struct Idle;

impl fmt::Display for Idle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no byte has moved for too long")
    }
}

impl error::Error for Idle {}

pub(crate) fn idle() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, Idle)
}

pub(crate) fn is_idle(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<Idle>())
}

/// Whether `error` came from outside of the streams at either end: nobody there has failed.
pub(crate) fn is_nobodys(error: &io::Error) -> bool {
    is_cancelled(error) || is_idle(error)
}

pub(crate) fn no_address() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "there is no address to use")
}

pub(crate) fn no_host_and_port(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("{text:?} is not a host and a port"))
}

pub(crate) fn unknown_host(host: &str, why: &io::Error) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("no address of {host:?}: {why}"))
}

pub(crate) fn lookup_panicked() -> io::Error {
    io::Error::other("the lookup of a name has panicked")
}

pub(crate) fn no_backend(name: &OsStr, known: &[impl fmt::Display]) -> io::Error {
    let known: Vec<_> = known.iter().map(ToString::to_string).collect();
    let text = format!("AQUEDUCT_POLLER is {name:?}, which is none of: {}", known.join(", "));
    io::Error::new(io::ErrorKind::InvalidInput, text)
}

pub(crate) fn backend_elsewhere(name: impl fmt::Display) -> io::Error {
    let text = format!("this system does not have {name}");
    io::Error::new(io::ErrorKind::Unsupported, text)
}

pub(crate) fn backend_without_edges(name: impl fmt::Display) -> io::Error {
    let text = format!("{name} tells of a descriptor as long as it is ready");
    io::Error::new(io::ErrorKind::Unsupported, text)
}

#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn signals_elsewhere() -> io::Error {
    let text = "the signals go to the thread that first used this poller";
    io::Error::new(io::ErrorKind::Unsupported, text)
}

pub(crate) fn always_ready() -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, "it is always ready")
}

pub(crate) fn number_too_great(fd: i32) -> io::Error {
    let text = format!("select(2) does not take a descriptor of the number {fd} here");
    io::Error::new(io::ErrorKind::Unsupported, text)
}

pub(crate) fn stream_shared() -> io::Error {
    io::Error::new(io::ErrorKind::ResourceBusy, "another handle holds the stream")
}

pub(crate) fn peeks_no_socket() -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, "only sockets can be read without taking the bytes")
}

pub(crate) fn key_taken() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "the key u64::MAX is the poller's own")
}

pub(crate) fn writer_panicked() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "the writing end was dropped by a panic")
}

pub(crate) fn wait_while_panicking() -> io::Error {
    let text = "whoever unwinds from a panic does not wait";
    io::Error::new(io::ErrorKind::Deadlock, text)
}

pub(crate) fn no_stack(size: usize, why: &io::Error) -> io::Error {
    let text = format!("no stack of {} KiB for a task: {why}", size >> 10);
    io::Error::new(why.kind(), text)
}

pub(crate) fn no_runtime() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "the runtime takes no more tasks")
}

pub(crate) fn left_by_runtime() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "the runtime has ended before the task")
}

pub(crate) fn no_memory(wanted: usize) -> io::Error {
    let text = format!("no memory for {wanted} bytes that wait in a pipe");
    io::Error::new(io::ErrorKind::OutOfMemory, text)
}

pub(crate) fn same_file() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "the same file is read and written")
}

pub(crate) fn append_only() -> io::Error {
    let text = "a file opened for appending cannot be written at an offset";
    io::Error::new(io::ErrorKind::InvalidInput, text)
}

pub(crate) fn seek_outside() -> io::Error {
    let text = "a seek to before the start, or further than offsets reach";
    io::Error::new(io::ErrorKind::InvalidInput, text)
}

pub(crate) fn no_end_to_seek_from() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "a writer at an offset has no end to seek from")
}

pub(crate) fn buffer_too_small(min: usize, len: usize) -> io::Error {
    let text = format!("at least {min} bytes were asked for, in a buffer of {len}");
    io::Error::new(io::ErrorKind::InvalidInput, text)
}

#[cfg(feature = "http")]
pub(crate) use self::of_http::*;

/// Those of the HTTP server.
#[cfg(feature = "http")]
mod of_http {
    use std::fmt;
    use std::io::{Error, ErrorKind};

    pub(crate) fn malformed_body(why: &str) -> Error {
        Error::new(ErrorKind::InvalidData, format!("the body of the request is malformed: {why}"))
    }

    pub(crate) fn body_cut_off() -> Error {
        let text = "the connection ended before the body of the request did";
        Error::new(ErrorKind::UnexpectedEof, text)
    }

    pub(crate) fn body_too_large() -> Error {
        let text = "the body of the request is larger than allowed";
        Error::new(ErrorKind::FileTooLarge, text)
    }

    pub(crate) fn no_half_close() -> Error {
        Error::new(ErrorKind::Unsupported, "the stream cannot end one direction alone")
    }

    pub(crate) fn head_sent() -> Error {
        Error::new(ErrorKind::InvalidInput, "the head of the response was sent already")
    }

    pub(crate) fn no_body(status: impl fmt::Display) -> Error {
        let text = format!("a response of status {status} has no body");
        Error::new(ErrorKind::InvalidInput, text)
    }

    pub(crate) fn not_a_final_status(status: impl fmt::Display) -> Error {
        let text = format!("{status} is not the status of a response");
        Error::new(ErrorKind::InvalidInput, text)
    }

    pub(crate) fn not_interim(status: impl fmt::Display) -> Error {
        let text = format!("{status} is not a status to be told ahead of a response");
        Error::new(ErrorKind::InvalidInput, text)
    }

    pub(crate) fn bad_field(what: &str, why: &dyn fmt::Display) -> Error {
        Error::new(ErrorKind::InvalidInput, format!("{what} of a response: {why}"))
    }

    pub(crate) fn body_incomplete(missing: u64) -> Error {
        let text = format!("the response lacks {missing} bytes of its Content-Length");
        Error::new(ErrorKind::InvalidInput, text)
    }

    pub(crate) fn bad_pattern(pattern: &str, why: &str) -> Error {
        Error::new(ErrorKind::InvalidInput, format!("{pattern:?} is no pattern: {why}"))
    }

    pub(crate) fn patterns_conflict(new: &str, old: &str, why: &str) -> Error {
        let text = format!("the patterns {new:?} and {old:?} conflict: {why}");
        Error::new(ErrorKind::InvalidInput, text)
    }

    pub(crate) fn not_as_declared(written: u64, declared: u64) -> Error {
        let text = format!("{written} bytes of a Content-Length of {declared} were written");
        Error::new(ErrorKind::InvalidInput, text)
    }

    pub(crate) fn cut_off(connections: usize) -> Error {
        let text = format!("{connections} connections were closed before they had ended");
        Error::new(ErrorKind::TimedOut, text)
    }

    pub(crate) fn cannot_take_over(why: &str) -> Error {
        let text = format!("the connection cannot be taken over: {why}");
        Error::new(ErrorKind::InvalidInput, text)
    }
}
