//! head: the first part of files.

mod util;

use aqueduct::Copier;
use aqueduct::copy::Side;
use clap::ArgMatches;
use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::process::ExitCode;
use util::{SizeError, Tool, parse_size, quoted};

fn main() -> ExitCode {
    let tool = Tool::start("head");
    let arguments = modern(&tool, std::env::args_os().collect());
    let matches = tool.arguments(command(), arguments);
    let part = Part::of(&tool, &matches);
    let stdin = OsString::from("-");
    let names = match matches.get_many::<OsString>("FILE") {
        Some(names) => names.collect(),
        None => vec![&stdin],
    };
    let headers = matches.get_flag("verbose") || names.len() > 1 && !matches.get_flag("quiet");
    match tool.stdout() {
        Ok(out) => {
            if let Err(error) = each(&tool, &names, out, headers, &part) {
                tool.write_failed(&error);
            }
        }
        Err(error) => tool.write_failed(&error),
    }
    tool.status()
}

fn command() -> clap::Command {
    util::command("head", "Writes the first 10 lines of files, or as many lines or bytes as told.")
        .arg(
            util::option('c', "bytes", "[-]NUM", "the first NUM bytes; with -, all but the last")
                .overrides_with("lines"),
        )
        .arg(
            util::option('n', "lines", "[-]NUM", "the first NUM lines; with -, all but the last")
                .overrides_with("bytes"),
        )
        .arg(
            util::flag('q', "quiet", "never write headers")
                .alias("silent")
                .overrides_with("verbose"),
        )
        .arg(util::flag('v', "verbose", "always write headers").overrides_with("quiet"))
        .arg(util::flag('z', "zero-terminated", "lines end in NUL, not newline"))
        .arg(util::operands("FILE", "what to read; - is standard input"))
}

/// Turns the first argument of `head -5`, `head -2kv` into options.
fn modern(tool: &Tool, mut arguments: Vec<OsString>) -> Vec<OsString> {
    let obsolete = match arguments.get(1).and_then(|first| first.as_bytes().strip_prefix(b"-")) {
        Some(text) if text.first().is_some_and(u8::is_ascii_digit) => text.to_vec(),
        _ => return arguments,
    };
    let digits = obsolete.iter().take_while(|b| b.is_ascii_digit()).count();
    let (mut count, letters) = (obsolete[..digits].to_vec(), &obsolete[digits..]);
    let (mut lines, mut unit, mut flags) = (true, None, Vec::new());
    for &letter in letters {
        match letter {
            b'b' | b'k' | b'm' => (lines, unit) = (false, Some(letter)),
            b'c' => (lines, unit) = (false, None),
            b'l' => lines = true,
            b'q' | b'v' | b'z' => flags.push(OsString::from_vec(vec![b'-', letter])),
            _ => tool.misused(format_args!("invalid trailing option -- {}", letter as char)),
        }
    }
    count.extend(unit);
    let option = if lines { OsString::from("--lines=") } else { OsString::from("--bytes=") };
    let counted = [option, OsString::from_vec(count)].into_iter().collect();
    arguments.splice(1..2, [counted].into_iter().chain(flags));
    arguments
}

/// Fails when the output does; of inputs that fail it complains, and goes on.
fn each(
    tool: &Tool,
    names: &[&OsString],
    mut out: File,
    headers: bool,
    part: &Part,
) -> io::Result<()> {
    let mut header: &[u8] = b"==> ";
    for &name in names {
        let stdin = name == "-";
        let shown = if stdin { OsStr::new("standard input") } else { name };
        let opened = if stdin { tool.stdin() } else { File::open(name) };
        let mut input = match opened {
            Ok(input) => input,
            Err(error) if stdin => {
                tool.warn_error(format_args!("error reading {}", quoted(shown)), &error);
                continue;
            }
            Err(error) => {
                tool.warn_error(format_args!("cannot open {} for reading", quoted(name)), &error);
                continue;
            }
        };
        if headers {
            // A newline in a name could pass for a header and what follows it.
            let lines = name.as_bytes().contains(&b'\n');
            let title = if lines { quoted(shown).into() } else { shown.to_owned() };
            util::write_all(&mut out, &[header, title.as_bytes(), b" <==\n"].concat())?;
            header = b"\n==> ";
        }
        match part.copy(&mut input, &mut out) {
            Ok(()) => {}
            Err(Failed::Output(error)) => return Err(error),
            Err(Failed::Input(error)) => {
                tool.warn_error(format_args!("error reading {}", quoted(shown)), &error);
            }
        }
    }
    util::close(out)
}

