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
    /// It never makes anybody wait for another program: a regular file, /dev/null.
    AlwaysReady,
    /// It is a socket: `MSG_DONTWAIT`.
    Socket,
    /// It was opened once more through /proc/self/fd, as a non-blocking description of our own.
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
            Self::AlwaysReady => (!manner.waits() || sys::is_null(fd)).then_some(None),
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
mod tests {
    use super::*;
    use std::fs::{File, OpenOptions};
    use std::io::{ErrorKind, Read, Write};
    use std::os::unix::net::UnixStream;
    use std::thread;
    use std::time::{Duration, Instant};

    fn flags(fd: impl AsFd) -> rustix::fs::OFlags {
        rustix::fs::fcntl_getfl(fd).unwrap()
    }

    /// A terminal in raw mode: what is written to the first comes out of the second.
    fn terminal() -> (File, OwnedFd) {
        use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
        use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let slave = OpenOptions::new().read(true).write(true).open(name).unwrap();
        let mut modes = tcgetattr(&slave).unwrap();
        modes.make_raw();
        tcsetattr(&slave, OptionalActions::Now, &modes).unwrap();
        (master.into(), slave.into())
    }

    /// A descriptor to read from, another of the same description, and its other end.
    fn given(what: &str) -> (OwnedFd, OwnedFd, File) {
        let (near, far): (OwnedFd, File) = match what {
            "pipe" => {
                let (reader, writer) = io::pipe().unwrap();
                (reader.into(), OwnedFd::from(writer).into())
            }
            "socket" => {
                let (near, far) = UnixStream::pair().unwrap();
                (near.into(), OwnedFd::from(far).into())
            }
            _ => {
                let (master, slave) = terminal();
                (slave, master)
            }
        };
        (near.try_clone().unwrap(), near, far)
    }

    fn on(rung: Rung, fd: OwnedFd) -> Stream<Inherited> {
        let manner = sys::manner(fd.as_fd()).unwrap();
        let private = rung.holds(&fd, manner).expect("the rung bears it");
        Stream::on(Inherited { given: fd, private, rung }, manner)
    }

    #[test]
    fn on_every_rung_there_are_deadlines_and_close_and_no_flag_changes() {
        let rungs = [
            ("pipe", Rung::PerCall),
            ("pipe", Rung::Reopened),
            ("pipe", Rung::Asked),
            ("socket", Rung::Socket),
            ("socket", Rung::Asked),
            ("tty", Rung::Reopened),
            ("tty", Rung::Asked),
        ];
        for (what, rung) in rungs {
            let (fd, shared, mut far) = given(what);
            let before = flags(&shared);
            let mut stream = on(rung, fd);
            let soon = Instant::now() + Duration::from_millis(2);
            stream.set_read_deadline(Some(soon));
            let late = stream.read(&mut [0; 8]).unwrap_err();
            assert_eq!(late.kind(), ErrorKind::TimedOut, "{what} {rung:?}");
            assert!(Instant::now() >= soon);
            stream.set_read_deadline(None);

            far.write_all(b"news").unwrap();
            let mut buf = [0; 4];
            stream.read_exact(&mut buf).unwrap();
            assert_eq!(&buf, b"news", "{what} {rung:?}");

            let control = stream.control();
            let closer = thread::spawn(move || control.close());
            let closed = stream.read(&mut buf).unwrap_err();
            assert_eq!(closed.kind(), ErrorKind::NotConnected, "{what} {rung:?}");
            closer.join().unwrap();
            assert_eq!(flags(&shared), before, "{what} {rung:?}");
        }
    }

    #[test]
    fn on_every_rung_a_full_pipe_times_out_and_what_was_written_arrives_once() {
        let block: Vec<u8> = (0..1 << 20).map(|i| (i % 251) as u8).collect();
        for rung in [Rung::PerCall, Rung::Reopened, Rung::Asked] {
            let (reader, writer) = io::pipe().unwrap();
            let before = flags(&writer);
            let mut stream = on(rung, writer.try_clone().unwrap().into());
            stream.set_write_deadline(Some(Instant::now() + Duration::from_millis(50)));
            let written = stream.write(&block).unwrap();
            assert!(0 < written && written < block.len(), "{rung:?}: {written}");
            let full = stream.write(&block).unwrap_err();
            assert_eq!(full.kind(), ErrorKind::TimedOut, "{rung:?}");
            assert_eq!(flags(&writer), before);
            drop((stream, writer));
            let mut got = Vec::new();
            (&reader).read_to_end(&mut got).unwrap();
            assert_eq!(got, block[..written], "{rung:?}");
        }
    }

    #[test]
    fn each_kind_of_descriptor_gets_the_best_rung() {
        let (pipe, socket, tty) = (given("pipe"), given("socket"), given("tty"));
        let file = OwnedFd::from(tempfile::tempfile().unwrap());
        let null = OwnedFd::from(File::open("/dev/null").unwrap());
        let best = |fd: OwnedFd| Stream::inherit(fd).unwrap().get_ref().rung();
        assert_eq!(best(pipe.0), Rung::Reopened);
        assert_eq!(best(socket.0), Rung::Socket);
        assert_eq!(best(tty.0), Rung::Reopened);
        assert_eq!(best(file), Rung::AlwaysReady);
        assert_eq!(best(null), Rung::AlwaysReady);
    }

    #[test]
    fn a_pipe_that_was_spliced_takes_no_per_call_flag_and_is_asked() {
        let (fd, shared, mut far) = given("pipe");
        let mut stream = on(Rung::PerCall, fd);
        let (_drain, sink) = io::pipe().unwrap();
        far.write_all(b"bytes").unwrap();
        sys::splice((shared.as_fd(), None), (sink.as_fd(), None), 2, false).unwrap();
        let mut buf = [0; 8];
        assert_eq!(stream.read(&mut buf).unwrap(), 3);
        assert_eq!(stream.try_read(&mut buf).unwrap_err().kind(), ErrorKind::WouldBlock);
        sys::splice((stream.as_fd(), None), (sink.as_fd(), None), 2, false).unwrap_err();
        far.write_all(b"more").unwrap();
        assert_eq!(stream.read(&mut buf).unwrap(), 4);
    }

    #[test]
    fn an_inherited_pipe_is_copied_in_the_kernel_and_keeps_its_deadline() {
        let (fd, _shared, mut far) = given("pipe");
        let feeder = thread::spawn(move || far.write_all(&vec![5; 1 << 20]).map(|()| far));
        let mut stream = Stream::inherit(fd).unwrap();
        let mut file = tempfile::tempfile().unwrap();
        let report = crate::Copier::new().limit(1 << 20).copy(&mut stream, &mut file).unwrap();
        assert_eq!(report.copied(), 1 << 20);
        assert!(report.bytes(crate::copy::Path::Splice) > 0, "by {report}");
        let _far = feeder.join().unwrap().unwrap();
        stream.set_read_deadline(Some(Instant::now()));
        let late = crate::copy(&mut stream, &mut file).unwrap_err();
        assert_eq!(late.kind(), ErrorKind::TimedOut);
    }
}
