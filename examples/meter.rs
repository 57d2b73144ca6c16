//! meter: copies to standard output, and shows how it goes.

#[path = "meter/display.rs"]
mod display;
#[path = "meter/line.rs"]
mod line;
#[path = "meter/options.rs"]
mod options;
#[path = "meter/pace.rs"]
mod pace;
mod util;

use self::display::{Display, Ender};
use self::options::Options;
use self::pace::Pace;
use aqueduct::WriteExt;
use aqueduct::copy::{Copier, CopyError, Side};
use aqueduct::source::Sink;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, ErrorKind, IsTerminal, Seek, SeekFrom};
use std::os::unix::fs::FileTypeExt;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

/// Exit statuses; several failures are or-ed together.
const NOT_OPENED: u8 = 2;
const INPUT_IS_OUTPUT: u8 = 4;
const TRANSFER_FAILED: u8 = 16;
const SIGNALLED: u8 = 32;
const NO_DISPLAY: u8 = 64;

fn main() -> ExitCode {
    let tool = util::Tool::start("meter");
    let mut options = options::parse(&tool);
    if options.size.is_none() {
        options.size = total_size(&tool, &options.files);
    }
    ExitCode::from(run(&tool, &options))
}

fn run(tool: &util::Tool, options: &Options) -> u8 {
    let stdout = match tool.stdout() {
        Ok(file) => file,
        Err(error) => {
            tool.write_failed(&error);
            return TRANSFER_FAILED;
        }
    };
    let signals = util::Signals::hold(&[libc::SIGHUP, libc::SIGINT, libc::SIGTERM]);
    let identity = util::identity(&stdout);
    let count = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&count);
    let mut out = stdout.progress_writes(1, move |total| seen.store(total, Ordering::Relaxed));

    let numeric = options.look.numeric;
    let shows = !options.quiet && (numeric || options.force || io::stderr().is_terminal());
    let status = Arc::new(AtomicU8::new(0));
    let started = shows.then(|| Display::start(options.look(), count)).transpose();
    let display = started.and_then(|started| {
        let (display, ender) = started.unzip();
        end_on(signals, ender, Arc::clone(&status))?;
        Ok(display)
    });
    let display = match display {
        Ok(display) => display,
        Err(error) => {
            tool.warn_error("no display", &error);
            return NO_DISPLAY;
        }
    };
    if display.is_some() {
        // Dying of it on the spot would leave the shell's prompt at the end of our line.
        util::ignore_sigpipe();
    }

    let mut meter = Meter::new(tool, options, display.as_ref(), &status);
    let end = meter.pass_all(&mut out, identity);
    if let Some(display) = display {
        display.finish();
    }
    if end == End::ReaderGone {
        util::die_of_sigpipe();
    }
    status.load(Ordering::Relaxed)
}

/// Lets a signal end the process once the line is finished, whatever the copy waits for.
fn end_on(
    signals: util::Signals,
    ender: Option<Ender>,
    status: Arc<AtomicU8>,
) -> io::Result<thread::JoinHandle<()>> {
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        signals.wait();
        status.fetch_or(SIGNALLED, Ordering::Relaxed);
        if let Some(ender) = ender {
            ender.end();
        }
        std::process::exit(status.load(Ordering::Relaxed).into());
    })
}

#[derive(Debug, PartialEq, Eq)]
enum End {
    Complete,
    /// The output's reader went away, and whoever started us wants us to die of that.
    ReaderGone,
}

struct Meter<'a> {
    tool: &'a util::Tool,
    options: &'a Options,
    display: Option<&'a Display>,
    copier: Copier,
    pace: Option<Pace>,
    /// What may still go, by --stop-at-size.
    left: u64,
    status: &'a AtomicU8,
}

impl<'a> Meter<'a> {
    fn new(
        tool: &'a util::Tool,
        options: &'a Options,
        display: Option<&'a Display>,
        status: &'a AtomicU8,
    ) -> Self {
        let mut copier = Copier::new().grow_pipes(true).share_pages(true).wait(true);
        if let Some(bytes) = options.buffer_size {
            copier = copier.buffer_size(bytes);
        }
        Self {
            tool,
            options,
            display,
            copier,
            pace: options.rate_limit.map(|rate| Pace::new(rate, Instant::now())),
            left: options.stop_at.unwrap_or(u64::MAX),
            status,
        }
    }

