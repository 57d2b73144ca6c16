//! A server that accepts by itself, and clients with sockets.
#![cfg(target_os = "linux")]

mod http_kit;

use aqueduct::http::{
    Cause, ConnState, Connection, Control, Handler, Request, RequestExt, Response, Server, handler,
};
use aqueduct::net::{TcpListener, UnixListener};
use http_kit::{Echo, GET, Reply, post, replies};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// What hangs is a failure, not a test without an end.
const LONG: Duration = Duration::from_secs(60);

/// A server on a thread of its own. It must be ended.
struct Serving {
    address: SocketAddr,
    control: Control,
    over: Receiver<io::Result<()>>,
}

fn serving<H: Handler + Send + Sync + 'static>(server: Server<H>) -> Serving {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, control) = (listener.local_addr().unwrap(), server.control());
    let (ends, over) = mpsc::channel();
    thread::spawn(move || ends.send(server.serve(listener)));
    Serving { address, control, over }
}

fn soon() -> Option<Instant> {
    Some(Instant::now() + LONG)
}

impl Serving {
    fn connect(&self) -> TcpStream {
        let client = TcpStream::connect(self.address).unwrap();
        client.set_read_timeout(Some(LONG)).unwrap();
        client
    }

    /// What `serve` has returned.
    #[track_caller]
    fn over(self) -> io::Result<()> {
        self.over.recv_timeout(LONG).expect("the server does not end")
    }

    #[track_caller]
    fn shut_down(self) {
        self.control.shutdown(soon());
        self.over().unwrap();
    }
}

/// Reads one answer, which has a length; `None` at the connection's end.
fn answer(reader: &mut impl BufRead) -> Option<Reply> {
    let mut bytes = Vec::new();
    let mut length = 0;
    loop {
        let start = bytes.len();
        if reader.read_until(b'\n', &mut bytes).unwrap_or(0) == 0 {
            assert!(bytes.is_empty(), "cut off: {:?}", String::from_utf8_lossy(&bytes));
            return None;
        }
        let line = String::from_utf8_lossy(&bytes[start..]).to_lowercase();
        if let Some(n) = line.strip_prefix("content-length: ") {
            length = n.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
    }
    let head = bytes.len();
    bytes.resize(head + length, 0);
    reader.read_exact(&mut bytes[head..]).unwrap();
    Some(replies(&bytes, &["GET"]).remove(0))
}

fn ask(client: &mut (impl Read + Write), request: &str) -> Option<Reply> {
    client.write_all(request.as_bytes()).unwrap();
    answer(&mut BufReader::with_capacity(1, client))
}

fn rest_of(mut client: impl Read) -> Vec<u8> {
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).unwrap();
    rest
}

#[test]
fn connections_stay_and_requests_in_a_row_are_answered_in_a_row() {
    let echo = Echo::default();
    let it = serving(Server::new(echo.clone()));
    let mut client = it.connect();
    for i in 0..50 {
        let body = i.to_string();
        let request = post(&format!("Content-Length: {}\r\n", body.len()), &body);
        assert_eq!(ask(&mut client, &request).unwrap().text(), body);
    }
    let many: String = (10..60).map(|i| post("Content-Length: 2\r\n", &i.to_string())).collect();
    client.write_all(many.as_bytes()).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let told = rest_of(client);
    let bodies: Vec<_> = replies(&told, &["POST"]).iter().map(|r| r.text().to_owned()).collect();
    assert_eq!(bodies, (10..60).map(|i| i.to_string()).collect::<Vec<_>>());
    it.shut_down();
    assert_eq!(echo.0.lock().unwrap().len(), 100);
}

#[test]
fn unix_sockets_are_served_as_well_and_by_the_same_server() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let server = Arc::new(Server::new(handler(|request, response| {
        let peer = request.connection().unwrap().peer_addr();
        response.send(if peer.is_some() { "tcp" } else { "unix" })
    })));
    let (unix, tcp) = (UnixListener::bind(&path).unwrap(), TcpListener::bind("[::1]:0").unwrap());
    let address = tcp.local_addr().unwrap();
    let control = server.control();
    let (ends, over) = mpsc::channel();
    let (other, also_ends) = (Arc::clone(&server), ends.clone());
    thread::spawn(move || ends.send(server.serve(unix)));
    thread::spawn(move || also_ends.send(other.serve(tcp)));
    let mut client = UnixStream::connect(path).unwrap();
    for _ in 0..3 {
        assert_eq!(ask(&mut client, GET).unwrap().text(), "unix");
        assert_eq!(ask(&mut TcpStream::connect(address).unwrap(), GET).unwrap().text(), "tcp");
    }
    control.shutdown(soon());
    for _ in 0..2 {
        over.recv_timeout(LONG).expect("both end").unwrap();
    }
    assert_eq!(rest_of(client), b"");
}

