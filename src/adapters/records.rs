//! Records between delimiters, and lines, lent from the reader's buffer.

use crate::error;
use memchr::memchr;
use std::io::{self, BufRead, ErrorKind};

/// What [`Records`] does with a record that is longer than allowed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Overlong {
    /// Fail with `InvalidData`, as soon as the record is known to be too long. The call after
    /// that goes on with the record that follows.
    #[default]
    Error,
    /// Return its beginning and pass over the rest.
    Truncate,
    /// Pass over it.
    Skip,
    /// Return it in several records, each but the last of the greatest length.
    Split,
}

/// How the last record that [`Records`] returned came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Ending {
    /// By the delimiter.
    Delimiter,
    /// By the end of the source, without a delimiter.
    End,
    /// By [`Overlong::Truncate`] or [`Overlong::Split`].
    Cut,
    /// By an error of the source, which the next call returns.
    Error,
}

/// The records of a buffered reader, each lent until the next is asked for.
///
/// The delimiter is not part of a record. A last record without delimiter is returned like the
/// others, and [`ending`](Self::ending) tells them apart; an end right after a delimiter makes no
/// further record. A record that lies wholly in the reader's buffer is lent from there without a copy.
///
/// Records are at most 1 MiB long unless [`max_len`](Self::max_len) says otherwise: without
/// a bound, input without a delimiter would take all memory, and a record of a mebibyte
/// is more likely that than a record. The error says the limit, and nothing is cut silently.
///
/// # Errors
///
/// `Interrupted` is retried. `WouldBlock` and `TimedOut` are returned at once, and the next
/// call goes on within the same record. For any other error the beginning of the record
/// is returned first ([`Ending::Error`]) and the error by the call after.
///
/// # Examples
///
/// ```
/// use aqueduct::ReadExt;
///
/// let mut fields = (&b"alpha,beta,,delta"[..]).records(b',');
/// let mut lengths = Vec::new();
/// while let Some(field) = fields.next()? {
///     lengths.push(field.len());
/// }
/// assert_eq!(lengths, [5, 4, 0, 5]);
/// assert_eq!(fields.consumed(), 17);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Records<R: BufRead> {
    /// `None` only after `into_inner`.
    inner: Option<R>,
    delimiter: u8,
    max: usize,
    overlong: Overlong,
    /// What was read of a record that did not lie in the buffer as a whole.
    held: Vec<u8>,
    /// Whether `held` was lent by the last call.
    lent: bool,
    /// Bytes of the buffer that were lent by the last call, with their delimiter.
    owed: usize,
    consumed: u64,
    passed_over: u64,
    ending: Ending,
    /// The rest of an overlong record is still to be passed over.
    passing: bool,
    failed: Option<io::Error>,
}

/// Where a record lies.
enum Found {
    /// It is the first so many bytes of the buffer.
    Here(usize),
    Held,
    End,
}

impl<R: BufRead> Records<R> {
    /// The records of `inner` that end with `delimiter`.
    pub fn new(inner: R, delimiter: u8) -> Self {
        Self {
            inner: Some(inner),
            delimiter,
            max: 1 << 20,
            overlong: Overlong::Error,
            held: Vec::new(),
            lent: false,
            owed: 0,
            consumed: 0,
            passed_over: 0,
            ending: Ending::End,
            passing: false,
            failed: None,
        }
    }

    /// Allows records of up to `bytes` bytes, delimiter aside (0 is taken as 1); `usize::MAX` is no bound.
    #[must_use]
    pub fn max_len(mut self, bytes: usize) -> Self {
        self.max = bytes.max(1);
        self
    }

    /// What to do with longer ones.
    #[must_use]
    pub fn overlong(mut self, policy: Overlong) -> Self {
        self.overlong = policy;
        self
    }

    /// The next record; `None` at the end of the source.
    ///
    /// # Errors
    ///
    /// Those of the source; `InvalidData` for a record that is too long, under [`Overlong::Error`].
    #[inline]
    #[expect(clippy::should_implement_trait, reason = "a lending iterator cannot be an Iterator")]
    pub fn next(&mut self) -> io::Result<Option<&[u8]>> {
        match self.find()? {
            Found::Here(n) => self.lend(n).map(Some),
            Found::Held => Ok(Some(&self.held)),
            Found::End => Ok(None),
        }
    }

