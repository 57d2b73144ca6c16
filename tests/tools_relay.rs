//! relay as a program: every kind of end, and what can go wrong with each.
#![cfg(target_os = "linux")]

#[path = "kit/mod.rs"]
mod kit;
mod tools;

use aqueduct::task::{self, Runtime};
use rustix::net::sockopt::set_socket_linger;
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;
use tools::{Place, show};

/// A relay that is under way. It is killed if the test fails, or if it takes for ever.
struct Relay {
    pid: Pid,
    /// Where it listens, if it does.
    at: String,
    end: Receiver<(i32, String, String)>,
    stdin: Option<std::process::ChildStdin>,
}

impl Relay {
    /// Starts it with `-v`, and waits until it listens.
    fn listening(arguments: &[&str]) -> Self {
        Self::start(Command::new(tools::tool("relay")).arg("-v").args(arguments), true)
    }

    fn start(command: &mut Command, listens: bool) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.env("LC_ALL", "C").spawn().unwrap();
        let mut errors = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        if listens {
            errors.read_line(&mut line).unwrap();
        }
        let at = line.trim_end().strip_prefix("relay: listening at ").unwrap_or("").to_owned();
        assert!(!listens || !at.is_empty(), "instead of listening it said: {line}");
        let (pid, stdin) = (Pid::from_child(&child), child.stdin.take());
        let (tell, end) = mpsc::channel();
        thread::spawn(move || tell.send(ended(child, errors)));
        Self { pid, at, end, stdin }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&*self.at).unwrap();
        // One that hangs is a failure, not a test without an end.
        stream.set_read_timeout(Some(kit::PATIENCE)).unwrap();
        stream.set_write_timeout(Some(kit::PATIENCE)).unwrap();
        stream
    }

    fn signal(&self, signal: Signal) {
        kill_process(self.pid, signal).unwrap();
    }

    /// Closes its standard input, and waits.
    fn end(mut self) -> (i32, String, String) {
        self.stdin = None;
        self.wait()
    }

    /// Its status as a shell shows it, and what it wrote to standard output and error.
    fn wait(&self) -> (i32, String, String) {
        self.end.recv_timeout(kit::PATIENCE).expect("it ends")
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = kill_process(self.pid, Signal::KILL);
    }
}

fn ended(mut child: Child, mut errors: impl Read + Send + 'static) -> (i32, String, String) {
    let complaints = thread::spawn(move || {
        let mut said = String::new();
        errors.read_to_string(&mut said).unwrap();
        said
    });
    let mut out = String::new();
    child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
    let status = tools::live::shell_status(child.wait().unwrap());
    (status, out, complaints.join().unwrap())
}

/// A port where `serve` has each connection, on a thread of its own.
fn server(serve: fn(TcpStream)) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = format!("tcp:{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            thread::spawn(move || serve(stream));
        }
    });
    at
}

fn echo(mut stream: TcpStream) {
    let mut back = stream.try_clone().unwrap();
    let _ = io::copy(&mut stream, &mut back);
    let _ = back.shutdown(Shutdown::Write);
}

/// A port where nobody listens.
fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("tcp:{}", listener.local_addr().unwrap())
}

/// Says `said`, ends, and hears to the end.
fn ask(mut stream: TcpStream, said: Vec<u8>) -> Vec<u8> {
    let mut to = stream.try_clone().unwrap();
    let speaks = thread::spawn(move || {
        to.write_all(&said).unwrap();
        to.shutdown(Shutdown::Write).unwrap();
    });
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).unwrap();
    speaks.join().unwrap();
    heard
}

fn abort(stream: TcpStream) {
    set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
}

#[test]
fn a_connection_goes_both_ways_and_ends_with_it() {
    let relay = Relay::listening(&["tcp-listen:localhost:0", &server(echo)]);
    let said = kit::noise(3_000_000, 5);
    assert!(ask(relay.connect(), said.clone()) == said);
    let (status, _, errors) = relay.end();
    assert_eq!(status, 0, "{errors}");
    assert!(errors.ends_with(": 3000000 bytes forth, 3000000 back\n"), "{errors}");
}

