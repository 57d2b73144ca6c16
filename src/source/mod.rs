//! What a stream says about itself: the vocabulary between adapters and [`copy`](crate::copy()).
//!
//! A reader that is a [`Source`] can say where its next bytes lie: in memory, in a descriptor, or
//! nowhere that anybody else may look. A writer that is a [`Sink`] says where bytes for it may be
//! put. An adapter answers for itself and hands the question on, so that a chain of any depth
//! comes down to a few descriptors, and `copy` can move the bytes inside the kernel.
//!
//! Nobody needs these traits to *use* the crate. Implement them for a reader or writer of your
//! own to keep the kernel path through it; a type that does not implement them joins a copy
//! as `&mut r as &mut dyn Read`, or wrapped once by
//! [`ReadExt::opaque`](crate::adapters::ReadExt::opaque).
//!
//! # The protocol
//!
//! `copy` repeats one step until the source has ended. Each step it asks the source for its next
//! [`Piece`] and the sink for its [`Outlet`]s, moves bytes, and tells both what happened:
//!
//! * **A step around the chain** (the piece is [`Buffered`](Piece::Buffered) or an
//!   [`Fd`](Piece::Fd), and the engine moves the bytes itself). First
//!   [`prepare`](Source::prepare) is called on both ends. Afterwards
//!   [`Source::advance`] hears how many bytes were taken and how each *tap* (an outlet that the
//!   source side pushed) fared, and [`Sink::advance`] how each outlet of the sink did.
//! * **A step through the chain** (a plain loop). The engine calls `read` on the outermost
//!   source, which feeds its own taps and counts for itself: what it pushed as taps is ignored
//!   and `Source::advance` is not called. Then it writes the bytes outlet by outlet and calls
//!   `Sink::advance`.
//!
//! Rules that every implementation keeps:
//!
//! 1. Describing has no side effect: `piece` and `outlets` may be called any number of times.
//! 2. An adapter pushes the same number of outlets every time, those it has given up as
//!    [`Outlet::Gone`]. Their order numbers them, taps first and then the sink's outlets; that
//!    number is the index in a [`CopyError`](crate::copy::CopyError).
//! 3. In `advance` an adapter takes from [`Outcomes`] exactly as many as it pushed, in that
//!    order, whatever the results were. A leaf returns its outcome's error; an adapter with a
//!    policy (tee, multi) may absorb it and give the outlet up.
//! 4. Claiming `Fd` is a promise that `read` (or `write`) is exactly read(2) (or write(2)) on
//!    that descriptor, in order. Having a descriptor proves nothing: a TLS stream has one too.
//! 5. Where `piece` says `Opaque`, only `read` will do. That is always a correct answer.
//!
//! Apart from all that, [`Deadlines`] is there for code that is generic over connections.

mod connection;
mod deadlines;
#[cfg(test)]
pub(crate) mod drive;
mod foreign;
mod outlets;
mod std;

pub use self::connection::{Connection, Finish};
pub use self::deadlines::Deadlines;
pub(crate) use self::outlets::Outcome;
pub use self::outlets::{Handle, Outcomes, Outlet, Outlets, Piece};

use ::std::io::{self, Read, Write};

