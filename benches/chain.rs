//! A chain of four adapters in user space beside the same work in a loop written by hand.
//!
//! `chain WAY MODE PASSES` (the way is chain or loop) does so many passes over a mebibyte in one mode and nothing else, for
//! `benches/callgrind.sh` to count instructions. Without a mode every mode runs once, and chain
//! and loop must agree on what they saw.

use aqueduct::ReadExt;
use memchr::memchr;
use std::hint::black_box;
use std::io::{self, BufRead, BufReader, Read, Write};

const BLOCK: usize = 1 << 20;
const LINE: usize = 80;

/// What both ways have to agree on.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    bytes: u64,
    sum: u64,
    side: u64,
    pieces: u64,
}

/// A side that costs next to nothing, and still has to be called.
#[derive(Default)]
struct Side(u64);

impl Write for Side {
    #[inline]
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0 += buf.len() as u64;
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Looks at every byte in as few instructions as that takes, so that little hides behind it.
#[inline]
fn fold(bytes: &[u8]) -> u64 {
    let words = bytes.chunks_exact(8);
    let rest = words.remainder().iter().fold(0, |all: u64, &byte| all << 8 | u64::from(byte));
    let words = words.filter_map(|word| word.try_into().ok().map(u64::from_le_bytes));
    words.fold(rest, |all, word| all ^ word)
}

#[inline(never)]
fn chain_reads(source: &[u8], buf: &mut [u8]) -> io::Result<Seen> {
    let (mut side, mut total, mut pieces) = (Side::default(), 0, 0);
    let mut chain =
        source.limit(BLOCK as u64).tee(&mut side).inspect(|bytes| total ^= fold(bytes)).count();
    loop {
        let n = chain.read(buf)?;
        if n == 0 {
            break;
        }
        black_box(&buf[..n]);
        pieces += 1;
    }
    let bytes = chain.total();
    drop(chain);
    Ok(Seen { bytes, sum: total, side: side.0, pieces })
}

#[inline(never)]
fn loop_reads(mut source: &[u8], buf: &mut [u8]) -> io::Result<Seen> {
    let (mut side, mut seen, mut left) = (Side::default(), Seen::default(), BLOCK as u64);
    while left > 0 {
        let max = buf.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let n = source.read(&mut buf[..max])?;
        if n == 0 {
            break;
        }
        left -= n as u64;
        side.write_all(&buf[..n])?;
        seen.sum ^= fold(&buf[..n]);
        seen.bytes += n as u64;
        black_box(&buf[..n]);
        seen.pieces += 1;
    }
    seen.side = side.0;
    Ok(seen)
}

#[inline(never)]
fn chain_lines(source: impl BufRead) -> io::Result<Seen> {
    let (mut side, mut total, mut pieces) = (Side::default(), 0, 0);
    let mut chain =
        source.limit(BLOCK as u64).tee(&mut side).inspect(|bytes| total ^= fold(bytes)).count();
    loop {
        let buf = chain.fill_buf()?;
        if buf.is_empty() {
            break;
        }
        let n = memchr(b'\n', buf).map_or(buf.len(), |i| i + 1);
        black_box(&buf[..n]);
        chain.consume(n);
        pieces += 1;
    }
    let bytes = chain.total();
    drop(chain);
    Ok(Seen { bytes, sum: total, side: side.0, pieces })
}

#[inline(never)]
fn loop_lines(mut source: impl BufRead) -> io::Result<Seen> {
    let (mut side, mut seen, mut left) = (Side::default(), Seen::default(), BLOCK as u64);
    while left > 0 {
        let buf = source.fill_buf()?;
        if buf.is_empty() {
            break;
        }
        let buf = &buf[..buf.len().min(usize::try_from(left).unwrap_or(usize::MAX))];
        let n = memchr(b'\n', buf).map_or(buf.len(), |i| i + 1);
        black_box(&buf[..n]);
        side.write_all(&buf[..n])?;
        seen.sum ^= fold(&buf[..n]);
        left -= n as u64;
        seen.bytes += n as u64;
        source.consume(n);
        seen.pieces += 1;
    }
    seen.side = side.0;
    Ok(seen)
}

/// The modes, by the names that `callgrind.sh` gives them.
const MODES: [&str; 4] = ["read_8KiB", "read_512B", "line_80B", "line_80B_buffered"];

fn pass(mode: &str, by_chain: bool, block: &[u8], buf: &mut [u8]) -> io::Result<Seen> {
    let block = black_box(block);
    match (mode, by_chain) {
        ("read_8KiB", true) => chain_reads(block, &mut buf[..8 << 10]),
        ("read_8KiB", false) => loop_reads(block, &mut buf[..8 << 10]),
        ("read_512B", true) => chain_reads(block, &mut buf[..512]),
        ("read_512B", false) => loop_reads(block, &mut buf[..512]),
        ("line_80B", true) => chain_lines(block),
        ("line_80B", false) => loop_lines(block),
        (_, true) => chain_lines(BufReader::new(block)),
        (_, false) => loop_lines(BufReader::new(block)),
    }
}

fn main() -> io::Result<()> {
    let block: Vec<u8> =
        (0..BLOCK).map(|i| if i % LINE == LINE - 1 { b'\n' } else { i as u8 | 0x20 }).collect();
    let mut buf = vec![0; 8 << 10];
    let arguments: Vec<_> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    if let [way @ ("chain" | "loop"), mode, passes] =
        arguments.iter().map(String::as_str).collect::<Vec<_>>()[..]
    {
        let passes: u32 = passes.parse().map_err(io::Error::other)?;
        for _ in 0..passes {
            black_box(pass(mode, way == "chain", &block, &mut buf)?);
        }
        return Ok(());
    }
    for mode in MODES {
        let chain = pass(mode, true, &block, &mut buf)?;
        assert_eq!(chain, pass(mode, false, &block, &mut buf)?, "{mode}");
        assert_eq!((chain.bytes, chain.side), (BLOCK as u64, BLOCK as u64), "{mode}");
        println!("{mode}\t{}\tpieces", chain.pieces);
    }
    Ok(())
}
