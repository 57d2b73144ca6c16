//! The plan's table, cell by cell, and what holds for every plan.

use crate::copy::Copier;
use crate::copy::plan::{From, Refused, STEP, Step, To, WARM, plan};
use crate::sys::Kind;
use quickcheck::{Arbitrary, Gen, quickcheck};

const FILE: Kind = Kind::File { append: false };
const LOG: Kind = Kind::File { append: true };
const PIPE: Kind = Kind::Pipe { nonblocking: false };
const STREAM: Kind = Kind::Stream { nonblocking: true };
const SLOW_STREAM: Kind = Kind::Stream { nonblocking: false };
const DEVICE: Kind = Kind::Device { nonblocking: true };
const SLOW_DEVICE: Kind = Kind::Device { nonblocking: false };

const KINDS: [Kind; 11] = [
    FILE,
    LOG,
    PIPE,
    Kind::Pipe { nonblocking: true },
    STREAM,
    SLOW_STREAM,
    DEVICE,
    SLOW_DEVICE,
    Kind::Null,
    Kind::Other,
    FILE,
];

const NONE: Refused =
    Refused { copy_file_range: false, sendfile: false, splice: false, tee: false };

/// The way of a step, without its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    End,
    Loop,
    Memory,
    Range,
    Send,
    Splice,
    Carry,
}

fn way(step: Step) -> Way {
    match step {
        Step::End => Way::End,
        Step::Loop => Way::Loop,
        Step::Memory { .. } => Way::Memory,
        Step::CopyFileRange { .. } => Way::Range,
        Step::Sendfile { .. } => Way::Send,
        Step::Splice { .. } => Way::Splice,
        Step::Carry { .. } => Way::Carry,
    }
}

fn length(step: Step) -> Option<u64> {
    match step {
        Step::End | Step::Loop => None,
        Step::Memory { max }
        | Step::CopyFileRange { max }
        | Step::Sendfile { max }
        | Step::Splice { max }
        | Step::Carry { max } => Some(max),
    }
}

fn from(kind: Kind) -> From {
    From::Fd { kind, max: u64::MAX, hidden: false }
}

fn to(kind: Kind) -> To {
    To::Fd { kind, max: u64::MAX }
}

fn sharing(share: bool) -> Copier {
    Copier::new().share_pages(share)
}

/// The plan once a copy is warm, nothing being refused.
fn warm(from: From, outlets: &[To], options: &Copier) -> Step {
    plan(from, outlets, options, NONE, u64::MAX, WARM)
}

#[test]
fn the_table_for_one_outlet() {
    use Way::{Carry, Loop, Range, Send, Splice};
    // From, to, the way, the way with `share_pages`.
    let table = [
        (FILE, FILE, Range, Range),
        (FILE, LOG, Loop, Loop),
        (FILE, PIPE, Loop, Splice),
        (FILE, STREAM, Loop, Send),
        (FILE, SLOW_STREAM, Loop, Loop),
        (FILE, DEVICE, Loop, Carry),
        (FILE, SLOW_DEVICE, Loop, Loop),
        (FILE, Kind::Other, Loop, Loop),
        (LOG, FILE, Range, Range),
        (PIPE, FILE, Splice, Splice),
        (PIPE, LOG, Loop, Loop),
        (PIPE, PIPE, Splice, Splice),
        (PIPE, STREAM, Splice, Splice),
        (PIPE, SLOW_STREAM, Loop, Loop),
        (PIPE, DEVICE, Splice, Splice),
        (PIPE, SLOW_DEVICE, Loop, Loop),
        (PIPE, Kind::Other, Loop, Loop),
        (STREAM, FILE, Carry, Carry),
        (STREAM, LOG, Loop, Loop),
        (STREAM, PIPE, Splice, Splice),
        (STREAM, STREAM, Carry, Carry),
        (STREAM, DEVICE, Carry, Carry),
        (STREAM, SLOW_STREAM, Loop, Loop),
        (SLOW_STREAM, PIPE, Loop, Loop),
        (SLOW_STREAM, FILE, Loop, Loop),
        (DEVICE, PIPE, Loop, Loop),
        (DEVICE, FILE, Loop, Loop),
        (SLOW_DEVICE, PIPE, Loop, Loop),
        (Kind::Other, PIPE, Loop, Loop),
        (Kind::Null, PIPE, Loop, Loop),
        // Where nothing is kept, reading is all there is to do.
        (FILE, Kind::Null, Loop, Loop),
        (PIPE, Kind::Null, Loop, Loop),
    ];
    for (source, outlet, plainly, shared) in table {
        for (share, expected) in [(false, plainly), (true, shared)] {
            let step = warm(from(source), &[to(outlet)], &sharing(share));
            assert_eq!(way(step), expected, "{source:?} to {outlet:?}, share_pages: {share}");
            assert!(length(step).is_none_or(|max| max == STEP));
        }
    }
}