    fn pass_all<K: Sink>(&mut self, out: &mut K, identity: Option<(u64, u64)>) -> End {
        let options = self.options;
        for name in &options.files {
            let mut input = match open(self.tool, name) {
                Ok(input) => input,
                Err(error) => {
                    self.complain(NOT_OPENED, label(name), &util::reason(&error));
                    continue;
                }
            };
            // Reading what is written would never end.
            if identity.is_some() && util::identity(&input) == identity {
                self.complain(INPUT_IS_OUTPUT, label(name), "input file is output file");
                continue;
            }
            let Err(failed) = self.pass(&mut input, out) else { continue };
            if failed.side == Side::Source {
                self.complain(TRANSFER_FAILED, label(name), &util::reason(&failed.source));
                continue;
            }
            if failed.kind() == ErrorKind::BrokenPipe && !util::sigpipe_is_ignored() {
                return End::ReaderGone;
            }
            let reason = util::reason(&failed.source);
            self.complain(TRANSFER_FAILED, "write error".to_owned(), &reason);
            break;
        }
        End::Complete
    }

    /// One input to its end: a single copy, or one for each portion that the rate allows.
    fn pass<K: Sink>(&mut self, input: &mut File, out: &mut K) -> Result<(), CopyError> {
        while self.left > 0 {
            let mut portion = self.left;
            if let Some(pace) = &mut self.pace {
                match pace.grant(Instant::now()) {
                    Ok(granted) => portion = portion.min(granted),
                    Err(wait) => {
                        thread::sleep(wait);
                        continue;
                    }
                }
            }
            if portion == u64::MAX {
                return self.copier.copy(input, out).map(drop);
            }
            let taken = self.copier.clone().limit(portion).copy(input, out)?.taken();
            if let Some(pace) = &mut self.pace {
                pace.spend(taken);
            }
            if self.options.stop_at.is_some() {
                self.left -= taken;
            }
            if taken < portion {
                break;
            }
        }
        Ok(())
    }

    fn complain(&self, status: u8, what: String, reason: &str) {
        let _room = self.display.map(Display::hush);
        self.tool.warn(format_args!("{what}: {reason}"));
        self.status.fetch_or(status, Ordering::Relaxed);
    }
}

fn open(tool: &util::Tool, name: &OsStr) -> io::Result<File> {
    if name == "-" { tool.stdin() } else { File::open(name) }
}

fn label(name: &OsStr) -> String {
    if name == "-" { "standard input".to_owned() } else { util::quoted_if_needed(name) }
}

/// The size of everything that can be read, if all that can be has a size.
fn total_size(tool: &util::Tool, files: &[std::ffi::OsString]) -> Option<u64> {
    let sizes = files.iter().filter_map(|name| size_of(tool, name).ok());
    let total = sizes.sum::<Option<u64>>()?;
    // Files that the kernel makes up, in /proc for one, say that they are empty.
    (total > 0).then_some(total)
}

/// `None` if there is no telling.
fn size_of(tool: &util::Tool, name: &OsStr) -> io::Result<Option<u64>> {
    if name != "-" {
        let metadata = std::fs::metadata(name)?;
        if !metadata.is_file() && !metadata.file_type().is_block_device() {
            // Opened and closed again, a named pipe would be broken for its writer.
            return Ok(metadata.is_dir().then_some(0));
        }
    }
    Ok(rest(&mut open(tool, name)?))
}

/// What lies between the offset and the end.
fn rest(file: &mut File) -> Option<u64> {
    let metadata = file.metadata().ok()?;
    if metadata.is_file() {
        let at = file.stream_position().ok()?;
        return Some(metadata.len().saturating_sub(at));
    }
    if metadata.file_type().is_block_device() {
        let at = file.stream_position().ok()?;
        let end = file.seek(SeekFrom::End(0)).ok()?;
        file.seek(SeekFrom::Start(at)).ok()?;
        return Some(end.saturating_sub(at));
    }
    None
}
