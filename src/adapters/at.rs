use super::{Section, clamp};
use crate::error;
use crate::source::{Handle, Piece};
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// The greatest offset that the system knows.
const LAST: u64 = i64::MAX as u64;

/// Something that is read at offsets, without a position of its own.
///
/// Several threads may read at once. A [`Section`] makes a reader of it. Files are read by
/// pread(2); a slice or `Vec` of bytes is read like a file with that content.
pub trait ReadAt {
    /// Reads into `buf` what lies at `offset`, and returns how many bytes that were: 0 at the
    /// end and behind it, or if `buf` is empty.
    ///
    /// # Errors
    ///
    /// Those of reading.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Where the bytes from `offset` on lie, for [`copy`](crate::copy()): as in
    /// [`Source::piece`](crate::source::Source::piece), with an `Fd` that says `at`.
    ///
    /// An `Fd` is a promise that `read_at` is exactly pread(2) on that descriptor.
    fn piece_at(&self, offset: u64) -> Piece<'_> {
        let _ = offset;
        Piece::Opaque
    }

    /// The `len` bytes from `offset` on, as a reader: see [`Section`].
    fn section(self, offset: u64, len: u64) -> Section<Self>
    where
        Self: Sized,
    {
        Section::new(self, offset, len)
    }
}

/// Something that is written at offsets, without a position of its own.
///
/// Several threads may write at once. An [`OffsetWriter`](super::OffsetWriter) makes a writer
/// of it. Files are written by pwrite(2).
pub trait WriteAt {
    /// Writes `buf`, or the first part of it, at `offset`, and returns how many bytes that were.
    ///
    /// # Errors
    ///
    /// Those of writing. For a file `InvalidInput` if it was opened for appending: Linux would
    /// write at its end, whatever the offset.
    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize>;

    /// The descriptor on which `write_at` is exactly pwrite(2), for [`copy`](crate::copy()), if
    /// there is one.
    fn handle(&self) -> Option<Handle<'_>> {
        None
    }
}

impl ReadAt for File {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        // The system refuses a read that reaches behind the last offset; but there is just nothing.
        match clamp(buf.len(), LAST.saturating_sub(offset)) {
            0 => Ok(0),
            max => FileExt::read_at(self, &mut buf[..max], offset),
        }
    }

    fn piece_at(&self, offset: u64) -> Piece<'_> {
        match LAST.checked_sub(offset) {
            None | Some(0) => Piece::Buffered(&[]),
            Some(max) => {
                Piece::Fd { fd: Handle::new(self.as_fd()), max, at: Some(offset), hidden: false }
            }
        }
    }
}

impl WriteAt for File {
    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        // Asked anew each time: fcntl(2) may change it, and a write elsewhere is corruption.
        if crate::sys::appends(self.as_fd())? {
            return Err(error::append_only());
        }
        FileExt::write_at(self, buf, offset)
    }

    fn handle(&self) -> Option<Handle<'_>> {
        let fd = self.as_fd();
        matches!(crate::sys::appends(fd), Ok(false)).then(|| Handle::new(fd))
    }
}

impl ReadAt for [u8] {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let bytes = behind(self, offset);
        let n = bytes.len().min(buf.len());
        buf[..n].copy_from_slice(&bytes[..n]);
        Ok(n)
    }

    fn piece_at(&self, offset: u64) -> Piece<'_> {
        Piece::Buffered(behind(self, offset))
    }
}

fn behind(bytes: &[u8], offset: u64) -> &[u8] {
    usize::try_from(offset).ok().and_then(|start| bytes.get(start..)).unwrap_or(&[])
}

macro_rules! read_at_through {
    ($([$($of:tt)*] $pointer:ty = $target:ty),*) => {$(
        impl<$($of)*> ReadAt for $pointer {
            fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
                <$target>::read_at(self, buf, offset)
            }

            fn piece_at(&self, offset: u64) -> Piece<'_> {
                <$target>::piece_at(self, offset)
            }
        }
    )*};
}

read_at_through!(
    [T: ReadAt + ?Sized] &T = T,
    [T: ReadAt + ?Sized] Box<T> = T,
    [T: ReadAt + ?Sized] Arc<T> = T,
    [] Vec<u8> = [u8]
);

macro_rules! write_at_through {
    ($($pointer:ty),*) => {$(
        impl<T: WriteAt + ?Sized> WriteAt for $pointer {
            fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
                T::write_at(self, buf, offset)
            }

            fn handle(&self) -> Option<Handle<'_>> {
                T::handle(self)
            }
        }
    )*};
}

write_at_through!(&T, Box<T>, Arc<T>);
