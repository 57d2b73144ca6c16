//! What kqueue's answers mean. It asks the system nothing, so it is tested everywhere.

/// What an event says, in the words that all systems share.
#[derive(Debug, Clone, Copy)]
pub(super) struct Said {
    pub(super) write: bool,
    pub(super) eof: bool,
    pub(super) error: Option<i32>,
}

/// What that means for the two directions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Means {
    pub(super) readable: bool,
    pub(super) writable: bool,
    pub(super) hung_up: bool,
}

pub(super) fn means(said: Said) -> Means {
    let failed = said.error.is_some_and(|error| error != 0);
    // The end of what can be read may be the loss of the peer, of which writers must hear. But the
    // end of writing is also told after this end has shut it down: the peer is still there.
    let lost = !said.write && said.eof;
    Means {
        readable: !said.write || failed,
        writable: said.write || lost || failed,
        hung_up: lost || failed,
    }
}

/// How a change went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Went {
    Well,
    /// There is nothing that could be waited for.
    AlwaysReady,
    Missing,
    Wrong(i32),
}

/// `error` is what the receipt of one change says.
pub(super) fn went(error: i32) -> Went {
    match error {
        // Old systems of Apple's say EPIPE of a pipe whose other end is gone, and add it.
        0 | libc::EPIPE => Went::Well,
        // Devices that have no such filter.
        libc::EINVAL | libc::ENODEV | libc::EPERM | libc::EOPNOTSUPP => Went::AlwaysReady,
        libc::ENOENT => Went::Missing,
        other => Went::Wrong(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(write: bool, eof: bool, error: Option<i32>) -> [bool; 3] {
        let Means { readable, writable, hung_up } = means(Said { write, eof, error });
        [readable, writable, hung_up]
    }

    #[test]
    fn each_event_wakes_whom_it_concerns() {
        assert_eq!(told(false, false, None), [true, false, false]);
        assert_eq!(told(true, false, None), [false, true, false]);
        assert_eq!(told(false, true, None), [true, true, true], "writers hear of the loss");
        assert_eq!(told(true, true, None), [false, true, false], "its own shutdown, maybe");
        for write in [false, true] {
            assert_eq!(told(write, false, Some(libc::ECONNRESET)), [true, true, true]);
        }
        assert_eq!(told(false, false, Some(0)), [true, false, false], "a receipt");
    }

    #[test]
    fn receipts_are_told_apart() {
        assert_eq!([0, libc::EPIPE].map(went), [Went::Well; 2]);
        assert_eq!([libc::EINVAL, libc::ENODEV].map(went), [Went::AlwaysReady; 2]);
        assert_eq!(went(libc::ENOENT), Went::Missing);
        assert_eq!(went(libc::EBADF), Went::Wrong(libc::EBADF));
    }
}
