//! What handlers may know of the connection that their request came by.

use http::Extensions;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// The connection that a request came by, as its handler sees it: see
/// [`RequestExt::connection`](super::RequestExt::connection).
///
/// It may be kept for longer than the connection is there, which it does not keep open.
#[derive(Clone)]
pub struct Connection(Option<Arc<dyn Link>>);

/// What a connection does next: see [`Server::on_state`](super::Server::on_state).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConnState {
    /// It was accepted.
    New,
    /// Bytes of a request have arrived.
    Active,
    /// All requests that have arrived were answered.
    Idle,
    /// A handler has [taken it over](super::Response::hijack).
    Hijacked,
    /// It has ended.
    Closed,
}

/// A connection that the server has accepted itself.
pub(super) trait Link: Send + Sync {
    /// Reads what has arrived.
    fn try_read(&self, buf: &mut [u8]) -> io::Result<usize>;

    fn peer_addr(&self) -> Option<SocketAddr>;

    fn local_addr(&self) -> Option<SocketAddr>;

    /// Whether the client has ended or reset it.
    fn has_left(&self) -> bool;

    /// Whether the server is about to end.
    fn is_ending(&self) -> bool;

    fn tell(&self, connection: &Connection, state: ConnState);

    /// How long a client may take nothing of what is written, from now on.
    fn set_write_timeout(&self, timeout: Option<Duration>);
}

impl Connection {
    pub(super) fn new(link: Arc<dyn Link>) -> Self {
        Self(Some(link))
    }

    /// One of which nothing is known.
    pub(super) const fn unknown() -> Self {
        Self(None)
    }

    pub(super) fn is_known(&self) -> bool {
        self.0.is_some()
    }

    pub(super) fn link(&self) -> Option<&dyn Link> {
        self.0.as_deref()
    }

    /// Has `extensions`, in which [nothing else](Self::leave_alone_in) is, tell of this.
    pub(super) fn put_into(&self, extensions: &mut Extensions) {
        let Some(link) = &self.0 else { return extensions.clear() };
        match extensions.get_mut::<Self>() {
            Some(Self(Some(there))) if Arc::ptr_eq(there, link) => {}
            Some(place) => *place = self.clone(),
            None => {
                extensions.clear();
                extensions.insert(self.clone());
            }
        }
    }

    /// Takes everything else out of `extensions`.
    pub(super) fn leave_alone_in(extensions: &mut Extensions) {
        if extensions.len() > 1 {
            extensions.clear();
        }
    }

    /// Empties `extensions`, but for the room of the next connection.
    pub(super) fn take_out_of(extensions: &mut Extensions) {
        match extensions.get_mut::<Self>() {
            Some(place) => *place = Self::unknown(),
            None => extensions.clear(),
        }
    }

    /// The address of the client. Unix sockets have none that could be told.
    #[must_use]
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.link()?.peer_addr()
    }

    /// The address that the client has connected to. As [`peer_addr`](Self::peer_addr), and none after
    /// the connection's end.
    #[must_use]
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.link()?.local_addr()
    }

    /// Whether the client has ended its side of the connection, or reset it: then it is most likely gone,
    /// and nobody waits for the response any more. A client may end its side and still read, but
    /// hardly any does.
    ///
    /// A handler that does much before it answers asks now and then, by a system call each, and returns
    /// what it likes. One that reads or writes need not ask: that fails.
    #[must_use]
    pub fn has_left(&self) -> bool {
        self.link().is_some_and(Link::has_left)
    }

    /// Whether the server is about to end, by [`Control::shutdown`](super::Control::shutdown). A handler that
    /// goes on for long, since it sends what happens as it happens or has taken the connection over, ends
    /// then.
    #[must_use]
    pub fn is_ending(&self) -> bool {
        self.link().is_some_and(Link::is_ending)
    }

    pub(super) fn tell(&self, state: ConnState) {
        if let Some(link) = self.link() {
            link.tell(self, state);
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("peer", &self.peer_addr()).finish_non_exhaustive()
    }
}
