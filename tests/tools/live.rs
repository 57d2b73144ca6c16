//! Tools that run while a test talks to them, through pipes and terminals.

use rustix::fs::OFlags;
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::OpenptFlags;
use rustix::termios::{OptionalActions, Winsize, tcgetattr, tcsetattr, tcsetwinsize};
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};

/// A child with pipes on its three streams. It is killed if the test fails.
pub(crate) struct Live {
    pub(crate) child: Child,
    pub(crate) stdin: Option<ChildStdin>,
}

impl Live {
    /// Starts `command`, whose streams are pipes where it does not say otherwise.
    pub(crate) fn start(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self::start_as_told(command)
    }

    /// Starts `command` with the streams that it says, standard input being a pipe.
    pub(crate) fn start_as_told(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).spawn().expect("the tool starts");
        let stdin = child.stdin.take();
        Self { child, stdin }
    }

    pub(crate) fn say(&mut self, bytes: &[u8]) {
        let stdin = self.stdin.as_mut().expect("standard input is still open");
        stdin.write_all(bytes).expect("the tool reads on");
    }

    /// Reads as many bytes as `expected` has from standard output, and compares.
    pub(crate) fn hear(&mut self, expected: &[u8]) {
        let mut got = vec![0; expected.len()];
        let stdout = self.child.stdout.as_mut().expect("standard output is a pipe");
        stdout.read_exact(&mut got).expect("the tool writes on");
        assert_eq!(got, expected);
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("the tool runs");
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Closes standard input and waits: the exit status, or 128 and the signal, what was written
    /// to standard output meanwhile, and to standard error in all.
    pub(crate) fn end(mut self) -> (i32, String, String) {
        self.stdin = None;
        self.wait()
    }

    /// Waits, standard input staying open.
    pub(crate) fn wait(&mut self) -> (i32, String, String) {
        let text = |stream: Option<Box<dyn Read>>| {
            let mut bytes = Vec::new();
            if let Some(mut stream) = stream {
                stream.read_to_end(&mut bytes).expect("a pipe can be read");
            }
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let stdout = text(self.child.stdout.take().map(|stream| Box::new(stream) as _));
        let stderr = text(self.child.stderr.take().map(|stream| Box::new(stream) as _));
        (self.status(), stdout, stderr)
    }

    /// Waits for its end alone.
    pub(crate) fn status(&mut self) -> i32 {
        shell_status(self.child.wait().expect("the tool can be waited for"))
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        // It has ended already, unless the test has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An exit status as a shell shows it.
pub(crate) fn shell_status(status: ExitStatus) -> i32 {
    status.code().or_else(|| Some(128 + status.signal()?)).expect("it ended")
}

/// The writing end of a pipe that nobody reads.
pub(crate) fn unread() -> PipeWriter {
    let (_, writer) = io::pipe().expect("pipes can be made");
    writer
}

/// A pipe of the smallest size, both of whose ends were made non-blocking.
pub(crate) fn nonblocking() -> (PipeReader, PipeWriter) {
    let (reader, writer) = io::pipe().expect("pipes can be made");
    for end in [reader.as_fd(), writer.as_fd()] {
        let flags = rustix::fs::fcntl_getfl(end).expect("flags can be asked for");
        rustix::fs::fcntl_setfl(end, flags | OFlags::NONBLOCK).expect("flags can be set");
    }
    (reader, writer)
}

/// Writes all of `data` to a non-blocking pipe, and closes it.
pub(crate) fn feed(mut writer: PipeWriter, data: Vec<u8>) -> JoinHandle<()> {
    thread::spawn(move || {
        let mut rest = &data[..];
        while !rest.is_empty() {
            match writer.write(rest) {
                Ok(n) => rest = &rest[n..],
                Err(e) if e.kind() == ErrorKind::WouldBlock => thread::yield_now(),
                Err(e) => panic!("{e}"),
            }
        }
    })
}

/// Reads a non-blocking pipe to its end, in small pieces.
pub(crate) fn drain(mut reader: PipeReader) -> Vec<u8> {
    let (mut got, mut block) = (Vec::new(), [0; 1000]);
    loop {
        match reader.read(&mut block) {
            Ok(0) => return got,
            Ok(n) => got.extend_from_slice(&block[..n]),
            Err(e) if e.kind() == ErrorKind::WouldBlock => thread::yield_now(),
            Err(e) => panic!("{e}"),
        }
    }
}

/// A terminal of 80 columns that changes no byte, with this test behind its screen.
pub(crate) struct Terminal {
    pub(crate) screen: File,
    pub(crate) inside: File,
    /// What was read from the screen and not asked for yet.
    seen: Vec<u8>,
}

impl Terminal {
    pub(crate) fn new() -> Self {
        let screen = rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        rustix::pty::grantpt(&screen).unwrap();
        rustix::pty::unlockpt(&screen).unwrap();
        #[cfg(not(target_os = "netbsd"))]
        let name = rustix::pty::ptsname(&screen, Vec::new()).unwrap().into_string().unwrap();
        #[cfg(target_os = "netbsd")]
        let name = "/rustix knows no names of terminals here";
        let noctty = OFlags::NOCTTY.bits() as i32;
        let mut options = OpenOptions::new();
        std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, noctty);
        let inside = options.read(true).write(true).open(name).unwrap();
        let mut modes = tcgetattr(&inside).unwrap();
        modes.make_raw();
        tcsetattr(&inside, OptionalActions::Now, &modes).unwrap();
        let terminal = Self { screen: screen.into(), inside, seen: Vec::new() };
        terminal.resize(80);
        terminal
    }

    pub(crate) fn resize(&self, columns: u16) {
        let size = Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&self.screen, size).unwrap();
    }

    pub(crate) fn stream(&self) -> Stdio {
        self.inside.try_clone().expect("there are descriptors left").into()
    }

    /// What was drawn up to and with the next `end`.
    pub(crate) fn until(&mut self, end: &str) -> String {
        loop {
            let seen = String::from_utf8_lossy(&self.seen).into_owned();
            if let Some(at) = seen.find(end) {
                let (now, later) = seen.split_at(at + end.len());
                self.seen = later.as_bytes().to_vec();
                return now.to_owned();
            }
            let mut block = [0; 4096];
            let n = self.screen.read(&mut block).expect("the terminal has an inside");
            self.seen.extend_from_slice(&block[..n]);
        }
    }

    /// Everything drawn until now; whoever draws must have ended.
    pub(crate) fn rest(mut self) -> String {
        // Behind what is there already, in the order written.
        self.inside.write_all(b"END OF TEST").expect("the terminal takes bytes");
        self.until("END OF TEST").replace("END OF TEST", "")
    }
}
