//! A copy with options.

use super::engine::Engine;
use super::pulse::Pulse;
use super::{Cancel, CopyError, Report};
use crate::source::{Sink, Source};
use std::time::Duration;

/// A copy with options; [`copy`](super::copy()) is one with none.
///
/// # Examples
///
/// ```
/// use aqueduct::{Copier, copy::Path};
///
/// let mut from = tempfile::tempfile()?;
/// from.set_len(1 << 20)?;
/// let mut to = tempfile::tempfile()?;
/// let report = Copier::new().limit(500_000).copy(&mut from, &mut to)?;
/// assert_eq!(report.copied(), 500_000);
/// println!("by {report}"); // for instance: by CopyFileRange+ReadWrite
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Copier {
    pub(crate) limit: Option<u64>,
    pub(crate) buffer_size: Option<usize>,
    pub(crate) cancel: Option<Cancel>,
    pub(crate) grow_pipes: bool,
    pub(crate) share_pages: bool,
    pub(crate) wait: bool,
    pub(crate) watch_outputs: bool,
    pub(crate) idle_timeout: Option<Duration>,
    pub(crate) linger: Option<Duration>,
    /// So many bytes go through memory first. Tests set it low, to see the kernel paths at once.
    pub(crate) warm: u64,
}

impl Default for Copier {
    fn default() -> Self {
        Self {
            limit: None,
            buffer_size: None,
            cancel: None,
            grow_pipes: false,
            share_pages: false,
            wait: false,
            watch_outputs: false,
            idle_timeout: None,
            linger: None,
            warm: super::plan::WARM,
        }
    }
}

impl Copier {
    /// A copy as [`copy`](super::copy()) makes it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Stop, without an error, once `n` bytes were taken from the source.
    #[must_use]
    pub fn limit(mut self, n: u64) -> Self {
        self.limit = Some(n);
        self
    }

    /// The size in bytes of the buffer where bytes go through memory: 128 KiB unless said
    /// otherwise, 1 at least and 1 GiB at most.
    #[must_use]
    pub fn buffer_size(mut self, bytes: usize) -> Self {
        self.buffer_size = Some(bytes.clamp(1, 1 << 30));
        self
    }

    /// Stop, with an error for which [`is_cancelled`](crate::is_cancelled) holds, once `cancel` is called.
    #[must_use]
    pub fn cancel(mut self, cancel: &Cancel) -> Self {
        self.cancel = Some(cancel.clone());
        self
    }

    /// Enlarge the pipes at both ends to 1 MiB each, once the first 64 KiB have passed.
    ///
    /// A shell's pipes hold 64 KiB, and each time one is full or empty the two programs take
    /// turns; growing them is worth more than any other option. It outlasts the copy and counts
    /// towards the user's quota of pipe memory, which is why it has to be asked for. Where the
    /// system does not grant it, the copy goes on without.
    #[must_use]
    pub fn grow_pipes(mut self, yes: bool) -> Self {
        self.grow_pipes = yes;
        self
    }

    /// Let pages of files go into pipes and sockets by reference: no byte is copied.
    ///
    /// **The reader then sees changes that are made to the file after the copy**, for as long as
    /// the pages lie in the pipe or socket. Right for files that nobody changes in place, and
    /// for programs such as cat(1), whose reader takes the bytes at once.
    #[must_use]
    pub fn share_pages(mut self, yes: bool) -> Self {
        self.share_pages = yes;
        self
    }

    /// Wait where a non-blocking descriptor is not ready, instead of failing with `WouldBlock`.
    ///
    /// Foreign readers and writers have no descriptor to wait for; their `WouldBlock` is an error
    /// all the same.
    #[must_use]
    pub fn wait(mut self, yes: bool) -> Self {
        self.wait = yes;
        self
    }

    /// Notice while waiting for input that an outlet has lost its reader, and fail that outlet
    /// with `BrokenPipe` at once instead of at the next write.
    ///
    /// Costs a poll(2) whenever the source is silent, and one a step where bytes go through memory.
    /// It works where the source is a descriptor and the outlets are pipes, sockets or terminals.
    #[must_use]
    pub fn watch_outputs(mut self, yes: bool) -> Self {
        self.watch_outputs = yes;
        self
    }

    /// Stop, with an error of kind `TimedOut`, once no byte has moved for so long. Of a
    /// [copy in both directions](Self::copy_bidirectional), none in either.
    ///
    /// It is noticed where the copy itself waits: for a descriptor. A source or sink that waits within its
    /// own `read` or `write`, as pipes in memory do, is not interrupted.
    #[must_use]
    pub fn idle_timeout(mut self, silence: Duration) -> Self {
        self.idle_timeout = Some(silence);
        self
    }

    /// Copies all of `source` into `sink`.
    ///
    /// # Errors
    ///
    /// The first failure of either side, with everything that is owed: see [`CopyError`].
    pub fn copy<S, K>(&self, source: &mut S, sink: &mut K) -> Result<Report, CopyError>
    where
        S: Source + ?Sized,
        K: Sink + ?Sized,
    {
        let pulse = self.idle_timeout.map(|idle| Pulse::new(Some(idle), None));
        Engine::run(self, pulse.as_ref(), &mut &mut *source, &mut &mut *sink)
    }
}
