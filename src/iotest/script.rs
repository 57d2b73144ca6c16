//! A reader and writer that follows a list of steps.

use crate::source::{Outlet, Outlets, Sink, Source};
use std::collections::VecDeque;
use std::fmt;
use std::io::{self, BufRead, ErrorKind, Read, Write};

/// One step of a [`Script`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// Reads give these bytes, in as many calls as the caller's buffers make of it.
    Data(Vec<u8>),
    /// One read gives `Ok(0)`, whatever follows.
    Eof,
    /// One write takes at most so many bytes; 0 is the answer `Ok(0)`.
    Accept(usize),
    /// One read or write, whichever comes, fails with this kind and moves nothing.
    Fail(ErrorKind),
    /// One flush fails with this kind.
    FailFlush(ErrorKind),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Data(bytes) => write!(f, "a read of {} bytes", bytes.len()),
            Self::Eof => f.write_str("a read of the end"),
            Self::Accept(n) => write!(f, "a write of up to {n} bytes"),
            Self::Fail(kind) => write!(f, "a read or write that fails ({kind})"),
            Self::FailFlush(kind) => write!(f, "a flush that fails ({kind})"),
        }
    }
}

/// A reader and writer that follows a list of steps, one after the other.
///
/// A call that the next step does not provide for, such as a read where a write is due, fails
/// with `InvalidInput`, leaves the step in place and is held against the caller in
/// [`finish`](Self::finish). Flushes succeed, unless the next step is a failing one. After the
/// last step reads give `Ok(0)`, and so do writes unless [`accept_all`](Self::accept_all) says
/// otherwise. Reads and writes of nothing are `Ok(0)` and use no step.
///
/// # Examples
///
/// A terminal, where an end of input is not the last word:
///
/// ```
/// use aqueduct::iotest::Script;
/// use std::io::{ErrorKind, Read};
///
/// let mut tty = Script::new().data("one").eof().fail(ErrorKind::WouldBlock).data("two");
/// let mut text = String::new();
/// tty.read_to_string(&mut text)?;
/// assert_eq!(text, "one");
/// assert_eq!(tty.read_to_string(&mut text).unwrap_err().kind(), ErrorKind::WouldBlock);
/// tty.read_to_string(&mut text)?;
/// assert_eq!(text, "onetwo");
/// tty.finish()?;
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// A connection that is slow to take its bytes:
///
/// ```
/// use aqueduct::{copy, iotest::Script};
/// use std::io::ErrorKind;
///
/// let mut slow = Script::new().accept(2).fail(ErrorKind::WouldBlock).accept_all();
/// let mut bytes = &b"abcdef"[..];
/// let stopped = copy(&mut bytes, &mut slow).unwrap_err();
/// assert_eq!(stopped.kind(), ErrorKind::WouldBlock);
/// copy(&mut stopped.pending(0), &mut slow)?;
/// copy(&mut bytes, &mut slow)?;
/// assert_eq!(slow.finish()?, b"abcdef");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Script {
    steps: VecDeque<Step>,
    /// How many bytes of the data at the front were read.
    given: usize,
    accept_all: bool,
    written: Vec<u8>,
    misuse: Option<String>,
}

impl Script {
    /// A script without steps.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds [`Step::Data`]. No bytes are no step.
    #[must_use]
    pub fn data(self, bytes: impl AsRef<[u8]>) -> Self {
        self.then(Step::Data(bytes.as_ref().to_vec()))
    }

    /// Adds [`Step::Eof`].
    #[must_use]
    pub fn eof(self) -> Self {
        self.then(Step::Eof)
    }

    /// Adds [`Step::Accept`].
    #[must_use]
    pub fn accept(self, n: usize) -> Self {
        self.then(Step::Accept(n))
    }

    /// Adds [`Step::Fail`].
    #[must_use]
    pub fn fail(self, kind: ErrorKind) -> Self {
        self.then(Step::Fail(kind))
    }

    /// Adds [`Step::FailFlush`].
    #[must_use]
    pub fn fail_flush(self, kind: ErrorKind) -> Self {
        self.then(Step::FailFlush(kind))
    }

