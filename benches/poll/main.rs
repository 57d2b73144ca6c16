//! What waiting costs: streams on plain threads and on a `Local`, beside `polling`, `mio` and std.
//! Each line: row, who, nanoseconds a step by the clock, how often as much as the first of the row,
//! and the same of the processors' time, which other programs disturb less.
//! `benches/poll_go.sh` has Go print the same rows. Given words, only rows that begin with one.
//!
//! `poll trips WHO CONNECTIONS ROUNDS` makes so many round trips and nothing else, for
//! `benches/poll_syscalls.sh` to count system calls. Given `--test`, as `cargo test --benches`
//! does, everything runs once, to show that it works.

mod calls;
mod trips;
mod wakes;

use aqueduct::poll::Poller;
use rustix::time::{ClockId, clock_gettime};
use std::io;
use std::time::Duration;

/// One of those that are compared: takes so many steps.
type Contender<'a> = (&'a str, &'a dyn Fn(usize) -> io::Result<()>);

/// What is measured, and how much.
#[derive(Debug, Clone, Copy)]
struct Scale<'a> {
    wanted: &'a [&'a str],
    samples: usize,
    divisor: usize,
}

impl Scale<'_> {
    /// Has all of them take so many steps and prints the median of each. They take turns, each time
    /// in another order: what one leaves behind for the system to clear away is paid by the next.
    fn row(self, name: &str, steps: usize, contenders: &[Contender<'_>]) -> io::Result<()> {
        if !self.wanted.is_empty() && !self.wanted.iter().any(|word| name.starts_with(word)) {
            return Ok(());
        }
        let steps = (steps / self.divisor).max(1);
        let mut samples = vec![[Vec::new(), Vec::new()]; contenders.len()];
        let mut order: Vec<_> = (0..contenders.len()).collect();
        for turn in 0..self.samples {
            order.rotate_left(1);
            if turn % contenders.len() == 0 {
                order.reverse();
            }
            for &i in &order {
                let before = clocks();
                (contenders[i].1)(steps)?;
                for ((list, after), before) in samples[i].iter_mut().zip(clocks()).zip(before) {
                    list.push((after - before) / steps as f64);
                }
            }
        }
        let medians = samples.iter_mut().map(|lists| {
            lists.each_mut().map(|list| {
                list.sort_by(f64::total_cmp);
                list[list.len() / 2]
            })
        });
        let medians: Vec<_> = medians.collect();
        let [first_wall, first_cpu] = medians[0];
        for ((who, _), [wall, cpu]) in contenders.iter().zip(&medians) {
            let (wall_ratio, cpu_ratio) = (wall / first_wall, cpu / first_cpu);
            println!("{name}\t{who}\t{wall:.0}\t{wall_ratio:.2}\t{cpu:.0}\t{cpu_ratio:.2}");
        }
        Ok(())
    }
}

/// The time, and that which all threads have had of the processors, in nanoseconds.
fn clocks() -> [f64; 2] {
    #[cfg(not(target_os = "netbsd"))]
    let spent = ClockId::ProcessCPUTime;
    // rustix does not know such a clock here.
    #[cfg(target_os = "netbsd")]
    let spent = ClockId::Monotonic;
    [ClockId::Monotonic, spent].map(|clock| {
        let now = clock_gettime(clock);
        now.tv_sec as f64 * 1e9 + now.tv_nsec as f64
    })
}

fn main() -> io::Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let words: Vec<_> = arguments.iter().map(String::as_str).collect();
    if let ["trips", who, connections, rounds] = words[..] {
        let number = |word: &str| word.parse().map_err(io::Error::other);
        // So long that whoever serves waits for each.
        let pause = Duration::from_millis(2);
        return trips::run(who, number(connections)?, number(rounds)?, pause);
    }
    if let Err(error) = Poller::new() {
        println!("NOT RUN: no poller on this system: {error}");
        return Ok(());
    }
    let (options, wanted): (Vec<_>, Vec<_>) = words.iter().partition(|word| word.starts_with('-'));
    // Cargo says --bench when it is to be measured; anything else is a trial.
    let (samples, divisor) = if options.contains(&"--bench") { (25, 1) } else { (1, 1_000) };
    let scale = Scale { wanted: &wanted, samples, divisor };
    trips::rows(scale)?;
    calls::rows(scale)?;
    wakes::rows(scale)
}
