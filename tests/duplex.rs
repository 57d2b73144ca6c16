//! The connection in memory as its users see it. Go's suite asks the rest, in `nettest`.
#![cfg(target_os = "linux")]

mod kit;

use aqueduct::adapters::duplex::{Control, Duplex};
use aqueduct::source::Deadlines;
use aqueduct::{ReadExt, duplex, duplex_with_capacity};
use kit::{Waiting, Way, within};
use std::io::{BufRead, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

fn every_kind() -> impl Iterator<Item = (Duplex, Duplex)> {
    [0, 1, 7, 4096].into_iter().map(duplex_with_capacity)
}

fn in_all_ways(name: &str, body: fn(Way)) {
    for way in Way::all() {
        way.run(name, move || body(way));
    }
}

#[test]
fn the_ends_can_be_sent_and_shared() {
    fn check<T: Send + Sync>() {}
    check::<Duplex>();
    check::<Control>();
}

#[test]
fn both_directions_at_once_through_references() {
    in_all_ways("both directions at once through references", |way| {
        for (near, far) in every_kind() {
            let (near, far) = (Arc::new(near), Arc::new(far));
            let writers = [(&near, b"ping"), (&far, b"pong")].map(|(end, word)| {
                let end = Arc::clone(end);
                Waiting::start(way, 1, move || {
                    (0..200).for_each(|_| { &*end }.write_all(word).unwrap());
                })
            });
            let readers = [(&near, b"pong"), (&far, b"ping")].map(|(end, word)| {
                let end = Arc::clone(end);
                Waiting::start(way, 2, move || {
                    let mut buf = [0; 4];
                    for _ in 0..200 {
                        { &*end }.read_exact(&mut buf).unwrap();
                        assert_eq!(&buf, word);
                    }
                })
            });
            writers.into_iter().chain(readers).for_each(Waiting::join);
        }
    });
}

#[test]
fn vectored_calls_and_lent_lines() {
    let (mut near, mut far) = duplex_with_capacity(64);
    assert_eq!(near.write_vectored(&[IoSlice::new(b"one\n"), IoSlice::new(b"two\n")]).unwrap(), 8);
    let mut line = String::new();
    far.read_line(&mut line).unwrap();
    assert_eq!(line, "one\n");
    let (mut a, mut b) = ([0; 1], [0; 3]);
    let mut parts = [&mut a[..], &mut b].map(IoSliceMut::new);
    assert_eq!(far.read_vectored(&mut parts).unwrap(), 4);
    assert_eq!((&a, &b), (b"t", b"wo\n"));
}

#[test]
fn a_close_and_a_drop_are_the_end_for_the_other_one() {
    for drops in [true, false] {
        for capacity in [0, 64] {
            let (mut near, mut far) = duplex_with_capacity(capacity);
            if capacity > 0 {
                near.write_all(b"the rest").unwrap();
                far.write_all(b"unread").unwrap();
            }
            if drops {
                drop(near);
            } else {
                near.close();
                assert_eq!(near.read(&mut [0]).unwrap_err().kind(), ErrorKind::NotConnected);
                assert_eq!(near.write(&[0]).unwrap_err().kind(), ErrorKind::NotConnected);
            }
            let mut rest = String::new();
            far.read_to_string(&mut rest).unwrap();
            assert_eq!(rest, if capacity > 0 { "the rest" } else { "" });
            assert_eq!(far.write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
        }
    }
}

#[test]
fn a_half_closes_its_direction_alone() {
    let (near, mut far) = duplex_with_capacity(64);
    let (mut reader, writer) = near.split();
    drop(writer);
    assert_eq!(far.read(&mut [0; 8]).unwrap(), 0);
    far.write_all(b"still here").unwrap();
    let mut buf = [0; 10];
    reader.read_exact(&mut buf).unwrap();
    assert_eq!(&buf, b"still here");
    reader.close();
    assert_eq!(far.write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
}

#[test]
fn a_handle_stays_with_the_end_whose_halves_are_elsewhere() {
    within("a handle stays with the end whose halves are elsewhere", || {
        let (near, mut far) = duplex();
        let control = near.control();
        let (mut reader, mut writer) = near.split();
        control.set_deadline(Some(Instant::now()));
        assert_eq!(reader.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::TimedOut);
        assert_eq!(writer.write(b"x").unwrap_err().kind(), ErrorKind::TimedOut);
        control.close();
        assert_eq!(reader.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::NotConnected);
        assert_eq!(writer.write(b"x").unwrap_err().kind(), ErrorKind::NotConnected);
        assert_eq!(far.read(&mut [0; 8]).unwrap(), 0);
    });
}

#[test]
fn whoever_knows_deadlines_alone_can_set_them_through_any_pointer() {
    within("whoever knows deadlines alone can set them through any pointer", || {
        fn fails(at: &dyn Deadlines, end: &Duplex) {
            at.set_deadline(Some(Instant::now()));
            assert_eq!({ end }.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::TimedOut);
            assert_eq!({ end }.write(b"x").unwrap_err().kind(), ErrorKind::TimedOut);
            at.set_write_deadline(None);
            assert_eq!({ end }.write(b"x").unwrap(), 1);
            at.set_read_deadline(Some(Instant::now() + Duration::from_millis(1)));
            assert_eq!({ end }.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::TimedOut);
        }
        let (near, _far) = duplex_with_capacity(64);
        let near = Arc::new(near);
        fails(&*near, &near);
        fails(&near, &near);
        fails(&&*near, &near);
        fails(&near.control(), &near);
        fails(&Box::new(near.control()), &near);
    });
}

#[test]
fn a_connection_joins_copies_in_both_directions() {
    in_all_ways("a connection joins copies in both directions", |way| {
        for (mut near, mut far) in every_kind() {
            let data: Vec<u8> = (0..5_000).map(|i| (i % 253) as u8).collect();
            let echo = Waiting::start(way, 1, move || {
                let mut all = Vec::new();
                assert_eq!(aqueduct::copy(&mut (&far).limit(5_000), &mut all).unwrap(), 5_000);
                assert_eq!(aqueduct::copy(&mut &all[..], &mut far).unwrap(), 5_000);
            });
            assert_eq!(aqueduct::copy(&mut &data[..], &mut &near).unwrap(), 5_000);
            assert_eq!(near.fill_buf().unwrap()[0], 0);
            let mut back = Vec::new();
            assert_eq!(aqueduct::copy(&mut near, &mut back).unwrap(), 5_000);
            assert!(back == data);
            echo.join();
        }
    });
}
