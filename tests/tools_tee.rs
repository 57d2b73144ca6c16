//! tee: what every output gets, what becomes of those that fail, how it ends.
#![cfg(target_os = "linux")]

mod tools;

use rustix::process::Signal;
use std::io::Read;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::thread::JoinHandle;
use tools::live::{Live, drain, feed, nonblocking, shell_status, unread};
use tools::{Place, check, tool};

/// More than any pipe holds.
const LARGE: usize = 3_000_000;

fn place() -> Place {
    let place = Place::new("tee");
    place.file("a", "one\ntwo\n");
    place.file("old", "old\n");
    place.file("empty", "");
    place
}

fn large() -> Vec<u8> {
    (0..LARGE as u32).map(|i| (i ^ (i >> 9)) as u8).collect()
}

#[test]
fn every_output_gets_everything() {
    let place = place();
    let out = place.same_as_gnu("printf 'a\\nb' | $T; $T one two < a; cat one two; $T < empty");
    check(&out, 0, &format!("a\nb{}", "one\ntwo\n".repeat(3)), "");
    place.same_as_gnu("$T new < empty; $T old < empty; wc -c new old");
    place.same_as_gnu("$T twice twice < a; cat twice");
    place.same_as_gnu("$T /dev/null < a; $T a.out > /dev/null < a; cat a.out");
    place.same_as_gnu("$T made-up < /proc/version; cat made-up");
    place.same_as_gnu("cat a | $T $'new\\nline' 'sp ace' -- -x; cat $'new\\nline' 'sp ace' ./-x");
}

#[test]
fn appends_where_told_to() {
    let place = place();
    let out = place.same_as_gnu(
        "rm -f none log; echo old > old; printf new | $T -a old none >/dev/null; cat old; cat none",
    );
    check(&out, 0, "old\nnewnew", "");
    // Others may write to standard output as well, each behind the other.
    let script = "rm -f log; (echo first; $T --append none < a; echo last) >> log; cat log";
    check(&place.same_as_gnu(script), 0, "first\none\ntwo\nlast\n", "");
}

#[test]
fn a_dash_is_a_file() {
    let place = place();
    let out = place.same_as_gnu("echo x | $T - >/dev/null; cat ./-");
    check(&out, 0, "x\n", "");
}

#[test]
fn large_input_by_every_pairing() {
    let place = place();
    let data = large();
    place.file("big", &data);
    for script in [
        "cat big | $T one two > three",
        "cat big | $T one two | cat > three",
        "$T one two < big > three",
        "$T one two < big | cat > three",
        "cat big | $T one >(cat > two) | cat > three; until cmp -s big two; do :; done",
        "mkfifo f; cat f > two & cat big | $T f one > three; rm f; wait",
        ": > three; cat big | $T -a one two >> three",
        "cat big | $T /dev/null one | $T two | $T > three",
    ] {
        let out = place.sh(&format!("{script}; cmp big one && cmp big two && cmp big three"));
        check(&out, 0, "", "");
        place.sh("rm one two three");
    }
}

#[test]
fn many_outputs() {
    let place = place();
    place.file("big", large());
    let all = "for i in {1..40}; do cmp big out$i || exit 1; done";
    check(&place.sh(&format!("cat big | $T out{{1..40}} | cmp - big && {all}")), 0, "", "");
    // With fewer descriptors than that, those that could be opened still get everything.
    let script = "ulimit -n 20; cat big | $T -p out{1..40} 2>said | cmp - big || exit 2
        grep -v 'tee: out[0-9]*: Too many open files' said
        n=$((40 - $(wc -l < said))); [ $n -gt 5 ] || exit 3
        for i in $(seq $n); do cmp big out$i || exit 4; done; echo ${PIPESTATUS[1]}";
    let out = place.sh(&format!("rm out*\n{script}"));
    assert_eq!(out.status.code(), Some(0), "{out:?}");
}

