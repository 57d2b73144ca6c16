//! The command line of meter.

use super::display::Look;
use super::line::Parts;
use super::util::{self, Tool, flag, operands, option};
use clap::{ArgMatches, Command};
use std::ffi::{OsStr, OsString};
use std::fs::metadata;
use std::time::Duration;

/// What was asked for.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) look: Look,
    pub(crate) size: Option<u64>,
    pub(crate) quiet: bool,
    pub(crate) force: bool,
    /// Bytes per second.
    pub(crate) rate_limit: Option<u64>,
    pub(crate) buffer_size: Option<usize>,
    pub(crate) stop_at: Option<u64>,
    /// Never empty; `-` is standard input.
    pub(crate) files: Vec<OsString>,
}

impl Options {
    /// How to show what the size has been found to be.
    pub(crate) fn look(&self) -> Look {
        Look { size: self.size, ..self.look.clone() }
    }
}

fn command() -> Command {
    util::command("meter", "Copies to standard output and shows how it goes.")
        .arg(flag('p', "progress", "show a bar, and the percentage where the size is known"))
        .arg(flag('t', "timer", "show the time that has passed"))
        .arg(flag('e', "eta", "show the time that is left"))
        .arg(flag('r', "rate", "show the rate since the last redraw"))
        .arg(flag('a', "average-rate", "show the average rate"))
        .arg(flag('b', "bytes", "show how many bytes have gone"))
        .arg(flag('n', "numeric", "print the percentage, a number on each line"))
        .arg(flag('q', "quiet", "show nothing"))
        .arg(flag('W', "wait", "show nothing before the first byte"))
        .arg(option('s', "size", "SIZE", "the size to expect, or @FILE for that of a file"))
        .arg(flag('S', "stop-at-size", "stop once as many bytes have gone as --size says"))
        .arg(option('L', "rate-limit", "RATE", "let no more than RATE bytes go in a second"))
        .arg(option('B', "buffer-size", "BYTES", "how much to read where no kernel path is open"))
        .arg(option('i', "interval", "SEC", "redraw every SEC seconds (1)"))
        .arg(option('m', "average-rate-window", "SEC", "average over the last SEC seconds (30)"))
        .arg(option('N', "name", "NAME", "begin the line with NAME"))
        .arg(flag('f', "force", "draw though standard error is no terminal"))
        .arg(option('w', "width", "WIDTH", "draw WIDTH columns, however wide the terminal is"))
        .arg(operands("FILE", "what to read; - is standard input, and so is none at all"))
}

/// Reads the command line; a mistake in it ends the process.
pub(crate) fn parse(tool: &Tool) -> Options {
    let matches = tool.arguments(command(), std::env::args_os());
    let is_set = |name| matches.get_flag(name);
    let size = text(tool, &matches, "size").map(|text| expected(tool, text));
    if is_set("stop-at-size") && size.is_none() {
        tool.misused("--stop-at-size needs a --size to stop at");
    }
    let mut files: Vec<OsString> =
        matches.get_many("FILE").into_iter().flatten().cloned().collect();
    if files.is_empty() {
        files.push("-".into());
    }
    let rate_limit = bytes(tool, &matches, "rate-limit").filter(|&rate| rate > 0);
    Options {
        look: look(tool, &matches),
        size,
        quiet: is_set("quiet"),
        force: is_set("force"),
        rate_limit,
        buffer_size: bytes(tool, &matches, "buffer-size")
            .filter(|&bytes| bytes > 0)
            .map(|bytes| usize::try_from(bytes.min(1 << 30)).unwrap_or(1 << 30)),
        stop_at: size.filter(|_| is_set("stop-at-size")),
        files,
    }
}

