//! A stream that waits without anybody who waits.

use super::Stream;
use crate::park::{DEAF, Unparker};
use crate::poll::{What, announce_other, withdraw};
use std::os::fd::AsFd;
use std::time::Instant;

impl<T: AsFd> Stream<T> {
    /// Has `me` woken once there is something to read, or the stream is closed, its read deadline is
    /// moved, or somebody has [nudged](super::Control) it; then [`rise`](Self::rise) is called, and the
    /// read that follows says more. Until when the read deadline lets anybody wait; `None` if there may be
    /// something already: unless a read has found nothing, nobody knows.
    #[cfg_attr(not(feature = "http"), expect(dead_code, reason = "the server's alone"))]
    pub(crate) fn rest(&self, me: &Unparker) -> Option<Option<Instant>> {
        match announce_other(&mut self.wait(What::Readable), me) {
            Ok(until) => until,
            // The read that follows says why, or it is tried anew.
            Err(_) => Some(Instant::now().checked_add(DEAF)),
        }
    }

    /// The rest is over. The next write is tried before it is left to the system: who waits for it has a
    /// stack, and of those who rest most never need one of their own.
    #[cfg_attr(not(feature = "http"), expect(dead_code, reason = "the server's alone"))]
    pub(crate) fn rise(&self) {
        withdraw(&self.wait(What::Readable));
        self.inner.desc().write.expect(true);
    }
}

#[cfg(all(test, target_os = "linux", not(miri), not(aqueduct_loom)))]
mod tests {
    use super::*;
    use crate::task::{self, Resident};
    use std::io::{self, ErrorKind, PipeReader, Read, Write};
    use std::sync::mpsc;
    use std::time::Duration;

    fn resting()
    -> (Stream<PipeReader>, io::PipeWriter, mpsc::Sender<String>, mpsc::Receiver<String>) {
        let (reader, writer) = io::pipe().unwrap();
        let (says, said) = mpsc::channel();
        (Stream::from_std(reader).unwrap(), writer, says, said)
    }

    /// Rests once, and then does something with its stream.
    struct Sleeper<F> {
        stream: Stream<PipeReader>,
        until: Option<Instant>,
        stays: bool,
        rested: bool,
        /// Reads before it rests, and finds nothing.
        reads: bool,
        then: F,
    }

    impl<F: FnOnce(Stream<PipeReader>) + Send + 'static> Resident for Sleeper<F> {
        fn turn(mut self) -> Option<Self> {
            if !self.rested {
                self.rested = true;
                if self.reads {
                    self.stream.try_read(&mut [0]).unwrap_err();
                }
                return Some(self);
            }
            self.stream.rise();
            (self.then)(self.stream);
            None
        }

        fn rest(&self, me: &Unparker) -> Option<Option<Instant>> {
            let deadline = self.stream.rest(me)?;
            self.stays.then(|| [deadline, self.until].into_iter().flatten().min())
        }
    }

    fn rest(
        stream: Stream<PipeReader>,
        until: Option<Instant>,
        (stays, reads): (bool, bool),
        then: impl FnOnce(Stream<PipeReader>) + Send + 'static,
    ) {
        task::settle(Sleeper { stream, until, stays, rested: false, reads, then });
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
                let how = (what != "not now", what != "bytes that are there");
                rest(stream, until, how, move |stream| {
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
        task::run(move || rest(stream, None, (true, true), |_| panic!("it was not to start")))
            .unwrap();
        assert_eq!(writer.write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
    }
}
