//! Names as a shell would take them back, so that no name can look like something else.

use std::ffi::OsStr;
use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;

/// `name`, in quotes if a shell (or a reader of `tool: name: reason`) could mistake it.
pub(crate) fn quoted_if_needed(name: &OsStr) -> String {
    let bytes = name.as_bytes();
    let isolated_brace = matches!(bytes, b"{" | b"}");
    let special_first = bytes.first().is_some_and(|b| b"#~".contains(b));
    let plain = name.to_str().is_some_and(|text| {
        !text.chars().any(|c| c.is_control() || " !\"$&()*;<=>[^`|'\\?:".contains(c))
    });
    if plain && !bytes.is_empty() && !isolated_brace && !special_first {
        return name.to_string_lossy().into_owned();
    }
    quoted(name)
}

/// `name` in quotes, always.
pub(crate) fn quoted(name: &OsStr) -> String {
    if let Some(text) = name.to_str() {
        let single = text.contains('\'');
        if single && !text.chars().any(|c| c.is_control() || "\"$`\\!".contains(c)) {
            return format!("\"{text}\"");
        }
    }
    let mut out = String::from("'");
    let mut escaping = false;
    for chunk in name.as_bytes().utf8_chunks() {
        for c in chunk.valid().chars() {
            if c.is_control() {
                let mut utf8 = [0; 4];
                for &byte in c.encode_utf8(&mut utf8).as_bytes() {
                    escape(&mut out, &mut escaping, byte);
                }
                continue;
            }
            if escaping {
                out.push_str("''");
                escaping = false;
            }
            match c {
                '\'' => out.push_str("'\\''"),
                c => out.push(c),
            }
        }
        for &byte in chunk.invalid() {
            escape(&mut out, &mut escaping, byte);
        }
    }
    out.push('\'');
    out
}

/// Writes `byte` inside `$'...'`, which is opened if it is not open.
fn escape(out: &mut String, escaping: &mut bool, byte: u8) {
    if !*escaping {
        out.push_str("'$'");
        *escaping = true;
    }
    let short = match byte {
        7 => "\\a",
        8 => "\\b",
        9 => "\\t",
        10 => "\\n",
        11 => "\\v",
        12 => "\\f",
        13 => "\\r",
        _ => {
            // Writing to a String cannot fail.
            let _ = write!(out, "\\{byte:03o}");
            return;
        }
    };
    out.push_str(short);
}
