//! Descriptors that the program was given and shares with others.

use super::{Inner, Stream};
use crate::sys::{self, Manner, Nowait};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

/// Standard input as a stream: reads have deadlines and can be ended from elsewhere, whatever
/// standard input is.
///
/// Nothing is buffered, so what is not read stays for the next program. Do not mix it with
/// [`std::io::stdin`], which reads ahead.
///
/// # Errors
///
/// Those of fcntl(2) and fstat(2): that it is closed, above all.
///
/// # Examples
///
/// ```no_run
/// use std::io::{ErrorKind, Read};
/// use std::time::{Duration, Instant};
///
/// let mut stdin = aqueduct::stdin()?;
/// stdin.set_read_deadline(Some(Instant::now() + Duration::from_secs(5)));
/// let mut answer = [0; 80];
/// match stdin.read(&mut answer) {
///     Err(e) if e.kind() == ErrorKind::TimedOut => println!("five seconds are over"),
///     other => println!("{} bytes", other?),
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn stdin() -> io::Result<Stream<Inherited>> {
    Stream::inherit(io::stdin().as_fd().try_clone_to_owned()?)
}

/// Standard output as a stream; see [`stdin`]. Nothing is buffered.
///
/// # Errors
///
/// As [`stdin`].
pub fn stdout() -> io::Result<Stream<Inherited>> {
    Stream::inherit(io::stdout().as_fd().try_clone_to_owned()?)
}

/// Standard error as a stream; see [`stdin`]. Nothing is buffered.
///
/// # Errors
///
/// As [`stdin`].
pub fn stderr() -> io::Result<Stream<Inherited>> {
    Stream::inherit(io::stderr().as_fd().try_clone_to_owned()?)
}

/// A descriptor whose description others may share, so that none of its flags is ever changed.
#[derive(Debug)]
pub struct Inherited {
    given: OwnedFd,
    /// A description of our own, of the same file.
    private: Option<OwnedFd>,
    rung: Rung,
}

/// How calls on an [`Inherited`] descriptor are kept from blocking, the best that it allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Rung {
    /// It never makes anybody wait for another program: a regular file, /dev/null, /dev/zero.
    AlwaysReady,
    /// It is a socket: `MSG_DONTWAIT`.
    Socket,
    /// It is a pipe or a terminal, which was opened once more through /proc/self/fd, as a
    /// non-blocking description of our own.
    Reopened,
    /// It is a pipe, on a kernel where each call can say that it must not wait: `RWF_NOWAIT`. The
    /// kernel takes that back once anybody has spliced from or into it; then it is as `Asked`.
    PerCall,
    /// None of these: poll(2) is asked before each call. A process that shares it may take the
    /// bytes in between, and then the call does block, and neither deadline nor close ends it.
    Asked,
}

impl Stream<Inherited> {
    /// Takes over a descriptor that the program was given and whose description other processes
    /// may share. None of its flags is changed.
    ///
    /// # Errors
    ///
    /// Those of fstat(2) and fcntl(2).
    pub fn inherit(fd: OwnedFd) -> io::Result<Self> {
        let ladder = [Rung::AlwaysReady, Rung::Socket, Rung::Reopened, Rung::PerCall];
        let manner = sys::manner(fd.as_fd())?;
        for rung in ladder {
            if let Some(private) = rung.holds(&fd, manner) {
                return Ok(Self::on(Inherited { given: fd, private, rung }, manner));
            }
        }
        Ok(Self::on(Inherited { given: fd, private: None, rung: Rung::Asked }, manner))
    }

    fn on(io: Inherited, manner: Manner) -> Self {
        let nowait = io.rung.nowait();
        Self {
            inner: Arc::new(Inner::with(io, Manner { nowait, ..manner }, |io| io.given.as_fd())),
        }
    }
}

impl Inherited {
    /// How its calls are kept from blocking.
    #[must_use]
    pub fn rung(&self) -> Rung {
        self.rung
    }
}

impl AsFd for Inherited {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.private.as_ref().unwrap_or(&self.given).as_fd()
    }
}

impl Rung {
    /// Whether it bears the descriptor, with the private description that it may need.
    fn holds(self, fd: &OwnedFd, manner: Manner) -> Option<Option<OwnedFd>> {
        let fd = fd.as_fd();
        match self {
            Self::AlwaysReady => (!manner.waits() || sys::never_waits(fd)).then_some(None),
            Self::Socket => (manner.nowait == Nowait::Socket).then_some(None),
            Self::PerCall => sys::answers_nowait(fd).then_some(None),
            Self::Reopened => sys::reopen(fd).ok().map(Some),
            Self::Asked => Some(None),
        }
    }

    fn nowait(self) -> Nowait {
        match self {
            Self::AlwaysReady => Nowait::Never,
            Self::Socket => Nowait::Socket,
            Self::PerCall => Nowait::Call,
            Self::Reopened => Nowait::Flag,
            Self::Asked => Nowait::Ask,
        }
    }
}

#[cfg(all(test, target_os = "linux", not(miri)))]
mod tests;
