//! The models without a list of descriptors: a thread each, asking all, a task each.

use super::model::{Model, ROOM};
use super::tally::Tally;
use aqueduct::stream::Stream;
use aqueduct::task;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::Sender;
use std::thread;

/// A thread for each socket, blocked in read(2).
#[derive(Debug)]
pub(crate) struct Threads;

/// Thousands of them must fit.
const STACK: usize = 64 << 10;

impl Model for Threads {
    fn name(&self) -> &'static str {
        "threads"
    }

    fn serve(&self, sockets: Vec<UnixStream>, tally: &Tally, ready: Sender<()>) -> io::Result<()> {
        thread::scope(|scope| {
            for socket in sockets {
                let started =
                    thread::Builder::new().stack_size(STACK).spawn_scoped(scope, move || {
                        let mut buf = vec![0; ROOM];
                        while let Ok(Some(1..)) = tally.echo(&socket, &mut buf) {
                            tally.woken(1);
                        }
                    });
                if let Err(error) = started {
                    // Those that run wait for their peers, which wait to hear from us.
                    drop(ready);
                    return Err(error);
                }
            }
            let _ = ready.send(());
            Ok(())
        })
    }
}

/// One thread that asks each socket, over and over.
#[derive(Debug)]
pub(crate) struct Busy;

impl Model for Busy {
    fn name(&self) -> &'static str {
        "busy"
    }

    fn serve(
        &self,
        mut sockets: Vec<UnixStream>,
        tally: &Tally,
        ready: Sender<()>,
    ) -> io::Result<()> {
        for socket in &sockets {
            tally.called(1);
            socket.set_nonblocking(true)?;
        }
        let _ = ready.send(());
        let mut buf = vec![0; ROOM];
        while !sockets.is_empty() {
            let mut failed = Ok(());
            let mut found = 0;
            sockets.retain(|socket| match tally.echo(socket, &mut buf) {
                Ok(Some(0)) => false,
                Ok(read) => {
                    found += usize::from(read.is_some());
                    true
                }
                Err(error) => {
                    failed = Err(error);
                    false
                }
            });
            failed?;
            tally.woken(found);
        }
        Ok(())
    }
}

/// A task of ours for each socket, and one worker.
#[derive(Debug)]
pub(crate) struct Tasks;

impl Model for Tasks {
    fn name(&self) -> &'static str {
        "tasks"
    }

    fn counts_calls(&self) -> bool {
        false
    }

    fn serve(&self, sockets: Vec<UnixStream>, tally: &Tally, ready: Sender<()>) -> io::Result<()> {
        let builder = task::Runtime::builder().workers(1).stack_size(64 << 10);
        builder.run(|| {
            task::scope(|scope| {
                for socket in sockets {
                    let mut stream = Stream::from_std(socket)?;
                    scope.spawn(move || -> io::Result<()> {
                        let mut buf = vec![0; ROOM];
                        while let Ok(n @ 1..) = stream.read(&mut buf) {
                            tally.woken(1);
                            tally.carried(n);
                            stream.write_all(&buf[..n])?;
                        }
                        Ok(())
                    });
                }
                let _ = ready.send(());
                Ok(())
            })
        })?
    }
}
