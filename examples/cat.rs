//! cat: files one after the other, as they are or with their lines and bytes made visible.

mod util;

use aqueduct::copy::{Copier, Side};
use clap::ArgMatches;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Seek, Write};
use std::process::ExitCode;
use util::Tool;

fn main() -> ExitCode {
    let tool = Tool::start("cat");
    let matches = tool.arguments(command(), std::env::args_os());
    let stdin = OsString::from("-");
    let names = match matches.get_many::<OsString>("FILE") {
        Some(names) => names.collect(),
        None => vec![&stdin],
    };
    let finished = match (tool.stdout(), Style::of(&matches)) {
        (Err(error), _) => {
            tool.warn_error("standard output", &error);
            return tool.status();
        }
        (Ok(out), None) => as_they_are(&tool, &names, out),
        (Ok(out), Some(style)) => in_style(&tool, &names, out, style),
    };
    if let Err(error) = finished {
        tool.write_failed(&error);
    }
    tool.status()
}

fn command() -> clap::Command {
    util::command("cat", "Writes files to standard output, one after the other.")
        .arg(util::flag('A', "show-all", "as -vET"))
        .arg(util::flag('b', "number-nonblank", "number the lines that are not empty"))
        .arg(util::short_flag("e", "as -vE"))
        .arg(util::flag('E', "show-ends", "show the end of each line as $"))
        .arg(util::flag('n', "number", "number all lines"))
        .arg(util::flag('s', "squeeze-blank", "of several empty lines write one"))
        .arg(util::short_flag("t", "as -vT"))
        .arg(util::flag('T', "show-tabs", "show tabs as ^I"))
        .arg(util::short_flag("u", "does nothing: cat never holds bytes back"))
        .arg(util::flag('v', "show-nonprinting", "show other bytes as ^X and M-X"))
        .arg(util::operands("FILE", "what to read; - is standard input"))
}

/// Fails when the output does; of inputs that fail it complains, and goes on.
fn as_they_are(tool: &Tool, names: &[&OsString], mut out: File) -> io::Result<()> {
    let copier = Copier::new().grow_pipes(true).share_pages(true).wait(true);
    each(tool, names, util::identity(&out), |input| match copier.copy(input, &mut out) {
        Ok(_) => Ok(Ok(())),
        // The output itself, with nothing left to read; any other was complained of before.
        Err(failed) if util::is_same_file(&failed) => Ok(Ok(())),
        Err(failed) if failed.side == Side::Source => Ok(Err(failed.source)),
        Err(failed) => Err(failed.source),
    })?;
    util::close(out)
}

fn in_style(tool: &Tool, names: &[&OsString], out: File, style: Style) -> io::Result<()> {
    let copier = Copier::new().buffer_size(128 << 10).wait(true);
    let mut styled = Styled { lines: Lines::new(style), text: Vec::new(), out };
    each(tool, names, util::identity(&styled.out), |input| {
        let sink: &mut dyn Write = &mut styled;
        match copier.copy(input, sink) {
            Ok(_) => Ok(Ok(())),
            Err(failed) if failed.side == Side::Source => Ok(Err(failed.source)),
            Err(failed) => Err(failed.source),
        }
    })?;
    styled.finish()
}

/// Opens the files in turn and hands them to `copy`, whose outer result is the output's and whose
/// inner one is the input's.
fn each(
    tool: &Tool,
    names: &[&OsString],
    out: Option<(u64, u64)>,
    mut copy: impl FnMut(&mut File) -> io::Result<io::Result<()>>,
) -> io::Result<()> {
    for name in names {
        let opened = match name.as_os_str() == OsStr::new("-") {
            true => tool.stdin(),
            false => File::open(name),
        };
        let done = match opened {
            Ok(input) if feeds_itself(&input, out) => {
                tool.warn(format_args!(
                    "{}: input file is output file",
                    util::quoted_if_needed(name)
                ));
                continue;
            }
            Ok(mut input) => copy(&mut input)?,
            Err(error) => Err(error),
        };
        if let Err(error) = done {
            tool.warn_error(util::quoted_if_needed(name), &error);
        }
    }
    Ok(())
}

/// Whether copying would read back what it writes, on and on: the same file, with something left
/// to read.
fn feeds_itself(mut input: &File, out: Option<(u64, u64)>) -> bool {
    out.is_some()
        && util::identity(input) == out
        && input.stream_position().is_ok_and(|at| input.metadata().is_ok_and(|m| at < m.len()))
}

/// What to make visible.
#[derive(Debug, Clone, Copy)]
struct Style {
    number: bool,
    number_nonblank: bool,
    squeeze: bool,
    ends: bool,
    tabs: bool,
    nonprinting: bool,
}

impl Style {
    /// `None` if files are to be left as they are.
    fn of(matches: &ArgMatches) -> Option<Self> {
        let given = |name| matches.get_flag(name);
        let all = given("show-all");
        let style = Self {
            number: given("number") || given("number-nonblank"),
            number_nonblank: given("number-nonblank"),
            squeeze: given("squeeze-blank"),
            ends: all || given("show-ends") || given("e"),
            tabs: all || given("show-tabs") || given("t"),
            nonprinting: all || given("show-nonprinting") || given("e") || given("t"),
        };
        let Self { number, squeeze, ends, tabs, nonprinting, .. } = style;
        (number || squeeze || ends || tabs || nonprinting).then_some(style)
    }
}

/// A writer that passes on what it is given in a style, at once: what was read is seen before
/// more is waited for.
#[derive(Debug)]
struct Styled {
    lines: Lines,
    text: Vec<u8>,
    out: File,
}

