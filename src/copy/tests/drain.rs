//! What a sink is made of: random nests, as plain data.

use super::case::{about, below};
use super::feed::Grammar;
use crate::adapters::ErrorPolicy;
use quickcheck::{Arbitrary, Gen};
use std::io::ErrorKind;

/// A sink, described.
#[derive(Debug, Clone)]
pub(super) enum Drain {
    Leaf(Basin),
    Count(Box<Self>),
    Limit(u64, Box<Self>),
    Buffered(usize, Box<Self>),
    Several(Vec<Self>, ErrorPolicy),
}

/// Where bytes come to lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Basin {
    Memory,
    File {
        append: bool,
    },
    /// A file, from an offset on.
    Offset,
    Pipe {
        nonblocking: bool,
    },
    Socket {
        nonblocking: bool,
    },
    Nowhere,
    /// `/dev/null`.
    Null,
    /// A non-blocking pipe of one page, which nobody empties while the copy runs.
    Narrow,
    /// A pipe without a reader.
    Broken,
    /// `/dev/full`.
    Full,
    /// A writer that fails after so many bytes, once or from then on.
    Frail {
        room: usize,
        kind: ErrorKind,
        once: bool,
    },
}

/// What may fail by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Nothing.
    Well,
    /// What fails goes on when it is tried again.
    Passing,
    /// What fails may fail for ever.
    Mortal,
}

impl Drain {
    pub(super) const MEMORY: Self = Self::Leaf(Basin::Memory);

    /// For about `len` bytes.
    pub(super) fn random(g: &mut Gen, grammar: Grammar, len: usize) -> Self {
        let inner = grammar.deeper();
        match below(g, 10) {
            _ if grammar.depth == 0 => Self::leaf(g, grammar, len),
            0 => Self::Count(Box::new(Self::random(g, inner, len))),
            1 => {
                let within = Grammar { fate: Fate::Well, ..inner };
                Self::Buffered(1 + below(g, 64), Box::new(Self::random(g, within, len)))
            }
            2 if grammar.fate == Fate::Mortal => {
                Self::Limit(about(g, len), Box::new(Self::random(g, inner, len)))
            }
            3..=5 => {
                let policies = [
                    ErrorPolicy::Stop,
                    ErrorPolicy::Continue,
                    ErrorPolicy::Drop,
                    ErrorPolicy::IgnoreBrokenPipe,
                ];
                let policy = *g.choose(&policies).unwrap_or(&ErrorPolicy::Stop);
                let count = below(g, 4);
                Self::Several((0..count).map(|_| Self::random(g, inner, len)).collect(), policy)
            }
            _ => Self::leaf(g, grammar, len),
        }
    }

    fn leaf(g: &mut Gen, Grammar { fate, kernel, .. }: Grammar, len: usize) -> Self {
        let nonblocking = bool::arbitrary(g);
        let kinds = [ErrorKind::BrokenPipe, ErrorKind::StorageFull, ErrorKind::WouldBlock];
        let leaf = match (kernel, fate) {
            (true, Fate::Well) => below(g, 8),
            (true, Fate::Passing) => below(g, 9),
            (true, Fate::Mortal) => below(g, 10),
            (false, Fate::Well) => *g.choose(&[0, 1, 2, 3, 5, 7, 10, 11, 12]).unwrap_or(&0),
            (false, Fate::Passing) => below(g, 15).min(13),
            (false, Fate::Mortal) => below(g, 15),
        };
        Self::Leaf(match leaf {
            0 | 1 => Basin::File { append: false },
            2 => Basin::Offset,
            3 | 4 => Basin::Pipe { nonblocking },
            5 | 6 => Basin::Socket { nonblocking: nonblocking || kernel },
            7 => Basin::Null,
            8 => Basin::Narrow,
            9 if fate == Fate::Mortal => Basin::Broken,
            9 | 10 => Basin::Memory,
            11 => Basin::Nowhere,
            12 => Basin::File { append: true },
            13 => {
                let kind = *g.choose(&kinds).unwrap_or(&ErrorKind::BrokenPipe);
                let once = fate == Fate::Passing || kind == ErrorKind::WouldBlock || nonblocking;
                Basin::Frail { room: below(g, len + 2), kind, once }
            }
            _ => Basin::Full,
        })
    }

