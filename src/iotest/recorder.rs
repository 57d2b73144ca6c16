//! A writer that keeps every call made to it.

use super::{sinks, wraps};
use crate::source::{Outlet, Outlets, Sink};
use std::io::{self, ErrorKind, IoSlice, Write};

/// One call that a [`Recorder`] got, and what was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Call {
    /// `write`.
    Write {
        /// All bytes that were offered.
        bytes: Vec<u8>,
        /// How many were taken, or the kind of the error.
        took: Result<usize, ErrorKind>,
    },
    /// `write_vectored`.
    WriteVectored {
        /// The slices that were offered, empty ones too.
        slices: Vec<Vec<u8>>,
        /// How many bytes were taken, or the kind of the error.
        took: Result<usize, ErrorKind>,
    },
    /// `flush`.
    Flush {
        /// Whether it went well, or the kind of the error.
        result: Result<(), ErrorKind>,
    },
}

/// A writer that keeps every call: its bytes, how they were cut, and what was answered.
///
/// # Examples
///
/// ```
/// use aqueduct::iotest::{Call, Recorder};
/// use std::io::{BufWriter, Write};
///
/// let mut out = BufWriter::new(Recorder::new());
/// out.write_all(b"ab")?;
/// out.write_all(b"cd")?;
/// out.flush()?;
/// assert_eq!(
///     out.get_ref().calls(),
///     [
///         Call::Write { bytes: b"abcd".to_vec(), took: Ok(4) },
///         Call::Flush { result: Ok(()) },
///     ]
/// );
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Recorder<W = io::Sink> {
    inner: W,
    calls: Vec<Call>,
    bytes: Vec<u8>,
}

impl Recorder {
    /// A recorder that takes every byte.
    #[must_use]
    pub fn new() -> Self {
        Self::over(io::sink())
    }
}

impl<W> Recorder<W> {
    /// A recorder of the calls that go to `inner`, whose answers it passes back.
    #[must_use]
    pub fn over(inner: W) -> Self {
        Self { inner, calls: Vec::new(), bytes: Vec::new() }
    }

    /// The calls, in order.
    #[must_use]
    pub fn calls(&self) -> &[Call] {
        &self.calls
    }

    /// The bytes that were taken, in order.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How often `flush` was called.
    #[must_use]
    pub fn flushes(&self) -> usize {
        self.calls.iter().filter(|call| matches!(call, Call::Flush { .. })).count()
    }

    /// Forgets the calls and bytes so far.
    pub fn clear(&mut self) {
        self.calls.clear();
        self.bytes.clear();
    }
}

wraps!(Recorder);

fn outcome<T: Copy>(answer: &io::Result<T>) -> Result<T, ErrorKind> {
    answer.as_ref().map(|&taken| taken).map_err(io::Error::kind)
}

impl<W: Write> Write for Recorder<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let answer = self.inner.write(buf);
        let took = outcome(&answer);
        self.bytes.extend(buf.iter().take(took.unwrap_or(0)));
        self.calls.push(Call::Write { bytes: buf.to_vec(), took });
        answer
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        let answer = self.inner.write_vectored(bufs);
        let took = outcome(&answer);
        self.bytes.extend(bufs.iter().flat_map(|buf| buf.iter()).take(took.unwrap_or(0)));
        let slices = bufs.iter().map(|buf| buf.to_vec()).collect();
        self.calls.push(Call::WriteVectored { slices, took });
        answer
    }

    fn flush(&mut self) -> io::Result<()> {
        let answer = self.inner.flush();
        self.calls.push(Call::Flush { result: outcome(&answer) });
        answer
    }
}

sinks!(Recorder);
