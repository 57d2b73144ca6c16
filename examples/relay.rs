//! relay: joins two ends, whatever they are, and passes bytes on in both directions.

#[path = "relay/address.rs"]
mod address;
#[path = "relay/child.rs"]
mod child;
#[path = "relay/end.rs"]
mod end;
#[path = "relay/listen.rs"]
mod listen;
#[path = "relay/open.rs"]
mod open;
#[path = "relay/pass.rs"]
mod pass;
mod util;

use address::{Address, Place};
use aqueduct::Copier;
use aqueduct::task::{self, Runtime};
use listen::Listener;
use pass::Outcome;
use std::ffi::OsString;
use std::fmt::Display;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use util::Tool;

/// As timeout(1) has it.
const TIMED_OUT: u8 = 124;

/// What a connection has on its two stacks fits into a page each; the rest is for names that must be
/// looked up, and is address space alone.
const STACK: usize = 64 << 10;

/// Bytes that go through memory hold so much of it while whoever gets them is slow.
const BUFFER: usize = 64 << 10;

/// What every connection is treated by.
struct Relay {
    tool: Tool,
    first: Address,
    second: Address,
    one_way: bool,
    forks: bool,
    idle: Option<Duration>,
    linger: Option<Duration>,
    verbose: bool,
    copier: Copier,
}

/// Whether bytes come from an end, and whether they go to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ways {
    from: bool,
    to: bool,
}

impl Ways {
    const BOTH: Self = Self { from: true, to: true };
    const FROM: Self = Self { from: true, to: false };
    const TO: Self = Self { from: false, to: true };
}

fn main() -> ExitCode {
    let tool = Tool::start("relay");
    let relay = Arc::new(Relay::new(tool));
    // Peers go away, and that must not end the others' connections.
    util::ignore_sigpipe();
    if let Err(error) = relay.tidy_up_on_signals() {
        relay.tool.warn_error("signals", &error);
        return relay.tool.status();
    }
    let workers = if relay.forks { 2 } else { 1 };
    let runtime = Runtime::builder().workers(workers).stack_size(STACK).name("relay");
    let outcome = runtime.run(|| if relay.forks { serve(&relay) } else { relay.once() });
    listen::remove_sockets();
    match outcome {
        Ok(Outcome::Ended) => relay.tool.status(),
        Ok(Outcome::Idle) => ExitCode::from(TIMED_OUT),
        Ok(Outcome::Failed) => ExitCode::FAILURE,
        Err(error) => {
            relay.tool.warn_error("no tasks", &error);
            relay.tool.status()
        }
    }
}

fn command() -> clap::Command {
    util::command("relay", "Passes bytes on between two ends, in both directions.")
        .arg(util::operands(
            "ADDR",
            "the two ends: -, tcp:HOST:PORT, tcp-listen:[HOST:]PORT[,fork], \
                unix:PATH, unix-listen:PATH[,fork], exec:COMMAND, file:PATH",
        ))
        .arg(util::option(
            't',
            "linger",
            "SEC",
            "once one direction has ended, give the other up after SEC seconds of silence",
        ))
        .arg(util::option('T', "timeout", "SEC", "end after SEC seconds of silence: status 124"))
        .arg(util::flag('u', "unidirectional", "pass bytes from the first end to the second only"))
        .arg(util::flag('v', "verbose", "say where it listens, and what went through"))
}

impl Relay {
    fn new(tool: Tool) -> Self {
        let matches = tool.arguments(command(), std::env::args_os());
        let operands: Vec<_> = matches.get_many::<OsString>("ADDR").into_iter().flatten().collect();
        let (first, second) = match operands[..] {
            [first, second] => (first, second),
            [] | [_] => tool.misused("two addresses are needed"),
            [_, _, extra, ..] => {
                tool.misused(format_args!("extra operand {}", util::quoted(extra)))
            }
        };
        let parse = |text| match Address::parse(text) {
            Ok(address) => address,
            Err(why) => tool.misused(format_args!("{}: {why}", util::quoted(text))),
        };
        let (first, second) = (parse(first), parse(second));
        if second.forks() {
            tool.misused("only the first address can fork");
        }
        let (idle, linger) = (tool.seconds(&matches, "timeout"), tool.seconds(&matches, "linger"));
        let mut copier = Copier::new().buffer_size(BUFFER).grow_pipes(true).share_pages(true);
        copier = idle.into_iter().fold(copier, Copier::idle_timeout);
        copier = linger.into_iter().fold(copier, Copier::linger);
        let one_way = matches.get_flag("unidirectional");
        let verbose = matches.get_flag("verbose");
        let forks = first.forks();
        Self { tool, first, second, one_way, forks, idle, linger, verbose, copier }
    }

    /// With `-v`, on standard error.
    fn says(&self, text: impl Display) {
        if self.verbose {
            self.tool.note(text);
        }
    }

    /// Signals end the process as ever, but for the socket files that it leaves.
    fn tidy_up_on_signals(&self) -> io::Result<()> {
        let makes_file = |address: &Address| matches!(address.place, Place::UnixListen { .. });
        if !makes_file(&self.first) && !makes_file(&self.second) {
            return Ok(());
        }
        let signals = util::Signals::hold(&[libc::SIGHUP, libc::SIGINT, libc::SIGTERM]);
        let thread = std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
            let signal = signals.wait();
            listen::remove_sockets();
            util::die_of(signal);
        });
        thread.map(drop)
    }

    fn ways(&self) -> [Ways; 2] {
        if self.one_way { [Ways::FROM, Ways::TO] } else { [Ways::BOTH; 2] }
    }

    /// One connection, and its end.
    fn once(&self) -> Outcome {
        match self.open(&self.first, self.ways()[0]) {
            Ok(first) => self.join(first, &self.first),
            Err(error) => self.not_opened(&self.first, &error),
        }
    }

    /// Opens the second end for an open first one, and passes on what comes.
    fn join(&self, first: end::End, name: &dyn Display) -> Outcome {
        match self.open(&self.second, self.ways()[1]) {
            Ok(second) => self.pass(first, name, second),
            Err(error) => {
                // Before the peer can know of it.
                let outcome = self.not_opened(&self.second, &error);
                first.abort().into_iter().for_each(child::Child::stop);
                outcome
            }
        }
    }

    fn not_opened(&self, address: &Address, error: &io::Error) -> Outcome {
        // The system's own patience is no business of ours.
        if error.kind() == io::ErrorKind::TimedOut && error.raw_os_error().is_none() {
            return Outcome::Idle;
        }
        self.tool.warn_error(address, error);
        Outcome::Failed
    }
}

/// A task for each connection, until accepting fails.
fn serve(relay: &Arc<Relay>) -> Outcome {
    raise_descriptor_limit();
    let accepting = || {
        let listener = Listener::bind(&relay.first.place)?;
        relay.says(format_args!("listening at {}", listener.place()));
        loop {
            let (end, peer) = listener.accept()?;
            let relay = Arc::clone(relay);
            drop(task::spawn(move || match peer {
                Some(peer) => relay.join(end, &listen::peer(peer)),
                None => relay.join(end, &relay.first),
            }));
        }
    };
    let Err::<std::convert::Infallible, io::Error>(error) = accepting();
    relay.not_opened(&relay.first, &error)
}

/// Two descriptors a connection, and more while bytes are on their way: as many as may be had.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    // It stays as it is where that is not allowed.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}
