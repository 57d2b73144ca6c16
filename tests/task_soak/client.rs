//! The client: in each of its places a task that opens connections, one after another.

use super::fate::{Fate, Header, Text, narrow, raise_limit};
use super::kit::Dice;
use super::serve::is_gone;
use super::server::ADDRESSES;
use super::watch::{Level, PATIENCE, Pulse, Ward, wrong};
use super::{number, obey};
use aqueduct::is_cancelled;
use aqueduct::net::TcpStream;
use aqueduct::task::{self, Runtime};
use rustix::net::sockopt::set_socket_linger;
use std::fmt::Debug;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A chunk fits into what the kernel holds of a connection, so that it can be sent before
/// anything is read.
const CHUNK: u64 = 4000;

pub(crate) fn main() {
    raise_limit();
    let inherited = Level::inherited();
    let builder = Runtime::builder().workers(2).stack_size(128 << 10).name("client");
    let runtime = builder.build().unwrap();
    let ward = Arc::<Ward>::default();
    ward.watch("client");
    let places = number("AQUEDUCT_SOAK_CONNECTIONS", 1);
    let seed = number("AQUEDUCT_SOAK_SEED", 1);
    let mut tide = 0;
    let settings = Settings {
        port: number("AQUEDUCT_SOAK_PORT", 0) as u16,
        // Longer where many share the processors, so that as much is done in all.
        thought: places / 5,
    };
    obey(|order| match order.split_once(' ') {
        Some(("go", length)) => {
            tide += 1;
            let until = Instant::now() + Duration::from_millis(length.parse().unwrap());
            let counts = Arc::<Counts>::default();
            let tasks = (0..places).map(|place| {
                let (alive, pulse, counts) = (ward.admit(), ward.pulse(), Arc::clone(&counts));
                runtime.spawn(move || {
                    let _alive = alive;
                    let mut dice = Dice::new(seed ^ (tide << 48) ^ (place << 16));
                    while Instant::now() < until {
                        visit(settings, &mut dice, &pulse, &counts);
                    }
                })
            });
            let tasks: Vec<_> = tasks.collect();
            tasks.into_iter().for_each(|task| task.join().unwrap());
            counts.text()
        }
        None if order == "level" => {
            ward.settle(0);
            Level::now(&inherited).text("client")
        }
        _ => String::from("ended"),
    });
    runtime.shutdown().expect("all tasks have ended");
}

#[derive(Clone, Copy)]
struct Settings {
    port: u16,
    /// How many milliseconds a thought takes, at most.
    thought: u64,
}

/// How many connections came to which end.
#[derive(Default)]
struct Counts([AtomicU64; Fate::ALL.len()]);

impl Counts {
    fn text(&self) -> String {
        let count = |fate: Fate| self.0[fate as usize].load(Ordering::Relaxed);
        let total: u64 = Fate::ALL.into_iter().map(count).sum();
        let each = Fate::ALL.map(|fate| format!("{fate:?} {}", count(fate)));
        format!("{total} connections: {}", each.join(", "))
    }
}

fn visit(settings: Settings, dice: &mut Dice, pulse: &Arc<Pulse>, counts: &Counts) {
    pulse.beat("connects");
    let host = 1 + dice.roll(ADDRESSES.into()) as u8;
    let address = (Ipv4Addr::new(127, 0, 0, host), settings.port);
    let peer = match TcpStream::connect_deadline(address, Some(Instant::now() + PATIENCE / 2)) {
        Ok(peer) => peer,
        // The ports of connections that have ended are kept for a while.
        Err(error) if error.kind() == ErrorKind::AddrNotAvailable => {
            return task::sleep(Duration::from_millis(50)).unwrap();
        }
        Err(error) => wrong(&format!("client: connect: {error}")),
    };
    narrow(&peer);
    pulse.connected(peer.local_addr().unwrap().port());
    let fate = match dice.roll(20) {
        0..6 => Fate::Echo,
        6..8 => Fate::Copy,
        other => Fate::ALL[other as usize % Fate::ALL.len()],
    };
    let seed = dice.roll(1 << 56);
    let said = Header { fate, seed }.send(&peer);
    said.unwrap_or_else(|error| wrong(&format!("client: {fate:?}: {error}")));
    let (out, back) = (Text::of(seed), Text::of(seed));
    let dice = Dice::new(dice.roll(1 << 60));
    let pulse = Arc::clone(pulse);
    Client { settings, peer, fate, seed, out, back, dice, pulse }.visit();
    counts.0[fate as usize].fetch_add(1, Ordering::Relaxed);
}

struct Client {
    settings: Settings,
    peer: TcpStream,
    fate: Fate,
    seed: u64,
    /// What is said, and what comes back.
    out: Text,
    back: Text,
    dice: Dice,
    pulse: Arc<Pulse>,
}

impl Client {
    fn visit(mut self) {
        match self.fate {
            Fate::Echo | Fate::Copy | Fate::Moved => self.all_comes_back(),
            Fate::Deaf => self.hears_no_more(),
            Fate::Stall => self.stalls(),
            Fate::Clog => self.clogs(),
            Fate::Reset => self.resets(),
            Fate::Abandon => self.abandons(),
            Fate::Cancel | Fate::Close | Fate::Panic => {
                self.round();
                self.rest();
            }
        }
    }

    fn wrong(&self, what: impl Debug) -> ! {
        wrong(&format!("client: {:?} {}: {what:?}; {}", self.fate, self.seed, self.pulse.text()))
    }

    fn must<T>(&self, result: io::Result<T>) -> T {
        result.unwrap_or_else(|error| self.wrong(error))
    }

