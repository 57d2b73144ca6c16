//! Copies between streams: no call of them blocks, and none of them spins.
#![cfg(target_os = "linux")]

#[path = "kit/mod.rs"]
mod kit;

use aqueduct::copy::Cancel;
use aqueduct::stream::Stream;
use aqueduct::{Copier, copy, is_cancelled};
use kit::{Waiting, Way, registered, tcp, terminal, unix};
use rustix::net::{SendFlags, send};
use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::process::Command;
use std::time::{Duration, Instant};

const CASE: &str = "AQUEDUCT_TEST_CASE";

const WAYS: [Way; 4] = [Way::Plain, Way::Local, Way::Tasks, Way::Across];

/// Runs the case of this name in a child under strace(1), and tells which calls it made that move
/// bytes or wait, one a line.
fn calls(case: &str) -> Option<String> {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let child = Command::new("strace")
        .args(["-f", "-e", "trace=splice,read,recvfrom,write,sendto,poll,ppoll,epoll_pwait"])
        .arg("-o")
        .arg(&log)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "a_case", "--nocapture"])
        .env(CASE, case)
        .output();
    let Ok(child) = child else {
        let required = std::env::var_os("AQUEDUCT_REQUIRE_TOOLS").is_some();
        assert!(!required, "strace is not installed");
        eprintln!("NOT RUN: strace is not installed, so no calls were counted");
        return None;
    };
    assert!(child.status.success(), "{case}: {}", String::from_utf8_lossy(&child.stderr));
    Some(std::fs::read_to_string(&log).unwrap())
}

#[test]
fn a_case() {
    let Ok(case) = std::env::var(CASE) else { return };
    let (what, way) = case.rsplit_once('-').unwrap();
    let way = WAYS.into_iter().find(|known| format!("{known:?}") == way).unwrap();
    let body: fn(Way) = match what {
        "urgent" => past_the_mark,
        "watch" => watch_a_half_closed_peer,
        "device" => watch_a_device,
        "slow-source" => |_| slow_source(None, &Copier::new()),
        "slow-source-deadline" => |_| slow_source(far_away(), &Copier::new()),
        "slow-source-watch" => |_| slow_source(None, &Copier::new().watch_outputs(true)),
        "slow-sink" => |_| slow_sink(None, &Copier::new()),
        "slow-sink-deadline" => |_| slow_sink(far_away(), &Copier::new()),
        "slow-sink-watch" => |_| slow_sink(None, &Copier::new().watch_outputs(true)),
        other => panic!("no case is called {other}"),
    };
    way.run(what, move || body(way));
}

/// The mark lies in the midst of what is there, and splice(2) answers EAGAIN there for ever.
fn past_the_mark(way: Way) {
    let (a, mut b) = tcp();
    let (c, d) = tcp();
    let mover = Waiting::start(way, 1, move || {
        let mut a = Stream::from_std(a).unwrap();
        copy(&mut a, &mut Stream::from_std(c).unwrap()).unwrap()
    });
    let mut d = Stream::from_std(d).unwrap();
    let mut buf = vec![0; 1000];
    for _ in 0..3 {
        b.write_all(&[1; 1000]).unwrap();
        send(&b, b"!", SendFlags::OOB).unwrap();
        d.read_exact(&mut buf).unwrap();
    }
    b.write_all(&[2; 1000]).unwrap();
    drop(b);
    d.read_to_end(&mut buf).unwrap();
    assert_eq!(buf.len(), 2000);
    assert_eq!(mover.join(), 4000);
}

/// Nothing comes, and the outlet can never be lost, nor watched.
fn watch_a_device(way: Way) {
    let (from, _feed) = io::pipe().unwrap();
    let mut from = Stream::from_std(from).unwrap();
    let mut to = Stream::from_std(File::create("/dev/full").unwrap()).unwrap();
    from.set_read_deadline(Some(Instant::now() + SPIN));
    let copier = Copier::new().watch_outputs(true);
    let late = Waiting::start(way, 1, move || copier.copy(&mut from, &mut to).unwrap_err());
    assert_eq!(late.join().kind(), ErrorKind::TimedOut);
}

/// Nothing comes, and the outlet's peer has ended but reads on: it is not lost.
fn watch_a_half_closed_peer(way: Way) {
    let (from, mut feed) = io::pipe().unwrap();
    let (to, peer) = tcp();
    peer.shutdown(Shutdown::Write).unwrap();
    let mut peer = Stream::from_std(peer).unwrap();
    let cancel = Cancel::new();
    let mover = {
        let cancel = cancel.clone();
        Waiting::start(way, 1, move || {
            let mut from = Stream::from_std(from).unwrap();
            let mut to = Stream::from_std(to).unwrap();
            Copier::new().watch_outputs(true).cancel(&cancel).copy(&mut from, &mut to).unwrap_err()
        })
    };
    feed.write_all(b"news").unwrap();
    peer.read_exact(&mut [0; 4]).unwrap();
    let mover = mover.asleep();
    let (never, _keep) = io::pipe().unwrap();
    let mut timer = Stream::from_std(never).unwrap();
    timer.set_read_deadline(Some(Instant::now() + SPIN));
    assert_eq!(timer.read(&mut [0]).unwrap_err().kind(), ErrorKind::TimedOut);
    cancel.cancel();
    assert!(is_cancelled(&mover.join().source));
}

