//! idle: passes standard input on, and ends when nothing arrives any more.

mod util;

use aqueduct::copy::{Copier, CopyError, Side};
use aqueduct::stream::Stream;
use std::io::{self, ErrorKind};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use util::Tool;

/// As timeout(1) has it.
const TIMED_OUT: u8 = 124;

fn main() -> ExitCode {
    let tool = Tool::start("idle");
    let matches = tool.arguments(command(), std::env::args_os());
    let limits =
        Limits { silence: tool.seconds(&matches, "read"), total: tool.seconds(&matches, "total") };
    match pass_on(&tool, limits) {
        Ok(()) => tool.status(),
        Err(failed) if failed.kind() == ErrorKind::TimedOut => match matches.get_flag("close") {
            true => tool.status(),
            false => ExitCode::from(TIMED_OUT),
        },
        Err(failed) => {
            match failed.side {
                Side::Source => tool.warn_error("read error", &failed.source),
                Side::Sink(_) => tool.write_failed(&failed.source),
            }
            tool.status()
        }
    }
}

fn command() -> clap::Command {
    util::command("idle", "Copies standard input to standard output until nothing arrives.")
        .arg(util::flag(
            'k',
            "close",
            "take the end of patience for the end of the input: status 0",
        ))
        .arg(util::option('r', "read", "SEC", "end when nothing has arrived for SEC seconds"))
        .arg(util::option('t', "total", "SEC", "end after SEC seconds in all"))
}

#[derive(Debug, Clone, Copy)]
struct Limits {
    silence: Option<Duration>,
    total: Option<Duration>,
}

fn pass_on(tool: &Tool, limits: Limits) -> Result<(), Box<CopyError>> {
    let opened = tool.stdin().and_then(|file| Stream::inherit(file.into()));
    let mut stdin = told(tool, "standard input", opened);
    let opened = tool.stdout().and_then(|file| Stream::inherit(file.into()));
    let mut stdout = told(tool, "standard output", opened);
    let end = limits.total.and_then(|total| Instant::now().checked_add(total));
    stdin.set_read_deadline(end);
    stdin.set_read_timeout(limits.silence);
    // A reader that does not read must not make it last longer either.
    stdout.set_write_deadline(end);
    let copier = Copier::new().grow_pipes(true).share_pages(true);
    copier.copy(&mut stdin, &mut stdout).map(drop).map_err(Box::new)
}

fn told<T>(tool: &Tool, what: &str, opened: io::Result<T>) -> T {
    opened.unwrap_or_else(|error| {
        tool.warn_error(what, &error);
        std::process::exit(1)
    })
}