#[test]
fn files_that_cannot_be_opened() {
    let place = place();
    let script = "mkdir -p dir; $T no/such dir good '' < a; cat good";
    let out = place.same_as_gnu(script);
    assert_eq!(place.sh("$T no/such dir < a").status.code(), Some(1));
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(
        said.starts_with("tee: no/such: No such file or directory\ntee: dir: Is a directory\n")
    );
    for mode in ["warn", "warn-nopipe", "exit", "exit-nopipe"] {
        place.same_as_gnu(&format!("$T --output-error={mode} no/such good < a; cat good"));
    }
}

#[test]
fn outputs_that_fail() {
    let place = place();
    place.file("big", large());
    for input in ["< a", "< big", "< <(cat big)"] {
        for mode in ["", "-p", "--output-error", "--output-error=warn", "--output-error=exit"] {
            // How much of it comes before the first failure is nobody's business.
            let exits = mode.contains("exit") && input != "< a";
            let good = if mode.contains("exit") { "" } else { "; cksum good" };
            let seen = if exits { "wc -c >/dev/null; echo ${PIPESTATUS[0]}" } else { "cksum" };
            let out =
                place.same_as_gnu(&format!("$T {mode} /dev/full good {input} | {seen}{good}"));
            let full = "tee: /dev/full: No space left on device\n";
            assert_eq!(String::from_utf8_lossy(&out.stderr), full, "{mode} {input}");
            place.same_as_gnu(&format!("$T {mode} good {input} > /dev/full; echo $?{good}"));
            place.same_as_gnu(&format!("$T {mode} /dev/full {input} > /dev/full; echo $?"));
        }
    }
    let out = place.sh("$T /dev/full < a >/dev/null; echo $?");
    assert_eq!(out.stdout, b"1\n");
}

#[test]
fn the_ends_it_was_started_without() {
    let place = place();
    let out = place.same_as_gnu("$T good < a >&-; echo $? >&2; cat good");
    check(&out, 0, "one\ntwo\n", "tee: 'standard output': Bad file descriptor\n1\n");
    place.same_as_gnu("$T < a >&-; echo $?; $T -p < a >&-; echo $?");
    let said = "tee: read error: Bad file descriptor\n";
    check(&place.sh("$T good <&-"), 1, "", said);
    let said = "tee: read error: Is a directory\n";
    check(&place.same_as_gnu("$T good < /; r=$?; wc -c < good; exit $r"), 1, "0\n", said);
    place.same_as_gnu("$T no/such < a 2>&-; echo $?");
}

/// What 200000 lines come to when one of the readers reads none of them.
#[test]
fn a_reader_that_leaves_starves_the_others_but_with_p() {
    let place = place();
    let script = |options: &str| {
        let out = place.sh(&format!(
            "seq 200000 | $T {options} >(true) 2>said | wc -l; echo ${{PIPESTATUS[1]}}; cat said"
        ));
        String::from_utf8_lossy(&out.stdout).into_owned()
    };
    let default = script("");
    let (lines, status) = default.split_once('\n').expect("two lines");
    assert_eq!(status, "141\n");
    assert!(lines.parse::<u32>().expect("a number") < 200_000);
    for options in ["-p", "--output-error", "--output-error=warn-nopipe", "--output=warn-n"] {
        assert_eq!(script(options), "200000\n0\n", "{options}");
    }
    let told = script("--output-error=warn");
    assert!(told.starts_with("200000\n1\ntee: /dev/fd/") && told.ends_with(": Broken pipe\n"));
    assert_eq!(script("--output-error=exit-nopipe"), "200000\n0\n");
    let told = script("--output-error=exit");
    assert!(told.contains("\n1\ntee: /dev/fd/") && !told.starts_with("200000\n"), "{told}");
}

#[test]
fn what_one_reader_leaves_behind_the_others_get() {
    let place = place();
    place.file("big", large());
    for input in ["< <(cat big)", "< big"] {
        for (readers, output) in [
            (">(head -c 500000 >/dev/null)", "| cmp - big"),
            (">(head -c 70000 >/dev/null) >(head -c 2000000 >/dev/null)", "> file2"),
            (">(true) >(head -c 1 >/dev/null)", "| head -c 1500000 | cksum >/dev/null"),
        ] {
            let script = format!("$T -p file {readers} {input} {output}; cmp file big");
            check(&place.sh(&script), 0, "", "");
        }
        check(&place.sh("cmp file2 big"), 0, "", "");
    }
}