#[test]
fn the_table_for_several_outlets() {
    use Way::{Carry, Loop};
    let table: [(Kind, &[To], Way, Way); 9] = [
        (PIPE, &[to(FILE), to(PIPE)], Carry, Carry),
        (STREAM, &[to(FILE), to(STREAM), to(PIPE)], Carry, Carry),
        (FILE, &[to(FILE), to(FILE)], Carry, Carry),
        (FILE, &[to(FILE), to(PIPE)], Loop, Carry),
        (PIPE, &[to(FILE), to(LOG)], Loop, Loop),
        (PIPE, &[to(FILE), To::Opaque { max: u64::MAX }], Loop, Loop),
        (PIPE, &[to(PIPE), To::Gone], Way::Splice, Way::Splice),
        (
            PIPE,
            &[To::Discard { max: u64::MAX }, to(PIPE), to(Kind::Null)],
            Way::Splice,
            Way::Splice,
        ),
        (PIPE, &[to(PIPE), to(SLOW_STREAM)], Loop, Loop),
    ];
    for (source, outlets, plainly, shared) in table {
        for (share, expected) in [(false, plainly), (true, shared)] {
            let step = warm(from(source), outlets, &sharing(share));
            assert_eq!(way(step), expected, "{source:?} to {outlets:?}, share_pages: {share}");
        }
    }
}

#[test]
fn what_was_refused_gives_way_to_the_next_best() {
    use Way::{Carry, Loop, Range, Send, Splice};
    let no_range = Refused { copy_file_range: true, ..NONE };
    let no_send = Refused { sendfile: true, ..NONE };
    let no_splice = Refused { splice: true, ..NONE };
    let no_tee = Refused { tee: true, ..NONE };
    let nothing = Refused { copy_file_range: true, sendfile: true, splice: true, tee: true };
    let one = [to(FILE)];
    let two = [to(FILE), to(PIPE)];
    let socket = [to(STREAM)];
    for (source, outlets, refused, expected) in [
        (FILE, &one[..], no_range, Carry),
        (FILE, &one, no_splice, Range),
        (FILE, &one, nothing, Loop),
        (FILE, &socket, no_send, Carry),
        (FILE, &socket, no_splice, Send),
        (FILE, &socket, nothing, Loop),
        (PIPE, &one, no_splice, Loop),
        (PIPE, &one, no_tee, Splice),
        (STREAM, &one, no_splice, Loop),
        (PIPE, &two, no_tee, Loop),
        (PIPE, &two, no_splice, Loop),
        (PIPE, &two, no_range, Carry),
    ] {
        let step = plan(from(source), outlets, &sharing(true), refused, u64::MAX, WARM);
        assert_eq!(way(step), expected, "{source:?} to {outlets:?} without {refused:?}");
    }
}

#[test]
fn a_step_is_as_long_as_the_least_of_all_bounds() {
    let options = Copier { warm: 1, ..Copier::new() };
    let bounded = |max, room, left| {
        let from = From::Fd { kind: PIPE, max, hidden: false };
        plan(from, &[To::Fd { kind: FILE, max: room }, to(FILE)], &options, NONE, left, 1)
    };
    assert_eq!(bounded(7, 8, 9), Step::Carry { max: 7 });
    assert_eq!(bounded(8, 7, 9), Step::Carry { max: 7 });
    assert_eq!(bounded(9, 8, 7), Step::Carry { max: 7 });
    assert_eq!(bounded(u64::MAX, u64::MAX, u64::MAX), Step::Carry { max: STEP });
    assert_eq!(bounded(0, 7, 7), Step::End);
    assert_eq!(bounded(0, 0, 7), Step::End, "an end is an end, room or not");
    assert_eq!(bounded(7, 0, 7), Step::Loop, "a read tells the end from an excess");
    let memory =
        |len, room| plan(From::Memory { len }, &[To::Opaque { max: room }], &options, NONE, 5, 9);
    assert_eq!(memory(3, 4), Step::Memory { max: 3 });
    assert_eq!(memory(9, 4), Step::Memory { max: 4 });
    assert_eq!(memory(9, 9), Step::Memory { max: 5 });
    assert_eq!(memory(9, 0), Step::Loop);
    assert_eq!(memory(0, 0), Step::End);
}

#[test]
fn the_first_bytes_and_small_rests_go_through_memory() {
    let options = Copier::new();
    let step = |max, left, taken| {
        let from = From::Fd { kind: PIPE, max, hidden: false };
        way(plan(from, &[to(PIPE)], &options, NONE, left, taken))
    };
    assert_eq!(step(u64::MAX, u64::MAX, WARM - 1), Way::Loop);
    assert_eq!(step(u64::MAX, u64::MAX, WARM), Way::Splice);
    assert_eq!(step(WARM - 1, u64::MAX, WARM), Way::Loop);
    assert_eq!(step(WARM, u64::MAX, WARM), Way::Splice);
    assert_eq!(step(u64::MAX, 5, WARM), Way::Splice, "a limit's last bytes are no small piece");
}

#[test]
fn a_hidden_buffer_is_read_first() {
    let hidden = From::Fd { kind: PIPE, max: u64::MAX, hidden: true };
    assert_eq!(warm(hidden, &[to(PIPE)], &Copier::new()), Step::Loop);
}