    /// Whether any part of it is as `test` says.
    pub(super) fn any(&self, test: &impl Fn(&Self) -> bool) -> bool {
        test(self)
            || match self {
                Self::Leaf(_) => false,
                Self::Count(inner) | Self::Limit(_, inner) | Self::Buffered(_, inner) => {
                    inner.any(test)
                }
                Self::Several(sinks, _) => sinks.iter().any(|sink| sink.any(test)),
            }
    }

    pub(super) fn has(&self, basin: Basin) -> bool {
        self.any(&|drain| matches!(drain, Self::Leaf(leaf) if *leaf == basin))
    }

    /// How many bytes each outlet takes before it fails for good; `None`: any number.
    pub(super) fn rooms(&self) -> Vec<Option<u64>> {
        match self {
            Self::Leaf(Basin::Broken | Basin::Full) => vec![Some(0)],
            Self::Leaf(Basin::Frail { room, once: false, .. }) => vec![Some(*room as u64)],
            Self::Leaf(_) => vec![None],
            Self::Count(inner) => inner.rooms(),
            Self::Limit(n, inner) => {
                let rooms = inner.rooms().into_iter();
                rooms.map(|room| Some(room.map_or(*n, |room| room.min(*n)))).collect()
            }
            Self::Buffered(_, inner) => match &inner.rooms()[..] {
                [one] => vec![*one],
                several => vec![several.iter().flatten().min().copied()],
            },
            Self::Several(sinks, _) if sinks.is_empty() => vec![None],
            Self::Several(sinks, _) => sinks.iter().flat_map(Self::rooms).collect(),
        }
    }

    /// Which outlets no policy may give up.
    pub(super) fn lasting(&self) -> Vec<bool> {
        match self {
            Self::Leaf(_) => vec![true],
            // What lies behind the buffer is not seen, unless it is one outlet.
            Self::Buffered(_, inner) => vec![inner.lasting() != [false]],
            Self::Count(inner) | Self::Limit(_, inner) => inner.lasting(),
            Self::Several(sinks, _) if sinks.is_empty() => vec![true],
            Self::Several(sinks, policy) => {
                let stays = *policy == ErrorPolicy::Stop;
                sinks.iter().flat_map(Self::lasting).map(|lasts| lasts && stays).collect()
            }
        }
    }

    pub(super) fn shrink(&self) -> Box<dyn Iterator<Item = Self>> {
        match self {
            Self::Leaf(Basin::Memory) => Box::new(std::iter::empty()),
            Self::Leaf(Basin::Frail { room, kind, once }) => {
                let (kind, once) = (*kind, *once);
                let less = room.shrink();
                let less = less.map(move |room| Self::Leaf(Basin::Frail { room, kind, once }));
                Box::new([Self::MEMORY].into_iter().chain(less))
            }
            Self::Leaf(_) => Box::new([Self::MEMORY].into_iter()),
            Self::Count(inner) => Box::new(within(inner, Self::Count)),
            Self::Buffered(n, inner) => {
                let n = *n;
                Box::new(within(inner, move |inner| Self::Buffered(n, inner)))
            }
            Self::Limit(n, inner) => {
                let (same, kept) = (*n, inner.clone());
                let less = n.shrink().map(move |n| Self::Limit(n, kept.clone()));
                Box::new(within(inner, move |inner| Self::Limit(same, inner)).chain(less))
            }
            Self::Several(sinks, policy) => {
                let policy = *policy;
                let alone = sinks.clone().into_iter();
                Box::new(alone.chain(each(sinks).map(move |sinks| Self::Several(sinks, policy))))
            }
        }
    }
}

fn within(
    inner: &Drain,
    wrap: impl Fn(Box<Drain>) -> Drain + 'static,
) -> Box<dyn Iterator<Item = Drain>> {
    let shrunk = inner.shrink();
    let shrunk = shrunk.map(move |inner| wrap(Box::new(inner)));
    Box::new([inner.clone()].into_iter().chain(shrunk))
}

/// The same sinks without one of them, or with one of them shrunk.
fn each(sinks: &[Drain]) -> impl Iterator<Item = Vec<Drain>> + use<> {
    let sinks = sinks.to_vec();
    (0..sinks.len()).flat_map(move |i| {
        let all = sinks.clone();
        let mut fewer = sinks.clone();
        fewer.remove(i);
        let shrunk = sinks[i].shrink().map(move |sink| {
            let mut all = all.clone();
            all[i] = sink;
            all
        });
        [fewer].into_iter().chain(shrunk)
    })
}
