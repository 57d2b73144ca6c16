//! A random copy: both ends, the options, and what the kernel refuses.

use super::drain::{Basin, Drain, Fate};
use super::feed::{Feed, Grammar, Spring};
use super::model;
use crate::copy::{Cancel, Copier};
use crate::sys::Call;
use crate::sys::faults::Faults;
use quickcheck::{Arbitrary, Gen};
use rustix::io::Errno;
use std::sync::OnceLock;

/// One copy, described.
#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) feed: Feed,
    pub(super) drain: Drain,
    pub(super) how: How,
}

/// The options of the copy, and what the kernel does to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct How {
    pub(super) limit: Option<u64>,
    buffer: Option<usize>,
    warm: u64,
    share: bool,
    wait: bool,
    watch: bool,
    /// A cancel that never comes.
    cancel: bool,
    off: Vec<(Call, i32)>,
    lengths: Vec<usize>,
    interrupt: bool,
}

/// Errors by which a kernel says: not this way.
const REFUSALS: [Errno; 15] = [
    Errno::NOSYS,
    Errno::PERM,
    Errno::ACCESS,
    Errno::INVAL,
    Errno::OPNOTSUPP,
    Errno::XDEV,
    Errno::OVERFLOW,
    Errno::SPIPE,
    Errno::NOTTY,
    Errno::BADF,
    Errno::TXTBSY,
    Errno::ISDIR,
    Errno::NOMEM,
    Errno::NOBUFS,
    // Both ends say that they are ready, and yet the call does not go on.
    Errno::AGAIN,
];

/// What network file systems answer copy_file_range besides.
const RANGE_REFUSALS: [Errno; 3] = [Errno::IO, Errno::NOENT, Errno::FBIG];

/// What an error of `call` may say for ever without any byte being in danger.
fn refusal(g: &mut Gen, call: Call) -> i32 {
    let list: &[Errno] = match call {
        Call::CopyFileRange if bool::arbitrary(g) => &RANGE_REFUSALS,
        Call::Pipe => &[Errno::MFILE, Errno::NFILE],
        _ => &REFUSALS,
    };
    g.choose(list).unwrap_or(&Errno::NOSYS).raw_os_error()
}

impl Case {
    pub(super) fn random(g: &mut Gen, fate: Fate) -> Self {
        let large = one_in(g, 16);
        let depth = if one_in(g, 3) { 4 } else { 2 };
        let kernel = !one_in(g, 3);
        let grammar = Grammar { depth, large, fate, kernel, veiled: false };
        let feed = Feed::random(g, grammar);
        let len = model::length(&feed);
        // More than sockets hold that nobody empties meanwhile.
        if len > 200_000 {
            return Self::random(g, fate);
        }
        let drain = Drain::random(g, Grammar { depth: 2, ..grammar }, len);
        let how = How::random(g, len);
        let mut case = Self { feed, drain, how };
        if fate == Fate::Well && one_in(g, 8) {
            let Self { drain, .. } = case;
            case = Self { drain: Drain::Limit(about(g, len), Box::new(drain)), ..case };
        }
        // Nobody feeds a source or empties a sink while the copy waits for it.
        case.how.wait &= !case.stalls();
        case
    }

    /// Whether it stops now and then until somebody does something at the other end.
    fn stalls(&self) -> bool {
        let narrow = |drain: &Drain| drain.has(Basin::Narrow);
        narrow(&self.drain)
            || self.feed.any(&|feed| match feed {
                Feed::Leaf(Spring::Stalling { .. }, _) => true,
                Feed::Over(super::feed::Lens::Tee(side, _), _) => narrow(side),
                _ => false,
            })
    }

    pub(super) fn shrink(&self) -> impl Iterator<Item = Self> + use<> {
        let (a, b, c) = (self.clone(), self.clone(), self.clone());
        let feeds = self.feed.shrink().map(move |feed| Self { feed, ..a.clone() });
        let drains = self.drain.shrink().map(move |drain| Self { drain, ..b.clone() });
        let hows = self.how.shrink().into_iter().map(move |how| Self { how, ..c.clone() });
        feeds.chain(drains).chain(hows)
    }
}