    fn think(&mut self) {
        self.pulse.beat("thinks");
        let length = self.dice.roll(1 + self.settings.thought);
        let slept = task::sleep(Duration::from_millis(length));
        self.must(slept);
        let deadline = (self.dice.roll(2) == 0).then(|| Instant::now() + PATIENCE / 2);
        self.peer.set_deadline(deadline);
    }

    /// A chunk there and back.
    fn round(&mut self) {
        let chunk = self.out.next(1 + self.dice.roll(CHUNK) as usize);
        self.pulse.beat("writes");
        let written = self.peer.write_all(chunk);
        self.must(written);
        self.pulse.beat("reads what it wrote");
        let mut buf = [0; CHUNK as usize + 1];
        let buf = &mut buf[..chunk.len()];
        let read = self.peer.read_exact(buf);
        self.must(read);
        if !self.back.follows(buf) {
            self.wrong("something else came back");
        }
    }

    /// More than fits, there by one task and back by another.
    fn stream(&mut self) {
        let total = 1 + self.dice.roll(300_000) as usize;
        let (peer, pulse) = (&self.peer, &self.pulse);
        let (mut out, mut back, mut got) = (self.out, self.back, 0);
        let result = task::scope(|scope| {
            let writer = scope.spawn(|| {
                let mut left = total;
                while left > 0 {
                    let next = out.next(left);
                    left -= next.len();
                    let mut peer = peer;
                    peer.write_all(next)?;
                }
                Ok(out)
            });
            let (mut buf, mut peer) = ([0; 3000], peer);
            while got < total {
                pulse.beat("reads what another task writes");
                let n = peer.read(&mut buf[..3000.min(total - got)])?;
                if n == 0 || !back.follows(&buf[..n]) {
                    return Err(io::Error::other(format!("{n} other bytes after {got}")));
                }
                got += n;
            }
            writer.join()?
        });
        (self.out, self.back) = (self.must(result), back);
    }

    fn all_comes_back(mut self) {
        for _ in 0..self.dice.roll(5) {
            self.think();
            if self.dice.roll(4) == 0 { self.stream() } else { self.round() }
        }
        self.must(self.peer.shutdown(Shutdown::Write));
        self.pulse.beat("reads to the end");
        let more = self.peer.read(&mut [0]);
        if self.must(more) > 0 {
            self.wrong("more came back");
        }
    }

    fn hears_no_more(mut self) {
        if Dice::new(self.seed).roll(2) == 0 {
            self.round();
        }
        self.pulse.beat("reads to the end");
        let more = self.peer.read(&mut [0]);
        if self.must(more) > 0 {
            self.wrong("more came back");
        }
        for _ in 0..self.dice.roll(3) {
            self.think();
            let written = self.peer.write_all(self.out.next(CHUNK as usize));
            self.must(written);
        }
    }

    /// The server may have lost its patience before.
    fn stalls(mut self) {
        for _ in 0..self.dice.roll(3) {
            if self.peer.write_all(self.out.next(1 + self.dice.roll(CHUNK) as usize)).is_err() {
                break;
            }
            task::yield_now();
        }
        self.rest_is_text();
    }

    fn clogs(mut self) {
        self.pulse.beat("writes until it is left");
        loop {
            match self.peer.write_all(self.out.next(CHUNK as usize)) {
                Ok(()) => self.pulse.beat("writes until it is left"),
                Err(error) if is_gone(&error) => break,
                Err(error) => self.wrong(error),
            }
        }
        self.rest_is_text();
    }

    fn resets(mut self) {
        for _ in 0..self.dice.roll(3) {
            self.think();
            self.round();
        }
        if self.dice.roll(2) == 0 {
            let written = self.peer.write_all(self.out.next(CHUNK as usize));
            self.must(written);
        }
        set_socket_linger(&self.peer, Some(Duration::ZERO)).unwrap();
    }

    fn abandons(mut self) {
        let after = Duration::from_millis(self.dice.roll(20));
        let pulse = Arc::clone(&self.pulse);
        let child = task::spawn(move || {
            loop {
                let chunk = self.out.next(1 + self.dice.roll(CHUNK) as usize);
                let mut buf = [0; CHUNK as usize];
                let turn = self.peer.write_all(chunk).and_then(|()| self.peer.read(&mut buf));
                match turn {
                    Ok(n) if n > 0 && self.back.follows(&buf[..n]) => {}
                    Err(error) if is_cancelled(&error) => return,
                    other => self.wrong(other),
                }
                self.pulse.beat("is to be cancelled");
            }
        });
        pulse.beat("sleeps until it cancels");
        task::sleep(after).unwrap();
        child.cancel();
        pulse.beat("joins what was cancelled");
        match child.join() {
            Ok(()) => {}
            // It had not begun.
            Err(error) => assert!(is_cancelled(&io::Error::from(error))),
        }
    }

    /// Whatever comes until the server has gone.
    fn rest(mut self) {
        let mut buf = [0; CHUNK as usize];
        loop {
            self.pulse.beat("reads until it is left");
            match self.peer.read(&mut buf) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) if is_gone(&error) => return,
                Err(error) => self.wrong(error),
            }
        }
    }

    fn rest_is_text(mut self) {
        let mut buf = [0; CHUNK as usize];
        loop {
            self.pulse.beat("reads until it is left");
            match self.peer.read(&mut buf) {
                Ok(0) => return,
                Ok(n) if self.back.follows(&buf[..n]) => {}
                Ok(_) => self.wrong("something else came back"),
                Err(error) if is_gone(&error) => return,
                Err(error) => self.wrong(error),
            }
        }
    }
}
