//! Readers and writers of which every k-th call fails and changes nothing.

use super::{injected, sinks, wraps};
use crate::source::{Outlet, Outlets, Sink, Source};
use std::io::{self, BufRead, ErrorKind, IoSlice, IoSliceMut, Read, Seek, SeekFrom, Write};

macro_rules! every {
    ($(#[$doc:meta])* $name:ident, $kind:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub struct $name<T> {
            inner: T,
            every: u64,
            calls: u64,
            /// Bytes are lent and not consumed: as with a real buffer, they cannot fail again.
            lent: bool,
        }

        impl<T> $name<T> {
            /// Passes calls on to `inner`, but the `every`-th, the `2 * every`-th and so on fail.
            /// 0 means never.
            #[must_use]
            pub fn new(inner: T, every: u64) -> Self {
                Self { inner, every, calls: 0, lent: false }
            }

            fn tick(&mut self) -> io::Result<()> {
                self.calls = self.calls.wrapping_add(1);
                match self.every {
                    0 => Ok(()),
                    k if self.calls % k == 0 => {
                        Err(injected(ErrorKind::$kind, stringify!($name)))
                    }
                    _ => Ok(()),
                }
            }
        }

        wraps!($name);

        impl<R: Read> Read for $name<R> {
            fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
                if !buf.is_empty() {
                    self.tick()?;
                    self.lent = false;
                }
                self.inner.read(buf)
            }

            fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
                if bufs.iter().any(|buf| !buf.is_empty()) {
                    self.tick()?;
                    self.lent = false;
                }
                self.inner.read_vectored(bufs)
            }
        }

        impl<R: BufRead> BufRead for $name<R> {
            fn fill_buf(&mut self) -> io::Result<&[u8]> {
                if !self.lent {
                    self.tick()?;
                }
                let bytes = self.inner.fill_buf()?;
                self.lent = !bytes.is_empty();
                Ok(bytes)
            }

            fn consume(&mut self, n: usize) {
                self.lent &= n == 0;
                self.inner.consume(n);
            }
        }

        impl<W: Write> Write for $name<W> {
            fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
                if !buf.is_empty() {
                    self.tick()?;
                }
                self.inner.write(buf)
            }

            fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
                if bufs.iter().any(|buf| !buf.is_empty()) {
                    self.tick()?;
                }
                self.inner.write_vectored(bufs)
            }

            fn flush(&mut self) -> io::Result<()> {
                self.tick()?;
                self.inner.flush()
            }
        }

        /// Seeking is passed on and never fails by itself.
        impl<T: Seek> Seek for $name<T> {
            fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
                self.inner.seek(to)
            }
        }

        impl<R: Read> Source for $name<R> {}
        sinks!($name);
    };
}

every! {
    /// A reader or writer of which every k-th call fails with `Interrupted`.
    ///
    /// Whoever loops over calls has to try again. `read`, `read_vectored`, `fill_buf`, `write`,
    /// `write_vectored` and `flush` count, in one common count, but not calls with nothing but
    /// empty buffers. With `every` = 1 each call fails, and whoever keeps to std's rule
    /// tries for ever.
    ///
    /// # Examples
    ///
    /// ```
    /// use aqueduct::iotest::InterruptEvery;
    ///
    /// let mut got = Vec::new();
    /// aqueduct::copy(&mut InterruptEvery::new(&b"patience"[..], 2), &mut got)?;
    /// assert_eq!(got, b"patience");
    /// # Ok::<(), aqueduct::CopyError>(())
    /// ```
    InterruptEvery, Interrupted
}

every! {
    /// A reader or writer of which every k-th call fails with `WouldBlock`, as a non-blocking
    /// descriptor does that is not ready.
    ///
    /// What counts is told at [`InterruptEvery`]. With `every` = 1 it is never ready.
    WouldBlockEvery, WouldBlock
}
