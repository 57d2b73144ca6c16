//! The backend of models: no descriptors, and a sleep that nothing but a wake ends, unless it is a
//! short one. So where a wake is lost nobody goes on, and the model says so.

use super::{Caps, Happening, Interest, Key, Mode, Netpoll};
use crate::sync::{Condvar, Mutex, thread};
use std::io;
use std::os::fd::{BorrowedFd, RawFd};
use std::time::{Duration, Instant};

/// A model takes no longer, so that what is later never comes.
const NEVER: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(crate) struct Model {
    woken: Mutex<bool>,
    wake: Condvar,
}

impl Netpoll for Model {
    const CAPS: Caps = Caps { edge: true, drains: true, arm: false };

    fn init() -> io::Result<Self> {
        Ok(Self { woken: Mutex::new(false), wake: Condvar::new() })
    }

    fn open(&self, _: BorrowedFd<'_>, _: Key, _: Interest, _: Mode) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn modify(&self, _: BorrowedFd<'_>, _: Key, _: Interest, _: Mode) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn close(&self, _: BorrowedFd<'_>) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn poll(&self, until: Option<Instant>, _: &mut Vec<Happening>) -> io::Result<bool> {
        let until = until.filter(|&at| at < Instant::now() + NEVER);
        let mut woken = self.woken.lock().expect("no panic");
        while !*woken {
            woken = match until {
                None => self.wake.wait(woken).expect("no panic"),
                Some(at) if at <= Instant::now() => break,
                Some(_) => {
                    drop(woken);
                    thread::yield_now();
                    self.woken.lock().expect("no panic")
                }
            };
        }
        Ok(std::mem::take(&mut *woken))
    }

    fn wake(&self) {
        *self.woken.lock().expect("no panic") = true;
        self.wake.notify_one();
    }

    fn is_poll_descriptor(&self, _: RawFd) -> bool {
        false
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}
