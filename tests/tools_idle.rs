//! idle as a program: whatever its ends are, it ends in time, and leaves their flags alone.
#![cfg(target_os = "linux")]

mod tools;

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

fn idle(options: &[&str], stdin: impl Into<Stdio>, stdout: impl Into<Stdio>) -> Command {
    let mut command = Command::new(tools::tool("idle"));
    command.args(options).stdin(stdin).stdout(stdout).stderr(Stdio::piped());
    command
}

fn status(mut command: Command) -> (Option<i32>, String) {
    let out = command.output().unwrap();
    (out.status.code(), String::from_utf8_lossy(&out.stderr).into_owned())
}

fn flags(fd: impl std::os::fd::AsFd) -> rustix::fs::OFlags {
    rustix::fs::fcntl_getfl(fd).unwrap()
}

#[test]
fn silence_and_the_total_end_it() {
    for options in [["-r", "0.01"], ["-t", "0.01"], ["-t", "0"]] {
        let (reader, _writer) = io::pipe().unwrap();
        let before = flags(&reader);
        let shared = reader.try_clone().unwrap();
        assert_eq!(status(idle(&options, reader, Stdio::null())), (Some(124), String::new()));
        assert_eq!(flags(shared), before);
    }
    let (reader, _writer) = io::pipe().unwrap();
    assert_eq!(status(idle(&["-k", "-r", "0.01"], reader, Stdio::null())).0, Some(0));
}

#[test]
fn a_socket_a_terminal_and_a_file_are_taken_as_they_are() {
    let (near, _far) = UnixStream::pair().unwrap();
    let (shared, before) = (near.try_clone().unwrap(), flags(&near));
    assert_eq!(status(idle(&["-r", "0.01"], OwnedFd::from(near), Stdio::null())).0, Some(124));
    assert_eq!(flags(shared), before);

    let mut file = tempfile::tempfile().unwrap();
    file.write_all(b"text").unwrap();
    io::Seek::rewind(&mut file).unwrap();
    let out = idle(&["-r", "60"], file, Stdio::piped()).output().unwrap();
    assert_eq!((out.status.code(), out.stdout), (Some(0), b"text".to_vec()));
    assert_eq!(status(idle(&["-r", "60"], Stdio::null(), Stdio::null())).0, Some(0));
}

#[test]
fn a_reader_that_does_not_read_cannot_hold_it() {
    let (reader, writer) = io::pipe().unwrap();
    let zeroes = File::open("/dev/zero").unwrap();
    assert_eq!(status(idle(&["-t", "0.02"], zeroes, writer)).0, Some(124));
    let mut passed = Vec::new();
    (&reader).read_to_end(&mut passed).unwrap();
    assert!(!passed.is_empty() && passed.iter().all(|&b| b == 0));
}

#[test]
fn megabytes_pass_unharmed() {
    let (reader, mut writer) = io::pipe().unwrap();
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|i| (i % 251) as u8).collect();
    let copy = bytes.clone();
    let feeder = std::thread::spawn(move || writer.write_all(&copy));
    let out = idle(&["-r", "60", "-t", "60"], reader, Stdio::piped()).output().unwrap();
    feeder.join().unwrap().unwrap();
    assert!(out.stdout == bytes && out.status.success());
}

#[test]
fn mistakes_are_told() {
    for wrong in ["x", "-1", "nan", ""] {
        let (code, said) = status(idle(&["-r", wrong], Stdio::null(), Stdio::null()));
        assert_eq!(code, Some(1), "{wrong}");
        assert!(said.starts_with("idle: invalid number of seconds: "), "{said}");
    }
    let full = File::options().write(true).open("/dev/full").unwrap();
    let zeroes = File::open("/dev/zero").unwrap();
    let (code, said) = status(idle(&[], zeroes, full));
    assert_eq!((code, &*said), (Some(1), "idle: write error: No space left on device\n"));
}