#[test]
fn standard_output_without_a_reader() {
    let place = place();
    let large = large();
    place.file("big", &large);
    let pipe = "tee: 'standard output': Broken pipe\n";
    for input in ["a", "big"] {
        for (options, status, said, complete) in [
            ("", 141, "", None),
            ("-p", 0, "", Some(true)),
            ("--output-error=warn-nopipe", 0, "", Some(true)),
            ("--output-error=exit-nopipe", 0, "", Some(true)),
            ("--output-error=warn", 1, pipe, Some(true)),
            ("--output-error=exit", 1, pipe, None),
            ("-p --output-error=exit", 1, pipe, None),
            ("--output-error=exit -p", 0, "", Some(true)),
        ] {
            let mut arguments: Vec<_> = options.split_whitespace().collect();
            arguments.push("file");
            let file = std::fs::File::open(place.path().join(input)).unwrap();
            let out = place.command(&arguments).stdin(file).stdout(unread()).output().unwrap();
            let told = String::from_utf8_lossy(&out.stderr).into_owned();
            let ended = (shell_status(out.status), told.as_str());
            assert_eq!(ended, (status, said), "{options} < {input}");
            if let Some(true) = complete {
                assert!(place.read("file") == place.read(input), "{options} < {input}");
            }
        }
    }
    // Whoever has the signal ignored wants it to go on.
    let script = "trap '' PIPE; $T file < big | true; echo ${PIPESTATUS[0]}; cmp file big";
    check(&place.same_as_gnu(script), 0, "0\n", "");
}

