//! A cancel reaches a task wherever it waits, and leaves everything else in order.
#![cfg(target_os = "linux")]

#[path = "kit/mod.rs"]
mod kit;

use aqueduct::adapters::pipe::{Reader, Writer};
use aqueduct::copy::Cancel;
use aqueduct::stream::Stream;
use aqueduct::task::{self, JoinError, JoinHandle};
use aqueduct::{Copier, CopyError, copy, is_cancelled, pipe, pipe_with_capacity};
use kit::{Waiting, Way, noise, streams, tcp, terminal, unix};
use std::any::Any;
use std::future;
use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::unbounded_channel;

/// A call that waits until it is cancelled, and what must be there meanwhile.
struct Endless {
    call: Box<dyn FnOnce() -> io::Error + Send>,
    _keep: Box<dyn Any + Send>,
}

fn endless(
    call: impl FnOnce() -> io::Error + Send + 'static,
    keep: impl Any + Send + 'static,
) -> Endless {
    Endless { call: Box::new(call), _keep: Box::new(keep) }
}

const HOUR: Duration = Duration::from_secs(3600);

fn reading<T: std::os::fd::AsFd + Send + Sync + 'static>(ends: (T, T)) -> Endless {
    let (mut a, b) = streams(ends);
    endless(move || a.read(&mut [0; 8]).unwrap_err(), b)
}

fn writing<T: std::os::fd::AsFd + Send + Sync + 'static>(ends: (T, T)) -> Endless {
    let (mut a, b) = streams(ends);
    endless(move || until_error(&mut a), b)
}

fn until_error(to: &mut impl Write) -> io::Error {
    loop {
        if let Err(error) = to.write(&[0; 1 << 16]) {
            return error;
        }
    }
}

/// Somebody else has the turn of what `a` and `b` share.
fn queueing<T: Send + Sync + 'static>(
    shared: T,
    call: impl Fn(&T) -> io::Error + Send + Sync + Copy + 'static,
) -> Endless {
    let shared = Arc::new(shared);
    let theirs = Arc::clone(&shared);
    let first = Waiting::start(Way::Tasks, 0, move || call(&theirs)).asleep();
    endless(move || call(&shared), Turn(Some(first)))
}

struct Turn(Option<Waiting<io::Error>>);

impl Drop for Turn {
    fn drop(&mut self) {
        let first = self.0.take().unwrap();
        first.task().unwrap().cancel();
        assert!(is_cancelled(&first.join()));
    }
}

type Make = fn() -> Endless;

