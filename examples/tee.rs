//! tee: standard input to standard output and to files.

mod util;

use aqueduct::adapters::{ErrorPolicy, MultiWriter};
use aqueduct::copy::{Copier, Side};
use aqueduct::source::{Outcomes, Outlets, Sink};
use clap::builder::ValueParser;
use clap::{Arg, ArgAction, ArgMatches, Command};
use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;
use util::Tool;

fn main() -> ExitCode {
    let tool = Tool::start("tee");
    let matches = tool.arguments(command(), std::env::args_os());
    // Whoever has the signal ignored wants it to go on.
    let by_default = || util::sigpipe_is_ignored().then(Mode::default);
    let mode = mode(&tool, &matches).or_else(by_default);
    if mode.is_some() {
        util::ignore_sigpipe();
    }
    if matches.get_flag("ignore-interrupts") {
        ignore_interrupts();
    }
    // Before the files, which may be more than there are descriptors for.
    let input = tool.stdin();
    let identity = input.as_ref().ok().and_then(util::identity);
    let outputs = match open_all(&tool, &matches, mode.unwrap_or_default(), identity) {
        Ok(outputs) if !outputs.is_empty() => outputs,
        _ => return tool.status(),
    };
    match input {
        Ok(input) => copy_to(&tool, input, outputs, mode),
        Err(error) => read_failed(&tool, &error),
    }
    tool.status()
}

fn command() -> Command {
    util::command("tee", "Copies standard input to standard output and to files.")
        .arg(util::flag('a', "append", "append to the files, do not overwrite them"))
        .arg(util::flag('i', "ignore-interrupts", "ignore interrupts"))
        .arg(
            util::short_flag("p", "go on when a reader goes away: --output-error=warn-nopipe")
                .overrides_with("output-error"),
        )
        .arg(
            Arg::new("output-error")
                .long("output-error")
                .value_name("MODE")
                .action(ArgAction::Set)
                .num_args(0..=1)
                .require_equals(true)
                .default_missing_value("warn-nopipe")
                .value_parser(ValueParser::os_string())
                .overrides_with("p")
                .help("what to do when an output fails: warn, warn-nopipe, exit, exit-nopipe"),
        )
        .arg(util::operands("FILE", "where to write; - is a file of that name"))
}

/// What happens when an output fails. It is dropped and the others go on, unless they `exit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Mode {
    exit: bool,
    /// A reader that goes away counts as a failure and is told.
    pipes: bool,
}

const MODES: [(&str, Mode); 4] = [
    ("warn", Mode { exit: false, pipes: true }),
    ("warn-nopipe", Mode { exit: false, pipes: false }),
    ("exit", Mode { exit: true, pipes: true }),
    ("exit-nopipe", Mode { exit: true, pipes: false }),
];

impl Mode {
    fn policy(self) -> ErrorPolicy {
        match (self.exit, self.pipes) {
            (false, _) => ErrorPolicy::Drop,
            (true, true) => ErrorPolicy::Stop,
            (true, false) => ErrorPolicy::IgnoreBrokenPipe,
        }
    }
}

/// `None` where none was asked for: then SIGPIPE ends the process.
fn mode(tool: &Tool, matches: &ArgMatches) -> Option<Mode> {
    if matches.get_flag("p") {
        return Some(Mode::default());
    }
    let name: &OsString = matches.get_one("output-error")?;
    // Names may be shortened, as those of options.
    let begun = |full: &str| name.to_str().is_some_and(|name| full.starts_with(name));
    let exact = MODES.iter().find(|(full, _)| *name == **full);
    let mut short = MODES.iter().filter(|(full, _)| begun(full));
    match (exact, short.next(), short.next()) {
        (Some((_, mode)), ..) | (None, Some((_, mode)), None) => Some(*mode),
        (None, first, _) => {
            let wrong = if first.is_some() { "ambiguous" } else { "invalid" };
            let valid: String = MODES.iter().map(|(name, _)| format!("\n  - '{name}'")).collect();
            let name = util::quoted(name);
            tool.misused(format_args!(
                "{wrong} argument {name} for '--output-error'\nValid arguments are:{valid}"
            ))
        }
    }
}

#[allow(unsafe_code, reason = "the disposition of a signal has no safe interface")]
fn ignore_interrupts() {
    // SAFETY: SIG_IGN runs no code of ours. The call cannot fail for a signal that exists.
    unsafe { libc::signal(libc::SIGINT, libc::SIG_IGN) };
}

