//! Streams: deadlines, close, turns.

use aqueduct::copy;
use aqueduct::poll::Local;
use aqueduct::stream::Stream;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

fn unix() -> (Stream<UnixStream>, Stream<UnixStream>) {
    let (a, b) = UnixStream::pair().unwrap();
    (Stream::from_std(a).unwrap(), Stream::from_std(b).unwrap())
}

fn tcp() -> (Stream<TcpStream>, Stream<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let a = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (b, _) = listener.accept().unwrap();
    (Stream::from_std(a).unwrap(), Stream::from_std(b).unwrap())
}

#[test]
fn much_passes_between_streams_on_threads_and_on_pollers() {
    for local in [false, true] {
        let (mut a, mut b) = tcp();
        let (mut c, mut d) = unix();
        let total: u64 = 64 << 20;
        let guard = move || (local && cfg!(target_os = "linux")).then(|| Local::new().unwrap());
        let writer = thread::spawn(move || {
            let _guard = guard();
            let block = vec![7; 1 << 16];
            for _ in 0..total >> 16 {
                a.write_all(&block).unwrap();
            }
        });
        let mover = thread::spawn(move || {
            let _guard = guard();
            copy(&mut b, &mut c).unwrap()
        });
        let _guard = guard();
        let mut buf = vec![0; 100_000];
        let mut got = 0;
        loop {
            match d.read(&mut buf).unwrap() {
                0 => break,
                n => got += n as u64,
            }
        }
        writer.join().unwrap();
        assert_eq!(mover.join().unwrap(), total);
        assert_eq!(got, total);
    }
}

/// More than a call can move, and than an `i32` can count.
#[cfg(target_pointer_width = "64")]
#[test]
fn one_write_and_one_copy_move_more_than_two_gibibytes() {
    const LEN: usize = (2 << 30) + 4099;
    for local in [false, true] {
        let (reader, writer) = io::pipe().unwrap();
        let mut reader = Stream::from_std(reader).unwrap();
        let mut writer = Stream::from_std(writer).unwrap();
        let guard = move || (local && cfg!(target_os = "linux")).then(|| Local::new().unwrap());
        let feeder = thread::spawn(move || {
            let _guard = guard();
            // Nobody has touched it, so that it takes no room.
            writer.write(&vec![0; LEN]).unwrap()
        });
        let _guard = guard();
        let mut null = std::fs::File::create("/dev/null").unwrap();
        let copier = aqueduct::Copier::new().grow_pipes(true);
        assert_eq!(copier.copy(&mut reader, &mut null).unwrap().copied(), LEN as u64);
        assert_eq!(feeder.join().unwrap(), LEN);
    }
}

#[test]
fn a_deadline_that_is_moved_while_a_read_waits_ends_it() {
    let (a, _b) = unix();
    let a = Arc::new(a);
    let reader = thread::spawn({
        let a = Arc::clone(&a);
        move || (&*a).read(&mut [0; 8]).unwrap_err()
    });
    a.set_read_deadline(Some(Instant::now()));
    assert_eq!(reader.join().unwrap().kind(), ErrorKind::TimedOut);
}

#[test]
fn a_copy_between_streams_keeps_deadlines() {
    let (mut a, b) = unix();
    let (mut c, _d) = tcp();
    (&b).write_all(&vec![1; 100_000]).unwrap();
    a.set_read_deadline(Some(Instant::now() + Duration::from_millis(20)));
    let stopped = copy(&mut a, &mut c).unwrap_err();
    assert_eq!(stopped.kind(), ErrorKind::TimedOut);
    assert_eq!((stopped.copied, stopped.taken), (100_000, 100_000));
}

#[test]
fn a_pipe_given_back_blocks_again() {
    let (reader, mut writer) = io::pipe().unwrap();
    let stream = Stream::from_std(reader).unwrap();
    assert_eq!(stream.try_read(&mut [0; 4]).unwrap_err().kind(), ErrorKind::WouldBlock);
    let mut reader = stream.into_std().unwrap();
    let late = thread::spawn(move || writer.write_all(b"late"));
    let mut buf = [0; 4];
    reader.read_exact(&mut buf).unwrap();
    late.join().unwrap().unwrap();
}
