//! The models, by one contract.

use super::tally::Tally;
use super::{bare, plain, ready};
use std::io;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::Sender;

/// A way to serve many sockets.
pub(crate) trait Model: Sync {
    fn name(&self) -> &'static str;

    /// Whether each of its system calls is its own, and counted.
    fn counts_calls(&self) -> bool {
        true
    }

    /// Sends everything back that arrives, until all peers have closed. Says through `ready`
    /// when it is set up, and drops that on failure before it waits for anything else.
    fn serve(&self, sockets: Vec<UnixStream>, tally: &Tally, ready: Sender<()>) -> io::Result<()>;
}

/// As much as a read takes.
pub(crate) const ROOM: usize = 32 << 10;

/// All that this system has, in the order of their story.
pub(crate) fn all() -> Vec<Box<dyn Model>> {
    let mut all: Vec<Box<dyn Model>> = vec![Box::new(plain::Threads), Box::new(plain::Busy)];
    bare::signals(&mut all);
    all.extend(ready::all().into_iter().map(|model| Box::new(model) as Box<dyn Model>));
    bare::rings(&mut all);
    all.push(Box::new(plain::Tasks));
    all
}

/// Those that need Linux.
pub(crate) const OF_LINUX: &[&str] =
    &["signal", "epoll-level", "epoll-edge", "uring-ready", "uring-done"];
