//! The end that is read.

use super::buffered::Ahead;
use super::gate::{Side, lock};
use super::limits::{Apart, Place};
use super::{Channel, Control};
use crate::park;
use crate::source::{Outcomes, Outlets, Piece, Source};
use crate::sync::Mutex;
use std::fmt;
use std::io::{self, BufRead, IoSliceMut, Read};
use std::sync::{Arc, PoisonError};
use std::time::Instant;

/// What [`fill_buf`](BufRead::fill_buf) fetches from a rendezvous at most.
const FILL: usize = 8 * 1024;

/// The end of a [`pipe`](super::pipe) that is read.
///
/// `&Reader` reads too, so that threads can share it; each byte goes to one of them. Dropping it
/// closes it.
///
/// # Errors
///
/// See the [table](super#ends-and-errors); `TimedOut` after a [deadline](super#deadlines). An empty
/// buffer is otherwise answered `Ok(0)` at once.
pub struct Reader {
    channel: Arc<Channel>,
    /// Those of the channel, if they are apart from it.
    limits: Option<Arc<Apart>>,
    ahead: Mutex<Ahead>,
}

impl Reader {
    pub(super) fn new(channel: Arc<Channel>) -> Self {
        let limits = match &*channel {
            Channel::Buffered(pipe) => Some(Arc::clone(pipe.gate().limits())),
            Channel::Rendezvous(_) => None,
        };
        Self { channel, limits, ahead: Mutex::new(Ahead::default()) }
    }

    /// Closes this end: writes fail with `BrokenPipe`, and what was not read is dropped.
    pub fn close(&self) {
        self.shut(None);
    }

    /// Closes this end and lets writes fail with `error`, each of them, from now on.
    ///
    /// The writer's error has the kind of this one, its number if it is the system's, and else
    /// the same text and what it carried as its source. An `Interrupted` becomes `Other`, for
    /// whoever retries it would do so for ever.
    pub fn close_with(&self, error: io::Error) {
        self.shut(Some(error));
    }

    fn shut(&self, failure: Option<io::Error>) {
        self.channel.close(Side::Reader, failure);
        lock(&self.ahead).clear();
    }

    /// Until when reads may wait; `None` is for ever. See [deadlines](super#deadlines).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io::{ErrorKind, Read};
    /// use std::time::{Duration, Instant};
    ///
    /// let (mut reader, _writer) = aqueduct::pipe();
    /// reader.set_read_deadline(Some(Instant::now() + Duration::from_millis(1)));
    /// assert_eq!(reader.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::TimedOut);
    /// ```
    pub fn set_read_deadline(&self, at: Option<Instant>) {
        self.channel.set_deadline(Side::Reader, at);
    }

    /// A handle that sets the deadline of this end and closes it from elsewhere, while the end is
    /// lent out.
    #[must_use]
    pub fn control(&self) -> Control {
        Control::new(Arc::clone(&self.channel), Side::Reader)
    }

    #[inline]
    fn check(&self) -> io::Result<()> {
        match (&self.limits, &*self.channel) {
            (Some(apart), _) => apart.limits().of(Side::Reader).check(),
            (None, Channel::Rendezvous(pipe)) => pipe.gate().limit(Side::Reader).check(),
            (None, Channel::Buffered(pipe)) => pipe.gate().limit(Side::Reader).check(),
        }
    }

    #[inline]
    fn ahead(&mut self) -> &mut Ahead {
        self.ahead.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    fn fetch(&self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        if bufs.iter().all(|buf| buf.is_empty()) {
            return self.check().map(|()| 0);
        }
        let n = match &*self.channel {
            Channel::Buffered(pipe) => pour(&mut *pipe.fetch(&self.ahead)?, bufs),
            Channel::Rendezvous(pipe) => {
                self.check()?;
                // Not in the head of a `match`, which would hold the lock through the wait.
                let poured = pour(&mut lock(&self.ahead), bufs);
                if poured > 0 { poured } else { pipe.read(bufs)? }
            }
        };
        park::spend(n as u64);
        Ok(n)
    }
}

/// Moves bytes that were fetched before.
fn pour(ahead: &mut Ahead, bufs: &mut [IoSliceMut<'_>]) -> usize {
    let mut poured = 0;
    for buf in bufs {
        let bytes = ahead.left();
        let n = bytes.len().min(buf.len());
        buf[..n].copy_from_slice(&bytes[..n]);
        ahead.consume(n);
        poured += n;
    }
    poured
}

impl Read for Reader {
    #[inline]
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.ahead().left().is_empty() {
            return self.fetch(&mut [IoSliceMut::new(buf)]);
        }
        self.check()?;
        let ahead = self.ahead();
        let bytes = ahead.left();
        let n = bytes.len().min(buf.len());
        buf[..n].copy_from_slice(&bytes[..n]);
        ahead.consume(n);
        Ok(n)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.fetch(bufs)
    }
}

impl Read for &Reader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.fetch(&mut [IoSliceMut::new(buf)])
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.fetch(bufs)
    }
}

/// What it lends is a buffer of the reader's own, allocated on first use.
impl BufRead for Reader {
    #[inline]
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.ahead().left().is_empty() {
            self.fill()?;
        } else {
            self.check()?;
        }
        Ok(self.ahead().left())
    }

    #[inline]
    fn consume(&mut self, n: usize) {
        self.ahead().consume(n);
    }
}

impl Reader {
    fn fill(&mut self) -> io::Result<()> {
        match &*self.channel {
            Channel::Buffered(pipe) => drop(pipe.fetch(&self.ahead)?),
            Channel::Rendezvous(pipe) => {
                let ahead = self.ahead.get_mut().unwrap_or_else(PoisonError::into_inner);
                ahead.refill(FILL, |room| pipe.read(&mut [IoSliceMut::new(room)]))?;
            }
        }
        park::spend(0);
        Ok(())
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").finish_non_exhaustive()
    }
}

/// `Buffered` while bytes lie in its own buffer and may be read, else opaque.
impl Source for Reader {
    fn piece<'a>(&'a mut self, _: &mut Outlets<'a>) -> Piece<'a> {
        // Only a read can say what there is to be said of a close or a deadline.
        if self.check().is_err() {
            return Piece::Opaque;
        }
        match self.ahead().left() {
            [] => Piece::Opaque,
            bytes => Piece::Buffered(bytes),
        }
    }

    fn advance(&mut self, n: u64, _: &mut Outcomes<'_>) -> io::Result<()> {
        self.ahead().consume(usize::try_from(n).unwrap_or(usize::MAX));
        Ok(())
    }
}

impl Source for &Reader {}
