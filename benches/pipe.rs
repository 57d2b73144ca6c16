//! The in-memory pipe between two threads. Each line: name, value, unit, parted by tabs.
//!
//! Given `--test`, as `cargo test --benches` does, it moves a little and shows that it works.

use aqueduct::adapters::pipe::{Reader, Writer};
use aqueduct::{pipe, pipe_with_capacity};
use std::io::{Read, Write};
use std::thread;
use std::time::Instant;

/// Nanoseconds per write of `size` bytes, the reader's buffer 64 KiB.
fn between_threads((mut reader, mut writer): (Reader, Writer), size: usize, writes: usize) -> f64 {
    let sink = thread::spawn(move || {
        let mut buf = vec![0; 64 * 1024];
        let mut total = 0;
        loop {
            match reader.read(&mut buf).expect("the writer closes without an error") {
                0 => return total,
                n => total += n,
            }
        }
    });
    let bytes = vec![7; size];
    let start = Instant::now();
    for _ in 0..writes {
        writer.write_all(&bytes).expect("the reader reads to the end");
    }
    drop(writer);
    let total = sink.join().expect("the reading thread does not panic");
    assert_eq!(total, size * writes);
    start.elapsed().as_secs_f64() * 1e9 / writes as f64
}

/// Nanoseconds per write of `size` bytes and its share of a read, all on this thread.
fn on_one_thread(size: usize, writes: usize) -> f64 {
    let (mut reader, mut writer) = pipe_with_capacity(64 * 1024);
    let bytes = vec![7; size];
    let mut buf = vec![0; 64 * 1024];
    let batch = buf.len() / size;
    let start = Instant::now();
    for _ in 0..writes / batch {
        for _ in 0..batch {
            writer.write_all(&bytes).expect("the batch fits");
        }
        reader.read_exact(&mut buf[..batch * size]).expect("the batch is there");
    }
    start.elapsed().as_secs_f64() * 1e9 / (writes / batch * batch) as f64
}

fn main() {
    // Cargo says --bench when it is to be measured; anything else is a trial.
    let trial = !std::env::args().any(|argument| argument == "--bench");
    let scale = if trial { 1000 } else { 1 };
    let ring = between_threads(pipe_with_capacity(64 * 1024), 64, 20_000_000 / scale);
    println!("pipe_64B\t{ring:.2}\tns/write");
    let alone = on_one_thread(64, 20_000_000 / scale);
    println!("pipe_64B_one_thread\t{alone:.2}\tns/write");
    let small = between_threads(pipe(), 64, 1_000_000 / scale);
    println!("pipe_64B_rendezvous\t{small:.2}\tns/write");
    let large = between_threads(pipe(), 65536, 65_536 / scale);
    println!("pipe_65536B\t{:.3}\tGB/s", 65536.0 / large);
}
