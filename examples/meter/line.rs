//! What is shown: numbers in, text out.

use std::fmt::Write;
use std::time::Duration;

/// Which parts were asked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Parts {
    pub(crate) name: Option<String>,
    pub(crate) bytes: bool,
    pub(crate) timer: bool,
    pub(crate) rate: bool,
    pub(crate) average: bool,
    pub(crate) bar: bool,
    pub(crate) eta: bool,
}

/// How far the transfer has come.
#[derive(Debug, Clone, Default)]
pub(crate) struct State {
    pub(crate) total: u64,
    /// How many bytes there will be, where that is known.
    pub(crate) size: Option<u64>,
    pub(crate) elapsed: Duration,
    /// Bytes per second, of late and on average.
    pub(crate) rate: f64,
    pub(crate) average: f64,
    /// How often bytes were seen to have moved: the place of the marker when no size is known.
    pub(crate) beats: u64,
    pub(crate) done: bool,
}

impl Parts {
    /// The line for a person, at most `width` columns of it.
    pub(crate) fn line(&self, state: &State, width: usize) -> String {
        let mut head = Vec::new();
        if let Some(name) = &self.name {
            head.push(format!("{name}:"));
        }
        if self.bytes {
            head.push(amount(state.total as f64));
        }
        if self.timer {
            head.push(clock(state.elapsed));
        }
        if self.rate {
            head.push(format!("[{}/s]", amount(state.rate)));
        }
        if self.average {
            head.push(format!("[{}/s]", amount(state.average)));
        }
        let eta = self.eta.then(|| state.eta()).flatten();
        if self.bar {
            // At the end too there is room for the time left: the bar does not jump.
            let others = head.iter().chain(&eta).map(|part| part.chars().count() + 1).sum();
            head.push(state.bar(width.saturating_sub(others)));
        }
        head.extend(eta.filter(|_| !state.done));
        fitting(&head, width)
    }

    /// The line for a program: the percentage alone, unless time or bytes were asked for.
    pub(crate) fn numbers(&self, state: &State) -> String {
        let mut line = String::new();
        if self.timer {
            // Writing to a String cannot fail.
            let _ = write!(line, "{:.4} ", state.elapsed.as_secs_f64());
        }
        let number = if self.bytes { state.total } else { state.percent().unwrap_or(state.total) };
        line + &number.to_string()
    }
}

impl State {
    fn percent(&self) -> Option<u64> {
        let percent = u128::from(self.total) * 100 / u128::from(self.size.filter(|&s| s > 0)?);
        Some(u64::try_from(percent).unwrap_or(u64::MAX))
    }

    /// The bar with its brackets and, where the size is known, the percentage behind it, in
    /// `room` columns; without the bar where that would not leave three columns for it.
    fn bar(&self, room: usize) -> String {
        let Some(percent) = self.percent() else {
            let inner = room.saturating_sub(2);
            return if inner < 3 { String::new() } else { format!("[{}]", self.marker(inner)) };
        };
        let percent = format!("{percent:>2}%");
        // Room for three digits from the start: the bar does not jump.
        let inner = room.saturating_sub("[] ".len() + percent.len().max("100%".len()));
        if inner < 3 {
            return percent;
        }
        format!("[{}] {percent}", self.arrow(inner))
    }

    fn arrow(&self, inner: usize) -> String {
        let part = self.total as f64 / self.size.unwrap_or(0).max(1) as f64;
        // A float becomes an integer by saturation.
        let filled = ((part * inner as f64) as usize).min(inner);
        match filled == inner {
            true => "=".repeat(inner),
            false => format!("{:<inner$}", "=".repeat(filled) + ">"),
        }
    }

    fn marker(&self, inner: usize) -> String {
        const MARKER: &str = "<=>";
        let last = (inner - MARKER.len()) as u64;
        // There and back again.
        let at = self.beats % (2 * last).max(1);
        let at = at.min(2 * last - at) as usize;
        format!("{:<inner$}", " ".repeat(at) + MARKER)
    }