#[test]
fn an_answer_may_follow_the_end_of_the_question() {
    fn upper(mut stream: TcpStream) {
        let mut question = String::new();
        stream.read_to_string(&mut question).unwrap();
        stream.write_all(question.to_uppercase().as_bytes()).unwrap();
    }
    let relay = Relay::listening(&["tcp-listen:0,fork", &server(upper)]);
    assert_eq!(ask(relay.connect(), b"question".to_vec()), b"QUESTION");
}

/// Limited by the descriptors that this process may have.
fn many() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    let allowed = limit.maximum.map_or(1000, |most| (most as usize).saturating_sub(100) / 2);
    if allowed < 1000 {
        tools::not_run(&format!("only {allowed} connections at once, for want of descriptors"));
    }
    allowed.min(1000)
}

#[test]
fn a_thousand_connections_at_once_keep_their_bytes_apart() {
    let many = many();
    kit::within("a thousand", move || {
        let runtime = Runtime::builder().workers(2).stack_size(64 << 10).build().unwrap();
        let listener = aqueduct::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let target = format!("tcp:{}", listener.local_addr().unwrap());
        drop(runtime.spawn(move || {
            for stream in listener.incoming() {
                let (mut from, mut to) = stream.unwrap().split();
                drop(task::spawn(move || {
                    aqueduct::copy(&mut from, &mut to).unwrap();
                    to.get_ref().shutdown(Shutdown::Write).unwrap();
                }));
            }
        }));
        let relay = Relay::listening(&["tcp-listen:127.0.0.1:0,fork", &target]);
        // All are there before any says a word.
        let clients: Vec<_> =
            (0..many).map(|_| aqueduct::net::TcpStream::connect(&*relay.at).unwrap()).collect();
        let talks: Vec<_> = clients
            .into_iter()
            .enumerate()
            .map(|(i, client)| {
                runtime.spawn(move || {
                    // Some more than goes through memory first, and than sockets hold.
                    let said = kit::noise(if i % 50 == 0 { 1_000_000 } else { 37 * i }, i as u64);
                    let (mut from, mut to) = client.split();
                    task::scope(|scope| {
                        scope.spawn(|| {
                            to.write_all(&said).unwrap();
                            to.get_ref().shutdown(Shutdown::Write).unwrap();
                        });
                        let mut heard = Vec::new();
                        from.read_to_end(&mut heard).unwrap();
                        assert!(heard == said, "connection {i}: {} bytes", heard.len());
                    });
                })
            })
            .collect();
        for talk in talks {
            talk.join().unwrap();
        }
        drop(relay);
        drop(runtime);
    });
}

#[test]
fn a_reset_reaches_the_other_end_as_a_reset() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = format!("tcp:{}", listener.local_addr().unwrap());
    let relay = Relay::listening(&["tcp-listen:127.0.0.1:0", &target]);
    let mut client = relay.connect();
    client.write_all(&[1; 1000]).unwrap();
    let (mut served, _) = listener.accept().unwrap();
    served.read_exact(&mut [0; 1000]).unwrap();
    abort(client);
    // Half of the bytes must not look like all of them.
    assert_eq!(served.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    let (status, _, errors) = relay.end();
    assert_eq!(status, 1);
    assert!(errors.contains("read error: Connection reset by peer"), "{errors}");
}

