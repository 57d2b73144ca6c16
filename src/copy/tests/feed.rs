//! What a source is made of: random nests, as plain data.

use super::case::{about, below, noise};
use super::drain::{Drain, Fate};
use super::model;
use crate::adapters::TeePolicy;
use quickcheck::{Arbitrary, Gen};

/// A source, described.
#[derive(Debug, Clone)]
pub(super) enum Feed {
    Leaf(Spring, Bytes),
    Over(Lens, Box<Self>),
    Parts(Vec<Self>),
}

/// The bytes of a leaf.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bytes {
    pub(super) seed: u8,
    pub(super) len: usize,
}

impl Bytes {
    pub(super) fn get(self) -> Vec<u8> {
        noise(usize::from(self.seed) * 1021, self.len)
    }
}

/// Where the bytes of a leaf lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spring {
    Memory,
    Deque,
    File,
    /// A window in the middle of a file.
    Section,
    Pipe {
        nonblocking: bool,
    },
    Socket {
        nonblocking: bool,
    },
    /// A pipe or socket that has nothing more after so many bytes, until it is fed again.
    Stalling {
        socket: bool,
        first: usize,
    },
    /// A foreign reader, which hands out so many bytes at a time.
    Foreign {
        chunk: usize,
    },
    /// A foreign reader that fails once, after so many bytes.
    Hiccup {
        after: usize,
        again: bool,
    },
}

/// One adapter.
#[derive(Debug, Clone)]
pub(super) enum Lens {
    Limit(u64),
    Take(u64),
    Strict(u64),
    Exact(u64),
    Skip(u64),
    Count,
    Progress,
    Inspect,
    Opaque,
    Buffered(usize),
    Tee(Drain, TeePolicy),
}

impl Lens {
    fn number(&mut self) -> Option<&mut u64> {
        match self {
            Self::Limit(n) | Self::Take(n) | Self::Strict(n) | Self::Exact(n) | Self::Skip(n) => {
                Some(n)
            }
            _ => None,
        }
    }
}

/// What a random nest may hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grammar {
    pub(super) depth: u8,
    /// Sizes around pages and pipes, not a few dozen bytes.
    pub(super) large: bool,
    /// Whether sides and leaves may fail.
    pub(super) fate: Fate,
    /// Only what has a way through the kernel.
    pub(super) kernel: bool,
    /// Whether taps would not be seen from outside.
    pub(super) veiled: bool,
}

impl Grammar {
    pub(super) fn deeper(self) -> Self {
        Self { depth: self.depth.saturating_sub(1), ..self }
    }
}

impl Feed {
    pub(super) fn random(g: &mut Gen, grammar: Grammar) -> Self {
        match below(g, 8) {
            _ if grammar.depth == 0 => Self::leaf(g, grammar),
            0 | 1 => Self::leaf(g, grammar),
            2 => {
                let inner = Grammar { veiled: true, ..grammar.deeper() };
                let most = if grammar.large { 2 } else { 3 };
                Self::Parts((0..=below(g, most)).map(|_| Self::random(g, inner)).collect())
            }
            _ => Self::over(g, grammar),
        }
    }

    fn leaf(g: &mut Gen, grammar: Grammar) -> Self {
        let sizes = [4095, 4096, 4097, 16_384, 65_535, 65_536, 65_537, 70_000];
        let len = if grammar.large { *g.choose(&sizes).unwrap_or(&1) } else { below(g, 100) };
        let nonblocking = bool::arbitrary(g);
        let spring = match (grammar.kernel, grammar.fate) {
            (false, Fate::Well) => below(g, 10),
            (false, _) => below(g, 14),
            (true, Fate::Well) => 2 + below(g, 6),
            (true, _) => 2 + below(g, 7),
        };
        let spring = match spring {
            0 => Spring::Memory,
            1 => Spring::Deque,
            2 | 3 => Spring::File,
            4 => Spring::Section,
            5 | 6 => Spring::Pipe { nonblocking },
            7 => Spring::Socket { nonblocking: nonblocking || grammar.kernel },
            8 if grammar.fate != Fate::Well => {
                Spring::Stalling { socket: nonblocking, first: below(g, len + 1) }
            }
            8..=10 => Spring::Foreign { chunk: 1 + below(g, 40) + len / 40 },
            _ => Spring::Hiccup { after: below(g, len + 1), again: nonblocking },
        };
        Self::Leaf(spring, Bytes { seed: u8::arbitrary(g), len })
    }

