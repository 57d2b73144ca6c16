//! Operations that a backend carries out while their callers wait.

use super::here;
use super::registry::Registry;
use super::side::Side;
use super::wait::park_from;
use crate::error;
use crate::park::{self, Unparker};
use crate::sys::{Moved, Nowait, Transfer};
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Instant;

/// The registry of the running worker, whose backend carries operations out.
pub(crate) struct Submitter(Arc<Registry>);

impl Submitter {
    /// `None` where operations are not carried out, or where nobody may stop to wait for them.
    pub(crate) fn here() -> Option<Self> {
        let registry = here::tended(|registry| registry.backend.submit().is_some())?;
        park::may_stop().then_some(Self(registry))
    }

    /// Has `transfer` carried out, for a call of `side`, which it waits for until the side's deadline,
    /// `until`, a close or a cancel. Even then it returns with the answer alone, and a count that there is
    /// counts. `None` if the system does not wait for this one.
    pub(crate) fn carry(
        &self,
        side: &Side,
        until: Option<Instant>,
        fd: BorrowedFd<'_>,
        nowait: Nowait,
        transfer: &mut Transfer<'_, '_>,
    ) -> Option<io::Result<Moved>> {
        let me = Unparker::current();
        loop {
            let mut ended = None;
            let landed = self.0.backend.submit()?.submit(
                fd,
                nowait,
                transfer,
                me.clone().into(),
                &mut |flight| {
                    if ended.is_none() {
                        ended = stay(side, &me, until).err();
                        if ended.is_some() {
                            flight.cancel();
                        }
                    } else if park::park_shielded(None).is_err() {
                        flight.land();
                    }
                },
            );
            let error = match landed {
                Ok(moved) => return Some(Ok(moved)),
                Err(error) => error,
            };
            let none = match error.raw_os_error() {
                // Its own, which is told once: nobody else would hear of it.
                Some(number) if !GIVEN_UP.contains(&number) => return Some(Err(error)),
                number => number,
            };
            match (ended, none) {
                (Some(why), _) => return Some(Err(why)),
                (None, Some(libc::ECANCELED | libc::EINTR)) => {}
                (None, _) => return None,
            }
            if let Err(error) = side.begin() {
                return Some(Err(error));
            }
        }
    }
}

/// Nothing came of it.
const GIVEN_UP: [i32; 3] = [libc::EAGAIN, libc::ECANCELED, libc::EINTR];

/// Waits for the answer, or for a reason to wait no more.
fn stay(side: &Side, me: &Unparker, until: Option<Instant>) -> io::Result<()> {
    let round = side.begin()?;
    if until.is_some_and(|at| at <= Instant::now()) {
        return Err(error::timed_out());
    }
    park_from(side, round, me, until)
}
