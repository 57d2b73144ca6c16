//! Each rung of the ladder, forced.

use super::*;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

fn flags(fd: impl AsFd) -> rustix::fs::OFlags {
    rustix::fs::fcntl_getfl(fd).unwrap()
}

/// A terminal in raw mode: what is written to the first comes out of the second.
fn terminal() -> (File, OwnedFd) {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
    let slave = OpenOptions::new().read(true).write(true).open(name).unwrap();
    let mut modes = tcgetattr(&slave).unwrap();
    modes.make_raw();
    tcsetattr(&slave, OptionalActions::Now, &modes).unwrap();
    (master.into(), slave.into())
}

/// A descriptor to read from, another of the same description, and its other end.
fn given(what: &str) -> (OwnedFd, OwnedFd, File) {
    let (near, far): (OwnedFd, File) = match what {
        "pipe" => {
            let (reader, writer) = io::pipe().unwrap();
            (reader.into(), OwnedFd::from(writer).into())
        }
        "socket" => {
            let (near, far) = UnixStream::pair().unwrap();
            (near.into(), OwnedFd::from(far).into())
        }
        _ => {
            let (master, slave) = terminal();
            (slave, master)
        }
    };
    (near.try_clone().unwrap(), near, far)
}

fn on(rung: Rung, fd: OwnedFd) -> Stream<Inherited> {
    let manner = sys::manner(fd.as_fd()).unwrap();
    let private = rung.holds(&fd, manner).expect("the rung bears it");
    Stream::on(Inherited { given: fd, private, rung }, manner)
}

#[test]
fn on_every_rung_there_are_deadlines_and_close_and_no_flag_changes() {
    let rungs = [
        ("pipe", Rung::PerCall),
        ("pipe", Rung::Reopened),
        ("pipe", Rung::Asked),
        ("socket", Rung::Socket),
        ("socket", Rung::Asked),
        ("tty", Rung::Reopened),
        ("tty", Rung::Asked),
    ];
    for (what, rung) in rungs {
        let (fd, shared, mut far) = given(what);
        let before = flags(&shared);
        let mut stream = on(rung, fd);
        let soon = Instant::now() + Duration::from_millis(2);
        stream.set_read_deadline(Some(soon));
        let late = stream.read(&mut [0; 8]).unwrap_err();
        assert_eq!(late.kind(), ErrorKind::TimedOut, "{what} {rung:?}");
        assert!(Instant::now() >= soon);
        stream.set_read_deadline(None);

        far.write_all(b"news").unwrap();
        let mut buf = [0; 4];
        stream.read_exact(&mut buf).unwrap();
        assert_eq!(&buf, b"news", "{what} {rung:?}");

        let control = stream.control();
        let closer = thread::spawn(move || control.close());
        let closed = stream.read(&mut buf).unwrap_err();
        assert_eq!(closed.kind(), ErrorKind::NotConnected, "{what} {rung:?}");
        closer.join().unwrap();
        assert_eq!(flags(&shared), before, "{what} {rung:?}");
    }
}

#[test]
fn on_every_rung_a_full_pipe_times_out_and_what_was_written_arrives_once() {
    let block: Vec<u8> = (0..1 << 20).map(|i| (i % 251) as u8).collect();
    for rung in [Rung::PerCall, Rung::Reopened, Rung::Asked] {
        let (reader, writer) = io::pipe().unwrap();
        let before = flags(&writer);
        let mut stream = on(rung, writer.try_clone().unwrap().into());
        stream.set_write_deadline(Some(Instant::now() + Duration::from_millis(50)));
        let written = stream.write(&block).unwrap();
        assert!(0 < written && written < block.len(), "{rung:?}: {written}");
        let full = stream.write(&block).unwrap_err();
        assert_eq!(full.kind(), ErrorKind::TimedOut, "{rung:?}");
        assert_eq!(flags(&writer), before);
        drop((stream, writer));
        let mut got = Vec::new();
        (&reader).read_to_end(&mut got).unwrap();
        assert_eq!(got, block[..written], "{rung:?}");
    }
}

#[test]
fn each_kind_of_descriptor_gets_the_best_rung() {
    let (pipe, socket, tty) = (given("pipe"), given("socket"), given("tty"));
    let file = OwnedFd::from(tempfile::tempfile().unwrap());
    let device = |name| OwnedFd::from(OpenOptions::new().write(true).open(name).unwrap());
    let (master, _slave) = terminal();
    let best = |fd: OwnedFd| Stream::inherit(fd).unwrap().get_ref().rung();
    assert_eq!(best(pipe.0), Rung::Reopened);
    assert_eq!(best(socket.0), Rung::Socket);
    assert_eq!(best(tty.0), Rung::Reopened);
    assert_eq!(best(file), Rung::AlwaysReady);
    assert_eq!(best(device("/dev/null")), Rung::AlwaysReady);
    assert_eq!(best(device("/dev/full")), Rung::AlwaysReady);
    assert_eq!(best(OwnedFd::from(master)), Rung::Asked);
}