#[derive(Debug)]
enum Failed {
    Input(io::Error),
    Output(io::Error),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Bytes,
    Lines,
}

/// Which part of a file is wanted: the first `count` units, or all but the last.
#[derive(Debug)]
struct Part {
    unit: Unit,
    count: u64,
    all_but: bool,
    delimiter: u8,
}

impl Part {
    fn of(tool: &Tool, matches: &ArgMatches) -> Self {
        let delimiter = if matches.get_flag("zero-terminated") { 0 } else { b'\n' };
        let bytes = matches.get_one::<OsString>("bytes");
        let (unit, what) = match bytes {
            Some(_) => (Unit::Bytes, "bytes"),
            None => (Unit::Lines, "lines"),
        };
        let Some(given) = bytes.or_else(|| matches.get_one("lines")) else {
            return Self { unit, count: 10, all_but: false, delimiter };
        };
        let text = given.to_string_lossy();
        let (all_but, size) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, &*text),
        };
        match parse_size(size) {
            Ok(count) => Self { unit, count, all_but, delimiter },
            Err(error) => {
                let more = match error {
                    SizeError::Invalid => "",
                    SizeError::TooLarge => ": Value too large for defined data type",
                };
                let size = quoted(OsStr::new(size));
                tool.warn(format_args!("invalid number of {what}: {size}{more}"));
                std::process::exit(1)
            }
        }
    }

    /// Copies the part, and leaves the offset of an input that has one right behind it.
    fn copy(&self, input: &mut File, out: &mut File) -> Result<(), Failed> {
        // A file may be appended to itself, but what was appended must not be read again.
        let identity = util::identity(out);
        let own = match identity.is_some() && util::identity(input) == identity {
            true => Some(from_here(input).map_err(Failed::Input)?),
            false => None,
        };
        match (self.all_but, self.unit) {
            (false, Unit::Bytes) => copy_bytes(input, out, Some(self.count), own),
            (false, Unit::Lines) => self.first_lines(input, out, own),
            (true, _) if self.count == 0 => copy_bytes(input, out, None, own),
            (true, unit) => match own.or_else(|| extent(input)) {
                Some((start, end)) => {
                    let end = match unit {
                        Unit::Bytes => end.saturating_sub(self.count),
                        Unit::Lines => self.last_lines(input, start, end).map_err(Failed::Input)?,
                    };
                    copy_bytes(input, out, Some(end.saturating_sub(start)), own)
                }
                None => self.all_but_held(input, out),
            },
        }
    }

    /// Reads in blocks: of an input without an offset, what follows in the last one is lost.
    fn first_lines(
        &self,
        input: &mut File,
        out: &mut File,
        own: Option<(u64, u64)>,
    ) -> Result<(), Failed> {
        let mut room = own.map_or(u64::MAX, |(start, end)| end.saturating_sub(start));
        let (mut left, mut block) = (self.count, vec![0; BLOCK]);
        while left > 0 {
            let block = &mut block[..room.min(BLOCK as u64) as usize];
            let n = util::read(input, block).map_err(Failed::Input)?;
            let block = &block[..n];
            if n == 0 {
                return Ok(());
            }
            room -= n as u64;
            let end = after_lines(block, self.delimiter, &mut left);
            step_back(input, n - end);
            util::write_all(out, &block[..end]).map_err(Failed::Output)?;
        }
        Ok(())
    }

    /// Where the last `count` lines between `start` and `end` begin.
    fn last_lines(&self, input: &File, start: u64, end: u64) -> io::Result<u64> {
        let (mut left, mut at, mut block) = (self.count, end, vec![0; BLOCK]);
        while at > start {
            let n = (at - start).min(BLOCK as u64) as usize;
            let block = &mut block[..n];
            input.read_exact_at(block, at - n as u64)?;
            for found in memchr::memrchr_iter(self.delimiter, block) {
                let after = at - n as u64 + found as u64 + 1;
                // The delimiter of the last line does not begin another.
                if after == end {
                    continue;
                }
                left -= 1;
                if left == 0 {
                    return Ok(after);
                }
            }
            at -= n as u64;
        }
        Ok(start)
    }

    /// Passes on what is surely not among the last `count` units, and holds no more than those.
    fn all_but_held(&self, input: &mut File, out: &mut File) -> Result<(), Failed> {
        let mut held = Held::default();
        let mut block = vec![0; BLOCK];
        loop {
            let n = util::read(input, &mut block).map_err(Failed::Input)?;
            let block = &block[..n];
            if n == 0 {
                step_back(input, held.bytes.len());
                return Ok(());
            }
            let free = match self.unit {
                Unit::Bytes => {
                    let all = (held.bytes.len() + n) as u64;
                    all.saturating_sub(self.count) as usize
                }
                Unit::Lines => held.free_lines(block, self.delimiter, self.count),
            };
            held.pass(free, block, out).map_err(Failed::Output)?;
        }
    }
}

