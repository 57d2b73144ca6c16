//! Listening, and the socket files that must not outlast it.

use crate::address::Place;
use crate::end::End;
use aqueduct::net::{TcpListener, UnixListener, UnixStream};
use std::fs;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Where connections come in.
pub(crate) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener, PathBuf),
}

impl Listener {
    pub(crate) fn bind(place: &Place) -> io::Result<Self> {
        match place {
            Place::TcpListen { at, .. } => tcp(at).map(Self::Tcp),
            Place::UnixListen { path, .. } => Ok(Self::Unix(unix(path)?, path.clone())),
            _ => Err(ErrorKind::InvalidInput.into()),
        }
    }

    /// Where that is.
    pub(crate) fn place(&self) -> String {
        match self {
            Self::Tcp(listener) => listener.local_addr().map_or_else(|e| e.to_string(), peer),
            Self::Unix(_, path) => path.display().to_string(),
        }
    }

    /// The next connection, and whose it is as far as that is known.
    pub(crate) fn accept(&self) -> io::Result<(End, Option<SocketAddr>)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, address) = listener.accept()?;
                Ok((End::Tcp(stream), Some(address)))
            }
            Self::Unix(listener, _) => Ok((End::Unix(listener.accept()?.0), None)),
        }
    }

    /// The next connection, which is the last: nobody else can connect any more.
    pub(crate) fn only(self) -> io::Result<End> {
        let end = self.accept()?.0;
        if let Self::Unix(_, path) = &self {
            remove(|file| file.path == *path);
        }
        Ok(end)
    }
}

/// An address without the form that IPv4 has within IPv6.
pub(crate) fn peer(address: SocketAddr) -> String {
    SocketAddr::new(address.ip().to_canonical(), address.port()).to_string()
}

fn tcp(at: &str) -> io::Result<TcpListener> {
    let options = TcpListener::builder().nodelay(true);
    let Ok(port) = at.parse::<u16>() else { return options.bind(at) };
    // At all addresses of the machine; by IPv4 alone where there is no IPv6.
    match options.bind((Ipv6Addr::UNSPECIFIED, port)) {
        Err(error)
            if !matches!(error.kind(), ErrorKind::AddrInUse | ErrorKind::PermissionDenied) =>
        {
            options.bind((Ipv4Addr::UNSPECIFIED, port))
        }
        bound => bound,
    }
}

fn unix(path: &Path) -> io::Result<UnixListener> {
    let listener = match UnixListener::bind(path) {
        Err(error) if error.kind() == ErrorKind::AddrInUse && is_left_over(path) => {
            fs::remove_file(path)?;
            UnixListener::bind(path)?
        }
        bound => bound?,
    };
    let about = fs::symlink_metadata(path)?;
    sockets().push(SocketFile { path: path.to_owned(), identity: (about.dev(), about.ino()) });
    Ok(listener)
}

/// Whether a socket lies there whose listener has ended without removing it.
fn is_left_over(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|about| about.file_type().is_socket())
        && UnixStream::connect(path).is_err_and(|e| e.kind() == ErrorKind::ConnectionRefused)
}

/// A socket in the file system that we have made.
struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

static SOCKETS: Mutex<Vec<SocketFile>> = Mutex::new(Vec::new());

fn sockets() -> MutexGuard<'static, Vec<SocketFile>> {
    SOCKETS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes all that are left, if they are still ours.
pub(crate) fn remove_sockets() {
    remove(|_| true);
}

fn remove(which: impl Fn(&SocketFile) -> bool) {
    let mut sockets = sockets();
    for file in sockets.extract_if(.., |file| which(file)) {
        let about = fs::symlink_metadata(&file.path);
        if about.is_ok_and(|about| (about.dev(), about.ino()) == file.identity) {
            let _ = fs::remove_file(&file.path);
        }
    }
}
