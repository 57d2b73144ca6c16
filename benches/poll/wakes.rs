//! Two threads that wake each other in turns.

use crate::Scale;
use aqueduct::poll::{self, Local};
use aqueduct::stream::Stream;
use aqueduct::{adapters::pipe, pipe_with_capacity};
use std::io::{self, ErrorKind, PipeReader, Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

pub(crate) fn rows(scale: Scale<'_>) -> io::Result<()> {
    // Out of a wait for a descriptor.
    scale.row(
        "wake_read",
        4_000,
        &[("plain", &|n| reads(n, false)), ("local", &|n| reads(n, true))],
    )?;
    scale.row("wake_poll", 4_000, &[("aqueduct", &ours), ("polling", &polling), ("mio", &mio)])?;
    // Out of a wait for nothing but each other.
    scale.row("park", 4_000, &[("pipe", &pipes), ("std", &parks)])
}

/// Runs both on a thread each.
fn both(
    one: impl FnOnce() -> io::Result<()> + Send,
    other: impl FnOnce() -> io::Result<()> + Send,
) -> io::Result<()> {
    thread::scope(|scope| {
        let other = scope.spawn(other);
        one()?;
        other.join().expect("it does not panic")
    })
}

/// Ends the other's read by its deadline, and waits in a read for the same.
fn reads(steps: usize, local: bool) -> io::Result<()> {
    let (mine, _mine) = idle()?;
    let (theirs, _theirs) = idle()?;
    let (wake_me, wake_them) = (mine.control(), theirs.control());
    let past = Instant::now();
    let wait = |mut stream: &Stream<PipeReader>| {
        let late = stream.read(&mut [0]).expect_err("nobody writes");
        assert_eq!(late.kind(), ErrorKind::TimedOut);
        stream.set_read_deadline(None);
    };
    let enter = || local.then(Local::new).transpose();
    both(
        || {
            let _local = enter()?;
            for _ in 0..steps / 2 {
                wake_them.set_read_deadline(Some(past));
                wait(&mine);
            }
            Ok(())
        },
        || {
            let _local = enter()?;
            for _ in 0..steps / 2 {
                wait(&theirs);
                wake_me.set_read_deadline(Some(past));
            }
            Ok(())
        },
    )
}

fn idle() -> io::Result<(Stream<PipeReader>, io::PipeWriter)> {
    let (reader, writer) = io::pipe()?;
    Ok((Stream::from_std(reader)?, writer))
}

fn ours(steps: usize) -> io::Result<()> {
    let (mine, theirs) = (poll::Poller::new()?, poll::Poller::new()?);
    let wait = |poller: &poll::Poller| poller.wait(&mut poll::Events::new(), None);
    both(
        || {
            (0..steps / 2).try_for_each(|_| {
                theirs.wake();
                wait(&mine)
            })
        },
        || {
            (0..steps / 2).try_for_each(|_| {
                wait(&theirs)?;
                mine.wake();
                Ok(())
            })
        },
    )
}

fn polling(steps: usize) -> io::Result<()> {
    let (mine, theirs) = (polling::Poller::new()?, polling::Poller::new()?);
    let turns = |me: &polling::Poller, them: &polling::Poller, first: bool| {
        let mut events = polling::Events::new();
        for _ in 0..steps / 2 {
            if first {
                them.notify()?;
            }
            events.clear();
            me.wait(&mut events, None)?;
            if !first {
                them.notify()?;
            }
        }
        Ok(())
    };
    both(|| turns(&mine, &theirs, true), || turns(&theirs, &mine, false))
}

fn mio(steps: usize) -> io::Result<()> {
    let (mut mine, mut theirs) = (mio::Poll::new()?, mio::Poll::new()?);
    let wake_me = mio::Waker::new(mine.registry(), mio::Token(0))?;
    let wake_them = mio::Waker::new(theirs.registry(), mio::Token(0))?;
    let turns = |me: &mut mio::Poll, them: &mio::Waker, first: bool| {
        let mut events = mio::Events::with_capacity(8);
        for _ in 0..steps / 2 {
            if first {
                them.wake()?;
            }
            me.poll(&mut events, None)?;
            if !first {
                them.wake()?;
            }
        }
        Ok(())
    };
    both(|| turns(&mut mine, &wake_them, true), || turns(&mut theirs, &wake_me, false))
}

/// A byte goes back and forth through memory.
fn pipes(steps: usize) -> io::Result<()> {
    let ((mut hear_me, mut tell_me), (mut hear_them, mut tell_them)) =
        (pipe_with_capacity(8), pipe_with_capacity(8));
    let hear = |from: &mut pipe::Reader| from.read_exact(&mut [0]);
    both(
        || {
            for _ in 0..steps / 2 {
                tell_them.write_all(&[7])?;
                hear(&mut hear_me)?;
            }
            Ok(())
        },
        || {
            for _ in 0..steps / 2 {
                hear(&mut hear_them)?;
                tell_me.write_all(&[7])?;
            }
            Ok(())
        },
    )
}

fn parks(steps: usize) -> io::Result<()> {
    let (for_me, for_them) = (AtomicBool::new(false), AtomicBool::new(false));
    let me = thread::current();
    let wait = |flag: &AtomicBool| {
        while !flag.swap(false, Ordering::Acquire) {
            thread::park();
        }
    };
    thread::scope(|scope| {
        let other = scope.spawn(|| {
            for _ in 0..steps / 2 {
                wait(&for_them);
                for_me.store(true, Ordering::Release);
                me.unpark();
            }
        });
        for _ in 0..steps / 2 {
            for_them.store(true, Ordering::Release);
            other.thread().unpark();
            wait(&for_me);
        }
    });
    Ok(())
}