impl How {
    fn random(g: &mut Gen, len: usize) -> Self {
        let calls = [Call::Splice, Call::Tee, Call::Sendfile, Call::CopyFileRange, Call::Pipe];
        let off = calls.into_iter().filter_map(|call| {
            let off = one_in(g, 8);
            off.then(|| (call, refusal(g, call)))
        });
        let off = off.collect();
        // A pipe holds 256 pieces and no more, however small they are.
        let least = 1 + len / 60;
        let lengths = (0..below(g, 4)).map(|_| least + below(g, 20 * least)).collect();
        Self {
            limit: one_in(g, 4).then(|| about(g, len)),
            buffer: one_in(g, 2).then(|| least + below(g, 64 * least)),
            warm: if one_in(g, 4) { about(g, len) } else { 0 },
            share: !one_in(g, 3),
            wait: bool::arbitrary(g),
            watch: one_in(g, 4),
            cancel: one_in(g, 4),
            off,
            lengths: if one_in(g, 2) { lengths } else { Vec::new() },
            interrupt: one_in(g, 4),
        }
    }

    fn shrink(&self) -> Vec<Self> {
        let simpler = [
            Self { limit: None, ..self.clone() },
            Self { buffer: None, ..self.clone() },
            Self { warm: 0, ..self.clone() },
            Self { share: false, ..self.clone() },
            Self { wait: false, ..self.clone() },
            Self { watch: false, ..self.clone() },
            Self { cancel: false, ..self.clone() },
            Self { off: self.off.iter().skip(1).copied().collect(), ..self.clone() },
            Self { off: self.off.iter().take(1).copied().collect(), ..self.clone() },
            Self { lengths: Vec::new(), ..self.clone() },
            Self { interrupt: false, ..self.clone() },
        ];
        simpler.into_iter().filter(|how| how != self).collect()
    }

    /// The copier, for at most `left` bytes where there is a limit.
    pub(super) fn copier(&self, taken: u64) -> Copier {
        static NEVER: OnceLock<Cancel> = OnceLock::new();
        Copier {
            limit: self.limit.map(|limit| limit - taken),
            buffer_size: self.buffer,
            cancel: self.cancel.then(|| NEVER.get_or_init(Cancel::new).clone()),
            share_pages: self.share,
            wait: self.wait,
            watch_outputs: self.watch,
            warm: self.warm,
            ..Copier::new()
        }
    }

    /// What goes wrong that may not show.
    pub(super) fn faults(&self) -> Faults {
        let (off, lengths) = (self.off.clone(), self.lengths.clone());
        Faults { off, lengths, interrupt: self.interrupt, ..Faults::default() }
    }
}

/// A number less than `n`.
pub(super) fn below(g: &mut Gen, n: usize) -> usize {
    usize::from(u16::arbitrary(g)) % n.max(1)
}

/// True once in `n` times.
pub(super) fn one_in(g: &mut Gen, n: usize) -> bool {
    below(g, n) == 0
}

/// A bound for about `len` bytes: within them, right at their end, behind it, or none.
pub(super) fn about(g: &mut Gen, len: usize) -> u64 {
    let len = len as u64;
    match below(g, 8) {
        0 => len,
        1 => len + 1,
        2 => len.saturating_sub(1),
        3 => u64::MAX,
        _ => u64::from(u32::arbitrary(g)) % (len + 2),
    }
}

/// Bytes that betray a shift, a loss or a repetition.
pub(super) fn noise(from: usize, len: usize) -> Vec<u8> {
    static NOISE: OnceLock<Vec<u8>> = OnceLock::new();
    let noise = NOISE.get_or_init(|| {
        let mut state = 0x9E37_79B9_7F4A_7C15_u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        };
        (0..400_000).map(|_| next()).collect()
    });
    noise[from..from + len].to_vec()
}
