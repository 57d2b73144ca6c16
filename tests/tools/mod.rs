//! Runs the example tools in temporary folders, beside GNU's where they are installed.
#![allow(dead_code, reason = "each test file uses its part")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// The tools that cargo built for this test run: `target/PROFILE/examples`, beside the folder
/// `deps` that this very test lies in.
pub(crate) fn tool(name: &str) -> PathBuf {
    let this = std::env::current_exe().expect("a test runs from a file");
    let profile = this.ancestors().nth(2).expect("tests lie in PROFILE/deps");
    let tool = profile.join("examples").join(name);
    assert!(tool.exists(), "{} is missing: cargo build --examples", tool.display());
    tool
}

/// GNU's tool of that name, if it is what the system has.
pub(crate) fn gnu(name: &str) -> Option<PathBuf> {
    let path = PathBuf::from("/usr/bin").join(name);
    let version = Command::new(&path).arg("--version").output().ok()?;
    String::from_utf8_lossy(&version.stdout).contains("GNU coreutils").then_some(path)
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
                let text = stream.escape_ascii().to_string();
                if text.contains(&*gnu.to_string_lossy()) {
                    let text = String::from_utf8_lossy(stream).into_owned();
                    *stream = text.replace(&*gnu.to_string_lossy(), self.name).into_bytes();
                }
            }
            assert_eq!(show(&ours), show(&theirs), "{script}");
        }
        ours
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
