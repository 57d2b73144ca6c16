//! One writer in front of several: nothing lost, nothing doubled.

use aqueduct::adapters::{ErrorPolicy, MultiWriter, multi_writer};
use aqueduct::iotest::Script;
use aqueduct::{ReadExt, WriteExt, copy, copy::Side};
use std::io::{ErrorKind, Write};

fn written(multi: MultiWriter<Script>) -> Vec<Vec<u8>> {
    multi.into_inner().into_iter().map(|s| s.written().to_vec()).collect()
}

#[test]
fn a_sink_that_is_ahead_skips_what_it_has() {
    let slow = Script::new().accept(2).fail(ErrorKind::WouldBlock).accept_all();
    let mut multi = multi_writer([Script::new().accept_all(), slow]);
    assert_eq!(multi.write(b"abcdef").unwrap(), 2);
    assert_eq!(multi.write(b"cdef").unwrap_err().kind(), ErrorKind::WouldBlock);
    assert_eq!(multi.counts().collect::<Vec<_>>(), [6, 2]);
    // The rest comes by a copy, which keeps the outlets apart.
    assert_eq!(copy(&mut &b"cdefgh"[..], &mut multi).unwrap(), 6);
    assert_eq!(multi.counts().collect::<Vec<_>>(), [8, 8]);
    assert_eq!(written(multi), [b"abcdefgh", b"abcdefgh"]);
}

#[test]
fn policies() {
    let sinks = |kind| [Script::new().fail(kind), Script::new().accept_all()];
    for by_copy in [false, true] {
        let send = |multi: &mut MultiWriter<Script>| match by_copy {
            true => copy(&mut &b"data"[..], multi).map(drop).map_err(|e| e.source),
            false => multi.write_all(b"data"),
        };
        let mut stop = multi_writer(sinks(ErrorKind::Other));
        assert_eq!(send(&mut stop).unwrap_err().kind(), ErrorKind::Other);
        assert_eq!((stop.count(0), stop.count(1)), (0, 4), "every sink is tried");

        let mut go_on = multi_writer(sinks(ErrorKind::Other)).policy(ErrorPolicy::Continue);
        send(&mut go_on).unwrap();
        assert_eq!(go_on.flush().unwrap_err().kind(), ErrorKind::Other);
        go_on.flush().unwrap();
        assert_eq!(go_on.finish().unwrap_err().kind(), ErrorKind::Other);

        let mut give_up = multi_writer(sinks(ErrorKind::Other)).policy(ErrorPolicy::Drop);
        send(&mut give_up).unwrap();
        give_up.finish().unwrap();
        assert_eq!(
            give_up.errors().map(|(i, e)| (i, e.kind())).next(),
            Some((0, ErrorKind::Other))
        );

        for (kind, passes) in [(ErrorKind::BrokenPipe, true), (ErrorKind::Other, false)] {
            let mut multi = multi_writer(sinks(kind)).policy(ErrorPolicy::IgnoreBrokenPipe);
            assert_eq!(send(&mut multi).is_ok(), passes);
        }
        let last = [Script::new().fail(ErrorKind::BrokenPipe)];
        let mut multi = multi_writer(last).policy(ErrorPolicy::Drop);
        assert_eq!(send(&mut multi).unwrap_err().kind(), ErrorKind::BrokenPipe);
        assert_eq!(send(&mut multi).unwrap_err().kind(), ErrorKind::BrokenPipe);
    }
}

#[test]
fn the_outlet_at_fault_has_its_number() {
    let mut multi = multi_writer([Script::new().accept_all(), Script::new().accept(1)]);
    let failed = copy(&mut &b"abc"[..], &mut multi).unwrap_err();
    assert_eq!(failed.side, Side::Sink(1));
    assert_eq!((failed.pending(0), failed.pending(1)), (&b""[..], &b"bc"[..]));
    assert_eq!(multi.counts().collect::<Vec<_>>(), [3, 1]);
}

#[test]
fn no_sinks_accept_everything() {
    let mut none = multi_writer::<[Vec<u8>; 0]>([]);
    none.write_all(b"void").unwrap();
    assert_eq!(copy(&mut &b"void"[..], &mut none).unwrap(), 4);
}

#[test]
fn a_limit_on_one_sink_costs_the_others_nothing() {
    let sinks = [Vec::new().limit_writes(3), Vec::new().limit_writes(100)];
    let mut multi = multi_writer(sinks).policy(ErrorPolicy::Drop);
    assert_eq!(copy(&mut &b"abcdef"[..], &mut multi).unwrap(), 6);
    let got: Vec<_> = multi.into_inner().into_iter().map(|sink| sink.into_inner()).collect();
    assert_eq!(got, [&b"abc"[..], b"abcdef"]);
}

#[test]
fn a_limit_in_front_of_all_sinks_is_no_failure_of_theirs() {
    for policy in [ErrorPolicy::Stop, ErrorPolicy::Continue, ErrorPolicy::Drop] {
        let sinks = multi_writer([Vec::new(), Vec::new()]).policy(policy);
        let mut limited = sinks.limit_writes(3);
        let error = copy(&mut &b"abcdef"[..], &mut limited).unwrap_err();
        assert_eq!((error.kind(), error.side), (ErrorKind::WriteZero, Side::Sink(0)));
        assert_eq!((error.copied, error.taken), (3, 4));
        assert_eq!((error.pending(0), error.pending(1)), (&b"d"[..], &b"d"[..]));
        assert_eq!(limited.get_ref().errors().count(), 0, "{policy:?}");
    }
}

#[test]
fn a_group_within_that_is_gone_fails_in_a_copy_as_in_a_write() {
    let dying = Script::new().fail(ErrorKind::Other);
    let inner = [
        multi_writer([dying]).policy(ErrorPolicy::Drop),
        multi_writer([Script::new().accept_all()]).policy(ErrorPolicy::Drop),
    ];
    let mut multi = multi_writer(inner);
    assert_eq!(copy(&mut &b"ab"[..], &mut multi).unwrap_err().kind(), ErrorKind::Other);
    let error = copy(&mut &b"cd"[..], &mut multi).unwrap_err();
    assert_eq!((error.kind(), error.side), (ErrorKind::BrokenPipe, Side::Sink(0)));
    assert_eq!(multi.write(b"ef").unwrap_err().kind(), ErrorKind::BrokenPipe);
    assert_eq!(multi.count(1), 6, "the healthy group got everything");
}

#[test]
fn the_last_sink_given_up_is_owed_only_what_it_lacks() {
    let sides = [
        Script::new().accept(1).fail(ErrorKind::BrokenPipe),
        Script::new().accept(2).fail(ErrorKind::StorageFull),
    ];
    let side = multi_writer(sides).policy(ErrorPolicy::Continue);
    let error = copy(&mut (&b"abc"[..]).opaque().tee(side), &mut Vec::new()).unwrap_err();
    assert_eq!((error.kind(), error.side), (ErrorKind::StorageFull, Side::Sink(1)));
    assert_eq!(error.pending(1), b"c");
}
