//! What copies hold that wait for their source: no pipe, no buffer. A process of its own, whose
//! descriptors and memory are counted.
#![cfg(target_os = "linux")]

#[path = "kit/mod.rs"]
mod kit;

use aqueduct::stream::Stream;
use aqueduct::{copy, task};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;

const MANY: usize = 200;

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Resident memory, in KiB.
fn memory() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("it is told");
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Through each connection, one after the other, so that at most one is busy.
fn send(peers: &mut [(TcpStream, TcpStream)], bytes: &[u8]) {
    let mut got = vec![0; bytes.len()];
    for (near, far) in peers {
        std::thread::scope(|scope| {
            scope.spawn(|| near.write_all(bytes).unwrap());
            far.read_exact(&mut got).unwrap();
        });
        assert!(got == bytes);
    }
}

#[test]
fn idle_copies_hold_neither_pipes_nor_buffers() {
    kit::within("idle copies", || {
        let runtime = task::Runtime::builder().workers(1).stack_size(64 << 10).build().unwrap();
        let mut peers = Vec::new();
        for _ in 0..MANY {
            let ((from, near), (to, far)) = (kit::tcp(), kit::tcp());
            peers.push((near, far));
            let (mut from, mut to) =
                (Stream::from_std(from).unwrap(), Stream::from_std(to).unwrap());
            drop(runtime.spawn(move || copy(&mut from, &mut to)));
        }
        send(&mut peers, &[1; 100]);
        let (few, small) = (descriptors(), memory());
        // Less than goes through memory first, but more than small buffers hold; then by the kernel.
        for len in [60_000, 200_000] {
            send(&mut peers, &kit::noise(len, 7));
            let (now, grown) = (descriptors(), memory().saturating_sub(small));
            assert!(now <= few + 20, "{few} descriptors before, {now} now");
            assert!(grown < 20 * MANY, "{grown} KiB more after {len} bytes each");
        }
        drop(peers);
        runtime.shutdown().unwrap();
    });
}