#[test]
fn resets_and_refusals_concern_their_own_connection_only() {
    fn rude(mut stream: TcpStream) {
        let mut word = [0; 4];
        let _ = stream.read_exact(&mut word);
        match &word {
            b"echo" => {
                stream.write_all(b"echo").unwrap();
                echo(stream);
            }
            _ => abort(stream),
        }
    }
    let relay = Relay::listening(&["tcp-listen:127.0.0.1:0,fork", &server(rude)]);
    for _ in 0..20 {
        abort(relay.connect());
        let mut client = relay.connect();
        client.write_all(b"quit and some more").unwrap();
        // It sees a reset, not an end.
        assert_eq!(client.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    }
    assert_eq!(ask(relay.connect(), b"echo".to_vec()), b"echo");

    let refused = Relay::listening(&["tcp-listen:127.0.0.1:0,fork", &nobody()]);
    for _ in 0..3 {
        let gone = refused.connect().read(&mut [0; 8]).unwrap_err();
        assert_eq!(gone.kind(), ErrorKind::ConnectionReset);
    }
    refused.signal(Signal::TERM);
    let (status, _, errors) = refused.end();
    assert_eq!(status, 143);
    assert_eq!(errors.matches(": Connection refused\n").count(), 3, "{errors}");
}

#[test]
fn what_cannot_be_opened_is_said_and_the_status_is_1() {
    let place = Place::new("relay");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap();
    let _living = UnixListener::bind(place.path().join("living")).unwrap();
    place.file("regular", "precious");
    let nobody = nobody();
    for (addresses, complaint) in [
        (format!("- {nobody}"), format!("{nobody}: Connection refused")),
        (format!("tcp-listen:{taken} -"), format!("tcp-listen:{taken}: Address already in use")),
        ("- unix:none".into(), "unix:none: No such file or directory".into()),
        ("unix-listen:living -".into(), "unix-listen:living: Address already in use".into()),
        ("unix-listen:regular -".into(), "unix-listen:regular: Address already in use".into()),
        ("-u file:none -".into(), "file:none: No such file or directory".into()),
        (
            "- file:regular".into(),
            "file:regular: no device, so bytes can go one way only (-u)".into(),
        ),
        ("- exec:'exit 3'".into(), "'exec:exit 3': exit status: 3".into()),
        ("- exec:'kill -9 $$'".into(), "'exec:kill -9 $$': signal: 9 (SIGKILL)".into()),
    ] {
        let output = place.sh(&format!("$T {addresses} </dev/null"));
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{addresses}: {errors}");
        assert_eq!(errors, format!("relay: {complaint}\n"), "{addresses}");
    }
    assert_eq!(place.read("regular"), b"precious");
    let output = place.sh("$T - exec:no-such-command </dev/null");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("exit status: 127"));
}

#[test]
fn mistakes_in_the_command_line_are_said() {
    let place = Place::new("relay");
    for (arguments, complaint) in [
        ("-", "two addresses are needed"),
        ("- - -", "extra operand '-'"),
        ("- nowhere", "'nowhere': no such kind of address"),
        ("- tcp:", "'tcp:': something must follow the colon"),
        ("- tcp:80", "'tcp:80': not HOST:PORT"),
        ("- tcp:host:99999", "'tcp:host:99999': not HOST:PORT"),
        ("tcp-listen:x -", "'tcp-listen:x': not PORT or HOST:PORT"),
        ("- tcp-listen:0,fork", "only the first address can fork"),
        ("-T x - -", "invalid number of seconds: 'x'"),
        ("-t -1 - -", "invalid number of seconds: '-1'"),
    ] {
        let output = place.sh(&format!("$T {arguments}"));
        let expected = format!("relay: {complaint}\nTry 'relay --help' for more information.\n");
        tools::check(&output, 1, "", &expected);
    }
}

#[test]
fn socket_files_go_with_the_relay_whatever_ends_it() {
    let place = Place::new("relay");
    let path = place.path().join("socket");
    let address = format!("unix-listen:{}", path.display());
    let listening = |fork: &str| {
        let relay = Relay::listening(&[&format!("{address}{fork}"), &server(echo)]);
        assert_eq!(relay.at, path.display().to_string());
        relay
    };
    let talk = |path: &Path| {
        let mut client = UnixStream::connect(path).unwrap();
        client.set_read_timeout(Some(kit::PATIENCE)).unwrap();
        client.write_all(b"word").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "word");
    };
    let relay = listening("");
    talk(&path);
    assert_eq!(relay.end().0, 0);
    assert!(!path.exists());
    for (signal, status) in [(Signal::TERM, 143), (Signal::INT, 130), (Signal::HUP, 129)] {
        for fork in ["", ",fork"] {
            let relay = listening(fork);
            relay.signal(signal);
            assert_eq!(relay.end().0, status);
            assert!(!path.exists(), "{signal:?}{fork}");
        }
    }
    // One that had no chance to tidy up does not stand in the way of the next.
    let relay = listening(",fork");
    relay.signal(Signal::KILL);
    assert_eq!(relay.end().0, 137);
    assert!(path.exists());
    let relay = listening(",fork");
    talk(&path);
    talk(&path);
    // What lies there now is somebody else's.
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, "precious").unwrap();
    relay.signal(Signal::TERM);
    assert_eq!(relay.end().0, 143);
    assert_eq!(place.read("socket"), b"precious");
}

