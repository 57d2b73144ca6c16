//! What descriptors do that a poller must survive: one test for each trap that was found by
//! experiment. Reads and writes go through an edge-triggered poller: of the thread's own, of the worker's
//! whose tasks they are in, or of another worker.
#![cfg(target_os = "linux")]

#[path = "kit/mod.rs"]
mod kit;

use aqueduct::poll::Local;
use aqueduct::stream::Stream;
use aqueduct::task;
use kit::{Waiting, Way, registered, streams, tcp, terminal, unix, within};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, send, sendmsg};
use rustix::pipe::{PipeFlags, pipe_with};
use std::cell::RefCell;
use std::fs::{self, File};
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::net::{Shutdown, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::unbounded_channel;

fn on_pollers(name: &str, body: fn(Way)) {
    for way in Way::pollers() {
        way.run(name, move || body(way));
    }
}

/// Reads with a buffer that nothing fills until the end, and tells what each read got.
fn pieces<T: AsFd>(stream: &mut Stream<T>, len: usize) -> Vec<Vec<u8>> {
    let mut list = Vec::new();
    let mut left = len;
    while left > 0 {
        let mut buf = [0; 256];
        let n = stream.read(&mut buf).unwrap();
        assert!(n > 0, "it ended {left} bytes too early");
        left -= n;
        list.push(buf[..n].to_vec());
    }
    list
}

#[test]
fn an_end_that_comes_with_the_last_bytes_is_seen_after_a_short_read() {
    on_pollers("an end with bytes", |way| {
        let (a, mut b) = tcp();
        let mut a = registered(way, Stream::from_std(a).unwrap());
        b.write_all(b"last").unwrap();
        b.shutdown(Shutdown::Write).unwrap();
        assert_eq!(pieces(&mut a, 4).len(), 1);
        assert_eq!(a.read(&mut [0; 8]).unwrap(), 0);

        let (a, mut b) = unix();
        let mut a = registered(way, Stream::from_std(a).unwrap());
        b.write_all(b"last").unwrap();
        drop(b);
        pieces(&mut a, 4);
        assert_eq!(a.read(&mut [0; 8]).unwrap(), 0);

        let (a, mut b) = io::pipe().unwrap();
        let mut a = registered(way, Stream::from_std(a).unwrap());
        b.write_all(b"last").unwrap();
        drop(b);
        pieces(&mut a, 4);
        assert_eq!(a.read(&mut [0; 8]).unwrap(), 0);
    });
}

#[test]
fn an_end_or_more_bytes_after_the_event_and_a_short_read_are_seen() {
    fn run<T: AsFd + Send + Sync + 'static, W: Write>(way: Way, a: T, mut b: W) {
        let (tell, mut heard) = unbounded_channel();
        let mut hear = || task::wait(heard.recv()).unwrap().unwrap();
        let a = registered(way, Stream::from_std(a).unwrap());
        let reader = Waiting::start(way, 0, move || {
            let mut a = a;
            let mut got = Vec::new();
            loop {
                let mut buf = [0; 64];
                let n = a.read(&mut buf).unwrap();
                tell.send(()).unwrap();
                if n == 0 {
                    return got;
                }
                got.extend_from_slice(&buf[..n]);
            }
        });
        b.write_all(b"first").unwrap();
        hear();
        b.write_all(b"second").unwrap();
        hear();
        b.write_all(b"third").unwrap();
        drop(b);
        assert_eq!(reader.join(), b"firstsecondthird");
    }
    on_pollers("an end after bytes", |way| {
        let (a, b) = tcp();
        run(way, a, b);
        let (a, b) = unix();
        run(way, a, b);
        let (a, b) = io::pipe().unwrap();
        run(way, a, b);
    });
}

#[test]
fn a_read_that_stops_at_the_urgent_mark_does_not_hang() {
    on_pollers("urgent data", |way| {
        for inline in [false, true] {
            let (a, mut b) = tcp();
            rustix::net::sockopt::set_socket_oobinline(&a, inline).unwrap();
            let mut a = registered(way, Stream::from_std(a).unwrap());
            b.write_all(b"abc").unwrap();
            assert_eq!(send(&b, b"!", SendFlags::OOB).unwrap(), 1);
            b.write_all(b"defg").unwrap();
            let pieces = pieces(&mut a, if inline { 8 } else { 7 });
            assert_eq!(pieces.concat(), if inline { &b"abc!defg"[..] } else { b"abcdefg" });
            // And after the mark it waits, and is woken, as before.
            let late = Waiting::start(Way::Plain, 0, move || (b.write_all(b"late").unwrap(), b).1);
            let mut buf = [0; 8];
            assert_eq!(a.read(&mut buf).unwrap(), 4);
            let b = late.join();
            drop(b);
            assert_eq!(a.read(&mut buf).unwrap(), 0);
        }
    });
}

