//! The models that are told which descriptors are ready, by our own poller.

use super::model::{Model, ROOM};
use super::tally::Tally;
use aqueduct::poll::{Backend, Events, Interest, Mode, Poller};
use std::io;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::Sender;

/// A backend of the poller whose every wait is one system call.
#[derive(Debug)]
pub(crate) struct Ready {
    name: &'static str,
    backend: Backend,
    mode: Mode,
    /// Registering is a system call, too.
    registers: bool,
}

pub(crate) fn all() -> Vec<Ready> {
    let of = |name, backend, mode, registers| Ready { name, backend, mode, registers };
    let all = [
        of("select", Backend::Select, Mode::Level, false),
        of("poll", Backend::Poll, Mode::Level, false),
        of("epoll-level", Backend::Epoll, Mode::Level, true),
        of("epoll-edge", Backend::Epoll, Mode::Edge, true),
        of("kqueue-level", Backend::Kqueue, Mode::Level, true),
        of("kqueue-edge", Backend::Kqueue, Mode::Edge, true),
    ];
    all.into_iter().filter(|model| Backend::available().contains(&model.backend)).collect()
}

impl Model for Ready {
    fn name(&self) -> &'static str {
        self.name
    }

    fn serve(&self, sockets: Vec<UnixStream>, tally: &Tally, ready: Sender<()>) -> io::Result<()> {
        let poller = Poller::builder().backend(self.backend).build()?;
        for (key, socket) in sockets.iter().enumerate() {
            tally.called(1 + u64::from(self.registers));
            socket.set_nonblocking(true)?;
            poller.add(socket, key as u64, Interest::READABLE, self.mode)?;
        }
        let _ = ready.send(());
        let mut events = Events::new();
        let mut buf = vec![0; ROOM];
        let mut left = sockets.len();
        while left > 0 {
            tally.called(1);
            poller.wait(&mut events, None)?;
            tally.woken(events.len());
            for event in events.iter() {
                let socket = &sockets[event.key as usize];
                let mut read = tally.echo(socket, &mut buf)?;
                // An edge is told of once: whoever stops early is not told again.
                while self.mode == Mode::Edge && matches!(read, Some(1..)) {
                    read = tally.echo(socket, &mut buf)?;
                }
                if read == Some(0) {
                    tally.called(u64::from(self.registers));
                    poller.delete(socket)?;
                    left -= 1;
                }
            }
        }
        Ok(())
    }
}