/// Time for a copy to spin, if it does: that is thousands of calls, though each is traced.
const SPIN: Duration = Duration::from_millis(300);

const ROUNDS: usize = 100;

fn far_away() -> Option<Instant> {
    Some(Instant::now() + Duration::from_secs(3600))
}

/// Copies from one pipe that the program was given to another, each with that deadline.
fn between_pipes(
    (deadline, copier): (Option<Instant>, &Copier),
    from: io::PipeReader,
    to: io::PipeWriter,
) -> Waiting<Option<ErrorKind>> {
    let copier = copier.clone();
    Waiting::start(Way::Plain, 0, move || {
        let mut from = Stream::inherit(from.into()).unwrap();
        let mut to = Stream::inherit(to.into()).unwrap();
        from.set_read_deadline(deadline);
        to.set_write_deadline(deadline);
        copier.copy(&mut from, &mut to).err().map(|stopped| stopped.kind())
    })
}

/// A byte comes when the one before has arrived, and more is waited for.
fn slow_source(deadline: Option<Instant>, copier: &Copier) {
    let ((from, mut feed), (mut out, to)) = (io::pipe().unwrap(), io::pipe().unwrap());
    // So many go through memory first.
    let mut warm = vec![0; 1 << 16];
    feed.write_all(&warm).unwrap();
    let mut mover = between_pipes((deadline, copier), from, to);
    out.read_exact(&mut warm).unwrap();
    for _ in 0..ROUNDS {
        mover = mover.asleep();
        feed.write_all(&[1]).unwrap();
        out.read_exact(&mut [0]).unwrap();
    }
    drop(feed);
    assert_eq!(mover.join(), None);
}

/// The sink is full, but for a page now and then.
fn slow_sink(deadline: Option<Instant>, copier: &Copier) {
    let ((from, mut feed), (mut out, to)) = (io::pipe().unwrap(), io::pipe().unwrap());
    let mut mover = between_pipes((deadline, copier), from, to);
    let feeder = Waiting::start(Way::Plain, 0, move || while feed.write_all(&[1; 4096]).is_ok() {});
    let mut page = [0; 4096];
    for _ in 0..ROUNDS {
        mover = mover.asleep();
        out.read_exact(&mut page).unwrap();
    }
    drop(out);
    assert_eq!(mover.join(), Some(ErrorKind::BrokenPipe));
    feeder.join();
}

/// A splice that blocks is the whole of a wait. Else one fails, the slow side is awaited, and one
/// goes on.
#[test]
fn a_stall_costs_no_call_where_nobody_could_end_it_and_two_elsewhere() {
    for (case, polls) in [
        ("slow-source", 0),
        ("slow-sink", 0),
        ("slow-source-deadline", 1),
        ("slow-source-watch", 1),
        ("slow-sink-deadline", 1),
        ("slow-sink-watch", 1),
    ] {
        let Some(calls) = calls(&format!("{case}-Plain")) else { return };
        let count = |call: &str| calls.lines().filter(|line| line.contains(call)).count();
        let (splices, asked) = (count(" splice("), count("poll("));
        let told = format!("{case}: {splices} splices, {asked} polls");
        // The start of a copy and of a process costs some as well, and not every round waits.
        let about = |n: usize| n * ROUNDS / 2..=n * ROUNDS + ROUNDS / 4;
        assert!(about(1 + polls).contains(&splices) && about(polls).contains(&asked), "{told}");
    }
}

#[test]
fn a_copy_passes_the_urgent_mark_in_few_calls() {
    for case in WAYS.map(|way| format!("urgent-{way:?}")) {
        let Some(calls) = calls(&case) else { return };
        let calls = calls.lines().count();
        assert!(calls < 1000, "{case}: {calls} calls");
    }
}

#[test]
fn a_copy_that_watches_what_is_not_lost_sleeps() {
    for what in ["watch", "device"] {
        for case in WAYS.map(|way| format!("{what}-{way:?}")) {
            let Some(calls) = calls(&case) else { return };
            let calls = calls.lines().count();
            // How long others take to see it sleep costs calls too.
            assert!(calls < 1000, "{case}: {calls} calls");
        }
    }
}

type Ends = (OwnedFd, OwnedFd);
type Make = fn() -> Ends;

/// What is read from, and what is written to, by kind: each with its other end.
fn sources() -> Vec<(&'static str, Make)> {
    vec![
        ("tcp", || {
            let (a, b) = tcp();
            (a.into(), b.into())
        }),
        ("unix", || {
            let (a, b) = unix();
            (a.into(), b.into())
        }),
        ("pipe", || {
            let (a, b) = io::pipe().unwrap();
            (a.into(), b.into())
        }),
        ("tty", || terminal(true)),
    ]
}

