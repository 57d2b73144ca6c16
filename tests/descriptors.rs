//! What happens when no descriptor is left. A test of its own, since the limit is the process's.
#![cfg(target_os = "linux")]

use aqueduct::copy::Cancel;
use aqueduct::{Copier, is_cancelled};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io::{self, Write};
use std::sync::mpsc;
use std::thread;

#[test]
fn a_copy_that_waits_needs_no_descriptor_more() {
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
