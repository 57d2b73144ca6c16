//! Accepting connections, and serving each by a task for as long as it has something to say.

use super::conn::{End, Session};
use super::connection::{ConnState, Connection, Link};
use super::handler::Handler;
use super::roll::Roll;
use super::server::Options;
use crate::net::{TcpListener, UnixListener};
use crate::park::Unparker;
use crate::stream::{self, Stream};
use crate::sys;
use crate::task::{self, Resident};
use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a [`Server`](super::Server) is reached by.
#[derive(Debug)]
#[non_exhaustive]
pub enum Listening {
    /// TCP. What is accepted sends small writes at once (`TCP_NODELAY`).
    Tcp(TcpListener),
    /// A Unix socket.
    Unix(UnixListener),
}

impl From<TcpListener> for Listening {
    fn from(listener: TcpListener) -> Self {
        Self::Tcp(listener)
    }
}

impl From<UnixListener> for Listening {
    fn from(listener: UnixListener) -> Self {
        Self::Unix(listener)
    }
}

/// What all connections of a server share.
pub(super) struct Serving {
    pub(super) handler: Arc<dyn Handler + Send + Sync>,
    pub(super) options: Arc<Options>,
    pub(super) roll: Arc<Roll>,
}

impl Serving {
    pub(super) fn serve(self: &Arc<Self>, listening: Listening) -> io::Result<()> {
        match listening {
            Listening::Tcp(listener) => {
                // Those that are accepted have it from here.
                sys::net::nodelay(listener.as_fd())?;
                self.accept_all(&listener)?;
            }
            Listening::Unix(listener) => self.accept_all(&listener)?,
        }
        self.roll.wait_for_all()
    }

    /// Accepts until the end begins, and then what has come by then.
    fn accept_all<L: Accept>(self: &Arc<Self>, listener: &L) -> io::Result<()> {
        self.roll.listens(listener.control());
        loop {
            if let Some(most) = self.options.connections {
                self.roll.make_room(most)?;
            }
            if self.roll.is_ending() {
                break;
            }
            match listener.accept() {
                Ok((stream, peer)) => self.admit(stream, peer),
                Err(_) if self.roll.is_ending() => break,
                Err(error) => return Err(error),
            }
        }
        listener.wait_no_more();
        let has_room = || self.options.connections.is_none_or(|most| self.roll.has_fewer(most));
        while has_room() {
            let Ok((stream, peer)) = listener.accept() else { break };
            self.admit(stream, peer);
        }
        Ok(())
    }

    fn admit<T: AsFd + Send + Sync + 'static>(
        self: &Arc<Self>,
        stream: Stream<T>,
        peer: Option<SocketAddr>,
    ) {
        let Some(place) = self.roll.enter(stream.control()) else { return };
        // It need not be said to each write.
        stream.set_write_timeout(self.options.timeouts.write);
        let line = Line { stream, peer, serving: Arc::clone(self) };
        let until = after(self.options.head_timeout);
        let guest = Guest { line: Arc::new(line), place, until, fresh: true };
        guest.tell(ConnState::New);
        task::settle(guest);
    }
}

/// A listener whose connections are streams.
trait Accept {
    type Io: AsFd + Send + Sync + 'static;

    fn accept(&self) -> io::Result<(Stream<Self::Io>, Option<SocketAddr>)>;

    fn control(&self) -> stream::Control;

    /// From now on only what is there is accepted.
    fn wait_no_more(&self);
}

impl Accept for TcpListener {
    type Io = std::net::TcpStream;

    fn accept(&self) -> io::Result<(Stream<Self::Io>, Option<SocketAddr>)> {
        self.accept().map(|(stream, peer)| (stream, Some(peer)))
    }

    fn control(&self) -> stream::Control {
        self.control()
    }

    fn wait_no_more(&self) {
        self.set_deadline(None);
        self.set_timeout(Some(Duration::ZERO));
    }
}

impl Accept for UnixListener {
    type Io = std::os::unix::net::UnixStream;

    fn accept(&self) -> io::Result<(Stream<Self::Io>, Option<SocketAddr>)> {
        self.accept().map(|(stream, _)| (stream, None))
    }

    fn control(&self) -> stream::Control {
        self.control()
    }

    fn wait_no_more(&self) {
        self.set_deadline(None);
        self.set_timeout(Some(Duration::ZERO));
    }
}

