//! A stream that waits without anybody who waits.

use super::Stream;
use crate::poll::{What, announce_other, withdraw};
use crate::task;
use std::os::fd::AsFd;
use std::time::Instant;

impl<T: AsFd + Send + Sync + 'static> Stream<T> {
    /// Runs `f` with the stream as a task of this worker once there is something to read, or it is
    /// closed, or its read deadline or `until` has passed: `f` reads and sees. Until then the stream
    /// takes no stack, and nothing else but `f`.
    #[allow(dead_code, reason = "servers need it that keep connections without a task")]
    pub(crate) fn rest(self, until: Option<Instant>, f: impl FnOnce(Self) + Send + 'static) {
        let resting = Self { inner: self.inner.clone() };
        let awake = move || {
            withdraw(&self.wait(What::Readable));
            f(self);
        };
        task::spawn_parked(awake, move |me| {
            // Whatever fails here, the read that follows says it.
            let deadline = announce_other(&mut resting.wait(What::Readable), &me).ok()??;
            Some([deadline, until].into_iter().flatten().min())
        });
    }
}

#[cfg(all(test, target_os = "linux", not(miri), not(aqueduct_loom)))]
mod tests {
    use super::*;
    use std::io::{self, ErrorKind, PipeReader, Read, Write};
    use std::sync::mpsc;
    use std::time::Duration;

    fn resting()
    -> (Stream<PipeReader>, io::PipeWriter, mpsc::Sender<String>, mpsc::Receiver<String>) {
        let (reader, writer) = io::pipe().unwrap();
        let (says, said) = mpsc::channel();
        (Stream::from_std(reader).unwrap(), writer, says, said)
    }

    fn read(mut stream: Stream<PipeReader>, says: &mpsc::Sender<String>) {
        let mut buf = [0; 80];
        let text = match stream.read(&mut buf) {
            Ok(n) => String::from_utf8_lossy(&buf[..n]).into_owned(),
            Err(error) => format!("{:?}", error.kind()),
        };
        says.send(text).unwrap();
    }

    #[test]
    fn bytes_a_close_and_time_start_it() {
        for what in ["bytes", "bytes that are there", "end", "closed", "late", "deadline"] {
            let (stream, mut writer, says, said) = resting();
            let control = stream.control();
            task::run(move || {
                let soon = Instant::now() + Duration::from_millis(5);
                if what == "bytes that are there" {
                    writer.write_all(b"news").unwrap();
                }
                if what == "deadline" {
                    stream.set_read_deadline(Some(soon));
                }
                let until = (what == "late").then_some(soon);
                stream.rest(until, move |stream| {
                    if what == "late" {
                        assert!(Instant::now() >= soon);
                        stream.set_read_deadline(until);
                    }
                    read(stream, &says);
                });
                task::yield_now();
                match what {
                    "bytes" => writer.write_all(b"news").unwrap(),
                    "end" => drop(writer),
                    "closed" => control.close(),
                    _ => {}
                }
                let answer = loop {
                    match said.try_recv() {
                        Ok(answer) => break answer,
                        Err(_) => task::sleep(Duration::from_millis(1)).unwrap(),
                    }
                };
                let expected = match what {
                    "bytes" | "bytes that are there" => "news".to_owned(),
                    "end" => String::new(),
                    "closed" => format!("{:?}", ErrorKind::NotConnected),
                    _ => format!("{:?}", ErrorKind::TimedOut),
                };
                assert_eq!(answer, expected, "{what}");
            })
            .unwrap();
        }
    }

    #[test]
    fn a_runtime_that_ends_lets_go_of_what_rests() {
        let (stream, mut writer, _, _) = resting();
        task::run(move || stream.rest(None, |_| panic!("it was not to start"))).unwrap();
        assert_eq!(writer.write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
    }
}