/// `timeout` is there to end the test if tee does not end.
fn patient(arguments: &[&str], place: &Place) -> Command {
    let mut command = Command::new("timeout");
    command.arg("100").arg(tool("tee")).args(arguments).current_dir(place.path());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[test]
fn ends_with_its_outputs_though_its_input_is_silent() {
    let place = place();
    for option in ["-p", "--output-error", "--output-error=exit-nopipe"] {
        // Gone from the start.
        let mut command = patient(&[option], &place);
        command.stdout(unread());
        let mut tee = Live::start_as_told(command);
        assert_eq!(tee.wait(), (0, String::new(), String::new()), "{option}");
        // Gone in the midst, after what came until then.
        let mut tee = Live::start_as_told(patient(&[option], &place));
        tee.say(b"first");
        tee.hear(b"first");
        tee.child.stdout = None;
        assert_eq!(tee.wait(), (0, String::new(), String::new()), "{option}");
        // The same where the output is a socket.
        let (near, mut far) = UnixStream::pair().expect("sockets can be made");
        let mut command = patient(&[option], &place);
        command.stdout(std::os::fd::OwnedFd::from(near));
        let mut tee = Live::start_as_told(command);
        tee.say(b"first");
        far.read_exact(&mut [0; 5]).expect("tee writes");
        drop(far);
        assert_eq!(tee.wait(), (0, String::new(), String::new()), "{option}");
    }
}

#[test]
fn goes_on_while_one_output_is_left() {
    let place = place();
    let mut tee = place.start(&["-p", "file"]);
    tee.say(b"first ");
    tee.hear(b"first ");
    tee.child.stdout = None;
    tee.say(b"second");
    assert_eq!(tee.end(), (0, String::new(), String::new()));
    assert_eq!(place.read("file"), b"first second");
}

#[test]
fn interrupts() {
    let place = place();
    for options in [&["-i"][..], &["--ignore-interrupts", "file"]] {
        let mut tee = place.start(options);
        tee.say(b"before");
        tee.hear(b"before");
        tee.signal(Signal::INT);
        tee.say(b"after");
        tee.hear(b"after");
        assert_eq!(tee.end(), (0, String::new(), String::new()), "{options:?}");
    }
    let mut tee = place.start(&["file"]);
    tee.say(b"before");
    tee.hear(b"before");
    tee.signal(Signal::INT);
    assert_eq!(tee.wait().0, 128 + 2);
}

/// A terminal that is shared by several programs may be non-blocking, and so may a pipe.
#[test]
fn outputs_that_somebody_made_nonblocking() {
    let place = place();
    let data = large();
    place.file("big", &data);
    for options in [&["file"][..], &["-p", "file"], &["-a", "file", "/dev/null"]] {
        for piped in [false, true] {
            let ((reader, writer), (input, feeder)) = (nonblocking(), nonblocking());
            let mut command = place.command(options);
            command.stdout(writer).stdin(input);
            if !piped {
                command.stdin(std::fs::File::open(place.path().join("big")).unwrap());
            }
            let mut tee = command.spawn().expect("tee starts");
            drop(command);
            let feeder = piped.then(|| feed(feeder, data.clone()));
            assert!(drain(reader) == data, "{options:?}, piped {piped}");
            assert_eq!(tee.wait().unwrap().code(), Some(0));
            assert!(place.read("file") == data, "{options:?}, piped {piped}");
            feeder.map(JoinHandle::join).transpose().unwrap();
            place.sh("rm file");
        }
    }
}

#[test]
fn an_input_that_somebody_made_nonblocking() {
    let place = place();
    let (reader, mut writer) = nonblocking();
    let mut command = place.command(&["file"]);
    let mut tee =
        command.stdin(reader).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(command);
    for word in ["one ", "two "] {
        std::io::Write::write_all(&mut writer, word.as_bytes()).unwrap();
        let mut got = [0; 4];
        tee.stdout.as_mut().unwrap().read_exact(&mut got).unwrap();
        assert_eq!(got, word.as_bytes());
    }
    drop(writer);
    check(&tee.wait_with_output().unwrap(), 0, "", "");
    assert_eq!(place.read("file"), b"one two ");
}

#[test]
fn what_was_read_is_written_at_once() {
    let place = place();
    let mut tee = place.start(&["file"]);
    for word in ["a", "bc", "d\n"] {
        tee.say(word.as_bytes());
        tee.hear(word.as_bytes());
    }
    assert_eq!(tee.end(), (0, String::new(), String::new()));
    assert_eq!(place.read("file"), b"abcd\n");
}

/// GNU's empties it, or with -a fills the disk.
#[test]
fn refuses_to_feed_on_its_own_output() {
    let place = place();
    let said = "tee: a: input file is output file\n";
    check(&place.sh("$T a other < a; cat other"), 0, &"one\ntwo\n".repeat(2), said);
    check(&place.sh("$T -a a < a"), 1, "one\ntwo\n", said);
    check(&place.sh("$T --output-error=exit a < a"), 1, "", said);
    assert_eq!(place.read("a"), b"one\ntwo\n");
    check(&place.sh("ln a b; $T other b < a >/dev/null"), 1, "", &said.replace(" a:", " b:"));
    let said = "tee: 'standard output': input file is output file\n";
    check(&place.sh("$T other < a >> a; r=$?; cat other; exit $r"), 1, "one\ntwo\n", said);
    assert_eq!(place.read("a"), b"one\ntwo\n");
}

#[test]
fn mistakes_on_the_command_line() {
    let place = place();
    for arguments in [
        "-x",
        "-p=3",
        "--nope",
        "--append=3",
        "--output-error=nope",
        "--output-error=w",
        "--output-error=",
    ] {
        let tidy =
            "sed \"s,'.*tee --help,'tee --help,; s/^[^ ]*tee: /tee: /; s/[\u{2018}\u{2019}]/'/g\"";
        let script = format!("$T {arguments} file < a 2>&1 | {tidy}; ls");
        place.same_as_gnu(&script);
        assert_eq!(place.sh(&format!("$T {arguments} < a")).status.code(), Some(1), "{arguments}");
    }
    for mode in ["warn-", "exit-", "warn", "exit"] {
        check(&place.sh(&format!("$T --output-error={mode} < a")), 0, "one\ntwo\n", "");
    }
    check(&place.sh("$T --help | grep -q output-error"), 0, "", "");
    check(
        &place.sh("$T --version >/dev/full"),
        1,
        "",
        "tee: write error: No space left on device\n",
    );
}
