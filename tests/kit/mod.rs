//! What the tests of streams share: a watchdog, ways to wait, and connected pairs.
#![allow(dead_code, unused_imports, reason = "each test uses a part of it")]

mod dice;
mod way;

pub(crate) use self::dice::Dice;
pub(crate) use self::way::{Waiting, Way, on_all_ways, runs_tasks, this_thread, until_asleep};

use aqueduct::stream::Stream;
#[cfg(not(target_os = "netbsd"))]
use rustix::pty::ptsname;
use rustix::pty::{OpenptFlags, grantpt, openpt, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Read};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::panic::resume_unwind;
use std::path::PathBuf;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// A wait that is still under way after this long was never woken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Runs `body` on a thread of its own. Where it waits for ever, this fails.
pub(crate) fn within<T: Send + 'static>(
    name: &str,
    body: impl FnOnce() -> T + Send + 'static,
) -> T {
    let before = Descriptors::counted();
    let (done, end) = mpsc::channel();
    let thread = thread::spawn(move || {
        let result = body();
        let _ = done.send(());
        result
    });
    match end.recv_timeout(PATIENCE) {
        Err(RecvTimeoutError::Timeout) => panic!("{name}: still waiting, a wake was lost"),
        Ok(()) | Err(RecvTimeoutError::Disconnected) => {}
    }
    let result = thread.join().unwrap_or_else(|panic| resume_unwind(panic));
    if let Some(before) = before {
        before.assert_none_is_left(name);
    }
    result
}

/// What the process has open. With `AQUEDUCT_COUNT_DESCRIPTORS=1` whatever runs [`within`] a time must
/// leave none open; one test at a time, then, as by `--test-threads=1`.
struct Descriptors(BTreeMap<OsString, PathBuf>);

impl Descriptors {
    fn counted() -> Option<Self> {
        env::var_os("AQUEDUCT_COUNT_DESCRIPTORS")?;
        // That of the process stays.
        aqueduct::task::spawn(|| ()).join().unwrap();
        Some(Self::now())
    }

    fn now() -> Self {
        let all = fs::read_dir("/proc/self/fd").unwrap().flatten();
        // The directory itself is gone by the time it is asked for.
        Self(all.filter_map(|fd| Some((fd.file_name(), fs::read_link(fd.path()).ok()?))).collect())
    }

    /// Threads may still be about to end.
    fn assert_none_is_left(&self, name: &str) {
        let end = Instant::now() + PATIENCE;
        loop {
            let now = Self::now();
            if now.0.len() <= self.0.len() {
                return;
            }
            let left: Vec<_> = now.0.iter().filter(|(fd, _)| !self.0.contains_key(*fd)).collect();
            assert!(Instant::now() < end, "{name}: left open: {left:?}");
            thread::sleep(Duration::from_millis(1));
        }
    }
}

pub(crate) fn tcp() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let a = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (a, listener.accept().unwrap().0)
}

pub(crate) fn unix() -> (UnixStream, UnixStream) {
    UnixStream::pair().unwrap()
}

/// A terminal, canonical or raw: its master and its slave.
pub(crate) fn terminal(raw: bool) -> (OwnedFd, OwnedFd) {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY;
    #[cfg(target_os = "linux")]
    let flags = flags | OpenptFlags::CLOEXEC;
    let master = openpt(flags).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    #[cfg(not(target_os = "netbsd"))]
    let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
    #[cfg(target_os = "netbsd")]
    let name = "/rustix knows no names of terminals here";
    let mut options = OpenOptions::new();
    let slave = std::os::unix::fs::OpenOptionsExt::custom_flags(
        options.read(true).write(true),
        rustix::fs::OFlags::NOCTTY.bits().cast_signed(),
    );
    let slave = slave.open(name).unwrap();
    if raw {
        let mut modes = tcgetattr(&slave).unwrap();
        modes.make_raw();
        tcsetattr(&slave, OptionalActions::Now, &modes).unwrap();
    }
    (master, slave.into())
}

pub(crate) fn streams<A: AsFd, B: AsFd>((a, b): (A, B)) -> (Stream<A>, Stream<B>) {
    (Stream::from_std(a).unwrap(), Stream::from_std(b).unwrap())
}

/// Lets a read wait in vain once, so that the stream is registered with a poller:
/// [abroad](Way::abroad), if that is the way.
pub(crate) fn registered<T: AsFd + Send + Sync + 'static>(
    way: Way,
    mut stream: Stream<T>,
) -> Stream<T> {
    way.abroad(move || {
        stream.set_read_deadline(Some(Instant::now() + Duration::from_millis(1)));
        assert_eq!(stream.read(&mut [0]).unwrap_err().kind(), ErrorKind::TimedOut);
        stream.set_read_deadline(None);
        stream
    })
}

/// Bytes without a short period.
pub(crate) fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut dice = Dice(seed | 1);
    (0..len).map(|_| dice.next() as u8).collect()
}
