//! Yields.
fn main() {
    let n: usize = std::env::args().nth(1).unwrap().parse().unwrap();
    aqueduct::task::run(|| {
        let hs: Vec<_> = (0..2).map(|_| aqueduct::task::spawn(move || (0..n).for_each(|_| aqueduct::task::yield_now()))).collect();
        for h in hs { h.join().unwrap(); }
    }).unwrap();
}
