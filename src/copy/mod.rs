//! Moving bytes from a source to a sink by the cheapest allowed way.
//!
//! [`copy`] asks both ends what they are made of ([`Source`], [`Sink`]), however many adapters
//! lie between, and moves the bytes inside the kernel where that is possible, allowed and worth
//! it. Otherwise it reads and writes. The result is the same either way: the bytes, the counts,
//! and what is told when something fails.
//!
//! # Which way the bytes take
//!
//! | from \ to | file | pipe | stream socket ² | terminal ² |
//! |---|---|---|---|---|
//! | file | copy_file_range, splice | splice ¹ | sendfile ¹ | read and write |
//! | pipe | splice | splice | splice | splice |
//! | stream socket ² | splice | splice | splice | splice |
//!
//! ¹ Only with [`Copier::share_pages`]. ² Only if its description is non-blocking: splice and
//! sendfile would block on it whatever their flags, and no cancel could be heard.
//! With several outlets tee(2) duplicates the bytes. `/dev/null` is an outlet that costs nothing.
//!
//! Everything else goes through memory: other devices, datagrams and packets (whose boundaries are
//! data), files opened for appending, foreign readers and writers, and the first 64 KiB of every
//! copy, since setting up a kernel path costs more than it saves on a small one. Where the kernel
//! refuses a way, the next one is tried; a refusal holds for the rest of this copy and no longer.
//! [`Report`] tells which ways were taken.
//!
//! # What is promised
//!
//! * Bytes that were copied do not change when the file they came from changes later, unless
//!   [`share_pages`](Copier::share_pages) gives that up.
//! * **Nothing is lost**: when a copy stops, what each outlet got and what is
//!   [pending](CopyError::pending) for it are together what was taken from the source.
//! * `Interrupted` is retried on every path. `WouldBlock` comes with exact counts.
//! * The same regular file on both ends is refused with `InvalidInput` before a byte moves,
//!   unless both ends are positioned and apart. What a `BufReader` has read already goes first, and
//!   an opaque end is not seen through.
//! * Nothing is flushed at the end; a buffering writer keeps what it holds, as with
//!   [`std::io::copy`]. It is flushed when a kernel path goes around it.
//!
//! # What blocks
//!
//! A copy blocks as its descriptors do, in the middle of a step too. Between
//! [streams](crate::stream) it hears of their deadlines and of a close; where nobody could end it (no
//! deadline, no other handle, a plain thread) its calls block and there are fewer of them. A [`Cancel`]
//! is heard at once while the copy waits for its source, or for room in a pipe or a non-blocking
//! outlet; it is heard after the call where a plain read or write of a blocking descriptor is under
//! way.
//!
//! In a [task](crate::task) the ends should be [streams](crate::stream), regular files or pipes in memory:
//! a copy from or to them makes room for other tasks where it waits, also for bytes of a file that must
//! come from a disk, and after each mebibyte. Where std's own sockets, pipes and devices block, they
//! hold up all tasks of the worker, and so does a disk that is written to.
//!
//! A pipe whose reader is gone raises SIGPIPE, in splice and tee as in write. Rust programs ignore
//! that signal from the start; a program that does not start in Rust has to see to it.
//!
//! # References
//!
//! splice(2), tee(2), sendfile(2), copy_file_range(2), pipe(7).

mod around;
mod both;
mod broker;
mod cancel;
mod carry;
mod direct;
mod ends;
mod engine;
mod error;
mod hearing;
mod memory;
mod options;
mod plan;
mod pulse;
mod put;
mod report;
#[cfg(test)]
mod tests;
mod wait;

pub use self::both::{Direction, Exchange, ExchangeError, copy_bidirectional};
pub use self::cancel::Cancel;
pub use self::error::{CopyError, Side};
pub use self::options::Copier;
pub use self::report::{Path, Report};

use crate::source::{Sink, Source};

/// Copies all of `source` into `sink` and returns how many bytes that were.
///
/// See the [module](self) for the ways that bytes take and for what is promised, and [`Copier`]
/// for options.
///
/// # Errors
///
/// The first failure of either side, with everything that is owed: see [`CopyError`].
///
/// # Examples
///
/// ```
/// use aqueduct::{ReadExt, copy};
/// use std::fs::File;
///
/// let from = tempfile::tempfile()?;
/// from.set_len(1 << 20)?;
/// let mut to = tempfile::tempfile()?;
///
/// // Through the adapter and the box the bytes still go from file to file in the kernel.
/// let mut source = Box::new(from).limit(300_000);
/// assert_eq!(copy(&mut source, &mut to)?, 300_000);
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn copy<S, K>(source: &mut S, sink: &mut K) -> Result<u64, CopyError>
where
    S: Source + ?Sized,
    K: Sink + ?Sized,
{
    Copier::new().copy(source, sink).map(|report| report.copied())
}

/// Copies exactly `n` bytes, and takes no more than those from the source.
///
/// # Errors
///
/// As [`copy`]; `UnexpectedEof` if the source ends earlier, with everything that it had copied.
///
/// # Examples
///
/// ```
/// use std::io::ErrorKind;
///
/// let mut to = Vec::new();
/// aqueduct::copy_n(&mut &b"header and body"[..], &mut to, 6).unwrap();
/// assert_eq!(to, b"header");
///
/// let short = aqueduct::copy_n(&mut &b"head"[..], &mut to, 6).unwrap_err();
/// assert_eq!((short.kind(), short.copied), (ErrorKind::UnexpectedEof, 4));
/// ```
pub fn copy_n<S, K>(source: &mut S, sink: &mut K, n: u64) -> Result<(), CopyError>
where
    S: Source + ?Sized,
    K: Sink + ?Sized,
{
    let report = Copier::new().limit(n).copy(source, sink)?;
    match n - report.taken() {
        0 => Ok(()),
        missing => {
            let error = crate::error::too_short(missing);
            Err(CopyError::new(report, Side::Source, error, error::Pending::default()))
        }
    }
}

/// Reads `source` to its end and returns how many bytes that were.
///
/// # Errors
///
/// Those of the source.
pub fn discard<S: Source + ?Sized>(source: &mut S) -> Result<u64, CopyError> {
    copy(source, &mut std::io::sink())
}
