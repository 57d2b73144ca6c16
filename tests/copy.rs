//! What `copy` promises, on real descriptors.

use aqueduct::copy::{Cancel, Path, Side};
use aqueduct::{Copier, ReadExt, WriteExt, copy, copy_n, discard, is_cancelled};
use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Cursor, ErrorKind, PipeReader, Read, Seek, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::thread;

/// Bytes that betray a shift, a loss or a repetition.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..len).map(|_| next()).collect()
}

fn file_of(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file.rewind().unwrap();
    file
}

fn contents(file: &File) -> Vec<u8> {
    let mut bytes = vec![0; file.metadata().unwrap().len() as usize];
    file.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

fn read_all(mut reader: impl Read + Send + 'static) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).unwrap();
        bytes
    })
}

fn write_all(mut writer: impl Write + Send + 'static, bytes: &[u8]) -> thread::JoinHandle<()> {
    let bytes = bytes.to_vec();
    thread::spawn(move || writer.write_all(&bytes).unwrap())
}

fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (near, listener.accept().unwrap().0)
}

const LEN: usize = (3 << 20) + 12_345;

#[test]
fn file_to_file_goes_by_the_kernel() {
    let data = noise(LEN);
    let (mut from, mut to) = (file_of(&data), tempfile::tempfile().unwrap());
    let report = Copier::new().copy(&mut from, &mut to).unwrap();
    assert_eq!(report.copied(), LEN as u64);
    assert!(contents(&to) == data);
    assert!(report.bytes(Path::ReadWrite) < 1 << 20, "{report:?}");
}

#[test]
fn pipe_to_pipe_splices() {
    let data = noise(LEN);
    let (mut from, feed) = io::pipe().unwrap();
    let (drain, mut to) = io::pipe().unwrap();
    let writer = write_all(feed, &data);
    let reader = read_all(drain);
    let report = Copier::new().grow_pipes(true).copy(&mut from, &mut to).unwrap();
    drop(to);
    writer.join().unwrap();
    assert!(reader.join().unwrap() == data);
    assert_eq!(report.taken(), LEN as u64);
    assert!(report.bytes(Path::Splice) > 0, "{report:?}");
}

#[test]
fn a_non_blocking_socket_goes_through_a_broker() {
    let data = noise(LEN);
    let (from, peer) = tcp_pair();
    from.set_nonblocking(true).unwrap();
    let writer = write_all(peer, &data);
    let to = tempfile::tempfile().unwrap();
    let report = Copier::new().wait(true).copy(&mut &from, &mut &to).unwrap();
    writer.join().unwrap();
    assert!(contents(&to) == data);
    assert!(report.bytes(Path::Splice) > 0, "{report:?}");
}

#[test]
fn a_blocking_socket_stays_in_the_loop() {
    let data = noise(LEN);
    let (mut from, peer) = tcp_pair();
    let writer = write_all(peer, &data);
    let mut to = tempfile::tempfile().unwrap();
    let report = Copier::new().copy(&mut from, &mut to).unwrap();
    writer.join().unwrap();
    assert!(contents(&to) == data);
    assert_eq!(report.paths().collect::<Vec<_>>(), [Path::ReadWrite]);
}

#[test]
fn socket_to_socket_both_non_blocking() {
    let data = noise(LEN);
    let (from, peer) = tcp_pair();
    let (to, drain) = UnixStream::pair().unwrap();
    from.set_nonblocking(true).unwrap();
    to.set_nonblocking(true).unwrap();
    let writer = write_all(peer, &data);
    let reader = read_all(drain);
    let report = Copier::new().wait(true).copy(&mut &from, &mut &to).unwrap();
    drop(to);
    writer.join().unwrap();
    assert!(reader.join().unwrap() == data);
    assert!(report.bytes(Path::Splice) > report.bytes(Path::ReadWrite), "{report:?}");
}

/// To 1 MiB, where a pipe can be.
fn grow(pipe: &io::PipeWriter) {
    #[cfg(target_os = "linux")]
    rustix::pipe::fcntl_setpipe_size(pipe, 1 << 20).unwrap();
    let _ = pipe;
}

#[test]
fn pages_of_a_file_are_shared_on_request_only() {
    // The reader looks only after the file has changed: a copy has the old bytes, shared pages
    // show the new ones.
    let seen = |share: bool| {
        let file = file_of(&vec![b'o'; 512 << 10]);
        let (mut drain, mut to) = io::pipe().unwrap();
        grow(&to);
        let report = Copier::new().share_pages(share).copy(&mut &file, &mut to).unwrap();
        drop(to);
        file.write_all_at(&vec![b'n'; 512 << 10], 0).unwrap();
        let mut got = Vec::new();
        drain.read_to_end(&mut got).unwrap();
        assert_eq!(got.len(), 512 << 10);
        (got.contains(&b'n'), report.bytes(Path::Splice) > 0)
    };
    assert_eq!(seen(false), (false, false), "bytes that were copied do not change");
    assert_eq!(seen(true), (true, true), "the hazard that share_pages accepts");
}

