//! A connection at the server.

use super::fate::{Fate, Header};
use super::kit::Dice;
use super::server::{Order, What, World};
use super::watch::{PATIENCE, Pulse, wrong};
use aqueduct::net::TcpStream;
use aqueduct::task::{self, JoinError};
use aqueduct::{copy, is_cancelled};
use std::fmt::Debug;
use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(3600);
const BUFFER: usize = 4096;

struct Server<'a> {
    world: &'a Arc<World>,
    number: u64,
    peer: &'a TcpStream,
    fate: Fate,
    pulse: Arc<Pulse>,
    dice: Dice,
}

pub(crate) fn connection(world: &Arc<World>, number: u64, peer: TcpStream) {
    let pulse = world.ward.pulse();
    // A client that has reset the connection has no address any more.
    pulse.connected(peer.peer_addr().map_or(0, |address| address.port()));
    pulse.beat("reads the header");
    // A client that is quick to go takes back what it said.
    let Ok(Header { fate, seed }) = Header::receive(&peer) else { return };
    if fate == Fate::Copy {
        pulse.beat("copies");
        let (mut from, mut to) = peer.split();
        let copied = copy(&mut from, &mut to);
        copied.unwrap_or_else(|error| wrong(&format!("Copy: {error}")));
        return;
    }
    let dice = Dice::new(seed);
    Server { world, number, peer: &peer, fate, pulse, dice }.serve();
}

