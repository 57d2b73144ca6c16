//! Where something fails: nothing lost, nothing doubled, every count right, and a copy that is
//! taken up again ends in the same bytes.

use super::case::{Case, below};
use super::drain::Fate;
use super::model::{self, End, Outcome, Tap};
use super::reader::{self, Reader};
use super::writer::{Shared, Writer};
use crate::copy::{CopyError, Path, Report, Side};
use crate::source::{Outlet, Outlets, Sink, Source};
use crate::sys::Call;
use crate::sys::faults::{self, Faults};
use quickcheck::{Arbitrary, Gen, quickcheck};
use rustix::io::Errno;
use std::io::{Read, Write};

/// A copy in which ends fail by themselves, and calls by ours.
#[derive(Debug, Clone)]
struct Ailing {
    case: Case,
    /// How calls fail, each in turn in a copy of its own; of many calls only some, from one on.
    failures: Vec<(u64, i32)>,
}

/// True failures, things that pass, and a refusal in the midst of it.
const FAILURES: [Errno; 8] = [
    Errno::IO,
    Errno::NOSPC,
    Errno::PIPE,
    Errno::CONNRESET,
    Errno::AGAIN,
    Errno::INVAL,
    Errno::DQUOT,
    Errno::TIMEDOUT,
];

impl Arbitrary for Ailing {
    fn arbitrary(g: &mut Gen) -> Self {
        let fates = [Fate::Well, Fate::Passing, Fate::Mortal];
        let fate = *g.choose(&fates).unwrap_or(&Fate::Well);
        let case = Case::random(g, fate);
        let failures = (0..below(g, 3)).map(|_| {
            let errno = g.choose(&FAILURES).unwrap_or(&Errno::IO);
            (u64::from(u16::arbitrary(g)), errno.raw_os_error())
        });
        let failures = failures.collect();
        Self { case, failures }
    }

    fn shrink(&self) -> Box<dyn Iterator<Item = Self>> {
        let (same, case) = (self.failures.clone(), self.case.clone());
        let cases = self.case.shrink().map(move |case| Self { case, failures: same.clone() });
        let all = self.failures.clone();
        let alone = all.clone().into_iter().filter(move |_| all.len() > 1).map(|one| vec![one]);
        let earlier = self.failures.clone().into_iter();
        let earlier = earlier.flat_map(|(n, errno)| n.shrink().map(move |n| vec![(n, errno)]));
        let fewer = alone.chain(earlier);
        let fewer = fewer.map(move |failures| Self { case: case.clone(), failures });
        Box::new(fewer.chain(cases))
    }
}

#[test]
fn whatever_fails_nothing_is_lost_and_a_copy_goes_on() {
    quickcheck(nothing_is_lost as fn(Ailing));
}

fn nothing_is_lost(Ailing { case, failures }: Ailing) {
    let calls = Run::new(&case).finish(case.how.faults()).calls;
    for (first, errno) in failures {
        let stride = calls / 6 + 1;
        for number in (first % stride..calls).step_by(stride as usize) {
            let once = Some((number, errno));
            Run::new(&case).finish(Faults { once, ..case.how.faults() });
        }
    }
}

/// A copy that is taken up again after each error that passes.
struct Run<'c> {
    case: &'c Case,
    expected: Outcome,
    source: Reader,
    sink: Writer,
    hidden: Vec<Shared>,
    /// By outlet, what is known of it before anything happens.
    rooms: Vec<Option<u64>>,
    /// Bytes taken so far, and delivered to each outlet.
    taken: u64,
    delivered: Vec<u64>,
    injected: Option<Call>,
}

impl<'c> Run<'c> {
    fn new(case: &'c Case) -> Self {
        let expected = model::pull(&case.feed, case.how.limit.unwrap_or(u64::MAX));
        let mut hidden = Vec::new();
        let source = reader::build(&case.feed, false, &mut hidden);
        let sink = Writer::build(&case.drain);
        let mut rooms = case.feed.rooms();
        rooms.extend(case.drain.rooms());
        let delivered = vec![0; rooms.len()];
        let (taken, injected) = (0, None);
        Self { case, expected, source, sink, hidden, rooms, taken, delivered, injected }
    }

    fn finish(mut self, mut faults: Faults) -> Faults {
        for _ in 0..4000 {
            let copier = self.case.how.copier(self.taken);
            let (source, sink) = (&mut self.source, &mut self.sink);
            let (result, left) = faults::with(faults, || copier.copy(source, sink));
            faults = left;
            self.injected = faults.fired;
            if self.injected == Some(Call::Read) {
                // What lies in a pipe of our own cannot fail to be read.
                return faults;
            }
            match result {
                Ok(report) => {
                    self.count(&report);
                    self.check_all();
                    return faults;
                }
                Err(error) => {
                    self.count(error.report());
                    self.check(&error);
                    if self.is_final(&error) || !self.resume(&error) {
                        self.check_rest(&error);
                        return faults;
                    }
                }
            }
        }
        panic!("it never ends");
    }

    fn count(&mut self, report: &Report) {
        self.taken += report.taken();
        for (i, delivered) in self.delivered.iter_mut().enumerate() {
            *delivered += report.delivered(i);
        }
        let ways: u64 = Path::ALL.iter().map(|&path| report.bytes(path)).sum();
        assert_eq!(ways, report.taken(), "all ways together");
        assert!(report.copied() <= report.taken(), "copied {report:?}");
    }

