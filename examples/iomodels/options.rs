//! The command line of iomodels.

use super::load::Load;
use super::util::{self, Tool, option, parse_size, quoted};
use clap::{ArgMatches, Command};
use std::ffi::OsString;
use std::time::Duration;

#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) load: Load,
    pub(crate) pairs: Vec<usize>,
    /// All where it is empty.
    pub(crate) models: Vec<String>,
    pub(crate) svg: Option<OsString>,
}

fn command() -> Command {
    util::command("iomodels", "Serves the same chatty load by each I/O model in turn.")
        .arg(option('b', "burst", "NUM", "send NUM messages before waiting for answers (10)"))
        .arg(option('g', "svg", "FILE", "draw the results into FILE"))
        .arg(option('m', "models", "LIST", "run only these, separated by commas"))
        .arg(option('n', "pairs", "LIST", "serve so many pairs of sockets (10,100,1000,9000)"))
        .arg(option('r', "rounds", "NUM", "send NUM bursts (5000)"))
        .arg(option('s', "size", "BYTES", "send messages of BYTES bytes, 32K at most (64)"))
        .arg(option('t', "time", "SEC", "begin no burst after SEC seconds (1)"))
}

/// Reads the command line; a mistake in it ends the process.
pub(crate) fn parse(tool: &Tool, known: &[&'static str]) -> Options {
    let matches = tool.arguments(command(), std::env::args_os());
    let pairs = text(tool, &matches, "pairs").unwrap_or("10,100,1000,9000");
    let pairs = pairs.split(',').map(|text| number(tool, text, 100_000)).collect();
    let models = text(tool, &matches, "models").map_or_else(Vec::new, |list| {
        let check = |name: &str| {
            if !known.contains(&name) {
                let known = known.join(", ");
                tool.misused(format_args!(
                    "no such model: {}; there are {known}",
                    quoted(name.as_ref())
                ));
            }
            name.to_owned()
        };
        list.split(',').map(check).collect()
    });
    let of = |name, default, most| {
        text(tool, &matches, name).map_or(default, |text| number(tool, text, most))
    };
    let load = Load {
        size: of("size", 64, super::model::ROOM),
        burst: of("burst", 10, 100_000),
        rounds: of("rounds", 5000, 100_000_000),
        time: tool.seconds(&matches, "time").unwrap_or(Duration::from_secs(1)),
    };
    Options { load, pairs, models, svg: matches.get_one("svg").cloned() }
}

fn text<'a>(tool: &Tool, matches: &'a ArgMatches, name: &str) -> Option<&'a str> {
    let text = matches.get_one::<OsString>(name)?;
    match text.to_str() {
        Some(text) => Some(text),
        None => tool.misused(format_args!("invalid argument for --{name}: {}", quoted(text))),
    }
}

/// From 1 to `most`.
fn number(tool: &Tool, text: &str, most: usize) -> usize {
    match parse_size(text).ok().and_then(|size| usize::try_from(size).ok()) {
        Some(number) if (1..=most).contains(&number) => number,
        _ => tool.misused(format_args!("not a number from 1 to {most}: {}", quoted(text.as_ref()))),
    }
}
