//! Reading and writing descriptors that may be non-blocking: whoever shares a terminal or a pipe
//! with us may have made them so.

use aqueduct::CopyError;
use rustix::event::{PollFd, PollFlags, poll};
use std::fs::{File, Metadata};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::MetadataExt;

/// Reads some bytes, waiting for them if there are none yet; 0 is the end.
///
/// # Errors
///
/// Those of read(2), without the two that pass.
pub(crate) fn read(input: &mut File, buf: &mut [u8]) -> io::Result<usize> {
    loop {
        match input.read(buf) {
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) if e.kind() == ErrorKind::WouldBlock => wait(input, PollFlags::IN)?,
            done => return done,
        }
    }
}

/// Writes all of `bytes`, waiting for room where there is none.
///
/// # Errors
///
/// Those of write(2), without the two that pass.
pub(crate) fn write_all(output: &mut File, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match output.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(n) => bytes = &bytes[n..],
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) if e.kind() == ErrorKind::WouldBlock => wait(output, PollFlags::OUT)?,
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// What tells one regular file from another; `None` for what is none.
pub(crate) fn identity(file: &File) -> Option<(u64, u64)> {
    let about = file.metadata().ok().filter(Metadata::is_file)?;
    Some((about.dev(), about.ino()))
}

/// Whether `copy` has refused to read the file that it was to write. Errors of the system, which
/// may be of the same kind, have a number.
pub(crate) fn is_same_file(failed: &CopyError) -> bool {
    failed.kind() == ErrorKind::InvalidInput && failed.source.raw_os_error().is_none()
}

fn wait(file: &File, ready: PollFlags) -> io::Result<()> {
    match poll(&mut [PollFd::new(file, ready)], None) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