    /// What each outlet is to get in the end.
    fn stream(&self, index: usize) -> Tap {
        let taps = &self.expected.taps;
        taps.get(index).cloned().unwrap_or_else(|| Tap {
            bytes: self.expected.bytes.clone(),
            straight: true,
            loose: false,
        })
    }

    /// Which outlets were given up; those that a policy may give up.
    fn gone(&mut self) -> Vec<bool> {
        let mut list = Outlets::new(true);
        self.source.piece(&mut list);
        self.sink.outlets(&mut list);
        let gone = list.list().iter().map(|outlet| matches!(outlet, Outlet::Gone));
        let gone: Vec<_> = gone.collect();
        let lasting = [self.case.feed.lasting(), self.case.drain.lasting()].concat();
        let may = lasting.iter().zip(&gone).all(|(&lasts, &gone)| !(lasts && gone));
        assert!(may, "gone {gone:?}, although some must last: {lasting:?}");
        gone
    }

    fn got(&mut self) -> Vec<Option<Vec<Vec<u8>>>> {
        let mut got: Vec<_> = self.source.sides().into_iter().flat_map(Writer::got).collect();
        got.extend(self.sink.got());
        got
    }

    /// What holds after every error.
    fn check(&mut self, error: &CopyError) {
        assert_eq!(error.taken, error.report().taken());
        let (gone, got) = (self.gone(), self.got());
        assert_eq!((gone.len(), got.len()), (self.rooms.len(), self.rooms.len()));
        for (i, leaves) in got.into_iter().enumerate() {
            let stream = self.stream(i);
            let pending = error.pending(i);
            let given_up = gone[i] && error.side != Side::Sink(i);
            assert!(!given_up || pending.is_empty(), "owed to outlet {i}, which is gone");
            if stream.straight && !gone[i] {
                let sum = self.delivered[i] + pending.len() as u64;
                assert_eq!(sum, self.taken, "delivered + pending = taken for outlet {i}");
            }
            let [leaf] = &leaves.unwrap_or_default()[..] else { continue };
            if stream.straight {
                let (delivered, got) = (self.delivered[i], leaf.len() as u64);
                // A tee does not hear what its side's own policy has given up.
                let unheard = gone[i] && i < self.expected.taps.len();
                assert!(unheard || delivered == got, "outlet {i}: {got}, not {delivered} bytes");
            }
            let whole = [&leaf[..], pending].concat();
            assert!(
                stream.bytes.starts_with(&whole)
                    || (stream.loose && whole.starts_with(&stream.bytes)),
                "outlet {i}: got {} and owed {} bytes",
                leaf.len(),
                pending.len()
            );
        }
    }

    /// Whether it would fail again and again.
    fn is_final(&mut self, error: &CopyError) -> bool {
        match error.side {
            Side::Source => {
                let failed = End::Failed(error.kind()) == self.expected.end;
                failed && self.taken == self.expected.bytes.len() as u64
            }
            Side::Sink(index) => self.rooms[index].is_some() || self.gone()[index],
        }
    }

    /// Gives each outlet its own, unless one of them is past help.
    fn resume(&mut self, error: &CopyError) -> bool {
        self.source.go_on();
        let taps = self.expected.taps.len();
        for i in 0..self.rooms.len() {
            let pending = error.pending(i);
            if pending.is_empty() {
                continue;
            }
            let result = match i.checked_sub(taps) {
                Some(index) => self.sink.give(index, pending),
                None => self.source.give(i, pending),
            };
            if result.is_err() && (self.rooms[i].is_some() || self.gone()[i]) {
                return false;
            }
            result.unwrap_or_else(|error| panic!("outlet {i} takes no more: {error}"));
            self.delivered[i] += pending.len() as u64;
        }
        self.got();
        true
    }

    /// What holds after a copy has come to its end.
    fn check_all(&mut self) {
        assert_eq!(self.taken, self.expected.bytes.len() as u64, "taken in the end");
        let gone = self.gone();
        self.sink.flush().ok();
        self.source.sides().into_iter().for_each(|side| side.flush().unwrap_or(()));
        for (i, leaves) in self.got().into_iter().enumerate() {
            let stream = self.stream(i);
            if stream.straight && !gone[i] {
                assert_eq!(self.delivered[i], self.taken, "delivered to outlet {i} in the end");
            }
            for leaf in leaves.into_iter().flatten() {
                let whole = match gone[i] {
                    _ if stream.loose && leaf.starts_with(&stream.bytes) => true,
                    true => stream.bytes.starts_with(&leaf),
                    false => leaf == stream.bytes,
                };
                assert!(whole, "outlet {i}: {} of {} bytes", leaf.len(), stream.bytes.len());
            }
        }
        for (shared, tap) in self.hidden.iter().zip(&self.expected.hidden) {
            assert!(shared.get().starts_with(&tap.bytes), "a side that is not seen");
        }
    }

    /// After the last error the rest still lies in the source.
    fn check_rest(&mut self, error: &CopyError) {
        let bytes = &self.expected.bytes;
        if error.side == Side::Source || self.case.how.limit.is_some() {
            return;
        }
        let mut rest = Vec::new();
        let mut failures = 0;
        loop {
            match self.source.read_to_end(&mut rest) {
                Ok(_) => break,
                Err(e) if End::Failed(e.kind()) == self.expected.end && failures > 20 => break,
                Err(_) => {
                    self.source.go_on();
                    failures += 1;
                    assert!(failures < 100, "it never ends");
                }
            }
        }
        assert!(rest == bytes[self.taken as usize..], "the rest: {} bytes", rest.len());
    }
}