/// Opened anew, it would be the master of another terminal.
#[test]
fn the_master_of_a_terminal_is_used_as_it_is() {
    within(|| {
        let (master, slave) = terminal();
        let (mut stream, mut slave) = (Stream::inherit(master.into()).unwrap(), File::from(slave));
        let mut buf = [0; 3];
        slave.write_all(b"out").unwrap();
        stream.read_exact(&mut buf).unwrap();
        stream.write_all(b"in!").unwrap();
        slave.read_exact(&mut buf).unwrap();
        assert_eq!(&buf, b"in!");
    });
}

/// A shell that reads a line and writes more than a terminal holds, all on the shared description;
/// where it does not block, both programs fail.
#[test]
fn a_second_process_on_the_same_terminal_blocks_as_before_on_every_rung() {
    for rung in [Rung::Reopened, Rung::Asked] {
        within(move || beside_a_second_process(rung));
    }
}

fn beside_a_second_process(rung: Rung) {
    const MUCH: usize = 200_000;
    let (mut screen, slave) = terminal();
    let before = flags(&slave);
    let check = || assert_eq!(flags(&slave), before, "{rung:?}");
    let ours = || slave.try_clone().unwrap();
    let script = format!("read line && echo \"got $line\" && head -c {MUCH} /dev/zero");
    let mut command = Command::new("sh");
    command.args(["-c", &script]).stdin(ours()).stdout(ours()).stderr(Stdio::inherit());
    let mut other = command.spawn().unwrap();
    drop(command);
    let stream = on(rung, ours());
    check();

    until_asleep(other.id());
    assert_eq!(stream.try_read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::WouldBlock);
    stream.set_read_deadline(Some(Instant::now() + Duration::from_millis(2)));
    assert_eq!({ &stream }.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::TimedOut);
    check();
    { &stream }.write_all(b"ours ").unwrap();
    screen.write_all(b"line\n").unwrap();
    let mut heard = [0; 14];
    screen.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"ours got line\n", "{rung:?}");

    // It is full, and the other one waits.
    stream.set_write_deadline(Some(Instant::now() + Duration::from_millis(20)));
    let mut written = 0;
    let full = loop {
        match { &stream }.write(&[b'x'; 1000]) {
            Ok(n) => written += n,
            Err(error) => break error,
        }
    };
    assert_eq!(full.kind(), ErrorKind::TimedOut);
    check();
    let mut all = vec![0; MUCH + written];
    screen.read_exact(&mut all).unwrap();
    assert_eq!(all.iter().filter(|&&byte| byte == b'x').count(), written);
    assert!(other.wait().unwrap().success(), "{rung:?}");
    check();
}

/// A wait that lasts longer is one that nobody ends.
const PATIENCE: Duration = Duration::from_secs(60);

fn within(body: impl FnOnce() + Send + 'static) {
    let (done, end) = mpsc::channel();
    let thread = thread::spawn(move || {
        body();
        let _ = done.send(());
    });
    let late = Err(mpsc::RecvTimeoutError::Timeout);
    assert_ne!(end.recv_timeout(PATIENCE), late, "it waits for ever");
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}

/// Until the process sleeps, or has ended.
fn until_asleep(process: u32) {
    let asleep =
        |stat: String| stat.rsplit_once(") ").is_none_or(|(_, rest)| !rest.starts_with('R'));
    let start = Instant::now();
    while !std::fs::read_to_string(format!("/proc/{process}/stat")).is_ok_and(asleep) {
        assert!(start.elapsed() < PATIENCE, "it never sleeps");
        thread::yield_now();
    }
}

#[test]
fn a_pipe_that_was_spliced_takes_no_per_call_flag_and_is_asked() {
    let (fd, shared, mut far) = given("pipe");
    let mut stream = on(Rung::PerCall, fd);
    let (_drain, sink) = io::pipe().unwrap();
    far.write_all(b"bytes").unwrap();
    sys::splice((shared.as_fd(), None), (sink.as_fd(), None), 2, false).unwrap();
    let mut buf = [0; 8];
    assert_eq!(stream.read(&mut buf).unwrap(), 3);
    assert_eq!(stream.try_read(&mut buf).unwrap_err().kind(), ErrorKind::WouldBlock);
    sys::splice((stream.as_fd(), None), (sink.as_fd(), None), 2, false).unwrap_err();
    far.write_all(b"more").unwrap();
    assert_eq!(stream.read(&mut buf).unwrap(), 4);
}

#[test]
fn an_inherited_pipe_is_copied_in_the_kernel_and_keeps_its_deadline() {
    let (fd, _shared, mut far) = given("pipe");
    let feeder = thread::spawn(move || far.write_all(&vec![5; 1 << 20]).map(|()| far));
    let mut stream = Stream::inherit(fd).unwrap();
    let mut file = tempfile::tempfile().unwrap();
    let report = crate::Copier::new().limit(1 << 20).copy(&mut stream, &mut file).unwrap();
    assert_eq!(report.copied(), 1 << 20);
    assert!(report.bytes(crate::copy::Path::Splice) > 0, "by {report}");
    let _far = feeder.join().unwrap().unwrap();
    stream.set_read_deadline(Some(Instant::now()));
    let late = crate::copy(&mut stream, &mut file).unwrap_err();
    assert_eq!(late.kind(), ErrorKind::TimedOut);
}
