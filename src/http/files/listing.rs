//! Folders as pages.

use super::super::reply::date_of;
use super::super::response::Response;
use super::join;
use super::root::Root;
use crate::sys::{self, Listed, What};
use crate::task;
use http::{HeaderValue, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use std::fmt::{self, Display, Write};
use std::fs::File;
use std::io;
use std::time::SystemTime;

/// No page tells of more.
const MOST: usize = 10_000;

/// Sets the fields of a page. It runs no scripts, whatever the names in it are.
pub(super) fn describe(response: &mut Response<'_>) -> io::Result<()> {
    let policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";
    response
        .set(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"))?
        .set(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"))?
        .set(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy))
        .map(drop)
}

/// The page for a folder at `path` below the root. A task waits for it off its worker.
pub(super) fn page(root: &Root, path: &[u8], folder: File, hidden: bool) -> io::Result<String> {
    let (root, path) = (root.share(), path.to_vec());
    task::unblock(move || {
        let (rows, whole) = rows(&root, &path, folder, hidden)?;
        let mut page = String::new();
        // A string takes everything.
        let _ = write(&mut page, &path, &rows, whole);
        Ok(page)
    })?
}

/// What lies in a folder and can be asked for, folders first; and whether that is all.
fn rows(root: &Root, path: &[u8], folder: File, hidden: bool) -> io::Result<(Vec<Listed>, bool)> {
    let (mut rows, mut whole) = (Vec::new(), true);
    sys::list(folder.into(), |mut row| {
        if !hidden && row.name.starts_with(b".") {
            return true;
        }
        if row.what == What::Link {
            // Told of as what it leads to, if that can be reached.
            let Ok(entry) = root.open(&join(path, &row.name)) else { return true };
            row.what = match () {
                () if entry.about.is_dir() => What::Folder,
                () if entry.about.is_file() => What::File,
                () => What::Other,
            };
            (row.len, row.modified) = (entry.about.len(), entry.modified());
        }
        if !matches!(row.what, What::Folder | What::File) {
            return true;
        }
        whole = rows.len() < MOST;
        if whole {
            rows.push(row);
        }
        whole
    })?;
    rows.sort_by_cached_key(|row| {
        let name = String::from_utf8_lossy(&row.name).to_lowercase();
        (row.what != What::Folder, name, row.name.clone())
    });
    Ok((rows, whole))
}

fn write(page: &mut String, path: &[u8], rows: &[Listed], whole: bool) -> fmt::Result {
    let title = Text(path);
    let slash = if path.is_empty() { "" } else { "/" };
    writeln!(
        page,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>/{title}{slash}</title>\n\
         <style>\n{}</style>\n</head>\n<body>",
        include_str!("listing.css")
    )?;
    crumbs(page, path)?;
    page.push_str(
        "<table>\n<thead><tr><th>Name<th>Size<th>Modified <small>UTC</small></thead>\n<tbody>\n",
    );
    if !path.is_empty() {
        page.push_str("<tr><td><a class=\"up\" href=\"../\">Parent folder</a><td><td>\n");
    }
    rows.iter().try_for_each(|row| line(page, row))?;
    page.push_str("</tbody>\n</table>\n");
    foot(page, rows, whole)?;
    page.push_str("</body>\n</html>\n");
    Ok(())
}

/// The way from the root, each folder a link. They are relative: a prefix may have been stripped.
fn crumbs(page: &mut String, path: &[u8]) -> fmt::Result {
    let names = || path.split(|b| *b == b'/').filter(|name| !name.is_empty());
    let depth = names().count();
    page.push_str("<h1><span>Index of</span> ");
    match depth {
        0 => page.push_str("<b>/</b>"),
        _ => write!(page, "<a href=\"{}\">/</a>", "../".repeat(depth))?,
    }
    for (at, name) in names().enumerate() {
        match depth - 1 - at {
            0 => write!(page, "<b>{}</b>", Text(name))?,
            up => write!(page, "<a href=\"{}\">{}</a><i>/</i>", "../".repeat(up), Text(name))?,
        }
    }
    page.push_str("</h1>\n");
    Ok(())
}

fn line(page: &mut String, row: &Listed) -> fmt::Result {
    let is_folder = row.what == What::Folder;
    let (class, slash) = if is_folder { ("folder", "/") } else { ("file", "") };
    let href = percent_encode(&row.name, REFERENCE);
    // With a dot, since a name may look like a scheme.
    write!(page, "<tr><td><a class=\"{class}\" href=\"./{href}{slash}\">{}</a>", Text(&row.name))?;
    match is_folder {
        true => page.push_str("<td>"),
        false => write!(page, "<td title=\"{} bytes\">{}", row.len, Size(row.len))?,
    }
    writeln!(page, "<td>{}", Minute(row.modified))
}

fn foot(page: &mut String, rows: &[Listed], whole: bool) -> fmt::Result {
    let folders = rows.iter().filter(|row| row.what == What::Folder).count();
    let files = rows.len() - folders;
    let bytes = rows.iter().fold(0, |sum: u64, row| match row.what {
        What::Folder => sum,
        _ => sum.saturating_add(row.len),
    });
    page.push_str("<footer>");
    if !whole {
        write!(page, "The first {MOST} entries only: ")?;
    }
    match (folders, files) {
        (0, 0) => page.push_str("Empty"),
        (n, 0) => write!(page, "{}", Count(n, "folder"))?,
        (0, n) => write!(page, "{}, {}", Count(n, "file"), Size(bytes))?,
        (n, m) => write!(page, "{}, {}, {}", Count(n, "folder"), Count(m, "file"), Size(bytes))?,
    }
    page.push_str("</footer>\n");
    Ok(())
}

/// What may stand in a reference as it is.
const REFERENCE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A name as text of a page.
struct Text<'n>(&'n [u8]);

impl Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        String::from_utf8_lossy(self.0).chars().try_for_each(|c| match c {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '"' => f.write_str("&quot;"),
            '\'' => f.write_str("&#39;"),
            c if c.is_control() => f.write_char(char::REPLACEMENT_CHARACTER),
            c => f.write_char(c),
        })
    }
}

