//! Records on 80-byte lines in memory, beside two ceilings. Each line: name, value, unit.
//!
//! `read_until` copies every line into a vector of its own, as std's users do;
//! `memchr_iter` only finds the newlines and is what no framing can beat.
//!
//! Given `--test`, as `cargo test --benches` does, it measures little and shows that it works.

use aqueduct::ReadExt;
use memchr::memchr_iter;
use std::hint::black_box;
use std::io::{self, BufRead, BufReader};
use std::time::Instant;

const LINE: usize = 80;

/// GiB per second, the best of several rounds over `block`; `run` returns how many lines it saw.
fn measure(
    name: &str,
    block: &[u8],
    rounds: u32,
    mut run: impl FnMut(&[u8]) -> io::Result<usize>,
) -> io::Result<()> {
    let mut best = f64::MAX;
    for _ in 0..rounds {
        let start = Instant::now();
        let lines = run(black_box(block))?;
        best = best.min(start.elapsed().as_secs_f64());
        assert_eq!(lines, block.len() / LINE, "{name}");
    }
    println!("{name}\t{:.2}\tGiB/s", block.len() as f64 / best / f64::from(1 << 30));
    Ok(())
}

fn records(source: impl BufRead) -> io::Result<usize> {
    let (mut records, mut lines) = (source.records(b'\n'), 0);
    while let Some(record) = records.next()? {
        black_box(record);
        lines += 1;
    }
    Ok(lines)
}

fn lines_bytes(source: impl BufRead) -> io::Result<usize> {
    let (mut records, mut lines) = (source.lines_bytes(), 0);
    while let Some(line) = records.next()? {
        black_box(line);
        lines += 1;
    }
    Ok(lines)
}

fn read_until(mut source: impl BufRead) -> io::Result<usize> {
    let (mut line, mut lines) = (Vec::new(), 0);
    while source.read_until(b'\n', &mut line)? > 0 {
        black_box(&line);
        line.clear();
        lines += 1;
    }
    Ok(lines)
}

fn main() -> io::Result<()> {
    // Cargo says --bench when it is to be measured; anything else is a trial.
    let trial = !std::env::args().any(|argument| argument == "--bench");
    let (rounds, lines) = if trial { (1, 1000) } else { (100, 50_000) };
    let block: Vec<u8> = (0..lines * LINE)
        .map(|i| if i % LINE == LINE - 1 { b'\n' } else { i as u8 | 0x20 })
        .collect();
    measure("records_80B", &block, rounds, |b| records(b))?;
    measure("lines_bytes_80B", &block, rounds, |b| lines_bytes(b))?;
    measure("records_80B_bufreader", &block, rounds, |b| records(BufReader::new(b)))?;
    measure("read_until_80B", &block, rounds, |b| read_until(b))?;
    measure("memchr_iter_80B", &block, rounds, |b| {
        Ok(memchr_iter(b'\n', b).map(black_box).count())
    })?;
    Ok(())
}
