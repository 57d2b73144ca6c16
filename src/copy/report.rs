//! What a copy did: counts, and the ways the bytes took.

use std::fmt;

/// A way that bytes take from a source to a sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Path {
    /// copy_file_range(2), file to file.
    CopyFileRange,
    /// sendfile(2), file to socket.
    Sendfile,
    /// splice(2), with a pipe on one side at least.
    Splice,
    /// tee(2), with splice(2) for the last outlet: one source, several outlets.
    Tee,
    /// `read` and `write`, through memory.
    ReadWrite,
}

impl Path {
    pub(crate) const ALL: [Self; 5] =
        [Self::CopyFileRange, Self::Sendfile, Self::Splice, Self::Tee, Self::ReadWrite];
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// What a copy did.
///
/// `Display` names the paths taken, for instance `ReadWrite+Splice`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    pub(crate) copied: u64,
    pub(crate) taken: u64,
    pub(crate) by_path: [u64; Path::ALL.len()],
    pub(crate) delivered: Vec<u64>,
}

impl Report {
    /// Bytes that every outlet of the sink got, those aside that its policy gave up.
    #[must_use]
    pub fn copied(&self) -> u64 {
        self.copied
    }

    /// Bytes taken from the source.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// Bytes that left the source by `path`.
    #[must_use]
    pub fn bytes(&self, path: Path) -> u64 {
        self.by_path[path as usize]
    }

    /// The paths by which bytes left the source.
    pub fn paths(&self) -> impl Iterator<Item = Path> + '_ {
        Path::ALL.into_iter().filter(|&path| self.bytes(path) > 0)
    }

    /// Bytes that outlet number `index` got, the taps of the source counted first; 0 if there is
    /// no such outlet.
    #[must_use]
    pub fn delivered(&self, index: usize) -> u64 {
        self.delivered.get(index).copied().unwrap_or(0)
    }

    /// How many outlets there were, taps and sinks.
    #[must_use]
    pub fn outlets(&self) -> usize {
        self.delivered.len()
    }

    pub(crate) fn count(&mut self, path: Path, n: u64) {
        self.by_path[path as usize] += n;
        self.taken += n;
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, path) in self.paths().enumerate() {
            write!(f, "{}{path}", if i == 0 { "" } else { "+" })?;
        }
        Ok(())
    }
}
