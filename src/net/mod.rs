//! Sockets that look as if they blocked.
//!
//! The types are std's in shape and in name, and every call that waits has a deadline and can be
//! ended from elsewhere, as with every [`Stream`](crate::stream): a connection *is* a stream. They are
//! for tasks and threads alike: a [task](crate::task) that waits blocks no thread.
//!
//! ```
//! use aqueduct::net::{TcpListener, TcpStream};
//! use aqueduct::{copy, task};
//! use std::io::{Read, Write};
//! use std::net::Shutdown;
//! use std::time::Duration;
//!
//! let listener = TcpListener::bind("localhost:0")?;
//! let address = listener.local_addr()?;
//! let control = listener.control();
//!
//! // Sends back what it gets, until the listener is closed; a task for each connection.
//! let server = task::spawn(move || {
//!     for connection in listener.incoming() {
//!         let (mut from, mut to) = connection?.split();
//!         from.set_read_timeout(Some(Duration::from_secs(30)));
//!         task::spawn(move || copy(&mut from, &mut to));
//!     }
//!     Ok::<(), std::io::Error>(())
//! });
//!
//! let mut echo = TcpStream::connect_timeout(address, Duration::from_secs(5))?;
//! echo.write_all(b"hello?")?;
//! echo.shutdown(Shutdown::Write)?;
//! let mut answer = String::new();
//! echo.read_to_string(&mut answer)?;
//! assert_eq!(answer, "hello?");
//!
//! control.close();
//! server.join()??;
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # What is where
//!
//! * [`TcpListener`], [`TcpStream`], [`UnixListener`], [`UnixStream`]. The streams are
//!   [`Stream`](crate::stream::Stream)s of std's types, so all of its methods are theirs: `split`, `peek`,
//!   deadlines, `control`, `close`, `from_std`, `into_std`; and [`copy`](crate::copy()) moves their bytes
//!   in the kernel.
//! * [`UdpSocket`], [`UnixDatagram`]: messages with boundaries.
//! * [`Builder`]: listeners with options.
//! * [`ToAddrs`]: what can be dialled. Names are looked up on another thread, so that a
//!   deadline holds for that as well.
//!
//! Options that have no method here are set on std's type, which `get_ref` lends:
//! `socket.get_ref().set_broadcast(true)`.
//!
//! # Where they differ from std's
//!
//! * Timeouts and deadlines are set without a system call and without an error. One that has
//!   passed is `TimedOut`, never `WouldBlock`.
//! * `connect` tries several addresses at once, each a little after the one before.
//! * `accept` goes on where a connection was given up before its turn, and waits where no descriptor
//!   is left: 5 milliseconds first, a second at most.
//! * [`Incoming`] ends once the listener is closed.
//! * The queue of a listener is as long as the system lets it be.
//!
//! As with std's, `TCP_NODELAY` is off until it is set. Listeners hand it down:
//! [`Builder::nodelay`].

mod addrs;
mod backoff;
mod connection;
mod datagram;
mod dial;
mod listener;
mod resolve;
mod tcp;
#[cfg(all(test, target_os = "linux", not(miri)))]
mod tests;
mod udp;
mod unix;

pub use self::addrs::ToAddrs;
pub use self::datagram::Datagram;
pub use self::listener::{Incoming, Listener};
pub use self::tcp::{Builder, TcpListener, TcpStream};
pub use self::udp::UdpSocket;
pub use self::unix::{UnixDatagram, UnixListener, UnixStream};

/// What listeners and datagram sockets have of the streams they stand on.
macro_rules! stands_on_stream {
    ($owner:ident) => {
        impl<T: AsFd> $owner<T> {
            /// Takes over a socket of std's. It is made non-blocking until
            /// [`into_std`](Self::into_std).
            ///
            /// # Errors
            ///
            /// Those of fstat(2) and fcntl(2).
            pub fn from_std(io: T) -> Result<Self> {
                Stream::from_std(io).map(Self::over)
            }

            /// Gives the socket back, blocking as std has it, or as it was when it was taken over.
            ///
            /// # Errors
            ///
            /// Those of fcntl(2), with the socket.
            pub fn into_std(self) -> std::result::Result<T, IntoStdError<Self>> {
                self.stream.into_std().map_err(|IntoStdError { stream, source }| IntoStdError {
                    stream: Self::over(stream),
                    source,
                })
            }

            /// std's type, for its options. It does not block.
            #[must_use]
            pub fn get_ref(&self) -> &T {
                self.stream.get_ref()
            }

            /// A handle that sets deadlines and closes, from wherever it is held.
            #[must_use]
            pub fn control(&self) -> Control {
                self.stream.control()
            }

            /// Ends all calls under way and to come with `NotConnected`. The socket itself is
            /// closed when it is dropped.
            pub fn close(&self) {
                self.stream.close();
            }
        }

        impl<T: AsFd> AsFd for $owner<T> {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.stream.as_fd()
            }
        }

        impl<T: AsFd> fmt::Debug for $owner<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($owner)).field(&self.as_fd()).finish()
            }
        }
    };
}
use stands_on_stream;
