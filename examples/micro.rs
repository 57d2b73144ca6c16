//! What tasks cost: one figure a line, `name<TAB>value<TAB>unit`.
//!
//! `micro [WORKERS]` measures; `micro mem N [STACK]` tells what N tasks that wait take of memory.

use aqueduct::task::{self, Runtime};
use aqueduct::{pipe, pipe_with_capacity};
use std::io::{self, Read, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::unbounded_channel;

fn emit(name: &str, value: f64, unit: &str) {
    println!("{name}\t{value:.2}\t{unit}");
}

fn per(start: Instant, n: usize) -> f64 {
    start.elapsed().as_nanos() as f64 / n as f64
}

fn spawn_seq(n: usize) -> f64 {
    let start = Instant::now();
    for _ in 0..n {
        task::spawn(|| {}).join().expect("nothing panics");
    }
    per(start, n)
}

fn spawn_batch(n: usize, batch: usize) -> f64 {
    let start = Instant::now();
    let mut handles = Vec::with_capacity(batch);
    for _ in 0..n / batch {
        handles.extend((0..batch).map(|_| task::spawn(|| {})));
        for handle in handles.drain(..) {
            handle.join().expect("nothing panics");
        }
    }
    per(start, n)
}

fn yields(tasks: usize, n: usize) -> f64 {
    let start = Instant::now();
    let handles: Vec<_> =
        (0..tasks).map(|_| task::spawn(move || (0..n).for_each(|_| task::yield_now()))).collect();
    handles.into_iter().for_each(|handle| handle.join().expect("nothing panics"));
    per(start, tasks * n)
}

/// A value goes to another task and back.
fn pingpong(n: usize) -> f64 {
    let (to, mut from) = unbounded_channel::<usize>();
    let (back, mut answers) = unbounded_channel::<usize>();
    let echo = task::spawn(move || {
        while let Ok(Some(value)) = task::wait(from.recv()) {
            back.send(value).expect("the other is there");
        }
    });
    let start = Instant::now();
    for i in 0..n {
        to.send(i).expect("the other is there");
        task::wait(answers.recv()).expect("nobody cancels").expect("the other is there");
    }
    let time = per(start, 2 * n);
    drop(to);
    echo.join().expect("nothing panics");
    time
}

fn through(
    (mut reader, mut writer): (impl Read + Send + 'static, impl Write),
    size: usize,
    total: usize,
) -> io::Result<f64> {
    let reads = task::spawn(move || {
        let mut buf = vec![0; 65536];
        let mut got = 0;
        loop {
            match reader.read(&mut buf)? {
                0 => return io::Result::Ok(got),
                n => got += n,
            }
        }
    });
    let bytes = vec![0; size];
    let start = Instant::now();
    for _ in 0..total / size {
        writer.write_all(&bytes)?;
    }
    drop(writer);
    assert_eq!(reads.join()??, total / size * size);
    Ok(per(start, total / size))
}

fn measure(workers: usize) -> io::Result<()> {
    let p = |name: &str| format!("w{workers}_{name}");
    spawn_seq(20_000);
    emit(&p("spawn_join_seq"), spawn_seq(500_000), "ns");
    spawn_batch(100_000, 1000);
    emit(&p("spawn_join_batch1000"), spawn_batch(2_000_000, 1000), "ns");
    pingpong(50_000);
    emit(&p("pingpong_chan"), pingpong(1_000_000), "ns");
    emit(&p("yield"), yields(2, 2_000_000), "ns");
    emit(&p("yield_1000"), yields(1000, 4_000), "ns");
    for (name, size, total) in [("pipe", 65536, 4 << 30), ("pipe", 64, 64 << 20)] {
        let time = through(pipe(), size, total)?;
        emit(&p(&format!("{name}_{size}B")), time, "ns/write");
        emit(&p(&format!("{name}_{size}B")), size as f64 / time * 1000.0, "MB/s");
    }
    for (name, size, total) in [("pipe_ring", 65536, 4 << 30), ("pipe_ring", 64, 256 << 20)] {
        let time = through(pipe_with_capacity(65536), size, total)?;
        emit(&p(&format!("{name}_{size}B")), time, "ns/write");
        emit(&p(&format!("{name}_{size}B")), size as f64 / time * 1000.0, "MB/s");
    }
    Ok(())
}

fn status(key: &str) -> io::Result<f64> {
    let text = std::fs::read_to_string("/proc/self/status")?;
    let line = text.lines().find(|line| line.starts_with(key));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok());
    kib.map(|kib| kib * 1024.0).ok_or_else(|| io::Error::other(format!("no {key} in the status")))
}

/// Half of the tasks sleep, half wait in a pipe.
fn memory(n: usize) -> io::Result<()> {
    let (rss, pte) = (status("VmRSS")?, status("VmPTE")?);
    static WAITING: AtomicUsize = AtomicUsize::new(0);
    let mut writers = Vec::with_capacity(n.div_ceil(2));
    for i in 0..n {
        if i % 2 == 0 {
            drop(task::spawn(|| {
                WAITING.fetch_add(1, Ordering::Relaxed);
                task::sleep(Duration::from_secs(3600))
            }));
        } else {
            let (mut reader, writer) = pipe();
            writers.push(writer);
            drop(task::spawn(move || {
                WAITING.fetch_add(1, Ordering::Relaxed);
                let reader: &mut dyn Read = &mut reader;
                reader.read(&mut [0; 64])
            }));
        }
        // As in a server, they begin as they come.
        if i % 100 == 0 {
            task::yield_now();
        }
    }
    task::yield_now();
    let waiting = WAITING.load(Ordering::Relaxed);
    if waiting < n {
        return Err(io::Error::other(format!("{waiting} tasks of {n} have got a stack")));
    }
    emit("mem_rss_per_idle_task", (status("VmRSS")? - rss) / n as f64, "B");
    emit("mem_pte_per_idle_task", (status("VmPTE")? - pte) / n as f64, "B");
    std::process::exit(0);
}

fn run() -> io::Result<()> {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let number = |i: usize, or: usize| match args.get(i) {
        None => Ok(or),
        Some(text) => text
            .parse()
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, format!("{text}: no number"))),
    };
    if args.first().is_some_and(|arg| arg == "mem") {
        let (n, stack) = (number(1, 100_000)?, number(2, 256 << 10)?);
        return Runtime::builder().workers(1).stack_size(stack).run(|| memory(n))?;
    }
    let workers = number(0, 1)?;
    Runtime::builder().workers(workers).run(|| measure(workers))?
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("micro: {error}");
            ExitCode::FAILURE
        }
    }
}
