//! The life of a connection: requests one after the other, timeouts, refusals, take-overs.

mod http_kit;
mod kit;

use aqueduct::adapters::duplex::Duplex;
use aqueduct::http::{Method, Server, StatusCode, Transport, handler, header};
use aqueduct::source::Deadlines;
use aqueduct::stream::Stream;
use aqueduct::{copy, duplex_with_capacity, task};
use http_kit::{GET, Script, post, replies, serve, talk, without_date};
use kit::{tcp, within};
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

const CLOSE: &str = "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";

#[test]
fn requests_that_come_together_are_answered_together() {
    let path = handler(|request, response| response.send(request.uri().path()));
    let requests: Vec<_> =
        (0..50).map(|n| format!("GET /{n} HTTP/1.1\r\nHost: h\r\n\r\n")).collect();
    let script = serve(path, [requests.concat()]);
    let texts: Vec<_> =
        replies(&script.written, &["GET"]).iter().map(|r| r.text().to_owned()).collect();
    assert_eq!(texts, (0..50).map(|n| format!("/{n}")).collect::<Vec<_>>());
    assert_eq!(script.writes, 1, "all answers go in one write");
    assert_eq!(script.before_reads, [0, script.written.len()]);

    // An answer never waits for a request that is not all there.
    let (whole, part) = (requests[..3].concat(), &requests[3][..9]);
    let script = serve(path, [whole.as_str(), part, &requests[3][9..]]);
    assert_eq!(replies(&script.written[..script.before_reads[1]], &["GET"]).len(), 3);
}

#[test]
fn answers_do_not_pile_up() {
    let body = handler(|_, response| response.send([b'x'; 4000]));
    let script = serve(body, [GET.repeat(1000)]);
    assert_eq!(replies(&script.written, &["GET"]).len(), 1000);
    assert!(script.writes > 200, "{} writes", script.writes);
}

#[test]
fn an_answer_does_not_wait_for_the_next_body() {
    let read = handler(|request, response| {
        let body = request.body_mut().text(100)?;
        response.send(body)
    });
    let post = post("Content-Length: 3\r\n", "");
    let script = serve(read, [&format!("{GET}{post}"), "abc"]);
    assert_eq!(replies(&script.written[..script.before_reads[1]], &["GET"]).len(), 1);
    assert_eq!(replies(&script.written, &["GET"]).len(), 2);
}

#[test]
fn a_connection_ends_when_it_is_asked_to() {
    let talk = talk([CLOSE, GET]);
    let replies = replies(&talk.written, &["GET"]);
    assert!(talk.closed && replies.len() == 1 && replies[0].closes());
    assert_eq!(talk.seen.len(), 1);
}

#[test]
fn large_heads_and_small_ones_take_turns() {
    let large = format!("GET / HTTP/1.1\r\nHost: h\r\nX: {}\r\n\r\n", "x".repeat(50_000));
    let echo = handler(|request, response| {
        let value = request.headers().get("x").map_or(0, |value| value.len());
        response.send(value.to_string())
    });
    let whole = [large.as_str(), GET, large.as_str(), GET].concat();
    for size in [1000, 60_000, 200_000] {
        let script = serve(echo, whole.as_bytes().chunks(size));
        let texts: Vec<_> =
            replies(&script.written, &["GET"]).iter().map(|r| r.text().to_owned()).collect();
        assert_eq!(texts, ["50000", "0", "50000", "0"]);
    }
}

#[test]
fn a_failed_connection_is_an_error() {
    struct Broken<'a>(&'a [u8]);
    impl Read for Broken<'_> {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            match self.0.read(buf)? {
                0 => Err(ErrorKind::ConnectionReset.into()),
                n => Ok(n),
            }
        }
    }
    impl Write for Broken<'_> {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let quiet = |failure: &aqueduct::http::Failure<'_>| panic!("{failure}");
    let read = handler(|request, response| {
        copy(request.body_mut(), response).map(drop).map_err(Into::into)
    });
    let write = handler(|_, response| response.send(vec![0; 100_000]));
    for bytes in [GET, &post("Content-Length: 9\r\n", "a"), "GET"] {
        for kind in [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe] {
            let broken = Broken(bytes.as_bytes());
            let result = match kind {
                ErrorKind::BrokenPipe => {
                    Server::new(write).on_failure(quiet).serve_connection(broken)
                }
                _ => Server::new(read).on_failure(quiet).serve_connection(broken),
            };
            let error = result.unwrap_err().kind();
            assert!([ErrorKind::ConnectionReset, ErrorKind::BrokenPipe].contains(&error));
        }
    }
}

