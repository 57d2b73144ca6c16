//! Where nothing fails: the same bytes, counts and limits by every path.

use super::case::Case;
use super::drain::Fate;
use super::model::{self, End, Outcome, Tap};
use super::reader::{self, Reader};
use super::writer::Writer;
use crate::copy::{CopyError, Path, Report, Side};
use crate::sys::faults;
use quickcheck::{Arbitrary, Gen, quickcheck};
use std::io::{ErrorKind, Write};

/// A copy in which nothing fails.
#[derive(Debug, Clone)]
struct Sound(Case);

impl Arbitrary for Sound {
    fn arbitrary(g: &mut Gen) -> Self {
        Self(Case::random(g, Fate::Well))
    }

    fn shrink(&self) -> Box<dyn Iterator<Item = Self>> {
        Box::new(self.0.shrink().map(Self))
    }
}

#[test]
fn a_copy_does_what_the_model_says_by_every_path() {
    quickcheck(foretold as fn(Sound));
}

fn foretold(Sound(case): Sound) {
    let room = model::least_room(&case.drain);
    let want = case.how.limit.unwrap_or(u64::MAX).min(room.saturating_add(1));
    let expected = model::pull(&case.feed, want);
    let mut hidden = Vec::new();
    let mut source = reader::build(&case.feed, false, &mut hidden);
    let mut sink = Writer::build(&case.drain);
    let copier = case.how.copier(0);
    let (result, _) = faults::with(case.how.faults(), || copier.copy(&mut source, &mut sink));

    let taken = expected.bytes.len() as u64;
    let excess = taken > room;
    let (report, error) = match result {
        Ok(report) => (report, None),
        Err(error) => (error.report().clone(), Some(error)),
    };
    check_end(error.as_ref(), &expected, excess);
    check_report(&report, taken, taken.min(room), &expected.taps);
    check_taps(&mut source, &expected);
    for (shared, tap) in hidden.iter().zip(&expected.hidden) {
        check_bytes(&shared.get(), &tap.bytes, tap.loose);
    }
    check_counts(&mut source, &expected);
    check_sink(&case, &mut sink, &expected, error.as_ref());
}

fn check_end(error: Option<&CopyError>, expected: &Outcome, excess: bool) {
    let got = error.map(|error| (error.kind(), error.side == Side::Source));
    let end = match expected.end {
        _ if excess => Some((ErrorKind::WriteZero, false)),
        End::Failed(kind) => Some((kind, true)),
        End::Ended | End::Satisfied => None,
    };
    assert_eq!(got, end, "how the copy ended");
}

fn check_report(report: &Report, taken: u64, copied: u64, taps: &[Tap]) {
    assert_eq!(report.taken(), taken, "taken");
    assert_eq!(report.copied(), copied, "copied");
    let ways: u64 = Path::ALL.iter().map(|&path| report.bytes(path)).sum();
    assert_eq!(ways, taken, "all ways together");
    for (i, tap) in taps.iter().enumerate() {
        assert!(!tap.straight || report.delivered(i) == taken, "delivered to tap {i}");
    }
}

fn check_bytes(got: &[u8], expected: &[u8], more: bool) {
    let short = if more { &got[..expected.len().min(got.len())] } else { got };
    assert!(short == expected, "{} bytes instead of {}", got.len(), expected.len());
}

fn check_taps(source: &mut Reader, expected: &Outcome) {
    let mut index = 0;
    for side in source.sides() {
        side.flush().expect("nothing fails");
        for leaves in side.got() {
            let tap = &expected.taps[index];
            for leaf in leaves.into_iter().flatten() {
                check_bytes(&leaf, &tap.bytes, tap.loose);
            }
            index += 1;
        }
    }
    assert_eq!(index, expected.taps.len());
}

fn check_counts(source: &mut Reader, expected: &Outcome) {
    let counts = source.counts();
    for (i, (got, count)) in counts.iter().zip(&expected.counts).enumerate() {
        assert!(count.is_none_or(|count| count == *got), "count {i}: {got}, not {count:?}");
    }
}

fn check_sink(case: &Case, sink: &mut Writer, expected: &Outcome, error: Option<&CopyError>) {
    let rooms = case.drain.rooms();
    let first = expected.taps.len();
    sink.flush().expect("nothing fails");
    let got = sink.got();
    assert_eq!(got.len(), rooms.len());
    for (i, (leaves, room)) in got.into_iter().zip(rooms).enumerate() {
        let fits = room.unwrap_or(u64::MAX).min(expected.bytes.len() as u64) as usize;
        for leaf in leaves.into_iter().flatten() {
            check_bytes(&leaf, &expected.bytes[..fits], false);
        }
        let pending = error.map_or(&[][..], |error| error.pending(first + i));
        check_bytes(pending, &expected.bytes[fits..], false);
    }
    if error.is_none() {
        sink.check_counts(&case.drain, expected.bytes.len() as u64);
    }
}
