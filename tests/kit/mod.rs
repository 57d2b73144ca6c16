//! What the tests of streams share: a watchdog, ways to wait, and connected pairs.
#![allow(dead_code, reason = "each test uses a part of it")]

use aqueduct::poll::Local;
use aqueduct::stream::Stream;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
use std::fs::{self, OpenOptions};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::panic::resume_unwind;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// A wait that is still under way after this long was never woken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Runs `body` on a thread of its own. Where it waits for ever, this fails.
pub(crate) fn within<T: Send + 'static>(
    name: &str,
    body: impl FnOnce() -> T + Send + 'static,
) -> T {
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
    thread.join().unwrap_or_else(|panic| resume_unwind(panic))
}

/// How the threads of a test wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// By poll(2).
    Plain,
    /// Each through a poller of its own.
    Local,
    /// Every other one through a poller of its own.
    Mixed,
}

impl Way {
    pub(crate) const ALL: [Self; 3] = [Self::Plain, Self::Local, Self::Mixed];

    /// To be held by the thread of this number as long as it works.
    pub(crate) fn enter(self, number: usize) -> Option<Local> {
        let local = match self {
            Self::Plain => false,
            Self::Local => true,
            Self::Mixed => number.is_multiple_of(2),
        };
        local.then(|| Local::new().unwrap())
    }
}

/// Runs `body` in each way, on a thread that is number 0.
pub(crate) fn on_all_ways(name: &'static str, body: fn(Way)) {
    for way in Way::ALL {
        within(&format!("{name}, {way:?}"), move || {
            let _guard = way.enter(0);
            body(way);
        });
    }
}

/// A thread's number, for [`until_asleep`].
pub(crate) fn this_thread() -> i32 {
    rustix::thread::gettid().as_raw_nonzero().get()
}

/// Returns when the thread sleeps in the kernel, or is gone: likely where it was sent to wait.
pub(crate) fn until_asleep(thread: i32) {
    loop {
        let Ok(stat) = fs::read_to_string(format!("/proc/self/task/{thread}/stat")) else { return };
        // The name before it may hold anything but ends with the last parenthesis.
        let state = stat.rsplit_once(") ").map(|(_, rest)| rest.as_bytes()[0]);
        // One that strace(1) has stopped does not sleep.
        if matches!(state, Some(b'S' | b'D')) {
            return;
        }
        thread::yield_now();
    }
}

/// A call that is expected to wait, on a thread of its own.
pub(crate) struct Waiting<T> {
    thread: thread::JoinHandle<T>,
    number: i32,
}

impl<T: Send + 'static> Waiting<T> {
    pub(crate) fn start(
        way: Way,
        number: usize,
        call: impl FnOnce() -> T + Send + 'static,
    ) -> Self {
        let (tell, hear) = mpsc::channel();
        let thread = thread::spawn(move || {
            let _guard = way.enter(number);
            tell.send(this_thread()).unwrap();
            call()
        });
        Self { thread, number: hear.recv().unwrap() }
    }

    /// Until it seems to wait.
    pub(crate) fn asleep(self) -> Self {
        until_asleep(self.number);
        self
    }

    pub(crate) fn join(self) -> T {
        self.thread.join().unwrap_or_else(|panic| resume_unwind(panic))
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
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
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

pub(crate) fn streams<A: std::os::fd::AsFd, B: std::os::fd::AsFd>(
    (a, b): (A, B),
) -> (Stream<A>, Stream<B>) {
    (Stream::from_std(a).unwrap(), Stream::from_std(b).unwrap())
}

/// Bytes without a short period.
pub(crate) fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..len).map(|_| next()).collect()
}
