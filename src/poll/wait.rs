//! Waiting until one of several descriptors is ready: the one place where all waits go through.

use super::side::{Round, Side};
use super::{Desc, Interest, here};
use crate::error;
use crate::park::{self, Unparker};
use crate::sys::{self, Watch};
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

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

    /// Where events for it arrive.
    fn place(&self) -> (BorrowedFd<'a>, Option<&'a Arc<Desc>>, Interest) {
        let what = match self.what {
            What::Readable => Interest::READABLE,
            What::Writable | What::Broken => Interest::WRITABLE,
        };
        (self.fd, self.desc, what)
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
/// passed; those of the system, one that a socket had to tell among them, for which its wait has
/// fired; and those of a flow of control that may not wait.
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

/// As [`wait`], for a stream alone, whose caller has found nothing in this `round`.
///
/// # Errors
///
/// As [`wait`].
pub(crate) fn wait_from(
    wait: &mut Wait<'_>,
    round: Round,
    until: Option<Instant>,
) -> io::Result<()> {
    let Some(side) = wait.side().filter(|side| side.park(round.seen, Unparker::current())) else {
        return Ok(());
    };
    let deadline = [round.deadline, until].into_iter().flatten().min();
    let result = park(std::slice::from_mut(wait), deadline);
    side.unpark();
    result
}

/// Waits for `length`, for what no descriptor tells of. Events of the side are no reason to go on.
///
/// # Errors
///
/// As [`wait`], and `TimedOut` if `until` comes first.
pub(crate) fn pause(side: &Side, length: Duration, until: Option<Instant>) -> io::Result<()> {
    let me = Unparker::current();
    let at = Instant::now() + length;
    let end = until.map_or(at, |until| until.min(at));
    loop {
        let round = side.begin()?;
        if end <= Instant::now() {
            return if end < at { Err(error::timed_out()) } else { Ok(()) };
        }
        park_from(side, round, &me, Some(end))?;
    }
}

/// Parks from this `round` until `until`, the side's deadline, whatever happens to the side, or for no
/// reason.
pub(super) fn park_from(
    side: &Side,
    round: Round,
    me: &Unparker,
    until: Option<Instant>,
) -> io::Result<()> {
    if !side.park(round.seen, me.clone()) {
        return Ok(());
    }
    let result = park::park_until([round.deadline, until].into_iter().flatten().min());
    side.unpark();
    result
}

/// Has `me` woken once `wait` fires, its stream is closed, or the stream's deadline is moved; the caller
/// goes on. Until when the stream's deadline lets anybody wait; `None` if `wait` has fired, or may have.
/// Whoever is woken calls [`withdraw`].
///
/// # Errors
///
/// As [`wait`], and `Unsupported` if no event would come by itself.
pub(crate) fn announce_other(
    wait: &mut Wait<'_>,
    me: &Unparker,
) -> io::Result<Option<Option<Instant>>> {
    // Not asked by poll(2): what has come since the last read is mostly there, and a read says more.
    if wait.side().is_some_and(|side| side.word().state().is_ready()) {
        return Ok(None);
    }
    let mut announced = 0;
    let result = announce(std::slice::from_mut(wait), me, None, true, &mut announced);
    // Not before: a registry that ends tells those whom it finds announced.
    let settled = result.and_then(|deadline| match here::settle(std::iter::once(wait.place()))? {
        true => Ok(deadline),
        false => Err(io::ErrorKind::Unsupported.into()),
    });
    if announced > 0 && !matches!(settled, Ok(Some(_))) {
        withdraw(wait);
    }
    settled
}

/// Nobody is woken for `wait` any more.
pub(crate) fn withdraw(wait: &Wait<'_>) {
    if let Some(side) = wait.side() {
        side.unpark();
    }
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
            if !side.park(round.seen, me.clone()) {
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
    if edges && here::settle(waits.iter().map(Wait::place))? {
        return park::park_until(deadline);
    }
    let mut watches: Vec<_> = waits.iter().map(Wait::watch).collect();
    let result = park::park_on(&mut watches, deadline);
    for (wait, watch) in waits.iter_mut().zip(&watches) {
        wait.fired = watch.fired();
    }
    result
}

#[cfg(test)]
#[cfg(not(aqueduct_loom))]
mod tests {
    use super::*;
    use std::io::ErrorKind;
    use std::sync::mpsc;
    use std::thread;

    const LONG: Duration = Duration::from_secs(3600);

    #[test]
    fn a_pause_is_as_long_as_it_should_be_whatever_happens_on_the_descriptor() {
        let desc = Desc::new();
        let start = Instant::now();
        desc.read.ready(false);
        thread::scope(|scope| {
            scope.spawn(|| desc.read.ready(true));
            pause(&desc.read, Duration::from_millis(5), None).unwrap();
        });
        assert!(start.elapsed() >= Duration::from_millis(5));
        let until = Some(start + Duration::from_millis(8));
        let late = pause(&desc.read, LONG, until).unwrap_err();
        assert_eq!(late.kind(), ErrorKind::TimedOut);
        assert!(Some(Instant::now()) >= until, "early");
    }

    #[test]
    fn a_deadline_and_a_close_end_a_pause() {
        for kind in [ErrorKind::TimedOut, ErrorKind::NotConnected] {
            let desc = Desc::new();
            let (tell, hear) = mpsc::channel();
            let waiting = Arc::clone(&desc);
            thread::spawn(move || tell.send(pause(&waiting.read, LONG, None)));
            match kind {
                ErrorKind::TimedOut => desc.read.set_deadline(Some(Instant::now())),
                _ => desc.close(),
            }
            let result = hear.recv_timeout(Duration::from_secs(60)).expect("it is woken");
            assert_eq!(result.unwrap_err().kind(), kind);
        }
    }
}

#[cfg(all(test, aqueduct_loom))]
mod loom_models;
