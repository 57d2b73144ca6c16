//! What a model did, counted by itself.

use std::io::{self, ErrorKind};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counts that go on while a model runs.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    wakes: AtomicU64,
    events: AtomicU64,
    calls: AtomicU64,
    bytes: AtomicU64,
}

/// The counts at one moment.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    pub(crate) wakes: u64,
    pub(crate) events: u64,
    pub(crate) calls: u64,
    pub(crate) bytes: u64,
}

impl Tally {
    /// It was woken, and told of so many events.
    pub(crate) fn woken(&self, events: usize) {
        self.wakes.fetch_add(1, Relaxed);
        self.events.fetch_add(events as u64, Relaxed);
    }

    /// System calls that it made.
    pub(crate) fn called(&self, calls: u64) {
        self.calls.fetch_add(calls, Relaxed);
    }

    /// Bytes that it will have sent back.
    pub(crate) fn carried(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Relaxed);
    }

    pub(crate) fn now(&self) -> Counts {
        let [wakes, events, calls, bytes] =
            [&self.wakes, &self.events, &self.calls, &self.bytes].map(|count| count.load(Relaxed));
        Counts { wakes, events, calls, bytes }
    }

    /// read(2), counted; `None` where it would block.
    pub(crate) fn read(&self, from: impl AsFd, buf: &mut [u8]) -> io::Result<Option<usize>> {
        self.called(1);
        match rustix::io::read(from, buf).map_err(io::Error::from) {
            Ok(n) => Ok(Some(n)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            // The peer has closed, and left something unread.
            Err(error) if error.kind() == ErrorKind::ConnectionReset => Ok(Some(0)),
            Err(error) => Err(error),
        }
    }

    /// write(2) until all is written, counted.
    pub(crate) fn write(&self, to: impl AsFd, mut bytes: &[u8]) -> io::Result<()> {
        self.carried(bytes.len());
        while !bytes.is_empty() {
            self.called(1);
            let n = rustix::io::write(&to, bytes)?;
            bytes = &bytes[n..];
        }
        Ok(())
    }

    /// Sends back what one read finds: how much that was.
    pub(crate) fn echo(&self, socket: impl AsFd, buf: &mut [u8]) -> io::Result<Option<usize>> {
        let read = self.read(&socket, buf)?;
        if let Some(n @ 1..) = read {
            self.write(&socket, &buf[..n])?;
        }
        Ok(read)
    }
}

impl Counts {
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            wakes: self.wakes - before.wakes,
            events: self.events - before.events,
            calls: self.calls - before.calls,
            bytes: self.bytes - before.bytes,
        }
    }
}
