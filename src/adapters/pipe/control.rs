//! A deadline and a close from elsewhere.

use super::Channel;
use super::gate::Side;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Instant;

/// Sets the deadline of one end of a [`pipe`](super::pipe) and closes that end, from wherever it is
/// held; clones are for the same end. It does not keep the end open.
///
/// # Examples
///
/// ```
/// use std::io::{ErrorKind, Read};
///
/// let (mut reader, _writer) = aqueduct::pipe();
/// let control = reader.control();
/// std::thread::spawn(move || control.close());
/// assert_eq!(reader.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::NotConnected);
/// ```
#[derive(Clone)]
pub struct Control {
    channel: Arc<Channel>,
    side: Side,
}

impl Control {
    pub(super) fn new(channel: Arc<Channel>, side: Side) -> Self {
        Self { channel, side }
    }

    /// As [`Reader::set_read_deadline`](super::Reader::set_read_deadline) or
    /// [`Writer::set_write_deadline`](super::Writer::set_write_deadline).
    pub fn set_deadline(&self, at: Option<Instant>) {
        self.channel.set_deadline(self.side, at);
    }

    /// As [`Reader::close`](super::Reader::close) or [`Writer::close`](super::Writer::close).
    pub fn close(&self) {
        self.channel.close(self.side, None);
    }

    /// As [`Reader::close_with`](super::Reader::close_with) or
    /// [`Writer::close_with`](super::Writer::close_with).
    pub fn close_with(&self, error: io::Error) {
        self.channel.close(self.side, Some(error));
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control").finish_non_exhaustive()
    }
}
