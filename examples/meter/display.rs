//! The display: what is drawn, and when.

use super::line::{Parts, State};
use super::pace::{Rates, between};
use aqueduct::stderr;
use aqueduct::stream::{Inherited, Stream};
use rustix::process::getpgrp;
use rustix::termios::{tcgetpgrp, tcgetwinsize};
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
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

/// The display, which is drawn whenever a beat has passed. It waits for nobody: what a terminal that
/// was stopped does not take is left out.
#[derive(Debug)]
pub(crate) struct Display {
    look: Look,
    count: Arc<AtomicU64>,
    state: State,
    rates: Rates,
    begun: Instant,
    due: Instant,
    screen: Screen,
}

impl Display {
    /// Draws what `count` says from now on.
    ///
    /// # Errors
    ///
    /// When standard error cannot be had.
    pub(crate) fn start(look: Look, count: Arc<AtomicU64>) -> io::Result<Self> {
        let begun = Instant::now();
        Ok(Self {
            rates: Rates::new(look.window),
            state: State { size: look.size, ..State::default() },
            due: begun + look.interval,
            screen: Screen { stderr: stderr()?, waits: false, drawn: 0, rest: Vec::new() },
            begun,
            look,
            count,
        })
    }

    /// Draws if it is time to, and says when that is next.
    pub(crate) fn beat(&mut self) -> Instant {
        let now = Instant::now();
        if self.due <= now {
            self.draw();
        }
        // Redraws keep to the beat that they began with; those that were missed are left out.
        while self.due <= now {
            self.due += self.look.interval;
        }
        self.due
    }

    /// Takes the line away: room for a message.
    pub(crate) fn erase(&mut self) {
        if self.screen.drawn > 0 {
            self.screen.redraw("");
            self.screen.put("\r");
        }
    }

    /// Draws for the last time and leaves the terminal on a fresh line. One that was stopped gets a
    /// second for it: it must not keep us from ending.
    pub(crate) fn finish(&mut self) {
        if std::mem::replace(&mut self.state.done, true) {
            return;
        }
        self.screen.stderr.set_write_deadline(Some(Instant::now() + Duration::from_secs(1)));
        self.screen.waits = true;
        self.draw();
        if self.screen.drawn > 0 {
            self.screen.put("\n");
        }
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
        if self.look.numeric {
            self.screen.put(&(self.look.parts.numbers(state) + "\n"));
        } else if in_foreground() {
            // One column stays free: some terminals begin a new line after the last.
            let width = self.look.width.unwrap_or_else(|| terminal_width().saturating_sub(1));
            self.screen.redraw(&self.look.parts.line(state, width));
        }
    }
}

/// Standard error. That it is broken is nothing that could be told to anybody.
#[derive(Debug)]
struct Screen {
    stderr: Stream<Inherited>,
    /// For room, until the deadline; else what finds none is left out.
    waits: bool,
    /// Columns of the line that stands there.
    drawn: usize,
    /// Of a text that was cut off.
    rest: Vec<u8>,
}

impl Screen {
    fn redraw(&mut self, line: &str) {
        if line.is_empty() && self.drawn == 0 {
            return;
        }
        let columns = line.chars().count();
        let blank = " ".repeat(self.drawn.saturating_sub(columns));
        if self.put(&format!("\r{line}{blank}")) {
            self.drawn = columns;
        }
    }

    /// Whether it was written, or has begun to be.
    fn put(&mut self, text: &str) -> bool {
        let before = self.rest.len();
        self.rest.extend_from_slice(text.as_bytes());
        let written = match self.waits {
            true => self.stderr.write(&self.rest),
            false => self.stderr.try_write(&self.rest),
        };
        let n = written.unwrap_or(0);
        if n <= before {
            self.rest.truncate(before);
        }
        self.rest.drain(..n);
        n > before
    }
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
