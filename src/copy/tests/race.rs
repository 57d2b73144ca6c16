//! A peer that is quicker than the question who is not ready.

use crate::copy::Copier;
use crate::sys::Call;
use crate::sys::faults::{self, Faults};
use rustix::io::Errno;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;

/// Whichever call it is that says EAGAIN, once, though both ends are ready: what is in the broker
/// goes on by splice. The only read that passes the gate is that which would take it out again.
#[test]
fn a_refusal_that_is_over_when_asked_about_takes_nothing_out_of_the_broker() {
    for at in 0..8 {
        let (mut feed, mut source) = UnixStream::pair().unwrap();
        let (mut sink, mut drain) = UnixStream::pair().unwrap();
        source.set_nonblocking(true).unwrap();
        sink.set_nonblocking(true).unwrap();
        let bytes: Vec<u8> = (0..20_000_u32).map(|i| ((i * 31) >> 4) as u8).collect();
        feed.write_all(&bytes).unwrap();
        feed.shutdown(Shutdown::Write).unwrap();
        let faults = Faults {
            off: vec![(Call::Read, Errno::IO.raw_os_error())],
            once: Some((at, Errno::AGAIN.raw_os_error())),
            ..Faults::default()
        };
        let copier = Copier { warm: 0, ..Copier::new() };
        let (result, _) = faults::with(faults, || copier.copy(&mut source, &mut sink));
        assert_eq!(result.unwrap().copied(), bytes.len() as u64, "call {at}");
        sink.shutdown(Shutdown::Write).unwrap();
        let mut got = Vec::new();
        drain.read_to_end(&mut got).unwrap();
        assert_eq!(got, bytes, "call {at}");
    }
}