/// A reader that can say where its next bytes lie.
///
/// The defaults describe a reader of which nothing is known, so `impl Source for MyReader {}`
/// is complete and right. See the [module](self) for the protocol.
///
/// # Examples
///
/// A newtype that keeps the kernel path of the file within:
///
/// ```
/// use aqueduct::source::{Outcomes, Outlets, Piece, Source};
/// use std::{fs::File, io};
///
/// struct Log(File);
///
/// impl io::Read for Log {
///     fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
///         self.0.read(buf)
///     }
/// }
///
/// impl Source for Log {
///     fn piece<'a>(&'a mut self, taps: &mut Outlets<'a>) -> Piece<'a> {
///         self.0.piece(taps)
///     }
///     fn advance(&mut self, n: u64, taps: &mut Outcomes<'_>) -> io::Result<()> {
///         self.0.advance(n, taps)
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say what it is made of, so `copy` cannot take it as a source",
    label = "not a `Source`",
    note = "any reader can be copied from as `&mut reader as &mut dyn std::io::Read`",
    note = "or wrapped once: `reader.opaque()`, with `use aqueduct::ReadExt`",
    note = "a type of your own can say more about itself: `impl aqueduct::source::Source for ...`"
)]
pub trait Source: Read {
    /// Called before a step that goes around the chain: flush the taps' buffers.
    ///
    /// # Errors
    ///
    /// Those of flushing; [`at_fault`](Self::at_fault) then tells which tap.
    fn prepare(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Describes where the next bytes lie, and pushes the outlets that must get a copy of them.
    fn piece<'a>(&'a mut self, taps: &mut Outlets<'a>) -> Piece<'a> {
        let _ = taps;
        Piece::Opaque
    }

    /// `n` bytes of the piece were taken, and the taps fared as `taps` tells.
    ///
    /// # Errors
    ///
    /// That of a tap, unless the adapter absorbs it. The `n` bytes count as taken all the same.
    fn advance(&mut self, n: u64, taps: &mut Outcomes<'_>) -> io::Result<()> {
        let _ = (n, taps);
        Ok(())
    }

    /// The piece gave no bytes: `false`, the source has ended; `true`, ask for the next piece.
    ///
    /// # Errors
    ///
    /// When the source may not end here.
    fn end(&mut self) -> io::Result<bool> {
        Ok(false)
    }

    /// Which of the own taps caused the last error of `read`, `prepare` or `advance`.
    fn at_fault(&self) -> Option<usize> {
        None
    }

    /// The bytes that `read` has handed out and that tap number `tap` did not get, whether its
    /// error was returned already or is still to come. Kept until the call after the one that
    /// returned the error, or until an `advance` whose outcomes [settle](Outcomes::settles) them.
    fn missed(&self, tap: usize) -> &[u8] {
        let _ = tap;
        &[]
    }
}

/// A writer that can say where bytes for it may be put.
///
/// `copy` needs at least one outlet of a sink that takes bytes; the [default](Self::outlets) is
/// that the writer itself is its only outlet. See the [module](self) for the protocol.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say what it is made of, so `copy` cannot take it as a sink",
    label = "not a `Sink`",
    note = "any writer can be copied into as `&mut writer as &mut dyn std::io::Write`",
    note = "or wrapped once: `writer.opaque_writes()`, with `use aqueduct::WriteExt`",
    note = "a type of your own can say more about itself: `impl aqueduct::source::Sink for ...`"
)]
pub trait Sink: Write {
    /// Called before a step that goes around the chain: flush the buffers.
    ///
    /// # Errors
    ///
    /// Those of flushing; [`at_fault`](Self::at_fault) then tells which outlet.
    fn prepare(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Pushes the outlets that must get the next bytes, always the same number.
    ///
    /// A plain writer pushes itself: `out.push(Outlet::Opaque { to: self, max: u64::MAX })`.
    fn outlets<'a>(&'a mut self, out: &mut Outlets<'a>);

    /// The outlets fared as `out` tells.
    ///
    /// # Errors
    ///
    /// That of an outlet, unless the adapter absorbs it.
    fn advance(&mut self, out: &mut Outcomes<'_>) -> io::Result<()> {
        out.take()
    }

    /// Which of the own outlets caused the last error of `write`, `flush`, `prepare`, `advance`.
    fn at_fault(&self) -> Option<usize> {
        None
    }

    /// How many bytes outlet number `outlet` has got beyond those that the failed `write` before
    /// this call accepted. Settled by an `advance` whose outcomes
    /// [say so](Outcomes::settles).
    fn ahead(&self, outlet: usize) -> usize {
        let _ = outlet;
        0
    }
}

/// How many taps `source` has.
pub(crate) fn taps<S: Source + ?Sized>(source: &mut S) -> usize {
    let mut probe = Outlets::new(true);
    source.piece(&mut probe);
    probe.len()
}

/// How many outlets `sink` has.
pub(crate) fn outlets<K: Sink + ?Sized>(sink: &mut K) -> usize {
    let mut probe = Outlets::new(true);
    sink.outlets(&mut probe);
    probe.len()
}
