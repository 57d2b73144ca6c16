//! Any number of readers, one after the other.

use crate::source::{Outcomes, Outlets, Piece, Source, taps};
use std::collections::VecDeque;
use std::fmt;
use std::io::{self, BufRead, IoSliceMut, Read};
use std::iter::{Chain, Flatten, Fuse};
use std::{collections::vec_deque, option};

/// A reader that reads its parts one after the other, to the end of the last.
///
/// Parts are taken from the iterator when their turn comes, so an iterator that opens files
/// holds one open at a time, and each is dropped as soon as it has ended. An error stays with its part:
/// the next read tries the same part again. Without parts the reader is at its end.
///
/// A `MultiReader` is also an iterator of the parts not yet ended; that is how
/// [`flatten`](Self::flatten) makes nests of them one.
///
/// Under [`copy`](crate::copy()) every part keeps its own path, except one with taps of its own,
/// which is read through memory.
///
/// # Examples
///
/// ```
/// use aqueduct::adapters::multi_reader;
/// use std::io::Read;
///
/// let mut whole = String::new();
/// multi_reader([&b"one "[..], b"two ", b"three"]).read_to_string(&mut whole)?;
/// assert_eq!(whole, "one two three");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct MultiReader<I: Iterator> {
    current: Option<I::Item>,
    rest: Fuse<I>,
    pushed: VecDeque<I::Item>,
}

/// [`MultiReader::new`] as a function.
pub fn multi_reader<P: IntoIterator<Item: Read>>(parts: P) -> MultiReader<P::IntoIter> {
    MultiReader::new(parts)
}

impl<I: Iterator> MultiReader<I> {
    /// Reads the readers that `parts` yields.
    pub fn new(parts: impl IntoIterator<IntoIter = I, Item = I::Item>) -> Self {
        Self { current: None, rest: parts.into_iter().fuse(), pushed: VecDeque::new() }
    }

    /// Adds a part after all others. A reader that was at its end goes on with it.
    pub fn push(&mut self, part: I::Item) {
        self.pushed.push_back(part);
    }

    /// The part that is being read.
    pub fn get_ref(&self) -> Option<&I::Item> {
        self.current.as_ref()
    }

    /// The part that is being read.
    pub fn get_mut(&mut self) -> Option<&mut I::Item> {
        self.current.as_mut()
    }

    /// The part that is being read, or the next one.
    #[inline]
    fn part(&mut self) -> Option<&mut I::Item> {
        if self.current.is_none() {
            self.current = self.rest.next().or_else(|| self.pushed.pop_front());
        }
        self.current.as_mut()
    }
}

impl<I: Iterator<Item: IntoIterator>> MultiReader<I> {
    /// One reader of the parts of all parts, so that nesting costs nothing per read.
    pub fn flatten(self) -> MultiReader<Flatten<IntoParts<I>>> {
        MultiReader::new(self.into_iter().flatten())
    }
}

/// The parts of a [`MultiReader`] that have not ended, the current one first.
pub type IntoParts<I> = Chain<
    Chain<option::IntoIter<<I as Iterator>::Item>, Fuse<I>>,
    vec_deque::IntoIter<<I as Iterator>::Item>,
>;

impl<I: Iterator> IntoIterator for MultiReader<I> {
    type Item = I::Item;
    type IntoIter = IntoParts<I>;

    fn into_iter(self) -> Self::IntoIter {
        self.current.into_iter().chain(self.rest).chain(self.pushed)
    }
}

impl<I: Iterator<Item: fmt::Debug>> fmt::Debug for MultiReader<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MultiReader")
            .field("current", &self.current)
            .field("pushed", &self.pushed)
            .finish_non_exhaustive()
    }
}

impl<I: Iterator<Item: Read>> Read for MultiReader<I> {
    #[inline]
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        while let Some(part) = self.part() {
            match part.read(buf)? {
                0 => self.current = None,
                n => return Ok(n),
            }
        }
        Ok(0)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        if bufs.iter().all(|buf| buf.is_empty()) {
            return Ok(0);
        }
        while let Some(part) = self.part() {
            match part.read_vectored(bufs)? {
                0 => self.current = None,
                n => return Ok(n),
            }
        }
        Ok(0)
    }

    fn read_to_end(&mut self, buf: &mut Vec<u8>) -> io::Result<usize> {
        let mut n = 0;
        while let Some(part) = self.part() {
            n += part.read_to_end(buf)?;
            self.current = None;
        }
        Ok(n)
    }
}

impl<I: Iterator<Item: BufRead>> BufRead for MultiReader<I> {
    #[inline]
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while let Some(part) = self.part() {
            if !part.fill_buf()?.is_empty() {
                break;
            }
            self.current = None;
        }
        match &mut self.current {
            // Its buffer holds bytes now, so this only fetches them.
            Some(part) => part.fill_buf(),
            None => Ok(&[]),
        }
    }

    #[inline]
    fn consume(&mut self, n: usize) {
        if let Some(part) = &mut self.current {
            part.consume(n);
        }
    }
}

impl<I: Iterator<Item: Source>> Source for MultiReader<I> {
    fn prepare(&mut self) -> io::Result<()> {
        self.part().map_or(Ok(()), Source::prepare)
    }

    fn piece<'a>(&'a mut self, out: &mut Outlets<'a>) -> Piece<'a> {
        match self.part() {
            Some(part) => {
                // The number of taps must not change from part to part: ours is none.
                if taps(part) > 0 { Piece::Opaque } else { part.piece(out) }
            }
            None => Piece::Buffered(&[]),
        }
    }

    fn advance(&mut self, n: u64, out: &mut Outcomes<'_>) -> io::Result<()> {
        self.current.as_mut().map_or(Ok(()), |part| part.advance(n, out))
    }

    fn end(&mut self) -> io::Result<bool> {
        if let Some(part) = &mut self.current {
            if part.end()? {
                return Ok(true);
            }
            self.current = None;
        }
        Ok(self.part().is_some())
    }
}
