//! Waiting until one of several descriptors is ready: the one place where all waits go through.

use super::side::{Round, Side};
use super::{Desc, here};
use crate::park::{self, Unparker};
use crate::sys::{self, Watch};
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    Readable,
    Writable,
    /// The other end is gone.
    Broken,
}

/// A descriptor in a wait, with its stream's state if it belongs to one.
#[derive(Debug)]
pub(crate) struct Wait<'a> {
    fd: BorrowedFd<'a>,
    what: What,
    desc: Option<&'a Arc<Desc>>,
    /// The wait ended for this one.
    pub(crate) fired: bool,
}

impl<'a> Wait<'a> {
    pub(crate) fn new(fd: BorrowedFd<'a>, what: What, desc: Option<&'a Arc<Desc>>) -> Self {
        Self { fd, what, desc, fired: false }
    }

    /// Until when the stream's own timeout lets one call wait that starts now.
    pub(crate) fn patience(&self) -> Option<Instant> {
        self.side()?.timeout.starting_now()
    }

    fn side(&self) -> Option<&'a Side> {
        self.desc.map(|desc| match self.what {
            What::Readable => &desc.read,
            What::Writable | What::Broken => &desc.write,
        })
    }

    fn watch(&self) -> Watch<'a> {
        match self.what {
            What::Readable => Watch::readable(self.fd),
            What::Writable => Watch::writable(self.fd),
            What::Broken => Watch::broken(self.fd),
        }
    }

    /// Whether the stream's word says that there is nothing to wait for.
    fn has_come(&self, round: &Round) -> bool {
        match self.what {
            What::Readable | What::Writable => round.seen.is_ready(),
            // A peer that only stopped writing has hung up as well, and for good; so only poll(2)
            // is asked.
            What::Broken => false,
        }
    }
}

/// Asks without waiting which of `waits` have fired, and notes it in the words of those that have
/// not: what was tried before has proved nothing.
///
/// # Errors
///
/// As [`wait`].
pub(crate) fn look(waits: &mut [Wait<'_>]) -> io::Result<()> {
    let rounds: Vec<_> = waits
        .iter()
        .map(|wait| wait.side().map(Side::begin).transpose())
        .collect::<io::Result<_>>()?;
    let mut watches: Vec<_> = waits.iter().map(Wait::watch).collect();
    sys::look(&mut watches)?;
    for ((wait, watch), round) in waits.iter_mut().zip(&watches).zip(rounds) {
        wait.fired = watch.fired();
        if let (false, Some(side), Some(round)) = (wait.fired, wait.side(), round) {
            if wait.what != What::Broken {
                side.word().note_drained(round.seen);
            }
        }
    }
    Ok(())
}

/// Waits until one of `waits` fires, until `deadline`, until something happens to a stream among
/// them, until the flow of control is unparked, or for no reason. Callers look again.
///
/// # Errors
///
/// `NotConnected` if one of the streams is closed, `TimedOut` once the deadline of one has
/// passed; those of the system, and those of a flow of control that may not wait.
pub(crate) fn wait(waits: &mut [Wait<'_>], deadline: Option<Instant>) -> io::Result<()> {
    let me = Unparker::current();
    let mut announced = 0;
    // poll(2) knows better than the word, which may be of before the call that would block.
    let trusted = !here::polls();
    let result = announce(waits, &me, deadline, trusted, &mut announced).and_then(|go| match go {
        Some(deadline) => park(waits, deadline),
        None => Ok(()),
    });
    waits[..announced].iter().filter_map(Wait::side).for_each(Side::unpark);
    result
}

/// Puts the caller into each stream's word and gathers the deadlines; `None` if something has
/// happened already.
fn announce(
    waits: &mut [Wait<'_>],
    me: &Unparker,
    mut deadline: Option<Instant>,
    trusted: bool,
    announced: &mut usize,
) -> io::Result<Option<Option<Instant>>> {
    for wait in waits {
        if let Some(side) = wait.side() {
            let round = side.begin()?;
            if trusted && wait.has_come(&round) {
                wait.fired = true;
                return Ok(None);
            }
            if !side.park(round.seen, me) {
                return Ok(None);
            }
            deadline = [deadline, round.deadline].into_iter().flatten().min();
        }
        *announced += 1;
    }
    Ok(Some(deadline))
}

fn park(waits: &mut [Wait<'_>], deadline: Option<Instant>) -> io::Result<()> {
    // Who unwinds must not stop here while others run: poll(2) keeps the thread to itself.
    let edges = waits.iter().all(|wait| wait.what != What::Broken) && !thread::panicking();
    if edges && here::settle(waits.iter().map(|wait| (wait.fd, wait.desc)))? {
        return park::park_until(deadline);
    }
    let mut watches: Vec<_> = waits.iter().map(Wait::watch).collect();
    park::park_on(&mut watches, deadline)?;
    for (wait, watch) in waits.iter_mut().zip(&watches) {
        wait.fired = watch.fired();
    }
    Ok(())
}