impl Write for Styled {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.clear();
        self.lines.format(bytes, &mut self.text);
        util::write_all(&mut self.out, &self.text)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Styled {
    fn finish(mut self) -> io::Result<()> {
        if self.lines.pending_cr {
            util::write_all(&mut self.out, b"\r")?;
        }
        util::close(self.out)
    }
}

/// Formats text that comes in pieces, which end anywhere; lines go on from file to file.
#[derive(Debug)]
struct Lines {
    style: Style,
    number: Number,
    shown: Shown,
    at_start: bool,
    after_blank: bool,
    /// With `ends` alone a carriage return is shown only before a newline, which was not seen yet.
    pending_cr: bool,
}

impl Lines {
    fn new(style: Style) -> Self {
        Self {
            style,
            number: Number::new(),
            shown: Shown::new(style),
            at_start: true,
            after_blank: false,
            pending_cr: false,
        }
    }

    fn format(&mut self, mut bytes: &[u8], text: &mut Vec<u8>) {
        if self.pending_cr && !bytes.is_empty() {
            self.pending_cr = false;
            text.extend_from_slice(if bytes[0] == b'\n' { b"^M" } else { b"\r" });
        }
        while !bytes.is_empty() {
            let newline = memchr::memchr(b'\n', bytes);
            let (line, rest) = bytes.split_at(newline.unwrap_or(bytes.len()));
            let blank = line.is_empty() && self.at_start;
            if blank && self.style.squeeze && self.after_blank {
                bytes = &rest[1..];
                continue;
            }
            if self.at_start && self.style.number && !(blank && self.style.number_nonblank) {
                self.number.next(text);
            }
            self.after_blank = blank;
            self.at_start = newline.is_some();
            self.body(line, newline.is_some(), text);
            let Some((_, rest)) = rest.split_first() else { return };
            text.extend_from_slice(if self.style.ends { b"$\n" } else { b"\n" });
            bytes = rest;
        }
    }

    /// A line without its newline, or the part of it that there is.
    fn body(&mut self, line: &[u8], ends: bool, text: &mut Vec<u8>) {
        let cr = self.style.ends && !self.style.nonprinting && line.last() == Some(&b'\r');
        let line = &line[..line.len() - usize::from(cr)];
        if self.style.nonprinting || self.style.tabs {
            self.shown.append(line, text);
        } else {
            text.extend_from_slice(line);
        }
        match (cr, ends) {
            (true, true) => text.extend_from_slice(b"^M"),
            (true, false) => self.pending_cr = true,
            (false, _) => {}
        }
    }
}

/// How each byte is shown.
#[derive(Debug)]
struct Shown {
    plain: [bool; 256],
    /// Four bytes at most, and how many they are.
    bytes: [([u8; 4], u8); 256],
}

impl Shown {
    fn new(style: Style) -> Self {
        let mut shown = Self { plain: [true; 256], bytes: [([0; 4], 0); 256] };
        for byte in 0..=u8::MAX {
            let mut text = Vec::with_capacity(4);
            match byte {
                b'\t' if !style.tabs => text.push(byte),
                b'\t' => text.extend_from_slice(b"^I"),
                _ if style.nonprinting => visible(byte, &mut text),
                _ => text.push(byte),
            }
            let at = usize::from(byte);
            shown.plain[at] = text == [byte];
            shown.bytes[at].0[..text.len()].copy_from_slice(&text);
            shown.bytes[at].1 = text.len() as u8;
        }
        shown
    }

    fn append(&self, mut line: &[u8], text: &mut Vec<u8>) {
        loop {
            let run = line.iter().position(|&byte| !self.plain[usize::from(byte)]);
            text.extend_from_slice(&line[..run.unwrap_or(line.len())]);
            let Some(run) = run else { return };
            let (bytes, len) = &self.bytes[usize::from(line[run])];
            text.extend_from_slice(&bytes[..usize::from(*len)]);
            line = &line[run + 1..];
        }
    }
}

/// `^X` for a control character, `M-` before what the byte would be without its highest bit.
fn visible(byte: u8, text: &mut Vec<u8>) {
    match byte {
        128.. => {
            text.extend_from_slice(b"M-");
            visible(byte - 128, text);
        }
        127 => text.extend_from_slice(b"^?"),
        ..32 => text.extend_from_slice(&[b'^', byte + 64]),
        _ => text.push(byte),
    }
}

/// A line number that counts in digits, six wide or as wide as it must be.
#[derive(Debug)]
struct Number {
    /// Right-aligned in spaces, a tab at the end.
    digits: [u8; Self::WIDTH],
    /// Where to begin to write.
    start: usize,
    /// Where the number begins.
    first: usize,
}

impl Number {
    /// Room for more lines than can be read in a life, and a tab.
    const WIDTH: usize = 24;

    fn new() -> Self {
        let mut digits = [b' '; Self::WIDTH];
        digits[Self::WIDTH - 2] = b'0';
        digits[Self::WIDTH - 1] = b'\t';
        Self { digits, start: Self::WIDTH - 7, first: Self::WIDTH - 2 }
    }

    /// Counts one line and writes its number.
    fn next(&mut self, text: &mut Vec<u8>) {
        let mut at = Self::WIDTH - 2;
        while self.digits[at] == b'9' {
            self.digits[at] = b'0';
            at -= 1;
        }
        self.digits[at] = if at < self.first { b'1' } else { self.digits[at] + 1 };
        self.first = self.first.min(at);
        self.start = self.start.min(self.first);
        text.extend_from_slice(&self.digits[self.start..]);
    }
}
