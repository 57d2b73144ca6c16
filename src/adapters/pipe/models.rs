//! Models of pipes between tasks and threads: see `task::models`.

use super::{Reader, Writer, pipe, pipe_with_capacity};
use crate::error::is_cancelled;
use crate::sync::thread::{panicking, unwinding};
use crate::task::models::{explore, runtime};
use shuttle::thread;
use std::io::{ErrorKind, Read, Write};

const KINDS: [fn() -> (Reader, Writer); 2] = [pipe, || pipe_with_capacity(2)];

/// Reads to the end, or to an error.
fn all(mut reader: Reader) -> (Vec<u8>, Option<ErrorKind>) {
    let (mut got, mut buf) = (Vec::new(), [0; 3]);
    loop {
        match reader.read(&mut buf) {
            Ok(0) => return (got, None),
            Ok(n) => got.extend_from_slice(&buf[..n]),
            Err(error) => return (got, Some(error.kind())),
        }
    }
}

/// Writes until it is ended; how many bytes it says that it has written.
fn some(writer: &mut Writer) -> usize {
    let (mut said, bytes) = (0, [1, 2, 3, 4, 5]);
    while said < bytes.len() {
        match writer.write(&bytes[said..]) {
            Ok(n) => said += n,
            Err(error) => {
                let kinds = [ErrorKind::NotConnected, ErrorKind::BrokenPipe];
                assert!(is_cancelled(&error) || kinds.contains(&error.kind()), "{error}");
                break;
            }
        }
    }
    said
}

#[test]
fn shuttle_a_pipe_between_tasks_and_threads_loses_no_byte() {
    for kind in KINDS {
        explore(move || {
            let runtime = runtime(2);
            let (reader, mut writer) = kind();
            let reads = runtime.spawn(move || all(reader));
            let writes = runtime.spawn(move || some(&mut writer));
            assert_eq!(writes.join().unwrap(), 5);
            assert_eq!(reads.join().unwrap(), (vec![1, 2, 3, 4, 5], None));

            let (reader, mut writer) = kind();
            let reads = thread::spawn(move || all(reader));
            let writes = runtime.spawn(move || some(&mut writer));
            assert_eq!(reads.join().unwrap(), (vec![1, 2, 3, 4, 5], None));
            assert_eq!(writes.join().unwrap(), 5);
            runtime.shutdown().unwrap();
        });
    }
}

/// A transfer under way is not cut short: the writer's count is what the reader has.
#[test]
fn shuttle_a_cancelled_writer_tells_what_was_read() {
    for kind in KINDS {
        explore(move || {
            let runtime = runtime(2);
            let (reader, mut writer) = kind();
            let reads = runtime.spawn(move || all(reader));
            let writes = runtime.spawn(move || some(&mut writer));
            writes.cancel();
            // Not carried out at all, it has dropped the writer.
            let said = writes.join().unwrap_or(0);
            let (got, end) = reads.join().unwrap();
            assert_eq!((&got[..], end), (&[1, 2, 3, 4, 5][..said], None));
            runtime.shutdown().unwrap();
        });
    }
}

/// Nor by a close, from a thread.
#[test]
fn shuttle_a_closed_writer_tells_what_was_read() {
    for kind in KINDS {
        explore(move || {
            let runtime = runtime(1);
            let (reader, mut writer) = kind();
            let control = writer.control();
            let closes = thread::spawn(move || control.close());
            let writes = runtime.spawn(move || some(&mut writer));
            let (got, end) = all(reader);
            let said = writes.join().unwrap();
            assert_eq!((&got[..], end), (&[1, 2, 3, 4, 5][..said], None));
            closes.join().unwrap();
            runtime.shutdown().unwrap();
        });
    }
}

/// What a cancelled reader has taken it has told, and the rest is there for the next one.
#[test]
fn shuttle_a_cancelled_reader_takes_nothing_with_it() {
    for kind in KINDS {
        explore(move || {
            let runtime = runtime(2);
            let (mut reader, mut writer) = kind();
            let writes = runtime.spawn(move || some(&mut writer));
            let first = runtime.spawn(move || {
                let mut buf = [0; 3];
                match reader.read(&mut buf) {
                    Ok(n) => (reader, buf[..n].to_vec()),
                    Err(error) if is_cancelled(&error) => (reader, Vec::new()),
                    Err(other) => panic!("{other}"),
                }
            });
            first.cancel();
            match first.join() {
                Ok((reader, mut got)) => {
                    got.append(&mut all(reader).0);
                    assert_eq!(got, [1, 2, 3, 4, 5]);
                    assert_eq!(writes.join().unwrap(), 5);
                }
                // It was not carried out, and the reader is gone.
                Err(_) => drop(writes.join()),
            }
            runtime.shutdown().unwrap();
        });
    }
}

/// Who unwinds takes what is there, and leaves the rest to those who wait (I12).
#[test]
fn shuttle_who_unwinds_does_not_wait_in_a_pipe() {
    for kind in KINDS {
        explore(move || {
            let runtime = runtime(1);
            let (mut reader, mut writer) = kind();
            let writes = runtime.spawn(move || {
                let said = some(&mut writer);
                assert!(!panicking());
                said
            });
            let reads = runtime.spawn(move || {
                let mut buf = [0; 3];
                let n = unwinding(|| reader.read(&mut buf)).unwrap_or_else(|error| {
                    assert_eq!(error.kind(), ErrorKind::Deadlock);
                    0
                });
                [&buf[..n], &all(reader).0].concat()
            });
            // On a thread too, to which nothing ever comes.
            let (mut never, _writer) = kind();
            let thread = thread::spawn(move || unwinding(|| never.read(&mut [0])));
            let refused = thread.join().unwrap().unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Deadlock);
            assert_eq!(reads.join().unwrap(), [1, 2, 3, 4, 5]);
            assert_eq!(writes.join().unwrap(), 5);
            runtime.shutdown().unwrap();
        });
    }
}
