//! Writing bytes that lie in memory to an outlet.

use super::engine::Engine;
use crate::source::{Handle, Outcome, Outlet};
use crate::{error, sys};
use std::io;

/// Writes all of `bytes` by `write`, an offset moving along.
pub(super) fn write_all(
    mut write: impl FnMut(&[u8], u64) -> io::Result<usize>,
    bytes: &[u8],
    mut blocked: impl FnMut() -> io::Result<()>,
) -> Outcome {
    let mut moved = 0;
    while moved < bytes.len() {
        let rest = &bytes[moved..];
        let failure = match write(rest, moved as u64) {
            Ok(0) => error::takes_no_more(),
            Ok(n) if n > rest.len() => error::lying("writer", n, rest.len()),
            Ok(n) => {
                moved += n;
                continue;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => match blocked() {
                Ok(()) => continue,
                Err(e) => e,
            },
            Err(e) => e,
        };
        return Outcome { moved: moved as u64, error: Some(failure) };
    }
    Outcome { moved: moved as u64, error: None }
}

impl Engine<'_> {
    /// Writes `bytes` to `outlet`, waiting for it where the options say so.
    pub(super) fn put(&self, outlet: &mut Outlet<'_>, bytes: &[u8]) -> Outcome {
        match outlet {
            Outlet::Fd { fd, at, .. } => self.put_fd(*fd, *at, bytes),
            Outlet::Opaque { to, .. } => {
                let blocked = || Err(io::ErrorKind::WouldBlock.into());
                write_all(|bytes, _| to.write(bytes), bytes, blocked)
            }
            Outlet::Discard { .. } => Outcome { moved: bytes.len() as u64, error: None },
            Outlet::Gone => Outcome::default(),
        }
    }

    pub(super) fn put_fd(&self, to: Handle<'_>, at: Option<u64>, bytes: &[u8]) -> Outcome {
        let write = |bytes: &[u8], past| {
            let result = match (to.nowait(), to.desc()) {
                (Some(nowait), Some(desc)) if at.is_none() => {
                    desc.write.begin()?;
                    nowait.write(to.fd(), bytes)
                }
                _ => sys::write(to.fd(), at.map(|at| at + past), bytes),
            };
            result.inspect(|&n| self.beat(n as u64))
        };
        write_all(write, bytes, || self.wait_writable(to))
    }
}