/// How much is read at once.
const BLOCK: usize = 64 << 10;

/// The end of what was read and not passed on.
#[derive(Debug, Default)]
struct Held {
    bytes: VecDeque<u8>,
    /// How many of the bytes are delimiters.
    lines: u64,
}

impl Held {
    /// Of the bytes held and of `block` behind them, how many do not belong to the last `count`
    /// lines. What follows the last delimiter is a line as well.
    fn free_lines(&mut self, block: &[u8], delimiter: u8, count: u64) -> usize {
        let lines = self.lines + memchr::memchr_iter(delimiter, block).count() as u64;
        let open = u64::from(block.last() != Some(&delimiter));
        let excess = (lines + open).saturating_sub(count);
        self.lines = lines - excess.min(lines);
        let mut left = excess;
        if left == 0 {
            return 0;
        }
        let (front, back) = self.bytes.as_slices();
        let mut free = 0;
        for part in [front, back, block] {
            free += after_lines(part, delimiter, &mut left);
            if left == 0 {
                break;
            }
        }
        free
    }

    /// Writes the first `free` bytes, of those held and then of `block`, and holds the rest.
    fn pass(&mut self, free: usize, block: &[u8], out: &mut File) -> io::Result<()> {
        let from_held = free.min(self.bytes.len());
        let (front, back) = self.bytes.as_slices();
        let from_front = from_held.min(front.len());
        util::write_all(out, &front[..from_front])?;
        util::write_all(out, &back[..from_held - from_front])?;
        self.bytes.drain(..from_held);
        let (now, later) = block.split_at(free - from_held);
        util::write_all(out, now)?;
        self.bytes.extend(later);
        Ok(())
    }
}

/// How much of `block` the next `left` lines are, which then count as had.
fn after_lines(block: &[u8], delimiter: u8, left: &mut u64) -> usize {
    for found in memchr::memchr_iter(delimiter, block) {
        *left -= 1;
        if *left == 0 {
            return found + 1;
        }
    }
    block.len()
}

/// Undoes the reading of the last `n` bytes, where that is possible.
fn step_back(input: &mut File, n: usize) {
    if n > 0 {
        // A pipe or a terminal has no way back; what was read is lost.
        let _ = input.seek(SeekFrom::Current(-(n as i64)));
    }
}

/// From where to where a file reaches, if its size can be trusted: those of /proc and /sys are
/// made up, and never larger than a block.
fn extent(input: &mut File) -> Option<(u64, u64)> {
    let about = input.metadata().ok().filter(Metadata::is_file)?;
    (about.len() > about.blksize()).then(|| from_here(input).ok())?
}

fn from_here(input: &mut File) -> io::Result<(u64, u64)> {
    Ok((input.stream_position()?, input.metadata()?.len()))
}

/// Copies all bytes, or as many as `limit` says. Where input and output are the same file, `own`
/// is the part that was there before.
fn copy_bytes(
    input: &mut File,
    out: &mut File,
    limit: Option<u64>,
    own: Option<(u64, u64)>,
) -> Result<(), Failed> {
    let mut copier = Copier::new().grow_pipes(true).share_pages(true).wait(true);
    if let Some(limit) = limit {
        copier = copier.limit(limit);
    }
    let copied = match own {
        None => copier.copy(input, out),
        Some((start, end)) => {
            // Seen as a file it would be refused.
            let input: &mut dyn Read = input;
            let limit = limit.unwrap_or(u64::MAX).min(end.saturating_sub(start));
            copier.limit(limit).copy(input, out)
        }
    };
    match copied {
        Ok(_) => Ok(()),
        Err(failed) if failed.side == Side::Source => Err(Failed::Input(failed.source)),
        Err(failed) => Err(Failed::Output(failed.source)),
    }
}
