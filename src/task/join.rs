//! What is left of a task for others: a handle, and its result.

use super::job::Join;
use crate::error;
use crate::park::{Unparker, park_until};
use std::any::Any;
use std::fmt;
use std::io;
use std::sync::Arc;

/// A task that was spawned. Dropped, it leaves the task to itself.
#[must_use = "a task whose handle is dropped goes on by itself; `drop` it to say so"]
pub struct JoinHandle<T> {
    /// Or why there is none.
    pub(super) job: Result<Arc<dyn Join<T>>, Option<io::Error>>,
}

impl<T> JoinHandle<T> {
    /// Waits for the task's end and returns its result.
    ///
    /// # Errors
    ///
    /// [`JoinError`]: the task panicked, was never run, or the caller may not wait.
    pub fn join(mut self) -> Result<T, JoinError> {
        match &mut self.job {
            Ok(job) => loop {
                if let Some(result) = job.fetch(&Unparker::current) {
                    self.job = Err(None);
                    return result;
                }
                park_until(None).map_err(JoinError::NotJoined)?;
            },
            Err(why) => Err(JoinError::NotRun(why.take().unwrap_or_else(error::no_runtime))),
        }
    }

    /// Makes every wait of the task fail, the one under way and those to come, with an error for
    /// which [`is_cancelled`](crate::is_cancelled) is true. The task itself decides what follows from
    /// that, and runs to its own end. One that has not begun yet is not run at all.
    ///
    /// Three waits go on all the same. In two of them memory is lent: for the end of a
    /// [`scope`](super::scope), whose tasks are cancelled in turn, and for an operation that the kernel
    /// has under way, which is called off. The third is for the end of another
    /// [`Runtime`](super::Runtime), whose patience bounds it.
    pub fn cancel(&self) {
        if let Ok(job) = &self.job {
            job.core().cancel();
        }
    }

    /// Whether the task has ended, so that [`join`](Self::join) would not wait.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.job.as_ref().map_or(true, |job| job.is_finished())
    }

    /// The name that the task was given.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.job.as_ref().ok()?.core().name()
    }
}

impl<T> Drop for JoinHandle<T> {
    fn drop(&mut self) {
        if let Ok(job) = &self.job {
            job.detach();
        }
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle").field("name", &self.name()).finish_non_exhaustive()
    }
}

/// Why there is no result.
#[non_exhaustive]
pub enum JoinError {
    /// The task panicked, with this.
    Panicked(Box<dyn Any + Send>),
    /// The task was never run: it was cancelled before it began, or there was no stack for it,
    /// or no runtime.
    NotRun(io::Error),
    /// The caller had to stop waiting. It was cancelled itself or unwinds from a panic, and the task
    /// goes on; or the task's runtime has ended and left it as it is, for ever.
    NotJoined(io::Error),
}

impl JoinError {
    /// What the task said when it panicked.
    fn message(&self) -> Option<&str> {
        let Self::Panicked(payload) = self else { return None };
        let text = payload.downcast_ref::<&str>().copied();
        text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
    }
}

impl fmt::Debug for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panicked(_) => f.debug_tuple("Panicked").field(&self.message()).finish(),
            Self::NotRun(error) => f.debug_tuple("NotRun").field(error).finish(),
            Self::NotJoined(error) => f.debug_tuple("NotJoined").field(error).finish(),
        }
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panicked(_) => match self.message() {
                Some(text) => write!(f, "the task panicked: {text}"),
                None => f.write_str("the task panicked"),
            },
            Self::NotRun(error) => write!(f, "the task was not run: {error}"),
            Self::NotJoined(error) => write!(f, "the task was not waited for: {error}"),
        }
    }
}

impl std::error::Error for JoinError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Panicked(_) => None,
            Self::NotRun(error) | Self::NotJoined(error) => Some(error),
        }
    }
}

impl From<JoinError> for io::Error {
    fn from(error: JoinError) -> Self {
        match error {
            JoinError::Panicked(_) => Self::other(error.to_string()),
            JoinError::NotRun(error) | JoinError::NotJoined(error) => error,
        }
    }
}
