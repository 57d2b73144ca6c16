//! What waiting costs: streams on plain threads and on a `Local`, beside `polling`, `mio` and std.
//! Each line: row, who, nanoseconds, how often as much as the first of the row, parted by tabs.
//! `benches/poll_go.sh` has Go print the same rows.
//!
//! `poll trips WHO CONNECTIONS ROUNDS` makes so many round trips and nothing else, for
//! `benches/poll_syscalls.sh` to count system calls. Given `--test`, as `cargo test --benches`
//! does, everything runs once, to show that it works.

mod calls;
mod trips;
mod wakes;

use aqueduct::poll::Poller;
use std::io;
use std::time::Instant;

/// One of those that are compared: takes so many steps.
type Contender<'a> = (&'a str, &'a dyn Fn(usize) -> io::Result<()>);

/// How much is measured.
#[derive(Debug, Clone, Copy)]
struct Scale {
    samples: usize,
    divisor: usize,
}

impl Scale {
    /// Has all of them take so many steps, in turns so that none has the quiet hours to itself, and
    /// prints the median of each.
    fn row(self, name: &str, steps: usize, contenders: &[Contender<'_>]) -> io::Result<()> {
        let steps = (steps / self.divisor).max(1);
        let mut samples = vec![Vec::new(); contenders.len()];
        for _ in 0..self.samples {
            for ((_, run), list) in contenders.iter().zip(&mut samples) {
                let start = Instant::now();
                run(steps)?;
                list.push(start.elapsed().as_secs_f64() * 1e9 / steps as f64);
            }
        }
        let medians = samples.iter_mut().map(|list| {
            list.sort_by(f64::total_cmp);
            list[list.len() / 2]
        });
        let medians: Vec<f64> = medians.collect();
        for ((who, _), nanoseconds) in contenders.iter().zip(&medians) {
            println!("{name}\t{who}\t{nanoseconds:.0}\t{:.2}", nanoseconds / medians[0]);
        }
        Ok(())
    }
}

fn main() -> io::Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let words: Vec<_> = arguments.iter().map(String::as_str).collect();
    if let ["trips", who, connections, rounds] = words[..] {
        let number = |word: &str| word.parse().map_err(io::Error::other);
        return trips::run(who, number(connections)?, number(rounds)?);
    }
    if let Err(error) = Poller::new() {
        println!("NOT RUN: no poller on this system: {error}");
        return Ok(());
    }
    // Cargo says --bench when it is to be measured; anything else is a trial.
    let scale = match words.contains(&"--bench") {
        true => Scale { samples: 9, divisor: 1 },
        false => Scale { samples: 1, divisor: 5_000 },
    };
    trips::rows(scale)?;
    calls::rows(scale)?;
    wakes::rows(scale)
}