/// One end for a client; the other one is served on a thread of its own.
fn served(
    server: Server<impl aqueduct::http::Handler + Send + Sync + 'static>,
) -> (Duplex, mpsc::Receiver<io::Result<()>>) {
    let (client, connection) = duplex_with_capacity(1 << 16);
    let (tell, hear) = mpsc::channel();
    thread::spawn(move || {
        let _ = tell.send(server.serve_transport(connection));
    });
    (client, hear)
}

fn ended(end: &mpsc::Receiver<io::Result<()>>) -> Result<(), ErrorKind> {
    end.recv_timeout(kit::PATIENCE).expect("it ends").map_err(|error| error.kind())
}

const SOON: Option<Duration> = Some(Duration::from_millis(20));

#[test]
fn slow_clients_are_left() {
    let ok = handler(|request, response| {
        let body = request.body_mut().text(1000)?;
        response.send(body)
    });
    let began = Instant::now();
    // No head, or not all of it.
    for start in ["", "GET / HTTP/1.1\r\nHost:"] {
        let (mut client, end) = served(Server::new(ok).head_timeout(SOON));
        client.write_all(start.as_bytes()).unwrap();
        assert_eq!(ended(&end), Err(ErrorKind::TimedOut));
        assert_eq!(client.read(&mut [0; 9]).unwrap(), 0);
    }
    // Nothing after a request: that is no error.
    let (mut client, end) = served(Server::new(ok).idle_timeout(SOON));
    client.write_all(GET.as_bytes()).unwrap();
    assert_eq!(ended(&end), Ok(()));
    // A second head that does not end.
    let (mut client, end) = served(Server::new(ok).head_timeout(SOON));
    client.write_all(GET.as_bytes()).unwrap();
    client.write_all(b"GET").unwrap();
    assert_eq!(ended(&end), Err(ErrorKind::TimedOut));
    // Not all of a body: the client hears why.
    let (mut client, end) = served(Server::new(ok).read_timeout(SOON));
    client.write_all(post("Content-Length: 3\r\n", "ab").as_bytes()).unwrap();
    assert_eq!(ended(&end), Ok(()));
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).unwrap();
    assert_eq!(replies(&answer, &["POST"])[0].status, 408);
    // Nobody reads the answer.
    let large = handler(|_, response| response.send(vec![0; 1 << 20]));
    let (mut client, end) = served(Server::new(large).write_timeout(SOON));
    client.write_all(GET.as_bytes()).unwrap();
    assert_eq!(ended(&end), Err(ErrorKind::TimedOut));
    assert!(began.elapsed() >= 6 * SOON.unwrap());
}

/// Remembers at each read whether it had a deadline, and reads what it is given.
struct Watched {
    pieces: Mutex<Vec<Vec<u8>>>,
    until: Mutex<Option<Instant>>,
    reads: Mutex<Vec<bool>>,
}

impl Watched {
    fn new(pieces: &[&str]) -> Self {
        let pieces = pieces.iter().map(|piece| piece.as_bytes().to_vec()).collect();
        Self { pieces: Mutex::new(pieces), until: Mutex::new(None), reads: Mutex::default() }
    }

    /// 1 for each read that would have ended in time.
    fn waits(&self) -> Vec<u8> {
        self.reads.lock().unwrap().iter().map(|&had| u8::from(had)).collect()
    }
}

impl Deadlines for Watched {
    fn set_read_deadline(&self, at: Option<Instant>) {
        *self.until.lock().unwrap() = at;
    }

    fn set_write_deadline(&self, _: Option<Instant>) {}
}

impl Transport for Watched {
    fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.reads.lock().unwrap().push(self.until.lock().unwrap().is_some());
        let mut pieces = self.pieces.lock().unwrap();
        if pieces.is_empty() {
            return Ok(0);
        }
        let piece = pieces.remove(0);
        buf[..piece.len()].copy_from_slice(&piece);
        Ok(piece.len())
    }

    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn deadlines(&self) -> Option<&dyn Deadlines> {
        Some(self)
    }
}

