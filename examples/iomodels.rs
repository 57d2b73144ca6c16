//! iomodels: serves the same chatty load by each I/O model in turn, and tells what it cost.

#[path = "iomodels/bare.rs"]
mod bare;
#[path = "iomodels/classic.rs"]
mod classic;
#[path = "iomodels/load.rs"]
mod load;
#[path = "iomodels/model.rs"]
mod model;
#[path = "iomodels/options.rs"]
mod options;
#[path = "iomodels/picture.rs"]
mod picture;
#[path = "iomodels/plain.rs"]
mod plain;
#[path = "iomodels/ready.rs"]
mod ready;
#[path = "iomodels/tally.rs"]
mod tally;
mod util;

use self::load::Row;
use self::options::Options;
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

fn main() -> ExitCode {
    let tool = util::Tool::start("iomodels");
    let names: Vec<_> = model::all().iter().map(|model| model.name()).collect();
    let options = options::parse(&tool, &names);
    raise_descriptor_limit();
    match tool
        .stdout()
        .and_then(|mut out| print(&tool, &options, &mut io::LineWriter::new(&mut out)))
    {
        Ok(rows) => {
            if let Some(name) = &options.svg {
                let drawn = picture::draw(&rows).and_then(|picture| {
                    let mut file = File::create(name)?;
                    file.write_all(picture.as_bytes())?;
                    util::close(file)
                });
                if let Err(error) = drawn {
                    tool.warn_error(util::quoted_if_needed(name), &error);
                }
            }
        }
        Err(error) => tool.write_failed(&error),
    }
    tool.status()
}

/// All results; fails only where they cannot be told.
fn print(tool: &util::Tool, options: &Options, out: &mut impl Write) -> io::Result<Vec<Row>> {
    let models = model::all();
    let is_wanted =
        |name: &str| options.models.is_empty() || options.models.iter().any(|it| it == name);
    let mut rows = Vec::new();
    for &pairs in &options.pairs {
        writeln!(
            out,
            "{:<12} {:>6} {:>9} {:>9} {:>9} {:>9} {:>9} {:>8} {:>7} {:>9} {:>9}",
            "model",
            "pairs",
            "messages",
            "wakes",
            "events",
            "calls",
            "all-calls",
            "cpu-s",
            "us/msg",
            "msg/s",
            "p99-us"
        )?;
        for model in models.iter().filter(|model| is_wanted(model.name())) {
            progress(model.name(), pairs);
            let result = options.load.run(&**model, pairs);
            erase_progress();
            match result {
                Ok(row) => {
                    line(out, &row)?;
                    rows.push(row);
                }
                Err(error) => writeln!(
                    out,
                    "{:<12} {pairs:>6} not run: {}",
                    model.name(),
                    util::reason(&error)
                )?,
            }
        }
        writeln!(out)?;
    }
    if !cfg!(target_os = "linux") {
        writeln!(out, "Not on this system: {}\n", model::OF_LINUX.join(", "))?;
    }
    writeln!(out, "100 KiB arrive, and each read takes 50 KiB:")?;
    match classic::replay() {
        Ok(cases) => {
            writeln!(out, "{:<14} {:>6} {:>6} {:>11}", "mode", "events", "reads", "left-unread")?;
            for case in cases {
                let (name, events, reads, left) = (case.name, case.events, case.reads, case.left);
                writeln!(out, "{name:<14} {events:>6} {reads:>6} {left:>11}")?;
            }
        }
        Err(error) => tool.warn_error("the classic case", &error),
    }
    Ok(rows)
}

fn line(out: &mut impl Write, row: &Row) -> io::Result<()> {
    let calls = |calls: u64| if row.counts_calls { calls.to_string() } else { "-".to_owned() };
    writeln!(
        out,
        "{:<12} {:>6} {:>9} {:>9} {:>9} {:>9} {:>9} {:>8.3} {:>7.2} {:>9.0} {:>9.1}",
        row.model,
        row.pairs,
        row.messages,
        row.counts.wakes,
        row.counts.events,
        calls(row.counts.calls),
        calls(row.all_calls),
        row.cpu.as_secs_f64(),
        row.micros_per_message(),
        row.messages as f64 / row.wall.as_secs_f64(),
        row.p99.as_secs_f64() * 1e6
    )
}

/// On a terminal, says what runs.
fn progress(model: &str, pairs: usize) {
    if io::stderr().is_terminal() {
        let _ = write!(io::stderr(), "\r\x1b[K{model} with {pairs} pairs");
    }
}

fn erase_progress() {
    if io::stderr().is_terminal() {
        let _ = write!(io::stderr(), "\r\x1b[K");
    }
}

/// Two descriptors a pair: as many as the system lets us have.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    // If that fails, pairs that are too many are told of.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}
