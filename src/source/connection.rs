//! Streams in two directions.

use super::{Deadlines, Sink, Source};
use std::io;

/// Something that is read and written, each independently of the other, as a socket is.
///
/// [`copy_bidirectional`](crate::copy_bidirectional) joins two of them. A reader and a writer make one:
/// `(reader, writer)`.
///
/// # Examples
///
/// A program and what it says as a connection, with a log of the latter. The program reads to the end
/// once its standard input is dropped:
///
/// ```
/// use aqueduct::{ReadExt, WriteExt, copy_bidirectional};
/// use std::io::{Read, Write};
/// use std::process::{Command, Stdio};
///
/// let mut sort = Command::new("sort").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
/// let (mut near, mut far) = aqueduct::duplex_with_capacity(1024);
/// near.write_all(b"b\na\n")?;
/// let (mut answer, writer) = near.split();
/// drop(writer);
///
/// let mut log = Vec::new();
/// let (out, into) = (sort.stdout.take().unwrap(), sort.stdin.take().unwrap());
/// copy_bidirectional(&mut (out.tee(&mut log), into.closing()), &mut far)?;
/// drop(far);
///
/// let mut text = String::new();
/// answer.read_to_string(&mut text)?;
/// assert_eq!(text, "a\nb\n");
/// assert_eq!(log, b"a\nb\n");
/// # sort.wait()?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no connection, whose two directions can be used at the same time",
    label = "not a `Connection`",
    note = "a reader and a writer make one: `(reader, writer)`",
    note = "a writer whose end is told by dropping it joins by `writer.closing()`, with `use aqueduct::WriteExt`"
)]
pub trait Connection {
    /// The two directions, for a flow of control each.
    fn halves(&mut self) -> (impl Source + Send, impl Finish + Send);

    /// What ends calls under way that wait within `read` and `write`. Where the halves are descriptors
    /// it is not needed.
    fn control(&self) -> Option<Box<dyn Deadlines + Send + Sync>> {
        None
    }
}

/// A writer that can tell its reader that nothing more will come, while its connection goes on in the
/// other direction.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot tell its reader that nothing more will come",
    note = "if dropping it does: `writer.closing()`, with `use aqueduct::WriteExt`"
)]
pub trait Finish: Sink {
    /// Flushes, and ends this direction. A second call does nothing.
    ///
    /// # Errors
    ///
    /// Those of flushing, and of the system. That the reader has gone is none.
    fn finish(&mut self) -> io::Result<()>;
}

impl<T: Connection + ?Sized> Connection for &mut T {
    fn halves(&mut self) -> (impl Source + Send, impl Finish + Send) {
        T::halves(self)
    }

    fn control(&self) -> Option<Box<dyn Deadlines + Send + Sync>> {
        T::control(self)
    }
}

impl<R: Source + Send, W: Finish + Send> Connection for (R, W) {
    fn halves(&mut self) -> (impl Source + Send, impl Finish + Send) {
        (&mut self.0, &mut self.1)
    }
}

impl<T: Finish + ?Sized> Finish for &mut T {
    fn finish(&mut self) -> io::Result<()> {
        T::finish(self)
    }
}

impl<T: Finish + ?Sized> Finish for Box<T> {
    fn finish(&mut self) -> io::Result<()> {
        T::finish(self)
    }
}
