//! Copies between descriptors that the program was given, whose descriptions block: whoever can end
//! such a copy does so at once, where it waits in the kernel too, and no flag is changed.
#![cfg(target_os = "linux")]

#[path = "kit/mod.rs"]
mod kit;

use aqueduct::adapters::MultiWriter;
use aqueduct::stream::{Control, Inherited, Stream};
use aqueduct::{Copier, CopyError, copy, task};
use kit::{Waiting, Way, noise, tcp, terminal, unix, within};
use rustix::fs::{OFlags, fcntl_getfl};
use rustix::net::sockopt::socket_type;
use rustix::net::{Shutdown, shutdown};
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// One end of a connection as a program is given it, and the other end.
struct Given {
    stream: Stream<Inherited>,
    /// Who shares the description.
    shared: OwnedFd,
    flags: OFlags,
    far: OwnedFd,
}

impl Given {
    fn new((near, far): (OwnedFd, OwnedFd)) -> Self {
        let flags = fcntl_getfl(&near).unwrap();
        assert!(!flags.contains(OFlags::NONBLOCK));
        let shared = near.try_clone().unwrap();
        Self { stream: Stream::inherit(near).unwrap(), shared, flags, far }
    }

    fn check_flags(&self) {
        assert_eq!(fcntl_getfl(&self.shared).unwrap(), self.flags, "the flags that others see");
    }
}

type Make = fn() -> (OwnedFd, OwnedFd);

const SOCKETS_AND_TTY: [(&str, Make); 3] = [
    ("tcp", || {
        let (near, far) = tcp();
        (near.into(), far.into())
    }),
    ("unix", || {
        let (near, far) = unix();
        (near.into(), far.into())
    }),
    ("tty", || {
        let (master, slave) = terminal(true);
        (slave, master)
    }),
];

fn sources() -> impl Iterator<Item = (&'static str, Make)> {
    let pipe: Make = || io::pipe().map(|(reader, writer)| (reader.into(), writer.into())).unwrap();
    SOCKETS_AND_TTY.into_iter().chain([("pipe", pipe)])
}

fn sinks() -> impl Iterator<Item = (&'static str, Make)> {
    let pipe: Make = || io::pipe().map(|(reader, writer)| (writer.into(), reader.into())).unwrap();
    SOCKETS_AND_TTY.into_iter().chain([("pipe", pipe)])
}

/// Runs `case` over every pair of kinds, on threads of both kinds and on tasks.
fn over_all(what: &str, case: fn(Given, Given, &str)) {
    for (from, source) in sources() {
        for (to, sink) in sinks() {
            for way in [Way::Plain, Way::Local, Way::Tasks] {
                let name = format!("{what}: {from} to {to}");
                way.run(&name.clone(), move || {
                    case(Given::new(source()), Given::new(sink()), &format!("{name}, {way:?}"));
                });
            }
        }
    }
}

/// A peer at work, until it is told to end.
struct Peer<T> {
    work: Waiting<T>,
    control: Control,
}

impl<T: Send + 'static> Peer<T> {
    fn start(far: &OwnedFd, work: impl FnOnce(Stream<OwnedFd>) -> T + Send + 'static) -> Self {
        let far = Stream::from_std(far.try_clone().unwrap()).unwrap();
        let control = far.control();
        Self { work: Waiting::start(Way::Plain, 0, move || work(far)), control }
    }

    fn end(self) -> T {
        self.control.close();
        self.work.join()
    }
}

/// More than goes through memory before the kernel's way is taken.
const SOME: usize = 100_000;

/// Writes so much and no more.
fn feed(far: &OwnedFd) -> Peer<io::Result<()>> {
    Peer::start(far, |mut far| far.write_all(&noise(SOME, 1)))
}

fn feed_for_ever(far: &OwnedFd) -> Peer<()> {
    Peer::start(far, |mut far| while far.write_all(&[7; 1 << 16]).is_ok() {})
}

/// Reads until the near end is gone: how a terminal tells that is an error.
fn drain(far: &OwnedFd) -> Peer<Vec<u8>> {
    Peer::start(far, |mut far| {
        let mut all = Vec::new();
        let _ = far.read_to_end(&mut all);
        all
    })
}

fn timed_out(stopped: &CopyError, name: &str) {
    assert_eq!(stopped.kind(), ErrorKind::TimedOut, "{name}: {stopped}");
}

