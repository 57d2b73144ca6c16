//! One writer in front of several.

use crate::error;
use crate::source::{self, Outcomes, Outlet, Outlets, Sink};
use std::io::{self, ErrorKind, IoSlice, Write};

/// What a [`MultiWriter`] does when one of its sinks fails.
///
/// `WouldBlock` and `TimedOut` pass; they are returned and no sink is given up for them. When the
/// last live sink fails its error is returned under every policy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorPolicy {
    /// Return the error; every sink stays.
    #[default]
    Stop,
    /// Give the sink up and go on with the others. The next flush reports the first such error, and
    /// [`MultiWriter::finish`] reports it again.
    Continue,
    /// Give the sink up and go on with the others. The error is kept in
    /// [`MultiWriter::errors`] and reported nowhere else.
    Drop,
    /// Give a sink up when its reader is gone (`BrokenPipe`); return any other error.
    IgnoreBrokenPipe,
}

/// A writer that writes everything to each of its sinks.
///
/// Every live sink is offered the bytes on every `write`, and what the least-served of them has
/// got is what `write` accepts. **A sink that is ahead is not sent those bytes twice**: it skips
/// them when the caller sends the rest again, as `write_all` does and as every caller must after
/// a short write or an error. No byte is lost or doubled in any sink then, whatever failed.
///
/// Without sinks it accepts everything and keeps nothing. Once every sink was given up, `write`
/// fails with `BrokenPipe`.
///
/// # Examples
///
/// ```
/// use aqueduct::adapters::multi_writer;
/// use std::io::Write;
///
/// let (mut log, mut copy) = (Vec::new(), Vec::new());
/// multi_writer([&mut log, &mut copy]).write_all(b"twice")?;
/// assert_eq!(log, copy);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct MultiWriter<W> {
    slots: Vec<Slot<W>>,
    policy: ErrorPolicy,
    /// The first error that [`ErrorPolicy::Continue`] owes a report of.
    first: Option<usize>,
    /// Whether a flush has reported it.
    reported: bool,
    /// Which slot the last error came from.
    fault: Option<usize>,
}

#[derive(Debug)]
struct Slot<W> {
    sink: W,
    count: u64,
    /// Bytes that it has got and that `write` has not accepted.
    ahead: usize,
    /// Bytes that it was spared in the copy step under way, because it had them.
    spared: u64,
    /// How many outlets it has, as of the last time they were asked for.
    width: usize,
    gone: bool,
    error: Option<io::Error>,
}

/// [`MultiWriter::new`] as a function.
pub fn multi_writer<S: IntoIterator<Item: Write>>(sinks: S) -> MultiWriter<S::Item> {
    MultiWriter::new(sinks)
}

impl<W> MultiWriter<W> {
    /// Writes to all of `sinks`, and stops at the first error.
    pub fn new(sinks: impl IntoIterator<Item = W>) -> Self {
        let slot =
            |sink| Slot { sink, count: 0, ahead: 0, spared: 0, width: 1, gone: false, error: None };
        Self {
            slots: sinks.into_iter().map(slot).collect(),
            policy: ErrorPolicy::Stop,
            first: None,
            reported: false,
            fault: None,
        }
    }

    /// The same writer with another policy.
    #[must_use]
    pub fn policy(mut self, policy: ErrorPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// How many bytes each sink has got.
    pub fn counts(&self) -> impl ExactSizeIterator<Item = u64> + '_ {
        self.slots.iter().map(|slot| slot.count)
    }

    /// How many bytes sink number `i` has got; 0 if there is no such sink.
    #[must_use]
    pub fn count(&self, i: usize) -> u64 {
        self.slots.get(i).map_or(0, |slot| slot.count)
    }

