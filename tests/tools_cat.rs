//! cat: what it writes, what it refuses, how it ends.
#![cfg(target_os = "linux")]

mod tools;

use std::thread::JoinHandle;
use tools::live::{drain, feed, nonblocking};
use tools::{Place, check};

fn place() -> Place {
    let place = Place::new("cat");
    place.file("a", "one\ntwo\n");
    place.file("open", "no newline");
    place.file("empty", "");
    place
}

#[test]
fn joins_files_and_standard_input() {
    let out = place().same_as_gnu("echo in | $T a - empty open a; printf x | $T; $T a < open");
    check(&out, 0, "one\ntwo\nin\nno newlineone\ntwo\nxone\ntwo\n", "");
}

#[test]
fn goes_on_after_a_file_that_fails() {
    let out = place().same_as_gnu("mkdir -p dir; $T nope a dir open");
    let said = "cat: nope: No such file or directory\ncat: dir: Is a directory\n";
    check(&out, 1, "one\ntwo\nno newline", said);
}

#[test]
fn large_input_by_every_pairing() {
    let place = place();
    let data: Vec<u8> = (0..3_000_000_u32).map(|i| (i ^ (i >> 9)) as u8).collect();
    place.file("big", &data);
    for script in [
        "$T big > copy",
        "$T big big | head -c 3000000 > copy",
        "$T < big | $T > copy",
        "$T <(cat big) > copy",
        ": > copy; $T big >> copy",
        "mkfifo f; cat big > f & $T f > copy; rm f; wait",
    ] {
        let out = place.sh(script);
        check(&out, 0, "", "");
        assert!(place.read("copy") == data, "{script}");
    }
}

#[test]
fn formats_as_gnu_does() {
    let place = place();
    place.file("odd", b"a\n\n\n\n\tb\x01\x7f\x80\xff\x89\xe9\r\nx\ry\r\n\n");
    place.file("cr", "x\r");
    place.file("nl", "\ny");
    place.file("bytes", (0..=255).cycle().take(300_000).collect::<Vec<u8>>());
    for options in
        ["-n", "-b", "-s", "-v", "-e", "-t", "-E", "-T", "-A", "-bs", "-bE", "-nsA", "-nb", "-u"]
    {
        let script = format!("$T {options} odd odd cr nl open a bytes bytes cr");
        place.same_as_gnu(&script);
    }
    let long = place.same_as_gnu("seq 1000005 | $T --number | tail -n 1");
    check(&long, 0, "1000005\t1000005\n", "");
}

#[test]
fn formats_without_gnu_to_compare() {
    let place = place();
    check(&place.sh("$T -n open a"), 0, "     1\tno newlineone\n     2\ttwo\n", "");
    check(&place.sh(r"printf 'a\n\n\nb\n' | $T -sb"), 0, "     1\ta\n\n     2\tb\n", "");
    check(&place.sh(r"printf '\t\200\1\r\nx' | $T -A"), 0, "^IM-^@^A^M$\nx", "");
    check(&place.sh(r"(printf 'a\r'; printf '\n\r') | $T -E"), 0, "a^M$\n\r", "");
    check(&place.sh("$T --show-e --show-ends a"), 0, "one$\ntwo$\n", "");
}

#[test]
fn refuses_to_feed_on_its_own_output() {
    let place = place();
    let said = "cat: a: input file is output file\n";
    check(&place.same_as_gnu("$T a >> a"), 1, "", said);
    check(&place.same_as_gnu("$T -n a >> a"), 1, "", said);
    assert_eq!(place.read("a"), b"one\ntwo\n");
    let said = "cat: -: input file is output file\n";
    check(&place.same_as_gnu("$T < a >> a"), 1, "", said);
    check(&place.same_as_gnu("$T empty >> empty; $T open > open"), 0, "", "");
    check(&place.same_as_gnu("(cat >/dev/null; $T) < a >> a; $T a"), 0, "one\ntwo\n", "");
}