/// With ever more patience, until it ends for lack of bytes and not of time.
fn from_a_silent_source(
    mut from: Given,
    mut to: Given,
    name: &str,
    limit: fn(&Stream<Inherited>, Duration),
) {
    let (feeder, drainer) = (feed(&from.far), drain(&to.far));
    let mut copied = 0;
    for patience in [5, 50, 500, 5_000, 30_000].map(Duration::from_millis) {
        let start = Instant::now();
        limit(&from.stream, patience);
        let stopped = copy(&mut from.stream, &mut to.stream).unwrap_err();
        timed_out(&stopped, name);
        assert!(start.elapsed() >= patience, "{name}: early");
        from.check_flags();
        to.check_flags();
        assert_eq!(stopped.copied, stopped.taken, "{name}: the sink is never full for long");
        copied += stopped.copied;
        if copied == SOME as u64 {
            break;
        }
    }
    feeder.work.join().unwrap();
    drop(to.stream);
    drop(to.shared);
    assert!(drainer.work.join() == noise(SOME, 1), "{name}: {copied} bytes");
}

#[test]
fn a_silent_source_ends_it_at_the_deadline() {
    over_all("deadline", |from, to, name| {
        from_a_silent_source(from, to, name, |stream, patience| {
            stream.set_read_deadline(Some(Instant::now() + patience));
        });
    });
}

#[test]
fn a_silent_source_ends_it_after_the_timeout() {
    over_all("timeout", |from, to, name| {
        from_a_silent_source(from, to, name, |stream, patience| {
            stream.set_read_timeout(Some(patience));
        });
    });
}

#[test]
fn a_full_sink_ends_it_at_the_deadline() {
    over_all("full", |mut from, mut to, name| {
        let feeder = feed_for_ever(&from.far);
        let at = Instant::now() + Duration::from_millis(30);
        to.stream.set_write_deadline(Some(at));
        let stopped = copy(&mut from.stream, &mut to.stream).unwrap_err();
        timed_out(&stopped, name);
        assert!(Instant::now() >= at, "{name}: early");
        from.check_flags();
        to.check_flags();
        feeder.end();
    });
}

/// A socket whose peer has stopped sending has hung up, as poll(2) and epoll(7) have it: that makes
/// no room in it.
#[test]
fn a_full_sink_whose_peer_sends_no_more_ends_it_at_the_deadline() {
    over_all("half-closed sink", |mut from, mut to, name| {
        // Others cannot be closed by half.
        if shutdown(&to.far, Shutdown::Write).is_err() {
            return;
        }
        let feeder = feed_for_ever(&from.far);
        let at = Instant::now() + Duration::from_millis(30);
        to.stream.set_write_deadline(Some(at));
        let stopped = copy(&mut from.stream, &mut to.stream).unwrap_err();
        timed_out(&stopped, name);
        assert!(Instant::now() >= at, "{name}: early");
        from.check_flags();
        to.check_flags();
        feeder.end();
    });
}

/// Nor do bytes come from a peer that only reads no more.
#[test]
fn a_silent_source_whose_peer_reads_no_more_ends_it_at_the_deadline() {
    over_all("half-closed source", |mut from, mut to, name| {
        if shutdown(&from.far, Shutdown::Read).is_err() {
            return;
        }
        let at = Instant::now() + Duration::from_millis(30);
        from.stream.set_read_deadline(Some(at));
        let stopped = copy(&mut from.stream, &mut to.stream).unwrap_err();
        timed_out(&stopped, name);
        assert!(Instant::now() >= at, "{name}: early");
        from.check_flags();
        to.check_flags();
    });
}

/// The end of one direction is the end of the copy, before its deadline.
#[test]
fn a_source_that_is_closed_by_half_ends_it_well() {
    over_all("half-closed", |mut from, mut to, name| {
        if socket_type(&from.far).is_err() {
            return;
        }
        let feeder = Peer::start(&from.far, |mut far| {
            far.write_all(&noise(SOME, 1))?;
            Ok(shutdown(far, Shutdown::Write)?)
        });
        let drainer = drain(&to.far);
        from.stream.set_read_deadline(Some(Instant::now() + kit::PATIENCE));
        assert_eq!(copy(&mut from.stream, &mut to.stream).unwrap(), SOME as u64, "{name}");
        from.check_flags();
        to.check_flags();
        io::Result::unwrap(feeder.work.join());
        drop((to.stream, to.shared));
        assert!(drainer.work.join() == noise(SOME, 1), "{name}");
    });
}