fn look(tool: &Tool, matches: &ArgMatches) -> Look {
    let is_set = |name| matches.get_flag(name);
    let name = matches.get_one::<OsString>("name").map(|name| printable(name));
    let numeric = is_set("numeric");
    let mut parts = Parts {
        name,
        bytes: is_set("bytes"),
        timer: is_set("timer"),
        rate: is_set("rate"),
        average: is_set("average-rate"),
        bar: is_set("progress"),
        eta: is_set("eta"),
    };
    let Parts { bytes, timer, rate, average, bar, eta, .. } = parts;
    if !(numeric || bytes || timer || rate || average || bar || eta) {
        parts = Parts { bytes: true, timer: true, rate: true, bar: true, eta: true, ..parts };
    }
    let seconds = |name, least: f64, default| {
        let text = text(tool, matches, name);
        text.map_or(default, |text| match text.parse::<f64>() {
            Ok(seconds) if seconds >= 0.0 => Duration::from_secs_f64(seconds.clamp(least, 86400.0)),
            _ => tool.misused(format_args!("invalid number of seconds: '{text}'")),
        })
    };
    let width = text(tool, matches, "width").map(|text| match text.parse::<u16>() {
        Ok(width) if width > 0 => usize::from(width),
        _ => tool.misused(format_args!("invalid width: '{text}'")),
    });
    Look {
        parts,
        size: None,
        interval: seconds("interval", 0.1, Duration::from_secs(1)),
        window: seconds("average-rate-window", 1.0, Duration::from_secs(30)),
        width,
        numeric,
        await_first: is_set("wait"),
    }
}

fn text<'a>(tool: &Tool, matches: &'a ArgMatches, name: &str) -> Option<&'a str> {
    let value = matches.get_one::<OsString>(name)?;
    let Some(text) = value.to_str() else {
        let value = util::quoted(value);
        tool.misused(format_args!("invalid value {value} for '--{name}'"));
    };
    Some(text)
}

/// A name must not steer the terminal.
fn printable(name: &OsStr) -> String {
    name.to_string_lossy().replace(char::is_control, "?")
}

fn expected(tool: &Tool, text: &str) -> u64 {
    match text.strip_prefix('@') {
        None => size(tool, text),
        Some(file) => match metadata(file) {
            Ok(metadata) => metadata.len(),
            Err(error) => {
                let file = util::quoted_if_needed(file.as_ref());
                tool.misused(format_args!("{file}: {}", util::reason(&error)))
            }
        },
    }
}

fn bytes(tool: &Tool, matches: &ArgMatches, name: &str) -> Option<u64> {
    text(tool, matches, name).map(|text| size(tool, text))
}

fn size(tool: &Tool, text: &str) -> u64 {
    match decimal(text) {
        Some(bytes) => bytes,
        None => tool.misused(format_args!("invalid size: '{text}'")),
    }
}

/// A size as the other tools take it, with decimals too: `1.5G`.
fn decimal(text: &str) -> Option<u64> {
    let Some((whole, rest)) = text.split_once('.') else {
        return util::parse_size(text).ok();
    };
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (decimals, suffix) = rest.split_at(digits);
    if !whole.bytes().all(|b| b.is_ascii_digit()) || whole.len() + digits == 0 {
        return None;
    }
    let unit = util::parse_size(&format!("1{suffix}")).ok()?;
    let whole = match whole {
        "" => 0,
        digits => digits.parse::<u64>().ok()?,
    };
    let part = format!("0.{decimals}0").parse::<f64>().ok()? * unit as f64;
    whole.checked_mul(unit)?.checked_add(part as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_may_have_decimals() {
        for (text, bytes) in [
            ("10", Some(10)),
            ("1k", Some(1024)),
            ("1.5K", Some(1536)),
            (".5M", Some(512 << 10)),
            ("2.G", Some(2 << 30)),
            ("1.25kB", Some(1250)),
            ("0.1", Some(0)),
            (".", None),
            (".K", None),
            ("-1.5K", None),
            ("1.5.5K", None),
            ("1.5x", None),
            ("99999999999.5E", None),
        ] {
            assert_eq!(decimal(text), bytes, "{text}");
        }
    }

    #[test]
    fn names_cannot_steer_the_terminal() {
        assert_eq!(printable("a\x1b[2Jb\n".as_ref()), "a?[2Jb?");
    }
}
