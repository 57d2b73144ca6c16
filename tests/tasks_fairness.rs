//! Whoever could go on for ever without waiting lets others run all the same.
#![cfg(target_os = "linux")]

#[path = "kit/mod.rs"]
mod kit;

use aqueduct::copy::Cancel;
use aqueduct::stream::Stream;
use aqueduct::{Copier, ReadExt, is_cancelled, pipe_with_capacity, task};
use kit::{Waiting, Way, streams, tcp, unix};
use std::fs::File;
use std::io::{self, BufRead, Read, Seek, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Runs `busy`, which never waits, until the flag that it is given is set by another task of the same
/// worker, one that needs many turns for it.
fn beside(name: &str, busy: impl FnOnce(Arc<AtomicBool>, Cancel) + Send + 'static) {
    Way::Tasks.run(name, move || {
        let (over, cancel) = (Arc::new(AtomicBool::new(false)), Cancel::new());
        let other = {
            let (over, cancel) = (Arc::clone(&over), cancel.clone());
            task::spawn(move || {
                (0..100).for_each(|_| task::yield_now());
                over.store(true, Ordering::Relaxed);
                cancel.cancel();
            })
        };
        let busy = task::spawn(move || busy(over, cancel));
        busy.join().unwrap();
        other.join().unwrap();
    });
}

/// Calls `act` over and over until that.
fn looped(name: &str, mut act: impl FnMut() + Send + 'static) {
    beside(name, move |over, _| {
        while !over.load(Ordering::Relaxed) {
            act();
        }
    });
}

#[test]
fn descriptors_that_are_always_ready() {
    let open = |path| Stream::from_std(File::options().read(true).write(true).open(path).unwrap());
    let mut zero = open("/dev/zero").unwrap();
    looped("read /dev/zero", move || assert_eq!(zero.read(&mut [0; 8]).unwrap(), 8));
    let mut null = open("/dev/null").unwrap();
    looped("write /dev/null", move || assert_eq!(null.write(&[0; 8]).unwrap(), 8));
    let (mut a, mut b) = streams(tcp());
    looped("a socket to itself", move || {
        a.write_all(b"x").unwrap();
        b.read_exact(&mut [0]).unwrap();
    });
    let mut file = Stream::from_std(tempfile::tempfile().unwrap()).unwrap();
    looped("write a file", move || {
        file.write_all(&[7; 100]).unwrap();
        { file.get_ref() }.rewind().unwrap();
    });
}

#[test]
fn pipes_in_memory_that_are_always_ready() {
    let (mut reader, mut writer) = pipe_with_capacity(64);
    looped("a pipe to itself", move || {
        writer.write_all(b"x").unwrap();
        reader.read_exact(&mut [0]).unwrap();
    });
    let (mut reader, mut writer) = pipe_with_capacity(64);
    looped("a pipe to itself, lent", move || {
        writer.write_all(b"x").unwrap();
        reader.fill_buf().unwrap();
        reader.consume(1);
    });
    let (mut reader, mut writer) = pipe_with_capacity(1 << 30);
    looped("a pipe with endless room", move || writer.write_all(b"x").unwrap());
    drop(reader.read(&mut [0]));
}

#[test]
fn pipes_in_memory_whose_other_end_is_quick() {
    // It reads on another processor, so that there always is room.
    let (mut reader, mut writer) = pipe_with_capacity(1 << 20);
    let drain = Waiting::start(Way::Plain, 0, move || io::copy(&mut reader, &mut io::sink()));
    looped("always writable", move || writer.write_all(b"x").unwrap());
    assert!(drain.join().unwrap() > 0);

    let (mut reader, mut writer) = pipe_with_capacity(1 << 20);
    let feed = Waiting::start(Way::Plain, 0, move || while writer.write_all(&[0; 4096]).is_ok() {});
    looped("always readable", move || assert!(reader.read(&mut [0; 4096]).unwrap() > 0));
    feed.join();
}

/// A copy that has no end but the cancel.
fn copied(
    name: &str,
    copy: impl FnOnce(Copier) -> Result<(), aqueduct::CopyError> + Send + 'static,
) {
    beside(name, move |_, cancel| {
        let stopped = copy(Copier::new().cancel(&cancel).share_pages(true)).unwrap_err();
        assert!(is_cancelled(&stopped.source), "{stopped}");
    });
}

#[test]
fn copies_that_never_wait() {
    copied("memory to memory", |copier| copier.copy(&mut io::repeat(7), &mut io::sink()).map(drop));
    let null = || File::options().write(true).open("/dev/null").unwrap();
    copied("device to device", move |copier| {
        copier.copy(&mut File::open("/dev/zero").unwrap(), &mut null()).map(drop)
    });
    copied("endless lines", move |copier| {
        let mut lines = io::BufReader::new(io::repeat(b'\n')).take(u64::MAX);
        copier.copy(&mut (&mut lines as &mut dyn Read), &mut null()).map(drop)
    });
    // As large as files may be, and empty: it is moved by the kernel, without end.
    let mut holes = tempfile::tempfile().unwrap();
    holes.set_len(1 << 42).unwrap();
    copied("file to device", move |copier| {
        copier.copy(&mut (&mut holes).count(), &mut null()).map(drop)
    });
    let mut holes = tempfile::tempfile().unwrap();
    holes.set_len(1 << 42).unwrap();
    let (to, peer) = streams(unix());
    let drain = Waiting::start(Way::Plain, 0, move || io::copy(&mut { &peer }, &mut io::sink()));
    copied("file to socket", move |copier| copier.copy(&mut holes, &mut { to }).map(drop));
    assert!(drain.join().unwrap() > 0);
}

#[test]
fn a_copy_between_files_lets_others_run_once_a_mebibyte() {
    let mut from = tempfile::tempfile().unwrap();
    from.write_all(&vec![7; 64 << 20]).unwrap();
    from.rewind().unwrap();
    Way::Tasks.run("file to file", move || {
        let over = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&over);
        let copying = task::spawn(move || {
            let mut to = tempfile::tempfile().unwrap();
            let report = Copier::new().copy(&mut from, &mut to).unwrap();
            over.store(true, Ordering::Relaxed);
            report
        });
        let mut turns = 0;
        while !seen.load(Ordering::Relaxed) {
            task::yield_now();
            turns += 1;
        }
        let report = copying.join().unwrap();
        assert_eq!(report.copied(), 64 << 20);
        assert!(turns >= 60, "{turns} turns, by {report}");
    });
}
