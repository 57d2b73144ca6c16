//! meter: the beats of its display, which the copy comes back for, and what becomes of the bytes then.
#![cfg(target_os = "linux")]

mod kit;
mod tools;

use kit::within;
use rustix::process::Signal;
use rustix::termios::{Action, tcflow};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};
use tools::Place;
use tools::live::{Live, Terminal};

fn place() -> Place {
    let place = Place::new("meter");
    let data: Vec<u8> = (0..3_000_000_u32).map(|i| (i ^ (i >> 9)) as u8).collect();
    place.file("big", data);
    place
}

#[test]
fn the_line_goes_on_while_bytes_move_and_while_they_do_not() {
    let place = place();
    let mut terminal = Terminal::new();
    let mut command = place.command(&["-bp", "-i", "0.1"]);
    command.stdout(Stdio::piped()).stderr(terminal.stream());
    let mut meter = Live::start_as_told(command);
    let marker = |line: &str| line.find("<=>");
    meter.say(b"first");
    meter.hear(b"first");
    let first = terminal.until("   5  B [") + &terminal.until("]");
    let quiet = terminal.until("\r   5  B [") + &terminal.until("]");
    assert_eq!(marker(last(&quiet)), marker(last(&first)), "nothing moved");
    let mut before = marker(last(&quiet));
    for total in ["  11", "  17", "  23"] {
        meter.say(b"second");
        meter.hear(b"second");
        let line = terminal.until(&format!("\r{total}  B [")) + &terminal.until("]");
        assert!(marker(last(&line)) > before, "{line:?} after {before:?}");
        before = marker(last(&line));
    }
    assert_eq!(meter.end().0, 0);
    assert!(terminal.rest().ends_with("]\n"));
}

/// The line that was drawn last.
fn last(drawn: &str) -> &str {
    drawn.rsplit('\r').next().unwrap_or(drawn)
}

#[test]
fn the_line_goes_on_while_nobody_reads() {
    let place = place();
    let mut terminal = Terminal::new();
    let mut command = place.command(&["-b", "-i", "0.1", "/dev/zero"]);
    command.stdout(Stdio::piped()).stderr(terminal.stream());
    let mut meter = Live::start_as_told(command);
    // Once the pipe is full the number stays, and is drawn again and again.
    let mut line = terminal.until("B\r");
    for _ in 0..50 {
        let next = terminal.until("B\r");
        if next == line {
            drop(meter.child.stdout.take());
            assert_eq!(meter.status(), 141);
            assert!(terminal.rest().ends_with("B\n"));
            return;
        }
        line = next;
    }
    panic!("a pipe that nobody reads took bytes for ever: {line:?}");
}

/// The file `big` as a stream of that kind.
fn input(place: &Place, kind: &str) -> Stdio {
    let data = place.read("big");
    match kind {
        "file" => File::open(place.path().join("big")).unwrap().into(),
        "pipe" => {
            let (reader, mut writer) = io::pipe().unwrap();
            thread::spawn(move || writer.write_all(&data));
            reader.into()
        }
        _ => {
            let (near, mut far) = UnixStream::pair().unwrap();
            thread::spawn(move || far.write_all(&data));
            OwnedFd::from(near).into()
        }
    }
}

/// An output of that kind, and its reader.
fn output(kind: &str) -> (Stdio, Box<dyn Read>) {
    match kind {
        "pipe" => {
            let (reader, writer) = io::pipe().unwrap();
            (writer.into(), Box::new(reader))
        }
        _ => {
            let (near, far) = UnixStream::pair().unwrap();
            (OwnedFd::from(near).into(), Box::new(far))
        }
    }
}

#[test]
fn what_a_beat_finds_midway_is_neither_lost_nor_doubled() {
    for from in ["file", "pipe", "socket"] {
        for to in ["pipe", "socket"] {
            let name = format!("{from} to {to}");
            within(&name.clone(), move || stall(from, to, &["-b", "-i", "0.1"], &name));
        }
    }
    let limited = &["-b", "-i", "0.1", "-L", "50M"];
    within("at a rate", || stall("pipe", "pipe", limited, "at a rate"));
}

fn stall(from: &str, to: &str, options: &[&str], name: &str) {
    let place = place();
    let mut terminal = Terminal::new();
    let (output, mut reader) = output(to);
    let mut command = place.command(options);
    command.stdin(input(&place, from)).stdout(output).stderr(terminal.stream());
    let mut child = command.spawn().unwrap();
    drop(command);
    let mut got = Vec::new();
    for _ in 0..2 {
        // The output is full, and the number stays from one beat to the next.
        let mut line = terminal.until("B\r");
        while std::mem::replace(&mut line, terminal.until("B\r")) != line {}
        let mut part = vec![0; 70_000];
        reader.read_exact(&mut part).unwrap();
        got.extend(part);
    }
    reader.read_to_end(&mut got).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(got == place.read("big"), "{name}: {} bytes", got.len());
    assert!(terminal.rest().ends_with("\r2.86MiB\n"));
}

/// As one is on which Ctrl-S was typed.
#[test]
fn a_terminal_that_was_stopped_holds_up_neither_the_copy_nor_its_end() {
    for signal in [None, Some(Signal::TERM)] {
        within(&format!("{signal:?}"), move || stop_the_terminal(signal));
    }
}

fn stop_the_terminal(signal: Option<Signal>) {
    let place = place();
    let terminal = Terminal::new();
    tcflow(&terminal.inside, Action::OOff).unwrap();
    let mut command = place.command(&["-b", "-i", "0.1"]);
    command.stdout(Stdio::piped()).stderr(terminal.stream());
    let mut meter = Live::start_as_told(command);
    // Several beats come meanwhile.
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(300) {
        meter.say(b"more");
        meter.hear(b"more");
    }
    match signal {
        Some(signal) => meter.signal(signal),
        None => meter.stdin = None,
    }
    assert_eq!(meter.status(), if signal.is_some() { 32 } else { 0 });
    tcflow(&terminal.inside, Action::OOn).unwrap();
    assert_eq!(terminal.rest(), "", "what it did not take was left out");
}
