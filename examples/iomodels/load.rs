//! The load: messages in bursts over many pairs, and what came of them.

use super::model::Model;
use super::tally::{Counts, Tally};
use rustix::net::{RecvFlags, SendFlags};
use std::io::{self, ErrorKind};
use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

#[derive(Debug, Clone)]
pub(crate) struct Load {
    pub(crate) size: usize,
    pub(crate) burst: usize,
    pub(crate) rounds: usize,
    /// No new round begins after it.
    pub(crate) time: Duration,
}

/// What one model did with one number of pairs.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) model: &'static str,
    pub(crate) pairs: usize,
    pub(crate) messages: u64,
    /// While messages went.
    pub(crate) counts: Counts,
    pub(crate) counts_calls: bool,
    /// With setting up, and with the end.
    pub(crate) all_calls: u64,
    pub(crate) cpu: Duration,
    pub(crate) wall: Duration,
    pub(crate) p99: Duration,
}

impl Row {
    pub(crate) fn micros_per_message(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.messages as f64
    }
}

/// Longer than this no answer takes.
const PATIENCE: Duration = Duration::from_secs(30);

impl Load {
    /// Has `model` serve so many pairs.
    pub(crate) fn run(&self, model: &dyn Model, pairs: usize) -> io::Result<Row> {
        let (mut near, mut far) = (Vec::new(), Vec::new());
        for _ in 0..pairs {
            let (one, other) = UnixStream::pair()?;
            other.set_read_timeout(Some(PATIENCE))?;
            near.push(one);
            far.push(other);
        }
        let tally = Tally::default();
        let (ready, is_ready) = mpsc::channel();
        thread::scope(|scope| {
            let served = scope.spawn(|| model.serve(near, &tally, ready));
            let mut driven = is_ready
                .recv()
                .map_err(|_| io::Error::from(ErrorKind::NotConnected))
                .and_then(|()| self.drive(model, &far, &tally));
            drop(far);
            served.join().map_err(|_| io::Error::other("it panicked"))??;
            if let Ok(row) = &mut driven {
                row.all_calls = tally.now().calls;
            }
            driven
        })
    }

    fn drive(&self, model: &dyn Model, far: &[UnixStream], tally: &Tally) -> io::Result<Row> {
        let message = vec![b'm'; self.size];
        let mut answer = vec![0; self.size];
        let burst = self.burst.min(far.len());
        let mut sent = Vec::with_capacity(burst);
        let mut latencies = Vec::new();
        let (before, own, all, start) = (tally.now(), own_time(), all_time(), Instant::now());
        let mut next = 0;
        for round in 0..self.rounds {
            if round > 0 && start.elapsed() > self.time {
                break;
            }
            for _ in 0..burst {
                let to = &far[next];
                next = (next + 1) % far.len();
                sent.push((to, Instant::now()));
                send(to, &message)?;
            }
            for (from, at) in sent.drain(..) {
                receive(from, &mut answer)?;
                latencies.push(at.elapsed());
                if answer != message {
                    return Err(io::Error::new(ErrorKind::InvalidData, "other bytes came back"));
                }
            }
        }
        let (wall, cpu) = (start.elapsed(), (all_time() - all).saturating_sub(own_time() - own));
        let counts = tally.now().since(before);
        let messages = latencies.len() as u64;
        if counts.bytes != messages * self.size as u64 {
            return Err(io::Error::new(ErrorKind::InvalidData, "the bytes do not add up"));
        }
        latencies.sort_unstable();
        let p99 = latencies[(latencies.len() * 99).div_ceil(100) - 1];
        let (name, counts_calls) = (model.name(), model.counts_calls());
        Ok(Row {
            model: name,
            pairs: far.len(),
            messages,
            counts,
            counts_calls,
            all_calls: 0,
            cpu,
            wall,
            p99,
        })
    }
}

/// By send(2), which no model uses: so strace(1) can tell the two apart.
fn send(to: &UnixStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let n = rustix::net::send(to, bytes, SendFlags::empty())?;
        bytes = &bytes[n..];
    }
    Ok(())
}

fn receive(from: &UnixStream, buf: &mut [u8]) -> io::Result<()> {
    let mut got = 0;
    while got < buf.len() {
        match rustix::net::recv(from, &mut buf[got..], RecvFlags::empty())?.0 {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            n => got += n,
        }
    }
    Ok(())
}

#[cfg(not(target_os = "netbsd"))]
fn own_time() -> Duration {
    time(rustix::time::ClockId::ThreadCPUTime)
}

#[cfg(not(target_os = "netbsd"))]
fn all_time() -> Duration {
    time(rustix::time::ClockId::ProcessCPUTime)
}

#[cfg(not(target_os = "netbsd"))]
fn time(clock: rustix::time::ClockId) -> Duration {
    Duration::try_from(rustix::time::clock_gettime(clock)).unwrap_or_default()
}

/// Its clocks of processor time have no safe interface.
#[cfg(target_os = "netbsd")]
fn own_time() -> Duration {
    Duration::ZERO
}

#[cfg(target_os = "netbsd")]
fn all_time() -> Duration {
    Duration::ZERO
}