#[test]
fn shared_pages_reach_a_socket_by_sendfile() {
    let data = noise(LEN);
    let (to, peer) = tcp_pair();
    to.set_nonblocking(true).unwrap();
    let reader = read_all(peer);
    let copier = Copier::new().share_pages(true).wait(true);
    let report = copier.copy(&mut file_of(&data), &mut &to).unwrap();
    drop(to);
    assert!(reader.join().unwrap() == data);
    assert!(report.bytes(Path::Sendfile) > 0, "{report:?}");
}

#[test]
fn a_chain_is_seen_through() {
    let data = noise(LEN);
    let (from, feed) = io::pipe().unwrap();
    let (drain, to) = io::pipe().unwrap();
    let mut log = tempfile::tempfile().unwrap();
    let writer = write_all(feed, &data);
    let reader = read_all(drain);
    let source = Box::new(BufReader::new(from)).limit(2 << 20).tee(&mut log);
    let mut source = Box::new(source);
    let mut sink = BufWriter::new(to);
    let report = Copier::new().copy(&mut source, &mut sink).unwrap();
    drop(sink);
    drop(source);
    assert_eq!(report.taken(), 2 << 20);
    assert_eq!(report.delivered(0), 2 << 20, "the tap");
    assert_eq!(report.delivered(1), 2 << 20, "the sink");
    assert!(report.bytes(Path::Tee) > 1 << 20, "{report:?}");
    assert!(reader.join().unwrap() == data[..2 << 20]);
    assert!(contents(&log) == data[..2 << 20]);
    assert!(writer.join().is_err(), "the writer lost its reader");
}

#[test]
fn a_small_copy_stays_in_a_writers_buffer() {
    let file = tempfile::tempfile().unwrap();
    let mut sink = BufWriter::new(&file);
    for _ in 0..10 {
        copy(&mut Cursor::new(b"0123456789"), &mut sink).unwrap();
    }
    assert_eq!(file.metadata().unwrap().len(), 0, "nothing was written through");
    sink.flush().unwrap();
    assert_eq!(file.metadata().unwrap().len(), 100);
}

#[test]
fn what_a_buffer_holds_comes_first() {
    let data = noise(LEN);
    let mut from = BufReader::new(file_of(&data));
    let mut head = [0; 10];
    from.read_exact(&mut head).unwrap();
    let mut sink = BufWriter::new(tempfile::tempfile().unwrap());
    sink.write_all(&head).unwrap();
    copy(&mut from, &mut sink).unwrap();
    assert!(contents(&sink.into_inner().unwrap()) == data);
}

#[test]
fn the_same_file_on_both_ends_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    std::fs::write(&path, "precious").unwrap();
    let mut from = File::open(&path).unwrap();
    let mut to = OpenOptions::new().append(true).open(&path).unwrap();
    let refused = copy(&mut from, &mut to).unwrap_err();
    assert_eq!((refused.kind(), refused.taken), (ErrorKind::InvalidInput, 0));
    let refused = copy(&mut (&from).tee(&to), &mut io::sink()).unwrap_err();
    assert_eq!((refused.kind(), refused.side), (ErrorKind::InvalidInput, Side::Sink(0)));
    assert_eq!(std::fs::read(&path).unwrap(), b"precious");
}

#[test]
fn disjoint_parts_of_one_file_may_be_copied() {
    let data = noise(1 << 20);
    let file = file_of(&data);
    let mut part = aqueduct::adapters::Section::new(&file, 0, 1 << 20);
    let mut end = aqueduct::adapters::OffsetWriter::new(&file, 1 << 20);
    copy(&mut part, &mut end).unwrap();
    assert!(contents(&file) == [&data[..], &data[..]].concat());
}

#[test]
fn appending_goes_by_the_loop() {
    let data = noise(LEN);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    std::fs::write(&path, "head").unwrap();
    let mut to = OpenOptions::new().append(true).open(&path).unwrap();
    let report = Copier::new().copy(&mut file_of(&data), &mut to).unwrap();
    assert_eq!(report.paths().collect::<Vec<_>>(), [Path::ReadWrite]);
    assert!(std::fs::read(&path).unwrap() == [b"head", &data[..]].concat());
}