#[test]
fn a_close_from_elsewhere_ends_it() {
    over_all("close", |from, to, name| {
        let (feeder, drainer) = (feed(&from.far), drain(&to.far));
        let control = from.stream.control();
        let (mut near, mut out) = (from.stream, to.stream);
        let mover = Waiting::start(Way::Plain, 0, move || copy(&mut near, &mut out).unwrap_err());
        feeder.work.join().unwrap();
        let mover = mover.asleep();
        control.close();
        assert_eq!(mover.join().kind(), ErrorKind::NotConnected, "{name}");
        drop(to.shared);
        let got = drainer.work.join();
        assert!(got == noise(SOME, 1)[..got.len()], "{name}");
    });
}

#[test]
fn a_close_by_the_other_half_ends_it() {
    over_all("half", |from, mut to, name| {
        let (feeder, _drainer) = (feed(&from.far), drain(&to.far));
        let (mut half, other) = from.stream.split();
        let mover =
            Waiting::start(Way::Plain, 0, move || copy(&mut half, &mut to.stream).unwrap_err());
        feeder.work.join().unwrap();
        let mover = mover.asleep();
        other.close();
        assert_eq!(mover.join().kind(), ErrorKind::NotConnected, "{name}");
    });
}

#[test]
fn pages_of_a_file_do_not_hold_up_a_full_sink() {
    for share in [false, true] {
        for (to, sink) in sinks() {
            within(&format!("file to {to}, share {share}"), move || {
                let mut file = tempfile::tempfile().unwrap();
                file.write_all(&vec![7; 16 << 20]).unwrap();
                file.rewind().unwrap();
                let mut near = Given::new(sink());
                near.stream.set_write_deadline(Some(Instant::now() + Duration::from_millis(20)));
                let copier = Copier::new().share_pages(share);
                let stopped = copier.copy(&mut file, &mut near.stream).unwrap_err();
                timed_out(&stopped, to);
                assert_eq!(file.stream_position().unwrap(), stopped.taken, "{to}");
                near.check_flags();
            });
        }
    }
}

/// The pipe takes its share at once, and the other one's deadline is heard all the same.
#[test]
fn one_of_several_outlets_ends_it_at_its_deadline() {
    for (to, sink) in sinks() {
        within(&format!("several, {to}"), move || {
            let (reader, writer) = io::pipe().unwrap();
            let (side, out) = io::pipe().unwrap();
            let mut from = Given::new((reader.into(), writer.into()));
            let wide = Given::new((out.into(), side.into()));
            let full = Given::new(sink());
            let (feeder, drainer) = (feed_for_ever(&from.far), drain(&wide.far));
            full.stream.set_write_deadline(Some(Instant::now() + Duration::from_millis(30)));
            let mut all = MultiWriter::new(vec![wide.stream, full.stream]);
            let stopped = copy(&mut from.stream, &mut all).unwrap_err();
            timed_out(&stopped, to);
            assert_eq!(stopped.side, copy::Side::Sink(1), "{to}");
            assert_eq!(fcntl_getfl(&full.shared).unwrap(), full.flags, "{to}");
            feeder.end();
            drop((all, wide.shared));
            // A step that the second outlet cut short has reached the first one as a whole.
            assert_eq!(drainer.work.join().len() as u64, stopped.taken, "{to}");
        });
    }
}

/// Nobody can end it, so that it might block; but its worker has another task.
#[test]
fn a_copy_on_a_task_leaves_the_thread_to_others() {
    over_all("task", |from, to, name| {
        let (mut near, mut out) = (from.stream, to.stream);
        let [mut feed, mut drain] = [from.far, to.far].map(|far| Stream::from_std(far).unwrap());
        let runtime = task::Runtime::builder().workers(1).build().unwrap();
        let mover =
            runtime.spawn(move || Copier::new().limit(SOME as u64).copy(&mut near, &mut out));
        let peer = runtime.spawn(move || {
            let mut buf = [0; SOME / 20];
            for part in noise(SOME, 1).chunks(buf.len()) {
                feed.write_all(part)?;
                drain.read_exact(&mut buf)?;
                assert!(buf == part);
            }
            io::Result::Ok(())
        });
        peer.join().unwrap().unwrap();
        assert_eq!(mover.join().unwrap().unwrap().copied(), SOME as u64, "{name}");
    });
}
