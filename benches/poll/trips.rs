//! Round trips: a client that blocks sends to each of its connections and then hears from each,
//! and the server under test sends back what it hears.

use crate::Scale;
use aqueduct::poll::Local;
use aqueduct::stream::Stream;
use mio::unix::SourceFd;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::thread;
use std::time::{Duration, Instant};

const MESSAGE: usize = 64;

/// What serves.
type Server = fn(Vec<TcpStream>) -> io::Result<()>;

const SERVERS: &[(&str, Server)] = &[
    ("plain", |near| threads(near, |near| echo(Stream::from_std(near)?))),
    ("plain-deadline", |near| threads(near, |near| echo_in_time(Stream::from_std(near)?))),
    ("local", local),
    ("local-deadline", local_in_time),
    ("polling", polling),
    ("mio", mio),
    ("std", |near| threads(near, echo)),
];

pub(crate) fn rows(scale: Scale<'_>) -> io::Result<()> {
    row(scale, "trip_1", 1, 4_000, &["plain", "local", "polling", "mio", "std"])?;
    let in_time = ["plain", "plain-deadline", "local", "local-deadline"];
    row(scale, "trip_1_deadline", 1, 4_000, &in_time)?;
    row(scale, "trip_64", 64, 16_000, &["plain", "local", "polling", "mio", "std"])
}

fn row(
    scale: Scale<'_>,
    name: &str,
    connections: usize,
    trips: usize,
    who: &[&str],
) -> io::Result<()> {
    let runs = who
        .iter()
        .map(|&who| move |trips: usize| run(who, connections, trips / connections, Duration::ZERO));
    let runs: Vec<_> = runs.collect();
    let contenders = who.iter().zip(&runs).map(|(&who, run)| (who, run as _));
    scale.row(name, trips, &contenders.collect::<Vec<_>>())
}

/// So many round trips on each of so many connections, with a pause before each round.
pub(crate) fn run(who: &str, connections: usize, rounds: usize, pause: Duration) -> io::Result<()> {
    let Some((_, serve)) = SERVERS.iter().find(|(name, _)| *name == who) else {
        return Err(io::Error::other(format!("nobody is called {who}")));
    };
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let (mut near, mut far) = (Vec::new(), Vec::new());
    for _ in 0..connections {
        far.push(TcpStream::connect(listener.local_addr()?)?);
        near.push(listener.accept()?.0);
    }
    for socket in near.iter().chain(&far) {
        socket.set_nodelay(true)?;
    }
    let server = thread::spawn(|| serve(near));
    drive(&far, rounds.max(1), pause)?;
    drop(far);
    server.join().expect("the server does not panic")
}

/// By calls that no server makes, so that they can be told apart.
fn drive(far: &[TcpStream], rounds: usize, pause: Duration) -> io::Result<()> {
    let (message, mut answer) = ([7; MESSAGE], [0; MESSAGE]);
    for _ in 0..rounds {
        if !pause.is_zero() {
            thread::sleep(pause);
        }
        for mut socket in far {
            assert_eq!(socket.write_vectored(&[IoSlice::new(&message)])?, MESSAGE);
        }
        for mut socket in far {
            let n = socket.read_vectored(&mut [IoSliceMut::new(&mut answer)])?;
            assert_eq!(n, MESSAGE, "messages are so short that they come whole");
        }
    }
    Ok(())
}

/// A thread for each connection.
fn threads(near: Vec<TcpStream>, echo: fn(TcpStream) -> io::Result<()>) -> io::Result<()> {
    let threads = near.into_iter().map(|near| thread::spawn(move || echo(near)));
    let threads: Vec<_> = threads.collect();
    threads.into_iter().try_for_each(|it| it.join().expect("a server does not panic"))
}

fn echo(mut near: impl Read + Write) -> io::Result<()> {
    let mut buf = [0; MESSAGE + 1];
    loop {
        match near.read(&mut buf)? {
            0 => return Ok(()),
            n => near.write_all(&buf[..n])?,
        }
    }
}

fn echo_in_time(mut near: Stream<TcpStream>) -> io::Result<()> {
    let mut buf = [0; MESSAGE + 1];
    loop {
        near.set_read_deadline(Some(Instant::now() + Duration::from_secs(30)));
        match near.read(&mut buf)? {
            0 => return Ok(()),
            n => near.write_all(&buf[..n])?,
        }
    }
}

/// One thread for all, which hears them in turn.
fn local(near: Vec<TcpStream>) -> io::Result<()> {
    in_turn(near, |_| {})
}

fn local_in_time(near: Vec<TcpStream>) -> io::Result<()> {
    in_turn(near, |near| {
        near.set_read_deadline(Some(Instant::now() + Duration::from_secs(30)));
    })
}

fn in_turn(near: Vec<TcpStream>, before: fn(&Stream<TcpStream>)) -> io::Result<()> {
    let _local = Local::new()?;
    let mut near = near.into_iter().map(Stream::from_std).collect::<io::Result<Vec<_>>>()?;
    let mut buf = [0; MESSAGE + 1];
    loop {
        for near in &mut near {
            before(near);
            match near.read(&mut buf)? {
                0 => return Ok(()),
                n => near.write_all(&buf[..n])?,
            }
        }
    }
}

/// One thread for all, told again of what it has left.
fn polling(near: Vec<TcpStream>) -> io::Result<()> {
    use polling::{Event, Events, PollMode, Poller};
    let poller = Poller::new()?;
    for (key, near) in near.iter().enumerate() {
        near.set_nonblocking(true)?;
        #[expect(unsafe_code, reason = "that the source must be deleted is the caller's to see to")]
        // SAFETY: the poller goes before the sockets do.
        unsafe {
            poller.add_with_mode(near, Event::readable(key), PollMode::Level)?;
        }
    }
    let (mut events, mut buf) = (Events::new(), [0; MESSAGE + 1]);
    loop {
        events.clear();
        poller.wait(&mut events, None)?;
        for event in events.iter() {
            let mut near = &near[event.key];
            match near.read(&mut buf)? {
                0 => return Ok(()),
                n => near.write_all(&buf[..n])?,
            }
        }
    }
}

/// One thread for all, told of each once, so that it reads until nothing is left.
fn mio(near: Vec<TcpStream>) -> io::Result<()> {
    use mio::{Events, Interest, Poll, Token};
    let mut poll = Poll::new()?;
    for (key, near) in near.iter().enumerate() {
        near.set_nonblocking(true)?;
        let (fd, token) = (near.as_raw_fd(), Token(key));
        poll.registry().register(&mut SourceFd(&fd), token, Interest::READABLE)?;
    }
    let (mut events, mut buf) = (Events::with_capacity(256), [0; MESSAGE + 1]);
    loop {
        poll.poll(&mut events, None)?;
        for event in &events {
            let mut near = &near[event.token().0];
            loop {
                match near.read(&mut buf) {
                    Ok(0) => return Ok(()),
                    Ok(n) => near.write_all(&buf[..n])?,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error),
                }
            }
        }
    }
}
