//! Connections between two processes, a task for each at both ends, that do at random whatever
//! connections can do: `AQUEDUCT_SOAK_CONNECTIONS` at a time for `AQUEDUCT_SOAK_SECONDS`. Every wake
//! that is lost is found by a watchdog, and every byte by the client. In between all connections end,
//! and what both processes hold must be back at its level: tasks, descriptors, memory.
#![cfg(target_os = "linux")]

#[path = "../kit/mod.rs"]
mod kit;

mod client;
mod fate;
mod serve;
mod server;
mod watch;

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;
use watch::{Level, PATIENCE};

const ROLE: &str = "AQUEDUCT_TEST_ROLE";
/// What a child says to its parent, behind whatever the test harness has to say.
const MARK: &str = "soak: ";

fn number(name: &str, default: u64) -> u64 {
    env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

/// A child is this program, told by the environment what it is to be.
#[test]
fn a_role() {
    match env::var(ROLE).as_deref() {
        Ok("server") => server::main(),
        Ok("client") => client::main(),
        _ => {}
    }
}

/// Says a line to the parent.
fn tell(line: &str) {
    println!("{MARK}{line}");
}

/// Does what the parent orders and answers, until the order to end.
fn obey(mut answer: impl FnMut(&str) -> String) {
    for order in std::io::stdin().lines() {
        let order = order.unwrap();
        tell(&answer(&order));
        if order == "end" {
            return;
        }
    }
}

struct Process {
    child: Child,
    orders: ChildStdin,
    answers: Receiver<String>,
}

impl Process {
    fn start(role: &str, settings: &[(&str, String)]) -> Self {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "a_role", "--nocapture", "--test-threads=1"])
            .env(ROLE, role)
            .envs(settings.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (orders, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (tell, answers) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines() {
                let line = line.unwrap();
                if let Some((_, said)) = line.split_once(MARK) {
                    if tell.send(said.to_string()).is_err() {
                        return;
                    }
                }
            }
        });
        Self { child, orders, answers }
    }

    fn answer(&self, within: Duration) -> String {
        self.answers.recv_timeout(within).expect("the child has something to say")
    }

    fn ask(&mut self, order: &str, within: Duration) -> String {
        writeln!(self.orders, "{order}").expect("the child listens");
        self.answer(within)
    }

    fn end(mut self) {
        assert_eq!(self.ask("end", 2 * PATIENCE), "ended");
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended, unless this unwinds.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// As many tides as there are this many seconds, but so many at least: the first two find the level.
const TIDE: u64 = 60;
const TIDES: u64 = 4;

#[test]
fn no_wake_no_byte_and_nothing_else_is_lost_and_nothing_grows() {
    let seconds = number("AQUEDUCT_SOAK_SECONDS", 4);
    let connections = number("AQUEDUCT_SOAK_CONNECTIONS", 200);
    let seed = number("AQUEDUCT_SOAK_SEED", u64::from(std::process::id()));
    eprintln!("AQUEDUCT_SOAK_SEED={seed}");
    let tides = TIDES.max(seconds / TIDE);
    let settings = [("AQUEDUCT_SOAK_SEED", seed.to_string())];
    let mut server = Process::start("server", &settings);
    let port = server.answer(PATIENCE);
    let settings = [
        ("AQUEDUCT_SOAK_SEED", seed.to_string()),
        ("AQUEDUCT_SOAK_CONNECTIONS", connections.to_string()),
        ("AQUEDUCT_SOAK_PORT", port),
    ];
    let mut client = Process::start("client", &settings);

    let (mut servers, mut clients) = (Vec::new(), Vec::new());
    let length = 1000 * seconds / tides;
    for tide in 1..=tides {
        let report = client.ask(&format!("go {length}"), Duration::from_millis(length) + PATIENCE);
        for (process, levels) in [(&mut server, &mut servers), (&mut client, &mut clients)] {
            let level = process.ask("level", 2 * PATIENCE);
            eprintln!("tide {tide}: {level}");
            levels.push(level.parse::<Level>().unwrap());
        }
        eprintln!("tide {tide}: {report}");
    }
    Level::check(&servers);
    Level::check(&clients);
    client.end();
    server.end();
}