#[test]
fn whoever_says_nothing_for_too_long_is_left() {
    let server = Server::new(handler(|_, response| response.send("hello")));
    let it = serving(server.idle_timeout(Some(Duration::from_millis(30))));
    let start = Instant::now();
    let mut client = it.connect();
    assert_eq!(ask(&mut client, GET).unwrap().text(), "hello");
    assert_eq!(ask(&mut client, GET).unwrap().text(), "hello");
    assert_eq!(rest_of(client), b"");
    assert!(start.elapsed() >= Duration::from_millis(30), "early");
    it.shut_down();

    let server = Server::new(handler(|_, response| response.send("hello")));
    let server = server.idle_timeout(None);
    let it = serving(server.head_timeout(Some(Duration::from_millis(30))));
    for start in ["", "G", "GET / HTTP/1.1\r\nHost: h\r\n"] {
        let mut client = it.connect();
        client.write_all(start.as_bytes()).unwrap();
        assert_eq!(rest_of(client), b"", "{start:?}");
    }
    // A second head has as long, from its first byte on.
    let mut client = it.connect();
    assert_eq!(ask(&mut client, GET).unwrap().text(), "hello");
    client.write_all(b"GET").unwrap();
    assert_eq!(rest_of(client), b"");
    it.shut_down();
}

/// Answers after a moment, and counts whom.
fn slowly(count: &Arc<AtomicUsize>) -> impl Handler + Send + Sync + 'static {
    let count = Arc::clone(count);
    handler(move |_, response| {
        count.fetch_add(1, Ordering::Relaxed);
        aqueduct::task::sleep(Duration::from_micros(500))?;
        response.send("x".repeat(10_000))
    })
}

#[test]
fn a_shutdown_completes_every_request_that_has_begun() {
    let begun = Arc::new(AtomicUsize::new(0));
    let it = serving(Server::new(slowly(&begun)));
    let going = Arc::new(AtomicUsize::new(0));
    let clients: Vec<_> = (0..30)
        .map(|_| {
            let (mut client, going) = (it.connect(), Arc::clone(&going));
            thread::spawn(move || {
                let mut reader = BufReader::new(client.try_clone().unwrap());
                let mut complete = 0;
                while client.write_all(GET.as_bytes()).is_ok() {
                    // It is whole, or there is nothing of it.
                    let Some(reply) = answer(&mut reader) else { break };
                    assert_eq!((reply.status, reply.body.len()), (200, 10_000));
                    complete += 1;
                    going.fetch_add(1, Ordering::Relaxed);
                    if reply.closes() {
                        break;
                    }
                }
                complete
            })
        })
        .collect();
    while going.load(Ordering::Relaxed) < 300 {
        thread::yield_now();
    }
    it.shut_down();
    let complete: usize = clients.into_iter().map(|client| client.join().unwrap()).sum();
    assert_eq!(complete, begun.load(Ordering::Relaxed));
}

#[test]
fn a_shutdown_closes_who_is_idle_but_not_who_has_asked() {
    for _ in 0..20 {
        let it = serving(Server::new(handler(|_, response| response.send("hello"))));
        let mut idle = it.connect();
        let mut asks = it.connect();
        let mut pipelines = it.connect();
        let new = it.connect();
        for client in [&mut idle, &mut asks, &mut pipelines] {
            assert!(!ask(client, GET).unwrap().closes());
        }
        let mut asks_first = it.connect();
        asks_first.write_all(GET.as_bytes()).unwrap();
        asks.write_all(GET.as_bytes()).unwrap();
        pipelines.write_all(GET.repeat(3).as_bytes()).unwrap();
        it.control.shutdown(soon());
        assert_eq!((rest_of(idle), rest_of(new)), (vec![], vec![]));
        for (client, count) in [(asks_first, 1), (asks, 1), (pipelines, 3)] {
            let told = rest_of(client);
            let replies = replies(&told, &["GET"]);
            assert_eq!(replies.len(), count, "{replies:?}");
            // It may have been quicker than the shutdown, which it need not say then.
            assert!(replies[..count - 1].iter().all(|reply| !reply.closes()));
        }
        let address = it.address;
        it.over().unwrap();
        let refused = TcpStream::connect(address).and_then(|mut late| {
            late.write_all(GET.as_bytes())?;
            late.read_exact(&mut [0])
        });
        refused.unwrap_err();
    }
}

