//! The tools on a kernel that refuses what the fast ways need, as strace(1) makes one.
#![cfg(target_os = "linux")]

mod tools;

use std::process::Command;
use tools::{Place, check, not_run, tool};

/// Calls and the errors that some kernel, file system or sandbox answers them with.
const FAULTS: &[(&str, &[&str])] = &[
    ("splice", &["ENOSYS", "EINVAL", "EAGAIN"]),
    ("tee", &["ENOSYS", "EPERM"]),
    ("copy_file_range", &["ENOSYS", "EXDEV"]),
    ("sendfile", &["ENOSYS"]),
    ("pipe2", &["EMFILE"]),
    ("statx", &["ENOSYS"]),
];

#[test]
fn a_way_that_is_refused_changes_no_byte() {
    if Command::new("strace").arg("-V").output().is_err() {
        not_run("strace is not installed, so no call was made to fail");
        return;
    }
    let place = Place::new("cat");
    let data: Vec<u8> = (0..2_500_000_u32).map(|i| (i ^ (i >> 9)) as u8).collect();
    place.file("big", data);
    let path = |name| tool(name).display().to_string();
    let (tee, head, meter) = (path("tee"), path("head"), path("meter"));
    for (call, errors) in FAULTS {
        for error in *errors {
            // From the start, or after some success.
            for when in ["", ":when=3+"] {
                let strace = format!("strace -f -o /dev/null -e inject={call}:error={error}{when}");
                for script in [
                    "$S $T big > out",
                    "cat big | $S $T > out",
                    "$S $T big | cat > out",
                    "cat big | $S $T | cat > out",
                    "cat big | $S $TEE one two | cat > out; cmp big one; cmp big two",
                    "$S $TEE one < big > out; cmp big one",
                    "cat big | $S $HEAD -c 2500000 | cat > out",
                    "cat big | $S $METER -n | cat > out",
                ] {
                    let setting =
                        format!("S='{strace}'; TEE='{tee}'; HEAD='{head}'; METER='{meter}'");
                    let out = place.sh(&format!(
                        "{setting}; {{ {script}; }} 2>said; cmp big out; grep cmp said"
                    ));
                    assert_eq!(out.stderr, b"", "{call} {error}{when}: {script}");
                    check(&out, 1, "", "");
                }
            }
        }
    }
}
