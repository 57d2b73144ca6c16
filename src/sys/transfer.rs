//! A call that moves bytes, as a value: it can be made here, or be given to the system to carry out.

use super::Nowait;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::BorrowedFd;

/// What is moved, and which way. No more than [`IOV_MAX`](super::IOV_MAX) buffers.
#[derive(Debug)]
pub(crate) enum Transfer<'a, 'b> {
    Read(&'a mut [u8]),
    ReadVectored(&'a mut [IoSliceMut<'b>]),
    Write(&'a [u8]),
    WriteVectored(&'a [IoSlice<'b>]),
}

/// What the system has made of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moved {
    pub(crate) bytes: usize,
    /// The socket has more, it says.
    pub(crate) left: bool,
}

impl Transfer<'_, '_> {
    /// Makes the call, without waiting.
    pub(crate) fn call(&mut self, nowait: Nowait, fd: BorrowedFd<'_>) -> io::Result<usize> {
        match self {
            Self::Read(buf) => nowait.read(fd, buf),
            Self::ReadVectored(bufs) => nowait.read_vectored(fd, bufs),
            Self::Write(bytes) => nowait.write(fd, bytes),
            Self::WriteVectored(bufs) => nowait.write_vectored(fd, bufs),
        }
    }

    pub(crate) fn reads(&self) -> bool {
        matches!(self, Self::Read(_) | Self::ReadVectored(_))
    }

    /// How many bytes it moves at most.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Read(buf) => buf.len(),
            Self::ReadVectored(bufs) => bufs.iter().map(|buf| buf.len()).sum(),
            Self::Write(bytes) => bytes.len(),
            Self::WriteVectored(bufs) => bufs.iter().map(|buf| buf.len()).sum(),
        }
    }
}