fn sinks() -> Vec<(&'static str, Make)> {
    let mut list = sources();
    list[2].1 = || {
        let (a, b) = io::pipe().unwrap();
        (b.into(), a.into())
    };
    list
}

fn soon() -> Option<Instant> {
    Some(Instant::now() + Duration::from_millis(5))
}

/// Runs `case` over every pair of kinds, in several ways.
fn over_all(what: &str, case: fn(Way, Ends, Ends) -> Result<(), String>) {
    for (from, source) in sources() {
        for (to, sink) in sinks() {
            for way in WAYS {
                let name = format!("{what}: {from} to {to}");
                way.run(&name.clone(), move || {
                    let result = case(way, source(), sink());
                    result.unwrap_or_else(|why| panic!("{name}, {way:?}: {why}"));
                });
            }
        }
    }
}

fn timed_out(error: &io::Error) -> Result<(), String> {
    if error.kind() == ErrorKind::TimedOut { Ok(()) } else { Err(error.to_string()) }
}

#[test]
fn a_copy_from_an_empty_source_ends_at_its_deadline() {
    over_all("empty", |_, (from, _feed), (to, _peer)| {
        let mut from = Stream::from_std(from).unwrap();
        let mut to = Stream::from_std(to).unwrap();
        let at = soon();
        from.set_read_deadline(at);
        timed_out(&copy(&mut from, &mut to).unwrap_err().source)?;
        if Some(Instant::now()) < at { Err("early".into()) } else { Ok(()) }
    });
}

#[test]
fn a_copy_to_a_full_sink_ends_at_its_deadline() {
    over_all("full", |_, (from, feed), (to, _peer)| {
        let mut from = Stream::from_std(from).unwrap();
        let mut to = Stream::from_std(to).unwrap();
        let mut feed = Stream::from_std(feed).unwrap();
        let feeder = feed.control();
        let feeding =
            Waiting::start(Way::Plain, 0, move || while feed.write(&[7; 1 << 16]).is_ok() {});
        let at = Instant::now() + Duration::from_millis(50);
        to.set_write_deadline(Some(at));
        let stopped = timed_out(&copy(&mut from, &mut to).unwrap_err().source);
        feeder.close();
        feeding.join();
        stopped?;
        if Instant::now() < at { Err("early".into()) } else { Ok(()) }
    });
}

#[test]
fn a_copy_to_a_half_closed_peer_goes_on_and_ends() {
    over_all("half closed", |way, (from, feed), (to, peer)| {
        let _ = rustix::net::shutdown(&peer, rustix::net::Shutdown::Write);
        let mut from = registered(way, Stream::from_std(from).unwrap());
        let mut to = Stream::from_std(to).unwrap();
        to.set_write_deadline(Some(Instant::now() + Duration::from_secs(20)));
        from.set_read_deadline(Some(Instant::now() + Duration::from_secs(20)));
        let mut feed = File::from(feed);
        feed.write_all(b"news").unwrap();
        let report = Copier::new().limit(4).copy(&mut from, &mut to).map_err(|e| e.to_string())?;
        let mut got = [0; 4];
        File::from(peer).read_exact(&mut got).unwrap();
        if report.copied() == 4 && &got == b"news" { Ok(()) } else { Err(format!("{got:?}")) }
    });
}

#[test]
fn a_copy_from_a_file_to_a_full_sink_ends_at_its_deadline() {
    for share in [false, true] {
        for (to, sink) in sinks() {
            for way in WAYS {
                way.run(&format!("file to {to}"), move || {
                    let mut file = tempfile::tempfile().unwrap();
                    file.write_all(&vec![7; 16 << 20]).unwrap();
                    file.rewind().unwrap();
                    let (near, _peer) = sink();
                    let mut near = Stream::from_std(near).unwrap();
                    near.set_write_deadline(Some(Instant::now() + Duration::from_millis(20)));
                    let copier = Copier::new().share_pages(share);
                    let error = copier.copy(&mut file, &mut near).unwrap_err();
                    assert_eq!(error.kind(), ErrorKind::TimedOut, "{to}: {error}");
                    // What is said to have been copied is gone from the file, and nothing else is.
                    assert_eq!(file.stream_position().unwrap(), error.taken, "{to}");
                });
            }
        }
    }
}

#[test]
fn a_close_from_elsewhere_ends_a_copy() {
    over_all("close", |way, (from, _feed), (to, _peer)| {
        let mut from = Stream::from_std(from).unwrap();
        let control = from.control();
        let mover = Waiting::start(way, 1, move || {
            let mut to = Stream::from_std(to).unwrap();
            copy(&mut from, &mut to).unwrap_err().kind()
        })
        .asleep();
        control.close();
        let kind = mover.join();
        if kind == ErrorKind::NotConnected { Ok(()) } else { Err(kind.to_string()) }
    });
}
