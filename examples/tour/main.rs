//! tour: what the chains do, on real files, pipes and sockets, beside the same work without them.
//!
//! `cargo run --release --example tour [MIB]` copies so many MiB (256) through each chain in a
//! temporary folder (set `TMPDIR` to choose its disk) and prints a table. Every chain first runs
//! with each byte compared at the far end; the runs that count are then checked by length.

mod chains;
mod clock;
mod scene;

use chains::{By, CHAINS, Chain};
use clock::Run;
use scene::Scene;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Runs that count, of which the median is shown, unless a chain is slow.
const ROUNDS: usize = 3;
/// No chain starts another round after this.
const PATIENCE: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    let mib = match std::env::args().nth(1).map(|arg| arg.parse::<u64>()) {
        None => 256,
        Some(Ok(mib @ 1..=1_048_576)) => mib,
        Some(_) => {
            eprintln!("usage: tour [MIB]");
            return ExitCode::from(2);
        }
    };
    match tour(mib) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tour: {error}");
            ExitCode::FAILURE
        }
    }
}

fn tour(mib: u64) -> io::Result<()> {
    let scene = Scene::new(mib << 20)?;
    let mut out = io::stdout();
    writeln!(out, "{mib} MiB through each chain, in {}", scene.folder().display())?;
    writeln!(out, "GiB/s by the wall clock; CPU seconds per GiB of the copying thread\n")?;
    writeln!(
        out,
        "{:<30}{:<32}{:>6}{:>7}  {:<22}{:>6}{:>7}{:>8}{:>9}",
        "chain", "path", "GiB/s", "CPU", "without", "GiB/s", "CPU", "faster", "less CPU"
    )?;
    let bar = Bar::new();
    for (i, chain) in CHAINS.iter().enumerate() {
        let (ours, theirs) =
            compare(&scene, chain, |part| bar.show(i as f64 + part, chain.name))
                .map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", chain.name)))?;
        bar.clear();
        writeln!(out, "{}", row(chain, &ours, &theirs))?;
    }
    Ok(())
}

/// Runs a chain and its rival by turns and answers the median run of each.
fn compare(scene: &Scene, chain: &Chain, show: impl Fn(f64)) -> io::Result<(Run, Run)> {
    scene.compare.set(true);
    (chain.run)(scene, By::Chain)?;
    (chain.run)(scene, By::Hand)?;
    scene.compare.set(false);
    let began = Instant::now();
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    while ours.is_empty() || (ours.len() < ROUNDS && began.elapsed() < PATIENCE) {
        show((ours.len() + 1) as f64 / (ROUNDS + 1) as f64);
        ours.push((chain.run)(scene, By::Chain)?);
        theirs.push((chain.run)(scene, By::Hand)?);
    }
    Ok((median(ours), median(theirs)))
}

fn median(mut runs: Vec<Run>) -> Run {
    runs.sort_by_key(|run| run.wall);
    runs.swap_remove(runs.len() / 2)
}

fn row(chain: &Chain, ours: &Run, theirs: &Run) -> String {
    let (speed, cpu) = (ours.gib_per_second(), ours.cpu_seconds_per_gib());
    let (their_speed, their_cpu) = (theirs.gib_per_second(), theirs.cpu_seconds_per_gib());
    format!(
        "{:<30}{:<32}{speed:>6.2}{cpu:>7.3}  {:<22}{their_speed:>6.2}{their_cpu:>7.3}{:>7.1}x{:>8.1}x",
        chain.name,
        ours.path,
        chain.by_hand,
        speed / their_speed,
        their_cpu / cpu,
    )
}

/// A line on a terminal's standard error that tells how far the tour is.
struct Bar {
    visible: bool,
}

impl Bar {
    const WIDTH: usize = 30;

    fn new() -> Self {
        Self { visible: io::stderr().is_terminal() }
    }

    fn show(&self, done: f64, name: &str) {
        if self.visible {
            let full = (done / CHAINS.len() as f64 * Self::WIDTH as f64) as usize;
            eprint!("\r\x1b[K[{:<width$}] {name}", "=".repeat(full), width = Self::WIDTH);
        }
    }

    fn clear(&self) {
        if self.visible {
            eprint!("\r\x1b[K");
        }
    }
}