    fn eta(&self) -> Option<String> {
        let left = self.size?.saturating_sub(self.total) as f64;
        let wait = Duration::try_from_secs_f64(left / self.average).ok();
        // Nobody waits for a century; nothing moves.
        let wait = wait.filter(|wait| wait.as_secs() < 100 * 365 * 86400);
        Some(format!("ETA {}", wait.map_or_else(|| "-:--:--".to_owned(), clock)))
    }
}

/// The parts with a space between them; those that do not fit are left out, since half a number
/// is another number.
fn fitting(parts: &[String], width: usize) -> String {
    let (mut line, mut columns) = (String::new(), 0);
    for part in parts.iter().filter(|part| !part.is_empty()) {
        let gap = usize::from(columns > 0);
        let more = gap + part.chars().count();
        if columns + more <= width {
            columns += more;
            line += &" ".repeat(gap);
            line += part;
        }
    }
    line
}

/// `H:MM:SS`, with the days before it from the first day on.
fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    let (days, hours, minutes) = (seconds / 86400, seconds / 3600 % 24, seconds / 60 % 60);
    let rest = format!("{minutes:02}:{:02}", seconds % 60);
    if days > 0 { format!("{days}:{hours:02}:{rest}") } else { format!("{hours}:{rest}") }
}

/// Three digits and a unit, always seven columns wide.
fn amount(bytes: f64) -> String {
    const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let mut value = bytes;
    let mut unit = 0;
    // What rounds to a thousand needs a fourth digit.
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    let digits = match value {
        _ if unit == 0 => 0,
        v if v < 9.995 => 2,
        v if v < 99.95 => 1,
        _ => 0,
    };
    format!("{value:>4.digits$}{:>3}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Parts {
        let name = Some("disk".to_owned());
        Parts { name, bytes: true, timer: true, rate: true, average: false, bar: true, eta: true }
    }

    fn midway() -> State {
        State {
            total: 41 << 20,
            size: Some(100 << 20),
            elapsed: Duration::from_secs(5),
            rate: 251.0 * 1048576.0,
            average: 8.0 * 1048576.0,
            ..State::default()
        }
    }

    #[test]
    fn a_line_fills_its_width() {
        let line = all().line(&midway(), 80);
        assert_eq!(
            line,
            "disk: 41.0MiB 0:00:05 [ 251MiB/s] [===========>               ] 41% ETA 0:00:07"
        );
        for width in 60..300 {
            // Less one column, for the third digit of the percentage.
            assert_eq!(all().line(&midway(), width).len(), width - 1);
        }
    }

    #[test]
    fn the_bar_does_not_jump() {
        let end = |state| all().line(&state, 80).rfind(']');
        let at = end(midway());
        assert_eq!(end(State { total: 1 << 20, ..midway() }), at);
        assert_eq!(end(State { total: 100 << 20, ..midway() }), at);
        assert_eq!(end(State { total: 100 << 20, done: true, ..midway() }), at);
    }

    #[test]
    fn what_does_not_fit_is_left_out() {
        let line = |width| all().line(&midway(), width);
        assert_eq!(line(45), "disk: 41.0MiB 0:00:05 [ 251MiB/s] 41%");
        assert_eq!(line(40), "disk: 41.0MiB 0:00:05 [ 251MiB/s] 41%");
        assert_eq!(line(36), "disk: 41.0MiB 0:00:05 [ 251MiB/s]");
        assert_eq!(line(21), "disk: 41.0MiB 0:00:05");
        assert_eq!(line(20), "disk: 41.0MiB 41%");
        assert_eq!(line(2), "");
    }

    #[test]
    fn no_width_is_exceeded() {
        for width in 0..60 {
            assert!(all().line(&midway(), width).chars().count() <= width, "{width}");
            let unknown = State { size: None, ..midway() };
            assert!(all().line(&unknown, width).chars().count() <= width, "{width}");
        }
    }

    #[test]
    fn parts_stand_alone() {
        let only = |parts: Parts| parts.line(&midway(), 20);
        assert_eq!(only(Parts { bytes: true, ..Parts::default() }), "41.0MiB");
        assert_eq!(only(Parts { timer: true, ..Parts::default() }), "0:00:05");
        assert_eq!(only(Parts { rate: true, ..Parts::default() }), "[ 251MiB/s]");
        assert_eq!(only(Parts { average: true, ..Parts::default() }), "[8.00MiB/s]");
        assert_eq!(only(Parts { eta: true, ..Parts::default() }), "ETA 0:00:07");
        assert_eq!(only(Parts { bar: true, ..Parts::default() }), "[=====>       ] 41%");
    }

    #[test]
    fn the_bar_begins_empty_and_ends_full() {
        let at = |total| State { total, ..midway() }.bar(12);
        assert_eq!(at(0), "[>    ]  0%");
        assert_eq!(at((100 << 20) - 1), "[====>] 99%");
        assert_eq!(at(100 << 20), "[=====] 100%");
        assert_eq!(at(250 << 20), "[=====] 250%");
        assert_eq!(State::default().bar(4), "");
        assert_eq!(midway().bar(8), "41%");
    }

    #[test]
    fn the_marker_goes_there_and_back() {
        let at = |beats| State { beats, ..State::default() }.bar(8);
        let way: Vec<_> = (0..8).map(at).collect();
        let there = ["[<=>   ]", "[ <=>  ]", "[  <=> ]", "[   <=>]"];
        assert_eq!(
            way,
            [there[0], there[1], there[2], there[3], there[2], there[1], there[0], there[1]]
        );
        assert_eq!(State { beats: u64::MAX, ..State::default() }.bar(5), "[<=>]");
    }

    #[test]
    fn the_end_is_told_only_where_it_can_be() {
        let eta = Parts { eta: true, ..Parts::default() };
        let stalled = State { average: 0.0, ..midway() };
        assert_eq!(eta.line(&stalled, 80), "ETA -:--:--");
        assert_eq!(eta.line(&State { done: true, ..midway() }, 80), "");
        assert_eq!(eta.line(&State { size: None, ..midway() }, 80), "");
        let over = State { total: u64::MAX, average: 0.0, ..midway() };
        assert_eq!(eta.line(&over, 80), "ETA -:--:--");
    }

    #[test]
    fn amounts_keep_their_width() {
        for (bytes, text) in [
            (0.0, "   0  B"),
            (999.0, " 999  B"),
            (1000.0, "0.98KiB"),
            (1024.0, "1.00KiB"),
            (9.996 * 1024.0, "10.0KiB"),
            (99.96 * 1024.0, " 100KiB"),
            (999.6 * 1024.0, "0.98MiB"),
            (u64::MAX as f64, "16.0EiB"),
        ] {
            assert_eq!(amount(bytes), text, "{bytes}");
        }
    }

    #[test]
    fn clocks_count_days() {
        assert_eq!(clock(Duration::from_secs(3599)), "0:59:59");
        assert_eq!(clock(Duration::from_secs(86399)), "23:59:59");
        assert_eq!(clock(Duration::from_secs(86400 + 3723)), "1:01:02:03");
        assert!(!clock(Duration::MAX).is_empty());
    }

    #[test]
    fn programs_get_numbers() {
        let parts = Parts::default();
        assert_eq!(parts.numbers(&midway()), "41");
        assert_eq!(parts.numbers(&State { size: None, total: 77, ..midway() }), "77");
        assert_eq!(parts.numbers(&State { size: Some(0), total: 77, ..midway() }), "77");
        assert_eq!(Parts { timer: true, ..Parts::default() }.numbers(&midway()), "5.0000 41");
        assert_eq!(Parts { bytes: true, ..Parts::default() }.numbers(&midway()), "42991616");
    }
}
