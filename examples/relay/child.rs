//! A command whose standard streams are an end.

use aqueduct::task;
use rustix::process::{Pid, Signal, kill_process};
use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::process::{self, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How long it may take after it was told to end, until nobody waits for it any more.
const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) struct Child(process::Child);

impl Child {
    /// Starts `command`, and answers what it writes to and what it reads from. A side that is not
    /// wanted is left alone: there is nothing to read, and what it writes goes where ours goes.
    pub(crate) fn start(
        command: OsString,
        wants: super::Ways,
    ) -> io::Result<(Self, Option<OwnedFd>, Option<OwnedFd>)> {
        let started = task::unblock(move || {
            let mut shell = Command::new("/bin/sh");
            shell.arg("-c").arg(command);
            shell.stdin(if wants.to { Stdio::piped() } else { Stdio::null() });
            shell.stdout(if wants.from { Stdio::piped() } else { Stdio::inherit() });
            shell.spawn()
        });
        let mut child = started??;
        let (from, to) = (child.stdout.take(), child.stdin.take());
        Ok((Self(child), from.map(OwnedFd::from), to.map(OwnedFd::from)))
    }

    /// Waits for its end, for ever or for so long, and then as after [`stop`](Self::stop).
    pub(crate) fn wait(mut self, patience: Option<Duration>) -> io::Result<Option<ExitStatus>> {
        let end = patience.and_then(|patience| Instant::now().checked_add(patience));
        // Its streams have ended, so it has as well, as a rule. No thread waits for those that have not.
        let mut pause = Duration::from_millis(1);
        loop {
            if let Some(status) = self.0.try_wait()? {
                return Ok(Some(status));
            }
            if end.is_some_and(|end| end <= Instant::now()) {
                self.stop();
                return Ok(None);
            }
            task::sleep(pause)?;
            pause = (2 * pause).min(Duration::from_millis(100));
        }
    }

    /// Tells it to end, and has a task see to its remains.
    pub(crate) fn stop(self) {
        // It runs or is still to be waited for, so that the number is its own.
        let _ = kill_process(Pid::from_child(&self.0), Signal::TERM);
        drop(task::spawn(move || self.remains()));
    }

    fn remains(mut self) -> io::Result<()> {
        let mut pause = Duration::from_millis(1);
        let end = Instant::now() + PATIENCE;
        while self.0.try_wait()?.is_none() {
            if end <= Instant::now() {
                self.0.kill()?;
            }
            task::sleep(pause)?;
            pause = (2 * pause).min(Duration::from_millis(100));
        }
        Ok(())
    }
}
