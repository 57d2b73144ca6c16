//! The house has floors: a module uses only those below its own, and columns on one floor do not
//! know each other. Unsafe code stays in its rooms. See ARCHITECTURE.md.

use std::fs;
use std::path::{Path, PathBuf};

/// `error` lies under everything: every floor raises its errors there. So does `sync`, which is std's.
const FLOORS: &[(&str, i32)] = &[
    ("error", -1),
    ("sync", -1),
    ("sys", 0),
    ("park", 1),
    ("poll", 2),
    ("source", 3),
    ("task", 3),
    ("stream", 4),
    ("adapters", 4),
    ("net", 5),
    ("copy", 5),
    ("iotest", 5),
    ("http", 6),
];

/// Files and folders (with their slash) in which the word `unsafe` may stand.
const UNSAFE_ROOMS: &[&str] =
    &["sys/", "adapters/pipe/lend.rs", "task/carrier.rs", "task/scope.rs", "task/stack.rs"];

fn floor(module: &str) -> Option<i32> {
    FLOORS.iter().find(|(name, _)| *name == module).map(|(_, floor)| *floor)
}

/// `text` without comments, literals and the items that only tests see.
fn code(text: &str) -> String {
    without_tests(&without_literals(text))
}

fn without_literals(text: &str) -> String {
    let mut code = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let skip = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            block_comment(rest)
        } else if c == '"' {
            quoted(rest, '"')
        } else if c == 'r' && !code.ends_with(is_word) && raw_string(rest).is_some() {
            raw_string(rest).unwrap_or(1)
        } else if c == '\'' && is_char(rest) {
            quoted(rest, '\'')
        } else {
            code.push(c);
            c.len_utf8()
        };
        rest = &rest[skip..];
    }
    code
}

