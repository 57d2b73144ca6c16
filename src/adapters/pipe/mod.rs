//! A pipe in memory, between two threads or tasks of this process.
//!
//! [`pipe`] holds nothing: a write waits for readers, and its bytes go from the writer's slice
//! into the reader's by one copy. [`pipe_with_capacity`] lets the writer run ahead.
//!
//! Both ends can be shared by reference. Operations of one end take turns in the order they came:
//! the bytes of one write stay together, however many reads it takes, and each byte goes to one
//! reader. A pipe whose two ends are used by the same thread, one after the other, can wait for
//! itself for ever, as any pipe can.
//!
//! # Ends and errors
//!
//! | | a later read says | a later write says |
//! |---|---|---|
//! | writer dropped or [closed](Writer::close) | the rest, then `Ok(0)` | `NotConnected` |
//! | writer closed [with an error](Writer::close_with) | the rest, then that error, each time | `NotConnected` |
//! | writer dropped by a panic | the rest, then `BrokenPipe`, each time | |
//! | reader dropped or [closed](Reader::close) | `NotConnected` | `BrokenPipe` |
//! | reader closed [with an error](Reader::close_with) | `NotConnected` | that error, each time |
//!
//! The first close of an end counts, later ones change nothing. A close wakes whoever waits at
//! either end and waits for nobody. A write that it cuts short answers the count of the bytes
//! that were taken, if any were, and the error comes with the next write.
//!
//! # Deadlines
//!
//! A deadline is a point in time. Once it has passed, every call of its end fails with `TimedOut`,
//! before anything is tried and even if bytes are there; moved or cleared, it lets calls through
//! again. Calls that wait already hear of the change, also those that wait for their turn. A
//! call never fails before it. A write that it cuts short answers the count of the bytes that were
//! taken, as above. The other end notices nothing but that nobody comes.
//!
//! # While a thread unwinds
//!
//! An operation that would have to wait in a thread that unwinds from a panic fails with `Deadlock`
//! instead: the other end may hang on the very stack that is being unwound.

mod buffered;
mod control;
mod failure;
mod gate;
mod lend;
mod limits;
#[cfg(all(test, aqueduct_shuttle))]
mod models;
mod reader;
mod rendezvous;
#[cfg(test)]
mod tests;
mod writer;

use self::buffered::Buffered;
pub use self::control::Control;
use self::gate::Side;
pub use self::reader::Reader;
use self::rendezvous::Rendezvous;
pub use self::writer::Writer;
use std::io;
use std::sync::Arc;
use std::time::Instant;

/// A pipe that holds nothing: each write waits until its bytes are read.
///
/// # Examples
///
/// ```
/// use std::io::{Read, Write};
///
/// let (mut reader, mut writer) = aqueduct::pipe();
/// let thread = std::thread::spawn(move || writer.write_all(b"hello, world"));
/// let mut text = String::new();
/// reader.read_to_string(&mut text)?;
/// assert_eq!(text, "hello, world");
/// # thread.join().unwrap()?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use]
pub fn pipe() -> (Reader, Writer) {
    ends(Channel::Rendezvous(Rendezvous::new()))
}

/// A pipe whose writer may be `capacity` bytes ahead of what the reader has fetched.
///
/// A write waits only while its bytes do not fit. The reader fetches all there is at once, so that
/// up to twice the capacity is in memory while it is still busy with the bytes before. The memory
/// is allocated as it is used. Capacity 0 makes a [`pipe`].
///
/// # Examples
///
/// ```
/// use std::io::{Read, Write};
///
/// let (mut reader, mut writer) = aqueduct::pipe_with_capacity(4096);
/// writer.write_all(b"nobody has to read this yet")?;
/// drop(writer);
/// let mut text = String::new();
/// reader.read_to_string(&mut text)?;
/// assert_eq!(text, "nobody has to read this yet");
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use]
pub fn pipe_with_capacity(capacity: usize) -> (Reader, Writer) {
    match capacity {
        0 => pipe(),
        _ => ends(Channel::Buffered(Buffered::new(capacity))),
    }
}

fn ends(channel: Channel) -> (Reader, Writer) {
    let channel = Arc::new(channel);
    (Reader::new(Arc::clone(&channel)), Writer::new(channel))
}

enum Channel {
    Rendezvous(Rendezvous),
    Buffered(Buffered),
}

impl Channel {
    fn set_deadline(&self, side: Side, at: Option<Instant>) {
        match self {
            Self::Rendezvous(pipe) => pipe.gate().set_deadline(side, at),
            Self::Buffered(pipe) => pipe.gate().set_deadline(side, at),
        }
    }

    fn close(&self, side: Side, failure: Option<io::Error>) {
        match self {
            Self::Rendezvous(pipe) => pipe.close(side, failure),
            Self::Buffered(pipe) => pipe.close(side, failure),
        }
    }
}