/// Standard output and the files, those left out that cannot be opened.
///
/// # Errors
///
/// The first failure, where the mode is to exit; it has been told.
fn open_all<'t>(
    tool: &'t Tool,
    matches: &ArgMatches,
    mode: Mode,
    input: Option<(u64, u64)>,
) -> io::Result<Vec<Output<'t>>> {
    let append = matches.get_flag("append");
    let stdout = OsString::from("standard output");
    let mut outputs = Vec::new();
    let mut add = |name: &OsStr, file: io::Result<File>| {
        let name = util::quoted_if_needed(name);
        match file {
            Ok(file) => outputs.push(Output { tool, name, file, mode, failed: false }),
            Err(error) => {
                tool.warn_error(name, &error);
                if mode.exit {
                    return Err(error);
                }
            }
        }
        Ok(())
    };
    add(&stdout, tool.stdout().and_then(|file| unlike(input, file)))?;
    for name in matches.get_many::<OsString>("FILE").into_iter().flatten() {
        add(name, create(name, append, input))?;
    }
    Ok(outputs)
}

/// Opens a file to write, and empties it unless it is to be appended to; not the one that is the
/// input, which would be emptied before it was read, or grow for ever.
fn create(name: &OsStr, append: bool, input: Option<(u64, u64)>) -> io::Result<File> {
    let file =
        OpenOptions::new().write(!append).append(append).create(true).truncate(false).open(name)?;
    let file = unlike(input, file)?;
    if !append && file.metadata().is_ok_and(|found| found.is_file() && found.len() > 0) {
        file.set_len(0)?;
    }
    Ok(file)
}

/// Refuses the file that is the input.
fn unlike(input: Option<(u64, u64)>, file: File) -> io::Result<File> {
    if input.is_some() && util::identity(&file) == input {
        return Err(io::Error::new(ErrorKind::InvalidInput, "input file is output file"));
    }
    Ok(file)
}

fn read_failed(tool: &Tool, error: &io::Error) {
    tool.warn_error("read error", error);
}

fn copy_to(tool: &Tool, mut input: File, outputs: Vec<Output<'_>>, mode: Option<Mode>) {
    // Under these modes nobody else would end us when all readers are gone.
    let watch = mode.is_some_and(|mode| !mode.pipes);
    let mut all = MultiWriter::new(outputs).policy(mode.unwrap_or_default().policy());
    let copier = Copier::new().grow_pipes(true).wait(true).watch_outputs(watch);
    if let Err(failed) = copier.copy(&mut input, &mut all) {
        match failed.side {
            Side::Source => read_failed(tool, &failed.source),
            Side::Sink(i) => {
                if let Some(output) = all.get_mut(i) {
                    output.tell(&failed.source);
                }
                if mode.is_some_and(|mode| mode.exit) {
                    return;
                }
            }
        }
    }
    for output in all.into_inner() {
        output.close();
    }
}

/// One output, which says at once when it fails.
#[derive(Debug)]
struct Output<'t> {
    tool: &'t Tool,
    name: String,
    file: File,
    mode: Mode,
    failed: bool,
}

impl Output<'_> {
    fn tell(&mut self, error: &io::Error) {
        use ErrorKind::{BrokenPipe, Interrupted, TimedOut, WouldBlock};
        // These pass: the copy waits, or tries again.
        if matches!(error.kind(), Interrupted | TimedOut | WouldBlock) || self.failed {
            return;
        }
        self.failed = true;
        // To exit at the first failure means to tell of one.
        let last = self.mode.exit && self.tool.has_failed();
        if (error.kind() != BrokenPipe || self.mode.pipes) && !last {
            self.tool.warn_error(&self.name, error);
        }
    }

    /// Some filesystems say only now that they are full.
    fn close(self) {
        if let (Err(error), false) = (util::close(self.file), self.failed) {
            self.tool.warn_error(&self.name, &error);
        }
    }
}

impl Write for Output<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let result = self.file.write(buf);
        result.inspect_err(|error| self.tell(error))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for Output<'_> {
    fn outlets<'a>(&'a mut self, out: &mut Outlets<'a>) {
        self.file.outlets(out);
    }

    fn advance(&mut self, out: &mut Outcomes<'_>) -> io::Result<()> {
        let result = self.file.advance(out);
        result.inspect_err(|error| self.tell(error))
    }
}
