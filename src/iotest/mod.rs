//! Readers and writers that misbehave, and checks that a reader or writer keeps std's contracts.
//!
//! For tests, of this crate's adapters and of your own types (feature `iotest`).
//!
//! # Doubles
//!
//! Most wrap a reader or writer and bend what it does; all join a [`copy`](crate::copy()).
//!
//! | name | what it does |
//! |---|---|
//! | [`OneByte`], [`Half`], [`Chunked`] | reads give 1 byte, half of the buffer, sizes of a list |
//! | [`DataThenErr`], [`ErrReader`] | fails instead of ending; fails always |
//! | [`TimeoutOnce`] | the second read fails once with `TimedOut` |
//! | [`InterruptEvery`], [`WouldBlockEvery`] | every k-th read, write or flush fails, no byte is lost |
//! | [`ShortWrite`], [`ZeroWrite`] | writes take at most k bytes; take nothing |
//! | [`Truncate`] | drops what comes after n bytes and claims it was written |
//! | [`Lying`] | claims more bytes than it read or wrote |
//! | [`Recorder`] | a writer that keeps every call |
//! | [`Script`] | a reader and writer that follows a list of steps |
//!
//! # Checks
//!
//! [`check_reader`], [`check_bufread`] and [`check_seek`] get a function that makes fresh readers,
//! each standing at the start of the same content; [`check_writer`] one that makes writers and one
//! that tells what arrived. They use each fresh one in another way and compare. The [`Law`]s
//! that they check are listed there. A [`Violation`] says which law broke, doing what, after how
//! many bytes, and what came instead, for instance
//!
//! > law `ReadExact` broken ("`read_exact` fills its buffer, or fails with `UnexpectedEof` at the
//! > end"): asking for 4 bytes after 8 of 10 gave Ok
//!
//! It prints so by `{:?}` too, so that `unwrap` in a test shows it. `Interrupted` from a single
//! call is allowed, as std allows it, and the call is tried again; any other error of a call is a
//! violation. So is a claim of more bytes than the buffer holds: it is found by plain calls,
//! before any of std's loops could panic over it.
//!
//! # Examples
//!
//! A reader that forgets what it has when it is asked for nothing:
//!
//! ```
//! use aqueduct::iotest::{Law, check_reader};
//! use std::io::{self, Read};
//!
//! struct Forgetful<'a>(&'a [u8]);
//!
//! impl Read for Forgetful<'_> {
//!     fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
//!         if buf.is_empty() {
//!             self.0 = &[];
//!         }
//!         self.0.read(buf)
//!     }
//! }
//!
//! check_reader(|| &b"content"[..], b"content")?;
//! let broken = check_reader(|| Forgetful(b"content"), b"content").unwrap_err();
//! assert_eq!(broken.law(), Law::EmptyRead);
//! # Ok::<(), aqueduct::iotest::Violation>(())
//! ```

mod check;
mod every;
mod lying;
mod readers;
mod recorder;
mod script;
mod writers;

pub use self::check::{Law, Violation, check_bufread, check_reader, check_seek, check_writer};
pub use self::every::{InterruptEvery, WouldBlockEvery};
pub use self::lying::Lying;
pub use self::readers::{Chunked, DataThenErr, ErrReader, Half, OneByte, TimeoutOnce};
pub use self::recorder::{Call, Recorder};
pub use self::script::{Script, Step};
pub use self::writers::{ShortWrite, Truncate, ZeroWrite};

use std::io::{self, ErrorKind};

/// An error that a double raises on purpose.
fn injected(kind: ErrorKind, who: &str) -> io::Error {
    io::Error::new(kind, format!("{kind}, as iotest::{who} was told"))
}

/// Access to what a double wraps.
macro_rules! wraps {
    ($name:ident) => {
        impl<T> $name<T> {
            /// What it wraps.
            #[must_use]
            pub fn get_ref(&self) -> &T {
                &self.inner
            }

            /// What it wraps.
            pub fn get_mut(&mut self) -> &mut T {
                &mut self.inner
            }

            /// Gives back what it wraps.
            #[must_use]
            pub fn into_inner(self) -> T {
                self.inner
            }
        }
    };
}

/// A sink that is its own only outlet.
macro_rules! sinks {
    ($name:ident) => {
        impl<W: Write> Sink for $name<W> {
            fn outlets<'a>(&'a mut self, out: &mut Outlets<'a>) {
                out.push(Outlet::opaque(self));
            }
        }
    };
}

use {sinks, wraps};
