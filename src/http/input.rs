//! Bytes that have arrived and were not taken yet.

use std::io;

/// The size of the buffer, unless a head needs more.
const SIZE: usize = 8 << 10;

/// A window of bytes in a buffer.
#[derive(Debug, Default)]
pub(super) struct Input {
    /// All of it can be read into; empty until it is first needed.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl Input {
    /// What has arrived.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    pub(super) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Takes `n` bytes from the front, or all of them.
    pub(super) fn consume(&mut self, n: usize) {
        self.start += n.min(self.end - self.start);
    }

    /// Moves what has arrived into `buf`, as much as fits.
    pub(super) fn take(&mut self, buf: &mut [u8]) -> usize {
        let n = buf.len().min(self.end - self.start);
        buf[..n].copy_from_slice(&self.bytes()[..n]);
        self.consume(n);
        n
    }

    /// Has `read` add bytes behind those that are there, and makes room for them.
    pub(super) fn fill(
        &mut self,
        read: impl FnOnce(&mut [u8]) -> io::Result<usize>,
    ) -> io::Result<usize> {
        if self.is_empty() {
            (self.start, self.end) = (0, 0);
        }
        if self.end == self.buffer.len() {
            if self.start > 0 {
                self.buffer.copy_within(self.start..self.end, 0);
                (self.start, self.end) = (0, self.end - self.start);
            } else {
                // Only heads and trailers make it grow, and they are limited.
                self.buffer.resize((2 * self.end).max(SIZE), 0);
            }
        }
        let n = read(&mut self.buffer[self.end..])?;
        self.end += n;
        Ok(n)
    }

    /// Gives back what an unusually large head needed.
    pub(super) fn trim(&mut self) {
        if self.is_empty() && self.buffer.len() > SIZE {
            *self = Self::default();
        }
    }

    /// A `read` into a buffer of so many bytes had better go around this one.
    pub(super) fn goes_around(&self, len: usize) -> bool {
        self.is_empty() && len >= SIZE / 2
    }
}