#[test]
fn a_failing_output_is_final() {
    let place = place();
    let full = "cat: write error: No space left on device\n";
    check(&place.same_as_gnu("$T a nope > /dev/full"), 1, "", full);
    check(&place.same_as_gnu("$T -n a nope > /dev/full"), 1, "", full);
    let closed = "cat: standard output: Bad file descriptor\n";
    check(&place.same_as_gnu("$T a >&-"), 1, "", closed);
    check(&place.same_as_gnu("$T -n a >&-"), 1, "", closed);
    check(&place.sh("$T <&-"), 1, "", "cat: -: Bad file descriptor\n");
    check(&place.sh("$T a - open <&-"), 1, "one\ntwo\nno newline", "cat: -: Bad file descriptor\n");
    check(&place.sh("$T nope 2>&-"), 1, "", "");
    place.file("big", vec![b'x'; 3_000_000]);
    let large = "cat: write error: File too large\n1024000 copy\n";
    for input in ["big", "< big", "<(cat big)", "- a < <(cat big)", "-s big"] {
        let script = format!("trap '' XFSZ; ulimit -f 1000; $T {input} > copy 2>said; r=$?");
        let out = place.sh(&format!("{script}; cat said; wc -c copy; exit $r"));
        check(&out, 1, large, "");
    }
}

#[test]
fn a_reader_that_leaves_ends_it_quietly() {
    let place = place();
    for script in ["$T /dev/zero | head -c 1 >/dev/null", "$T -v /dev/zero | head -c 1 >/dev/null"]
    {
        let out = place.same_as_gnu(&format!("{script}; echo ${{PIPESTATUS[0]}}"));
        check(&out, 0, "141\n", "");
    }
    let out = place.same_as_gnu("trap '' PIPE; $T /dev/zero | head -c 1 | wc -c");
    check(&out, 0, "1\n", "cat: write error: Broken pipe\n");
}

#[test]
fn made_up_files() {
    let place = place();
    place.same_as_gnu(
        "$T /proc/version /proc/filesystems /sys/kernel/mm/transparent_hugepage/enabled",
    );
    place.same_as_gnu("$T /proc/version - < /proc/filesystems | cksum; $T -n /proc/version");
    place.same_as_gnu("$T /dev/null - </dev/null; $T empty empty | wc -c");
    // Empty by its size, and a read that fails.
    place.same_as_gnu("$T /proc/self/attr/exec a; echo $?; $T /proc/self/mem a; echo $?");
}

/// A terminal that is shared by several programs may be non-blocking, and so may a pipe.
#[test]
fn ends_that_somebody_made_nonblocking() {
    let place = place();
    let data = "some line\n".repeat(40_000).into_bytes();
    place.file("big", &data);
    for arguments in [&["big"][..], &["-s", "big"], &["-"], &["-s", "-"], &["-", "empty"]] {
        let ((reader, writer), (input, feeder)) = (nonblocking(), nonblocking());
        let mut command = place.command(arguments);
        let mut cat = command.stdin(input).stdout(writer).spawn().unwrap();
        drop(command);
        // Nobody reads it where it is no operand.
        let feeder = arguments.contains(&"-").then(|| feed(feeder, data.clone()));
        assert!(drain(reader) == data, "{arguments:?}");
        assert_eq!(cat.wait().unwrap().code(), Some(0));
        feeder.map(JoinHandle::join).transpose().unwrap();
    }
}

#[test]
fn names_in_messages_cannot_mislead() {
    for name in
        ["a b", "it''s", "a=b", "a:b", "#a", "a#", "~a", "{", "a*", "a?b", "a\\b", "a$b", "(", "é"]
    {
        let place = place();
        if !name.is_ascii() {
            check(&place.sh("$T é"), 1, "", "cat: é: No such file or directory\n");
            continue;
        }
        place.same_as_gnu(&format!("$T -- '{name}'"));
    }
    place().same_as_gnu(r#"$T $'\nb' $'a\001\nb' "a'b" "a'b\"" "" $'\200'"#);
}

#[test]
fn mistakes_on_the_command_line() {
    let place = place();
    for arguments in ["-x", "-n=", "--nope", "--number=3", "-nx"] {
        let out = place
            .same_as_gnu(&format!("$T {arguments} 2>&1 | sed \"s,'.*cat --help,'cat --help,\""));
        assert!(String::from_utf8_lossy(&out.stdout).contains("cat: "), "{arguments}");
        assert_eq!(place.sh(&format!("$T {arguments}")).status.code(), Some(1));
    }
    assert_eq!(place.sh("$T --help").status.code(), Some(0));
    check(
        &place.sh("$T --version >/dev/full"),
        1,
        "",
        "cat: write error: No space left on device\n",
    );
}
