//! What a source hands out, by the few words of each adapter's own page: no descriptors, no
//! buffers, no steps.

use super::drain::Drain;
use super::feed::{Feed, Lens, Spring};
use std::io::ErrorKind;

/// How a source ended that was asked for so many bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// It was not asked for more.
    Satisfied,
    Ended,
    Failed(ErrorKind),
}

/// What one outlet of the source gets.
#[derive(Debug, Clone, Default)]
pub(super) struct Tap {
    pub(super) bytes: Vec<u8>,
    /// Whether it gets the bytes that are handed out, no more and no fewer.
    pub(super) straight: bool,
    /// Whether more may have gone by than `bytes`: what a buffer has read ahead.
    pub(super) loose: bool,
}

/// What comes of a source.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) bytes: Vec<u8>,
    pub(super) end: End,
    pub(super) taps: Vec<Tap>,
    /// What sides got that are not seen from outside.
    pub(super) hidden: Vec<Tap>,
    /// The counts of all adapters from outside in, where they do not depend on read sizes.
    pub(super) counts: Vec<Option<u64>>,
}

/// What comes of `feed` when at most `want` bytes are asked for.
pub(super) fn pull(feed: &Feed, want: u64) -> Outcome {
    let mut run = Run { taps: Vec::new(), hidden: Vec::new(), counts: Vec::new() };
    let place = Place { straight: true, ..Place::default() };
    let (bytes, end) = run.pull(feed, want, place);
    let Run { taps, hidden, counts } = run;
    Outcome { bytes, end, taps, hidden, counts }
}

/// How many bytes `feed` hands out.
pub(super) fn length(feed: &Feed) -> usize {
    pull(feed, u64::MAX).bytes.len()
}

struct Run {
    taps: Vec<Tap>,
    hidden: Vec<Tap>,
    counts: Vec<Option<u64>>,
}

/// What lies outside of an adapter.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    straight: bool,
    loose: bool,
    veiled: bool,
    /// Parts are gone when they have ended, and their counts with them.
    part: bool,
}

fn some(bytes: Vec<u8>, want: u64) -> (Vec<u8>, End) {
    let mut bytes = bytes;
    if bytes.len() as u64 >= want {
        bytes.truncate(want as usize);
        return (bytes, End::Satisfied);
    }
    (bytes, End::Ended)
}

impl Run {
    fn pull(&mut self, feed: &Feed, want: u64, place: Place) -> (Vec<u8>, End) {
        match feed {
            Feed::Leaf(spring, bytes) => {
                let len = bytes.len as u64;
                let (bytes, end) = some(bytes.get(), want);
                if *spring == Spring::Section {
                    self.count(place, len - bytes.len() as u64);
                }
                (bytes, end)
            }
            Feed::Over(lens, inner) => self.over(lens, inner, want, place),
            Feed::Parts(parts) => {
                let inside = Place { straight: false, veiled: true, part: true, ..place };
                let (mut all, mut end) = (Vec::new(), End::Ended);
                for part in parts {
                    // Parts behind an end have their sides too.
                    let left = if end == End::Ended { want - all.len() as u64 } else { 0 };
                    let (bytes, this) = self.pull(part, left, inside);
                    all.extend(bytes);
                    end = if end == End::Ended { this } else { end };
                }
                (all, end)
            }
        }
    }

    fn count(&mut self, place: Place, n: u64) {
        if !place.part {
            self.counts.push((!place.loose).then_some(n));
        }
    }

    /// The counter's place comes before those within.
    fn counting<T>(&mut self, place: Place, pull: impl FnOnce(&mut Self) -> (T, u64)) -> T {
        let index = self.counts.len();
        self.count(place, 0);
        let (result, n) = pull(self);
        if let Some(Some(count)) = self.counts.get_mut(index).filter(|_| !place.part) {
            *count = n;
        }
        result
    }

    fn over(&mut self, lens: &Lens, inner: &Feed, want: u64, place: Place) -> (Vec<u8>, End) {
        let bent = Place { straight: false, ..place };
        match *lens {
            Lens::Limit(n) | Lens::Take(n) => self.counting(place, |run| {
                let (bytes, end) = run.pull(inner, n.min(want), place);
                let left = n - bytes.len() as u64;
                let end = if left == 0 && end == End::Satisfied { End::Ended } else { end };
                let (bytes, stopped) = some(bytes, want);
                ((bytes, if stopped == End::Satisfied { stopped } else { end }), left)
            }),
            Lens::Exact(n) => self.counting(place, |run| {
                let (bytes, end) = run.pull(inner, n.min(want), place);
                let left = n - bytes.len() as u64;
                let end = match end {
                    End::Satisfied if left == 0 => End::Ended,
                    End::Ended if left > 0 => End::Failed(ErrorKind::UnexpectedEof),
                    end => end,
                };
                let (bytes, stopped) = some(bytes, want);
                ((bytes, if stopped == End::Satisfied { stopped } else { end }), left)
            }),
            Lens::Strict(n) => self.counting(place, |run| {
                let probe = if want > n { n.saturating_add(1) } else { want };
                let (mut bytes, end) = run.pull(inner, probe, bent);
                let excess = bytes.len() as u64 > n;
                bytes.truncate(usize::try_from(n).unwrap_or(usize::MAX));
                let left = n - bytes.len() as u64;
                let end = if excess { End::Failed(ErrorKind::FileTooLarge) } else { end };
                ((bytes, end), left)
            }),
            Lens::Skip(n) => self.counting(place, |run| {
                let all = if want == 0 { 0 } else { want.saturating_add(n) };
                let (mut bytes, end) = run.pull(inner, all, bent);
                let skipped = n.min(bytes.len() as u64);
                bytes.drain(..skipped as usize);
                ((bytes, end), n - skipped)
            }),
            Lens::Count | Lens::Progress | Lens::Inspect => self.counting(place, |run| {
                let (bytes, end) = run.pull(inner, want, place);
                let n = bytes.len() as u64;
                ((bytes, end), n)
            }),
            Lens::Opaque => self.pull(inner, want, Place { veiled: true, ..bent }),
            Lens::Buffered(_) => self.pull(inner, want, Place { loose: true, ..bent }),
            Lens::Tee(ref side, _) => self.tee(side, inner, want, place),
        }
    }

    fn tee(&mut self, side: &Drain, inner: &Feed, want: u64, place: Place) -> (Vec<u8>, End) {
        let width = if place.veiled { 1 } else { side.rooms().len() };
        let first = self.sides(place).len();
        self.sides(place).resize_with(first + width, Tap::default);
        let (bytes, end) = self.pull(inner, want, place);
        let (straight, loose) = (place.straight, place.loose);
        let tap = Tap { bytes: bytes.clone(), straight, loose };
        self.sides(place)[first..first + width].fill(tap);
        (bytes, end)
    }

    fn sides(&mut self, place: Place) -> &mut Vec<Tap> {
        if place.veiled { &mut self.hidden } else { &mut self.taps }
    }
}

/// How many bytes a sink takes at least in every outlet, and whether that is a bound.
pub(super) fn least_room(drain: &Drain) -> u64 {
    drain.rooms().into_iter().flatten().min().unwrap_or(u64::MAX)
}
