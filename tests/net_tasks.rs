//! Sockets between tasks: the same calls, and no thread is blocked by them.
#![cfg(target_os = "linux")]

#[path = "kit/mod.rs"]
mod kit;

use aqueduct::net::{TcpListener, TcpStream, UdpSocket, UnixDatagram, UnixListener, UnixStream};
use aqueduct::task::{self, JoinHandle, Runtime};
use aqueduct::{copy, is_cancelled};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::SocketAddr as UnixAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Runs `f` with so many workers, the first of which is its own.
fn with<T: Send + 'static>(workers: usize, f: impl FnOnce() -> T + Send + 'static) -> T {
    kit::within("tasks", move || Runtime::builder().workers(workers).run(f).unwrap())
}

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// A task per connection, each of which sends back what it gets.
fn echo(listener: &TcpListener) -> usize {
    let tasks: Vec<JoinHandle<io::Result<u64>>> = listener
        .incoming()
        .map(|connection| {
            let (mut from, mut to) = connection.unwrap().split();
            task::spawn(move || copy(&mut from, &mut to).map_err(io::Error::from))
        })
        .collect();
    let count = tasks.len();
    for task in tasks {
        task.join().unwrap().unwrap();
    }
    count
}

#[test]
fn a_task_per_connection_serves_hundreds() {
    const MANY: usize = 200;
    for workers in [1, 2] {
        with(workers, || {
            let (listener, address) = listener();
            let control = listener.control();
            let server = task::spawn(move || echo(&listener));
            let clients: Vec<_> = (0..MANY)
                .map(|i| {
                    task::spawn(move || {
                        let mut conn = TcpStream::connect(("localhost", address.port())).unwrap();
                        conn.set_deadline(Some(Instant::now() + kit::PATIENCE));
                        let sent = kit::noise(100 * i, i as u64);
                        conn.write_all(&sent).unwrap();
                        conn.shutdown(Shutdown::Write).unwrap();
                        let mut got = Vec::new();
                        conn.read_to_end(&mut got).unwrap();
                        assert!(got == sent);
                    })
                })
                .collect();
            clients.into_iter().for_each(|client| client.join().unwrap());
            control.close();
            assert_eq!(server.join().unwrap(), MANY);
        });
    }
}

#[test]
fn each_worker_accepts_for_itself() {
    with(2, || {
        let builder = TcpListener::builder().reuse_port(true);
        let first = builder.bind("127.0.0.1:0").unwrap();
        let address = first.local_addr().unwrap();
        let second = builder.bind(address).unwrap();
        let controls = [first.control(), second.control()];
        let servers = [first, second].map(|listener| task::spawn(move || echo(&listener)));
        for _ in 0..50 {
            let mut conn = TcpStream::connect(address).unwrap();
            conn.write_all(b"echo").unwrap();
            conn.read_exact(&mut [0; 4]).unwrap();
        }
        controls.iter().for_each(|control| control.close());
        let counts = servers.map(|server| server.join().unwrap());
        assert_eq!(counts.iter().sum::<usize>(), 50);
        assert!(!counts.contains(&0), "the system has spread none of them");
    });
}

/// A task that waits for what never comes.
fn waiting<T: Send + 'static>(
    call: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> JoinHandle<io::Error> {
    task::spawn(move || call().map(drop).unwrap_err())
}