fn block_comment(text: &str) -> usize {
    let (mut at, mut depth) = (0, 0);
    loop {
        match &text.as_bytes()[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            [] => return at,
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
}

fn quoted(text: &str, mark: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        if escaped {
            escaped = false;
        } else if c == mark {
            return at + 1;
        } else {
            escaped = c == '\\';
        }
    }
    text.len()
}

fn raw_string(text: &str) -> Option<usize> {
    let hashes = text[1..].bytes().take_while(|&b| b == b'#').count();
    let body = text[1 + hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    Some(body.find(&end).map_or(text.len(), |at| 2 + hashes + at + end.len()))
}

/// A character literal, not a lifetime.
fn is_char(text: &str) -> bool {
    let mut after = text.chars().skip(1);
    matches!((after.next(), after.next()), (Some('\\'), _) | (Some(_), Some('\'')))
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn without_tests(code: &str) -> String {
    let mut kept = String::new();
    let mut rest = code;
    while let Some(at) =
        ["#[cfg(test)]", "#[cfg(all(test"].iter().filter_map(|m| rest.find(m)).min()
    {
        kept.push_str(&rest[..at]);
        rest = &rest[at..];
        rest = &rest[item_len(rest)..];
    }
    kept + rest
}

/// The length of the item at the start: up to its `;`, or to the end of its braces.
fn item_len(code: &str) -> usize {
    let mut depth = 0;
    for (at, c) in code.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 1 => return at + 1,
            '}' => depth -= 1,
            ';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    code.len()
}

/// The modules at the crate's root that `code`, of a module `depth` floors below the root, names:
/// by `crate::`, or by as many `super::` as lead there.
fn roots(code: &str, depth: usize) -> Vec<String> {
    let squeezed = code.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(next) =
        ["crate::", "super::"].iter().filter_map(|m| squeezed[at..].find(m)).min()
    {
        let path = &squeezed[at + next..];
        let supers = path.split("::").take_while(|part| *part == "super").count();
        let skip = "crate::".len() * supers.max(1);
        if supers == 0 || supers >= depth + inline_modules(&squeezed[..at + next]) {
            found.extend(heads(&path[skip..]));
        }
        at += next + skip;
    }
    found
}

/// How many `mod name {` are open at the end of `code`.
fn inline_modules(code: &str) -> usize {
    let mut open = Vec::new();
    for (at, c) in code.char_indices() {
        match c {
            '{' => {
                let mut words = code[..at].split_whitespace().rev();
                open.push(words.next().is_some() && words.next() == Some("mod"));
            }
            '}' => drop(open.pop()),
            _ => {}
        }
    }
    open.into_iter().filter(|is_module| *is_module).count()
}

/// The first names of a path, or of each path in a braced list.
fn heads(path: &str) -> Vec<String> {
    let name = |text: &str| text.trim().chars().take_while(|&c| is_word(c)).collect::<String>();
    let Some(list) = path.strip_prefix('{') else { return vec![name(path)] };
    let (mut depth, mut names, mut start) = (0, Vec::new(), 0);
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            ',' | '}' if depth == 0 => {
                names.push(name(&list[start..at]));
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

/// What `text`, a file of module `module`, uses and may not.
fn trespasses(module: &str, depth: usize, text: &str) -> Vec<String> {
    let Some(own) = floor(module) else {
        return vec![format!("the module `{module}` has no floor: give it one in this test")];
    };
    roots(&code(text), depth)
        .into_iter()
        .filter(|used| used != module)
        .filter_map(|used| match floor(&used) {
            None => Some(format!("names `crate::{used}`: name it by its module")),
            Some(below) if below < own => None,
            Some(floor) => Some(format!("on floor {own}, uses `{used}` on floor {floor}")),
        })
        .collect()
}

fn has_unsafe(text: &str) -> bool {
    code(text).split(|c| !is_word(c)).any(|word| word == "unsafe" || word == "unsafe_code")
}

/// Every source file below `src`, with its path from there.
fn files() -> Vec<(PathBuf, String)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![src.clone()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of src") {
            let path = entry.expect("an entry of src").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = fs::read_to_string(&path).expect("a source file");
                let below = path.strip_prefix(&src).expect("a path below src").to_path_buf();
                files.push((below, text));
            }
        }
    }
    files.sort();
    files
}

/// The path of the module in `file`: `copy/mod.rs` is `copy`, `copy/plan.rs` is `copy`, `plan`.
fn module_path(file: &Path) -> Vec<String> {
    let stem = file.with_extension("");
    let mut parts: Vec<_> = stem.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    parts.pop_if(|last| last == "mod");
    parts
}

#[test]
fn no_module_looks_up() {
    let mut seen = 0;
    let mut wrong = Vec::new();
    for (file, text) in files() {
        let module = module_path(&file);
        // The root joins the floors; a file of tests may look anywhere.
        if file == Path::new("lib.rs") || module.iter().any(|part| part == "tests") {
            continue;
        }
        seen += 1;
        for what in trespasses(&module[0], module.len(), &text) {
            wrong.push(format!("src/{}: {what}", file.display()));
        }
    }
    assert!(seen >= 8, "only {seen} files were looked at");
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn unsafe_code_stays_in_its_rooms() {
    for (file, text) in files() {
        let in_room = UNSAFE_ROOMS.iter().any(|room| file.to_string_lossy().starts_with(room));
        assert!(in_room || !has_unsafe(&text), "src/{} holds unsafe code", file.display());
    }
}

#[test]
fn the_check_sees_every_way_of_naming_a_module() {
    let wrong = |module, depth, text| trespasses(module, depth, text).len();
    assert_eq!(wrong("adapters", 2, "use crate::source::{Piece, Sink};\nuse crate::error;"), 0);
    assert_eq!(wrong("adapters", 2, "use crate::copy::Report;"), 1);
    assert_eq!(wrong("adapters", 2, "use crate::{error, copy::{self, Path}, stream::X};"), 2);
    assert_eq!(wrong("adapters", 2, "fn f() { crate::copy::copy() }"), 1);
    assert_eq!(wrong("adapters", 2, "use super::super::copy;"), 1);
    assert_eq!(wrong("adapters", 1, "use super::copy;"), 1);
    assert_eq!(wrong("adapters", 2, "use super::{copy, ReadExt};"), 0);
    assert_eq!(wrong("sys", 1, "fn f() {} mod x { use super::Call; }"), 0);
    assert_eq!(wrong("sys", 1, "mod x { use super::super::copy; } use super::copy;"), 2);
    assert_eq!(wrong("copy", 2, "use crate::net::Tcp;"), 1, "columns do not know each other");
    assert_eq!(wrong("copy", 2, "use crate::ReadExt;"), 1, "a re-export hides the floor");
    assert_eq!(wrong("attic", 1, ""), 1);
}

#[test]
fn the_check_skips_what_is_no_code() {
    for text in [
        "//! See [`copy`](crate::copy()).",
        "/* use crate::copy; /* nested */ unsafe */",
        "const S: &str = \"crate::copy \\\" unsafe\";",
        "const S: &str = r#\"crate::copy \" unsafe\"#;",
        "const C: char = '\"'; // unsafe { crate::copy } \"",
        "#[cfg(test)]\nmod tests { use crate::copy::Report; fn f() { unsafe { x() } } }",
        "#![deny(unsafe_op_in_unsafe_fn)]",
    ] {
        assert_eq!(trespasses("adapters", 2, text), [""; 0], "{text}");
        assert!(!has_unsafe(text), "{text}");
    }
    let mixed = "fn f<'a>(x: &'a u8) {} // '\nfn g() { unsafe { crate::copy::h() } }";
    assert!(has_unsafe(mixed));
    assert_eq!(trespasses("adapters", 2, mixed).len(), 1);
    assert!(has_unsafe("#![allow(unsafe_code)]"));
}