#[test]
fn files_that_claim_no_length_are_read() {
    let mut got = Vec::new();
    copy(&mut File::open("/proc/self/status").unwrap(), &mut got).unwrap();
    assert!(got.starts_with(b"Name:"));
}

#[test]
fn a_full_device_tells_what_it_did_not_get() {
    let data = noise(LEN);
    let (mut from, feed) = io::pipe().unwrap();
    let writer = write_all(feed, &data);
    let mut full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let failed = copy(&mut from, &mut full).unwrap_err();
    assert_eq!(failed.kind(), ErrorKind::StorageFull);
    assert_eq!((failed.side, failed.copied), (Side::Sink(0), 0));
    assert!(failed.pending(0) == &data[..failed.taken as usize]);
    // The rest is still in the pipe.
    let mut all = failed.into_pending();
    from.read_to_end(&mut all).unwrap();
    writer.join().unwrap();
    assert!(all == data);
}

#[test]
fn a_reader_that_leaves_costs_no_byte() {
    let data = noise(LEN);
    let (mut from, feed) = io::pipe().unwrap();
    let writer = write_all(feed, &data);
    let (mut drain, mut to) = io::pipe().unwrap();
    let reader = thread::spawn(move || {
        let mut got = vec![0; 1 << 20];
        drain.read_exact(&mut got).unwrap();
        got
    });
    let failed = Copier::new().copy(&mut from, &mut to).unwrap_err();
    assert_eq!((failed.kind(), failed.side), (ErrorKind::BrokenPipe, Side::Sink(0)));
    assert_eq!(failed.taken - failed.copied, failed.pending(0).len() as u64);
    assert!(failed.pending(0) == &data[failed.copied as usize..failed.taken as usize]);
    let taken = failed.taken as usize;
    let mut rest = Vec::new();
    from.read_to_end(&mut rest).unwrap();
    assert!(rest == data[taken..]);
    writer.join().unwrap();
    assert!(reader.join().unwrap() == data[..1 << 20]);
}

#[test]
fn would_block_can_be_resumed() {
    let data = noise(LEN);
    let (to, drain) = UnixStream::pair().unwrap();
    to.set_nonblocking(true).unwrap();
    let reader = read_all(drain);
    let mut rest: Box<dyn Read> = Box::new(file_of(&data));
    loop {
        match copy(&mut rest, &mut &to) {
            Ok(_) => break,
            Err(e) => {
                assert_eq!(e.kind(), ErrorKind::WouldBlock);
                rest = Box::new(Cursor::new(e.into_pending()).chain(rest));
            }
        }
        let mut fds = [rustix::event::PollFd::new(&to, rustix::event::PollFlags::OUT)];
        rustix::event::poll(&mut fds, None).unwrap();
    }
    drop(to);
    assert!(reader.join().unwrap() == data);
}

#[test]
fn a_cancel_is_heard_while_nothing_arrives() {
    for from in [0, 200_000] {
        let (mut source, mut feed) = io::pipe().unwrap();
        grow(&feed);
        feed.write_all(&vec![7; from]).unwrap();
        let cancel = Cancel::new();
        let other = cancel.clone();
        let (drain, to) = io::pipe().unwrap();
        let reader = read_all(drain);
        let copying = thread::spawn(move || {
            let mut to = to;
            Copier::new().cancel(&other).copy(&mut source, &mut to).unwrap_err()
        });
        // It may come before, between or after the bytes: it is always heard.
        cancel.cancel();
        let stopped = copying.join().unwrap();
        assert!(is_cancelled(&stopped.source));
        assert!(is_cancelled(&io::Error::from(stopped)));
        assert!(reader.join().unwrap().len() <= from);
        drop(feed);
    }
}

#[test]
fn a_cancel_is_heard_while_the_sink_is_full() {
    let (mut to, _stalled): (_, PipeReader) = io::pipe().map(|(r, w)| (w, r)).unwrap();
    let (mut source, feed) = io::pipe().unwrap();
    let data = noise(1 << 20);
    let writer = write_all(feed, &data);
    let cancel = Cancel::new();
    let other = cancel.clone();
    let copying = thread::spawn(move || {
        let stopped = Copier::new().cancel(&other).limit(1 << 20).copy(&mut source, &mut to);
        let stopped = stopped.unwrap_err();
        let taken = stopped.taken;
        let mut rest = stopped.into_pending();
        source.read_to_end(&mut rest).unwrap();
        (taken, rest)
    });
    // 64 KiB pass as the first read, in one write that fits the pipe.
    cancel.cancel();
    let (taken, rest) = copying.join().unwrap();
    writer.join().unwrap();
    assert!(rest == data[taken as usize..] || rest.ends_with(&data[taken as usize..]));
}

