//! What the tools share: starting as a Unix tool does, standard streams as plain files, and
//! messages in the words people know.
#![allow(dead_code, unused_imports, reason = "each tool uses its part")]

mod inherited;
mod quote;
mod signals;
mod size;
mod stream;
mod usage;

pub(crate) use self::inherited::{die_of, die_of_sigpipe, ignore_sigpipe, sigpipe_is_ignored};
pub(crate) use self::quote::{quoted, quoted_if_needed};
pub(crate) use self::signals::Signals;
pub(crate) use self::size::{SizeError, parse_size};
pub(crate) use self::stream::{identity, is_same_file, read, write_all};
pub(crate) use self::usage::{command, flag, operands, option, short_flag};

use clap::ArgMatches;
use std::ffi::OsString;
use std::fmt::Display;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::process::{ExitCode, exit};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A running tool: its name, and whether anything went wrong yet.
#[derive(Debug)]
pub(crate) struct Tool {
    name: &'static str,
    failed: AtomicBool,
}

impl Tool {
    /// To be called first: from here on a reader that goes away ends the process by SIGPIPE,
    /// unless whoever started it had the signal ignored.
    pub(crate) fn start(name: &'static str) -> Self {
        inherited::restore_sigpipe();
        Self { name, failed: AtomicBool::new(false) }
    }

    /// Reads the command line. `--help` and `--version` end the process, and so do mistakes,
    /// with status 1.
    pub(crate) fn arguments(
        &self,
        command: clap::Command,
        arguments: impl IntoIterator<Item = OsString>,
    ) -> ArgMatches {
        let error = match command.try_get_matches_from(arguments) {
            Ok(matches) => return matches,
            Err(error) => error,
        };
        if error.use_stderr() {
            self.misused(usage::complaint(&error))
        }
        let text = error.render().to_string();
        match self.stdout().and_then(|mut out| out.write_all(text.as_bytes())) {
            Ok(()) => exit(0),
            Err(error) => self.write_failed(&error),
        }
        exit(1)
    }

    /// A mistake in the command line: says so, and ends with status 1.
    pub(crate) fn misused(&self, complaint: impl Display) -> ! {
        let name = self.name;
        self.warn(format_args!("{complaint}\nTry '{name} --help' for more information."));
        exit(1)
    }

    /// The value of an option in seconds, which may have a fraction. Longer than can be said is for ever.
    pub(crate) fn seconds(&self, matches: &ArgMatches, name: &str) -> Option<Duration> {
        let text = matches.get_one::<OsString>(name)?;
        let seconds = text.to_str().and_then(|text| text.parse::<f64>().ok());
        match seconds.filter(|&seconds| seconds >= 0.0).map(Duration::try_from_secs_f64) {
            Some(Ok(seconds)) => Some(seconds),
            Some(Err(_)) => None,
            None => self.misused(format_args!("invalid number of seconds: {}", quoted(text))),
        }
    }

    /// Says `tool: text` on standard error; the exit status will be 1.
    pub(crate) fn warn(&self, text: impl Display) {
        self.failed.store(true, Ordering::Relaxed);
        self.note(text);
    }

    /// Says `tool: text` on standard error, of what is no failure.
    pub(crate) fn note(&self, text: impl Display) {
        // One write, so that lines of several processes do not mix. There is nobody to tell
        // that standard error is broken.
        let line = format!("{}: {text}\n", self.name);
        let _ = io::stderr().write_all(line.as_bytes());
    }

    /// Says `tool: what: reason`.
    pub(crate) fn warn_error(&self, what: impl Display, error: &io::Error) {
        self.warn(format_args!("{what}: {}", reason(error)));
    }

    /// Says that standard output takes no more.
    pub(crate) fn write_failed(&self, error: &io::Error) {
        self.warn_error("write error", error);
    }

    /// Standard input, its descriptor duplicated: nothing here reads ahead, so the two are one.
    ///
    /// # Errors
    ///
    /// `EBADF` if the process was started with it closed.
    pub(crate) fn stdin(&self) -> io::Result<File> {
        inherited::was_open(0)?;
        Ok(File::from(io::stdin().as_fd().try_clone_to_owned()?))
    }

    /// Standard output, its descriptor duplicated, as a plain file without a buffer.
    ///
    /// # Errors
    ///
    /// `EBADF` if the process was started with it closed.
    pub(crate) fn stdout(&self) -> io::Result<File> {
        inherited::was_open(1)?;
        Ok(File::from(io::stdout().as_fd().try_clone_to_owned()?))
    }

    /// Whether anything was complained of.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// 1 if anything was complained of, 0 else.
    pub(crate) fn status(&self) -> ExitCode {
        ExitCode::from(u8::from(self.has_failed()))
    }
}

/// Closes `file`; some filesystems tell only now that a write has failed.
///
/// # Errors
///
/// Those of close(2).
pub(crate) fn close(file: File) -> io::Result<()> {
    inherited::close(file.into())
}

/// The words of the system for `error`, without the number that std appends.
pub(crate) fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match error.raw_os_error() {
        Some(code) => match text.strip_suffix(&format!(" (os error {code})")) {
            Some(words) => words.to_owned(),
            None => text,
        },
        None => text,
    }
}
