//! Copies in both directions: on threads and on tasks, between connections of all kinds.
#![cfg(target_os = "linux")]

#[path = "kit/mod.rs"]
mod kit;

use aqueduct::adapters::Closing;
use aqueduct::adapters::duplex::Duplex;
use aqueduct::copy::{Cancel, Copier, Direction, ExchangeError, Side};
use aqueduct::net::{TcpStream, UnixStream};
use aqueduct::source::{Connection, Deadlines, Finish, Source};
use aqueduct::stream::Stream;
use aqueduct::{ReadExt, WriteExt, copy_bidirectional, duplex_with_capacity, is_cancelled, task};
use std::io::{self, ErrorKind, PipeReader, PipeWriter, Read, Write};
use std::net::Shutdown;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Longer than anything takes here, and yet no test waits for it.
const LONG: Duration = Duration::from_secs(3600);

/// On a plain thread, and on tasks of one worker and of two.
fn everywhere(name: &'static str, body: fn()) {
    kit::within(&format!("{name}, on a thread"), body);
    for workers in [1, 2] {
        kit::within(&format!("{name}, on {workers} workers"), move || {
            let runtime = task::Runtime::builder().workers(workers);
            runtime.run(move || task::spawn(body).join().unwrap()).unwrap();
        });
    }
}

fn tcp() -> (TcpStream, std::net::TcpStream) {
    let (ours, theirs) = kit::tcp();
    (Stream::from_std(ours).unwrap(), theirs)
}

/// A connection of ours, and somebody at its other end who says `said`, ends, and hears to the end.
type Peered<C> = (C, JoinHandle<Vec<u8>>);

fn talks(
    mut reader: impl Read + Send + 'static,
    mut writer: impl Write + Send + 'static,
    said: Vec<u8>,
    end: impl FnOnce() + Send + 'static,
) -> JoinHandle<Vec<u8>> {
    let speaks = thread::spawn(move || {
        writer.write_all(&said).unwrap();
        end();
    });
    thread::spawn(move || {
        let mut heard = Vec::new();
        reader.read_to_end(&mut heard).unwrap();
        speaks.join().unwrap();
        heard
    })
}

fn by_tcp(said: Vec<u8>) -> Peered<TcpStream> {
    let (ours, theirs) = kit::tcp();
    let (reader, writer) = (theirs.try_clone().unwrap(), theirs.try_clone().unwrap());
    let end = move || theirs.shutdown(Shutdown::Write).unwrap();
    (Stream::from_std(ours).unwrap(), talks(reader, writer, said, end))
}

fn by_unix(said: Vec<u8>) -> Peered<UnixStream> {
    let (ours, theirs) = kit::unix();
    let (reader, writer) = (theirs.try_clone().unwrap(), theirs.try_clone().unwrap());
    let end = move || theirs.shutdown(Shutdown::Write).unwrap();
    (Stream::from_std(ours).unwrap(), talks(reader, writer, said, end))
}

fn by_memory(said: Vec<u8>) -> Peered<Duplex> {
    let (ours, theirs) = duplex_with_capacity(5000);
    let (reader, writer) = theirs.split();
    // It closes when it is dropped.
    (ours, talks(reader, writer, said, || ()))
}

type Pipes = (Stream<PipeReader>, Closing<Stream<PipeWriter>>);

/// Two pipes of the system, as a program's standard streams are.
fn pipes() -> (Pipes, PipeReader, PipeWriter) {
    let ((from, feed), (drain, to)) = (io::pipe().unwrap(), io::pipe().unwrap());
    let (from, to) = (Stream::from_std(from).unwrap(), Stream::from_std(to).unwrap());
    ((from, to.closing()), drain, feed)
}

fn by_pipes(said: Vec<u8>) -> Peered<Pipes> {
    let (ours, drain, feed) = pipes();
    (ours, talks(drain, feed, said, || ()))
}

fn exchange<A: Connection, B: Connection>(
    a: impl FnOnce(Vec<u8>) -> Peered<A>,
    b: impl FnOnce(Vec<u8>) -> Peered<B>,
) {
    let (there, back) = (kit::noise(1_300_000, 1), kit::noise(700_001, 2));
    let ((mut a, near), (mut b, far)) = (a(there.clone()), b(back.clone()));
    let counts = copy_bidirectional(&mut a, &mut b).unwrap();
    assert_eq!(counts, (there.len() as u64, back.len() as u64));
    // Both have heard the end although the connections are still there.
    assert!(far.join().unwrap() == there);
    assert!(near.join().unwrap() == back);
}