impl Server<'_> {
    fn serve(&mut self) {
        match self.fate {
            Fate::Echo => self.echo(),
            Fate::Copy => {}
            Fate::Moved => self.moved(),
            Fate::Deaf => self.deaf(),
            Fate::Stall => self.stall(),
            Fate::Clog => self.clog(),
            Fate::Reset | Fate::Abandon => self.left(),
            Fate::Cancel => self.cancelled(),
            Fate::Close => self.closed(),
            Fate::Panic => self.panics(),
        }
    }

    fn wrong(&self, what: impl Debug) -> ! {
        wrong(&format!("server: {:?}: {what:?}; {}", self.fate, self.pulse.text()))
    }

    /// Sends back what comes, once; whether something came.
    fn turn(&mut self) -> io::Result<bool> {
        let mut buf = [0; BUFFER];
        self.pulse.beat("reads");
        let n = self.peer.read(&mut buf)?;
        self.pulse.beat("writes");
        self.peer.write_all(&buf[..n])?;
        Ok(n > 0)
    }

    fn echo(&mut self) {
        loop {
            let deadline = (self.dice.roll(2) == 0).then(|| Instant::now() + PATIENCE);
            self.peer.set_deadline(deadline);
            match self.turn() {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => self.wrong(error),
            }
        }
    }

    fn moved(&mut self) {
        let orders = (0..=self.dice.roll(6)).map(|_| {
            let after = match self.dice.roll(4) {
                0 => None,
                1 => Some(Duration::ZERO),
                2 => Some(Duration::from_millis(self.dice.roll(20))),
                _ => Some(LONG),
            };
            Order { number: self.number, what: What::Deadline(after) }
        });
        let orders = orders.collect();
        self.world.order(orders, Dice::new(self.dice.roll(1 << 40)));
        let mut buf = [0; BUFFER];
        loop {
            let n = self.whatever_the_deadline("reads", |mut peer| peer.read(&mut buf));
            if n == 0 {
                return;
            }
            let mut done = 0;
            while done < n {
                done += self.whatever_the_deadline("writes", |mut peer| peer.write(&buf[done..n]));
            }
        }
    }

    fn whatever_the_deadline(
        &self,
        doing: &'static str,
        mut call: impl FnMut(&TcpStream) -> io::Result<usize>,
    ) -> usize {
        loop {
            self.pulse.beat(doing);
            match call(self.peer) {
                Ok(n) => return n,
                Err(error) if error.kind() == ErrorKind::TimedOut => self.peer.set_deadline(None),
                Err(error) => self.wrong(error),
            }
        }
    }

    fn deaf(&mut self) {
        if self.dice.roll(2) == 0 {
            self.turn().unwrap_or_else(|error| self.wrong(error));
        }
        self.peer.shutdown(Shutdown::Write).unwrap_or_else(|error| self.wrong(error));
        let mut buf = [0; BUFFER];
        loop {
            self.pulse.beat("reads to the end");
            match self.peer.read(&mut buf) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) => self.wrong(error),
            }
        }
    }

    fn stall(&mut self) {
        loop {
            let deadline = Instant::now() + Duration::from_millis(1 + self.dice.roll(100));
            self.peer.set_read_deadline(Some(deadline));
            match self.turn() {
                Ok(true) => {}
                Ok(false) => self.wrong("the end"),
                Err(error) if error.kind() != ErrorKind::TimedOut => self.wrong(error),
                Err(_) if Instant::now() < deadline => self.wrong("early"),
                Err(_) => return,
            }
        }
    }

    fn clog(&mut self) {
        let timeout = Duration::from_millis(1 + self.dice.roll(100));
        self.peer.set_write_timeout(Some(timeout));
        loop {
            match self.turn() {
                Ok(true) => {}
                Ok(false) => self.wrong("the end"),
                Err(error) if error.kind() == ErrorKind::TimedOut => return,
                Err(error) => self.wrong(error),
            }
        }
    }

    fn left(&mut self) {
        loop {
            match self.turn() {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) if is_gone(&error) => return,
                Err(error) => self.wrong(error),
            }
        }
    }

    fn cancelled(&mut self) {
        self.turn().unwrap_or_else(|error| self.wrong(error));
        if self.dice.roll(2) == 0 {
            let order = Order { number: self.number, what: What::Cancel };
            self.world.order(vec![order], Dice::new(self.dice.roll(1 << 40)));
        } else {
            self.world.join(self.number, true, |end| end.is_ok());
        }
        let which = self.dice.roll(8) as usize;
        let waits: [(&str, &dyn Fn() -> io::Result<()>); 8] = [
            ("reads until it is cancelled", &|| self.drain()),
            ("writes until it is cancelled", &|| self.flood()),
            ("sleeps until it is cancelled", &|| task::sleep(LONG)),
            ("polls until it is cancelled", &|| task::wait(std::future::pending())),
            ("reads a pipe until it is cancelled", &|| {
                aqueduct::pipe().0.read(&mut [0; 8]).map(drop)
            }),
            ("waits for a scope until it is cancelled", &|| self.scope()),
            ("joins until it is cancelled", &|| self.join()),
            ("yields until it is cancelled", &|| self.yields()),
        ];
        let (doing, wait) = waits[which];
        self.pulse.beat(doing);
        let error = wait();
        self.pulse.beat("reads, cancelled");
        let errors = [error, self.drain(), task::sleep(Duration::ZERO)];
        for (i, error) in errors.into_iter().enumerate() {
            if !error.as_ref().is_err_and(is_cancelled) {
                self.wrong((i, error));
            }
        }
    }

    fn closed(&mut self) {
        self.turn().unwrap_or_else(|error| self.wrong(error));
        let order = Order { number: self.number, what: What::Close };
        self.world.order(vec![order], Dice::new(self.dice.roll(1 << 40)));
        self.pulse.beat("waits to be closed");
        let error = match self.dice.roll(2) {
            0 => self.drain(),
            _ => self.flood(),
        };
        if !error.as_ref().is_err_and(|error| error.kind() == ErrorKind::NotConnected) {
            self.wrong(error);
        }
    }

    fn panics(&mut self) {
        self.turn().unwrap_or_else(|error| self.wrong(error));
        self.world.join(self.number, false, |end| matches!(end, Err(JoinError::Panicked(_))));
        let _waits = Waits;
        // Without a message.
        resume_unwind(Box::new("soak"));
    }

    /// Reads until it is ended.
    fn drain(&self) -> io::Result<()> {
        let mut peer = self.peer;
        while peer.read(&mut [0; BUFFER])? > 0 {}
        self.wrong("the end")
    }

    /// Writes until it is ended.
    fn flood(&self) -> io::Result<()> {
        let mut peer = self.peer;
        loop {
            peer.write_all(&[7; 3 * BUFFER])?;
        }
    }

    fn scope(&self) -> io::Result<()> {
        let calls: [&(dyn Fn() -> io::Result<()> + Sync); 3] =
            [&|| self.drain(), &|| task::sleep(LONG), &|| aqueduct::pipe().1.write(&[0]).map(drop)];
        let ends = task::scope(|scope| {
            let tasks = calls.map(|call| {
                let alive = self.world.ward.admit();
                scope.spawn(move || {
                    let _alive = alive;
                    let error = call().unwrap_err();
                    if !is_cancelled(&error) {
                        self.wrong(error);
                    }
                })
            });
            // These waits are cancelled; that for the end of the scope is not.
            tasks.map(|task| task.join())
        });
        let mut ends = ends.into_iter().filter_map(Result::err);
        if let Some(end) = ends.find(|end| !is_cancelled_join(end)) {
            self.wrong(end);
        }
        task::sleep(Duration::ZERO)
    }

    fn join(&self) -> io::Result<()> {
        let alive = self.world.ward.admit();
        let (mut reader, writer) = aqueduct::pipe();
        let child = task::spawn(move || {
            let _alive = alive;
            drop(reader.read(&mut [0]));
        });
        let end = child.join().unwrap_err();
        drop(writer);
        Err(end.into())
    }

    fn yields(&self) -> io::Result<()> {
        while !task::is_cancelled() {
            task::yield_now();
        }
        task::sleep(Duration::ZERO)
    }
}

/// Who unwinds does not wait.
struct Waits;

impl Drop for Waits {
    fn drop(&mut self) {
        assert!(thread::panicking());
        let slept = task::sleep(LONG);
        if !slept.as_ref().is_err_and(|error| error.kind() == ErrorKind::Deadlock) {
            wrong(&format!("waited while unwinding: {slept:?}"));
        }
        task::yield_now();
    }
}

fn is_cancelled_join(error: &JoinError) -> bool {
    matches!(error, JoinError::NotJoined(error) if is_cancelled(error))
}

pub(crate) fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
}
