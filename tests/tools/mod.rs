//! Runs the example tools in temporary folders, beside GNU's where they are installed.
#![allow(dead_code, reason = "each test file uses its part")]

pub(crate) mod live;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// Says that part of a test cannot run, which must not happen where everything is installed.
pub(crate) fn not_run(why: &str) {
    let required = std::env::var_os("AQUEDUCT_REQUIRE_TOOLS").is_some();
    assert!(!required, "{why}");
    eprintln!("NOT RUN: {why}");
}

/// The tools that cargo built for this test run: `target/PROFILE/examples`, beside the folder
/// `deps` that this very test lies in.
pub(crate) fn tool(name: &str) -> PathBuf {
    usual_signals();
    let this = std::env::current_exe().expect("a test runs from a file");
    let profile = this.ancestors().nth(2).expect("tests lie in PROFILE/deps");
    let tool = profile.join("examples").join(name);
    assert!(tool.exists(), "{} is missing: cargo build --examples", tool.display());
    tool
}

/// What the tools inherit from whoever runs the tests, nohup(1) perhaps, is nobody's choice.
#[allow(unsafe_code, reason = "the disposition of a signal has no safe interface")]
fn usual_signals() {
    for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGTERM] {
        // SAFETY: SIG_DFL runs no code of ours, and the signals exist.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}

/// GNU's tool of that name, if the system has it, be it beside another.
pub(crate) fn gnu(name: &str) -> Option<PathBuf> {
    let found = ["", "gnu"].into_iter().find_map(|prefix| {
        let path = PathBuf::from(format!("/usr/bin/{prefix}{name}"));
        let version = Command::new(&path).arg("--version").output().ok()?;
        String::from_utf8_lossy(&version.stdout).contains("GNU coreutils").then_some(path)
    });
    if found.is_none() {
        not_run(&format!("GNU's {name} is not installed, so ours was not held against it"));
    }
    found
}

/// A folder to work in, with a tool to run there.
pub(crate) struct Place {
    folder: TempDir,
    name: &'static str,
}

impl Place {
    pub(crate) fn new(name: &'static str) -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder can be made"), name }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path().join(name), content).expect("the folder takes files");
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path().join(name)).expect("the file was written")
    }

    /// Runs `script` in bash with our tool as `$T`.
    pub(crate) fn sh(&self, script: &str) -> Output {
        self.sh_with(&tool(self.name), script)
    }

    /// Runs `script` with ours and with GNU's; both must print the same and end the same.
    /// Returns what ours did.
    pub(crate) fn same_as_gnu(&self, script: &str) -> Output {
        let ours = self.sh(script);
        if let Some(gnu) = gnu(self.name) {
            let mut theirs = self.sh_with(&gnu, script);
            // GNU's tools name themselves as they were called.
            for stream in [&mut theirs.stdout, &mut theirs.stderr] {
                *stream = replaced(stream, gnu.as_os_str().as_encoded_bytes(), self.name);
            }
            assert_eq!(show(&ours), show(&theirs), "{script}");
        }
        ours
    }

    /// Our tool as a process to talk to, in the folder, with everything that goes in and comes
    /// out piped.
    pub(crate) fn start(&self, arguments: &[&str]) -> live::Live {
        live::Live::start(self.command(arguments))
    }

    /// Our tool, to be started in the folder.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(tool(self.name));
        command.args(arguments).current_dir(self.path()).env("LC_ALL", "C");
        command
    }

    fn sh_with(&self, tool: &Path, script: &str) -> Output {
        Command::new("bash")
            .args(["-c", script])
            .current_dir(self.path())
            .env("T", tool)
            .env("LC_ALL", "C")
            .output()
            .expect("bash is installed")
    }
}

fn replaced(text: &[u8], from: &[u8], to: &str) -> Vec<u8> {
    let (mut rest, mut out) = (text, Vec::new());
    while let Some(at) = rest.windows(from.len()).position(|window| window == from) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(to.as_bytes());
        rest = &rest[at + from.len()..];
    }
    out.extend_from_slice(rest);
    out
}

/// The end of a run as text: status, standard output, standard error.
pub(crate) fn show(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

pub(crate) fn check(output: &Output, status: i32, stdout: &str, stderr: &str) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert_eq!(
        (output.status.code(), text(&output.stdout), text(&output.stderr)),
        (Some(status), stdout.to_owned(), stderr.to_owned())
    );
}