/// Reads the request's body, and tells what became of that.
fn tells(tell: mpsc::Sender<io::Result<usize>>) -> impl Handler + Send + Sync + 'static {
    let tell = Mutex::new(tell);
    handler(move |request: &mut Request<'_>, _: &mut Response<'_>| {
        let tell = tell.lock().unwrap().clone();
        tell.send(Ok(0)).unwrap();
        let result = request.body_mut().read(&mut [0; 8]);
        tell.send(result).unwrap();
        Ok(())
    })
}

#[test]
fn a_deadline_and_a_close_end_who_does_not() {
    for closes in [false, true] {
        let (tell, told) = mpsc::channel();
        let it = serving(Server::new(tells(tell)));
        let mut client = it.connect();
        client.write_all(post("Content-Length: 3\r\n", "").as_bytes()).unwrap();
        told.recv_timeout(LONG).unwrap().unwrap();
        if closes {
            it.control.close();
            it.over().unwrap();
        } else {
            it.control.shutdown(soon());
            assert!(it.over.try_recv().is_err(), "it does not wait for the request");
            // Moved.
            it.control.shutdown(Some(Instant::now() + Duration::from_millis(10)));
            assert_eq!(it.over().unwrap_err().kind(), io::ErrorKind::TimedOut);
        }
        let error = told.recv_timeout(LONG).unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotConnected);
        // The handler may be quick, and answer before both directions are closed.
        rest_of(client);
    }
}

#[test]
fn no_more_connections_than_allowed() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (count, peak) = (Arc::clone(&now), Arc::clone(&most));
    let server = Server::new(handler(|_, response| {
        aqueduct::task::sleep(Duration::from_millis(1))?;
        response.send("hello")
    }));
    let server = server.max_connections(Some(3)).on_state(move |_, state| match state {
        ConnState::New => {
            peak.fetch_max(count.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        }
        ConnState::Closed => drop(count.fetch_sub(1, Ordering::SeqCst)),
        _ => {}
    });
    let it = serving(server);
    thread::scope(|scope| {
        for _ in 0..30 {
            let mut client = it.connect();
            scope.spawn(move || assert_eq!(ask(&mut client, GET).unwrap().text(), "hello"));
        }
    });
    // It ends although there is no room.
    let full: Vec<_> = (0..6).map(|_| it.connect()).collect();
    it.shut_down();
    drop(full);
    assert_eq!((now.load(Ordering::SeqCst), most.load(Ordering::SeqCst)), (0, 3));
}

#[test]
fn a_panic_ends_its_connection_alone_and_is_reported() {
    let (tell, told) = mpsc::channel();
    let tell = Mutex::new(tell);
    let server = Server::new(handler(|request, response| match request.uri().path() {
        "/panic" => panic!("on purpose"),
        _ => response.send("hello"),
    }));
    let it = serving(server.on_failure(move |failure| {
        if let Cause::Panic(text) = failure.cause() {
            tell.lock().unwrap().send((*text).to_owned()).unwrap();
        }
    }));
    let mut other = it.connect();
    assert_eq!(ask(&mut other, GET).unwrap().text(), "hello");
    let mut client = it.connect();
    let reply = ask(&mut client, &GET.replacen('/', "/panic", 1)).unwrap();
    assert_eq!((reply.status, reply.closes()), (500, true));
    assert_eq!(rest_of(client), b"");
    assert_eq!(told.recv_timeout(LONG).unwrap(), "on purpose");
    assert_eq!(ask(&mut other, GET).unwrap().text(), "hello");
    it.shut_down();
}

#[test]
fn clients_that_misbehave_hold_up_nobody() {
    let closed = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&closed);
    let server = Server::new(Echo::default()).on_failure(|_| {}).on_state(move |_, state| {
        count.fetch_add(usize::from(state == ConnState::Closed), Ordering::SeqCst);
    });
    let it = serving(server);
    let mut stuck = Vec::new();
    for i in 0..60 {
        let mut client = it.connect();
        let (what, stays) = match i % 6 {
            0 => (String::new(), true),
            1 => ("GET / HT".into(), true),
            2 => (post("Content-Length: 100\r\n", "some"), true),
            3 => (post("Transfer-Encoding: chunked\r\n", "5\r\nab"), false),
            4 => (GET.repeat(200), false),
            _ => ("\u{0}\u{1}\u{80}\r\n\r\n".repeat(1000), false),
        };
        let _ = client.write_all(what.as_bytes());
        if stays {
            stuck.push(client);
        } else {
            // What it has not read makes this a reset.
            drop(client);
        }
    }
    let mut client = it.connect();
    for _ in 0..10 {
        assert_eq!(ask(&mut client, &post("Content-Length: 2\r\n", "hi")).unwrap().text(), "hi");
    }
    drop(stuck);
    drop(client);
    it.shut_down();
    assert_eq!(closed.load(Ordering::SeqCst), 61);
}

