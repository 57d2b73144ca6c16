//! A program whose standard input and output are streams, on a terminal that another process shares
//! with it: the other one is this test. It reads and writes as before, and so blocks.
#![cfg(target_os = "linux")]

#[path = "kit/mod.rs"]
mod kit;

use aqueduct::stream::Rung;
use kit::{terminal, within};
use rustix::fs::{OFlags, fcntl_getfl};
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const PROGRAM: &str = "AQUEDUCT_TEST_TERMINAL";

/// The program. What it has to say to the test goes to standard error, which is a pipe.
#[test]
fn the_program() {
    let Ok(case) = std::env::var(PROGRAM) else { return };
    let (mut stdin, mut stdout) = (aqueduct::stdin().unwrap(), aqueduct::stdout().unwrap());
    let rungs = [&stdin, &stdout].map(|stream| stream.get_ref().rung());
    assert_eq!(rungs, [Rung::Reopened; 2]);
    stdin.set_read_deadline(Some(Instant::now() + Duration::from_millis(5)));
    assert_eq!(stdin.read(&mut [0]).unwrap_err().kind(), ErrorKind::TimedOut);
    stdin.set_read_deadline(None);
    tell(READY);
    match case.as_str() {
        "read" => read_to_the_end(&mut stdin, || tell(GOT)),
        "write" => stdout.write_all(&[OURS; MUCH]).unwrap(),
        _ => drop(aqueduct::copy(&mut stdin, &mut stdout)),
    }
}

const READY: u8 = b'R';
const GOT: u8 = b'G';
/// None of them is in what the test's harness prints.
const OURS: u8 = 1;
const THEIRS: u8 = 2;
const END: u8 = 3;
/// More than a terminal holds.
const MUCH: usize = 100_000;

fn tell(what: u8) {
    rustix::io::write(io::stderr(), &[what]).unwrap();
}

fn read_to_the_end(from: &mut impl Read, mut got: impl FnMut()) {
    let mut byte = [0];
    while byte[0] != END {
        // A description that was made non-blocking fails here.
        assert_eq!(from.read(&mut byte).unwrap(), 1);
        if byte[0] == OURS {
            got();
        }
    }
}

/// The program at work, the terminal that it shares with us, and the screen behind that.
struct Scene {
    program: Child,
    shared: File,
    flags: OFlags,
    screen: File,
}

impl Scene {
    fn start(case: &str) -> Self {
        let (screen, shared) = terminal(true);
        let flags = fcntl_getfl(&shared).unwrap();
        let ours = || Stdio::from(shared.try_clone().unwrap());
        let program = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "the_program", "--nocapture", "--quiet"])
            .env(PROGRAM, case)
            .stdin(ours())
            .stdout(ours())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut scene = Self { program, shared: shared.into(), flags, screen: screen.into() };
        scene.hear(READY);
        scene.check();
        scene
    }

    fn hear(&mut self, what: u8) {
        let mut heard = [0];
        self.program.stderr.as_mut().unwrap().read_exact(&mut heard).unwrap();
        assert_eq!(heard, [what]);
    }

    /// What the terminal's other users see of the description that they share.
    fn check(&self) {
        assert_eq!(fcntl_getfl(&self.shared).unwrap(), self.flags);
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        // It has ended already, unless the test has failed.
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

#[test]
fn two_that_read_share_what_is_typed() {
    within("two readers", || {
        let mut scene = Scene::start("read");
        let mut shared = scene.shared.try_clone().unwrap();
        let other = thread::spawn(move || {
            let mut got = 0;
            read_to_the_end(&mut shared, || got += 1);
            got
        });
        for _ in 0..1000 {
            scene.screen.write_all(&[OURS]).unwrap();
        }
        scene.check();
        // One for each of them.
        scene.screen.write_all(&[END]).unwrap();
        while !other.is_finished() && scene.program.try_wait().unwrap().is_none() {
            thread::yield_now();
        }
        scene.screen.write_all(&[END]).unwrap();
        let theirs = other.join().unwrap();
        let mut told = Vec::new();
        scene.program.stderr.as_mut().unwrap().read_to_end(&mut told).unwrap();
        assert!(scene.program.wait().unwrap().success());
        assert_eq!(told.iter().filter(|&&what| what == GOT).count() + theirs, 1000);
        scene.check();
    });
}

#[test]
fn two_that_write_wait_for_each_other() {
    within("two writers", || {
        let mut scene = Scene::start("write");
        let mut shared = scene.shared.try_clone().unwrap();
        // Where it does not block, this fails as soon as the terminal is full.
        let other = thread::spawn(move || shared.write_all(&[THEIRS; MUCH]).unwrap());
        let mut counts = [0; 2];
        let mut block = [0; 1000];
        while counts.iter().sum::<usize>() < 2 * MUCH {
            let n = scene.screen.read(&mut block).unwrap();
            for (count, byte) in counts.iter_mut().zip([OURS, THEIRS]) {
                *count += block[..n].iter().filter(|&&it| it == byte).count();
            }
            scene.check();
        }
        other.join().unwrap();
        assert_eq!(counts, [MUCH; 2]);
    });
}

#[test]
fn a_copy_from_the_terminal_to_itself_leaves_the_flags_alone() {
    within("a copy", || {
        let mut scene = Scene::start("copy");
        let mut screen = scene.screen.try_clone().unwrap();
        let typist = thread::spawn(move || screen.write_all(&[OURS; 2 * MUCH]).unwrap());
        let (mut got, mut block) = (0, [0; 1000]);
        while got < 2 * MUCH {
            let n = scene.screen.read(&mut block).unwrap();
            got += block[..n].iter().filter(|&&it| it == OURS).count();
            scene.check();
        }
        typist.join().unwrap();
    });
}
