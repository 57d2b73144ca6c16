//! An error that is handed out again on every call.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;

/// [`io::Error`] is no `Clone`, and the end that a pipe's other end left may be asked for often.
#[derive(Debug, Clone)]
pub(super) struct Failure(Arc<io::Error>);

impl Failure {
    pub(super) fn new(error: io::Error) -> Self {
        Self(Arc::new(error))
    }

    /// The same kind, number and text each time; what the error carried is its `source`.
    pub(super) fn error(&self) -> io::Error {
        match (self.0.raw_os_error(), self.0.kind()) {
            (Some(number), _) if self.0.kind() != io::ErrorKind::Interrupted => {
                io::Error::from_raw_os_error(number)
            }
            // std's loops would retry it for ever.
            (_, io::ErrorKind::Interrupted) => io::Error::other(self.clone()),
            (_, kind) => io::Error::new(kind, self.clone()),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.get_ref().map(|carried| carried as &dyn Error)
    }
}
