//! Adapters: one job each, joined end to end.
//!
//! | adapter | made by | what it does |
//! |---|---|---|
//! | [`Limit`] | [`limit`](ReadExt::limit) | ends after `n` bytes |
//! | [`LimitStrict`] | [`limit_strict`](ReadExt::limit_strict) | fails if there are more than `n` bytes |
//! | [`Exact`] | [`exact`](ReadExt::exact) | ends after `n` bytes, fails if there are fewer |
//! | [`Skip`] | [`skip`](ReadExt::skip) | leaves out the first `n` bytes |
//! | [`Tee`] | [`tee`](ReadExt::tee) | writes what is read to a side as well |
//! | [`LimitWriter`] | [`limit_writes`](WriteExt::limit_writes) | takes `n` bytes and no more |
//! | [`Count`], [`CountWriter`] | [`count`](ReadExt::count), [`count_writes`](WriteExt::count_writes) | counts the bytes |
//! | [`Inspect`], [`InspectWriter`] | [`inspect`](ReadExt::inspect), [`inspect_writes`](WriteExt::inspect_writes) | shows a closure the bytes |
//! | [`Progress`], [`ProgressWriter`] | [`progress`](ReadExt::progress), [`progress_writes`](WriteExt::progress_writes) | tells a closure the total |
//! | [`MultiReader`] | [`multi_reader`] | readers one after the other |
//! | [`MultiWriter`] | [`multi_writer`] | one writer in front of several |
//! | [`Records`], [`LinesBytes`] | [`records`](ReadExt::records), [`lines_bytes`](ReadExt::lines_bytes) | lends what lies between delimiters |
//! | [`Opaque`] | [`opaque`](ReadExt::opaque), [`opaque_writes`](WriteExt::opaque_writes) | hides what a stream is made of |
//! | [`Closing`] | [`closing`](WriteExt::closing) | is dropped once nothing more will come |
//! | [`Section`] | [`section`](ReadAt::section) | a window of something that is read at offsets |
//! | [`OffsetWriter`] | [`OffsetWriter::new`] | writes from an offset on |
//!
//! A chain of them is a [`Source`](crate::source::Source) or [`Sink`](crate::source::Sink) if what it wraps is one, and
//! [`copy`](crate::copy()) sees through it.
//!
//! [`pipe`] and [`duplex`] join threads of this process.

/// What an adapter with one source in `inner` and no tap of its own has nothing to add to.
macro_rules! ask_inner {
    () => {
        fn prepare(&mut self) -> io::Result<()> {
            self.inner.prepare()
        }

        fn at_fault(&self) -> Option<usize> {
            self.inner.at_fault()
        }

        fn missed(&self, tap: usize) -> &[u8] {
            self.inner.missed(tap)
        }
    };
}

mod at;
mod closing;
mod exact;
mod limit;
mod limit_strict;
mod limit_writer;
mod offset_writer;
mod opaque;
mod section;
mod skip;
mod tee;
#[cfg(test)]
mod tests;

pub use self::at::{ReadAt, WriteAt};
pub use self::closing::Closing;
pub use self::exact::Exact;
pub use self::limit::Limit;
pub use self::limit_strict::LimitStrict;
pub use self::limit_writer::LimitWriter;
pub use self::offset_writer::OffsetWriter;
pub use self::opaque::Opaque;
pub use self::section::Section;
pub use self::skip::Skip;
pub use self::tee::{Tee, TeePolicy};

pub mod duplex;
pub mod pipe;

mod count;
mod inspect;
mod multi_reader;
mod multi_writer;
mod progress;
mod records;

pub use self::count::{Count, CountWriter};
pub use self::inspect::{Inspect, InspectWriter};
pub use self::multi_reader::{IntoParts, MultiReader, multi_reader};
pub use self::multi_writer::{ErrorPolicy, MultiWriter, multi_writer};
pub use self::progress::{Progress, ProgressWriter};
pub use self::records::{Ending, LinesBytes, Overlong, Records};

use std::io::{self, BufRead, Read, Write};

/// Adapters as methods of every reader.
pub trait ReadExt: Read {
    /// The first `n` bytes of this reader: see [`Limit`].
    fn limit(self, n: u64) -> Limit<Self>
    where
        Self: Sized,
    {
        Limit::new(self, n)
    }

    /// This reader, which may hold at most `n` bytes: see [`LimitStrict`].
    fn limit_strict(self, n: u64) -> LimitStrict<Self>
    where
        Self: Sized,
    {
        LimitStrict::new(self, n)
    }

    /// The next `n` bytes of this reader, which must be there: see [`Exact`].
    fn exact(self, n: u64) -> Exact<Self>
    where
        Self: Sized,
    {
        Exact::new(self, n)
    }

    /// This reader without its first `n` bytes: see [`Skip`].
    fn skip(self, n: u64) -> Skip<Self>
    where
        Self: Sized,
    {
        Skip::new(self, n)
    }

    /// Writes what is read from this reader to `side` too: see [`Tee`].
    fn tee<W: Write>(self, side: W) -> Tee<Self, W>
    where
        Self: Sized,
    {
        Tee::new(self, side)
    }

    /// Hides what this reader is made of: see [`Opaque`].
    fn opaque(self) -> Opaque<Self>
    where
        Self: Sized,
    {
        Opaque::new(self)
    }

