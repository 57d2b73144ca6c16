//! Steps through pipes of our own: where neither end is a pipe, and to several outlets.
//!
//! The bytes of a step lie in one pipe, the *head*: the source itself if it is a pipe, else a
//! broker filled from it. tee(2) duplicates them, without taking them, for every outlet but the
//! last; the last one takes them. The first outlet that is a pipe gets its
//! duplicate directly and thereby says how large the step is; each further one does if it is empty
//! and large enough, and else gets it through a broker with as many slots as the head, drained to
//! the last byte before the next. Whatever goes wrong midway,
//! the bytes are read from the head at the end, where they still lie whole, and every outlet that
//! lacks some either gets them by plain writes or is owed them.

use super::broker::{self, Broker};
use super::direct::moved;
use super::ends::End;
use super::engine::{Engine, Moved, Stop, Turn};
use super::error::Pending;
use super::wait::{PASS, Ready, Stall};
use super::{Path, Side};
use crate::error;
use crate::source::Outcome;
use crate::sys::{self, Kind, Verdict};
use std::io;
use std::os::fd::BorrowedFd;

/// The pipe in which the bytes of a step lie.
struct Head<'a> {
    fd: BorrowedFd<'a>,
    /// What the pipe can hold, in slots of a page.
    capacity: usize,
    /// The source is that pipe, so that nobody knows how much lies in it.
    end: Option<&'a End<'a>>,
}

/// One outlet of the step.
struct Share<'a> {
    index: usize,
    end: End<'a>,
    moved: u64,
    error: Option<io::Error>,
}

/// Why draining a pipe into an outlet stopped.
enum Trouble {
    /// Plain writes can go on, or tell what is wrong.
    Plain,
    Failed(io::Error),
}