/// Arbitrary inputs of the plan.
#[derive(Debug, Clone)]
struct Question {
    from: From,
    outlets: Vec<To>,
    share: bool,
    warm: u64,
    refused: Refused,
    left: u64,
    taken: u64,
}

fn amount(g: &mut Gen) -> u64 {
    let few = [0, 1, 2, 4095, WARM - 1, WARM, WARM + 1, STEP - 1, STEP, STEP + 1, u64::MAX];
    *g.choose(&few).unwrap_or(&0)
}

fn kind(g: &mut Gen) -> Kind {
    *g.choose(&KINDS).unwrap_or(&FILE)
}

impl Arbitrary for Question {
    fn arbitrary(g: &mut Gen) -> Self {
        let from = match u8::arbitrary(g) % 6 {
            0 => From::Memory { len: amount(g) },
            1 => From::Opaque,
            n => From::Fd { kind: kind(g), max: amount(g), hidden: n == 2 },
        };
        let outlets = (0..u8::arbitrary(g) % 4).map(|_| match u8::arbitrary(g) % 10 {
            0 => To::Discard { max: amount(g) },
            1 => To::Opaque { max: amount(g) },
            2 => To::Gone,
            _ => To::Fd { kind: kind(g), max: amount(g) },
        });
        let outlets = outlets.collect();
        let refused = Refused {
            copy_file_range: bool::arbitrary(g),
            sendfile: bool::arbitrary(g),
            splice: bool::arbitrary(g),
            tee: bool::arbitrary(g),
        };
        let (warm, left, taken) = (amount(g), amount(g), amount(g));
        Self { from, outlets, share: bool::arbitrary(g), warm, refused, left, taken }
    }
}

/// What no plan may do, whatever it is asked.
fn is_lawful(question: Question) {
    let Question { from, ref outlets, share, warm, refused, left, taken } = question;
    let options = Copier { warm, ..sharing(share) };
    let step = plan(from, outlets, &options, refused, left, taken);
    let at_end = matches!(from, From::Memory { len: 0 } | From::Fd { max: 0, .. });
    assert_eq!(step == Step::End, at_end);
    if let Some(max) = length(step) {
        let room = outlets.iter().filter_map(|to| match *to {
            To::Fd { max, .. } | To::Discard { max } | To::Opaque { max } => Some(max),
            To::Gone => None,
        });
        let len = match from {
            From::Memory { len } | From::Fd { max: len, .. } => len,
            From::Opaque => 0,
        };
        let least = room.chain([left, len]).min().unwrap_or(0);
        assert!(max <= least && max <= STEP, "{max} is more than {least}");
        assert!(max > 0 || left == 0, "a step of nothing never ends");
    }
    let ways = [
        (Way::Range, refused.copy_file_range),
        (Way::Send, refused.sendfile),
        (Way::Splice, refused.splice),
        (Way::Carry, refused.splice),
    ];
    assert!(ways.iter().all(|&(way_, refused)| !(refused && way(step) == way_)));
    match (way(step), from) {
        (Way::End | Way::Loop, _) => {}
        (Way::Memory, from) => assert!(matches!(from, From::Memory { .. })),
        (kernel, From::Fd { kind: source, hidden, .. }) => {
            assert!(!hidden, "bytes may lie before the descriptor");
            around(kernel, source, outlets, share, refused);
        }
        (kernel, from) => panic!("{kernel:?} from {from:?}"),
    }
}

/// What a way through the kernel needs.
fn around(way: Way, source: Kind, outlets: &[To], share: bool, refused: Refused) {
    let kinds = outlets.iter().filter_map(|to| match *to {
        To::Fd { kind: Kind::Null, .. } | To::Discard { .. } | To::Gone => None,
        To::Fd { kind, .. } => Some(kind),
        To::Opaque { .. } => panic!("a foreign writer is written to"),
    });
    let kinds: Vec<_> = kinds.collect();
    assert!(!matches!(source, SLOW_STREAM | Kind::Device { .. } | Kind::Null | Kind::Other));
    for &kind in &kinds {
        assert!(!matches!(kind, SLOW_STREAM | SLOW_DEVICE | Kind::Other | LOG), "{kind:?}");
        let keeps = matches!(kind, Kind::File { .. });
        let is_file = matches!(source, Kind::File { .. });
        assert!(keeps || !is_file || share, "pages of a file in {kind:?}");
    }
    let pipes = kinds.iter().chain([&source]).filter(|kind| matches!(kind, Kind::Pipe { .. }));
    match way {
        Way::Range => assert!(matches!((source, &kinds[..]), (Kind::File { .. }, [FILE]))),
        Way::Send => assert!(matches!((source, &kinds[..]), (Kind::File { .. }, [STREAM]))),
        Way::Splice => assert!(kinds.len() == 1 && pipes.count() > 0),
        _ => assert!(kinds.len() == 1 || (kinds.len() > 1 && !refused.tee)),
    }
}

#[test]
fn every_plan_is_lawful() {
    quickcheck(is_lawful as fn(Question));
}
