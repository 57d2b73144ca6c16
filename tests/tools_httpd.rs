//! httpd as a program: what curl gets, what attackers get, and how it ends.
#![cfg(target_os = "linux")]

mod tools;

use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tools::Place;

/// A server that ends with the test.
struct Server {
    process: Child,
    address: String,
}

impl Server {
    fn start(place: &Place, options: &[&str]) -> Self {
        let mut command = place.command(&["-l", "127.0.0.1:0"]);
        command.args(options).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut address = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut address).unwrap();
        Self { process, address: address.trim().into() }
    }

    fn connect(&self) -> TcpStream {
        let peer = TcpStream::connect(&self.address).unwrap();
        // A server that hangs is a failure, not a test without an end.
        peer.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        peer
    }

    /// The answer to `request`, which must ask for the connection to be closed.
    fn raw(&self, request: &str) -> Vec<u8> {
        let (mut peer, mut answer) = (self.connect(), Vec::new());
        peer.write_all(request.as_bytes()).unwrap();
        peer.read_to_end(&mut answer).unwrap();
        answer
    }

    fn get(&self, target: &str) -> String {
        let request = format!("GET {target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
        String::from_utf8_lossy(&self.raw(&request)).into_owned()
    }

    /// The status of the answer to a GET.
    fn status(&self, target: &str) -> u16 {
        self.get(target)[9..12].parse().unwrap()
    }

    /// Runs curl in the folder `at`; `None` if it is not there to be run.
    fn curl(&self, at: &Place, arguments: &[&str], path: &str) -> Option<Output> {
        let mut command = Command::new("curl");
        let url = format!("http://{}{path}", self.address);
        command.args(["-sS", "--max-time", "60", "--path-as-is"]).args(arguments).arg(url);
        let output = command.current_dir(at.path()).output();
        if output.is_err() {
            tools::not_run("curl is not installed");
        }
        output.ok()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
    }

    /// How it ends, and what it has said.
    fn end(mut self) -> (Option<i32>, String) {
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut said = String::new();
        self.process.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                return (status.code(), said);
            }
            assert!(Instant::now() < deadline, "it does not end");
            std::thread::yield_now();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn noise(len: usize) -> Vec<u8> {
    let mut state = 7_u32;
    let step = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..len).map(step).collect()
}

const LONG: usize = 3 << 20;

/// A folder `site` to serve, beside a secret.
fn place() -> Place {
    let place = Place::new("httpd");
    fs::create_dir_all(place.path().join("site/sub")).unwrap();
    place.file("secret", "secret");
    place.file("site/hello.txt", "hello\n");
    place.file("site/long.bin", noise(LONG));
    place.file("site/.hidden", "hidden");
    place.file("site/sub/start.htm", "start");
    std::os::unix::fs::symlink("../secret", place.path().join("site/way-out")).unwrap();
    let file = fs::File::open(place.path().join("site/hello.txt")).unwrap();
    let then = std::time::UNIX_EPOCH + Duration::from_secs(784_111_777);
    file.set_modified(then).unwrap();
    place
}

#[test]
fn curl_gets_files_and_parts_of_them() {
    let (place, here) = (place(), Place::new("httpd"));
    let server = Server::start(&place, &["-d", "site"]);
    let Some(out) = server.curl(&here, &["-o", "got"], "/long.bin") else { return };
    assert_eq!(tools::show(&out).0, Some(0));
    assert!(here.read("got") == noise(LONG));
    let curl = |arguments: &[&str], path: &str| {
        let out = server.curl(&here, arguments, path).unwrap();
        assert_eq!(tools::show(&out).2, "");
        out.stdout
    };
    assert!(curl(&["-r", "1000000-2500000"], "/long.bin") == noise(LONG)[1_000_000..=2_500_000]);
    assert!(curl(&["-r", "-5"], "/long.bin") == noise(LONG)[LONG - 5..]);
    let parts = curl(&["-i", "-r", "0-1,4-5"], "/hello.txt");
    let parts = String::from_utf8(parts).unwrap();
    for part in ["206 Partial Content", "Content-Range: bytes 0-1/6\r\n\r\nhe", "4-5/6\r\n\r\no\n"]
    {
        assert!(parts.contains(part), "{parts}");
    }
    // A download goes on where it has stopped.
    here.file("got", &noise(LONG)[..1_234_567]);
    curl(&["-C", "-", "-o", "got"], "/long.bin");
    assert!(here.read("got") == noise(LONG));
    let status = ["-o", "/dev/null", "-w", "%{http_code} %{size_download}"];
    let with = |more: &[&str], path: &str| {
        String::from_utf8(curl(&[&status, more].concat(), path)).unwrap()
    };
    assert_eq!(with(&["-r", "6-"], "/hello.txt"), "416 18");
    assert_eq!(with(&["-z", "Sun, 06 Nov 1994 08:49:37 GMT"], "/hello.txt"), "304 0");
    assert_eq!(with(&["-z", "Sun, 06 Nov 1994 08:49:36 GMT"], "/hello.txt"), "200 6");
    assert_eq!(with(&["-z", "-Sun, 06 Nov 1994 08:49:36 GMT"], "/hello.txt"), "412 29");
    assert_eq!(with(&["-I"], "/long.bin"), "200 0");
    assert_eq!(with(&["-X", "DELETE"], "/hello.txt"), "405 20");
    assert_eq!(with(&["-0"], "/hello.txt"), "200 6");
    assert_eq!(with(&["-L"], "/sub"), with(&[], "/sub/"), "a folder is where its slash is");
    assert_eq!(with(&[], "/../secret")[..3], *"404");
    // Of the same connection, one after the other.
    let url = format!("http://{}/hello.txt", server.address);
    assert_eq!(curl(&[&url, &url], "/hello.txt"), b"hello\nhello\nhello\n");
}

