//! What of a folder can be reached, and how folders themselves are answered.
#![cfg(target_os = "linux")]

mod http_kit;

use aqueduct::http::{Files, Handler, Links, Mux};
use http_kit::site::{Site, get};
use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, symlink};

#[test]
fn folders_are_listed_or_stood_for() {
    let site = Site::new();
    assert_eq!(site.get("/indexed/", "").text(), "index");
    assert_eq!(site.get("/indexed/", "").field("content-type"), Some("text/html; charset=utf-8"));
    let reply = site.get("/dir/", "");
    assert_eq!(reply.field("content-type"), Some("text/html; charset=utf-8"));
    let policy = reply.field("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none';"), "{policy}");
    let page = reply.text();
    for part in [
        "<title>/dir/</title>",
        "href=\"./sub/\">sub</a>",
        "href=\"./page.html\">page.html</a><td title=\"3 bytes\">3 B<td>1994-11-06 08:49\n",
        "href=\"./a%26b%20%3Cc%3E.txt\">a&amp;b &lt;c&gt;.txt</a>",
        "href=\"../\"",
        "1 folder, 2 files, 4 B",
    ] {
        assert!(page.contains(part), "{part} is not in {page}");
    }
    assert!(!page.contains("hidden"), "{page}");
    assert!(page.find("sub").unwrap() < page.find("a%26b").unwrap(), "folders come first");
    assert!(get(site.files().hidden(true), "/dir/", "").text().contains(".hidden"));
    assert_eq!(get(site.files().listing(false), "/dir/", "").status, 403);
    assert_eq!(get(site.files().listing(false), "/indexed/", "").status, 200);
    let other = |names: &'static [&'static str]| site.files().index(names);
    assert_eq!(get(other(&["none", "page.html", "x"]), "/dir/", "").text(), "<p>");
    assert!(get(other(&[]), "/indexed/", "").text().contains("index.html"));
    // A folder stands for nothing.
    assert!(get(other(&["sub"]), "/dir/", "").text().contains("<title>/dir/"));
    assert_eq!(site.get("/ten.txt/", "").status, 404);
    assert_eq!(site.get("/none/", "").status, 404);
}

#[test]
fn folders_without_a_slash_are_elsewhere() {
    let site = Site::new();
    fs::create_dir(site.at("a:b c")).unwrap();
    for (target, location) in [
        ("/dir", "./dir/"),
        ("/dir/sub?x=/y", "./sub/?x=/y"),
        ("//dir", "./dir/"),
        ("/a:b%20c", "./a:b%20c/"),
    ] {
        let reply = site.get(target, "");
        assert_eq!((reply.status, reply.field("location")), (307, Some(location)), "{target}");
    }
    // Relative, so that it holds behind a prefix as well.
    let mut mux = Mux::new();
    mux.handle("/some/where/", site.files().strip_prefix("/some/where")).unwrap();
    assert_eq!(get(mux, "/some/where/dir", "").field("location"), Some("./dir/"));
}

#[test]
fn no_path_leads_out() {
    let site = Site::new();
    // Everything that is served is allowed here, but no way out.
    for target in [
        "/../secret",
        "/dir/../../secret",
        "/..",
        "/../",
        "/%2e%2e/secret",
        "/.%2e/secret",
        "/%2E./secret",
        "/..%2fsecret",
        "/%2e%2e%2fsecret",
        "/dir/..%2f..%2fsecret",
        "/..%5csecret",
        "/..\\secret",
        "/%2fetc%2fpasswd",
        "//etc/passwd",
        "/dir//../../secret",
        "/./../secret",
        "/..;/secret",
        "/ten.txt%00.html",
        "/%00",
        "/dir/%c0%ae%c0%ae/%c0%ae%c0%ae/secret",
        "/dir/%252e%252e/%252e%252e/secret",
        "/ten.txt/../../secret",
        "/none/../../secret",
    ] {
        let reply = get(site.files().hidden(true), target, "");
        assert_eq!(reply.status, 404, "{target}: {:?}", reply.text());
    }
    for target in ["/dir/.hidden", "/.well-known/../dir/.hidden", "/dir/%2ehidden"] {
        assert_eq!(site.get(target, "").status, 404, "{target}");
    }
    assert_eq!(get(site.files().hidden(true), "/dir/.hidden", "").text(), "h");
    assert_eq!(site.get("/.well-known/about", "").text(), "known");
    assert_eq!(site.get(&format!("/{}", "a".repeat(300)), "").status, 404);
    assert_eq!(site.get(&format!("/{}", "a/".repeat(3000)), "").status, 404);
}

#[test]
fn links_are_followed_as_far_as_they_may_lead() {
    let site = Site::new();
    for (link, target) in
        [("in", "dir/page.html"), ("out", "../secret"), ("folder", "dir"), ("loop", "loop")]
    {
        symlink(target, site.at(link)).unwrap();
    }
    symlink(site.at("ten.txt"), site.at("absolute")).unwrap();
    symlink("../../secret", site.at("dir/far")).unwrap();
    let names = ["in", "out", "folder/page.html", "loop", "absolute", "dir/far"];
    for (links, wanted) in [
        (Links::Refused, [404, 404, 404, 404, 404, 404]),
        (Links::Beneath, [200, 404, 200, 404, 404, 404]),
        (Links::Followed, [200, 200, 200, 404, 200, 200]),
    ] {
        let files = || site.files().links(links);
        let got = names.map(|name| get(files(), &format!("/{name}"), "").status);
        assert_eq!(got, wanted, "{links:?}");
        // What cannot be had is not listed either.
        let page = get(files(), "/", "");
        let listed = ["in", "out", "loop", "absolute"]
            .map(|name| page.text().contains(&format!("href=\"./{name}\"")));
        assert_eq!(listed, [0, 1, 3, 4].map(|at| wanted[at] == 200), "{links:?}");
        assert_eq!(page.text().contains("href=\"./folder/\""), wanted[2] == 200);
    }
    // The folder itself may be reached by one.
    symlink("root", site.0.path().join("alias")).unwrap();
    let files = Files::new(site.0.path().join("alias")).unwrap();
    assert_eq!(get(files, "/ten.txt", "").status, 200);
}

#[test]
fn what_is_no_file_is_not_there() {
    let site = Site::new();
    let path = site.at("fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o644.into(), 0)
        .unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(site.at("socket")).unwrap();
    assert_eq!(site.get("/fifo", "").status, 404);
    assert_eq!(site.get("/socket", "").status, 404);
    let page = site.get("/", "");
    assert!(!page.text().contains("fifo") && !page.text().contains("socket"));
    // Nobody is refused who is the superuser.
    fs::set_permissions(site.at("ten.txt"), fs::Permissions::from_mode(0o0)).unwrap();
    if File::open(site.at("ten.txt")).is_err() {
        assert_eq!(site.get("/ten.txt", "").status, 403);
    }
    assert!(Files::new(site.at("ten.txt")).is_err() && Files::new(site.at("none")).is_err());
}