#[test]
fn each_wait_has_the_deadline_that_it_should() {
    let read = handler(|request, response| response.send(request.body_mut().text(100)?));
    let post = post("Content-Length: 3\r\n", "");
    let pieces = [GET, "GET", &GET[3..], &post, "abc", GET];
    // Waiting for: a head, a head, its rest, a head, a body, a head, the end.
    let waits = |server: Server<_>| {
        let watched = Watched::new(&pieces);
        server.serve_transport(&watched).unwrap();
        watched.waits()
    };
    let never = || Server::new(read).head_timeout(None).idle_timeout(None).read_timeout(None);
    let long = Some(Duration::from_secs(60));
    assert_eq!(waits(never()), [0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(waits(never().head_timeout(long)), [1, 0, 1, 0, 0, 0, 0]);
    assert_eq!(waits(never().idle_timeout(long)), [0, 1, 0, 1, 0, 1, 1]);
    assert_eq!(waits(never().read_timeout(long)), [0, 0, 0, 0, 1, 0, 0]);
    assert_eq!(waits(Server::new(read)), [1; 7]);
}

#[test]
fn a_handler_sets_deadlines_of_its_own() {
    let hurry = handler(|request, response| {
        if request.uri().path() == "/hurry" {
            response.set_read_deadline(Some(Instant::now()));
        }
        let body = request.body_mut().text(1000)?;
        response.send(body)
    });
    let (mut client, end) = served(Server::new(hurry));
    let calm = post("Content-Length: 3\r\n", "");
    let hurried = calm.replace("POST /", "POST /hurry");
    // It holds for one request alone.
    client.write_all(hurried.as_bytes()).unwrap();
    assert_eq!(ended(&end), Ok(()));
    let (mut client, end) = served(Server::new(hurry));
    client.write_all(format!("{hurried}abc{calm}").as_bytes()).unwrap();
    client.write_all(b"def").unwrap();
    client.write_all(CLOSE.as_bytes()).unwrap();
    assert_eq!(ended(&end), Ok(()));
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).unwrap();
    let texts: Vec<_> = replies(&answer, &["POST"]).iter().map(|r| r.text().to_owned()).collect();
    assert_eq!(texts, ["abc", "def", ""]);
}

#[test]
fn the_client_sees_why_it_was_refused() {
    within("a refusal", || {
        let ok = handler(|request, response| response.send(request.body_mut().text(100)?));
        for request in [
            format!("GET /{}", "x".repeat(10_000)),
            post("Content-Length: 99999999\r\n", ""),
            post("Transfer-Encoding: chunked\r\n", "x"),
        ] {
            let (mut client, connection) = tcp();
            let server = thread::spawn(move || {
                let stream = Stream::from_std(connection).unwrap();
                let server = Server::new(ok).body_limit(Some(1000));
                server.linger(Duration::from_secs(60)).serve_transport(stream)
            });
            client.write_all(request.as_bytes()).unwrap();
            // More than the sockets hold, so the server is still reading when it is refused.
            let mut writer = client.try_clone().unwrap();
            let writing = thread::spawn(move || {
                let result = writer.write_all(&vec![b'x'; 32 << 20]);
                writer.shutdown(Shutdown::Write).and(result)
            });
            let mut answer = Vec::new();
            client.read_to_end(&mut answer).unwrap();
            writing.join().unwrap().unwrap();
            server.join().unwrap().unwrap();
            assert!([400, 413, 414].contains(&replies(&answer, &["GET"])[0].status));
        }
    });
}

#[test]
fn a_client_that_stays_is_not_listened_to_for_ever() {
    within("a refusal", || {
        let (mut client, connection) = tcp();
        client.write_all(b"\0").unwrap();
        let ok = handler(|_, response| response.send("fine"));
        let stream = Stream::from_std(connection).unwrap();
        Server::new(ok).linger(SOON.unwrap()).serve_transport(stream).unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).unwrap();
        assert_eq!(replies(&answer, &["GET"])[0].status, 400);
    });
}

#[test]
fn a_handler_can_agree_to_another_protocol() {
    let shout = handler(|request, response| {
        if request.headers().get(header::UPGRADE).is_none_or(|value| value != "shout") {
            return response.error(StatusCode::UPGRADE_REQUIRED, "shout!");
        }
        response.set(header::UPGRADE, "shout")?;
        let mut stream = response.upgrade(request.body_mut())?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        stream.write_all(text.to_uppercase().as_bytes())
    });
    let request = "GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: shout\r\n\r\n";
    // Bytes of the new protocol may come with the request, and look like one.
    for pieces in [vec![GET, request, GET], vec![GET, &[request, GET].concat()]] {
        let script = serve(shout, pieces);
        let head =
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: shout\r\nConnection: upgrade\r\n\r\n";
        let text = String::from_utf8(script.written).unwrap();
        let (before, after) = text.split_once("HTTP/1.1 101").unwrap();
        assert_eq!(replies(before.as_bytes(), &["GET"])[0].status, 426);
        assert_eq!(format!("HTTP/1.1 101{after}"), format!("{head}{}", GET.to_uppercase()));
    }
}

