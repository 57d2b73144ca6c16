//! head: what it writes, what it leaves, how it ends.
#![cfg(target_os = "linux")]

mod tools;

use std::thread::JoinHandle;
use tools::live::{drain, feed, nonblocking};
use tools::{Place, check};

fn place() -> Place {
    let place = Place::new("head");
    let lines: String = (1..=20_000).map(|i| format!("{i}\n")).collect();
    place.file("nul", lines.replace('\n', "\0"));
    place.file("lines", lines);
    place.file("open", "x\ny");
    place.file("empty", "");
    place.file("one", vec![b'x'; 200_000]);
    place
}

#[test]
fn every_part_of_every_input_as_gnu() {
    let place = place();
    for file in ["lines", "open", "empty", "nul", "one"] {
        let mut script = String::from("exec 2>&1\n");
        for part in [
            "",
            "-n 3",
            "-n -3",
            "-n0",
            "-n -0",
            "-n -1",
            "-n -2",
            "-n 30000",
            "-n -19999",
            "-n -20000",
            "-c3",
            "-c -3",
            "-c0",
            "-c 100000",
            "-c -100000",
            "-c 1E",
            "-c -1T",
            "-zn3",
            "-zn -3",
            "-5",
            "-5c",
            "-1b",
            "-2k",
            "-1m",
            "-3qz",
            "-2l",
            "-v",
            "-1v",
            "-n 1 -c 2",
            "-c 2 -n 1",
            "-n ' 2'",
            "-c +2",
            "-c kB",
            "-c 1KiB",
        ] {
            script += &format!("$T {part} {file} | cksum; cat {file} | $T {part} | cksum\n");
        }
        place.same_as_gnu(&script);
    }
}

#[test]
fn parts_without_gnu_to_compare() {
    let place = place();
    check(&place.sh("$T -n 2 lines"), 0, "1\n2\n", "");
    check(&place.sh("$T -n -19998 lines; cat lines | $T -n -19998"), 0, "1\n2\n1\n2\n", "");
    check(&place.sh("$T -c -108891 lines; cat lines | $T -c -108891"), 0, "1\n21\n2", "");
    check(&place.sh("printf 'a\\nb' | $T -n -1; $T -n -1 open"), 0, "a\nx\n", "");
}

#[test]
fn every_suffix() {
    let place = place();
    place.sh("truncate -s 9M large");
    for (suffix, unit) in [
        ("b", 512),
        ("k", 1024),
        ("kB", 1000),
        ("K", 1024),
        ("KB", 1000),
        ("KiB", 1024),
        ("m", 1 << 20),
        ("M", 1 << 20),
        ("MB", 1_000_000),
        ("MiB", 1 << 20),
    ] {
        let out = place.same_as_gnu(&format!("$T -c 3{suffix} large | wc -c"));
        check(&out, 0, &format!("{}\n", 3 * unit), "");
        let rest = (9 << 20) - 2 * unit;
        let out = place.same_as_gnu(&format!("cat large | $T -c -2{suffix} | wc -c"));
        check(&out, 0, &format!("{rest}\n"), "");
    }
    for suffix in ["G", "GB", "GiB", "T", "TB", "P", "PiB", "E", "EB"] {
        place.same_as_gnu(&format!("$T -c 3{suffix} lines | cksum; $T -n -3{suffix} lines"));
    }
}

/// A terminal that is shared by several programs may be non-blocking, and so may a pipe.
#[test]
fn ends_that_somebody_made_nonblocking() {
    let place = place();
    let lines = place.read("lines");
    for part in ["-n19999", "-c108889", "-n-1", "-c-5"] {
        for file in ["lines", "-"] {
            let ((reader, writer), (input, feeder)) = (nonblocking(), nonblocking());
            let mut command = place.command(&[part, file]);
            let mut head = command.stdin(input).stdout(writer).spawn().unwrap();
            drop(command);
            let feeder = (file == "-").then(|| feed(feeder, lines.clone()));
            let got = drain(reader);
            assert_eq!(head.wait().unwrap().code(), Some(0), "{part} {file}");
            feeder.map(JoinHandle::join).transpose().unwrap();
            assert!(lines.starts_with(&got), "{part} {file}");
            let wanted = lines.len() - if part.starts_with("-n") { 6 } else { 5 };
            assert_eq!(got.len(), wanted, "{part} {file}");
        }
    }
}

#[test]
fn leaves_the_offset_behind_what_it_wrote() {
    let place = place();
    for (part, next) in [
        ("-n 3", "4\n"),
        ("-c 2", "2\n"),
        ("-n -2", "19999\n"),
        ("-c -6", "20000\n"),
        ("-n 0", "1\n"),
        ("-n 19999", "20000\n"),
        ("-n -30000", "1\n"),
        ("-c -1M", "1\n"),
    ] {
        let out = place.sh(&format!("($T {part} >/dev/null; head -n 1) < lines"));
        check(&out, 0, next, "");
    }
    // Small enough to be read and held, not measured.
    check(&place.sh("($T -n -1 >/dev/null; cat) < open"), 0, "y", "");
    check(&place.sh("($T -c -2 >/dev/null; cat) < open"), 0, "\ny", "");
}