fn waits() -> Vec<(&'static str, Make)> {
    vec![
        ("read tcp", || reading(tcp())),
        ("read unix", || reading(unix())),
        ("read tty", || reading(terminal(true))),
        ("read pipe", || {
            let (mut reader, writer) = streams(io::pipe().unwrap());
            endless(move || reader.read(&mut [0]).unwrap_err(), writer)
        }),
        ("write tcp", || writing(tcp())),
        ("write unix", || writing(unix())),
        ("write pipe", || {
            let (reader, mut writer) = streams(io::pipe().unwrap());
            endless(move || until_error(&mut writer), reader)
        }),
        ("read in memory", || {
            let (mut reader, writer) = pipe();
            endless(move || reader.read(&mut [0]).unwrap_err(), writer)
        }),
        ("write in memory", || {
            let (reader, mut writer) = pipe();
            endless(move || until_error(&mut writer), reader)
        }),
        ("read in memory, buffered", || {
            let (mut reader, writer) = pipe_with_capacity(9);
            endless(move || reader.read(&mut [0]).unwrap_err(), writer)
        }),
        ("write in memory, buffered", || {
            let (reader, mut writer) = pipe_with_capacity(9);
            endless(move || until_error(&mut writer), reader)
        }),
        ("queue to read", || {
            let (a, b) = streams(unix());
            queueing((a, b), |(a, _)| { a }.read(&mut [0]).unwrap_err())
        }),
        ("queue to write", || {
            let (a, b) = streams(unix());
            queueing((a, b), |(a, _)| until_error(&mut { a }))
        }),
        ("queue to read in memory", || {
            queueing(pipe(), |(reader, _): &(Reader, Writer)| {
                { reader }.read(&mut [0]).unwrap_err()
            })
        }),
        ("queue to write in memory", || {
            let call = |(_, writer): &(Reader, Writer)| until_error(&mut { writer });
            queueing(pipe_with_capacity(9), call)
        }),
        ("join", || {
            let (stop, mut stopped) = unbounded_channel::<()>();
            let other = task::spawn(move || task::wait(stopped.recv()).map(drop));
            let call = move || match other.join() {
                Err(JoinError::NotJoined(error)) => error,
                other => panic!("{other:?}"),
            };
            endless(call, stop)
        }),
        ("sleep", || endless(|| task::sleep(HOUR).unwrap_err(), ())),
        ("sleep for ever", || endless(|| task::sleep(Duration::MAX).unwrap_err(), ())),
        ("scope", || {
            let call = || {
                let mut error = None;
                task::scope(|scope| {
                    scope.spawn(|| error = task::sleep(HOUR).err());
                });
                // Or it was not run, where the scope was cancelled before.
                error.unwrap_or_else(|| task::sleep(Duration::ZERO).unwrap_err())
            };
            endless(call, ())
        }),
        ("join in a scope", || {
            let call = || {
                let (reader, writer) = pipe();
                let joined = task::scope(|scope| {
                    let child = scope.spawn(|| { &reader }.read(&mut [0]));
                    child.join()
                });
                drop(writer);
                match joined {
                    Err(JoinError::NotJoined(error)) => error,
                    other => panic!("{other:?}"),
                }
            };
            endless(call, ())
        }),
        ("a future", || endless(|| task::wait(future::pending::<()>()).unwrap_err(), ())),
        ("unblock", || {
            let (stop, stopped) = mpsc::channel::<()>();
            endless(move || task::unblock(move || stopped.recv()).map(drop).unwrap_err(), stop)
        }),
        ("copy from a stream", || {
            let ((mut from, feed), mut to) = (streams(unix()), Vec::new());
            endless(move || copy(&mut from, &mut to).unwrap_err().source, feed)
        }),
        ("copy from a stream into another", || {
            let ((mut from, feed), (mut to, peer)) = (streams(tcp()), streams(unix()));
            endless(move || copy(&mut from, &mut to).unwrap_err().source, (feed, peer))
        }),
        ("copy into a full stream", || {
            let (mut to, peer) = streams(tcp());
            let call = move || copy(&mut io::repeat(7), &mut to).unwrap_err().source;
            endless(call, peer)
        }),
        ("copy through a broker into a full stream", || {
            let ((mut from, feed), (mut to, peer)) = (streams(tcp()), streams(tcp()));
            let feeder = Waiting::start(Way::Plain, 0, move || until_error(&mut { feed }));
            endless(move || copy(&mut from, &mut to).unwrap_err().source, (peer, feeder))
        }),
        ("copy between pipes in memory", || {
            let ((mut from, feed), (peer, mut to)) = (pipe(), pipe());
            let call = move || copy(&mut from, &mut to).unwrap_err().source;
            endless(call, (feed, peer))
        }),
        ("copy that watches its outlet and has a switch", || {
            let ((mut from, feed), (mut to, peer)) = (streams(unix()), streams(unix()));
            let call = move || {
                let copier = Copier::new().watch_outputs(true).cancel(&Cancel::new());
                copier.copy(&mut from, &mut to).unwrap_err().source
            };
            endless(call, (feed, peer))
        }),
    ]
}

const WAYS: [Way; 3] = [Way::Tasks, Way::Workers, Way::Across];

/// Number 1 is across where that is the way.
fn start(way: Way, call: impl FnOnce() -> io::Error + Send + 'static) -> Waiting<io::Error> {
    Waiting::start(way, 1, call)
}

#[test]
fn every_wait_under_way_is_ended() {
    for (name, make) in waits() {
        for way in WAYS {
            way.run(name, move || {
                let Endless { call, _keep } = make();
                let waiting = start(way, call).asleep();
                waiting.task().unwrap().cancel();
                let error = waiting.join();
                assert!(is_cancelled(&error), "{error:?}");
            });
        }
    }
}

