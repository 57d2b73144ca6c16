//! Checks that readers and writers keep std's contracts.

mod bufread;
mod law;
mod reader;
mod seek;
mod writer;

pub use self::bufread::check_bufread;
pub use self::law::{Law, Violation};
pub use self::reader::check_reader;
pub use self::seek::check_seek;
pub use self::writer::check_writer;

use self::law::broken;
use std::io::{self, ErrorKind};

/// Sizes that calls go through: small odd ones, std's probe of 32, usual buffers.
const SIZES: [usize; 9] = [1, 2, 3, 7, 32, 5, 513, 8 << 10, 64 << 10];

/// Nobody is interrupted so often in a row; without a bound the check might hang.
const PATIENCE: usize = 1000;

/// Calls again while interrupted. Any other error breaks `law`.
fn call<T>(law: Law, doing: &str, mut op: impl FnMut() -> io::Result<T>) -> Result<T, Violation> {
    match retry(law, doing, &mut op)? {
        Ok(answer) => Ok(answer),
        Err(error) => Err(broken!(law, "{doing} failed: {error} ({:?})", error.kind())),
    }
}

/// Calls again while interrupted.
fn retry<T>(
    law: Law,
    doing: &str,
    op: &mut dyn FnMut() -> io::Result<T>,
) -> Result<io::Result<T>, Violation> {
    for _ in 0..PATIENCE {
        match op() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            answer => return Ok(answer),
        }
    }
    Err(broken!(law, "{doing} was interrupted {PATIENCE} times in a row"))
}

/// Breaks `law` where `got` is not `want`, and says at which byte.
fn same(law: Law, doing: &str, got: &[u8], want: &[u8]) -> Result<(), Violation> {
    if got == want {
        return Ok(());
    }
    let at = got.iter().zip(want).take_while(|(a, b)| a == b).count();
    Err(match (got.get(at), want.get(at)) {
        (Some(a), Some(b)) => broken!(law, "{doing} gave 0x{a:02x} as byte {at}, not 0x{b:02x}"),
        _ => broken!(law, "{doing} gave {} bytes, not {}", got.len(), want.len()),
    })
}

/// Places in a content of `len` bytes at which checks begin: its edges, and some between.
fn places(len: usize) -> Vec<usize> {
    let mut places = vec![0, 1, 2, 3, 7, len / 3, len / 2, len.saturating_sub(1), len];
    places.retain(|&place| place <= len);
    places.sort_unstable();
    places.dedup();
    places
}