    /// How the last record returned came to its end.
    #[must_use]
    pub fn ending(&self) -> Ending {
        self.ending
    }

    /// Whether the last record returned had its delimiter.
    #[must_use]
    pub fn terminated(&self) -> bool {
        self.ending == Ending::Delimiter
    }

    /// How many bytes of the source were used up, those of the last record and its delimiter among them.
    #[must_use]
    pub fn consumed(&self) -> u64 {
        self.consumed
    }

    /// How many records [`Overlong::Skip`] has passed over.
    #[must_use]
    pub fn passed_over(&self) -> u64 {
        self.passed_over
    }

    /// The reader within; it may still hold the record that is lent.
    pub fn get_ref(&self) -> Option<&R> {
        self.inner.as_ref()
    }

    /// The reader within, standing after the last record returned.
    ///
    /// The beginning of a record that `WouldBlock` or `TimedOut` has interrupted was read from it already.
    pub fn into_inner(mut self) -> Option<R> {
        self.settle();
        self.inner.take()
    }

    /// Gives the reader back what was lent of its buffer.
    #[inline]
    fn settle(&mut self) {
        if let (Some(inner), 1..) = (&mut self.inner, self.owed) {
            inner.consume(self.owed);
        }
        self.owed = 0;
        if self.lent {
            self.lent = false;
            self.held.clear();
        }
    }

    #[inline]
    fn lend(&mut self, n: usize) -> io::Result<&[u8]> {
        let buf = match &mut self.inner {
            Some(inner) => inner.fill_buf()?,
            None => &[],
        };
        buf.get(..n).ok_or_else(|| error::lying("reader", n, buf.len()))
    }

    #[inline]
    fn find(&mut self) -> io::Result<Found> {
        self.settle();
        // By far the most frequent case: the whole record is there.
        if !self.passing && self.held.is_empty() && self.failed.is_none() {
            match self.inner.as_mut().map(BufRead::fill_buf) {
                Some(Ok(buf)) => {
                    let window = &buf[..buf.len().min(self.max.saturating_add(1))];
                    if let Some(i) = memchr(self.delimiter, window) {
                        self.owed = i + 1;
                        self.consumed += i as u64 + 1;
                        self.ending = Ending::Delimiter;
                        return Ok(Found::Here(i));
                    }
                }
                Some(Err(e)) if e.kind() != ErrorKind::Interrupted => return Err(e),
                Some(Err(_)) | None => {}
            }
        }
        self.gather()
    }

    /// Finds a record that may lie in several buffers, end without delimiter, or be too long.
    #[cold]
    fn gather(&mut self) -> io::Result<Found> {
        let Some(inner) = &mut self.inner else { return Ok(Found::End) };
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        loop {
            let buf = match inner.fill_buf() {
                Ok(buf) => buf,
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(e) => {
                    let passes = matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
                    if passes || self.held.is_empty() {
                        return Err(e);
                    }
                    self.failed = Some(e);
                    self.ending = Ending::Error;
                    self.lent = true;
                    return Ok(Found::Held);
                }
            };
            if buf.is_empty() {
                self.passing = false;
                if self.held.is_empty() {
                    return Ok(Found::End);
                }
                self.ending = Ending::End;
                self.lent = true;
                return Ok(Found::Held);
            }
            if self.passing {
                let at = memchr(self.delimiter, buf);
                let n = at.map_or(buf.len(), |i| i + 1);
                self.passing = at.is_none();
                inner.consume(n);
                self.consumed += n as u64;
                continue;
            }
            let room = self.max - self.held.len();
            // No farther than it matters, or a long buffer would be searched again and again.
            let window = &buf[..buf.len().min(room.saturating_add(1))];
            let at = memchr(self.delimiter, window);
            let (take, with_delimiter) = match at {
                Some(i) => (i, i + 1),
                None => (window.len().min(room), window.len().min(room)),
            };
            let whole = at.is_some();
            let more = !whole && buf.len() <= room;
            if !whole && !more {
                match self.overlong {
                    Overlong::Error | Overlong::Skip => {
                        self.held.clear();
                        self.passing = true;
                        if self.overlong == Overlong::Error {
                            return Err(error::record_too_long(self.max));
                        }
                        self.passed_over += 1;
                        continue;
                    }
                    Overlong::Truncate => self.passing = true,
                    Overlong::Split => {}
                }
            }
            self.consumed += with_delimiter as u64;
            self.ending = if whole { Ending::Delimiter } else { Ending::Cut };
            if self.held.is_empty() && !more {
                self.owed = with_delimiter;
                return Ok(Found::Here(take));
            }
            self.held.extend_from_slice(&window[..take]);
            inner.consume(with_delimiter);
            if !more {
                self.lent = true;
                return Ok(Found::Held);
            }
        }
    }
}