#[test]
fn every_wait_to_come_is_refused() {
    for (name, make) in waits() {
        for way in WAYS {
            way.run(name, move || {
                let Endless { call, _keep } = make();
                let began = Arc::new(AtomicBool::new(false));
                let begins = Arc::clone(&began);
                let waiting = start(way, move || {
                    begins.store(true, Ordering::Relaxed);
                    while !task::is_cancelled() {
                        task::yield_now();
                    }
                    call()
                });
                while !began.load(Ordering::Relaxed) {
                    task::yield_now();
                }
                waiting.task().unwrap().cancel();
                let error = waiting.join();
                assert!(is_cancelled(&error), "{error:?}");
            });
        }
    }
}

#[test]
fn a_cancel_from_a_thread_may_come_at_any_time() {
    for (name, make) in waits() {
        Way::Tasks.run(name, move || {
            for round in 0..30_u32 {
                let Endless { call, _keep } = make();
                let task = Arc::new(task::spawn(call));
                let theirs = Arc::clone(&task);
                let (go, gone) = mpsc::channel();
                let canceller = Waiting::start(Way::Plain, 0, move || {
                    gone.recv().unwrap();
                    (0..round * 200).for_each(|_| std::hint::spin_loop());
                    theirs.cancel();
                });
                go.send(()).unwrap();
                task::yield_now();
                canceller.join();
                match Arc::into_inner(task).map(JoinHandle::join) {
                    Some(Ok(error)) => assert!(is_cancelled(&error), "{error:?}"),
                    Some(Err(JoinError::NotRun(error))) => assert!(is_cancelled(&error)),
                    other => panic!("{other:?}"),
                }
            }
        });
    }
}

#[test]
fn what_need_not_wait_goes_on_in_a_task_that_was_cancelled() {
    Way::Tasks.run("no wait", || {
        let task = task::spawn(|| {
            while !task::is_cancelled() {
                task::yield_now();
            }
            let (mut a, mut b) = streams(unix());
            a.write_all(b"farewell").unwrap();
            let mut buf = [0; 8];
            b.read_exact(&mut buf).unwrap();
            assert_eq!(&buf, b"farewell");
            let (mut reader, mut writer) = pipe_with_capacity(8);
            writer.write_all(b"in order").unwrap();
            reader.read_exact(&mut buf).unwrap();
            assert_eq!(task::wait(future::ready(5)).unwrap(), 5);
            let mut sum = 0;
            task::scope(|scope| {
                scope.spawn(|| sum = 7);
            });
            // It was not run, for the scope was cancelled before it began.
            assert_eq!(sum, 0);
        });
        task::yield_now();
        task.cancel();
        task.join().unwrap();
    });
}

#[test]
fn the_turn_goes_to_the_next_when_those_before_are_cancelled() {
    for way in WAYS {
        way.run("turns", move || {
            let (a, b) = streams(unix());
            let a = Arc::new(a);
            let readers = [0, 1, 2, 3, 4].map(|i| {
                let a = Arc::clone(&a);
                Waiting::start(way, i, move || { &*a }.read(&mut [0; 8]).map_err(|e| e.kind()))
                    .asleep()
            });
            let count = readers.len();
            let mut left = Vec::new();
            for (i, reader) in readers.into_iter().enumerate() {
                match reader.task() {
                    Some(task) if i + 1 < count => {
                        task.cancel();
                        reader.join().unwrap_err();
                    }
                    _ => left.push(reader),
                }
            }
            for reader in left {
                // More may come than they read.
                while !reader.is_finished() {
                    let _ = b.try_write(b"x");
                    task::yield_now();
                }
                assert!(reader.join().unwrap() > 0);
            }
        });
    }
}