    /// After the last step, every write is taken whole.
    #[must_use]
    pub fn accept_all(mut self) -> Self {
        self.accept_all = true;
        self
    }

    /// Adds a step.
    #[must_use]
    pub fn then(mut self, step: Step) -> Self {
        self.extend([step]);
        self
    }

    /// The bytes that writes have taken so far.
    #[must_use]
    pub fn written(&self) -> &[u8] {
        &self.written
    }

    /// The steps not used up yet.
    pub fn remaining(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter()
    }

    /// The bytes that were written, if every step was used and no call came out of turn.
    ///
    /// # Errors
    ///
    /// `Other`: names the first call out of turn, or else the step that is left.
    pub fn finish(self) -> io::Result<Vec<u8>> {
        if let Some(misuse) = self.misuse {
            return Err(io::Error::other(misuse));
        }
        match self.steps.front() {
            None => Ok(self.written),
            Some(next) => {
                let left = self.steps.len();
                Err(io::Error::other(format!("the script has {left} steps left, first {next}")))
            }
        }
    }

    fn fails(&mut self) -> io::Result<()> {
        match self.steps.front() {
            Some(&Step::Fail(kind)) => {
                self.steps.pop_front();
                Err(super::injected(kind, "Script"))
            }
            _ => Ok(()),
        }
    }

    fn out_of_turn(&mut self, call: &str) -> io::Error {
        let due = self.steps.front().map(ToString::to_string).unwrap_or_default();
        let text = format!("the script was asked for a {call} where it has {due}");
        self.misuse.get_or_insert_with(|| text.clone());
        io::Error::new(ErrorKind::InvalidInput, text)
    }
}

impl Extend<Step> for Script {
    fn extend<I: IntoIterator<Item = Step>>(&mut self, steps: I) {
        let empty = |step: &Step| matches!(step, Step::Data(bytes) if bytes.is_empty());
        self.steps.extend(steps.into_iter().filter(|step| !empty(step)));
    }
}

impl FromIterator<Step> for Script {
    fn from_iter<I: IntoIterator<Item = Step>>(steps: I) -> Self {
        let mut script = Self::new();
        script.extend(steps);
        script
    }
}

impl Read for Script {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        let mut bytes = self.fill_buf()?;
        let n = bytes.read(buf)?;
        self.consume(n);
        Ok(n)
    }
}

/// The end and an error are used up by `fill_buf`, data by `consume`.
impl BufRead for Script {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.fails()?;
        match self.steps.front() {
            Some(Step::Eof) => {
                self.steps.pop_front();
                return Ok(&[]);
            }
            None | Some(Step::Data(_)) => {}
            Some(_) => return Err(self.out_of_turn("read")),
        }
        match self.steps.front() {
            Some(Step::Data(bytes)) => Ok(&bytes[self.given..]),
            _ => Ok(&[]),
        }
    }

    fn consume(&mut self, n: usize) {
        if let Some(Step::Data(bytes)) = self.steps.front() {
            self.given += n.min(bytes.len() - self.given);
            if self.given == bytes.len() {
                self.steps.pop_front();
                self.given = 0;
            }
        }
    }
}

impl Write for Script {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        self.fails()?;
        let take = match self.steps.front() {
            None if self.accept_all => buf.len(),
            None => 0,
            Some(&Step::Accept(n)) => {
                self.steps.pop_front();
                n.min(buf.len())
            }
            Some(_) => return Err(self.out_of_turn("write")),
        };
        self.written.extend_from_slice(&buf[..take]);
        Ok(take)
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.steps.front() {
            Some(&Step::FailFlush(kind)) => {
                self.steps.pop_front();
                Err(super::injected(kind, "Script"))
            }
            _ => Ok(()),
        }
    }
}

impl Source for Script {}

impl Sink for Script {
    fn outlets<'a>(&'a mut self, out: &mut Outlets<'a>) {
        out.push(Outlet::opaque(self));
    }
}