#[test]
fn passed_descriptors_end_a_read_of_a_unix_socket_and_the_next_one_goes_on() {
    on_pollers("passed descriptors", |way| {
        let (a, mut b) = unix();
        let mut a = registered(way, Stream::from_std(a).unwrap());
        b.write_all(b"CC").unwrap();
        let passed = [b.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        assert!(control.push(SendAncillaryMessage::ScmRights(&passed)));
        sendmsg(&b, &[IoSlice::new(b"DD")], &mut control, SendFlags::empty()).unwrap();
        b.write_all(b"EE").unwrap();
        let pieces = pieces(&mut a, 6);
        assert_eq!(pieces.concat(), b"CCDDEE");
        assert!(pieces.len() > 1, "the trap is gone: {pieces:?}");
    });
}

#[test]
fn a_canonical_terminal_gives_a_line_at_a_time() {
    on_pollers("two lines", |way| {
        let (master, slave) = terminal(false);
        let mut slave = registered(way, Stream::from_std(slave).unwrap());
        let mut master = File::from(master);
        master.write_all(b"one\ntwo\n").unwrap();
        assert_eq!(pieces(&mut slave, 8), [b"one\n", b"two\n"]);
    });
}

#[test]
fn a_pipe_of_packets_gives_a_packet_at_a_time() {
    on_pollers("packets", |way| {
        let (reader, writer) = pipe_with(PipeFlags::DIRECT | PipeFlags::CLOEXEC).unwrap();
        let mut reader = registered(way, Stream::from_std(reader).unwrap());
        let mut writer = File::from(writer);
        writer.write_all(b"one").unwrap();
        writer.write_all(b"two").unwrap();
        assert_eq!(pieces(&mut reader, 6), [b"one", b"two"]);
    });
}

#[test]
fn a_writer_may_turn_a_pipe_to_packets_unseen() {
    on_pollers("packets from now on", |way| {
        let (reader, mut writer) = io::pipe().unwrap();
        let mut reader = registered(way, Stream::from_std(reader).unwrap());
        let flags = fcntl_getfl(&writer).unwrap();
        fcntl_setfl(&writer, flags | OFlags::DIRECT).unwrap();
        assert!(!fcntl_getfl(&reader).unwrap().contains(OFlags::DIRECT));
        writer.write_all(b"one").unwrap();
        writer.write_all(b"two").unwrap();
        assert_eq!(pieces(&mut reader, 6), [b"one", b"two"]);
    });
}

#[test]
fn inotify_gives_whole_events_only() {
    on_pollers("inotify", |way| {
        use rustix::fs::inotify::{CreateFlags, WatchFlags, add_watch, init};
        let dir = tempfile::tempdir().unwrap();
        let inotify = init(CreateFlags::CLOEXEC).unwrap();
        add_watch(&inotify, dir.path(), WatchFlags::CREATE).unwrap();
        let mut inotify = registered(way, Stream::from_std(inotify).unwrap());
        for name in ["a", "b", "c"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        for _ in 0..3 {
            // There is room for one of 32 bytes, and not for another.
            assert_eq!(inotify.read(&mut [0; 40]).unwrap(), 32);
        }
    });
}

#[test]
fn each_datagram_is_a_read_and_an_empty_one_is_no_end() {
    on_pollers("datagrams", |way| {
        let (a, b) =
            (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        a.connect(b.local_addr().unwrap()).unwrap();
        b.connect(a.local_addr().unwrap()).unwrap();
        let (mut a, mut b) = streams((a, b));
        a = registered(way, a);
        assert_eq!(b.write(b"").unwrap(), 0);
        assert_eq!(b.write(b"one").unwrap(), 3);
        assert_eq!(b.write(b"three").unwrap(), 5);
        let mut buf = [0; 64];
        let lengths = [(); 3].map(|()| a.read(&mut buf).unwrap());
        assert_eq!(lengths, [0, 3, 5]);
    });
}

#[test]
fn a_peer_that_goes_with_bytes_unread_resets_for_good() {
    on_pollers("reset", |way| {
        let (a, b) = tcp();
        let mut a = registered(way, Stream::from_std(a).unwrap());
        a.write_all(b"unread").unwrap();
        // Until the bytes are there, dropping the peer is a plain end.
        b.peek(&mut [0]).unwrap();
        drop(b);
        assert_eq!(a.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::ConnectionReset);
        assert_eq!(a.read(&mut [0; 8]).unwrap(), 0);
        assert_eq!(a.write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
    });
}

#[test]
fn a_lost_reader_wakes_the_writer() {
    fn run<T: AsFd + Send + Sync + 'static>(way: Way, far: impl Send, near: T) {
        let near = Stream::from_std(near).unwrap();
        let writer = Waiting::start(way, 1, move || {
            let mut near = near;
            loop {
                if let Err(error) = near.write(&[0; 1 << 16]) {
                    return error.kind();
                }
            }
        });
        let writer = writer.asleep();
        drop(far);
        let kind = writer.join();
        assert!(matches!(kind, ErrorKind::BrokenPipe | ErrorKind::ConnectionReset), "{kind:?}");
    }
    on_pollers("a lost reader", |way| {
        let (a, b) = io::pipe().unwrap();
        run(way, a, b);
        let (a, b) = tcp();
        run(way, a, b);
        let (a, b) = unix();
        run(way, a, b);
    });
}

#[test]
fn a_shutdown_from_elsewhere_ends_a_read() {
    on_pollers("shutdown", |way| {
        let (a, _b) = tcp();
        let other = a.try_clone().unwrap();
        let reader =
            Waiting::start(way, 1, move || Stream::from_std(a).unwrap().read(&mut [0; 8]).unwrap());
        let reader = reader.asleep();
        other.shutdown(Shutdown::Both).unwrap();
        assert_eq!(reader.join(), 0);
    });
}

#[test]
fn what_never_waits_needs_no_poller() {
    on_pollers("always ready", |_| {
        let mut buf = [1; 64];
        let mut null = Stream::from_std(File::open("/dev/null").unwrap()).unwrap();
        assert_eq!(null.read(&mut buf).unwrap(), 0);
        let mut null = Stream::from_std(File::create("/dev/null").unwrap()).unwrap();
        assert_eq!(null.write(&buf).unwrap(), 64);
        for path in ["/dev/zero", "/dev/urandom", "/proc/self/status"] {
            let mut stream = Stream::from_std(File::open(path).unwrap()).unwrap();
            assert_eq!(stream.read(&mut buf).unwrap(), 64, "{path}");
        }
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"in a file").unwrap();
        io::Seek::rewind(&mut file).unwrap();
        let mut file = Stream::from_std(file).unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "in a file");
        // Its deadlines count all the same.
        file.set_deadline(Some(Instant::now()));
        assert_eq!(file.read(&mut buf).unwrap_err().kind(), ErrorKind::TimedOut);
        let directory = Stream::from_std(File::open("/").unwrap()).unwrap();
        assert_eq!((&directory).read(&mut buf).unwrap_err().kind(), ErrorKind::IsADirectory);
    });
}

#[test]
fn an_event_of_a_former_owner_of_the_number_wakes_nobody() {
    on_pollers("a number used again", |way| {
        let (old, mut old_writer) = io::pipe().unwrap();
        // The duplicate keeps the description alive, and with it whatever is registered for it.
        let _duplicate = old.try_clone().unwrap();
        let number = old.as_raw_fd();
        drop(registered(way, Stream::from_std(old).unwrap()));
        let (new, mut new_writer) = loop {
            let (new, writer) = io::pipe().unwrap();
            if new.as_raw_fd() == number || new.as_raw_fd() > number + 64 {
                break (new, writer);
            }
            std::mem::forget(new);
        };
        let new = Stream::from_std(new).unwrap();
        old_writer.write_all(b"stale").unwrap();
        let mut new = registered(way, new);
        new_writer.write_all(b"fresh").unwrap();
        assert_eq!(pieces(&mut new, 5).concat(), b"fresh");
    });
}

#[test]
fn two_streams_of_one_descriptor_work_side_by_side() {
    on_pollers("one descriptor twice", |way| {
        let (a, mut b) = tcp();
        let a = Arc::new(a);
        let mut first = registered(way, Stream::from_std(Arc::clone(&a)).unwrap());
        let mut second = registered(way, Stream::from_std(a).unwrap());
        b.write_all(b"oneSECOND").unwrap();
        let mut buf = [0; 3];
        first.read_exact(&mut buf).unwrap();
        assert_eq!(&buf, b"one");
        let mut buf = [0; 6];
        second.read_exact(&mut buf).unwrap();
        assert_eq!(&buf, b"SECOND");
        drop(second);
        let late = Waiting::start(Way::Plain, 0, move || (b.write_all(b"late").unwrap(), b).1);
        assert_eq!(pieces(&mut first, 4).concat(), b"late");
        late.join();
    });
}

#[test]
fn pollers_of_a_thread_may_go_in_any_order() {
    within("nested pollers", || {
        let (a, mut b) = io::pipe().unwrap();
        let (c, mut d) = io::pipe().unwrap();
        let (e, mut f) = io::pipe().unwrap();
        let first = Local::new().unwrap();
        let (gone, _writer) = io::pipe().unwrap();
        let gone = registered(Way::Local, Stream::from_std(gone).unwrap());
        let mut a = registered(Way::Local, Stream::from_std(a).unwrap());
        drop(gone);
        let second = Local::new().unwrap();
        let mut c = registered(Way::Local, Stream::from_std(c).unwrap());
        drop(first);
        a = registered(Way::Local, a);
        drop(second);
        let mut e = registered(Way::Local, Stream::from_std(e).unwrap());
        for (stream, writer) in [(&mut a, &mut b), (&mut c, &mut d), (&mut e, &mut f)] {
            writer.write_all(b"news").unwrap();
            assert_eq!(pieces(stream, 4).concat(), b"news");
        }
    });
}

#[test]
fn a_stream_outlives_the_poller_it_was_registered_with() {
    within("no poller any more", || {
        let (a, mut b) = unix();
        let local = Local::new().unwrap();
        let a = registered(Way::Local, Stream::from_std(a).unwrap());
        let reader = Waiting::start(Way::Plain, 0, move || pieces(&mut { a }, 4).concat()).asleep();
        drop(local);
        b.write_all(b"late").unwrap();
        assert_eq!(reader.join(), b"late");
    });
}

#[test]
fn a_full_pipe_is_written_on_as_soon_as_there_is_room() {
    on_pollers("a full pipe", |way| {
        let (reader, writer) = io::pipe().unwrap();
        let (mut reader, mut writer) = streams((reader, writer));
        let writer = Waiting::start(way, 1, move || {
            let block = kit::noise(300_000, 5);
            writer.write_all(&block).unwrap();
            block
        });
        let writer = writer.asleep();
        // A byte at a time frees no page for long.
        let mut got = Vec::new();
        for _ in 0..5000 {
            let mut byte = [0];
            reader.read_exact(&mut byte).unwrap();
            got.push(byte[0]);
        }
        reader.read_to_end(&mut got).unwrap();
        assert!(writer.join() == got);
    });
}

/// A full socket is not reported at the first byte of room, but once about a third of it is free.
#[test]
fn a_full_socket_is_written_on_though_room_is_told_of_late() {
    on_pollers("a full socket", |way| {
        let (mut reader, mut writer) = streams(tcp());
        let (mut sent, block) = (0, kit::noise(1 << 16, 5));
        let full = loop {
            match writer.try_write(&block[sent % block.len()..]) {
                Ok(n) => sent += n,
                Err(error) => break error,
            }
        };
        assert_eq!(full.kind(), ErrorKind::WouldBlock);
        let rest = block.repeat(2)[sent % block.len()..][..block.len()].to_vec();
        let writer = Waiting::start(way, 1, move || writer.write_all(&rest).unwrap());
        let writer = writer.asleep();
        let mut got = vec![0; 5000];
        got.chunks_mut(1).for_each(|byte| reader.read_exact(byte).unwrap());
        reader.read_to_end(&mut got).unwrap();
        writer.join();
        assert_eq!(got.len(), sent + block.len());
        assert!(got.chunks(block.len()).all(|part| *part == block[..part.len()]));
    });
}

#[test]
fn a_child_that_shares_the_descriptor_changes_nothing() {
    on_pollers("a child", |way| {
        let (reader, mut writer) = io::pipe().unwrap();
        let shared = OwnedFd::from(reader.try_clone().unwrap());
        let mut reader = registered(way, Stream::from_std(reader).unwrap());
        let mut child =
            std::process::Command::new("sleep").arg("1000").stdin(shared).spawn().unwrap();
        let late = Waiting::start(Way::Plain, 0, move || writer.write_all(b"late").unwrap());
        assert_eq!(pieces(&mut reader, 4).concat(), b"late");
        late.join();
        child.kill().unwrap();
        child.wait().unwrap();
    });
}

#[test]
fn a_thread_that_ends_can_still_wait_through_its_poller() {
    struct Late {
        stream: Stream<io::PipeReader>,
        writer: io::PipeWriter,
        _local: Local,
    }
    impl Drop for Late {
        fn drop(&mut self) {
            self.stream.set_read_deadline(Some(Instant::now() + Duration::from_millis(1)));
            let late = self.stream.read(&mut [0]).unwrap_err();
            assert_eq!(late.kind(), ErrorKind::TimedOut);
            self.stream.set_read_deadline(None);
            self.writer.write_all(b"x").unwrap();
            self.stream.read_exact(&mut [0]).unwrap();
        }
    }
    thread_local!(static LATE: RefCell<Option<Late>> = const { RefCell::new(None) });
    within("a thread that ends", || {
        // What the poller keeps for the thread comes later than LATE, and so goes earlier.
        let _local = Local::new().unwrap();
        let (reader, writer) = io::pipe().unwrap();
        let stream = Stream::from_std(reader).unwrap();
        let local = Local::new().unwrap();
        LATE.set(Some(Late { stream, writer, _local: local }));
        let (other, _writer) = io::pipe().unwrap();
        registered(Way::Local, Stream::from_std(other).unwrap());
    });
}