#[test]
fn both_directions_arrive_whole_and_end_one_by_one() {
    everywhere("all kinds", || {
        exchange(by_tcp, by_tcp);
        exchange(by_tcp, by_unix);
        exchange(by_unix, by_pipes);
        exchange(by_pipes, by_memory);
        exchange(by_memory, by_tcp);
        exchange(by_memory, by_memory);
    });
}

#[test]
fn the_bytes_of_sockets_move_in_the_kernel() {
    use aqueduct::copy::Path;
    kit::within("in the kernel", || {
        let ((mut a, near), (mut b, far)) =
            (by_tcp(kit::noise(1 << 20, 1)), by_tcp(kit::noise(1 << 20, 2)));
        let sum = Copier::new().copy_bidirectional(&mut a, &mut b).unwrap();
        for report in [&sum.forth, &sum.back] {
            assert!(report.bytes(Path::Splice) > 900_000, "{report:?}");
        }
        near.join().unwrap();
        far.join().unwrap();
    });
}

/// An answer that is given only after the end of the question.
#[test]
fn an_end_is_told_while_the_other_direction_goes_on() {
    everywhere("half-close", || {
        let ((a, mut near), (b, mut far)) = (kit::tcp(), kit::unix());
        let (mut a, mut b) = (Stream::from_std(a).unwrap(), Stream::from_std(b).unwrap());
        let answers = thread::spawn(move || {
            let mut question = String::new();
            far.read_to_string(&mut question).unwrap();
            far.write_all(question.to_uppercase().as_bytes()).unwrap();
        });
        let asks = thread::spawn(move || {
            near.write_all(b"question").unwrap();
            near.shutdown(Shutdown::Write).unwrap();
            let mut answer = String::new();
            near.read_to_string(&mut answer).unwrap();
            answer
        });
        assert_eq!(copy_bidirectional(&mut a, &mut b).unwrap(), (8, 8));
        assert_eq!(asks.join().unwrap(), "QUESTION");
        answers.join().unwrap();
    });
}

/// Takes four bytes, and then fails.
struct Frail(usize);

