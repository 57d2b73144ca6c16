//! The display: a thread of its own, so that neither a copy that blocks nor a terminal that was
//! stopped holds up the other.

use super::line::{Parts, State};
use super::pace::{Rates, between};
use rustix::process::getpgrp;
use rustix::termios::{tcgetpgrp, tcgetwinsize};
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// What to show, and how.
#[derive(Debug, Clone)]
pub(crate) struct Look {
    pub(crate) parts: Parts,
    pub(crate) size: Option<u64>,
    pub(crate) interval: Duration,
    /// What the average rate is taken over.
    pub(crate) window: Duration,
    /// Columns; `None` asks the terminal each time.
    pub(crate) width: Option<usize>,
    /// Lines of numbers, for a program.
    pub(crate) numeric: bool,
    /// Nothing before the first byte has moved.
    pub(crate) await_first: bool,
}

/// A display that is being drawn.
#[derive(Debug)]
pub(crate) struct Display {
    screen: Arc<Mutex<Screen>>,
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

/// Ends a display from another thread.
#[derive(Debug)]
pub(crate) struct Ender {
    stop: Sender<()>,
    /// Hangs up when the display has ended.
    ended: Receiver<()>,
}

impl Ender {
    /// Has the display drawn for the last time, if the terminal takes it: one that was stopped
    /// must not keep us from ending.
    pub(crate) fn end(self) {
        let _ = self.stop.send(());
        let _ = self.ended.recv_timeout(Duration::from_secs(1));
    }
}

impl Display {
    /// Draws what `count` says from now on.
    ///
    /// # Errors
    ///
    /// When the system starts no thread.
    pub(crate) fn start(look: Look, count: Arc<AtomicU64>) -> io::Result<(Self, Ender)> {
        let screen = Arc::new(Mutex::new(Screen::default()));
        let (stop, stopped) = channel();
        let (ends, ended) = channel();
        let painter = Painter {
            rates: Rates::new(look.window),
            state: State { size: look.size, ..State::default() },
            begun: Instant::now(),
            screen: Arc::clone(&screen),
            look,
            count,
        };
        let thread = thread::Builder::new().name("display".to_owned()).spawn(move || {
            let _ends: Sender<()> = ends;
            painter.run(&stopped);
        })?;
        let ender = Ender { stop: stop.clone(), ended };
        Ok((Self { screen, stop, thread }, ender))
    }

    /// Takes the line away, and draws none while the answer lives: room for a message.
    pub(crate) fn hush(&self) -> impl Sized + '_ {
        let mut screen = lock(&self.screen);
        screen.erase();
        screen
    }

    /// Draws for the last time and leaves the terminal on a fresh line.
    pub(crate) fn finish(self) {
        // It fails if a signal came before, and the line is finished.
        let _ = self.stop.send(());
        // Only a panic could make it fail, and that has been told on standard error.
        let _ = self.thread.join();
    }
}

struct Painter {
    look: Look,
    count: Arc<AtomicU64>,
    state: State,
    rates: Rates,
    begun: Instant,
    screen: Arc<Mutex<Screen>>,
}

impl Painter {
    fn run(mut self, stopped: &Receiver<()>) {
        let mut due = self.begun;
        loop {
            // Redraws keep to the beat that they began with; those that were missed are left out.
            let now = Instant::now();
            while due <= now {
                due += self.look.interval;
            }
            match stopped.recv_timeout(due - now) {
                Err(RecvTimeoutError::Timeout) => self.draw(),
                Ok(()) | Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.state.done = true;
        self.draw();
        lock(&self.screen).end();
    }

    fn draw(&mut self) {
        let total = self.count.load(Ordering::Relaxed);
        if total == 0 && self.look.await_first {
            self.begun = Instant::now();
            return;
        }
        let state = &mut self.state;
        state.beats += u64::from(total != state.total);
        state.total = total;
        state.elapsed = self.begun.elapsed();
        (state.rate, state.average) = self.rates.see(state.elapsed, total);
        if state.done {
            // The last line stays: it tells of the whole.
            state.rate = between((Duration::ZERO, 0), (state.elapsed, total));
            state.average = state.rate;
        }
        let mut screen = lock(&self.screen);
        if self.look.numeric {
            screen.print(&self.look.parts.numbers(state));
        } else if in_foreground() {
            // One column stays free: some terminals begin a new line after the last.
            let width = self.look.width.unwrap_or_else(|| terminal_width().saturating_sub(1));
            screen.redraw(&self.look.parts.line(state, width));
        }
    }
}

/// Standard error. That it is broken is nothing that could be told to anybody.
#[derive(Debug, Default)]
struct Screen {
    /// Columns of the line that stands there.
    drawn: usize,
}

impl Screen {
    fn redraw(&mut self, line: &str) {
        if line.is_empty() && self.drawn == 0 {
            return;
        }
        let columns = line.chars().count();
        let rest = " ".repeat(self.drawn.saturating_sub(columns));
        let _ = io::stderr().write_all(format!("\r{line}{rest}").as_bytes());
        self.drawn = columns;
    }

    fn erase(&mut self) {
        if self.drawn > 0 {
            self.redraw("");
            let _ = io::stderr().write_all(b"\r");
        }
    }

    fn print(&self, line: &str) {
        let _ = io::stderr().write_all(format!("{line}\n").as_bytes());
    }

    fn end(&mut self) {
        if self.drawn > 0 {
            let _ = io::stderr().write_all(b"\n");
            self.drawn = 0;
        }
    }
}

/// What is guarded is a number of columns: as good after a panic as before.
fn lock(screen: &Mutex<Screen>) -> MutexGuard<'_, Screen> {
    screen.lock().unwrap_or_else(PoisonError::into_inner)
}

fn terminal_width() -> usize {
    match tcgetwinsize(io::stderr()) {
        Ok(size) if size.ws_col > 0 => usize::from(size.ws_col),
        _ => 80,
    }
}

/// Whether the terminal is ours to write on; one that does not control us always is.
fn in_foreground() -> bool {
    tcgetpgrp(io::stderr()).map_or(true, |group| group == getpgrp())
}
