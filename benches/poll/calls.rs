//! What needs no second thread: registering, and a deadline before a read that need not wait.

use crate::Scale;
use aqueduct::poll::{self, Mode};
use aqueduct::stream::Stream;
use mio::unix::SourceFd;
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

const MESSAGE: usize = 64;
const MESSAGES: usize = 256;

pub(crate) fn rows(scale: Scale<'_>) -> io::Result<()> {
    register(scale)?;
    deadlines(scale)
}

/// Register and unregister one descriptor.
fn register(scale: Scale<'_>) -> io::Result<()> {
    let (near, _far) = UnixStream::pair()?;
    let ours = poll::Poller::new()?;
    let polling = polling::Poller::new()?;
    let mio = mio::Poll::new()?;
    let steps = 20_000;
    scale.row(
        "register",
        steps,
        &[
            ("aqueduct", &|steps| {
                for _ in 0..steps {
                    ours.add(&near, 7, poll::Interest::READABLE, Mode::Edge)?;
                    ours.delete(&near)?;
                }
                Ok(())
            }),
            ("polling", &|steps| {
                for _ in 0..steps {
                    let event = polling::Event::readable(7);
                    #[expect(unsafe_code, reason = "the caller is to see that it is deleted")]
                    // SAFETY: it is deleted, below.
                    unsafe {
                        polling.add_with_mode(&near, event, polling::PollMode::Edge)?;
                    }
                    polling.delete(&near)?;
                }
                Ok(())
            }),
            ("mio", &|steps| {
                let fd = near.as_raw_fd();
                for _ in 0..steps {
                    let what = mio::Interest::READABLE;
                    mio.registry().register(&mut SourceFd(&fd), mio::Token(7), what)?;
                    mio.registry().deregister(&mut SourceFd(&fd))?;
                }
                Ok(())
            }),
        ],
    )
}

/// Short reads of what is there.
fn deadlines(scale: Scale<'_>) -> io::Result<()> {
    let far_off = || Instant::now() + Duration::from_secs(30);
    let (near, far) = UnixStream::pair()?;
    let std = near.try_clone()?;
    let ours = Stream::from_std(near)?;
    let reads = |steps: usize, read: &dyn Fn(&mut [u8]) -> io::Result<()>| {
        let mut buf = [0; MESSAGE];
        for step in 0..steps {
            if step % MESSAGES == 0 {
                { &far }.write_all(&[7; MESSAGE * MESSAGES])?;
            }
            read(&mut buf)?;
        }
        // Nothing may be left for whoever is next.
        for _ in 0..steps.next_multiple_of(MESSAGES) - steps {
            { &std }.read_exact(&mut buf)?;
        }
        Ok(())
    };
    let steps = 100 * MESSAGES;
    scale.row(
        "read",
        steps,
        &[
            ("aqueduct", &|steps| reads(steps, &|buf| { &ours }.read_exact(buf))),
            ("aqueduct-deadline", &|steps| {
                ours.set_read_deadline(None);
                reads(steps, &|buf| {
                    ours.set_read_deadline(Some(far_off()));
                    { &ours }.read_exact(buf)
                })?;
                ours.set_read_deadline(None);
                Ok(())
            }),
            ("std", &|steps| reads(steps, &|buf| { &std }.read_exact(buf))),
            ("std-timeout", &|steps| {
                reads(steps, &|buf| {
                    std.set_read_timeout(Some(Duration::from_secs(30)))?;
                    { &std }.read_exact(buf)
                })
            }),
        ],
    )
}