/// A number of bytes, for people.
struct Size(u64);

impl Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
        if self.0 < 1024 {
            return write!(f, "{} B", self.0);
        }
        let (mut size, mut unit) = (self.0 as f64 / 1024.0, 0);
        // 1023.95 would be told as 1024.0.
        while size >= 1023.95 && unit + 1 < UNITS.len() {
            (size, unit) = (size / 1024.0, unit + 1);
        }
        write!(f, "{size:.1} {}", UNITS[unit])
    }
}

/// A time to the minute, in UTC: `1994-11-06 08:49`.
struct Minute(SystemTime);

impl Display for Minute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MONTHS: &[u8] = b"JanFebMarAprMayJunJulAugSepOctNovDec";
        // `Sun, 06 Nov 1994 08:49:37 GMT`
        let date = date_of(self.0);
        let month = MONTHS.chunks(3).position(|month| *month == date[8..11]).unwrap_or(0) + 1;
        let text =
            |range: std::ops::Range<usize>| String::from_utf8_lossy(&date[range]).into_owned();
        write!(f, "{}-{month:02}-{} {}", text(12..16), text(5..7), text(17..22))
    }
}

/// So many of something.
struct Count(usize, &'static str);

impl Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}{}", self.0, self.1, if self.0 == 1 { "" } else { "s" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};

    #[test]
    fn sizes_and_times_are_told() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (1_048_524, "1023.9 KiB"),
            (1_048_525, "1.0 MiB"),
            (1 << 40, "1.0 TiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(Size(bytes).to_string(), text);
        }
        let at = |seconds| Minute(UNIX_EPOCH + Duration::from_secs(seconds)).to_string();
        assert_eq!(at(0), "1970-01-01 00:00");
        assert_eq!(at(784_111_777), "1994-11-06 08:49");
        assert_eq!(at(951_782_399), "2000-02-28 23:59");
        assert_eq!(at(951_782_400), "2000-02-29 00:00");
        assert_eq!(Count(1, "file").to_string(), "1 file");
        assert_eq!(Count(0, "file").to_string(), "0 files");
    }

    #[test]
    fn names_are_harmless() {
        let text = |name: &[u8]| Text(name).to_string();
        assert_eq!(
            text(b"<a href='x'>&\"</a>\n\xff"),
            "&lt;a href=&#39;x&#39;&gt;&amp;&quot;&lt;/a&gt;\u{fffd}\u{fffd}"
        );
        let mut page = String::new();
        let row =
            |name: &[u8], what| Listed { name: name.into(), what, len: 5, modified: UNIX_EPOCH };
        let rows = [
            row(b"a:b?c#d%e f\"<", What::Folder),
            row(b"javascript:alert(1)", What::File),
            row(b"\xff", What::File),
        ];
        write(&mut page, b"x/<y>", &rows, true).unwrap();
        for part in [
            "<title>/x/&lt;y&gt;/</title>",
            "<h1><span>Index of</span> <a href=\"../../\">/</a><a href=\"../\">x</a><i>/</i><b>&lt;y&gt;</b></h1>",
            "<a class=\"up\" href=\"../\">",
            "<a class=\"folder\" href=\"./a%3Ab%3Fc%23d%25e%20f%22%3C/\">a:b?c#d%e f&quot;&lt;</a><td><td>",
            "<a class=\"file\" href=\"./javascript%3Aalert%281%29\">",
            "<a class=\"file\" href=\"./%FF\">\u{fffd}</a><td title=\"5 bytes\">5 B<td>1970-01-01 00:00\n",
            "<footer>1 folder, 2 files, 10 B</footer>",
        ] {
            assert!(page.contains(part), "{part} is not in {page}");
        }
        let mut page = String::new();
        write(&mut page, b"", &[], false).unwrap();
        assert!(page.contains("Index of</span> <b>/</b></h1>") && !page.contains("../"), "{page}");
        assert!(page.contains("<footer>The first 10000 entries only: Empty</footer>"), "{page}");
    }
}
