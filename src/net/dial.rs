//! Connecting: to one of several addresses, or to a path, within a deadline.

use super::backoff::Backoff;
use super::{TcpStream, UnixStream};
use crate::error;
use crate::park;
use crate::poll::{self, What};
use crate::sys::Manner;
use crate::sys::net::{self, Family, Type};
use std::io::{ErrorKind, Result};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::os::unix::net::SocketAddr as UnixAddr;
use std::time::{Duration, Instant};

/// How much sooner than the next an address is tried.
const HEAD_START: Duration = Duration::from_millis(250);

/// Connects to whichever address answers first. Each is tried a little after the one before, or
/// as soon as all before have failed, and those under way stay in the race: an address that never
/// answers holds up nobody for long. The error is that of the address that failed last.
pub(super) fn tcp(addresses: Vec<SocketAddr>, until: Option<Instant>) -> Result<TcpStream> {
    let mut addresses = alternating(addresses).into_iter();
    let mut trying: Vec<TcpStream> = Vec::new();
    let mut next = Instant::now();
    let mut failure = None;
    loop {
        let now = Instant::now();
        if until.is_some_and(|at| at <= now) {
            return Err(error::timed_out());
        }
        if trying.is_empty() || next <= now {
            if let Some(address) = addresses.next() {
                match begin(&address) {
                    Ok((stream, true)) => return Ok(stream),
                    Ok((stream, false)) => {
                        trying.push(stream);
                        next = now + HEAD_START;
                    }
                    Err(error) => failure = Some(error),
                }
                continue;
            }
        }
        if trying.is_empty() {
            return Err(failure.unwrap_or_else(error::no_address));
        }
        let next_try = (addresses.len() > 0).then_some(next);
        let Some(settled) = wait(&trying, [until, next_try].into_iter().flatten().min())? else {
            continue;
        };
        let stream = trying.swap_remove(settled);
        match net::take_error(stream.as_fd()) {
            Ok(()) => return Ok(stream),
            Err(error) => failure = Some(error),
        }
        next = now;
    }
}

/// A socket that connects, and whether it has done so already.
fn begin(address: &SocketAddr) -> Result<(TcpStream, bool)> {
    let socket = net::socket(net::family(address), Type::STREAM)?;
    park::spend(0);
    let connected = net::connect(socket.as_fd(), address)?;
    let stream = TcpStream::made(std::net::TcpStream::from(socket), Manner::TCP);
    if !connected {
        // Nobody watches it yet: it is not writable until the system says so.
        let side = &stream.desc().write;
        side.word().note_drained(side.begin()?.seen);
    }
    Ok((stream, connected))
}

/// Waits until one of them is settled, until `until`, or for no reason.
fn wait(trying: &[TcpStream], until: Option<Instant>) -> Result<Option<usize>> {
    let mut waits: Vec<_> = trying.iter().map(|stream| stream.wait(What::Writable)).collect();
    poll::wait(&mut waits, until)?;
    Ok(waits.iter().position(|wait| wait.fired))
}

/// IPv6 and IPv4 in turn, beginning with the family that comes first, so that a network which
/// loses the packets of one of them is found out at the second try.
fn alternating(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let Some(first) = addresses.first().map(SocketAddr::is_ipv6) else { return addresses };
    let total = addresses.len();
    let (ours, others): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == first);
    let (mut ours, mut others) = (ours.into_iter(), others.into_iter());
    (0..total).flat_map(|_| [ours.next(), others.next()]).flatten().collect()
}

/// Connects to a socket of this machine. Where the listener's queue is full, the system refuses
/// at once and never tells when there is room; so it is tried again.
pub(super) fn unix(address: &UnixAddr, until: Option<Instant>) -> Result<UnixStream> {
    if until.is_some_and(|at| at <= Instant::now()) {
        return Err(error::timed_out());
    }
    let address = net::to_unix(address)?;
    let socket = net::socket(Family::UNIX, Type::STREAM)?;
    let stream = UnixStream::made(std::os::unix::net::UnixStream::from(socket), Manner::SOCKET);
    let mut backoff = Backoff::for_peers();
    loop {
        park::spend(0);
        match net::connect(stream.as_fd(), &address) {
            Ok(_) => return Ok(stream),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        poll::pause(&stream.desc().write, backoff.next(), until)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_families_take_turns_and_keep_their_order() {
        let all = |text: &str| -> Vec<SocketAddr> {
            text.split(' ').filter_map(|part| part.parse().ok()).collect()
        };
        let mixed = "[::1]:1 [::2]:1 [::3]:1 1.1.1.1:1 2.2.2.2:1";
        let wanted = "[::1]:1 1.1.1.1:1 [::2]:1 2.2.2.2:1 [::3]:1";
        assert_eq!(alternating(all(mixed)), all(wanted));
        let other = "1.1.1.1:1 [::1]:1 [::2]:1";
        assert_eq!(alternating(all(other)), all(other));
        assert_eq!(alternating(all("[::1]:1 [::2]:1")), all("[::1]:1 [::2]:1"));
        assert_eq!(alternating(Vec::new()), []);
    }
}
