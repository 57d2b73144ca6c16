//! The report of a copy against the system calls that were made.
//!
//! For every pairing of a source and a sink the copy runs in a child of its own under strace(1),
//! which counts the bytes that each call has moved.
#![cfg(target_os = "linux")]

use aqueduct::copy::{Path, Report};
use aqueduct::source::{Sink, Source};
use aqueduct::{Copier, ReadExt};
use rustix::pty::OpenptFlags;
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::thread;

const LEN: u64 = 3 << 20;
const PAIRING: &str = "AQUEDUCT_TEST_PAIRING";

/// How the bytes that did not go through memory must have moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    CopyFileRange,
    Sendfile,
    /// One splice from end to end.
    Splice,
    /// Two: into a broker and out of it.
    Broker,
    /// tee into a pipe, then one splice that takes the bytes.
    Tee,
    /// tee into a broker, which is spliced out, then one splice that takes the bytes.
    TeeByBroker,
    ReadWrite,
}

/// Source, sink, whether `share_pages`, and the way.
const PAIRINGS: &[(&str, &str, bool, Way)] = &[
    ("file", "file", false, Way::CopyFileRange),
    ("file", "pipe", false, Way::ReadWrite),
    ("file", "pipe", true, Way::Splice),
    ("file", "socket", false, Way::ReadWrite),
    ("file", "socket", true, Way::Sendfile),
    ("file", "blocking-socket", true, Way::ReadWrite),
    ("file", "tty", true, Way::ReadWrite),
    ("file", "append", true, Way::ReadWrite),
    ("pipe", "file", false, Way::Splice),
    ("pipe", "pipe", false, Way::Splice),
    ("pipe", "socket", false, Way::Splice),
    ("pipe", "blocking-socket", false, Way::ReadWrite),
    ("pipe", "tty", false, Way::ReadWrite),
    ("pipe", "nonblocking-tty", false, Way::Splice),
    ("pipe", "append", false, Way::ReadWrite),
    ("pipe", "tee-pipe", false, Way::Tee),
    ("pipe", "tee-file", false, Way::TeeByBroker),
    ("socket", "file", false, Way::Broker),
    ("socket", "pipe", false, Way::Splice),
    ("socket", "socket", false, Way::Broker),
    ("socket", "blocking-socket", false, Way::ReadWrite),
    ("blocking-socket", "file", false, Way::ReadWrite),
    ("blocking-socket", "pipe", false, Way::ReadWrite),
    ("tty", "file", false, Way::ReadWrite),
    ("tty", "pipe", false, Way::ReadWrite),
];

#[test]
fn the_report_says_what_strace_saw() {
    if Command::new("strace").arg("-V").output().is_err() {
        let required = std::env::var_os("AQUEDUCT_REQUIRE_TOOLS").is_some();
        assert!(!required, "strace is not installed");
        eprintln!("NOT RUN: strace is not installed, so no report was held against it");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    for (number, (from, to, share, way)) in PAIRINGS.iter().enumerate() {
        let log = dir.path().join(number.to_string());
        let child = Command::new("strace")
            .args(["-f", "-s", "12", "-e"])
            .arg("trace=read,write,pwrite64,readv,writev,splice,tee,sendfile,copy_file_range,sendto,recvfrom")
            .arg("-o")
            .arg(&log)
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "one_pairing", "--nocapture"])
            .env(PAIRING, number.to_string())
            .output()
            .unwrap();
        let output = String::from_utf8_lossy(&child.stdout).into_owned();
        let name = format!("{from} -> {to}, share {share}");
        assert!(
            child.status.success(),
            "{name}: {output}{}",
            String::from_utf8_lossy(&child.stderr)
        );
        let told = output.lines().find_map(|line| line.split_once("REPORT ")).expect("a report").1;
        let told: Vec<u64> = told.split(' ').map(|n| n.parse().unwrap()).collect();
        let seen = calls(&std::fs::read_to_string(&log).unwrap());
        check(&name, *way, &told, &seen);
    }
}

/// `told` are the bytes by CopyFileRange, Sendfile, Splice, Tee and ReadWrite.
fn check(name: &str, way: Way, told: &[u64], seen: &BTreeMap<String, u64>) {
    let [range, sendfile, splice, tee, memory] = told[..] else { panic!("{name}: {told:?}") };
    let call = |name: &str| seen.get(name).copied().unwrap_or(0);
    let context = format!("{name}: told {told:?}, seen {seen:?}");
    assert_eq!(range + sendfile + splice + tee + memory, LEN, "{context}");
    assert_eq!(call("copy_file_range"), range, "{context}");
    assert_eq!(call("sendfile"), sendfile, "{context}");
    assert_eq!(call("tee"), tee, "{context}");
    // What a socket has no room for at the moment is read out of the broker and written.
    let rescued = if let Way::Broker = way { call("read") } else { 0 };
    assert!(rescued <= LEN / 4, "{context}");
    assert_eq!(call("read") + call("recvfrom") - rescued, memory, "{context}");
    let (kernel, splices) = match way {
        Way::CopyFileRange => (range, 0),
        Way::Sendfile => (sendfile, 0),
        Way::Splice => (splice, splice),
        Way::Broker => (splice, 2 * splice - rescued),
        Way::Tee => (tee, tee),
        Way::TeeByBroker => (tee, 2 * tee),
        Way::ReadWrite => (memory, 0),
    };
    assert_eq!(call("splice"), splices, "{context}");
    // Where both sides say that they are ready and yet nothing moves, a plain read comes between.
    assert!(kernel >= LEN / 2, "{way:?}, but {context}");
}

