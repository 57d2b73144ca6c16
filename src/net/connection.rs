//! Connections whose directions end one by one.

use super::{TcpStream, UnixStream};
use crate::source::{Connection, Finish, Source};
use crate::stream::WriteHalf;
use std::io::{ErrorKind, Result};
use std::net::Shutdown;

macro_rules! connections {
    ($($stream:ty, $socket:ty);*) => {$(
        impl Connection for $stream {
            fn halves(&mut self) -> (impl Source + Send, impl Finish + Send) {
                self.lend()
            }
        }

        /// Ends it by shutdown(2).
        impl Finish for WriteHalf<$socket> {
            fn finish(&mut self) -> Result<()> {
                match self.get_ref().shutdown(Shutdown::Write) {
                    Err(error) if error.kind() == ErrorKind::NotConnected => Ok(()),
                    done => done,
                }
            }
        }
    )*};
}

connections! { TcpStream, std::net::TcpStream; UnixStream, std::os::unix::net::UnixStream }
