//! Clients that are slow, stop, never end or speak no HTTP, on a server with one worker: each holds its own
//! connection, and somebody else is served meanwhile.
#![cfg(target_os = "linux")]

mod http_kit;

use aqueduct::http::{Server, handler};
use aqueduct::net::TcpListener;
use aqueduct::task::Runtime;
use http_kit::{GET, Reply, post, replies};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// What hangs is a failure, not a test without an end.
const LONG: Duration = Duration::from_secs(60);

/// More than the sockets between a client and the server hold.
const HUGE: usize = 32 << 20;

fn connect(address: SocketAddr) -> TcpStream {
    let client = TcpStream::connect(address).unwrap();
    client.set_read_timeout(Some(LONG)).unwrap();
    client
}

/// The one answer that `client` gets before its connection ends.
fn last_answer(client: &mut TcpStream) -> Reply {
    let mut bytes = Vec::new();
    client.read_to_end(&mut bytes).unwrap();
    let mut replies = replies(&bytes, &["GET"]);
    assert_eq!(replies.len(), 1, "{replies:?}");
    replies.remove(0)
}

/// Somebody else, with a connection that stays.
struct Other {
    address: SocketAddr,
    client: TcpStream,
}

impl Other {
    #[track_caller]
    fn is_served(&mut self) {
        const END: &[u8] = b"\r\n\r\nhello";
        let mut fresh = connect(self.address);
        for client in [&mut self.client, &mut fresh] {
            client.write_all(GET.as_bytes()).unwrap();
            let (mut answer, mut len) = ([0; 512], 0);
            while !answer[..len].ends_with(END) {
                match client.read(&mut answer[len..]).unwrap() {
                    0 => panic!("{:?}", String::from_utf8_lossy(&answer[..len])),
                    n => len += n,
                }
            }
            assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"));
        }
    }
}

/// Has `talk` misbehave towards a server with one worker, beside somebody else. Whenever a handler begins to
/// read a body, or to write a huge answer, it is told.
fn beside_another(talk: impl FnOnce(SocketAddr, &mut Other, &Receiver<&'static str>)) {
    let (tell, told) = mpsc::channel();
    let tell = Mutex::new(tell);
    let server = Server::new(handler(move |request, response| {
        let tell = |what| tell.lock().unwrap().send(what).unwrap();
        match (request.method().as_str(), request.uri().path()) {
            ("GET", "/huge") => {
                tell("huge");
                response.send(vec![b'x'; HUGE])
            }
            ("POST", _) => {
                tell("body");
                let body = request.body_mut().text(1 << 20)?;
                response.send(body)
            }
            _ => response.send("hello"),
        }
    }));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, control) = (listener.local_addr().unwrap(), server.control());
    let serving = thread::spawn(move || {
        Runtime::builder().workers(1).run(|| Arc::new(server).serve(listener)).unwrap()
    });
    let mut other = Other { address, client: connect(address) };
    other.is_served();
    talk(address, &mut other, &told);
    other.is_served();
    control.close();
    serving.join().unwrap().unwrap();
}

#[test]
fn one_byte_at_a_time() {
    beside_another(|address, other, _| {
        let request = post("Transfer-Encoding: chunked\r\n", "5\r\nabcde\r\n0\r\nX: y\r\n\r\n");
        let mut slow = connect(address);
        slow.set_nodelay(true).unwrap();
        for byte in request.bytes() {
            slow.write_all(&[byte]).unwrap();
            other.is_served();
        }
        slow.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(last_answer(&mut slow).text(), "abcde");
    });
}

#[test]
fn one_that_stops() {
    beside_another(|address, other, told| {
        let mut all = Vec::new();
        for (what, begins) in [
            ("".into(), false),
            ("GE".into(), false),
            ("GET / HTTP/1.1\r\nHost: h\r\nX:".into(), false),
            (post("Content-Length: 9\r\n", ""), true),
            (post("Content-Length: 9\r\n", "four"), true),
            (post("Transfer-Encoding: chunked\r\n", "5"), true),
            (post("Transfer-Encoding: chunked\r\n", "5\r\nab"), true),
            (post("Transfer-Encoding: chunked\r\n", "2\r\nab\r\n0\r\nX"), true),
            (post("Expect: 100-continue\r\nContent-Length: 9\r\n", ""), true),
        ] {
            let mut client = connect(address);
            client.write_all(what.as_bytes()).unwrap();
            if begins {
                assert_eq!(told.recv_timeout(LONG), Ok("body"));
            }
            other.is_served();
            all.push(client);
        }
        // They are all still there.
        for mut client in all {
            client.set_nonblocking(true).unwrap();
            let mut answer = [0; 100];
            match client.read(&mut answer) {
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
                Ok(n) => assert_eq!(&answer[..n], b"HTTP/1.1 100 Continue\r\n\r\n"),
            }
        }
    });
}

#[test]
fn one_that_never_reads() {
    beside_another(|address, other, told| {
        let mut one = connect(address);
        one.write_all(GET.replacen('/', "/huge", 1).as_bytes()).unwrap();
        assert_eq!(told.recv_timeout(LONG), Ok("huge"));
        // One that asks on and on, until nobody listens.
        let mut many = connect(address);
        many.set_nonblocking(true).unwrap();
        let requests = GET.repeat(1000);
        let mut sent = 0;
        loop {
            match many.write(&requests.as_bytes()[sent % GET.len()..]) {
                Ok(n) => sent += n,
                Err(error) => break assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
            other.is_served();
        }
        other.is_served();
        // What it did not read is still there.
        let mut answer = vec![0; HUGE];
        one.read_exact(&mut answer).unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n") && answer.ends_with(b"xxx"));
    });
}

#[test]
fn one_whose_head_never_ends() {
    let endless: [(&[u8], &[u8], u16); 4] = [
        (b"GET / HTTP/1.1\r\nHost: h\r\n", b"X: y\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: h\r\nX: ", b"yyyyyy", 431),
        (b"GET /", b"longer", 414),
        (b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3", b";a=b", 400),
    ];
    for (start, more, status) in endless {
        beside_another(|address, other, _| {
            let mut client = connect(address);
            let mut writing = client.write_all(start);
            // Until it is refused, and then not listened to.
            while writing.is_ok() {
                other.is_served();
                writing = client.write_all(&more.repeat(1000));
            }
            let mut answer = [0; 12];
            // What was said is lost if the end of the patience with it came as a reset.
            if client.read_exact(&mut answer).is_ok() {
                assert_eq!(answer, format!("HTTP/1.1 {status}").as_bytes());
            }
        });
    }
}

#[test]
fn one_that_speaks_something_else() {
    let noise: Vec<u8> =
        (0..100_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".repeat(50);
    for bytes in [&noise[..], &hello, &[0; 5000], b"\xff\xff\xff\xff"] {
        beside_another(|address, other, _| {
            let mut client = connect(address);
            client.write_all(bytes).unwrap();
            other.is_served();
            let reply = last_answer(&mut client);
            assert!(reply.status == 400 && reply.closes(), "{reply:?}");
            other.is_served();
        });
    }
}