#[test]
fn a_future_is_dropped_and_what_was_unblocked_goes_on() {
    Way::Tasks.run("dropped", || {
        struct Note(Arc<AtomicUsize>);
        impl Drop for Note {
            fn drop(&mut self) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        let dropped = Arc::new(AtomicUsize::new(0));
        let note = Note(Arc::clone(&dropped));
        let task = task::spawn(move || {
            let waits = async move {
                let _note = note;
                future::pending::<()>().await;
            };
            task::wait(waits).unwrap_err()
        });
        task::yield_now();
        task.cancel();
        assert!(is_cancelled(&task.join().unwrap()));
        assert_eq!(dropped.load(Ordering::Relaxed), 1);

        let (go, gone) = mpsc::channel::<()>();
        let (tell, mut heard) = unbounded_channel();
        let task = task::spawn(move || {
            let work = move || {
                gone.recv().unwrap();
                tell.send("done all the same").unwrap();
            };
            task::unblock(work).unwrap_err()
        });
        task::yield_now();
        task.cancel();
        assert!(is_cancelled(&task.join().unwrap()));
        go.send(()).unwrap();
        assert_eq!(task::wait(heard.recv()).unwrap().unwrap(), "done all the same");
    });
}

#[test]
fn a_copy_that_is_cancelled_loses_nothing() {
    for way in WAYS {
        way.run("nothing lost", move || {
            for round in 0..20 {
                let ((from, feed), (to, peer)) = (streams(tcp()), streams(unix()));
                let sent = noise(3 << 20, round + 1);
                let copied = sent.clone();
                let feeder = Waiting::start(Way::Plain, 0, move || {
                    { &feed }.write_all(&copied).unwrap();
                });
                let (mut from, mut to) = (from, to);
                let mover = Waiting::start(way, 1, move || {
                    let stopped = copy(&mut from, &mut to);
                    (stopped, from, to)
                });
                let mut got = vec![0; 1 << 19];
                { &peer }.read_exact(&mut got).unwrap();
                mover.task().unwrap().cancel();
                let (stopped, mut from, mut to): (Result<u64, CopyError>, _, _) = mover.join();
                let stopped = stopped.unwrap_err();
                assert!(is_cancelled(&stopped.source));
                let reader = Waiting::start(Way::Plain, 0, move || {
                    let mut rest = Vec::new();
                    { &peer }.read_to_end(&mut rest).map(|_| rest).unwrap()
                });
                let resumed = Waiting::start(way, 0, move || {
                    let mut all = io::Cursor::new(stopped.into_pending());
                    copy(&mut all, &mut to).unwrap();
                    copy(&mut from, &mut to).unwrap();
                });
                resumed.join();
                got.extend(reader.join());
                assert!(got == sent, "round {round}: {} of {}", got.len(), sent.len());
                feeder.join();
            }
        });
    }
}

#[test]
fn who_ignores_it_starves_nobody_wherever_it_waits() {
    for (name, make) in waits() {
        // What these leave behind can only be waited for by who was not cancelled.
        if ["copy", "queue", "unblock", "join"].iter().any(|what| name.starts_with(what)) {
            continue;
        }
        Way::Tasks.run(name, move || {
            let over = Arc::new(AtomicBool::new(false));
            let seen = Arc::clone(&over);
            let stubborn = task::spawn(move || {
                while !seen.load(Ordering::Relaxed) {
                    let Endless { call, _keep } = make();
                    call();
                }
            });
            task::yield_now();
            stubborn.cancel();
            let start = Instant::now();
            let other = task::spawn(move || {
                (0..100).for_each(|_| task::yield_now());
                over.store(true, Ordering::Relaxed);
            });
            other.join().unwrap();
            stubborn.join().unwrap();
            assert!(start.elapsed() < kit::PATIENCE);
            assert!(!thread::panicking());
        });
    }
}

#[test]
fn a_stream_that_was_waited_for_works_on() {
    Way::Across.run("works on", || {
        let (a, b) = streams(unix());
        let (a, b) = (Arc::new(a), Arc::new(b));
        for round in 0..50 {
            let theirs = Arc::clone(&a);
            let reader = Waiting::start(Way::Across, round % 2, move || {
                { &*theirs }.read(&mut [0; 8]).map_err(|error| is_cancelled(&error))
            });
            let reader = if round % 3 == 0 { reader.asleep() } else { reader };
            reader.task().unwrap().cancel();
            if let Some(read) = reader.join_or_unrun() {
                assert!(read.unwrap_err());
            }
            let writer: Arc<Stream<_>> = Arc::clone(&b);
            let writer =
                Waiting::start(Way::Across, round, move || { &*writer }.write_all(b"x").unwrap());
            let n = { &*a }.read(&mut [0; 8]).unwrap();
            assert_eq!(n, 1);
            writer.join();
        }
    });
}
