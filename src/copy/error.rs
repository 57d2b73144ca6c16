//! Why a copy stopped, and what is owed to whom.

use super::Report;
use crate::source::Outcome;
use std::{error, fmt, io};

/// Which side of a copy failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "a copy has two sides")]
pub enum Side {
    /// The source.
    Source,
    /// An outlet: the taps of the source are numbered first, then the outlets of the sink.
    Sink(usize),
}

/// A copy that stopped before its end.
///
/// Nothing is lost: for every outlet, what it got and what is [`pending`](Self::pending) for it
/// are together the bytes [`taken`](Self::taken) from the source. (An outlet that a policy gave
/// up has no claim any more.) To go on after a failure that passes, such as a deadline,
/// a cancel or `WouldBlock`, copy `pending.chain(source)`; where there are several outlets,
/// write each its own pending bytes first and then copy on.
///
/// # Examples
///
/// ```
/// use aqueduct::{copy, copy::Side};
///
/// let mut short = [0; 4];
/// let failed = copy(&mut &b"abcdef"[..], &mut &mut short[..]).unwrap_err();
/// assert_eq!(failed.copied, 4);
/// assert_eq!(failed.side, Side::Sink(0));
/// assert_eq!(failed.taken - failed.copied, failed.pending(0).len() as u64);
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct CopyError {
    /// Bytes that every outlet of the sink got, those aside that its policy gave up.
    pub copied: u64,
    /// Bytes taken from the source.
    pub taken: u64,
    /// Who failed.
    pub side: Side,
    /// How.
    pub source: io::Error,
    more: Box<More>,
}

#[derive(Debug)]
struct More {
    report: Report,
    pending: Pending,
}

/// Bytes taken and not delivered: one buffer, of which each outlet lacks a suffix.
#[derive(Default)]
pub(crate) struct Pending {
    pub(crate) bytes: Vec<u8>,
    /// How many bytes at the end of `bytes` each outlet lacks.
    pub(crate) lacks: Vec<usize>,
}

/// Without the bytes, of which there may be many and which are somebody's secrets.
impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").field("lacks", &self.lacks).finish_non_exhaustive()
    }
}

impl Pending {
    /// What is owed after `bytes` were offered to every outlet that is not `gone`.
    pub(crate) fn after(bytes: &[u8], outcomes: &[Outcome], gone: &[bool]) -> Self {
        let owed = |(outcome, gone): (&Outcome, &bool)| match gone {
            true => 0,
            false => bytes.len().saturating_sub(outcome.moved as usize),
        };
        let lacks: Vec<_> = outcomes.iter().zip(gone).map(owed).collect();
        let longest = lacks.iter().copied().max().unwrap_or(0);
        match longest {
            0 => Self::default(),
            _ => Self { bytes: bytes[bytes.len() - longest..].to_vec(), lacks },
        }
    }

    /// Outlet `index` lacks `bytes`, which end where all that is pending ends.
    pub(crate) fn add(&mut self, index: usize, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.lacks.resize(self.lacks.len().max(index + 1), 0);
        self.lacks[index] = bytes.len();
        if bytes.len() > self.bytes.len() {
            self.bytes = bytes.to_vec();
        }
    }

    /// Outlet `index` has no claim.
    pub(crate) fn forget(&mut self, index: usize) {
        if let Some(lacks) = self.lacks.get_mut(index) {
            *lacks = 0;
        }
    }

    pub(crate) fn of(&self, index: usize) -> &[u8] {
        let lacks = self.lacks.get(index).copied().unwrap_or(0);
        &self.bytes[self.bytes.len().saturating_sub(lacks)..]
    }
}

impl CopyError {
    pub(crate) fn new(report: Report, side: Side, source: io::Error, pending: Pending) -> Self {
        let Report { copied, taken, .. } = report;
        Self { copied, taken, side, source, more: Box::new(More { report, pending }) }
    }

    /// The kind of the error.
    #[must_use]
    pub fn kind(&self) -> io::ErrorKind {
        self.source.kind()
    }

    /// The bytes taken from the source that outlet number `index` has not got.
    #[must_use]
    pub fn pending(&self, index: usize) -> &[u8] {
        self.more.pending.of(index)
    }

    /// The longest of the pending byte strings; with one outlet, what it has not got.
    #[must_use]
    pub fn into_pending(self) -> Vec<u8> {
        let Pending { mut bytes, lacks } = self.more.pending;
        let longest = lacks.into_iter().max().unwrap_or(0);
        bytes.drain(..bytes.len().saturating_sub(longest));
        bytes
    }

    /// What was done until then.
    #[must_use]
    pub fn report(&self) -> &Report {
        &self.more.report
    }
}

impl fmt::Display for CopyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.side {
            Side::Source => write!(f, "reading the source")?,
            Side::Sink(index) => write!(f, "writing to outlet {index}")?,
        }
        write!(f, " after {} bytes: {}", self.copied, self.source)
    }
}

impl error::Error for CopyError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        Some(&self.source)
    }
}

/// Keeps the kind; the whole `CopyError` is what the `io::Error` carries.
impl From<CopyError> for io::Error {
    fn from(error: CopyError) -> Self {
        Self::new(error.kind(), error)
    }
}