/// What a connection did, until it was closed.
fn states_of(
    server: Server<impl Handler + Send + Sync + 'static>,
    f: impl FnOnce(TcpStream),
) -> Vec<ConnState> {
    let (tell, told) = mpsc::channel();
    let tell = Mutex::new(tell);
    let it = serving(server.on_state(move |_, state| tell.lock().unwrap().send(state).unwrap()));
    f(it.connect());
    let mut states = Vec::new();
    while states.last() != Some(&ConnState::Closed) {
        states.push(told.recv_timeout(LONG).expect("it is closed"));
    }
    it.shut_down();
    states
}

#[test]
fn what_a_connection_does_is_told() {
    use ConnState::{Active, Closed, Hijacked, Idle, New};
    let hello = || Server::new(handler(|_, response| response.send("hello")));
    let states = states_of(hello(), |mut client| {
        for _ in 0..2 {
            assert_eq!(ask(&mut client, GET).unwrap().text(), "hello");
        }
    });
    // The client hears the answer before the server is done.
    assert_eq!(states, [New, Active, Idle, Active, Idle, Closed]);
    assert_eq!(states_of(hello(), drop), [New, Closed]);
    let states = states_of(hello(), |mut client| {
        client.write_all(b"nonsense\r\n\r\n").unwrap();
        assert_eq!(replies(&rest_of(client), &["GET"])[0].status, 400);
    });
    assert_eq!(states, [New, Active, Closed]);

    let lines = handler(|request: &mut Request<'_>, response: &mut Response<'_>| {
        response.set("Upgrade", "lines")?;
        let (reader, mut writer) = response.upgrade(request.body_mut())?.split();
        for line in BufReader::new(reader).lines() {
            writeln!(writer, "{}!", line?)?;
        }
        Ok(())
    });
    let states = states_of(Server::new(lines), |mut client| {
        client.write_all(format!("{GET}one\n").as_bytes()).unwrap();
        client.write_all(b"two\n").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let told = String::from_utf8(rest_of(client)).unwrap();
        assert!(told.starts_with("HTTP/1.1 101 "), "{told}");
        assert!(told.ends_with("\r\n\r\none!\ntwo!\n"), "{told}");
    });
    assert_eq!(states, [New, Active, Hijacked, Closed]);
}

#[test]
fn requests_know_their_connection() {
    let kept: Arc<Mutex<Vec<Connection>>> = Arc::default();
    let keep = Arc::clone(&kept);
    let it = serving(Server::new(handler(move |request, response| {
        let connection = request.connection().expect("it is known");
        keep.lock().unwrap().push(connection.clone());
        let addresses = (connection.peer_addr().unwrap(), connection.local_addr().unwrap());
        assert!(!connection.has_left() && !connection.is_ending());
        response.send(format!("{addresses:?}"))
    })));
    let mut clients = [it.connect(), it.connect()];
    for client in &mut clients {
        let told = ask(client, GET).unwrap();
        assert_eq!(told.text(), format!("{:?}", (client.local_addr().unwrap(), it.address)));
    }
    // Whoever keeps a connection does not keep it open.
    let [client, other] = clients;
    it.shut_down();
    assert_eq!((rest_of(client), rest_of(other)), (vec![], vec![]));
    for connection in &*kept.lock().unwrap() {
        assert!(connection.has_left() && connection.is_ending());
    }
}

#[test]
fn what_a_handler_adds_to_a_request_is_not_in_the_next_one() {
    #[derive(Clone)]
    struct Mine;
    let kept: Arc<Mutex<Vec<Connection>>> = Arc::default();
    let keep = Arc::clone(&kept);
    let it = serving(Server::new(handler(move |request, response| {
        let there = request.extensions().get::<Mine>().is_some();
        let peer = request.connection().unwrap().peer_addr().unwrap();
        // Neither does it see what is taken out, or put in the place of what is there.
        let mine = request.extensions_mut().remove::<Connection>().unwrap();
        let mut kept = keep.lock().unwrap();
        if let (true, Some(other)) = (kept.len() % 2 == 1, kept.first()) {
            request.extensions_mut().insert(other.clone());
        }
        kept.push(mine);
        request.extensions_mut().insert(Mine);
        response.send(format!("{there} {peer}"))
    })));
    for _ in 0..3 {
        let mut client = it.connect();
        let told = format!("false {}", client.local_addr().unwrap());
        client.write_all(GET.repeat(4).as_bytes()).unwrap();
        for _ in 0..4 {
            assert_eq!(answer(&mut BufReader::with_capacity(1, &mut client)).unwrap().text(), told);
        }
    }
    it.shut_down();
}