#[test]
fn a_watch_notices_that_the_reader_left() {
    let (mut source, _silent) = io::pipe().unwrap();
    let (drain, mut to) = io::pipe().unwrap();
    drop(drain);
    let failed = Copier::new().watch_outputs(true).copy(&mut source, &mut to).unwrap_err();
    assert_eq!((failed.kind(), failed.taken), (ErrorKind::BrokenPipe, 0));
}

#[test]
fn the_urgent_mark_is_passed() {
    use rustix::net::SendFlags;
    let (from, peer) = tcp_pair();
    from.set_nonblocking(true).unwrap();
    let data = noise(1 << 20);
    let expected = data.clone();
    let writer = thread::spawn(move || {
        (&peer).write_all(&data[..500_000]).unwrap();
        rustix::net::send(&peer, b"!", SendFlags::OOB).unwrap();
        (&peer).write_all(&data[500_000..]).unwrap();
    });
    let (drain, mut to) = io::pipe().unwrap();
    let reader = read_all(drain);
    let report = Copier::new().wait(true).copy(&mut &from, &mut to).unwrap();
    drop(to);
    writer.join().unwrap();
    let got = reader.join().unwrap();
    let same = got.iter().zip(&expected).take_while(|(a, b)| a == b).count();
    // The urgent byte itself is out of band.
    assert_eq!((same, got.len()), (expected.len(), expected.len()), "{report:?}");
    assert!(report.bytes(Path::Splice) > 0, "{report:?}");
}

/// At the mark, splice says nothing but that the peer has ended.
#[cfg(target_os = "linux")]
#[test]
fn what_follows_the_urgent_mark_is_not_lost_when_the_peer_has_ended() {
    use rustix::event::{PollFd, PollFlags};
    use rustix::net::SendFlags;
    for through_a_broker in [false, true] {
        let (from, peer) = tcp_pair();
        from.set_nonblocking(true).unwrap();
        rustix::net::sockopt::set_socket_recv_buffer_size(&from, 1 << 20).unwrap();
        let data = noise(150_000);
        (&peer).write_all(&data[..140_000]).unwrap();
        rustix::net::send(&peer, b"!", SendFlags::OOB).unwrap();
        (&peer).write_all(&data[140_000..]).unwrap();
        drop(peer);
        let mut ended = [PollFd::new(&from, PollFlags::RDHUP)];
        rustix::event::poll(&mut ended, None).unwrap();
        let got = if through_a_broker {
            let mut file = tempfile::tempfile().unwrap();
            Copier::new().wait(true).copy(&mut &from, &mut file).unwrap();
            contents(&file)
        } else {
            let (drain, mut to) = io::pipe().unwrap();
            let reader = read_all(drain);
            Copier::new().wait(true).copy(&mut &from, &mut to).unwrap();
            drop(to);
            reader.join().unwrap()
        };
        assert_eq!(got.len(), data.len());
        assert!(got == data);
    }
}

#[test]
fn two_pipes_and_a_file_get_the_same() {
    let data = noise(LEN);
    let (mut from, feed) = io::pipe().unwrap();
    let (drain_a, a) = io::pipe().unwrap();
    let (drain_b, b) = io::pipe().unwrap();
    let file = tempfile::tempfile().unwrap();
    let writer = write_all(feed, &data);
    let (reader_a, reader_b) = (read_all(drain_a), read_all(drain_b));
    let report = {
        let mut source = (&mut from).tee(a).tee(&file);
        Copier::new().grow_pipes(true).copy(&mut source, &mut { b }).unwrap()
    };
    writer.join().unwrap();
    assert!(reader_a.join().unwrap() == data);
    assert!(reader_b.join().unwrap() == data);
    assert!(contents(&file) == data);
    assert_eq!(report.outlets(), 3);
    assert!((0..3).all(|i| report.delivered(i) == LEN as u64));
    assert!(report.bytes(Path::Tee) > 2 << 20, "{report:?}");
}

#[test]
fn a_failing_tap_is_told_apart_from_the_sink() {
    let data = noise(LEN);
    let (mut from, feed) = io::pipe().unwrap();
    let writer = write_all(feed, &data);
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut to = tempfile::tempfile().unwrap();
    let mut source = (&mut from).tee(&full);
    let failed = copy(&mut source, &mut to).unwrap_err();
    drop(source);
    assert_eq!((failed.kind(), failed.side), (ErrorKind::StorageFull, Side::Sink(0)));
    assert!(failed.pending(0) == &data[..failed.taken as usize], "the tap got nothing");
    assert!(failed.pending(1).is_empty(), "the sink got everything");
    assert!(contents(&to) == data[..failed.taken as usize]);
    io::copy(&mut from, &mut io::sink()).unwrap();
    writer.join().unwrap();
}

