//! Steps of one call: from one descriptor straight into another.

use super::ends::End;
use super::engine::{Engine, Moved, Stop, Turn};
use super::error::Pending;
use super::plan::Step;
use super::wait::{PASS, Ready, Stall};
use super::{Path, Side};
use crate::source::Outcome;
use crate::sys::{self, Kind, Verdict};
use std::io;

impl Engine<'_> {
    #[inline(never)]
    pub(super) fn direct(
        &mut self,
        step: Step,
        from: &End<'_>,
        (index, to): (usize, End<'_>),
        max: u64,
    ) -> Turn {
        let len = max as usize;
        let block = self.may_block();
        let mut stall = Stall::default();
        loop {
            let (path, result) = match step {
                Step::CopyFileRange { .. } => {
                    (Path::CopyFileRange, sys::copy_file_range(from.past(0), to.past(0), len))
                }
                Step::Sendfile { .. } => (Path::Sendfile, sys::sendfile(from.past(0), to.fd, len)),
                _ => (Path::Splice, sys::splice(from.past(0), to.past(0), len, block)),
            };
            let error = match result {
                // Some file systems answer 0 for a file that has bytes; a read knows.
                Ok(0) if matches!(from.kind, Kind::File { .. }) => return Turn::Plain(max),
                // So does TCP at its urgent mark, once the peer has said that it ends.
                Ok(0) if matches!(from.kind, Kind::Stream { .. }) => return Turn::Plain(PASS),
                Ok(0) => return Turn::End,
                Ok(n) => return moved(n as u64, path, index, None),
                Err(error) => error,
            };
            let verdict = match path {
                Path::CopyFileRange => sys::verdict_on_range(&error),
                _ => sys::verdict(&error),
            };
            match verdict {
                Verdict::Again => match self.blocked(Some(from), Some((index, &to)), &mut stall) {
                    Ready::Retry => {}
                    Ready::Both => return Turn::Plain(PASS),
                    Ready::Silent => return Turn::Again,
                    Ready::Stop(stop) => return Turn::Stop(stop),
                },
                Verdict::Refused => {
                    match path {
                        Path::CopyFileRange => self.refused.copy_file_range = true,
                        Path::Sendfile => self.refused.sendfile = true,
                        _ => self.refused.splice = true,
                    }
                    return Turn::Again;
                }
                Verdict::Failed if is_sources(from.kind, &error) => {
                    return Turn::Stop(Stop::new(Side::Source, error));
                }
                Verdict::Failed => return moved(0, path, index, Some(error)),
            }
        }
    }
}

/// Whose failure it is: a pipe that is read never fails, a socket fails otherwise than the pipe
/// it is spliced into, and a file only by an I/O error.
fn is_sources(from: Kind, error: &io::Error) -> bool {
    match from {
        Kind::Stream { .. } => error.kind() != io::ErrorKind::BrokenPipe,
        Kind::File { .. } => sys::is_files_own(error),
        _ => false,
    }
}

pub(super) fn moved(n: u64, path: Path, index: usize, error: Option<io::Error>) -> Turn {
    let mut outcomes: Vec<_> = (0..index).map(|_| Outcome::default()).collect();
    outcomes.push(Outcome { moved: n, error });
    Turn::Moved(Box::new(Moved { n, path, outcomes, pending: Pending::default() }))
}
