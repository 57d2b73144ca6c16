//! The folder that is served, and what lies below it.

use crate::sys::{self, Links};
use crate::task;
use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A folder, open.
#[derive(Debug)]
pub(super) struct Root {
    fd: Arc<OwnedFd>,
    pub(super) links: Links,
}

/// A file or a folder, open.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) file: File,
    pub(super) about: Metadata,
}

impl Root {
    pub(super) fn new(path: &Path) -> io::Result<Self> {
        Ok(Self { fd: Arc::new(sys::open_root(path)?), links: Links::Beneath })
    }

    /// Opens what lies at `path` below the root; the root itself if that is empty.
    pub(super) fn open(&self, path: &[u8]) -> io::Result<Entry> {
        let path = if path.is_empty() { b"." } else { path };
        let fd = self.open_fd(path)?;
        let file = File::from(fd);
        let about = file.metadata()?;
        Ok(Entry { file, about })
    }

    /// On a task, a disk that must be asked for the way is asked off the worker.
    fn open_fd(&self, path: &[u8]) -> io::Result<OwnedFd> {
        if !task::is_task() {
            return sys::open_beneath(self.fd.as_fd(), path, self.links);
        }
        match sys::open_cached(self.fd.as_fd(), path, self.links) {
            Err(error) if !sys::is_absent(&error) => {
                let (root, path, links) = (Arc::clone(&self.fd), path.to_vec(), self.links);
                task::unblock(move || sys::open_beneath(root.as_fd(), &path, links))?
            }
            done => done,
        }
    }

    /// Another handle of the same folder.
    pub(super) fn share(&self) -> Self {
        Self { fd: Arc::clone(&self.fd), links: self.links }
    }
}

impl Entry {
    /// When it was changed last, or the epoch.
    pub(super) fn modified(&self) -> SystemTime {
        self.about.modified().unwrap_or(UNIX_EPOCH)
    }
}

/// What was changed so short a time ago may be changed once more within the same tick of its clock.
const TICK: Duration = Duration::from_secs(2);

/// Tells versions of a file apart: by time and length. Not for certain if it was changed just now.
pub(super) fn tag(modified: SystemTime, len: u64, coding: &str, now: SystemTime) -> String {
    let since = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
    let settled = now.duration_since(modified).is_ok_and(|age| age >= TICK);
    let weak = if settled { "" } else { "W/" };
    let dash = if coding.is_empty() { "" } else { "-" };
    format!("{weak}\"{:x}-{len:x}{dash}{coding}\"", since.as_nanos())
}

/// The name of a path of bytes.
pub(super) fn name(path: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(path))
}