    fn over(g: &mut Gen, grammar: Grammar) -> Self {
        let transparent = [0, 1, 2, 3, 5, 6, 10, 10, 10, 10];
        let lens = match grammar.kernel {
            true => *g.choose(&transparent).unwrap_or(&5),
            false => below(g, 14),
        };
        let mut within = grammar.deeper();
        within.veiled |= lens == 8;
        let inner = Self::random(g, within);
        let len = model::length(&inner);
        let lens = match lens {
            0 => Lens::Limit(about(g, len)),
            1 => Lens::Take(about(g, len)),
            2 => Lens::Strict(about(g, len)),
            3 => Lens::Exact(about(g, len)),
            4 => Lens::Skip(about(g, len / 2)),
            5 => Lens::Count,
            6 => Lens::Progress,
            7 => Lens::Inspect,
            8 => Lens::Opaque,
            9 => Lens::Buffered(1 + below(g, 64) + len / 16),
            _ if grammar.veiled && grammar.kernel => Lens::Count,
            _ if grammar.veiled => Lens::Tee(Drain::MEMORY, TeePolicy::Fail),
            _ => {
                let policies = [TeePolicy::Fail, TeePolicy::Detach, TeePolicy::Collect];
                let side = Drain::random(g, Grammar { depth: 1, ..grammar }, len);
                Lens::Tee(side, *g.choose(&policies).unwrap_or(&TeePolicy::Fail))
            }
        };
        Self::Over(lens, Box::new(inner))
    }

    /// [`Drain::rooms`] of its taps.
    pub(super) fn rooms(&self) -> Vec<Option<u64>> {
        match self {
            Self::Leaf(..) | Self::Parts(_) | Self::Over(Lens::Opaque, _) => Vec::new(),
            Self::Over(Lens::Tee(side, _), inner) => [side.rooms(), inner.rooms()].concat(),
            Self::Over(_, inner) => inner.rooms(),
        }
    }

    /// [`Drain::lasting`] of its taps.
    pub(super) fn lasting(&self) -> Vec<bool> {
        match self {
            Self::Leaf(..) | Self::Parts(_) | Self::Over(Lens::Opaque, _) => Vec::new(),
            Self::Over(Lens::Tee(side, policy), inner) => {
                let stays = *policy == TeePolicy::Fail;
                let side = side.lasting().into_iter().map(|lasts| lasts && stays);
                side.chain(inner.lasting()).collect()
            }
            // While bytes lie in the buffer the taps behind it look as if they were gone.
            Self::Over(Lens::Buffered(_), inner) => vec![false; inner.lasting().len()],
            Self::Over(_, inner) => inner.lasting(),
        }
    }

    /// Whether any part of it is as `test` says.
    pub(super) fn any(&self, test: &impl Fn(&Self) -> bool) -> bool {
        test(self)
            || match self {
                Self::Leaf(..) => false,
                Self::Over(_, inner) => inner.any(test),
                Self::Parts(parts) => parts.iter().any(|part| part.any(test)),
            }
    }

    pub(super) fn shrink(&self) -> Box<dyn Iterator<Item = Self>> {
        match self {
            Self::Leaf(spring, bytes) => {
                let (spring, seed) = (*spring, bytes.seed);
                let plain =
                    (spring != Spring::Memory).then_some(Self::Leaf(Spring::Memory, *bytes));
                let shorter = bytes.len.shrink();
                let shorter = shorter.map(move |len| Self::Leaf(spring, Bytes { seed, len }));
                Box::new(plain.into_iter().chain(shorter))
            }
            Self::Parts(parts) => {
                let alone = parts.clone().into_iter();
                Box::new(alone.chain(each(parts).map(Self::Parts)))
            }
            Self::Over(lens, inner) => {
                let (outer, kept) = (lens.clone(), inner.clone());
                let within =
                    inner.shrink().map(move |inner| Self::Over(outer.clone(), Box::new(inner)));
                let simpler = simpler(lens).map(move |lens| Self::Over(lens, kept.clone()));
                Box::new([(**inner).clone()].into_iter().chain(within).chain(simpler))
            }
        }
    }
}

/// The same parts without one of them, or with one of them shrunk.
fn each(parts: &[Feed]) -> impl Iterator<Item = Vec<Feed>> + use<> {
    let parts = parts.to_vec();
    (0..parts.len()).flat_map(move |i| {
        let all = parts.clone();
        let mut fewer = parts.clone();
        fewer.remove(i);
        let shrunk = parts[i].shrink().map(move |part| {
            let mut all = all.clone();
            all[i] = part;
            all
        });
        [fewer].into_iter().chain(shrunk)
    })
}

fn simpler(lens: &Lens) -> Box<dyn Iterator<Item = Lens>> {
    let mut numbered = lens.clone();
    if let Some(n) = numbered.number().copied() {
        return Box::new(n.shrink().map(move |n| {
            if let Some(number) = numbered.number() {
                *number = n;
            }
            numbered.clone()
        }));
    }
    match lens {
        Lens::Tee(side, policy) => {
            let policy = *policy;
            Box::new(side.shrink().map(move |side| Lens::Tee(side, policy)))
        }
        Lens::Buffered(n) => Box::new(n.shrink().filter(|&n| n > 0).map(Lens::Buffered)),
        _ => Box::new(std::iter::empty()),
    }
}