    /// The sinks that were given up, by number, each with the reason.
    pub fn errors(&self) -> impl Iterator<Item = (usize, &io::Error)> + '_ {
        self.slots.iter().enumerate().filter_map(|(i, slot)| Some((i, slot.error.as_ref()?)))
    }

    /// Sink number `i`, given up or not.
    pub fn get_ref(&self, i: usize) -> Option<&W> {
        self.slots.get(i).map(|slot| &slot.sink)
    }

    /// Sink number `i`, given up or not.
    pub fn get_mut(&mut self, i: usize) -> Option<&mut W> {
        self.slots.get_mut(i).map(|slot| &mut slot.sink)
    }

    /// All sinks, in order, those given up among them.
    pub fn into_inner(self) -> Vec<W> {
        self.slots.into_iter().map(|slot| slot.sink).collect()
    }

    /// How many sinks there are, those given up among them.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there are no sinks.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    fn live(&self) -> usize {
        self.slots.iter().filter(|slot| !slot.gone).count()
    }

    /// Runs `op` on every live sink, whatever the others answered, under the policy.
    fn each(&mut self, mut op: impl FnMut(&mut Slot<W>) -> io::Result<()>) -> io::Result<()> {
        self.fault = None;
        if !self.slots.is_empty() && self.live() == 0 {
            return Err(error::sinks_gone());
        }
        let mut verdict = Ok(());
        for i in 0..self.slots.len() {
            if self.slots[i].gone {
                continue;
            }
            let result = op(&mut self.slots[i]);
            verdict = self.judge(i, result, verdict);
        }
        verdict
    }

    /// The policy: gives slot `i` up or returns its error. An earlier error goes first.
    fn judge(
        &mut self,
        i: usize,
        result: io::Result<()>,
        earlier: io::Result<()>,
    ) -> io::Result<()> {
        let Err(error) = result else { return earlier };
        let kind = error.kind();
        let absorb = match self.policy {
            _ if matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut) => false,
            ErrorPolicy::Stop => false,
            ErrorPolicy::Continue | ErrorPolicy::Drop => true,
            ErrorPolicy::IgnoreBrokenPipe => kind == ErrorKind::BrokenPipe,
        };
        if absorb {
            let slot = &mut self.slots[i];
            slot.gone = true;
            slot.error = Some(again(&error));
            self.first.get_or_insert(i);
            if self.live() > 0 {
                return earlier;
            }
        }
        if earlier.is_ok() {
            self.fault = Some(i);
            return Err(error);
        }
        earlier
    }

    /// The error that the policy `Continue` has to report.
    fn owed(&self) -> io::Result<()> {
        let error = match (self.policy, self.first) {
            (ErrorPolicy::Continue, Some(i)) => self.slots[i].error.as_ref(),
            _ => None,
        };
        error.map_or(Ok(()), |error| Err(again(error)))
    }

    /// Offers `len` bytes to every sink: `write` sends a sink what follows the first so many.
    fn offer(
        &mut self,
        len: usize,
        mut write: impl FnMut(&mut W, usize) -> io::Result<usize>,
    ) -> io::Result<usize> {
        if len == 0 {
            return Ok(0);
        }
        let verdict = self.each(|slot| {
            let left = len.saturating_sub(slot.ahead);
            if left == 0 {
                return Ok(());
            }
            let n = loop {
                match write(&mut slot.sink, slot.ahead) {
                    Ok(0) => return Err(error::takes_no_more()),
                    Ok(n) if n > left => return Err(error::lying("writer", n, left)),
                    Ok(n) => break n,
                    Err(e) if e.kind() == ErrorKind::Interrupted => {}
                    Err(e) => return Err(e),
                }
            };
            slot.count += n as u64;
            slot.ahead += n;
            Ok(())
        });
        // After an error nothing counts as accepted, and what the sinks did get they are ahead.
        let accepted = match verdict {
            Ok(()) => self.live_slots().map(|slot| slot.ahead).min().unwrap_or(len).min(len),
            Err(_) => 0,
        };
        // One that was given up may have got less than was accepted.
        for slot in &mut self.slots {
            slot.ahead = slot.ahead.saturating_sub(accepted);
        }
        verdict.map(|()| accepted)
    }

    fn live_slots(&self) -> impl Iterator<Item = &Slot<W>> {
        self.slots.iter().filter(|slot| !slot.gone)
    }
}