#[test]
fn copy_n_wants_all_of_them() {
    let mut got = Vec::new();
    copy_n(&mut &b"abcdef"[..], &mut got, 4).unwrap();
    assert_eq!(got, b"abcd");
    let short = copy_n(&mut &b"abcdef"[..], &mut got, 7).unwrap_err();
    assert_eq!((short.kind(), short.copied), (ErrorKind::UnexpectedEof, 6));
    assert_eq!(discard(&mut file_of(&noise(LEN))).unwrap(), LEN as u64);
}

#[test]
fn a_writer_exactly_large_enough_is_no_error() {
    let data = noise(300_000);
    let mut exact = vec![0; data.len()];
    copy(&mut file_of(&data), &mut &mut exact[..]).unwrap();
    assert!(exact == data);
    let file = tempfile::tempfile().unwrap();
    let failed = copy(&mut file_of(&data), &mut (&file).limit_writes(299_999)).unwrap_err();
    assert_eq!((failed.kind(), failed.copied), (ErrorKind::WriteZero, 299_999));
    assert_eq!(failed.pending(0), &data[299_999..]);
    assert!(contents(&file) == data[..299_999]);
}

#[test]
fn options_are_shared_between_threads() {
    fn assert_send_sync<T: Send + Sync>() {}
    assert_send_sync::<Copier>();
    assert_send_sync::<Cancel>();
    assert_send_sync::<aqueduct::CopyError>();
}

#[test]
fn each_sink_of_a_failing_tap_is_owed_its_own() {
    use aqueduct::adapters::multi_writer;
    use aqueduct::source::Sink;
    let data = noise(1000);
    let (mut a, mut b, mut c, mut main) = (vec![], vec![], vec![], vec![]);
    let sinks: [Box<dyn Sink + '_>; 3] =
        [Box::new(&mut a), Box::new((&mut b).limit_writes(300)), Box::new(&mut c)];
    let mut source = (&data[..]).opaque().tee(multi_writer(sinks));
    let failed = Copier::new().buffer_size(200).copy(&mut source, &mut main).unwrap_err();
    assert_eq!((failed.side, failed.kind()), (Side::Sink(1), ErrorKind::WriteZero));
    let taken = failed.taken as usize;
    assert_eq!(failed.pending(1), &data[300..taken]);
    assert!([0, 2, 3].into_iter().all(|i| failed.pending(i).is_empty()));
    assert_eq!(
        (0..4).map(|i| failed.report().delivered(i)).collect::<Vec<_>>(),
        [taken as u64, 300, taken as u64, taken as u64]
    );
    // The copy goes on where it stopped: nobody who was ahead skips anything.
    source.get_mut().1.get_mut(1).map(|b| *b = Box::new(io::sink())).unwrap();
    copy(&mut source, &mut main).unwrap();
    drop(source);
    assert_eq!((b.len(), a == data, c == data, main == data), (300, true, true, true));
}

#[test]
fn a_buffer_larger_than_memory_is_cut_down() {
    let mut out = Vec::new();
    let copier = Copier::new().buffer_size(usize::MAX);
    let report = copier.copy(&mut (&b"ab"[..]).chain(&b"c"[..]), &mut out).unwrap();
    assert_eq!((report.copied(), &out[..]), (3, &b"abc"[..]));
}

/// A panic there would abort the process.
#[test]
fn a_destructor_of_a_thread_local_may_copy() {
    struct Late(std::sync::mpsc::Sender<Vec<u8>>);
    impl Drop for Late {
        fn drop(&mut self) {
            let _ = self.0.send(through_memory());
        }
    }
    fn through_memory() -> Vec<u8> {
        let mut out = Vec::new();
        copy(&mut (&b"ab"[..]).chain(&b"c"[..]), &mut out).unwrap();
        out
    }
    thread_local!(static LATE: std::cell::RefCell<Option<Late>> = const { std::cell::RefCell::new(None) });

    let (send, receive) = std::sync::mpsc::channel();
    let thread = thread::spawn(move || {
        LATE.set(Some(Late(send)));
        // Thread-locals are destroyed in the reverse order of their first use.
        through_memory();
    });
    thread.join().unwrap();
    assert_eq!(receive.recv().unwrap(), b"abc");
}
