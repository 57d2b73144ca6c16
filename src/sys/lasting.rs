//! Errors that poll(2) goes on to report and no call ever tells.
//!
//! A socket counts as failed as long as something lies in its error queue: time stamps, buffers
//! that the kernel gives back, what routers had to say. Who asked again as soon as a call would
//! block would ask for ever. So of such a socket only what is new counts, edge by edge.

use super::imp::{Edge, Event};
use super::wait::{Watch, ask, until};
use rustix::event::PollFlags;
use rustix::net::sockopt;
use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// How long is slept where no edges are to be had.
const NAP: Duration = Duration::from_millis(10);

/// Whether what was got lasts and has nothing to tell. A socket's own error is told here, since the
/// question takes it away from the call that would have told it.
pub(super) fn lasts(watch: &Watch<'_>) -> io::Result<bool> {
    if watch.got != PollFlags::ERR {
        return Ok(false);
    }
    if watch.want.is_empty() {
        // A socket that has hung up says so.
        return Ok(sockopt::socket_type(watch.fd).is_ok());
    }
    match sockopt::socket_error(watch.fd) {
        Ok(Err(error)) => Err(error.into()),
        Ok(Ok(())) => Ok(true),
        // It is no socket.
        Err(_) => Ok(false),
    }
}

/// Goes on to wait where poll(2) has told nothing but what lasts. For another reason it ends
/// without saying which.
pub(super) fn wait(
    watches: &mut [Watch<'_>],
    event: Option<&Event>,
    deadline: Option<Instant>,
) -> io::Result<bool> {
    let edges = watches.iter().map(|w| w.lasts.then(|| Edge::new(w.fd, w.want)).transpose());
    let Ok(edges) = edges.collect::<io::Result<Vec<_>>>() else {
        let soon = Instant::now() + NAP;
        let nap = deadline.map_or(soon, |at| at.min(soon));
        let mut others: Vec<_> = watches.iter().filter(|w| !w.lasts).map(Watch::again).collect();
        return ask(&mut others, event, |list| until(list, Some(nap)));
    };
    loop {
        for (watch, edge) in watches.iter_mut().zip(&edges) {
            if let Some(edge) = edge {
                watch.hear(edge)?;
            }
        }
        if watches.iter().any(Watch::fired) {
            return Ok(false);
        }
        let both = watches.iter().zip(&edges);
        let mut all: Vec<_> = both
            .map(|(watch, edge)| match edge {
                Some(edge) => Watch::readable(edge.as_fd()),
                None => watch.again(),
            })
            .collect();
        let signalled = ask(&mut all, event, |list| until(list, deadline))?;
        let news = all.iter().zip(&edges).any(|(done, edge)| edge.is_some() && done.fired());
        if signalled || !news {
            return Ok(signalled);
        }
    }
}
