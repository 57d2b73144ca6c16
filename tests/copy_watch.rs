//! A copy that watches its outlets: one that has lost its reader ends it though the source is silent.
#![cfg(target_os = "linux")]

#[path = "kit/mod.rs"]
mod kit;

use aqueduct::Copier;
use aqueduct::adapters::MultiWriter;
use aqueduct::copy::Side;
use aqueduct::source::{Sink, Source};
use aqueduct::stream::Stream;
use kit::{Waiting, Way, noise, unix, within};
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::OwnedFd;

/// The first go through memory, more through the kernel.
const AMOUNTS: [usize; 3] = [0, 1, 100_000];

/// An end, and its peer if it has one.
fn end(kind: char, reads: bool) -> (OwnedFd, Option<File>) {
    match kind {
        'p' => {
            let (reader, writer) = io::pipe().unwrap();
            let (reader, writer) = (OwnedFd::from(reader), OwnedFd::from(writer));
            let (near, far) = if reads { (reader, writer) } else { (writer, reader) };
            (near, Some(far.into()))
        }
        's' => {
            let (near, far) = unix();
            (near.into(), Some(OwnedFd::from(far).into()))
        }
        _ => (tempfile::tempfile().unwrap().into(), None),
    }
}

#[derive(Debug, Clone, Copy)]
enum As {
    File,
    Given,
    Own,
}

fn source(fd: OwnedFd, kind: As) -> Box<dyn Source> {
    match kind {
        As::File => Box::new(File::from(fd)),
        As::Given => Box::new(Stream::inherit(fd).unwrap()),
        As::Own => Box::new(Stream::from_std(fd).unwrap()),
    }
}

fn sink(fd: OwnedFd, kind: As) -> Box<dyn Sink> {
    match kind {
        As::File => Box::new(File::from(fd)),
        As::Given => Box::new(Stream::inherit(fd).unwrap()),
        As::Own => Box::new(Stream::from_std(fd).unwrap()),
    }
}

/// From `from` to the outlets `to`, of which the last is lost once `amount` bytes have arrived.
fn lose(from: char, to: &'static str, kind: As, way: Way, amount: usize) {
    let (near, feed) = end(from, true);
    let (outs, mut peers): (Vec<_>, Vec<_>) = to.chars().map(|kind| end(kind, false)).unzip();
    let mover = Waiting::start(way, 0, move || {
        let outs: Vec<_> = outs.into_iter().map(|fd| sink(fd, kind)).collect();
        let mut all = MultiWriter::new(outs);
        Copier::new().watch_outputs(true).copy(&mut source(near, kind), &mut all).unwrap_err()
    });
    let mut feed = feed.expect("it has a peer");
    let data = noise(amount, 3);
    for part in data.chunks(20_000) {
        feed.write_all(part).unwrap();
        for peer in peers.iter_mut().flatten() {
            let mut got = vec![0; part.len()];
            peer.read_exact(&mut got).unwrap();
            assert!(got == part);
        }
    }
    let mover = mover.asleep();
    peers.pop();
    let stopped = mover.join();
    let found = (stopped.kind(), stopped.side, stopped.taken);
    assert_eq!(found, (ErrorKind::BrokenPipe, Side::Sink(to.len() - 1), amount as u64));
}

#[test]
fn a_lost_reader_ends_a_copy_from_a_silent_source() {
    for from in ['p', 's'] {
        for to in ["p", "s", "fp", "pp", "fs", "ps", "sp"] {
            for kind in [As::File, As::Given, As::Own] {
                for way in [Way::Plain, Way::Local] {
                    for amount in AMOUNTS {
                        let name = format!("{from} to {to}, {kind:?}, {way:?}, {amount}");
                        within(&name, move || lose(from, to, kind, way, amount));
                    }
                }
            }
        }
    }
}
