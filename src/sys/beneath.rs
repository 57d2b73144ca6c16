//! Opening files below a folder and nowhere else.

use super::{imp, retry};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, openat, readlinkat, statat};
use rustix::io::Errno;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What becomes of symbolic links on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Links {
    /// `ELOOP`.
    Refused,
    /// They are followed as long as they stay below the root; else `EXDEV`.
    Beneath,
    /// They are followed wherever they lead.
    Followed,
}

/// A fifo must not make anybody wait for its writer, and a terminal not become ours.
const FLAGS: OFlags =
    OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

/// As many as Linux follows.
const MOST_LINKS: usize = 40;

/// Opens a folder to look below it.
pub(crate) fn open_root(path: &std::path::Path) -> io::Result<OwnedFd> {
    Ok(rustix::fs::open(path, FLAGS | OFlags::DIRECTORY, Mode::empty())?)
}

/// Opens what lies at `path`, which is relative and not empty, to be read.
pub(crate) fn open_beneath(root: BorrowedFd<'_>, path: &[u8], links: Links) -> io::Result<OwnedFd> {
    match imp::open_beneath(root, path, FLAGS, links, false) {
        Err(error) if may_walk(&error) => walk(root, path, links),
        done => done,
    }
}

/// As [`open_beneath`], if no disk has to be asked for the way; else `WouldBlock`, or another error
/// that says nothing of the file.
pub(crate) fn open_cached(root: BorrowedFd<'_>, path: &[u8], links: Links) -> io::Result<OwnedFd> {
    imp::open_beneath(root, path, FLAGS, links, true)
}

/// Whether the call was refused, be it by a filter that does not know it; or it has lost too many
/// races against those who rename folders.
fn may_walk(error: &io::Error) -> bool {
    let code = error.raw_os_error().map(Errno::from_raw_os_error);
    error.kind() == io::ErrorKind::Unsupported
        || matches!(code, Some(Errno::NOSYS | Errno::PERM | Errno::AGAIN))
}

/// Opens it folder by folder, in a way that holds everywhere: `..` goes back to the folder that was
/// passed, wherever that has been moved since.
fn walk(root: BorrowedFd<'_>, path: &[u8], links: Links) -> io::Result<OwnedFd> {
    if links == Links::Followed {
        return retry(|| Ok(openat(root, path, FLAGS, Mode::empty())?));
    }
    let mut passed: Vec<OwnedFd> = Vec::new();
    let mut ahead: Vec<Vec<u8>> = Vec::new();
    push(&mut ahead, path)?;
    let mut followed = 0;
    while let Some(name) = ahead.pop() {
        if name == b".." {
            passed.pop().ok_or(Errno::XDEV)?;
            continue;
        }
        let folder = passed.last().map_or(root, AsFd::as_fd);
        let flags = if ahead.is_empty() { FLAGS } else { FLAGS | OFlags::DIRECTORY };
        match retry(|| Ok(openat(folder, &*name, flags | OFlags::NOFOLLOW, Mode::empty())?)) {
            Ok(fd) => passed.push(fd),
            // What a link answers is told differently on different systems.
            Err(error) => {
                let target = readlinkat(folder, &*name, Vec::new()).map_err(|_| error)?;
                followed += 1;
                if links == Links::Refused || followed > MOST_LINKS {
                    return Err(Errno::LOOP.into());
                }
                push(&mut ahead, target.as_bytes())?;
            }
        }
    }
    match passed.pop() {
        Some(fd) => Ok(fd),
        None => retry(|| Ok(openat(root, c".", FLAGS, Mode::empty())?)),
    }
}

/// Puts the names of a path before those that are ahead.
fn push(ahead: &mut Vec<Vec<u8>>, path: &[u8]) -> io::Result<()> {
    if path.starts_with(b"/") {
        return Err(Errno::XDEV.into());
    }
    let names = path.split(|b| *b == b'/').filter(|name| !matches!(*name, b"" | b"."));
    ahead.extend(names.rev().map(<[u8]>::to_vec));
    Ok(())
}

/// What a name stands for, as far as it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    File,
    Folder,
    Link,
    Other,
}

/// What lies in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) name: Vec<u8>,
    pub(crate) what: What,
    pub(crate) len: u64,
    pub(crate) modified: SystemTime,
}

