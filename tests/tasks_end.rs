//! What the end of a runtime leaves behind, and whom it does not keep waiting.
#![cfg(target_os = "linux")]

#[path = "kit/mod.rs"]
mod kit;

use aqueduct::stream::Stream;
use aqueduct::task::{self, JoinError, Runtime};
use std::io::{self, ErrorKind, Read, Write};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

const LONG: Duration = Duration::from_secs(3600);

fn open() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// A test of its own process, since descriptors are counted: it is run by the next one.
#[test]
#[ignore = "counts descriptors: run alone, by the test below"]
fn descriptors_of_runtimes() {
    let runtimes = || {
        for workers in 1..3 {
            let builder = || Runtime::builder().workers(workers);
            let runtime = builder().build().unwrap();
            let sleeper = runtime.spawn(|| task::sleep(LONG));
            runtime.spawn(|| ()).join().unwrap();
            runtime.shutdown().unwrap();
            // It may have been cancelled before it began.
            drop(sleeper.join());
            builder().run(|| task::spawn(|| ()).join().unwrap()).unwrap();
        }
    };
    runtimes();
    let before = open();
    (0..3).for_each(|_| runtimes());
    assert_eq!(open(), before);
}

#[test]
fn a_runtime_that_ended_has_closed_its_descriptors() {
    let program = std::env::current_exe().unwrap();
    let args = ["--exact", "descriptors_of_runtimes", "--ignored", "--nocapture"];
    let output = std::process::Command::new(program).args(args).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn who_joins_a_task_that_is_left_as_it_is_waits_no_longer() {
    kit::within("a joiner", || {
        let short = Duration::from_millis(10);
        let runtime = Runtime::builder().workers(1).patience(short).build().unwrap();
        let (began, begins) = mpsc::channel();
        let stubborn = runtime.spawn(move || {
            began.send(()).unwrap();
            loop {
                let _ = task::sleep(LONG);
            }
        });
        begins.recv().unwrap();
        let joiner = thread::spawn(move || stubborn.join().unwrap_err());
        assert_eq!(runtime.shutdown().unwrap_err().tasks, 1);
        let JoinError::NotJoined(why) = joiner.join().unwrap() else { panic!("not left") };
        assert_eq!(why.kind(), ErrorKind::NotConnected);
    });
}

/// The first worker of a `run` has no more to do while the second still ends. What waits elsewhere
/// for streams that were registered with the first must not wait for that.
#[test]
fn a_worker_that_is_done_passes_its_streams_on() {
    kit::within("a stream of a worker that is done", || {
        let (reader, mut writer) = io::pipe().unwrap();
        let reader = Stream::from_std(reader).unwrap();
        let (tell_reader, registered) = mpsc::channel();
        let (end, ends) = mpsc::channel::<()>();
        let (proceed, proceeds) = mpsc::channel::<()>();
        let first = thread::spawn(move || {
            let builder = Runtime::builder().workers(2).name("first").patience(LONG);
            builder.run(move || {
                reader.set_read_timeout(Some(Duration::from_millis(1)));
                assert_eq!((&reader).read(&mut [0]).unwrap_err().kind(), ErrorKind::TimedOut);
                reader.set_read_timeout(None);
                occupy_second(ends);
                tell_reader.send((reader, kit::this_thread())).unwrap();
                proceeds.recv().unwrap();
            })
        });
        let (reader, first_worker) = registered.recv().unwrap();
        let second = Runtime::builder().workers(1).build().unwrap();
        let (tell_worker, worker) = mpsc::channel();
        let read = second.spawn(move || {
            tell_worker.send(kit::this_thread()).unwrap();
            (&reader).read(&mut [0])
        });
        kit::until_asleep(worker.recv().unwrap());
        proceed.send(()).unwrap();
        kit::until_asleep(first_worker);
        writer.write_all(b"!").unwrap();
        assert_eq!(read.join().unwrap().unwrap(), 1);
        end.send(()).unwrap();
        first.join().unwrap().unwrap();
    });
}

/// The second worker is blocked until it is told.
fn occupy_second(until: mpsc::Receiver<()>) {
    let (tell, done) = mpsc::channel();
    let until = Arc::new(Mutex::new(Some(until)));
    while done.try_recv().is_err() {
        let (tell, until) = (tell.clone(), Arc::clone(&until));
        drop(task::spawn(move || {
            if thread::current().name() == Some("first-1") {
                let until = until.lock().unwrap().take();
                if let Some(until) = until {
                    tell.send(()).unwrap();
                    until.recv().unwrap();
                }
            }
        }));
        // Whoever is not run is more load, and the next one goes elsewhere.
        thread::yield_now();
    }
}