#[test]
fn attackers_get_nothing() {
    let place = place();
    let server = Server::start(&place, &["-d", "site"]);
    for target in [
        "/../secret",
        "/sub/../../secret",
        "/%2e%2e/secret",
        "/..%2fsecret",
        "/sub/%2e%2e%2f%2e%2e%2fsecret",
        "//../secret",
        "/hello.txt%00",
        "/way-out",
        "/.hidden",
        "/%2fetc/passwd",
        "//etc/passwd",
        "http://h/../secret",
    ] {
        let answer = server.get(target);
        assert!(answer.starts_with("HTTP/1.1 404 ") && !answer.contains("secret"), "{answer}");
    }
    for (request, status) in [
        ("GET ../secret HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        ("GET secret HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        ("GET /\0 HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        ("CONNECT secret:1 HTTP/1.1\r\nHost: secret:1\r\n\r\n", 405),
        ("OPTIONS * HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", 405),
        ("PUT /x HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx", 405),
    ] {
        let answer = server.raw(request);
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request:?}: {answer}");
    }
    assert!(!place.path().join("site/x").exists());
    assert_eq!(server.status("/hello.txt"), 200);
}

#[test]
fn options_say_what_is_served() {
    let place = place();
    place.file("site/hello.txt.gz", "compressed");
    let plain = Server::start(&place, &["-d", "site"]);
    let other = Server::start(
        &place,
        &["-d", "site", "-afnz", "-i", "none", "-i", "start.htm", "-m", "3", "-w", "1"],
    );
    for (target, of_plain, of_other) in [
        ("/", 200, 403),
        ("/sub/", 200, 200),
        ("/.hidden", 404, 200),
        ("/way-out", 404, 200),
        ("/none", 404, 404),
    ] {
        assert_eq!(plain.status(target), of_plain, "{target}");
        assert_eq!(other.status(target), of_other, "{target}");
    }
    assert!(other.get("/sub/").ends_with("\r\n\r\nstart"));
    let page = plain.get("/");
    assert!(page.contains(">hello.txt</a>") && !page.contains("way-out"), "{page}");
    let zipped =
        "GET /hello.txt HTTP/1.1\r\nHost: h\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n";
    assert!(other.raw(zipped).ends_with(b"\r\n\r\ncompressed"));
    assert!(plain.raw(zipped).ends_with(b"\r\n\r\nhello\n"));
}

#[test]
fn requests_are_lines_on_standard_error() {
    let place = place();
    let server = Server::start(&place, &["-v", "-d", "site"]);
    server.get("/hello.txt?x");
    server.get("/none");
    server.signal(Signal::TERM);
    let (status, said) = server.end();
    assert_eq!(status, Some(0));
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines.len(), 2, "{said}");
    assert!(
        lines[0].starts_with("127.0.0.1 [")
            && lines[0].contains("\"GET /hello.txt?x HTTP/1.1\" 200 6 ")
    );
    assert!(lines[1].contains("\"GET /none HTTP/1.1\" 404 "));
}

