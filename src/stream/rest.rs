//! A stream that waits without anybody who waits.

use super::Stream;
use crate::poll::{What, announce_other, withdraw};
use crate::task;
use std::os::fd::AsFd;
use std::time::Instant;

impl<T: AsFd> Stream<T> {
    /// Runs `f` as a task of this worker once there is something to read, or the stream is closed, its
    /// read deadline or `until` has passed, or somebody has [nudged](super::Control) it: `f` calls
    /// [`rise`](Self::rise), reads, and sees. Until then there is nothing of the task but `f`. It starts
    /// at once if `stays`, which is asked when a nudge would be heard, answers no.
    #[cfg_attr(not(feature = "http"), expect(dead_code, reason = "the server's alone"))]
    pub(crate) fn rest(
        &self,
        until: Option<Instant>,
        stays: impl FnOnce() -> bool,
        f: impl FnOnce() + Send + 'static,
    ) {
        task::spawn_parked(f, |me| {
            // Whatever fails here, the read that follows says it.
            let deadline = announce_other(&mut self.wait(What::Readable), &me).ok()??;
            stays().then(|| [deadline, until].into_iter().flatten().min())
        });
    }

    /// The rest is over.
    #[cfg_attr(not(feature = "http"), expect(dead_code, reason = "the server's alone"))]
    pub(crate) fn rise(&self) {
        withdraw(&self.wait(What::Readable));
    }
}

#[cfg(all(test, target_os = "linux", not(miri), not(aqueduct_loom)))]
mod tests {
    use super::*;
    use std::io::{self, ErrorKind, PipeReader, Read, Write};
    use std::sync::{Arc, mpsc};
    use std::time::Duration;

    fn resting()
    -> (Stream<PipeReader>, io::PipeWriter, mpsc::Sender<String>, mpsc::Receiver<String>) {
        let (reader, writer) = io::pipe().unwrap();
        let (says, said) = mpsc::channel();
        (Stream::from_std(reader).unwrap(), writer, says, said)
    }

    /// `f` gets the stream when its rest is over.
    fn rest(
        stream: Stream<PipeReader>,
        until: Option<Instant>,
        stays: bool,
        f: impl FnOnce(Stream<PipeReader>) + Send + 'static,
    ) {
        let resting = Stream { inner: Arc::clone(&stream.inner) };
        let awake = move || {
            stream.rise();
            f(stream);
        };
        resting.rest(until, || stays, awake);
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
        for what in [
            "bytes",
            "bytes that are there",
            "end",
            "closed",
            "late",
            "deadline",
            "nudged",
            "not now",
        ] {
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
                rest(stream, until, what != "not now", move |stream| {
                    if what == "late" {
                        assert!(Instant::now() >= soon);
                        stream.set_read_deadline(until);
                    }
                    if what == "nudged" || what == "not now" {
                        return says.send(what.to_owned()).unwrap();
                    }
                    read(stream, &says);
                });
                task::yield_now();
                match what {
                    "bytes" => writer.write_all(b"news").unwrap(),
                    "end" => drop(writer),
                    "closed" => control.close(),
                    "nudged" => control.nudge(),
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
                    "nudged" | "not now" => what.to_owned(),
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
        task::run(move || rest(stream, None, true, |_| panic!("it was not to start"))).unwrap();
        assert_eq!(writer.write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
    }
}
