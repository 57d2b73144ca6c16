//! Count, inspect and progress see the same bytes by `copy` and by reading.

use aqueduct::{ReadExt, WriteExt, copy};
use std::io::{BufRead, Read};

#[test]
fn every_way_counts_alike() {
    let data = vec![7u8; 100_000];
    for by_copy in [false, true] {
        let (mut seen, mut told, mut out) = (Vec::new(), Vec::new(), Vec::new());
        let mut source = (&data[..])
            .count()
            .progress(30_000, |n| told.push(n))
            .inspect(|bytes| seen.extend_from_slice(bytes));
        let mut sink = (&mut out).count_writes();
        match by_copy {
            true => copy(&mut source, &mut sink).unwrap(),
            false => std::io::copy(&mut source, &mut sink).unwrap(),
        };
        assert_eq!(sink.count(), 100_000);
        assert_eq!(source.get_ref().get_ref().total(), 100_000);
        drop(source);
        assert_eq!((seen, out), (data.clone(), data.clone()));
        assert_eq!(told.last(), Some(&100_000));
        assert!(told.windows(2).all(|pair| pair[0] < pair[1]), "told twice: {told:?}");
    }
}

#[test]
fn what_is_only_buffered_is_not_counted() {
    let mut counted = (&b"abcdef"[..]).count();
    counted.fill_buf().unwrap();
    assert_eq!(counted.total(), 0);
    counted.consume(2);
    counted.read_exact(&mut [0; 3]).unwrap();
    assert_eq!(counted.total(), 5);
}

#[test]
fn consuming_more_than_there_is_does_not_panic() {
    let mut told = 0;
    let mut reader = std::io::Cursor::new([7; 4]).count().progress(1, |n| told = n);
    for _ in 0..2 {
        reader.consume(usize::MAX);
    }
    assert_eq!(reader.get_ref().total(), u64::MAX);
    drop(reader);
    assert_eq!(told, u64::MAX);
}