/// The system calls that concern files and sockets while the server answers `target`, which begins with
/// its opening; `None` without strace.
fn calls(place: &Place, target: &str) -> Option<Vec<String>> {
    const TRACED: &str = "trace=openat,openat2,read,preadv2,pread64,sendfile,sendto,sendmsg,splice";
    let mut command = Command::new("strace");
    command.args(["-f", "-o", "calls", "-e", TRACED, "sh", "-c", "echo $$; exec \"$0\" \"$@\""]);
    command.arg(tools::tool("httpd")).args(["-l", "127.0.0.1:0", "-d", "site"]);
    let Ok(mut strace) = command.current_dir(place.path()).stdout(Stdio::piped()).spawn() else {
        tools::not_run("strace is not installed, so no calls were counted");
        return None;
    };
    let mut lines = BufReader::new(strace.stdout.take().unwrap()).lines().map(Result::unwrap);
    let own = lines.next().unwrap().parse().ok().and_then(Pid::from_raw).unwrap();
    let server = Server { process: strace, address: lines.next().unwrap() };
    // The first may have to fetch what it asks for.
    assert_eq!(
        [server.status(target), server.status(target), server.status("/none")],
        [200, 200, 404]
    );
    // strace ends with what it traces, which would go on without it.
    kill_process(own, Signal::TERM).unwrap();
    assert_eq!(lines.next(), None);
    drop(server);
    let log = String::from_utf8(place.read("calls")).unwrap();
    let opened = format!(" openat2(3, \"{}\"", &target[1..]);
    let last = log.lines().rev().take_while(|line| !line.contains(&opened)).count();
    let list = log.lines().skip(log.lines().count() - last - 1).map(str::to_owned);
    Some(list.take_while(|line| !line.contains("\"none\"")).collect())
}

#[test]
fn files_cost_few_calls() {
    let place = place();
    let Some(list) = calls(&place, "/long.bin") else { return };
    let count = |list: &[String], name: &str| list.iter().filter(|l| l.contains(name)).count();
    assert!(count(&list, " sendfile(") > 0 && count(&list, " splice(") == 0, "{list:#?}");
    assert_eq!(count(&list, " sendto("), 1, "{list:#?}");
    // Reads ask whether there is something in memory, by a byte.
    let reads = list.iter().filter(|l| l.contains("read") && !l.contains("iov_len=1}"));
    assert_eq!(reads.count(), 0, "{list:#?}");
    let list = calls(&place, "/hello.txt").unwrap();
    let counts = [" openat2(", " preadv2(", " sendto("].map(|name| count(&list, name));
    assert_eq!((counts, list.len()), ([1, 1, 1], 3), "{list:#?}");
}

#[test]
fn what_is_under_way_is_finished_before_the_end() {
    const HUGE: usize = 32 << 20;
    for signal in [Signal::TERM, Signal::INT] {
        let place = place();
        place.file("site/huge", vec![7; HUGE]);
        let server = Server::start(&place, &["-d", "site"]);
        let mut idle = server.connect();
        let mut peer = server.connect();
        peer.write_all(b"GET /huge HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
        // More than the socket holds is still to come.
        peer.read_exact(&mut [0; 100]).unwrap();
        server.signal(signal);
        assert_eq!(idle.read(&mut [0]).unwrap(), 0, "one that waits for nothing is closed");
        let mut rest = Vec::new();
        peer.read_to_end(&mut rest).unwrap();
        assert!(rest.ends_with(&vec![7; HUGE]), "{} bytes", rest.len());
        assert_eq!(server.end(), (Some(0), String::new()));
    }
}

#[test]
fn a_second_signal_is_the_end() {
    let place = place();
    place.file("site/huge", vec![7; 32 << 20]);
    let server = Server::start(&place, &["-d", "site"]);
    let (mut idle, mut peer) = (server.connect(), server.connect());
    peer.write_all(b"GET /huge HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    peer.read_exact(&mut [0; 100]).unwrap();
    server.signal(Signal::TERM);
    assert_eq!(idle.read(&mut [0]).unwrap(), 0);
    server.signal(Signal::TERM);
    assert_eq!(server.end(), (Some(1), String::new()));
}

#[test]
fn silence_ends_a_connection() {
    let server = Server::start(&place(), &["-t", "0", "-d", "site"]);
    assert_eq!(server.connect().read(&mut [0]).unwrap(), 0);
}

#[test]
fn what_cannot_be_served_is_told() {
    let place = place();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    for (arguments, told) in [
        (format!("-l {taken}"), format!("{taken}: Address already in use")),
        ("-d none".into(), "none: No such file or directory".into()),
        ("-d secret".into(), "secret: Not a directory".into()),
    ] {
        let out = place.sh(&format!("$T {arguments}"));
        tools::check(&out, 1, "", &format!("httpd: {told}\n"));
    }
    for (arguments, complaint) in [
        ("-w many", "invalid number: 'many'"),
        ("-t -1", "invalid number: '-1'"),
        ("-x", "invalid option -- 'x'"),
        ("-l", "option '--listen' requires an argument"),
    ] {
        let out = place.sh(&format!("$T {arguments}"));
        let text = format!("httpd: {complaint}\nTry 'httpd --help' for more information.\n");
        tools::check(&out, 1, "", &text);
    }
    let out = place.sh("$T -l nonsense");
    assert!(out.status.code() == Some(1) && out.stderr.starts_with(b"httpd: nonsense: "));
}