#[test]
fn commands_may_end_when_they_please() {
    let place = Place::new("relay");
    for (script, status, stdout) in [
        ("echo word | $T - exec:cat", 0, "word\n"),
        // It ignores its input.
        ("yes | $T - exec:true", 0, ""),
        ("yes | $T - exec:'exec <&-; echo late'", 0, "late\n"),
        // It dies in the middle.
        ("yes | $T - exec:'head -n 1; kill -9 $$'", 1, "y\n"),
        ("$T -u exec:'echo one way' -", 0, "one way\n"),
        ("echo in | $T -u - exec:'tr a-z A-Z'", 0, "IN\n"),
        // Its output has ended, but not it: its status is waited for.
        ("$T - exec:'exec >&-; exit 4' </dev/null", 1, ""),
        // Two commands, and nobody else.
        ("$T exec:'echo x' exec:'read y; echo $y >&2' 2>&1", 0, "x\n"),
    ] {
        let output = place.sh(&format!("timeout -s KILL 60 {script}"));
        let (code, out, errors) = show(&output);
        assert_eq!(
            (code, &*out),
            (Some(status), &*stdout.escape_default().to_string()),
            "{script}: {errors}"
        );
    }
}

#[test]
fn a_command_is_told_to_end_when_its_connection_fails() {
    let place = Place::new("relay");
    let told = place.path().join("told");
    let command = format!(
        "exec:trap 'echo told >{}; exit' TERM; echo up; while :; do sleep 0.05; done",
        told.display()
    );
    let relay = Relay::listening(&["tcp-listen:127.0.0.1:0,fork", &command]);
    let mut client = relay.connect();
    client.read_exact(&mut [0; 3]).unwrap();
    abort(client);
    let begun = std::time::Instant::now();
    while std::fs::read(&told).ok().as_deref() != Some(b"told\n") {
        assert!(begun.elapsed() < kit::PATIENCE, "nobody told it");
        thread::yield_now();
    }
}