impl Engine<'_> {
    #[inline(never)]
    pub(super) fn carry(&mut self, from: &End<'_>, live: &[(usize, End<'_>)], max: u64) -> Turn {
        if live.len() > 1 && matches!(from.kind, Kind::Pipe { .. }) {
            let Some(capacity) = self.ends.capacity(0, from.fd) else { return self.refuse_tee() };
            let head = Head { fd: from.fd, capacity, end: Some(from) };
            return self.share_out(&head, live, max);
        }
        if let [(index, end)] = *live {
            return self.carry_to_one(from, index, end, max);
        }
        let (broker, n) = match self.filled(from, max) {
            Ok(filled) => filled,
            Err(turn) => return turn,
        };
        let head = Head { fd: broker.reader(), capacity: broker.capacity(), end: None };
        let turn = self.share_out(&head, live, n);
        // Otherwise bytes may be left in it, and it is closed.
        if matches!(&turn, Turn::Moved(moved) if moved.n == n) {
            broker.give_back();
        }
        turn
    }

    /// As [`carry`](Self::carry) with one outlet, which most copies have.
    #[inline(never)]
    fn carry_to_one(&mut self, from: &End<'_>, index: usize, end: End<'_>, max: u64) -> Turn {
        let (broker, n) = match self.filled(from, max) {
            Ok(filled) => filled,
            Err(turn) => return turn,
        };
        let mut share = Share { index, end, moved: 0, error: None };
        match self.drain(broker.reader(), &mut share, n) {
            Ok(()) => {
                broker.give_back();
                return moved(n, Path::Splice, index, None);
            }
            Err(Trouble::Plain) => {}
            Err(Trouble::Failed(error)) => share.error = Some(error),
        }
        self.make_up(broker.reader(), vec![share], n, Path::Splice)
    }

    /// A broker with bytes of the source; with less than asked, if that is what there is. Who waits
    /// for them has none: brokers are few.
    fn filled(&mut self, from: &End<'_>, max: u64) -> Result<(Broker, u64), Turn> {
        // No memory for pipes, or no descriptors: this step goes through memory.
        let Ok(Some(broker)) = broker::take(0) else { return Err(Turn::Plain(max)) };
        let len = (max as usize).min(broker.capacity());
        let result = sys::splice(from.past(0), (broker.writer(), None), len, self.may_block());
        if let Ok(n @ 1..) = result {
            self.silent = false;
            return Ok((broker, n as u64));
        }
        broker.give_back();
        let error = match result {
            Ok(_) if matches!(from.kind, Kind::File { .. }) => return Err(Turn::Plain(max)),
            // As in a direct step.
            Ok(_) if matches!(from.kind, Kind::Stream { .. }) => return Err(Turn::Plain(PASS)),
            Ok(_) => return Err(Turn::End),
            Err(error) => error,
        };
        Err(match sys::verdict(&error) {
            Verdict::Again => self.dry(from),
            Verdict::Refused => {
                self.refused.splice = true;
                Turn::Again
            }
            Verdict::Failed => Turn::Stop(Stop::new(Side::Source, error)),
        })
    }

    fn refuse_tee(&mut self) -> Turn {
        self.refused.tee = true;
        Turn::Again
    }

    /// Gives every outlet the bytes of the head and takes them out of it. `max` is how many lie
    /// there, unless the head is the source.
    fn share_out(&mut self, head: &Head<'_>, live: &[(usize, End<'_>)], max: u64) -> Turn {
        let mut shares: Vec<_> =
            live.iter().map(|&(index, end)| Share { index, end, moved: 0, error: None }).collect();
        let known = head.end.is_none();
        // The last share takes the bytes; one that is a pipe goes first where that sets the size.
        let first = shares.iter().position(|share| matches!(share.end.kind, Kind::Pipe { .. }));
        if let (false, Some(first)) = (known, first) {
            shares.swap(0, first);
        }
        let mut n = known.then_some(max);
        let last = shares.len() - 1;
        for share in &mut shares[..last] {
            match n {
                Some(n) => self.duplicate(head, share, n),
                None => match self.first_duplicate(head, share, max) {
                    Ok(k) => n = Some(k),
                    Err(turn) => return turn,
                },
            }
        }
        let n = n.unwrap_or(max);
        let path = if last == 0 { Path::Splice } else { Path::Tee };
        self.take_out(head, shares, n, path)
    }

    /// The first duplicate of a head that is the source: it says how large the step is.
    fn first_duplicate(
        &mut self,
        head: &Head<'_>,
        share: &mut Share<'_>,
        max: u64,
    ) -> Result<u64, Turn> {
        let straight = matches!(share.end.kind, Kind::Pipe { .. });
        let broker = match straight {
            true => None,
            false => match broker::take(head.capacity) {
                Ok(Some(broker)) => Some(broker),
                Ok(None) | Err(_) => return Err(Turn::Plain(max)),
            },
        };
        let to = broker.as_ref().map_or(share.end.fd, Broker::writer);
        let mut stall = Stall::default();
        let n = loop {
            let error = match sys::tee(head.fd, to, max as usize, self.may_block()) {
                Ok(0) => return Err(Turn::End),
                Ok(n) => break n as u64,
                Err(error) => error,
            };
            let outlet = straight.then_some((share.index, &share.end));
            match sys::verdict(&error) {
                Verdict::Again => match self.blocked(head.end, outlet, &mut stall) {
                    Ready::Retry => {}
                    Ready::Both => return Err(Turn::Plain(PASS)),
                    Ready::Silent => {
                        if let Some(empty) = broker {
                            empty.give_back();
                        }
                        return Err(Turn::Again);
                    }
                    Ready::Stop(stop) => return Err(Turn::Stop(stop)),
                },
                Verdict::Refused => return Err(self.refuse_tee()),
                Verdict::Failed => {
                    share.error = Some(error);
                    let outcomes = outcomes(std::slice::from_mut(share));
                    let (path, pending) = (Path::Tee, Pending::default());
                    return Err(Turn::Moved(Box::new(Moved { n: 0, path, outcomes, pending })));
                }
            }
        };
        match broker {
            None => share.moved = n,
            Some(broker) => self.drain_broker(broker, share, n),
        }
        Ok(n)
    }

    /// One further duplicate of the `n` bytes. Where it falls short, plain writes make up.
    fn duplicate(&mut self, head: &Head<'_>, share: &mut Share<'_>, n: u64) {
        if self.has_room(head, share) {
            if let Ok(k) = sys::tee(head.fd, share.end.fd, n as usize, false) {
                share.moved = k as u64;
                return;
            }
        }
        let Ok(Some(broker)) = broker::take(head.capacity) else { return };
        match sys::tee(head.fd, broker.writer(), n as usize, false) {
            Ok(k) => self.drain_broker(broker, share, (k as u64).min(n)),
            Err(_) => broker.give_back(),
        }
    }

    /// Whether the outlet is a pipe that will take all of the head at once: a duplicate that falls
    /// short cannot be continued.
    fn has_room(&mut self, head: &Head<'_>, share: &Share<'_>) -> bool {
        matches!(share.end.kind, Kind::Pipe { .. })
            && self.ends.capacity(share.index + 1, share.end.fd) >= Some(head.capacity)
            && sys::queued(share.end.fd).is_ok_and(|bytes| bytes == 0)
    }

    fn drain_broker(&mut self, broker: Broker, share: &mut Share<'_>, n: u64) {
        match self.drain(broker.reader(), share, n) {
            Ok(()) => broker.give_back(),
            Err(Trouble::Plain) => {}
            Err(Trouble::Failed(error)) => share.error = Some(error),
        }
    }

    /// Moves `n` bytes that lie in `pipe` into an outlet.
    fn drain(
        &mut self,
        pipe: BorrowedFd<'_>,
        share: &mut Share<'_>,
        n: u64,
    ) -> Result<(), Trouble> {
        let block = self.may_block();
        let mut stall = Stall::default();
        let end = share.end;
        let mut raced = false;
        while share.moved < n {
            let len = (n - share.moved) as usize;
            let error = match sys::splice((pipe, None), end.past(share.moved), len, block) {
                Ok(0) => return Err(Trouble::Plain),
                Ok(k) => {
                    share.moved += k as u64;
                    self.beat(k as u64);
                    raced = false;
                    stall = Stall::default();
                    continue;
                }
                Err(error) => error,
            };
            match sys::verdict(&error) {
                Verdict::Again => match self.blocked(None, Some((share.index, &end)), &mut stall) {
                    Ready::Retry => {}
                    // There was no room, and now there is: its reader was quicker than the question.
                    Ready::Both if !raced => raced = true,
                    Ready::Both | Ready::Silent => return Err(Trouble::Plain),
                    Ready::Stop(stop) => return Err(Trouble::Failed(stop.error)),
                },
                Verdict::Refused => {
                    self.refused.splice = true;
                    return Err(Trouble::Plain);
                }
                Verdict::Failed => return Err(Trouble::Failed(error)),
            }
        }
        Ok(())
    }

    /// The last outlet takes the bytes out of the head; then those that lack some get them.
    fn take_out(
        &mut self,
        head: &Head<'_>,
        mut shares: Vec<Share<'_>>,
        n: u64,
        path: Path,
    ) -> Turn {
        let last = shares.len() - 1;
        let behind = |share: &Share<'_>| share.moved < n;
        if !shares[..last].iter().any(behind) {
            let share = &mut shares[last];
            if let Err(Trouble::Failed(error)) = self.drain(head.fd, share, n) {
                share.error = Some(error);
            }
        }
        self.make_up(head.fd, shares, n, path)
    }

    /// Reads what is left in `pipe`, and writes to each share what it lacks.
    #[inline(never)]
    fn make_up(
        &self,
        pipe: BorrowedFd<'_>,
        mut shares: Vec<Share<'_>>,
        n: u64,
        path: Path,
    ) -> Turn {
        let mut pending = Pending::default();
        let taken = shares.last().map_or(0, |share| share.moved);
        if shares.iter().any(|share| share.moved < n) {
            // The last share took the first bytes if it took any, so these are the rest.
            match read_exactly(pipe, (n - taken) as usize) {
                Ok(bytes) => pending.bytes = bytes,
                Err(error) => return Turn::Stop(Stop::new(Side::Source, error)),
            }
            for share in shares.iter_mut().filter(|share| share.error.is_none()) {
                let (_, at) = share.end.past(share.moved);
                let lacks = (n - share.moved) as usize;
                let put = self.put_fd(
                    share.end.handle,
                    at,
                    &pending.bytes[pending.bytes.len() - lacks..],
                );
                share.moved += put.moved;
                share.error = put.error;
            }
            for share in shares.iter().filter(|share| share.moved < n) {
                pending.lacks.resize(pending.lacks.len().max(share.index + 1), 0);
                pending.lacks[share.index] = (n - share.moved) as usize;
            }
        }
        let outcomes = outcomes(&mut shares);
        Turn::Moved(Box::new(Moved { n, path, outcomes, pending }))
    }
}

/// The outcomes by outlet number.
fn outcomes(shares: &mut [Share<'_>]) -> Vec<Outcome> {
    let count = shares.iter().map(|share| share.index + 1).max().unwrap_or(0);
    let mut list: Vec<_> = (0..count).map(|_| Outcome::default()).collect();
    for share in shares {
        list[share.index] = Outcome { moved: share.moved, error: share.error.take() };
    }
    list
}

/// Reads `n` bytes that are known to lie in a pipe.
fn read_exactly(pipe: BorrowedFd<'_>, n: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; n];
    let mut got = 0;
    while got < n {
        match sys::read(pipe, &mut bytes[got..])? {
            // Only another reader of the same pipe can have taken them.
            0 => return Err(error::too_short((n - got) as u64)),
            k => got += k,
        }
    }
    Ok(bytes)
}
