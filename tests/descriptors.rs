//! How many descriptors there are. Tests of their own, one at a time, since all of the process's
//! count.
#![cfg(target_os = "linux")]

#[path = "kit/mod.rs"]
mod kit;

use aqueduct::copy::Cancel;
use aqueduct::stream::Stream;
use aqueduct::{Copier, is_cancelled};
use kit::{Waiting, Way};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;

static ALONE: Mutex<()> = Mutex::new(());

fn open() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn a_thread_that_has_waited_leaves_no_descriptor_with_the_stream() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    for way in [Way::Plain, Way::Local] {
        let (near, mut far) = UnixStream::pair().unwrap();
        let mut stream = Stream::from_std(near).unwrap();
        let before = open();
        for _ in 0..3 {
            let reader =
                Waiting::start(way, 0, move || (stream.read(&mut [0; 8]).unwrap(), stream));
            let reader = reader.asleep();
            far.write_all(b"late").unwrap();
            let (n, back) = reader.join();
            assert_eq!(n, 4);
            stream = back;
            assert_eq!(open(), before, "{way:?}");
        }
    }
}

#[test]
fn a_copy_that_waits_needs_no_descriptor_more() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (reader, mut writer) = io::pipe().unwrap();
    let cancel = Cancel::new();
    let other = cancel.clone();
    let before = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(3), maximum: before.maximum }).unwrap();
    let (ready, go) = mpsc::channel();
    let copier = thread::spawn(move || {
        ready.send(()).unwrap();
        Copier::new().cancel(&cancel).copy(&mut &reader, &mut io::sink())
    });
    go.recv().unwrap();
    writer.write_all(b"late").unwrap();
    // It is in its wait now, or comes to it later: the cancel is heard either way.
    other.cancel();
    let stopped = copier.join().unwrap().unwrap_err();
    setrlimit(Resource::Nofile, before).unwrap();
    assert!(is_cancelled(&stopped.source), "{stopped}");
}