#[test]
fn who_stops_reading_ends_it_as_sigpipe_does() {
    let place = Place::new("relay");
    let status = |script: &str| {
        let output = place.sh(script);
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert_eq!(status("yes | $T - exec:cat | head -n 1; echo ${PIPESTATUS[1]}"), "y\n141\n");
    let ignored =
        "trap '' PIPE; yes 2>&- | $T - exec:cat 2>errors | head -n 1; echo ${PIPESTATUS[1]}";
    assert_eq!(status(ignored), "y\n1\n");
    let errors = String::from_utf8(place.read("errors")).unwrap();
    assert!(errors.contains("relay: -: write error: Broken pipe"), "{errors}");
}

#[test]
fn silence_ends_it_with_status_124() {
    let mut command = Command::new(tools::tool("relay"));
    let relay = Relay::start(command.args(["-T", "0.05", "-", "exec:cat"]), false);
    assert_eq!(relay.wait(), (124, String::new(), String::new()));
    // Nobody reads, so that no byte moves although there are more.
    fn stalls(stream: TcpStream) {
        thread::sleep(kit::PATIENCE);
        drop(stream);
    }
    let relay = Relay::listening(&["-T", "0.2", "tcp-listen:127.0.0.1:0", &server(stalls)]);
    let client = relay.connect();
    let feeds = thread::spawn(move || (&client).write_all(&vec![0; 64 << 20]));
    let (status, _, errors) = relay.end();
    assert_eq!(status, 124, "{errors}");
    assert!(errors.contains(", and then nothing"), "{errors}");
    assert_eq!(feeds.join().unwrap().unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[test]
fn one_direction_that_moves_keeps_both_from_being_idle() {
    // Well within the patience, and longer in all.
    let relay = Relay::listening(&["-T", "3", "tcp-listen:127.0.0.1:0", &server(echo_nothing)]);
    let mut client = relay.connect();
    for _ in 0..16 {
        client.write_all(b"x").unwrap();
        thread::sleep(Duration::from_millis(250));
    }
    client.shutdown(Shutdown::Write).unwrap();
    let (status, _, errors) = relay.end();
    assert_eq!(status, 0, "{errors}");
    assert!(errors.contains(": 16 bytes forth, 0 back"), "{errors}");
}

fn echo_nothing(mut stream: TcpStream) {
    let _ = io::copy(&mut stream, &mut io::sink());
}

#[test]
fn after_the_end_of_one_direction_the_other_is_waited_for_as_long_as_was_said() {
    fn lingers(stream: TcpStream) {
        thread::sleep(kit::PATIENCE);
        drop(stream);
    }
    let target = server(lingers);
    let place = Place::new("relay");
    let output = place.sh(&format!("echo word | timeout -s KILL 60 $T -t 0.05 - {target}"));
    tools::check(&output, 0, "", "");
    // The shorter patience decides.
    let output = place.sh(&format!("echo word | timeout -s KILL 60 $T -t 50 -T 0.05 - {target}"));
    tools::check(&output, 124, "", "");
}

#[test]
fn files_pipes_and_terminals_are_standard_streams() {
    let place = Place::new("relay");
    let target = server(echo);
    let long = kit::noise(1_000_000, 9);
    place.file("in", &long);
    for script in ["$T - {} <in >out", "cat in | $T - {} | cat >out", "$T - {} <in | cat >out"] {
        let output = place.sh(&script.replace("{}", &target));
        tools::check(&output, 0, "", "");
        assert!(place.read("out") == long, "{script}");
    }
    let mut terminal = tools::live::Terminal::new();
    let mut command = Command::new(tools::tool("relay"));
    command.args(["-t", "0.05", "-"]).arg(&target);
    command.stdin(terminal.stream()).stdout(terminal.stream());
    let mut child = command.spawn().unwrap();
    terminal.screen.write_all(b"typed\n").unwrap();
    terminal.until("typed\n");
    child.kill().unwrap();
    child.wait().unwrap();
    let output = place.sh(&format!("$T - {target} <&-"));
    tools::check(&output, 1, "", "relay: -: Bad file descriptor\n");
}

#[test]
fn one_way_only_what_the_first_end_says_arrives() {
    let place = Place::new("relay");
    let relay = Relay::listening(&["-u", "tcp-listen:127.0.0.1:0", "-"]);
    let client = relay.connect();
    (&client).write_all(b"one way").unwrap();
    drop(client);
    let (status, out, errors) = relay.end();
    assert_eq!((status, &*out), (0, "one way"), "{errors}");
    place.file("in", "from a file");
    let output = place.sh("$T -u file:in file:out && $T -u - file:out2 <out && cat out2");
    tools::check(&output, 0, "from a file", "");
    place.file("out", "something longer than what follows");
    tools::check(&place.sh("$T -u file:in file:out && cat out"), 0, "from a file", "");
}

#[test]
fn a_file_that_several_connections_write_has_what_all_of_them_said() {
    let place = Place::new("relay");
    let log = place.path().join("log");
    let target = format!("file:{}", log.display());
    let relay = Relay::listening(&["-u", "tcp-listen:127.0.0.1:0,fork", &target]);
    for i in 0..10 {
        let mut client = relay.connect();
        client.write_all(format!("{i}\n").as_bytes()).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        // It is closed once all was written.
        assert_eq!(client.read(&mut [0; 8]).unwrap(), 0);
    }
    assert_eq!(place.read("log"), b"0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n");
}

#[test]
fn a_want_of_descriptors_passes() {
    let place = Place::new("relay");
    let mut command = Command::new("bash");
    // Its hard limit too: it would raise the other one.
    let target = server(echo);
    command.args(["-c", "ulimit -n 30; exec \"$0\" \"$@\""]).arg(tools::tool("relay"));
    command.args(["-v", "tcp-listen:127.0.0.1:0,fork", &target]).current_dir(place.path());
    let relay = Relay::start(&mut command, true);
    let crowd: Vec<_> = (0..60).map(|_| relay.connect()).collect();
    let mut served = 0;
    for (i, mut client) in crowd.into_iter().enumerate() {
        // Those who came when there was one descriptor left, and not two, are turned away.
        let word = [i as u8; 100];
        let sent = client.write_all(&word);
        let mut back = [0; 100];
        if sent.and_then(|()| client.read_exact(&mut back)).is_ok() {
            assert_eq!(back, word);
            served += 1;
        }
    }
    assert!(served > 10, "{served}");
    let said = kit::noise(500_000, 3);
    assert!(ask(relay.connect(), said.clone()) == said);
}