/// Shows `each` what lies in a folder, in no order, until it wants no more. Links are told of, and not
/// what they lead to.
pub(crate) fn list(folder: OwnedFd, mut each: impl FnMut(Listed) -> bool) -> io::Result<()> {
    let mut names = Dir::new(folder)?;
    while let Some(entry) = names.next() {
        let entry = entry?;
        let name = entry.file_name();
        if [c".", c".."].contains(&name) {
            continue;
        }
        // What has gone since is not there.
        let Ok(stat) = statat(names.fd()?, name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
        let what = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => What::File,
            FileType::Directory => What::Folder,
            FileType::Symlink => What::Link,
            _ => What::Other,
        };
        let seconds = u64::try_from(stat.st_mtime).unwrap_or(0);
        let modified = UNIX_EPOCH.checked_add(Duration::from_secs(seconds)).unwrap_or(UNIX_EPOCH);
        let len = u64::try_from(stat.st_size).unwrap_or(0);
        if !each(Listed { name: name.to_bytes().to_vec(), what, len, modified }) {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File};
    use std::io::Read;
    use std::os::unix::fs::symlink;

    fn tree() -> tempfile::TempDir {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        fs::create_dir_all(at("root/a/b")).unwrap();
        fs::create_dir(at("beside")).unwrap();
        for (name, text) in [("secret", "out"), ("root/f", "f"), ("root/a/b/g", "g")] {
            fs::write(at(name), text).unwrap();
        }
        for (link, target) in [
            ("root/in", "a/b/g"),
            ("root/a/b/up", "../../f"),
            ("root/a/b/around", "../../a/../a/b/./up"),
            ("root/folder", "a/b"),
            ("root/out", "../secret"),
            ("root/a/far", "../../beside"),
            ("root/a/back", "../../root/f"),
            ("root/self", "self"),
            ("root/nowhere", "a/nothing"),
        ] {
            symlink(target, at(link)).unwrap();
        }
        symlink(at("root/f"), at("root/absolute")).unwrap();
        symlink("/", at("root/slash")).unwrap();
        place
    }

    type Open = fn(BorrowedFd<'_>, &[u8], Links) -> io::Result<OwnedFd>;

    fn read(open: Open, root: &OwnedFd, path: &str, links: Links) -> Result<String, Option<i32>> {
        let fd = open(root.as_fd(), path.as_bytes(), links).map_err(|e| e.raw_os_error())?;
        let (mut file, mut text) = (File::from(fd), String::new());
        file.read_to_string(&mut text).map_err(|e| e.raw_os_error())?;
        Ok(text)
    }

    #[test]
    fn nothing_leads_out_by_either_way() {
        let place = tree();
        let root = open_root(&place.path().join("root")).unwrap();
        let code = |errno: Errno| Err(Some(errno.raw_os_error()));
        let text = |text: &str| Ok(text.to_owned());
        let table = [
            ("f", text("f"), text("f")),
            ("a/b/g", text("g"), text("g")),
            ("a/../f", text("f"), text("f")),
            ("./a//b/./g", text("g"), text("g")),
            ("in", code(Errno::LOOP), text("g")),
            ("a/b/up", code(Errno::LOOP), text("f")),
            ("a/b/around", code(Errno::LOOP), text("f")),
            ("folder/g", code(Errno::LOOP), text("g")),
            ("folder/up", code(Errno::LOOP), text("f")),
            ("self", code(Errno::LOOP), code(Errno::LOOP)),
            ("nowhere", code(Errno::LOOP), code(Errno::NOENT)),
            ("none", code(Errno::NOENT), code(Errno::NOENT)),
            ("f/x", code(Errno::NOTDIR), code(Errno::NOTDIR)),
            ("a", code(Errno::ISDIR), code(Errno::ISDIR)),
            (".", code(Errno::ISDIR), code(Errno::ISDIR)),
            ("..", code(Errno::XDEV), code(Errno::XDEV)),
            ("../secret", code(Errno::XDEV), code(Errno::XDEV)),
            ("a/../../secret", code(Errno::XDEV), code(Errno::XDEV)),
            ("/etc/passwd", code(Errno::XDEV), code(Errno::XDEV)),
            ("out", code(Errno::LOOP), code(Errno::XDEV)),
            ("a/far", code(Errno::LOOP), code(Errno::XDEV)),
            ("a/back", code(Errno::LOOP), code(Errno::XDEV)),
            ("absolute", code(Errno::LOOP), code(Errno::XDEV)),
            ("slash/etc/passwd", code(Errno::LOOP), code(Errno::XDEV)),
        ];
        for (path, refused, beneath) in table {
            for open in [open_beneath as Open, walk as Open] {
                assert_eq!(read(open, &root, path, Links::Refused), refused, "{path}");
                assert_eq!(read(open, &root, path, Links::Beneath), beneath, "{path}");
            }
        }
        for open in [open_beneath as Open, walk as Open] {
            for (path, wanted) in [("out", "out"), ("absolute", "f"), ("in", "g")] {
                assert_eq!(read(open, &root, path, Links::Followed), text(wanted), "{path}");
            }
        }
    }

    #[test]
    fn the_call_is_there_or_the_walk_stands_in_for_it() {
        for (code, walks) in [
            (Errno::NOSYS, true),
            (Errno::PERM, true),
            (Errno::AGAIN, true),
            (Errno::NOENT, false),
            (Errno::XDEV, false),
            (Errno::ACCESS, false),
        ] {
            assert_eq!(may_walk(&code.into()), walks, "{code}");
        }
        assert!(may_walk(&io::ErrorKind::Unsupported.into()));
    }
}
