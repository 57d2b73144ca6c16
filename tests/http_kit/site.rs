//! A folder to serve.

use super::{Reply, ask};
use aqueduct::http::{Files, Handler};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};
use tempfile::TempDir;

/// A folder to serve, beside one that is none of a client's business.
pub(crate) struct Site(pub(crate) TempDir);

/// Sun, 06 Nov 1994 08:49:37 GMT
pub(crate) const AT: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
pub(crate) const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
const LONG: u64 = 300_000;

pub(crate) fn long() -> Vec<u8> {
    (0..LONG).map(|n| (n % 251) as u8).collect()
}

impl Site {
    pub(crate) fn new() -> Self {
        let site = Self(tempfile::tempdir().unwrap());
        fs::create_dir_all(site.at("dir/sub")).unwrap();
        fs::create_dir_all(site.at("indexed")).unwrap();
        fs::create_dir_all(site.at(".well-known")).unwrap();
        fs::write(site.0.path().join("secret"), "secret").unwrap();
        for (name, text) in [
            ("ten.txt", "0123456789"),
            ("empty", ""),
            ("dir/page.html", "<p>"),
            ("dir/a&b <c>.txt", "x"),
            ("dir/.hidden", "h"),
            ("indexed/index.html", "index"),
            (".well-known/about", "known"),
        ] {
            site.file(name, text);
        }
        site.file("long.bin", long());
        site
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.0.path().join("root")
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }

    pub(crate) fn file(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.at(name), bytes).unwrap();
        age(&self.at(name), 784_111_777);
    }

    pub(crate) fn files(&self) -> Files {
        Files::new(self.root()).unwrap()
    }

    pub(crate) fn get(&self, target: &str, fields: &str) -> Reply {
        get(self.files(), target, fields)
    }
}

pub(crate) fn age(path: &Path, seconds: u64) {
    let file = File::open(path).unwrap();
    file.set_modified(UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
}

pub(crate) fn get(handler: impl Handler, target: &str, fields: &str) -> Reply {
    ask(handler, &format!("GET {target} HTTP/1.1\r\nHost: h\r\n{fields}\r\n"))
}
