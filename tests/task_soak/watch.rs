//! What shows that nothing is lost: a pulse for every flow of control, and the level of all that a
//! process holds.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::str::FromStr;
use std::sync::atomic::{AtomicU16, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::thread;
use std::time::{Duration, Instant};

/// Who does not come on for so long has lost a wake.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Counts what one flow of control does, and says what that is.
#[derive(Debug)]
pub(crate) struct Pulse {
    steps: AtomicU64,
    doing: Mutex<&'static str>,
    /// The client's port of its connection.
    port: AtomicU16,
}

impl Pulse {
    pub(crate) fn beat(&self, doing: &'static str) {
        *self.doing.lock().unwrap() = doing;
        self.steps.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn connected(&self, port: u16) {
        self.port.store(port, Ordering::Relaxed);
    }

    pub(crate) fn text(&self) -> String {
        format!("{}; {}", self.doing.lock().unwrap(), system(self.port.load(Ordering::Relaxed)))
    }
}

/// What the system says of both ends of the connection: bytes that lie in a queue although somebody
/// waits for them tell of a lost wake, and retransmissions of a system that has other sorrows.
fn system(port: u16) -> String {
    let table = fs::read_to_string("/proc/net/tcp").unwrap_or_default();
    let port = format!(":{port:04X} ");
    let lines: Vec<_> = table.lines().filter(|line| line.contains(&port)).collect();
    lines.join("; ")
}

/// All that live in this process.
#[derive(Default)]
pub(crate) struct Ward {
    pulses: Mutex<HashMap<u64, Weak<Pulse>>>,
    next: AtomicU64,
    tasks: AtomicUsize,
}

impl Ward {
    pub(crate) fn pulse(&self) -> Arc<Pulse> {
        let (steps, port) = Default::default();
        let pulse = Arc::new(Pulse { steps, doing: Mutex::new("starts"), port });
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.pulses.lock().unwrap().insert(number, Arc::downgrade(&pulse));
        pulse
    }

    /// A task lives until the result is dropped.
    pub(crate) fn admit(self: &Arc<Self>) -> Alive {
        self.tasks.fetch_add(1, Ordering::Relaxed);
        Alive(Arc::clone(self))
    }

    pub(crate) fn tasks(&self) -> usize {
        self.tasks.load(Ordering::Acquire)
    }

    /// Ends the process if a pulse has stopped.
    pub(crate) fn watch(self: &Arc<Self>, who: &'static str) {
        let ward = Arc::clone(self);
        thread::spawn(move || {
            let mut seen = HashMap::new();
            loop {
                thread::sleep(Duration::from_millis(500));
                ward.round(who, &mut seen);
            }
        });
    }

    fn round(&self, who: &str, seen: &mut HashMap<u64, (u64, Instant)>) {
        let mut pulses = self.pulses.lock().unwrap();
        pulses.retain(|number, pulse| {
            let Some(pulse) = pulse.upgrade() else {
                seen.remove(number);
                return false;
            };
            let steps = pulse.steps.load(Ordering::Relaxed);
            let last = seen.entry(*number).or_insert_with(|| (steps, Instant::now()));
            if last.0 != steps {
                *last = (steps, Instant::now());
            } else if last.1.elapsed() > PATIENCE {
                wrong(&format!("{who} stands still, a wake was lost: {}", pulse.text()));
            }
            true
        });
    }

    /// Waits until so many tasks are left.
    pub(crate) fn settle(&self, tasks: usize) {
        let patience = Instant::now() + PATIENCE;
        while self.tasks() != tasks {
            if Instant::now() > patience {
                wrong(&format!("{} tasks live where {tasks} should", self.tasks()));
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

pub(crate) struct Alive(Arc<Ward>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.tasks.fetch_sub(1, Ordering::Release);
    }
}

/// Tasks cannot be joined any more, so this is the end.
pub(crate) fn wrong(what: &str) -> ! {
    eprintln!("wrong: {what}");
    std::process::abort();
}

/// Both ends of the four that `copy` keeps for the next time.
const PIPES: u64 = 8;

/// What a process holds when nobody is there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Level {
    descriptors: u64,
    /// Not among them: beyond those that were inherited.
    pipes: u64,
    /// In KiB, with the page tables.
    memory: u64,
}

impl Level {
    /// Before there is anything.
    pub(crate) fn inherited() -> Self {
        Self::now(&Self { descriptors: 0, pipes: 0, memory: 0 })
    }

    pub(crate) fn now(inherited: &Self) -> Self {
        give_back();
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let field = |name: &str| -> u64 {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.trim_start_matches(':').split_whitespace().next().unwrap().parse().unwrap()
        };
        let descriptors = || fs::read_dir("/proc/self/fd").unwrap();
        let is_pipe = |entry: io::Result<fs::DirEntry>| -> bool {
            let name = fs::read_link(entry.unwrap().path()).unwrap_or_default();
            name.to_string_lossy().starts_with("pipe:")
        };
        let pipes = descriptors().filter_map(|it| is_pipe(it).then_some(())).count();
        Self {
            descriptors: (descriptors().count() - pipes) as u64,
            pipes: pipes as u64 - inherited.pipes,
            memory: field("VmRSS") + field("VmPTE"),
        }
    }

    pub(crate) fn text(&self, who: &str) -> String {
        let Self { descriptors, pipes, memory } = self;
        format!("{who}: {descriptors} descriptors, {pipes} pipes, {memory} KiB")
    }

    /// Descriptors stay what they are, and memory what it was after the first tides, within what an
    /// allocator may do.
    pub(crate) fn check(levels: &[Self]) {
        let (first, later) = levels.split_at(levels.len() / 2);
        let most = first.iter().map(|level| level.memory).max().unwrap();
        for level in levels {
            assert_eq!(level.descriptors, levels[0].descriptors, "descriptors: {levels:?}");
            assert!(level.pipes <= PIPES, "pipes: {levels:?}");
        }
        for level in later {
            assert!(level.memory <= most + most / 10 + 1024, "memory: {levels:?}");
        }
    }
}

/// What the allocator keeps of the memory that was freed says nothing of who uses it.
fn give_back() {
    #[cfg(target_env = "gnu")]
    {
        #![expect(unsafe_code, reason = "std has no word for it")]
        // SAFETY: it touches nothing but what is free.
        unsafe { libc::malloc_trim(0) };
    }
}

impl FromStr for Level {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut numbers = text.split(|c: char| !c.is_ascii_digit()).filter(|n| !n.is_empty());
        let mut next = || numbers.next().unwrap_or("").parse();
        Ok(Self { descriptors: next()?, pipes: next()?, memory: next()? })
    }
}