/// A connection, as all see it who have to do with it.
struct Line<T: AsFd> {
    stream: Stream<T>,
    peer: Option<SocketAddr>,
    serving: Arc<Serving>,
}

impl<T: AsFd + Send + Sync> Link for Line<T> {
    fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.stream.try_read(buf)
    }

    fn peer_addr(&self) -> Option<SocketAddr> {
        self.peer
    }

    fn local_addr(&self) -> Option<SocketAddr> {
        sys::net::local_inet(self.stream.as_fd())
    }

    fn has_left(&self) -> bool {
        sys::net::has_ended(self.stream.as_fd())
    }

    fn is_ending(&self) -> bool {
        self.serving.roll.is_ending()
    }

    fn set_write_timeout(&self, timeout: Option<Duration>) {
        self.stream.set_write_timeout(timeout);
    }

    fn tell(&self, connection: &Connection, state: ConnState) {
        if let Some(hear) = &self.serving.options.on_state {
            hear(connection, state);
        }
    }
}

/// Who serves a connection has it, and who drops it has ended the connection.
struct Guest<T: AsFd + Send + Sync + 'static> {
    line: Arc<Line<T>>,
    place: u32,
    /// How long it may rest.
    until: Option<Instant>,
    /// No request has come yet.
    fresh: bool,
}

impl<T: AsFd + Send + Sync + 'static> Guest<T> {
    fn connection(&self) -> Connection {
        Connection::new(Arc::clone(&self.line) as _)
    }

    fn tell(&self, state: ConnState) {
        if self.line.serving.options.on_state.is_some() {
            self.connection().tell(state);
        }
    }
}

impl<T: AsFd + Send + Sync + 'static> Resident for Guest<T> {
    /// Serves what has arrived.
    fn turn(mut self) -> Option<Self> {
        self.line.stream.rise();
        let Serving { handler, options, roll } = &*self.line.serving;
        let ending = roll.is_ending();
        let mut session = spare(options, self.fresh.then_some(self.until));
        let connection = self.connection();
        let end = session.burst(options, handler, &self.line.stream, &connection);
        drop(connection);
        match end {
            Ok(End::Idle) => {
                self.until = after(options.idle_timeout);
                keep(session);
                self.fresh = false;
                self.tell(ConnState::Idle);
                Some(self)
            }
            Ok(End::Quiet) => {
                keep(session);
                let late = self.until.is_some_and(|at| at <= Instant::now());
                (!ending && !late).then_some(self)
            }
            Ok(End::Closed) | Err(_) => None,
        }
    }

    fn rest(&self, me: &Unparker) -> Option<Option<Instant>> {
        let deadline = self.line.stream.rest(me)?;
        // Asked when a nudge would be heard.
        let stays = !self.line.serving.roll.is_ending();
        stays.then(|| [deadline, self.until].into_iter().flatten().min())
    }
}

impl<T: AsFd + Send + Sync + 'static> Drop for Guest<T> {
    fn drop(&mut self) {
        // Handlers may have kept the connection, but are not to keep it open.
        if Arc::strong_count(&self.line) > 1 {
            self.line.stream.close();
            let _ = sys::net::shutdown(self.line.stream.as_fd());
        }
        // It may be dropped by a panic.
        let _ = catch_unwind(AssertUnwindSafe(|| self.tell(ConnState::Closed)));
        self.line.serving.roll.leave(self.place);
    }
}

/// So many sessions are kept for the next bursts of a worker.
const SPARE: usize = 4;

thread_local! {
    #[expect(clippy::vec_box, reason = "they are large, and come and go with each burst")]
    static SESSIONS: RefCell<Vec<Box<Session>>> = const { RefCell::new(Vec::new()) };
}

/// A session, for a connection whose first head must have come until `fresh`, or that has had one.
fn spare(options: &Options, fresh: Option<Option<Instant>>) -> Box<Session> {
    let spare = SESSIONS.try_with(|spare| spare.borrow_mut().pop()).ok().flatten();
    let mut session = spare.unwrap_or_else(|| Box::new(Session::new(options)));
    session.begin(options, fresh);
    session
}

fn keep(session: Box<Session>) {
    if session.is_small() {
        let _ = SESSIONS.try_with(|spare| {
            let mut spare = spare.borrow_mut();
            if spare.len() < SPARE {
                spare.push(session);
            }
        });
    }
}

fn after(timeout: Option<Duration>) -> Option<Instant> {
    Instant::now().checked_add(timeout?)
}