impl<W: Write> MultiWriter<W> {
    /// Flushes every sink and reports the first error of the policy
    /// [`Continue`](ErrorPolicy::Continue), reported before or not.
    ///
    /// # Errors
    ///
    /// That of the flush, else the first that a sink was given up for.
    pub fn finish(&mut self) -> io::Result<()> {
        self.each(|slot| flush(&mut slot.sink))?;
        self.reported = true;
        self.owed()
    }
}

fn flush(sink: &mut impl Write) -> io::Result<()> {
    loop {
        match sink.flush() {
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// The same error once more: one to keep and one to return.
fn again(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(number) => io::Error::from_raw_os_error(number),
        None => io::Error::new(error.kind(), error.to_string()),
    }
}

impl<W: Write> Write for MultiWriter<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.offer(buf.len(), |sink, skip| sink.write(&buf[skip..]))
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        // A list that adds up to more than memory holds can only repeat itself; its end waits.
        let len = bufs.iter().fold(0usize, |len, buf| len.saturating_add(buf.len()));
        self.offer(len, |sink, skip| {
            if skip == 0 {
                return sink.write_vectored(bufs);
            }
            let mut rest = bufs.to_vec();
            let mut rest = &mut rest[..];
            IoSlice::advance_slices(&mut rest, skip);
            sink.write_vectored(rest)
        })
    }

    /// Flushes every sink, whatever the others answer.
    fn flush(&mut self) -> io::Result<()> {
        self.each(|slot| flush(&mut slot.sink))?;
        if std::mem::replace(&mut self.reported, self.first.is_some()) {
            return Ok(());
        }
        self.owed()
    }
}

/// A sink that is ahead, as an outlet: what it has got already is skipped.
impl<W: Write> Write for Slot<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if self.ahead == 0 {
            return self.sink.write(buf);
        }
        let n = self.ahead.min(buf.len());
        self.ahead -= n;
        self.spared += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }
}

impl<W: Sink> Sink for MultiWriter<W> {
    fn prepare(&mut self) -> io::Result<()> {
        self.each(|slot| slot.sink.prepare())
    }

    fn outlets<'a>(&'a mut self, out: &mut Outlets<'a>) {
        if self.slots.is_empty() {
            return out.push(Outlet::Discard { max: u64::MAX });
        }
        for slot in &mut self.slots {
            if slot.gone {
                slot.width = source::outlets(&mut slot.sink);
                out.push_gone(slot.width);
            } else if slot.ahead > 0 {
                slot.width = source::outlets(&mut slot.sink);
                let width = slot.width;
                out.push(Outlet::opaque(slot));
                out.push_gone(width.saturating_sub(1));
            } else {
                let from = out.len();
                slot.sink.outlets(out);
                slot.width = out.len() - from;
            }
        }
    }

    fn advance(&mut self, out: &mut Outcomes<'_>) -> io::Result<()> {
        if self.slots.is_empty() {
            return out.take();
        }
        self.fault = None;
        // Nobody is left to take what was offered, as `write` would say.
        let mut verdict = match self.live() {
            0 if !out.settles() => Err(error::sinks_gone()),
            _ => Ok(()),
        };
        for i in 0..self.slots.len() {
            let slot = &mut self.slots[i];
            if out.settles() {
                slot.ahead = 0;
            }
            if slot.gone {
                let _ = out.take_all(slot.width);
                continue;
            }
            let from = out.taken();
            let result = if slot.spared > 0 {
                // It was written to by its own `write`, which has told it all.
                let result = out.take();
                let _ = out.take_all(slot.width.saturating_sub(1));
                result
            } else {
                slot.sink.advance(out)
            };
            slot.count += out.moved_since(from).saturating_sub(std::mem::take(&mut slot.spared));
            verdict = self.judge(i, result, verdict);
        }
        verdict
    }

    fn at_fault(&self) -> Option<usize> {
        let i = self.fault?;
        let before: usize = self.slots[..i].iter().map(|slot| slot.width).sum();
        Some(before + self.slots[i].sink.at_fault().unwrap_or(0))
    }

    fn ahead(&self, outlet: usize) -> usize {
        let mut first = 0;
        for slot in &self.slots {
            if outlet < first + slot.width {
                return slot.ahead + slot.sink.ahead(outlet - first);
            }
            first += slot.width;
        }
        0
    }
}
