//! iomodels as a program: all models carry all bytes, and count what strace counts.
#![cfg(target_os = "linux")]

mod tools;

use std::process::Output;

/// The tool under a watchdog, which ends with status 124.
fn iomodels(place: &tools::Place, arguments: &str) -> Output {
    place.sh(&format!("timeout 60 $T {arguments}"))
}

fn text(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The columns of each line that begins with a model's name.
fn rows(text: &str) -> Vec<Vec<&str>> {
    let table = text.split("\n\n").next().unwrap();
    table.lines().skip(1).map(|line| line.split_whitespace().collect()).collect()
}

const MODELS: [&str; 10] = [
    "threads",
    "busy",
    "signal",
    "select",
    "poll",
    "epoll-level",
    "epoll-edge",
    "uring-ready",
    "uring-done",
    "tasks",
];

#[test]
fn each_model_serves_or_says_why_not() {
    let place = tools::Place::new("iomodels");
    let text = text(&iomodels(&place, "-n 4 -r 50 -b 3 -s 100 -t 30"));
    let rows = rows(&text);
    assert_eq!(rows.iter().map(|row| row[0]).collect::<Vec<_>>(), MODELS);
    for row in &rows {
        if row[2] == "not" && row[0].starts_with("uring") {
            tools::not_run("io_uring is forbidden here");
            continue;
        }
        assert_eq!(row[1..3], ["4", "150"], "{row:?}");
        let [wakes, events] = [3, 4].map(|at| row[at].parse::<u64>().unwrap());
        assert!(wakes >= 1 && events >= 1, "{row:?}");
        match row[0] {
            "tasks" => assert_eq!(row[5..7], ["-", "-"]),
            name => {
                let [calls, all] = [5, 6].map(|at| row[at].parse::<u64>().unwrap());
                // A read and a write each, but for the last, which may not have come back when calls are
                // counted; a ring's calls are fewer than messages.
                let least = if name == "uring-done" { 1 } else { 280 };
                assert!(calls >= least && all >= calls, "{row:?}");
            }
        }
    }
}

#[test]
fn the_classic_case_is_exact() {
    let place = tools::Place::new("iomodels");
    let text = text(&iomodels(&place, "-n 1 -r 1 -m poll"));
    let case = text.split("left-unread\n").nth(1).unwrap();
    let case: Vec<Vec<_>> = case.lines().map(|line| line.split_whitespace().collect()).collect();
    let expected: [&[&str]; 3] = [
        &["level", "2", "2", "0"],
        &["edge", "1", "1", "51200"],
        &["edge,", "drained", "1", "3", "0"],
    ];
    assert_eq!(case, expected);
}

/// How often strace saw `call`.
fn seen(table: &str, call: &str) -> u64 {
    let line = table.lines().find(|line| line.split_whitespace().last() == Some(call));
    line.map_or(0, |line| line.split_whitespace().nth(3).unwrap().parse().unwrap())
}

#[test]
fn strace_counts_the_same() {
    let place = tools::Place::new("iomodels");
    if !place.sh("strace -V").status.success() {
        tools::not_run("strace is not installed, so no call was counted twice");
        return;
    }
    let models: [(&str, &[&str]); 4] = [
        ("uring-done", &["io_uring_enter"]),
        ("uring-ready", &["io_uring_enter", "read", "write", "ioctl"]),
        ("poll", &["poll", "ppoll", "read", "write", "ioctl"]),
        (
            "epoll-edge",
            &["epoll_ctl", "epoll_wait", "epoll_pwait", "epoll_pwait2", "read", "write", "ioctl"],
        ),
    ];
    for (model, calls) in models {
        let run = format!("timeout 60 strace -f -c -o trace $T -n 4 -r 100 -t 60 -m {model}");
        let text = text(&place.sh(&run));
        let trace = String::from_utf8(place.read("trace")).unwrap();
        let row = &rows(&text)[0];
        if row[2] == "not" {
            tools::not_run("io_uring is forbidden here");
            continue;
        }
        let own: u64 = row[6].parse().unwrap();
        let strace: u64 = calls.iter().map(|call| seen(&trace, call)).sum();
        // Starting, the table itself and the classic case make some, too, and never many.
        assert!((own..=own + 60).contains(&strace), "{model}: {own} and {strace}\n{trace}");
    }
}

#[test]
fn the_picture_is_well_formed() {
    let place = tools::Place::new("iomodels");
    text(&iomodels(&place, "-n 2,4 -r 5 -g out.svg"));
    let svg = String::from_utf8(place.read("out.svg")).unwrap();
    assert!(svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>"));
    let mut open: Vec<&str> = Vec::new();
    for tag in svg.split('<').skip(1).map(|tag| tag.split('>').next().unwrap()) {
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name));
        } else if !tag.ends_with('/') {
            open.push(tag.split_whitespace().next().unwrap());
        }
    }
    assert!(open.is_empty(), "{open:?}");
    for model in ["threads", "epoll-edge", "tasks"] {
        assert!(svg.contains(&format!("\n{model}\n")), "{model} has no label");
    }
}

#[test]
fn what_cannot_be_written_is_told() {
    let place = tools::Place::new("iomodels");
    let full = "iomodels: /dev/full: No space left on device\n";
    let out = iomodels(&place, "-n 1 -r 1 -m poll -g /dev/full > /dev/null");
    tools::check(&out, 1, "", full);
    let out = iomodels(&place, "-n 1 -r 1 -m poll > /dev/full");
    tools::check(&out, 1, "", "iomodels: write error: No space left on device\n");
}

#[test]
fn mistakes_are_told() {
    let place = tools::Place::new("iomodels");
    let hint = "Try 'iomodels --help' for more information.\n";
    for (wrong, complaint) in [
        ("-n 0", "not a number from 1 to 100000: '0'"),
        ("-n 1,x", "not a number from 1 to 100000: 'x'"),
        ("-s 32769", "not a number from 1 to 32768: '32769'"),
        ("-t x", "invalid number of seconds: 'x'"),
        ("-z", "invalid option -- 'z'"),
    ] {
        let said = format!("iomodels: {complaint}\n{hint}");
        tools::check(&iomodels(&place, wrong), 1, "", &said);
    }
    let out = iomodels(&place, "-m kqueue2");
    assert_eq!(out.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&out.stderr).contains("no such model: 'kqueue2'"));
}
