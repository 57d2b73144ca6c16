//! Which step comes next: a pure function of what both sides said of themselves.
//!
//! | from \ to | file | pipe | stream socket | device |
//! |---|---|---|---|---|
//! | file | copy_file_range, else through a broker | splice \* | sendfile \* | loop |
//! | pipe | splice | splice | splice | splice |
//! | stream socket | through a broker | splice | through a broker | through a broker |
//!
//! Several outlets: through tee(2), \* all the same. (\*) Only with `share_pages`: the pages of a
//! file must not lie in a pipe or socket, where a later change of the file would show. Sockets and
//! devices only if they are non-blocking, since splice and sendfile would block on them whatever
//! their flags. Everything else, and everything small, is a loop over read and write.

use super::Copier;
use crate::source::Outlet;
use crate::sys::Kind;

/// Bytes that go through memory first. Small copies never get to know a kernel path: setting it
/// up costs more than it saves.
pub(crate) const WARM: u64 = 64 << 10;

/// The most that one call is asked to move.
pub(crate) const STEP: u64 = 1 << 20;

/// What the source said, with the kind of its descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum From {
    Memory { len: u64 },
    Fd { kind: Kind, max: u64, hidden: bool },
    Opaque,
}

/// What an outlet said, with the kind of its descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum To {
    Fd { kind: Kind, max: u64 },
    Discard { max: u64 },
    Opaque { max: u64 },
    Gone,
}

impl To {
    /// What an outlet said, as far as it can be told without asking the system.
    pub(crate) fn unknown(outlet: &Outlet<'_>) -> Self {
        match *outlet {
            Outlet::Fd { max, .. } => Self::Fd { kind: Kind::Other, max },
            Outlet::Discard { max } => Self::Discard { max },
            Outlet::Opaque { max, .. } => Self::Opaque { max },
            Outlet::Gone => Self::Gone,
        }
    }

    /// Whether it takes bytes and keeps none.
    pub(crate) fn discards(self) -> bool {
        matches!(self, Self::Discard { .. } | Self::Fd { kind: Kind::Null, .. })
    }

    fn room(self) -> u64 {
        match self {
            Self::Fd { max, .. } | Self::Discard { max } | Self::Opaque { max } => max,
            Self::Gone => u64::MAX,
        }
    }
}

/// Ways that the kernel has refused since the ends last changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) copy_file_range: bool,
    pub(crate) sendfile: bool,
    pub(crate) splice: bool,
    pub(crate) tee: bool,
}

/// What the engine does next. `max` is the most bytes it may move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// The piece is at its end.
    End,
    /// `read` of the source and writes to each outlet.
    Loop,
    /// The bytes lie in memory: writes to each outlet.
    Memory {
        max: u64,
    },
    CopyFileRange {
        max: u64,
    },
    Sendfile {
        max: u64,
    },
    /// One splice, a pipe being on one side.
    Splice {
        max: u64,
    },
    /// Through a pipe of our own, duplicated for each further outlet.
    Carry {
        max: u64,
    },
}

impl Step {
    /// How many bytes may go around the chain, inside the kernel, if the step is of that kind.
    pub(crate) fn around(self) -> Option<u64> {
        match self {
            Self::CopyFileRange { max }
            | Self::Sendfile { max }
            | Self::Splice { max }
            | Self::Carry { max } => Some(max),
            Self::End | Self::Loop | Self::Memory { .. } => None,
        }
    }
}

/// Chooses the next step.
///
/// `left` is what the copy may still take, `taken` what it has taken.
pub(crate) fn plan(
    from: From,
    outlets: &[To],
    options: &Copier,
    refused: Refused,
    left: u64,
    taken: u64,
) -> Step {
    let room = outlets.iter().map(|to| to.room()).min().unwrap_or(u64::MAX);
    let max = room.min(left).min(STEP);
    let (source, max) = match from {
        From::Memory { len: 0 } | From::Fd { max: 0, .. } => return Step::End,
        // The loop's one-byte read tells the end of the source from a writer too small for it.
        _ if room == 0 => return Step::Loop,
        From::Memory { len } => return Step::Memory { max: max.min(len) },
        From::Opaque | From::Fd { hidden: true, .. } => return Step::Loop,
        From::Fd { kind, max: len, .. } => (kind, max.min(len)),
    };
    if taken < options.warm || max < options.warm.min(left) {
        return Step::Loop;
    }
    kernel(source, outlets, options, refused, max).unwrap_or(Step::Loop)
}

fn kernel(
    source: Kind,
    outlets: &[To],
    options: &Copier,
    refused: Refused,
    max: u64,
) -> Option<Step> {
    let mut live = 0;
    let mut only = None;
    for outlet in outlets {
        match *outlet {
            To::Opaque { .. } => return None,
            To::Gone => {}
            to if to.discards() => {}
            To::Discard { .. } => {}
            To::Fd { kind, .. } => {
                if !allowed(source, kind, options) {
                    return None;
                }
                live += 1;
                only = Some(kind);
            }
        }
    }
    let carry = || (!refused.splice).then_some(Step::Carry { max });
    match (live, source, only?) {
        (1, Kind::File { .. }, Kind::File { .. }) if !refused.copy_file_range => {
            Some(Step::CopyFileRange { max })
        }
        (1, Kind::File { .. }, Kind::Stream { .. }) if !refused.sendfile => {
            Some(Step::Sendfile { max })
        }
        (1, Kind::Pipe { .. }, _) | (1, _, Kind::Pipe { .. }) => {
            (!refused.splice).then_some(Step::Splice { max })
        }
        (1, ..) => carry(),
        _ if refused.tee => None,
        _ => carry(),
    }
}

/// Whether bytes may go from one to the other without passing through memory.
fn allowed(source: Kind, outlet: Kind, options: &Copier) -> bool {
    let readable = match source {
        Kind::File { .. } | Kind::Pipe { .. } => true,
        Kind::Stream { nonblocking } => nonblocking,
        // Reading devices through a pipe is slower than reading them.
        Kind::Device { .. } | Kind::Null | Kind::Other => false,
    };
    let writable = match outlet {
        Kind::File { append } => !append,
        Kind::Pipe { .. } | Kind::Null => true,
        Kind::Stream { nonblocking } | Kind::Device { nonblocking } => nonblocking,
        Kind::Other => false,
    };
    let shares = matches!(
        (source, outlet),
        (Kind::File { .. }, Kind::Pipe { .. } | Kind::Stream { .. } | Kind::Device { .. })
    );
    readable && writable && (options.share_pages || !shares)
}
