//! What a piece of work took.

use aqueduct::copy::{Exchange, Report};
use rustix::time::{ClockId, clock_gettime};
use std::io;
use std::time::{Duration, Instant};

/// One piece of work, done.
pub(crate) struct Run {
    pub(crate) bytes: u64,
    pub(crate) path: String,
    pub(crate) wall: Duration,
    /// Of the thread that copied, in user space and in the kernel.
    pub(crate) cpu: Duration,
}

impl Run {
    pub(crate) fn gib_per_second(&self) -> f64 {
        self.gib() / self.wall.as_secs_f64().max(1e-9)
    }

    pub(crate) fn cpu_seconds_per_gib(&self) -> f64 {
        self.cpu.as_secs_f64() / self.gib().max(1e-9)
    }

    fn gib(&self) -> f64 {
        self.bytes as f64 / f64::from(1 << 30)
    }
}

/// How many bytes were copied, and by which path.
pub(crate) trait Copied {
    fn told(self) -> (u64, String);
}

impl Copied for Report {
    fn told(self) -> (u64, String) {
        (self.taken(), self.to_string())
    }
}

/// Both directions, which went the same way.
impl Copied for Exchange {
    fn told(self) -> (u64, String) {
        (self.forth.taken() + self.back.taken(), self.forth.to_string())
    }
}

impl Copied for u64 {
    fn told(self) -> (u64, String) {
        (self, String::new())
    }
}

/// Does the work under the clock.
pub(crate) fn clock<T: Copied>(work: impl FnOnce() -> io::Result<T>) -> io::Result<Run> {
    let (began, spent) = (Instant::now(), cpu());
    let done = work()?;
    let (wall, cpu) = (began.elapsed(), cpu().saturating_sub(spent));
    let (bytes, path) = done.told();
    Ok(Run { bytes, path, wall, cpu })
}

/// What the running thread has spent so far.
pub(crate) fn cpu() -> Duration {
    #[cfg(not(target_os = "netbsd"))]
    let time = clock_gettime(ClockId::ThreadCPUTime);
    // rustix does not know such a clock here.
    #[cfg(target_os = "netbsd")]
    let time = clock_gettime(ClockId::Monotonic);
    Duration::try_from(time).unwrap_or_default()
}
