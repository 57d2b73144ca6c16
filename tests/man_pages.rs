//! The man pages: clean by mandoc's rules, and telling of exactly the options there are.
#![cfg(unix)]

mod tools;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

fn pages(section: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("man").join(section);
    let Ok(entries) = std::fs::read_dir(&folder) else { return Vec::new() };
    entries.map(|entry| entry.expect("man/ can be listed").path()).collect()
}

#[test]
fn mandoc_finds_nothing() {
    if Command::new("mandoc").arg("-V").output().is_err() {
        tools::not_run("mandoc is not installed, so no page was checked");
        return;
    }
    let all = ["man1", "man3", "man7"].map(pages).concat();
    assert!(all.len() >= 2, "man/ holds {all:?} only");
    for page in all {
        let lint = Command::new("mandoc").args(["-T", "lint"]).arg(&page).output();
        let lint = lint.expect("it started before");
        // What it says on standard error is about the machine's index of pages.
        let found = String::from_utf8_lossy(&lint.stdout).into_owned();
        // Our own pages are not installed, so mandoc does not find them.
        let found: Vec<_> =
            found.lines().filter(|line| !line.contains("referenced manual not found")).collect();
        assert!(found.is_empty(), "{}:\n{}", page.display(), found.join("\n"));
    }
}

#[test]
fn pages_and_programs_have_the_same_options() {
    let pages = pages("man1");
    assert!(!pages.is_empty());
    for page in pages {
        let name = page.file_stem().and_then(|stem| stem.to_str()).expect("names are plain");
        let help = Command::new(tools::tool(name)).arg("--help").output().expect("it starts");
        let told = in_help(&String::from_utf8_lossy(&help.stdout));
        let page = std::fs::read_to_string(&page).expect("the page can be read");
        assert!(told.len() > 2, "{name} --help tells of no options");
        assert_eq!(in_page(&page), told, "{name}: the page (left) and --help (right)");
    }
}

/// The options of lines such as `  -n, --lines <NUM>  what it does`.
fn in_help(help: &str) -> BTreeSet<String> {
    let lines = help.lines().map(str::trim_start).filter(|line| line.starts_with('-'));
    let named = lines.flat_map(|line| {
        let names = line.split("  ").next().unwrap_or(line);
        names.split(", ").map(plain).collect::<Vec<_>>()
    });
    named.collect()
}

/// The options of lines such as `.It Fl n , Fl -lines Ns = Ns Ar num`.
fn in_page(page: &str) -> BTreeSet<String> {
    let lines = page.lines().filter_map(|line| line.strip_prefix(".It Fl "));
    let names = lines.flat_map(|line| line.split(" , Fl "));
    names.map(|name| plain(&format!("-{name}"))).collect()
}

/// An option without its value.
fn plain(option: &str) -> String {
    option.chars().take_while(|c| c.is_alphanumeric() || "-".contains(*c)).collect()
}