    /// Fills `buf`, unless the reader ends first; returns how many bytes were read.
    ///
    /// 0 says that the reader had ended, fewer than `buf.len()` that it ended in between.
    /// Nothing is read into an empty `buf`.
    ///
    /// # Errors
    ///
    /// Those of the reader, but `Interrupted`, which is retried. How many bytes were read until
    /// then is not told.
    ///
    /// # Examples
    ///
    /// ```
    /// use aqueduct::ReadExt;
    ///
    /// let mut input = &b"12345"[..];
    /// let mut record = [0; 2];
    /// assert_eq!(input.read_full(&mut record)?, 2);
    /// assert_eq!(input.read_full(&mut record)?, 2);
    /// assert_eq!(input.read_full(&mut record)?, 1, "truncated");
    /// assert_eq!(input.read_full(&mut record)?, 0, "ended");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[doc(alias = "ReadFull")]
    fn read_full(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let len = buf.len();
        self.read_at_least(buf, len)
    }

    /// Reads until `buf` holds at least `min` bytes, unless the reader ends first; returns how
    /// many it holds.
    ///
    /// 0 says that the reader had ended, fewer than `min` that it ended in between. With a `min`
    /// of 0 nothing is read.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if `buf` is shorter than `min`, before anything is read; `InvalidData` if
    /// the reader claims more bytes than fit; and those of the reader, but `Interrupted`, which
    /// is retried. How many bytes were read until then is not told.
    #[doc(alias = "ReadAtLeast")]
    fn read_at_least(&mut self, buf: &mut [u8], min: usize) -> io::Result<usize> {
        if min > buf.len() {
            return Err(crate::error::buffer_too_small(min, buf.len()));
        }
        let mut filled = 0;
        while filled < min {
            let rest = &mut buf[filled..];
            let room = rest.len();
            match self.read(rest).and_then(|n| honest("reader", n, room)) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(filled)
    }

    /// Counts the bytes handed out: [`Count`].
    fn count(self) -> Count<Self>
    where
        Self: Sized,
    {
        Count::new(self)
    }

    /// Shows `see` every byte handed out: [`Inspect`].
    fn inspect<F: FnMut(&[u8])>(self, see: F) -> Inspect<Self, F>
    where
        Self: Sized,
    {
        Inspect::new(self, see)
    }

    /// Tells `tell` the total handed out, at most once per `every` bytes: [`Progress`].
    fn progress<F: FnMut(u64)>(self, every: u64, tell: F) -> Progress<Self, F>
    where
        Self: Sized,
    {
        Progress::new(self, every, tell)
    }

    /// The records that end with `delimiter`: [`Records`].
    fn records(self, delimiter: u8) -> Records<Self>
    where
        Self: BufRead + Sized,
    {
        Records::new(self, delimiter)
    }

    /// The lines, as bytes: [`LinesBytes`].
    fn lines_bytes(self) -> LinesBytes<Self>
    where
        Self: BufRead + Sized,
    {
        LinesBytes::new(self)
    }
}
impl<R: Read + ?Sized> ReadExt for R {}

/// Adapters as methods of every writer.
pub trait WriteExt: Write {
    /// This writer, which takes `n` bytes and no more: see [`LimitWriter`].
    fn limit_writes(self, n: u64) -> LimitWriter<Self>
    where
        Self: Sized,
    {
        LimitWriter::new(self, n)
    }

    /// Hides what this writer is made of: see [`Opaque`].
    fn opaque_writes(self) -> Opaque<Self>
    where
        Self: Sized,
    {
        Opaque::new(self)
    }

    /// Drops this writer once nothing more will come: see [`Closing`].
    fn closing(self) -> Closing<Self>
    where
        Self: Sized,
    {
        Closing::new(self)
    }

    /// Counts the bytes accepted: [`CountWriter`].
    fn count_writes(self) -> CountWriter<Self>
    where
        Self: Sized,
    {
        CountWriter::new(self)
    }

    /// Shows `see` every byte accepted: [`InspectWriter`].
    fn inspect_writes<F: FnMut(&[u8])>(self, see: F) -> InspectWriter<Self, F>
    where
        Self: Sized,
    {
        InspectWriter::new(self, see)
    }

    /// Tells `tell` the total accepted, at most once per `every` bytes: [`ProgressWriter`].
    fn progress_writes<F: FnMut(u64)>(self, every: u64, tell: F) -> ProgressWriter<Self, F>
    where
        Self: Sized,
    {
        ProgressWriter::new(self, every, tell)
    }
}
impl<W: Write + ?Sized> WriteExt for W {}

/// `len`, but at most `left`.
#[inline]
fn clamp(len: usize, left: u64) -> usize {
    // Never more than `len`, so nothing is cut off.
    (len as u64).min(left) as usize
}

/// The count `n`, unless it is more than the `max` bytes that `who` was given.
#[inline]
fn honest(who: &str, n: usize, max: usize) -> io::Result<usize> {
    if n > max { Err(crate::error::lying(who, n, max)) } else { Ok(n) }
}

/// Which of `bufs` to pass on where only `left` bytes may go: so many whole ones from the first
/// on, or, where not even the first that is not empty fits, the index of that one.
enum Fit {
    Whole(usize),
    Part(usize),
}

fn fit<B: std::ops::Deref<Target = [u8]>>(bufs: &[B], left: u64) -> Fit {
    let mut sum = 0;
    for (i, buf) in bufs.iter().enumerate() {
        let before = sum;
        sum += buf.len() as u64;
        if sum > left {
            return if before == 0 { Fit::Part(i) } else { Fit::Whole(i) };
        }
    }
    Fit::Whole(bufs.len())
}
