//! The models whose system calls are made here: signals and rings.
#![allow(unsafe_code, reason = "signals and rings have no safe interface")]

use super::model::Model;

#[cfg(target_os = "linux")]
pub(crate) fn signals(all: &mut Vec<Box<dyn Model>>) {
    all.push(Box::new(linux::Signals));
}

#[cfg(target_os = "linux")]
pub(crate) fn rings(all: &mut Vec<Box<dyn Model>>) {
    all.push(Box::new(linux::Ring { completes: false }));
    all.push(Box::new(linux::Ring { completes: true }));
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn signals(_all: &mut Vec<Box<dyn Model>>) {}

#[cfg(not(target_os = "linux"))]
pub(crate) fn rings(_all: &mut Vec<Box<dyn Model>>) {}

#[cfg(target_os = "linux")]
mod linux {
    use super::super::model::{Model, ROOM};
    use super::super::tally::Tally;
    use io_uring::{IoUring, opcode, squeue::Entry, types::Fd};
    use std::collections::HashMap;
    use std::io;
    use std::mem::{ManuallyDrop, MaybeUninit};
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;
    use std::sync::mpsc::Sender;

    fn check(result: libc::c_int) -> io::Result<libc::c_int> {
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
    }

    /// A signal for each descriptor that is ready.
    #[derive(Debug)]
    pub(crate) struct Signals;

    impl Signals {
        /// Has `socket` send `signal` to this thread.
        fn arm(socket: &UnixStream, signal: libc::c_int) -> io::Result<()> {
            let fd = socket.as_raw_fd();
            // struct f_owner_ex: F_OWNER_TID, and which thread.
            // SAFETY: gettid only tells; the owner is two ints, which live through the call; the
            // descriptor is open.
            unsafe {
                let owner: [libc::c_int; 2] = [0, libc::gettid()];
                check(libc::fcntl(fd, F_SETOWN_EX, owner.as_ptr()))?;
                check(libc::fcntl(fd, F_SETSIG, signal))?;
                check(libc::fcntl(fd, libc::F_SETFL, libc::O_NONBLOCK | libc::O_ASYNC))?;
            }
            Ok(())
        }
    }

    /// The head of siginfo_t, of a signal of `F_SETSIG`.
    #[repr(C)]
    struct Told {
        _numbers: [libc::c_int; 3],
        _band: libc::c_long,
        fd: libc::c_int,
    }

    const F_SETSIG: libc::c_int = 10;
    const F_SETOWN_EX: libc::c_int = 15;

    impl Model for Signals {
        fn name(&self) -> &'static str {
            "signal"
        }

        fn serve(
            &self,
            sockets: Vec<UnixStream>,
            tally: &Tally,
            ready: Sender<()>,
        ) -> io::Result<()> {
            let signal = libc::SIGRTMIN() + 3;
            let mut set = MaybeUninit::<libc::sigset_t>::uninit();
            // SAFETY: sigemptyset initialises the set, and both signals exist.
            let set = unsafe {
                libc::sigemptyset(set.as_mut_ptr());
                libc::sigaddset(set.as_mut_ptr(), signal);
                libc::sigaddset(set.as_mut_ptr(), libc::SIGIO);
                libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), std::ptr::null_mut());
                set.assume_init()
            };
            tally.called(1);
            let mut open = HashMap::new();
            for socket in sockets {
                tally.called(4);
                Self::arm(&socket, signal)?;
                open.insert(socket.as_raw_fd(), socket);
            }
            let _ = ready.send(());
            let mut buf = vec![0; ROOM];
            while !open.is_empty() {
                let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
                tally.called(1);
                // SAFETY: the set is valid, and `info` is room for the answer.
                let got = unsafe { libc::sigwaitinfo(&raw const set, info.as_mut_ptr()) };
                match check(got) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    other => other?,
                };
                // The queue was full, and which descriptors were meant is lost: ask all.
                let asked: Vec<_> = if got == libc::SIGIO {
                    open.keys().copied().collect()
                } else {
                    // SAFETY: of a signal of F_SETSIG the head is this, and `info` is larger than it.
                    let fd = unsafe { (*info.as_ptr().cast::<Told>()).fd };
                    vec![fd]
                };
                tally.woken(1);
                for fd in asked {
                    let Some(socket) = open.get(&fd) else { continue };
                    let mut read = tally.echo(socket, &mut buf)?;
                    while matches!(read, Some(1..)) {
                        read = tally.echo(socket, &mut buf)?;
                    }
                    if read == Some(0) {
                        open.remove(&fd);
                    }
                }
            }
            Ok(())
        }
    }

    /// io_uring: told of readiness, or of what has been done.
    #[derive(Debug)]
    pub(crate) struct Ring {
        pub(crate) completes: bool,
    }

    /// In an order's number: it is the write of its socket.
    const WRITE: u64 = 1 << 32;

    impl Model for Ring {
        fn name(&self) -> &'static str {
            if self.completes { "uring-done" } else { "uring-ready" }
        }

        fn serve(
            &self,
            sockets: Vec<UnixStream>,
            tally: &Tally,
            ready: Sender<()>,
        ) -> io::Result<()> {
            let mut ring = IoUring::builder().setup_cqsize(32 << 10).setup_clamp().build(1024)?;
            // On failure the kernel may still write to them: they are given up only at the end.
            let rooms = if self.completes { sockets.len() } else { 1 };
            let mut rooms = ManuallyDrop::new(vec![vec![0_u8; ROOM]; rooms]);
            for (at, socket) in sockets.iter().enumerate() {
                if !self.completes {
                    tally.called(1);
                    socket.set_nonblocking(true)?;
                }
                let order = self.wait_for(socket, at, &mut rooms);
                push(&mut ring, tally, &order)?;
            }
            tally.called(1);
            ring.submit()?;
            let _ = ready.send(());
            let mut left = sockets.len();
            let mut done = Vec::new();
            while left > 0 {
                tally.called(1);
                match ring.submit_and_wait(1) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    other => other?,
                };
                done.extend(ring.completion().map(|entry| (entry.user_data(), entry.result())));
                tally.woken(done.len());
                for (tag, result) in done.drain(..) {
                    let at = (tag & !WRITE) as usize;
                    let mut result = match result {
                        error if -error == libc::ECONNRESET => 0,
                        error @ ..0 => return Err(io::Error::from_raw_os_error(-error)),
                        n => n as usize,
                    };
                    let socket = &sockets[at];
                    if !self.completes {
                        result = tally.echo(socket, &mut rooms[0])?.unwrap_or(1);
                    } else if tag & WRITE == 0 && result > 0 {
                        tally.carried(result);
                        let room = rooms[at].as_ptr();
                        let order = opcode::Write::new(Fd(socket.as_raw_fd()), room, result as u32);
                        push(&mut ring, tally, &order.build().user_data(tag | WRITE))?;
                        continue;
                    }
                    if result == 0 {
                        left -= 1;
                    } else {
                        let order = self.wait_for(socket, at, &mut rooms);
                        push(&mut ring, tally, &order)?;
                    }
                }
            }
            // All orders have been answered.
            drop(ManuallyDrop::into_inner(rooms));
            Ok(())
        }
    }

    impl Ring {
        /// The order for what arrives next: to tell, or to read it.
        fn wait_for(&self, socket: &UnixStream, at: usize, rooms: &mut [Vec<u8>]) -> Entry {
            let fd = Fd(socket.as_raw_fd());
            let order = if self.completes {
                opcode::Read::new(fd, rooms[at].as_mut_ptr(), ROOM as u32).build()
            } else {
                opcode::PollAdd::new(fd, libc::POLLIN as u32).build()
            };
            order.user_data(at as u64)
        }
    }

    fn push(ring: &mut IoUring, tally: &Tally, order: &Entry) -> io::Result<()> {
        // SAFETY: the sockets and the buffers, which never move, outlive each order's answer.
        while unsafe { ring.submission().push(order) }.is_err() {
            tally.called(1);
            ring.submit()?;
        }
        Ok(())
    }
}
