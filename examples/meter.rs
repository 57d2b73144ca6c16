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

use self::display::Display;
use self::options::Options;
use self::pace::Pace;
use aqueduct::WriteExt;
use aqueduct::copy::{Copier, CopyError, Side};
use aqueduct::source::{Sink, Source};
use aqueduct::stream::{Control, Inherited, Stream};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, ErrorKind, IsTerminal, Seek, SeekFrom};
use std::os::unix::fs::FileTypeExt;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

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
    let (identity, stdout) = match tool.stdout().and_then(stream) {
        Ok(opened) => opened,
        Err(error) => {
            tool.write_failed(&error);
            return TRANSFER_FAILED;
        }
    };
    let signals = util::Signals::hold(&[libc::SIGHUP, libc::SIGINT, libc::SIGTERM]);
    let status = Arc::new(AtomicU8::new(0));
    let count = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&count);

    let numeric = options.look.numeric;
    let shows = !options.quiet && (numeric || options.force || io::stderr().is_terminal());
    let started = shows.then(|| Display::start(options.look(), count)).transpose();
    let clock = started.and_then(|display| {
        let display = display.map(|display| Arc::new(Mutex::new(display)));
        end_on(signals, display.clone(), Arc::clone(&status))?;
        Ok(display.map(|display| Clock { display, out: stdout.control() }))
    });
    let clock = match clock {
        Ok(clock) => clock,
        Err(error) => {
            tool.warn_error("no display", &error);
            return NO_DISPLAY;
        }
    };
    if clock.is_some() {
        // Dying of it on the spot would leave the shell's prompt at the end of our line.
        util::ignore_sigpipe();
    }

    let mut out = stdout.progress_writes(1, move |total| seen.store(total, Ordering::Relaxed));
    let mut meter = Meter::new(tool, options, clock.as_ref(), &status);
    let end = meter.pass_all(&mut out, identity);
    if let Some(clock) = &clock {
        clock.display().finish();
    }
    if end == End::ReaderGone {
        util::die_of_sigpipe();
    }
    status.load(Ordering::Relaxed)
}

/// Lets a signal end the process once the line is finished, whatever the copy waits for.
fn end_on(
    signals: util::Signals,
    display: Option<Arc<Mutex<Display>>>,
    status: Arc<AtomicU8>,
) -> io::Result<thread::JoinHandle<()>> {
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        signals.wait();
        status.fetch_or(SIGNALLED, Ordering::Relaxed);
        if let Some(display) = display {
            lock(&display).finish();
        }
        std::process::exit(status.load(Ordering::Relaxed).into());
    })
}

/// What it shows is as good after a panic as before.
fn lock(display: &Mutex<Display>) -> MutexGuard<'_, Display> {
    display.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The display, and the output, whose deadline has the copy come back for it.
struct Clock {
    display: Arc<Mutex<Display>>,
    out: Control,
}

impl Clock {
    fn display(&self) -> MutexGuard<'_, Display> {
        lock(&self.display)
    }
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
    clock: Option<&'a Clock>,
    copier: Copier,
    pace: Option<Pace>,
    /// What may still go, by --stop-at-size.
    left: u64,
    /// Taken from an input and not written yet.
    owed: Vec<u8>,
    status: &'a AtomicU8,
}

impl<'a> Meter<'a> {
    fn new(
        tool: &'a util::Tool,
        options: &'a Options,
        clock: Option<&'a Clock>,
        status: &'a AtomicU8,
    ) -> Self {
        let mut copier = Copier::new().grow_pipes(true).share_pages(true);
        if let Some(bytes) = options.buffer_size {
            copier = copier.buffer_size(bytes);
        }
        Self {
            tool,
            options,
            clock,
            copier,
            pace: options.rate_limit.map(|rate| Pace::new(rate, Instant::now())),
            left: options.stop_at.unwrap_or(u64::MAX),
            owed: Vec::new(),
            status,
        }
    }

    fn pass_all<K: Sink>(&mut self, out: &mut K, identity: Identity) -> End {
        let options = self.options;
        for name in &options.files {
            let (own, mut input) = match open(self.tool, name).and_then(stream) {
                Ok(opened) => opened,
                Err(error) => {
                    self.complain(NOT_OPENED, label(name), &util::reason(&error));
                    continue;
                }
            };
            // Reading what is written would never end.
            if identity.is_some() && own == identity {
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

    /// One input to its end: a single copy, or one for each beat of the display and each portion
    /// that the rate allows.
    fn pass<K: Sink>(
        &mut self,
        input: &mut Stream<Inherited>,
        out: &mut K,
    ) -> Result<(), Box<CopyError>> {
        loop {
            input.set_read_deadline(self.beat());
            if !self.owed.is_empty() {
                let owed = std::mem::take(&mut self.owed);
                let (taken, _) = self.copy(&mut &owed[..], out, u64::MAX)?;
                self.owed.extend_from_slice(&owed[taken as usize..]);
                continue;
            }
            if self.left == 0 {
                return Ok(());
            }
            let mut portion = self.left;
            if let Some(pace) = &mut self.pace {
                match pace.grant(Instant::now()) {
                    Ok(granted) => portion = portion.min(granted),
                    Err(wait) => {
                        self.sleep(wait);
                        continue;
                    }
                }
            }
            let (taken, ended) = self.copy(input, out, portion)?;
            if let Some(pace) = &mut self.pace {
                pace.spend(taken);
            }
            if self.options.stop_at.is_some() {
                self.left -= taken;
            }
            if ended {
                return Ok(());
            }
        }
    }

    /// Copies until the next beat at most: how much was taken, and whether that was all there is.
    fn copy<S: Source, K: Sink>(
        &mut self,
        source: &mut S,
        out: &mut K,
        limit: u64,
    ) -> Result<(u64, bool), Box<CopyError>> {
        match self.copier.clone().limit(limit).copy(source, out) {
            Ok(report) => Ok((report.taken(), report.taken() < limit)),
            // One with a number is the system's, as a network's may be, and a failure.
            Err(stopped)
                if stopped.kind() == ErrorKind::TimedOut
                    && stopped.source.raw_os_error().is_none() =>
            {
                let taken = stopped.taken;
                self.owed = stopped.into_pending();
                Ok((taken, false))
            }
            Err(failed) => Err(Box::new(failed)),
        }
    }

    /// Draws if it is time to; until when there is time for something else.
    fn beat(&self) -> Option<Instant> {
        let clock = self.clock?;
        let due = clock.display().beat();
        clock.out.set_write_deadline(Some(due));
        Some(due)
    }

    /// No longer than to the next beat.
    fn sleep(&self, wait: Duration) {
        let beat = self.beat().map(|due| due.saturating_duration_since(Instant::now()));
        thread::sleep(beat.map_or(wait, |beat| beat.min(wait)));
    }

    fn complain(&self, status: u8, what: String, reason: &str) {
        if let Some(clock) = self.clock {
            clock.display().erase();
        }
        self.tool.warn(format_args!("{what}: {reason}"));
        self.status.fetch_or(status, Ordering::Relaxed);
    }
}

fn open(tool: &util::Tool, name: &OsStr) -> io::Result<File> {
    if name == "-" { tool.stdin() } else { File::open(name) }
}

/// Which file it is, if it is a regular one.
type Identity = Option<(u64, u64)>;

/// The file as a stream, and which one it is.
fn stream(file: File) -> io::Result<(Identity, Stream<Inherited>)> {
    Ok((util::identity(&file), Stream::inherit(file.into())?))
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