/// The bytes that each kind of call has moved, on the thread that copies, while it does.
fn calls(log: &str) -> BTreeMap<String, u64> {
    let mut seen = BTreeMap::new();
    let begin = log.lines().find(|line| line.contains("\"BEGIN")).expect("a first mark");
    let thread = begin.split_whitespace().next().expect("a thread");
    let own = log.lines().filter(|line| line.split_whitespace().next() == Some(thread));
    let copying = own.skip_while(|line| !line.contains("\"BEGIN")).skip(1);
    for line in copying.take_while(|line| !line.contains("\"END")) {
        let call = line[thread.len()..].trim_start();
        let call = call.strip_prefix("<... ").unwrap_or(call);
        let name = call.split(['(', ' ']).next().unwrap_or_default();
        let result = call.rsplit_once(" = ").and_then(|(_, n)| n.split(' ').next()?.parse().ok());
        *seen.entry(name.to_owned()).or_default() += result.unwrap_or(0);
    }
    seen
}

#[test]
fn one_pairing() {
    // The child of the test above.
    let Ok(number) = std::env::var(PAIRING) else { return };
    let (from, to, share, _) = PAIRINGS[number.parse::<usize>().unwrap()];
    let mut peers = Vec::new();
    let mut source = source(from, &mut peers);
    let (mut sink, tap) = sink(to, &mut peers);
    let copier = Copier::new().share_pages(share).wait(true).limit(LEN);
    let mut run = |source: &mut dyn Source| -> Report {
        rustix::io::write(io::stderr(), b"BEGIN").unwrap();
        let report = copier.copy(source, &mut sink);
        rustix::io::write(io::stderr(), b"END").unwrap();
        report.unwrap()
    };
    let report = match tap {
        Some(tap) => run(&mut source.tee(tap)),
        None => run(&mut source),
    };
    let paths = [Path::CopyFileRange, Path::Sendfile, Path::Splice, Path::Tee, Path::ReadWrite];
    let bytes: Vec<_> = paths.iter().map(|&path| report.bytes(path).to_string()).collect();
    println!("\nREPORT {}", bytes.join(" "));
    // The peers end with the process.
}

type Peers = Vec<thread::JoinHandle<()>>;

fn feed(mut writer: impl Write + Send + 'static, peers: &mut Peers) {
    peers.push(thread::spawn(move || {
        let block = vec![b'x'; 256 << 10];
        while writer.write_all(&block).is_ok() {}
    }));
}

fn drain(mut reader: impl Read + Send + 'static, peers: &mut Peers) {
    peers.push(thread::spawn(move || {
        let mut block = vec![0; 256 << 10];
        while reader.read(&mut block).is_ok_and(|n| n > 0) {}
    }));
}

fn terminal() -> (File, File, String) {
    let master = rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    rustix::pty::grantpt(&master).unwrap();
    rustix::pty::unlockpt(&master).unwrap();
    let name = rustix::pty::ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
    let slave = OpenOptions::new().read(true).write(true).open(&name).unwrap();
    let mut modes = rustix::termios::tcgetattr(&slave).unwrap();
    modes.make_raw();
    rustix::termios::tcsetattr(&slave, rustix::termios::OptionalActions::Now, &modes).unwrap();
    (master.into(), slave, name)
}

fn socket(nonblocking: bool) -> (UnixStream, UnixStream) {
    let (near, far) = UnixStream::pair().unwrap();
    near.set_nonblocking(nonblocking).unwrap();
    (near, far)
}

fn source(name: &str, peers: &mut Peers) -> Box<dyn Source> {
    match name {
        "file" => {
            let file = tempfile::tempfile().unwrap();
            file.set_len(LEN + 1).unwrap();
            Box::new(file)
        }
        "pipe" => {
            let (reader, writer) = io::pipe().unwrap();
            feed(writer, peers);
            Box::new(reader)
        }
        "socket" | "blocking-socket" => {
            let (near, far) = socket(name == "socket");
            feed(far, peers);
            Box::new(near)
        }
        "tty" => {
            let (master, slave, _) = terminal();
            feed(master, peers);
            Box::new(slave)
        }
        other => panic!("no source {other}"),
    }
}

fn sink(name: &str, peers: &mut Peers) -> (Box<dyn Sink>, Option<File>) {
    let pipe = |peers: &mut Peers| {
        let (reader, writer) = io::pipe().unwrap();
        drain(reader, peers);
        writer
    };
    let sink: Box<dyn Sink> = match name {
        "file" => Box::new(tempfile::tempfile().unwrap()),
        "append" => {
            let file = tempfile::NamedTempFile::new().unwrap();
            Box::new(OpenOptions::new().append(true).open(file.path()).unwrap())
        }
        "pipe" => Box::new(pipe(peers)),
        "socket" | "blocking-socket" => {
            let (near, far) = socket(name == "socket");
            drain(far, peers);
            Box::new(near)
        }
        "tty" | "nonblocking-tty" => {
            let (master, slave, path) = terminal();
            drain(master, peers);
            let flag = if name == "tty" { 0 } else { rustix::fs::OFlags::NONBLOCK.bits() };
            let again =
                OpenOptions::new().write(true).custom_flags(flag as i32).open(path).unwrap();
            drop(slave);
            Box::new(again)
        }
        "tee-pipe" | "tee-file" => Box::new(tempfile::tempfile().unwrap()),
        other => panic!("no sink {other}"),
    };
    let tap = match name {
        "tee-pipe" => Some(File::from(OwnedFd::from(pipe(peers)))),
        "tee-file" => Some(tempfile::tempfile().unwrap()),
        _ => None,
    };
    (sink, tap)
}