#[test]
fn takes_no_more_bytes_from_a_pipe_than_it_writes() {
    let out = place()
        .sh("cat lines | ($T -c 100000 >/dev/null; cat) | cksum; tail -c +100001 lines | cksum");
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let sums: Vec<_> = text.lines().collect();
    assert_eq!(sums.len(), 2);
    assert_eq!(sums[0], sums[1]);
}

#[test]
fn headers() {
    let place = place();
    place.same_as_gnu("$T -n 1 lines open nope empty lines");
    place.same_as_gnu("$T -qn 1 lines open; $T -vn1 < lines; $T -q -v open; $T -v -q open");
    place.same_as_gnu("mkdir dir; $T -n 1 dir lines; $T dir; $T < dir; rmdir dir");
    let out = place.sh(r"cp open $'a\nb'; cp open 'c d'; $T -n1 $'a\nb' 'c d'");
    check(&out, 0, "==> 'a'$'\\n''b' <==\nx\n\n==> c d <==\nx\n", "");
}

#[test]
fn failures() {
    let place = place();
    let missing = "head: cannot open 'nope' for reading: No such file or directory\n";
    check(&place.same_as_gnu("$T nope"), 1, "", missing);
    let full = "head: write error: No space left on device\n";
    for part in ["-n 2", "-c 2", "-n -2", "-c -2"] {
        check(&place.sh(&format!("$T {part} lines nope >/dev/full")), 1, "", full);
        check(&place.sh(&format!("cat lines | $T {part} >/dev/full")), 1, "", full);
    }
    check(&place.same_as_gnu("$T open >&-"), 1, "", "head: write error: Bad file descriptor\n");
    let closed = "head: error reading 'standard input': Bad file descriptor\n";
    check(&place.sh("$T <&-"), 1, "", closed);
    check(&place.sh("$T open - empty -q <&-"), 1, "x\ny", closed);
    check(&place.sh("$T nope open 2>&-"), 1, "==> open <==\nx\ny", "");
}

#[test]
fn a_reader_that_leaves_ends_it_quietly() {
    let place = place();
    for part in ["-n 9999999", "-c 1G", "-n -1", "-c -1"] {
        let out =
            place.sh(&format!("yes | $T {part} | head -c 1 >/dev/null; echo ${{PIPESTATUS[1]}}"));
        check(&out, 0, "141\n", "");
    }
}

#[test]
fn made_up_files() {
    let place = place();
    place.same_as_gnu("$T -n 1 /proc/self/attr/exec open; $T -c 1 /proc/self/mem open; echo $?");
    place.same_as_gnu(
        "$T -c -1 /proc/self/mem; $T -c 0 nope; $T -n 0 .; $T -c 1 /dev/null; echo $?",
    );
    place.same_as_gnu(
        "$T -n -2 /proc/filesystems; $T -c -2 /proc/filesystems; $T -n1 /proc/version",
    );
}

#[test]
fn a_file_may_be_appended_to_itself() {
    let place = place();
    for part in ["-c 3", "-n 1", "-n 5", "-n 100000", "-c 100000", "-n -1", "-c -1", "-n -9"] {
        // The limit is there for the case that it feeds on what it writes.
        let script = format!("$T {part} to >> to; cksum to");
        place.same_as_gnu(&format!("ulimit -f 2000; cp open to; {script}"));
        if !part.contains("00000") {
            place.same_as_gnu(&format!("ulimit -f 2000; cp lines to; {script}"));
        }
    }
    // GNU's reads what it wrote.
    check(&place.sh("cp lines to; $T -n -19999 to >> to; tail -n 2 to"), 0, "20000\n1\n", "");
    check(&place.sh("ulimit -f 2000; cp open to; $T -c 1G to >> to; cat to"), 0, "x\nyx\ny", "");
    check(
        &place.sh("cp open to; $T -c -0 to >> to; $T -c 1 empty > empty; cat to"),
        0,
        "x\nyx\ny",
        "",
    );
}

#[test]
fn mistakes_on_the_command_line() {
    let place = place();
    for arguments in [
        "-n x",
        "-c 3x",
        "-c ''",
        "-n 5kX",
        "-c 99999999999999999999",
        "-5x",
        "-h",
        "--nope",
        "--quiet=1",
        "--bytes",
        "-c -x",
    ] {
        let out = place.same_as_gnu(&format!("$T {arguments} open 2>&1 | sed \"s,'.*head --help,'head --help,; s/^[^:]*head: /head: /\""));
        let _ = out;
        let code = place.sh(&format!("$T {arguments}")).status.code();
        assert_eq!(code, Some(1), "{arguments}");
    }
    let large = "head: invalid number of bytes: '1Q': Value too large for defined data type\n";
    check(&place.sh("$T -c 1Q open"), 1, "", large);
}