impl Write for Frail {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = bytes.len().min(4 - self.0);
        self.0 += n;
        if n > 0 { Ok(n) } else { Err(ErrorKind::StorageFull.into()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_failure_tells_its_direction_and_what_is_pending_and_stops_the_other() {
    everywhere("a failure", || {
        for swapped in [false, true] {
            let (a, mut near) = kit::tcp();
            let (quiet, _silent) = io::pipe().unwrap();
            let mut a = Stream::from_std(a).unwrap();
            let mut b = (Stream::from_std(quiet).unwrap(), Frail(0).opaque_writes().closing());
            near.write_all(b"more than fits").unwrap();
            let (failed, direction) = match swapped {
                false => (copy_bidirectional(&mut a, &mut b), Direction::Forth),
                true => (copy_bidirectional(&mut b, &mut a), Direction::Back),
            };
            let failed = failed.unwrap_err();
            assert_eq!((failed.direction, failed.kind()), (direction, ErrorKind::StorageFull));
            assert_eq!((failed.error.side, failed.error.copied), (Side::Sink(0), 4));
            assert_eq!(failed.error.pending(0), b" than fits");
            let (forth, back) = failed.reports();
            let counts = (forth.copied(), back.copied());
            assert_eq!(counts, if swapped { (0, 4) } else { (4, 0) });
            assert!(is_cancelled(&failed.other.as_ref().unwrap_err().source));
            assert!(!is_cancelled(&failed.into()));
            // Nobody has told the peer of an end.
            near.set_nonblocking(true).unwrap();
            assert_eq!(near.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::WouldBlock);
        }
    });
}

/// Fails at once.
struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(ErrorKind::InvalidData.into())
    }
}

#[test]
fn a_wait_in_memory_is_stopped_and_the_connection_can_be_used_again() {
    everywhere("in memory", || {
        let (mut b, mut far) = duplex_with_capacity(8);
        let mut a = (Broken.opaque(), io::sink().closing());
        let failed = copy_bidirectional(&mut a, &mut b).unwrap_err();
        assert_eq!((failed.direction, failed.kind()), (Direction::Forth, ErrorKind::InvalidData));
        assert!(is_cancelled(&failed.other.unwrap_err().source));
        far.write_all(b"again").unwrap();
        let mut word = [0; 5];
        b.read_exact(&mut word).unwrap();
        assert_eq!(&word, b"again");
    });
}

#[test]
fn what_is_there_is_passed_on_after_a_failure_of_the_other_direction() {
    everywhere("what is there", || {
        let (b, mut far) = kit::tcp();
        far.write_all(b"early answer").unwrap();
        let mut got = Vec::new();
        let a = &mut (Broken.opaque(), (&mut got).closing());
        let failed = copy_bidirectional(a, &mut Stream::from_std(b).unwrap()).unwrap_err();
        assert_eq!(failed.kind(), ErrorKind::InvalidData);
        assert_eq!(got, b"early answer");
    });
}

/// Its reader has gone, which is told to somebody.
struct Gone(mpsc::Sender<()>);

impl Write for Gone {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        let _ = self.0.send(());
        Err(ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn that_a_reader_has_gone_does_not_stop_the_other_direction() {
    everywhere("a reader gone", || {
        let (a, mut near) = kit::unix();
        let (reader, mut feed) = io::pipe().unwrap();
        let (tell, gone) = mpsc::channel();
        near.write_all(b"to nobody").unwrap();
        let late = thread::spawn(move || {
            gone.recv().unwrap();
            feed.write_all(b"late").unwrap();
        });
        let mut b = (Stream::from_std(reader).unwrap(), Gone(tell).opaque_writes().closing());
        let mut a = Stream::from_std(a).unwrap();
        let failed = copy_bidirectional(&mut a, &mut b).unwrap_err();
        assert_eq!((failed.direction, failed.kind()), (Direction::Forth, ErrorKind::BrokenPipe));
        assert_eq!(failed.other.unwrap().copied(), 4);
        let mut word = String::new();
        near.read_to_string(&mut word).unwrap();
        assert_eq!(word, "late");
        late.join().unwrap();
    });
}

#[test]
fn silence_ends_both_directions_and_never_early() {
    everywhere("idle", || {
        let patience = Duration::from_millis(20);
        let copier = Copier::new().idle_timeout(patience);
        let ((a, _near), (b, _far)) = (kit::tcp(), kit::unix());
        let (mut a, mut b) = (Stream::from_std(a).unwrap(), Stream::from_std(b).unwrap());
        let (mut c, _there) = duplex_with_capacity(8);
        let check = |result: Result<_, ExchangeError>, start: Instant| {
            assert!(start.elapsed() >= patience, "early");
            let failed = result.unwrap_err();
            assert_eq!(failed.kind(), ErrorKind::TimedOut);
            assert_eq!(failed.other.unwrap_err().kind(), ErrorKind::TimedOut);
        };
        let start = Instant::now();
        check(copier.copy_bidirectional(&mut a, &mut b), start);
        let start = Instant::now();
        check(copier.copy_bidirectional(&mut a, &mut c), start);
        let start = Instant::now();
        check(copier.copy_bidirectional(&mut c, &mut b), start);
    });
}

#[test]
fn silence_ends_a_copy_in_one_direction_too() {
    everywhere("idle, one way", || {
        let patience = Duration::from_millis(20);
        let copier = Copier::new().idle_timeout(patience);
        let (a, mut near) = kit::tcp();
        near.write_all(b"something, once").unwrap();
        let (mut got, start) = (Vec::new(), Instant::now());
        let failed = copier.copy(&mut Stream::from_std(a).unwrap(), &mut got).unwrap_err();
        assert!(start.elapsed() >= patience, "early");
        assert_eq!((failed.kind(), failed.copied), (ErrorKind::TimedOut, 15));
        // A descriptor that is no stream and blocks.
        let (mut reader, _writer) = io::pipe().unwrap();
        let failed = copier.copy(&mut reader, &mut got).unwrap_err();
        assert_eq!(failed.kind(), ErrorKind::TimedOut);
        // A reader that does not read.
        let ((from, to), (zero, _far)) = (kit::unix(), kit::unix());
        let feeds = thread::spawn(move || (&to).write_all(&vec![0; 8 << 20]));
        let (mut from, mut zero) =
            (Stream::from_std(from).unwrap(), Stream::from_std(zero).unwrap());
        let failed = copier.copy(&mut from, &mut zero).unwrap_err();
        assert_eq!((failed.kind(), failed.side), (ErrorKind::TimedOut, Side::Source));
        assert_eq!(failed.taken - failed.copied, failed.pending(0).len() as u64);
        drop((from, zero));
        feeds.join().unwrap().unwrap_err();
    });
}

#[test]
fn what_lingers_after_an_end_is_given_up_in_its_time() {
    everywhere("linger", || {
        let patience = Duration::from_millis(20);
        let copier = Copier::new().linger(patience).idle_timeout(LONG);
        let ((a, near), (b, _far)) = (kit::tcp(), kit::tcp());
        let (mut a, mut b) = (Stream::from_std(a).unwrap(), Stream::from_std(b).unwrap());
        near.shutdown(Shutdown::Write).unwrap();
        let start = Instant::now();
        let failed = copier.copy_bidirectional(&mut a, &mut b).unwrap_err();
        assert!(start.elapsed() >= patience, "early");
        assert_eq!((failed.direction, failed.kind()), (Direction::Back, ErrorKind::TimedOut));
        assert_eq!(failed.other.unwrap().copied(), 0);
    });
}

#[test]
fn a_cancel_and_that_of_a_task_stop_both_directions() {
    kit::within("cancel", || {
        let ((mut a, _near), (mut b, _far)) = (tcp(), tcp());
        let cancel = Cancel::new();
        let other = cancel.clone();
        let copies = kit::Waiting::start(kit::Way::Plain, 0, move || {
            Copier::new().cancel(&cancel).copy_bidirectional(&mut a, &mut b).unwrap_err()
        });
        let copies = copies.asleep();
        other.cancel();
        let failed = copies.join();
        assert!(is_cancelled(&failed.other.unwrap_err().source));
        assert!(is_cancelled(&failed.error.source));

        let ((mut a, near), (mut b, far)) = (tcp(), tcp());
        task::run(move || {
            let copies = task::spawn(move || copy_bidirectional(&mut a, &mut b).unwrap_err());
            task::sleep(Duration::from_millis(5)).unwrap();
            copies.cancel();
            let failed = copies.join().unwrap();
            assert!(is_cancelled(&failed.error.source), "{failed}");
            assert!(is_cancelled(&failed.other.unwrap_err().source));
        })
        .unwrap();
        drop((near, far));
    });
}

/// Panics when it is read.
/// A connection whose writer fails. Its reader seems to have ended, once calls are to wait no longer.
struct Torn {
    reader: aqueduct::adapters::pipe::Reader,
    ends: Arc<Ends>,
}

struct Ends(Mutex<Option<aqueduct::adapters::pipe::Writer>>);

impl Deadlines for Ends {
    fn set_read_deadline(&self, at: Option<Instant>) {
        if at.is_some() {
            self.0.lock().unwrap().take();
        }
    }

    fn set_write_deadline(&self, _: Option<Instant>) {}
}

struct Fails;

impl Write for Fails {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::Error::other("torn"))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Connection for Torn {
    fn halves(&mut self) -> (impl Source + Send, impl Finish + Send) {
        ((&mut self.reader).opaque(), Fails.opaque_writes().closing())
    }

    fn control(&self) -> Option<Box<dyn Deadlines + Send + Sync>> {
        Some(Box::new(Arc::clone(&self.ends)))
    }
}

#[test]
fn what_seems_to_end_after_a_failure_has_not_ended() {
    everywhere("a broken connection", || {
        let (reader, writer) = aqueduct::pipe();
        let mut a = Torn { reader, ends: Arc::new(Ends(Mutex::new(Some(writer)))) };
        let (mut b, mut far) = duplex_with_capacity(8);
        far.write_all(b"news").unwrap();
        let failed = copy_bidirectional(&mut a, &mut b).unwrap_err();
        assert_eq!((failed.direction, failed.kind()), (Direction::Back, ErrorKind::Other));
        assert!(is_cancelled(&io::Error::from(*failed.other.unwrap_err())));
    });
}

/// Bytes that the kernel moves straight from one descriptor to another are no silence.
#[test]
fn bytes_that_pass_in_the_kernel_put_the_end_off() {
    everywhere("beats", || {
        let patience = Duration::from_millis(400);
        let ((mut a, near), (mut b, mut drain, feed)) = (tcp(), pipes());
        let data = kit::noise(4 << 20, 1);
        let (said, pieces) = (data.clone(), 16);
        let speaks = thread::spawn(move || {
            // In all it takes longer than the patience, and each piece a small part of it.
            for piece in said.chunks(said.len() / pieces) {
                (&near).write_all(piece).unwrap();
                thread::sleep(patience / 10);
            }
            near.shutdown(Shutdown::Write).unwrap();
        });
        let hears = thread::spawn(move || {
            let mut heard = Vec::new();
            drain.read_to_end(&mut heard).unwrap();
            drop(feed);
            heard
        });
        let copier = Copier::new().idle_timeout(patience);
        copier.copy_bidirectional(&mut a, &mut b).unwrap();
        speaks.join().unwrap();
        assert!(hears.join().unwrap() == data);
    });
}

struct Bomb;

impl Read for Bomb {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        panic!("a bomb")
    }
}

#[test]
fn a_panic_in_one_direction_stops_the_other_and_surfaces() {
    everywhere("a panic", || {
        for swapped in [false, true] {
            let (mut b, _far) = tcp();
            let mut a = (Bomb.opaque(), io::sink().closing());
            let panicked = catch_unwind(AssertUnwindSafe(|| match swapped {
                false => copy_bidirectional(&mut a, &mut b).map(drop),
                true => copy_bidirectional(&mut b, &mut a).map(drop),
            }));
            let payload = panicked.unwrap_err();
            assert_eq!(payload.downcast_ref::<&str>(), Some(&"a bomb"));
        }
    });
}