impl<R: BufRead> Drop for Records<R> {
    /// A reader that was only borrowed stands after the last record returned.
    fn drop(&mut self) {
        self.settle();
    }
}

/// The lines of a buffered reader as bytes, without their newline and one carriage return before it.
///
/// A carriage return that ends the last line counts too. All else is as with [`Records`]; the
/// length that is bounded includes the carriage return.
///
/// # Examples
///
/// ```
/// use aqueduct::ReadExt;
///
/// let mut lines = (&b"GET / HTTP/1.1\r\nHost: example\r\n\r\n"[..]).lines_bytes();
/// assert_eq!(lines.next()?, Some(&b"GET / HTTP/1.1"[..]));
/// assert_eq!(lines.next()?, Some(&b"Host: example"[..]));
/// assert_eq!(lines.next()?, Some(&b""[..]));
/// assert_eq!(lines.next()?, None);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct LinesBytes<R: BufRead> {
    records: Records<R>,
}

impl<R: BufRead> LinesBytes<R> {
    /// The lines of `inner`.
    pub fn new(inner: R) -> Self {
        Self { records: Records::new(inner, b'\n') }
    }

    /// Allows lines of up to `bytes` bytes: [`Records::max_len`].
    #[must_use]
    pub fn max_len(self, bytes: usize) -> Self {
        Self { records: self.records.max_len(bytes) }
    }

    /// What to do with longer ones.
    #[must_use]
    pub fn overlong(self, policy: Overlong) -> Self {
        Self { records: self.records.overlong(policy) }
    }

    /// The next line; `None` at the end of the source.
    ///
    /// # Errors
    ///
    /// As [`Records::next`].
    #[inline]
    #[expect(clippy::should_implement_trait, reason = "a lending iterator cannot be an Iterator")]
    pub fn next(&mut self) -> io::Result<Option<&[u8]>> {
        let found = self.records.find()?;
        let ended = matches!(self.records.ending, Ending::Delimiter | Ending::End);
        let line = match found {
            Found::Here(n) => self.records.lend(n)?,
            Found::Held => &self.records.held,
            Found::End => return Ok(None),
        };
        Ok(Some(match line {
            [line @ .., b'\r'] if ended => line,
            line => line,
        }))
    }

    /// How the last line returned came to its end.
    #[must_use]
    pub fn ending(&self) -> Ending {
        self.records.ending()
    }

    /// Whether the last line returned had its newline.
    #[must_use]
    pub fn terminated(&self) -> bool {
        self.records.terminated()
    }

    /// How many bytes of the source were used up: [`Records::consumed`].
    #[must_use]
    pub fn consumed(&self) -> u64 {
        self.records.consumed()
    }

    /// How many lines [`Overlong::Skip`] has passed over.
    #[must_use]
    pub fn passed_over(&self) -> u64 {
        self.records.passed_over()
    }

    /// The reader within; it may still hold the line that is lent.
    pub fn get_ref(&self) -> Option<&R> {
        self.records.get_ref()
    }

    /// The reader within, standing after the last line returned: [`Records::into_inner`].
    pub fn into_inner(self) -> Option<R> {
        self.records.into_inner()
    }
}