#[test]
fn upgrades_are_refused_where_they_cannot_be() {
    let check = handler(|request, response| {
        let error = response.upgrade(request.body_mut()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        response.send(error.to_string())
    });
    let script = serve(check, [&post("Content-Length: 3\r\n", "abc"), "GET / HTTP/1.0\r\n\r\n"]);
    let replies = replies(&script.written, &["POST"]);
    assert!(replies[0].text().contains("not read"), "{replies:?}");
    assert!(replies[1].text().contains("HTTP/1.0"), "{replies:?}");
}

#[test]
fn connect_opens_a_tunnel() {
    let tunnel = handler(|request, response| {
        if request.method() != Method::CONNECT || request.uri().host() != Some("good") {
            return response.error(StatusCode::FORBIDDEN, "no way");
        }
        let (mut reader, mut writer) = response.upgrade(request.body_mut())?.split();
        copy(&mut reader, &mut writer)?;
        Ok(())
    });
    let connect = |host: &str| format!("CONNECT {host}:1 HTTP/1.1\r\nHost: {host}:1\r\n\r\n");
    let script = serve(tunnel, [&connect("good"), GET]);
    let text = String::from_utf8(script.written).unwrap();
    assert_eq!(text, format!("HTTP/1.1 200 OK\r\n\r\n{GET}"));
    // What was meant for the tunnel is not a request.
    let script = serve(tunnel, [&connect("bad"), GET]);
    let replies = replies(&script.written, &["CONNECT"]);
    assert!(replies.len() == 1 && replies[0].closes() && !script.read_to_end);
}

#[test]
fn a_handler_can_take_the_connection() {
    let raw = handler(|request, response| {
        let mut stream = response.hijack(request.body_mut())?;
        writeln!(stream, "not HTTP")?;
        let mut line = String::new();
        BufReader::new(&mut stream).read_line(&mut line)?;
        stream.write_all(line.as_bytes())?;
        stream.flush()?;
        assert!(response.write(b"x").is_err());
        Ok(())
    });
    let script = serve(raw, [format!("{GET}hello\n{GET}")]);
    assert_eq!(String::from_utf8(script.written).unwrap(), "not HTTP\nhello\n");
}

#[test]
fn both_directions_of_an_upgrade_can_be_used_at_once() {
    let relay = handler(|request, response| {
        let (mut reader, mut writer) = response.hijack(request.body_mut())?.split();
        task::scope(|scope| {
            let out = scope.spawn(move || writer.write_all(b"ping"));
            let mut pong = [0; 4];
            reader.read_exact(&mut pong)?;
            assert_eq!(&pong, b"pong");
            out.join().expect("it does not panic")
        })
    });
    within("an upgrade", move || {
        let (mut client, end) = served(Server::new(relay));
        client.write_all(GET.as_bytes()).unwrap();
        let mut ping = [0; 4];
        client.read_exact(&mut ping).unwrap();
        client.write_all(b"pong").unwrap();
        assert_eq!(ended(&end), Ok(()));
    });
}

#[test]
fn who_takes_a_connection_takes_its_time() {
    let patient = handler(|request, response| {
        let mut stream = response.hijack(request.body_mut())?;
        stream.read_exact(&mut [0; 1])?;
        stream.set_read_deadline(Some(Instant::now()));
        stream.read(&mut [0; 1]).map(drop)
    });
    let server = Server::new(patient).on_failure(|failure| panic!("{failure}"));
    let watched = Watched::new(&[GET, "!", "?"]);
    server.serve_transport(&watched).unwrap();
    assert_eq!(watched.waits(), [1, 0, 1]);
    // That time is up is no failure of the handler.
    let (mut client, end) = served(server);
    client.write_all(GET.as_bytes()).unwrap();
    client.write_all(b"!").unwrap();
    assert_eq!(ended(&end), Err(ErrorKind::TimedOut));
}

#[test]
fn any_bytes_are_survived() {
    fn holds(pieces: Vec<Vec<u8>>) -> bool {
        let _ = talk(&pieces);
        let _ = talk(
            [&[post("Transfer-Encoding: chunked\r\n", "").into_bytes()][..], &pieces].concat(),
        );
        true
    }
    quickcheck::quickcheck(holds as fn(Vec<Vec<u8>>) -> bool);
}

#[test]
fn the_answer_does_not_depend_on_how_the_bytes_come() {
    let requests = [
        GET,
        &post("Content-Length: 3\r\n", "abc"),
        &post("Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n0\r\n\r\n"),
        CLOSE,
    ];
    let whole = requests.concat();
    let told = |script: Script| without_date(&script.written);
    let echo = handler(|request, response| {
        let body = request.body_mut().text(100)?;
        response.send(format!("{} {body}", request.method()))
    });
    let wanted = told(serve(echo, [&whole]));
    for cut in 0..whole.len() {
        for second in (cut..whole.len()).step_by(7) {
            let pieces = [&whole[..cut], &whole[cut..second], &whole[second..]];
            assert_eq!(told(serve(echo, pieces)), wanted, "cut at {cut} and {second}");
        }
    }
}
