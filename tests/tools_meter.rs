//! meter: what it passes on, what it says, what it draws, how it ends.
#![cfg(target_os = "linux")]

mod tools;

use rustix::process::Signal;
use std::fs::File;
use std::process::{Output, Stdio};
use tools::live::{Live, Terminal, drain, nonblocking, shell_status, unread};
use tools::{Place, check};

fn place() -> Place {
    let place = Place::new("meter");
    place.file("a", "one\ntwo\n");
    place.file("empty", "");
    let data: Vec<u8> = (0..3_000_000_u32).map(|i| (i ^ (i >> 9)) as u8).collect();
    place.file("big", data);
    place
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Runs to the end on a terminal, with standard output away: the status, and what was drawn.
fn drawn(place: &Place, columns: u16, arguments: &[&str]) -> (i32, String) {
    let terminal = Terminal::new();
    terminal.resize(columns);
    let mut command = place.command(arguments);
    command.stdout(Stdio::null()).stderr(terminal.stream());
    let mut meter = Live::start_as_told(command);
    meter.stdin = None;
    let status = meter.status();
    (status, terminal.rest())
}

#[test]
fn passes_everything_on() {
    let place = place();
    let out = place.sh("echo in | $T a - empty a; printf x | $T; $T < a; $T -q empty");
    check(&out, 0, "one\ntwo\nin\none\ntwo\nxone\ntwo\n", "");
    for script in [
        "$T big > copy",
        "$T < big | $T > copy",
        "$T <(cat big) > copy",
        "cat big | $T > copy",
        ": > copy; $T big >> copy",
        "$T -B 1000 big | cat > copy",
        "mkfifo f; cat big > f & $T f > copy; rm f; wait",
        "$T -L 100M big > copy",
        "$T -n -i 0.1 big 2>/dev/null > copy",
        "cat big | $T -S -s 2M > copy; tail -c +2097153 big >> copy",
    ] {
        check(&place.sh(&format!("{script}; cmp big copy; rm copy")), 0, "", "");
    }
    check(&place.sh("$T /proc/version | cmp - /proc/version"), 0, "", "");
}

#[test]
fn draws_nothing_where_there_is_no_terminal() {
    let place = place();
    for options in ["", "-pterab", "-N name -w 80", "-q", "-qn", "-qf"] {
        check(&place.sh(&format!("$T {options} big > copy")), 0, "", "");
    }
    let (status, drawn) = drawn(&place, 80, &["-q", "big"]);
    assert_eq!((status, drawn.as_str()), (0, ""));
}

#[test]
fn draws_where_it_is_forced_to() {
    let place = place();
    let out = place.sh("$T -fb -N x big > copy");
    assert_eq!(said(&out), "\rx: 2.86MiB\n");
    let out = place.sh("$T --force --bytes a a > copy");
    assert_eq!(said(&out), "\r  16  B\n");
}

#[test]
fn numbers_for_programs() {
    let place = place();
    for (arguments, numbers) in [
        ("-n big", "100\n"),
        ("-nb big", "3000000\n"),
        ("-n -s 6M - < big", "47\n"),
        ("-n --size=6000000 - < big", "50\n"),
        ("-n < big", "100\n"),
        ("-n a big", "100\n"),
        ("-n -s @a - < big", "37500000\n"),
        ("-n - < <(cat big)", "3000000\n"),
        ("-n empty", "0\n"),
        ("-nS -s 1500000 big", "100\n"),
        ("-nbS -s 1.5K big", "1536\n"),
        ("-nb -s 1 -L 200M big", "3000000\n"),
        ("-n nope a", "meter: nope: No such file or directory\n100\n"),
        ("-nN name a", "100\n"),
    ] {
        assert_eq!(said(&place.sh(&format!("$T {arguments} > copy"))), numbers, "{arguments}");
    }
    let timed = said(&place.sh("$T -nt big > copy"));
    let (seconds, percent) = timed.split_once(' ').expect("two numbers");
    assert!(seconds.parse::<f64>().is_ok() && percent == "100\n", "{timed}");
}

#[test]
fn numbers_come_while_bytes_do() {
    let place = place();
    let mut meter = place.start(&["-n", "-b", "-i", "0.1"]);
    meter.say(b"first");
    meter.hear(b"first");
    // Beats come though nothing moves; one that has seen the bytes comes after a while.
    let mut numbers = numbers(&mut meter);
    while numbers.next() != Some(5) {}
    assert_eq!((numbers.next(), numbers.next()), (Some(5), Some(5)));
    meter.say(b"second");
    while numbers.next() != Some(11) {}
    drop(numbers);
    assert_eq!(meter.end().0, 0);
}

/// The lines on standard error as they come.
fn numbers(meter: &mut Live) -> impl Iterator<Item = u64> + use<> {
    let stderr = meter.child.stderr.take().expect("standard error is a pipe");
    let lines = std::io::BufRead::lines(std::io::BufReader::new(stderr));
    lines.map(|line| line.unwrap().parse().unwrap())
}

#[test]
fn what_a_rate_lets_through_is_complete() {
    let place = place();
    // At that rate the last bytes come in a second at the earliest: more than one number.
    let out = place.sh("$T -n -i 0.1 -L 3M big > copy; cmp big copy");
    check(&Output { stderr: Vec::new(), ..out.clone() }, 0, "", "");
    let numbers: Vec<u64> = said(&out).lines().map(|line| line.parse().unwrap()).collect();
    assert!(numbers.len() > 1 && numbers.is_sorted(), "{numbers:?}");
    assert_eq!(numbers.last(), Some(&100));
    let out = place.sh("(echo a; cat big) | $T --rate-limit 10m | tail -c 3000000 | cmp - big");
    check(&out, 0, "", "");
    check(&place.sh("$T -L 0 a; $T -L 1 empty; $T -qL 2G a"), 0, "one\ntwo\none\ntwo\n", "");
}

#[test]
fn the_line_on_a_terminal() {
    let place = place();
    let (status, line) = drawn(&place, 80, &["-N", "disk", "big"]);
    assert_eq!(status, 0);
    let parts: Vec<_> = line.split(['[', ']']).collect();
    assert_eq!(parts.len(), 5, "{line:?}");
    assert!(parts[0].starts_with("\rdisk: 2.86MiB 0:0"), "{line:?}");
    assert!(parts[1].ends_with("B/s"), "{line:?}");
    assert!(parts[3].len() > 20 && parts[3].bytes().all(|b| b == b'='), "{line:?}");
    assert_eq!(parts[4].trim_end_matches(' '), " 100%\n", "{line:?}");
    for (arguments, line) in [
        (&["-b", "big"][..], "\r2.86MiB\n"),
        (&["-b", "a", "a"], "\r  16  B\n"),
        (&["-N", "x", "-bb", "empty"], "\rx:    0  B\n"),
        (&["-N", "no\x1b[2Jtricks\n", "-b", "a"], "\rno?[2Jtricks?:    8  B\n"),
        (&["-p", "-w", "20", "big"], "\r[=============] 100%\n"),
        (&["-p", "-w", "20", "-s", "6000000", "big"], "\r[======>      ] 50%\n"),
        (&["-be", "big"], "\r2.86MiB\n"),
        (&["-Wb", "a"], "\r   8  B\n"),
        (&["-Wb", "empty"], ""),
        (&["-w", "1", "-b", "a"], ""),
        (&["-n", "a"], "100\n"),
    ] {
        assert_eq!(drawn(&place, 80, arguments), (0, line.to_owned()), "{arguments:?}");
    }
}

#[test]
fn the_line_is_as_wide_as_the_terminal() {
    let place = place();
    for columns in [20, 40, 79, 80, 132, 300] {
        let (_, line) = drawn(&place, columns, &["-p", "big"]);
        assert_eq!(line.trim_matches(['\r', '\n']).len(), usize::from(columns) - 1);
    }
    // A terminal that does not know.
    assert_eq!(drawn(&place, 0, &["-p", "big"]).1.len(), "\r\n".len() + 79);
    let (_, line) = drawn(&place, 300, &["-p", "--width=40", "big"]);
    assert_eq!(line.len(), "\r\n".len() + 40);
}

#[test]
fn messages_do_not_mix_with_the_line() {
    let place = place();
    let mut terminal = Terminal::new();
    let mut command = place.command(&["-b", "-i", "0.1", "-", "nope"]);
    command.stdout(Stdio::null()).stderr(terminal.stream());
    let mut meter = Live::start_as_told(command);
    meter.say(b"first");
    terminal.until("   5  B");
    meter.stdin = None;
    assert_eq!(meter.status(), 2);
    let rest = terminal.rest();
    let (before, after) = rest.split_once("meter: nope: No such file or directory\n").unwrap();
    assert!(before.ends_with("\r       \r"), "the line was taken away: {rest:?}");
    assert_eq!(after, "\r   5  B\n");
}

#[test]
fn exit_statuses() {
    let place = place();
    let missing = "meter: nope: No such file or directory\n";
    check(&place.sh("$T nope a"), 2, "one\ntwo\n", missing);
    check(
        &place.sh("cp a b; $T b b >> b"),
        4,
        "",
        &"meter: b: input file is output file\n".repeat(2),
    );
    check(
        &place.sh("$T a >> a; r=$?; cat a; exit $r"),
        4,
        "one\ntwo\n",
        "meter: a: input file is output file\n",
    );
    check(&place.sh("$T . a"), 16, "one\ntwo\n", "meter: .: Is a directory\n");
    check(
        &place.sh("$T nope . a"),
        18,
        "one\ntwo\n",
        &(missing.to_owned() + "meter: .: Is a directory\n"),
    );
    let full = "meter: write error: No space left on device\n";
    check(&place.sh("$T a nope >/dev/full"), 16, "", full);
    check(&place.sh("cat big | $T >/dev/full"), 16, "", full);
    check(&place.sh("$T big >/dev/full"), 16, "", full);
    check(&place.sh("$T a >&-"), 16, "", "meter: write error: Bad file descriptor\n");
    check(&place.sh("$T <&-"), 2, "", "meter: standard input: Bad file descriptor\n");
    check(&place.sh("$T - a <&- 2>&-"), 2, "one\ntwo\n", "");
    check(&place.sh("$T 'a b'"), 2, "", "meter: 'a b': No such file or directory\n");
}

#[test]
fn a_reader_that_leaves_ends_it_quietly() {
    let place = place();
    for options in [&[][..], &["-q"], &["-L", "1G"], &["-W"]] {
        let mut command = place.command(options);
        command.stdout(unread()).stderr(Stdio::piped());
        command.stdin(File::open(place.path().join("big")).unwrap());
        let out = command.output().unwrap();
        assert_eq!(shell_status(out.status), 141);
        assert_eq!(said(&out), "", "{options:?}");
    }
    let out = place.sh("trap '' PIPE; $T /dev/zero | head -c 1 >/dev/null; echo ${PIPESTATUS[0]}");
    check(&out, 0, "16\n", "meter: write error: Broken pipe\n");
}

#[test]
fn signals_end_it_on_a_fresh_line() {
    let place = place();
    for (signal, options) in [
        (Signal::INT, &["-b", "-i", "0.1"][..]),
        (Signal::TERM, &["-b", "-i", "0.1"]),
        (Signal::HUP, &["-b", "-i", "0.1", "-L", "1K"]),
    ] {
        let mut terminal = Terminal::new();
        let mut command = place.command(options);
        command.stdout(Stdio::piped()).stderr(terminal.stream());
        let mut meter = Live::start_as_told(command);
        meter.say(b"first");
        meter.hear(b"first");
        terminal.until("   5  B");
        meter.signal(signal);
        assert_eq!(meter.status(), 32);
        assert!(terminal.rest().ends_with("\r   5  B\n"), "{signal:?}");
    }
    // Also when nothing is shown, and while a named pipe is waited for.
    let mut quiet = place.start(&["-q"]);
    quiet.say(b"x");
    quiet.hear(b"x");
    quiet.signal(Signal::TERM);
    assert_eq!(quiet.wait(), (32, String::new(), String::new()));
    let script = "mkfifo f; $T nope f 2>said & until grep -qs nope said; do :; done
        kill $!; wait $!; echo $?";
    check(&place.sh(script), 0, "34\n", "");
    // Started with the signal ignored, as by nohup, it goes on.
    let script = "trap '' HUP; mkfifo g; $T < g & exec 3>g
        kill -HUP $!; echo on >&3; exec 3>&-; wait $!; echo $?";
    check(&place.sh(script), 0, "on\n0\n", "");
}

#[test]
fn outputs_that_somebody_made_nonblocking() {
    let place = place();
    let (reader, writer) = nonblocking();
    let mut command = place.command(&["big"]);
    let mut meter = command.stdout(writer).spawn().unwrap();
    drop(command);
    assert!(drain(reader) == place.read("big"));
    assert_eq!(meter.wait().unwrap().code(), Some(0));
}

/// Asked for its size by opening and closing it, a named pipe would be broken for its writer.
#[test]
fn a_named_pipe_is_opened_once() {
    let place = place();
    let script =
        "mkfifo f; (for i in {1..20}; do cat big; done) > f & $T f | wc -c; wait $!; echo $?";
    check(&place.sh(script), 0, "60000000\n0\n", "");
}

#[test]
fn mistakes_on_the_command_line() {
    let place = place();
    for (arguments, complaint) in [
        ("-x", "invalid option -- 'x'"),
        ("--nope", "unrecognized option '--nope'"),
        ("-s x", "invalid size: 'x'"),
        ("-L -1", "invalid size: '-1'"),
        ("-s @nope", "nope: No such file or directory"),
        ("-i x", "invalid number of seconds: 'x'"),
        ("-i -1", "invalid number of seconds: '-1'"),
        ("-i nan", "invalid number of seconds: 'nan'"),
        ("-w 0", "invalid width: '0'"),
        ("-S", "--stop-at-size needs a --size to stop at"),
        ("--quiet=1", "option '--quiet' doesn't allow an argument"),
        ("-s", "option '--size' requires an argument"),
    ] {
        let said = format!("meter: {complaint}\nTry 'meter --help' for more information.\n");
        check(&place.sh(&format!("$T {arguments}")), 1, "", &said);
    }
    check(&place.sh("$T --help | grep -q rate-limit"), 0, "", "");
    check(&place.sh("$T -i inf -q a; $T -i 0 -q a"), 0, &"one\ntwo\n".repeat(2), "");
    check(
        &place.sh("$T --version >/dev/full"),
        1,
        "",
        "meter: write error: No space left on device\n",
    );
}
