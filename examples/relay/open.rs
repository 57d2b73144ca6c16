//! Opening what an address names.

use crate::address::{Address, Place};
use crate::child::Child;
use crate::end::{End, Stdout};
use crate::listen::Listener;
use crate::{Relay, Ways};
use aqueduct::WriteExt;
use aqueduct::net::{TcpStream, UnixStream};
use aqueduct::source::{Finish, Source};
use aqueduct::stream::Stream;
use aqueduct::task;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::PathBuf;
use std::time::Instant;

impl Relay {
    /// Opens `address` for the ways that bytes are to go. Waits for a connection, if it listens.
    #[inline(never)]
    pub(crate) fn open(&self, address: &Address, ways: Ways) -> io::Result<End> {
        let until = self.idle.and_then(|idle| Instant::now().checked_add(idle));
        match &address.place {
            Place::Standard => self.standard(ways),
            Place::Tcp(at) => {
                let stream = TcpStream::connect_deadline(&**at, until)?;
                stream.set_nodelay(true)?;
                Ok(End::Tcp(stream))
            }
            Place::Unix(path) => UnixStream::connect_deadline(path, until).map(End::Unix),
            Place::TcpListen { .. } | Place::UnixListen { .. } => {
                let listener = Listener::bind(&address.place)?;
                self.says(format_args!("listening at {}", listener.place()));
                listener.only()
            }
            Place::Exec(command) => {
                let (child, from, to) = Child::start(command.clone(), ways)?;
                let from = from.map(Stream::from_std).transpose()?;
                let to = to.map(Stream::from_std).transpose()?.map(WriteExt::closing);
                Ok(End::pair(from.map(reader), to.map(writer), Some(child)))
            }
            Place::File(path) => self.file(path.clone(), ways),
        }
    }

    fn standard(&self, ways: Ways) -> io::Result<End> {
        let shared = self.forks;
        let from = ways.from.then(|| Stream::inherit(OwnedFd::from(self.tool.stdin()?)));
        let to = ways.to.then(|| Stdout::new(self.tool.stdout()?, shared));
        Ok(End::pair(from.transpose()?.map(reader), to.transpose()?.map(writer), None))
    }

    fn file(&self, path: PathBuf, ways: Ways) -> io::Result<End> {
        let mut options = OpenOptions::new();
        options.read(ways.from).write(ways.to).custom_flags(libc::O_NOCTTY);
        if ways == Ways::TO {
            // What several connections bring must not be written over.
            options.create(true).truncate(!self.forks).append(self.forks);
        }
        // A named pipe waits for whoever opens its other end.
        let file = task::unblock(move || options.open(path))??;
        if ways == Ways::BOTH {
            return device(file);
        }
        let stream = Stream::from_std(file)?;
        Ok(match ways.from {
            true => End::pair(Some(reader(stream)), None, None),
            false => End::pair(None, Some(writer(stream.closing())), None),
        })
    }
}

/// A file that is read and written independently: a terminal, for one.
fn device(file: File) -> io::Result<End> {
    if !file.metadata()?.file_type().is_char_device() {
        return Err(io::Error::other("no device, so bytes can go one way only (-u)"));
    }
    let (from, to) = Stream::from_std(file)?.split();
    Ok(End::pair(Some(reader(from)), Some(writer(to.closing())), None))
}

fn reader(source: impl Source + Send + 'static) -> Box<dyn Source + Send> {
    Box::new(source)
}

fn writer(sink: impl Finish + Send + 'static) -> Box<dyn Finish + Send> {
    Box::new(sink)
}
