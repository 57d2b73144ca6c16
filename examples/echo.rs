//! echo: sends everything back that comes over a TCP connection.
//!
//! A task per connection, in code that seems to block.

mod util;

use aqueduct::net::{TcpListener, TcpStream};
use aqueduct::task::{self, Runtime};
use std::ffi::OsString;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use util::Tool;
use util::port::number;

/// Each connection has a buffer of so many bytes on its task's stack.
const BUFFER: usize = 2048;

fn main() -> ExitCode {
    let tool = Tool::start("echo");
    let matches = tool.arguments(command(), std::env::args_os());
    let port = number(&tool, &matches, "PORT", u64::from(u16::MAX)).unwrap_or(0);
    let workers = number(&tool, &matches, "workers", 1024).unwrap_or(2).max(1);
    let patience =
        number(&tool, &matches, "timeout", u64::MAX).map_or(PATIENCE, Duration::from_secs);
    // They fit: that was asked for.
    match serve(port as u16, workers as usize, patience) {
        Ok(()) => tool.status(),
        Err(error) => {
            tool.warn_error(format_args!("port {port}"), &error);
            tool.status()
        }
    }
}

const PATIENCE: Duration = Duration::from_secs(60);

fn command() -> clap::Command {
    util::command("echo", "Sends everything back that comes over a TCP connection.")
        .arg(clap::Arg::new("PORT").required(true).value_parser(clap::value_parser!(OsString)).help(
            "the port to listen at, on the loopback; 0 is any that is free, which is written to \
             standard output",
        ))
        .arg(util::option('T', "timeout", "SEC", "end a connection after SEC seconds of silence"))
        .arg(util::option('w', "workers", "N", "serve on N threads; 2 if not given"))
}

/// Accepts on every worker, each with a listener of its own, among which the kernel spreads the
/// connections.
fn serve(port: u16, workers: usize, patience: Duration) -> io::Result<()> {
    let listen = |port| {
        let at = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        TcpListener::builder().reuse_port(true).nodelay(true).bind(at)
    };
    // Another echo would share the port with this one, and have half of its connections.
    let alone = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    drop(alone);
    let first = listen(port)?;
    let at = first.local_addr()?;
    if port == 0 {
        println!("{}", at.port());
    }
    let mut listeners = vec![first];
    for _ in 1..workers {
        listeners.push(listen(at.port())?);
    }
    let runtime = Runtime::builder().workers(workers).stack_size(64 << 10).name("echo").build()?;
    let accepting: Vec<_> = listeners
        .into_iter()
        .map(|listener| runtime.spawn(move || accept(&listener, patience)))
        .collect();
    accepting.into_iter().try_for_each(|task| task.join()?)
}

fn accept(listener: &TcpListener, patience: Duration) -> io::Result<()> {
    for peer in listener.incoming() {
        let peer = peer?;
        drop(task::spawn(move || echo(peer, patience)));
    }
    Ok(())
}

/// Until the peer ends, fails, or falls silent: all of that is its own business.
fn echo(mut peer: TcpStream, patience: Duration) -> io::Result<()> {
    let mut buf = [0; BUFFER];
    loop {
        peer.set_read_deadline(Instant::now().checked_add(patience));
        let n = match peer.read(&mut buf) {
            Ok(0) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::TimedOut => return Ok(()),
            read => read?,
        };
        peer.write_all(&buf[..n])?;
    }
}
