//! The classic case: 100 KiB arrive, and the program reads 50 KiB.

use aqueduct::poll::{Backend, Events, Interest, Mode, Poller};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) events: usize,
    pub(crate) reads: usize,
    pub(crate) left: usize,
}

const ARRIVES: usize = 100 << 10;
const READS: usize = 50 << 10;

/// The three ways to meet it; level alone where there are no edges.
pub(crate) fn replay() -> io::Result<Vec<Case>> {
    let backend = Backend::available()[0];
    let mut cases = vec![case("level", backend, Mode::Level, false)?];
    if backend.has_edges() {
        cases.push(case("edge", backend, Mode::Edge, false)?);
        cases.push(case("edge, drained", backend, Mode::Edge, true)?);
    }
    Ok(cases)
}

fn case(name: &'static str, backend: Backend, mode: Mode, drains: bool) -> io::Result<Case> {
    let (mut near, mut far) = UnixStream::pair()?;
    near.set_nonblocking(true)?;
    far.set_nonblocking(true)?;
    let poller = Poller::builder().backend(backend).build()?;
    poller.add(&near, 1, Interest::READABLE, mode)?;
    far.write_all(&vec![0; ARRIVES])?;
    let mut case = Case { name, events: 0, reads: 0, left: ARRIVES };
    let mut events = Events::new();
    let mut buf = vec![0; READS];
    loop {
        poller.wait(&mut events, Some(Duration::ZERO))?;
        if events.is_empty() {
            return Ok(case);
        }
        case.events += 1;
        loop {
            case.reads += 1;
            match near.read(&mut buf) {
                Ok(n) => case.left -= n,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
            if !drains {
                break;
            }
        }
    }
}