#[test]
fn a_cancel_ends_every_kind_of_wait() {
    with(1, || {
        let (idle, _) = listener();
        let full = TcpListener::builder().backlog(0).bind("127.0.0.1:0").unwrap();
        let address = full.local_addr().unwrap();
        let mut queue = Vec::new();
        while let Ok(conn) = TcpStream::connect_timeout(address, ms(20)) {
            queue.push(conn);
        }
        let name = format!("aqueduct-test-cancel-{}", std::process::id());
        let name = UnixAddr::from_abstract_name(name).unwrap();
        let unix = UnixListener::bind_addr(&name).unwrap();
        rustix::net::listen(&unix, 0).unwrap();
        let _only = UnixStream::connect_addr(&name).unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let inbox = format!("aqueduct-test-inbox-{}", std::process::id());
        let inbox = UnixAddr::from_abstract_name(inbox).unwrap();
        let _inbox = UnixDatagram::bind_addr(&inbox).unwrap();
        let sender = UnixDatagram::unbound().unwrap();

        let calls = [
            waiting(move || idle.accept()),
            waiting(move || TcpStream::connect(address)),
            waiting(move || TcpStream::connect(vec![address; 3])),
            waiting(move || UnixStream::connect_addr(&name)),
            waiting(move || udp.recv_from(&mut [0; 8])),
            waiting(move || {
                loop {
                    sender.send_to_addr(b"m", &inbox)?;
                }
                #[expect(unreachable_code, reason = "it tells the type")]
                Ok(())
            }),
        ];
        task::sleep(ms(5)).unwrap();
        calls.iter().for_each(JoinHandle::cancel);
        for (i, call) in calls.into_iter().enumerate() {
            let error = call.join().unwrap();
            assert!(is_cancelled(&error), "call {i}: {error}");
        }
    });
}

#[test]
fn deadlines_and_close_reach_tasks_that_accept() {
    with(1, || {
        let (listener, address) = listener();
        let listener = Arc::new(listener);
        let accept = || {
            let listener = Arc::clone(&listener);
            waiting(move || listener.accept())
        };
        let at = Instant::now() + ms(10);
        listener.set_deadline(Some(at));
        assert_eq!(accept().join().unwrap().kind(), ErrorKind::TimedOut);
        assert!(Instant::now() >= at, "early");
        listener.set_deadline(None);
        let several = [accept(), accept(), accept()];
        task::yield_now();
        listener.set_deadline(Some(Instant::now()));
        for task in several {
            assert_eq!(task.join().unwrap().kind(), ErrorKind::TimedOut);
        }
        listener.set_deadline(None);
        let several = [accept(), accept(), accept()];
        task::yield_now();
        // From a thread.
        let control = listener.control();
        std::thread::spawn(move || control.close());
        for task in several {
            assert_eq!(task.join().unwrap().kind(), ErrorKind::NotConnected);
        }
        let _client = TcpStream::connect(address).unwrap();
        assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::NotConnected);
    });
}

/// What never has to wait lets others run all the same.
#[test]
fn who_sends_and_connects_for_ever_starves_nobody() {
    with(1, || {
        let a = UdpSocket::bind("127.0.0.1:0").unwrap();
        let to = a.local_addr().unwrap();
        let name = format!("aqueduct-test-fair-{}", std::process::id());
        let name = UnixAddr::from_abstract_name(name).unwrap();
        let unix = UnixListener::bind_addr(&name).unwrap();
        for round in 0..2 {
            let done = Arc::new(AtomicBool::new(false));
            let other = Arc::clone(&done);
            let other = task::spawn(move || other.store(true, Ordering::Relaxed));
            while !done.load(Ordering::Relaxed) {
                if round == 0 {
                    a.send_to(b"message", to).unwrap();
                    a.recv(&mut [0; 8]).unwrap();
                } else {
                    UnixStream::connect_addr(&name).unwrap();
                    unix.accept().unwrap();
                }
            }
            other.join().unwrap();
        }
    });
}

#[test]
fn a_connection_passes_between_tasks_and_threads() {
    let (listener, address) = listener();
    let server = std::thread::spawn(move || listener.accept().unwrap().0);
    let client = with(1, move || TcpStream::connect(address).unwrap());
    let mut server = server.join().unwrap();
    let (mut from, to) = client.split();
    server.write_all(b"from a thread").unwrap();
    let (from, to) = with(2, move || {
        let mut to = to;
        let reader = task::spawn(move || {
            from.read_exact(&mut [0; 13]).unwrap();
            from
        });
        to.write_all(b"from a task").unwrap();
        (reader.join().unwrap(), to)
    });
    server.read_exact(&mut [0; 11]).unwrap();
    let mut client = from.reunite(to).unwrap();
    server.write_all(b"more").unwrap();
    client.read_exact(&mut [0; 4]).unwrap();
}
