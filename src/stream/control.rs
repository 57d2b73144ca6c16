//! Deadlines and close from elsewhere.

use crate::poll::Desc;
use crate::source::Deadlines;
use std::sync::Arc;
use std::time::Instant;

/// Sets the deadlines of a stream and closes it, from wherever it is held; clones are for the same
/// stream. It keeps neither the stream nor its descriptor alive.
///
/// # Examples
///
/// ```
/// use aqueduct::stream::Stream;
/// use std::io::{ErrorKind, Read};
///
/// let (reader, _writer) = std::io::pipe()?;
/// let mut reader = Stream::from_std(reader)?;
/// let control = reader.control();
/// std::thread::spawn(move || control.close());
/// assert_eq!(reader.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::NotConnected);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Control {
    desc: Arc<Desc>,
}

impl Control {
    pub(super) fn new(desc: Arc<Desc>) -> Self {
        Self { desc }
    }

    /// As [`Stream::set_read_deadline`](super::Stream::set_read_deadline).
    pub fn set_read_deadline(&self, at: Option<Instant>) {
        self.desc.read.set_deadline(at);
    }

    /// As [`Stream::set_write_deadline`](super::Stream::set_write_deadline).
    pub fn set_write_deadline(&self, at: Option<Instant>) {
        self.desc.write.set_deadline(at);
    }

    /// As [`Stream::set_deadline`](super::Stream::set_deadline).
    pub fn set_deadline(&self, at: Option<Instant>) {
        self.set_read_deadline(at);
        self.set_write_deadline(at);
    }

    /// Whoever waits to read looks again. A stream that [rests](super::Stream::rest) starts its task.
    #[cfg(feature = "http")]
    pub(crate) fn nudge(&self) {
        self.desc.read.recheck();
    }

    /// As [`Stream::close`](super::Stream::close).
    pub fn close(&self) {
        self.desc.close();
    }
}

impl Deadlines for Control {
    fn set_read_deadline(&self, at: Option<Instant>) {
        self.set_read_deadline(at);
    }

    fn set_write_deadline(&self, at: Option<Instant>) {
        self.set_write_deadline(at);
    }
}