#[test]
fn a_handler_can_see_that_nobody_waits_for_it() {
    let (tell, told) = mpsc::channel();
    let tell = Mutex::new(tell);
    let it = serving(Server::new(handler(move |request, _| {
        let connection = request.connection().unwrap().clone();
        tell.lock().unwrap().send("begun").unwrap();
        while !connection.has_left() && !connection.is_ending() {
            aqueduct::task::sleep(Duration::from_millis(1))?;
        }
        let why = if connection.has_left() { "left" } else { "ending" };
        tell.lock().unwrap().send(why).unwrap();
        Ok(())
    })));
    let (mut leaves, mut stays) = (it.connect(), it.connect());
    for client in [&mut leaves, &mut stays] {
        client.write_all(GET.as_bytes()).unwrap();
        assert_eq!(told.recv_timeout(LONG).unwrap(), "begun");
    }
    drop(leaves);
    assert_eq!(told.recv_timeout(LONG).unwrap(), "left");
    it.control.shutdown(soon());
    assert_eq!(told.recv_timeout(LONG).unwrap(), "ending");
    assert!(answer(&mut BufReader::new(stays)).unwrap().closes());
    it.over().unwrap();
}

#[test]
fn a_handler_is_cancelled_when_its_client_leaves() {
    let (tell, told) = mpsc::channel();
    let tell = Mutex::new(tell);
    let waits = handler(move |request: &mut Request<'_>, response: &mut Response<'_>| {
        let tell = |what| tell.lock().unwrap().send(what).unwrap();
        match request.uri().path() {
            "/panic" => panic!("on purpose"),
            "/wait" => {
                tell("begun".to_owned());
                let result = aqueduct::task::sleep(LONG);
                let cancelled = result.as_ref().is_err_and(aqueduct::is_cancelled);
                tell(if cancelled { "cancelled".into() } else { format!("{result:?}") });
                result
            }
            _ => response.send(request.body_mut().text(100)?),
        }
    });
    let (fails, failed) = mpsc::channel();
    let fails = Mutex::new(fails);
    let server = Server::new(waits.until_left(Duration::from_millis(1)));
    let it = serving(server.on_failure(move |failure| {
        fails.lock().unwrap().send(failure.uri().path().to_owned()).unwrap();
    }));
    // Whoever stays is served, on one connection, and several times.
    let mut stays = it.connect();
    for _ in 0..3 {
        let reply = ask(&mut stays, &post("Content-Length: 3\r\n", "abc")).unwrap();
        assert_eq!(reply.text(), "abc");
    }
    let mut leaves = it.connect();
    leaves.write_all(GET.replacen('/', "/wait", 1).as_bytes()).unwrap();
    assert_eq!(told.recv_timeout(LONG).unwrap(), "begun");
    drop(leaves);
    assert_eq!(told.recv_timeout(LONG).unwrap(), "cancelled");
    let reply = ask(&mut stays, &GET.replacen('/', "/panic", 1)).unwrap();
    assert_eq!((reply.status, reply.closes()), (500, true));
    it.shut_down();
    // That the client has left is no failure.
    assert_eq!(failed.try_iter().collect::<Vec<_>>(), ["/panic"]);
}

#[test]
fn many_rest_and_all_are_served_again() {
    let it = serving(Server::new(handler(|_, response| response.send("hello"))));
    let mut clients: Vec<_> = (0..400).map(|_| it.connect()).collect();
    for _ in 0..3 {
        clients.iter_mut().for_each(|client| client.write_all(GET.as_bytes()).unwrap());
        for client in &mut clients {
            assert_eq!(answer(&mut BufReader::with_capacity(1, client)).unwrap().text(), "hello");
        }
    }
    it.shut_down();
    clients.into_iter().for_each(|client| assert_eq!(rest_of(client), b""));
}

#[test]
fn a_server_that_has_ended_serves_nobody() {
    let server = Server::new(handler(|_, response| response.send("hello")));
    server.control().shutdown(None);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    client.write_all(GET.as_bytes()).unwrap();
    // What has connected before it looked is served, by the runtime that it was started in.
    aqueduct::task::run(|| server.serve(listener)).unwrap().unwrap();
    assert!(replies(&rest_of(client), &["GET"])[0].closes());
}
