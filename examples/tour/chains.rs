//! The chains of the tour, each beside the same work done without the crate.

use crate::clock::{Run, clock, cpu};
use crate::scene::{Checksum, Neighbours, Scene};
use aqueduct::adapters::{MultiReader, MultiWriter, Section};
use aqueduct::source::Sink;
use aqueduct::stream::Stream;
use aqueduct::task::Runtime;
use aqueduct::{Copier, ReadExt};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::Duration;

/// Who does the work.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    Chain,
    Hand,
}

/// A chain, what it is compared with, and the function that does either.
pub(crate) struct Chain {
    pub(crate) name: &'static str,
    pub(crate) by_hand: &'static str,
    pub(crate) run: fn(&Scene, By) -> io::Result<Run>,
}

pub(crate) const CHAINS: &[Chain] = &[
    Chain { name: "file -> file", by_hand: "io::copy", run: file_to_file },
    Chain { name: "section(file) -> file", by_hand: "seek, take, io::copy", run: section_to_file },
    Chain { name: "file, limit -> pipe", by_hand: "take, io::copy", run: limited_file_to_pipe },
    Chain { name: "multi[4 files] -> pipe", by_hand: "io::copy of each", run: files_to_pipe },
    Chain { name: "file, inspect -> pipe", by_hand: "loop", run: summed_file_to_pipe },
    Chain { name: "pipe, count, progress -> pipe", by_hand: "loop", run: counted_pipe },
    Chain { name: "the same, neighbours splice", by_hand: "loop", run: counted_pipe_spliced },
    Chain { name: "buffered pipe, a line -> pipe", by_hand: "io::copy", run: buffered_pipe },
    Chain { name: "pipe, tee(file) -> pipe", by_hand: "loop", run: teed_pipe },
    Chain { name: "pipe -> multi[pipe, file]", by_hand: "loop", run: pipe_to_pipe_and_file },
    Chain { name: "pipe -> multi[3 pipes]", by_hand: "loop", run: pipe_to_pipes },
    Chain { name: "tcp -> file", by_hand: "io::copy", run: connection_to_file },
    Chain { name: "file -> tcp", by_hand: "io::copy", run: file_to_connection },
    Chain { name: "tcp, count -> tcp", by_hand: "loop", run: connection_to_connection },
    Chain { name: "tcp <-> tcp, a task each", by_hand: "two threads", run: both_directions },
];

/// What the tour's copies have in common: as a shell tool would, they enlarge the pipes they are
/// given, and let pages of files that nobody writes to meanwhile travel by reference.
fn copier() -> Copier {
    Copier::new().grow_pipes(true).share_pages(true)
}

/// The loop that everybody writes: read, look, write to each.
fn by_hand(
    from: &mut impl Read,
    to: &mut [&mut dyn Write],
    mut look: impl FnMut(&[u8]),
) -> io::Result<u64> {
    let mut buf = vec![0; 64 << 10];
    let mut total = 0;
    loop {
        let n = match from.read(&mut buf) {
            Ok(0) => return Ok(total),
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(e),
        };
        look(&buf[..n]);
        for writer in &mut *to {
            writer.write_all(&buf[..n])?;
        }
        total += n as u64;
    }
}

fn file_to_file(scene: &Scene, by: By) -> io::Result<Run> {
    let (mut from, mut to) = (scene.input()?, scene.output()?);
    let run = match by {
        By::Chain => clock(|| Ok(copier().copy(&mut from, &mut to)?))?,
        By::Hand => clock(|| io::copy(&mut from, &mut to))?,
    };
    scene.output_holds(0, scene.size())?;
    Ok(run)
}

fn section_to_file(scene: &Scene, by: By) -> io::Result<Run> {
    let (start, len) = (4097, scene.size() / 2);
    let (mut from, mut to) = (scene.input()?, scene.output()?);
    let run = match by {
        By::Chain => clock(|| Ok(copier().copy(&mut Section::new(&from, start, len), &mut to)?))?,
        By::Hand => clock(|| {
            from.seek(SeekFrom::Start(start))?;
            io::copy(&mut from.take(len), &mut to)
        })?,
    };
    scene.output_holds(start, len)?;
    Ok(run)
}

fn limited_file_to_pipe(scene: &Scene, by: By) -> io::Result<Run> {
    let len = scene.size() / 4 * 3 + 1;
    let from = scene.input()?;
    let (mut to, drain) = scene.pipe_to(Neighbours::Splicing, 0)?;
    let run = match by {
        By::Chain => clock(|| Ok(copier().copy(&mut from.limit(len), &mut to)?))?,
        By::Hand => clock(|| io::copy(&mut from.take(len), &mut to))?,
    };
    drop(to);
    drain.got(len)?;
    Ok(run)
}

fn files_to_pipe(scene: &Scene, by: By) -> io::Result<Run> {
    let parts = scene.parts()?;
    let (mut to, drain) = scene.pipe_to(Neighbours::Splicing, 0)?;
    let run = match by {
        By::Chain => clock(|| Ok(copier().copy(&mut MultiReader::new(parts), &mut to)?))?,
        By::Hand => clock(|| {
            parts.into_iter().try_fold(0, |sum, mut part| Ok(sum + io::copy(&mut part, &mut to)?))
        })?,
    };
    drop(to);
    drain.got(scene.size())?;
    Ok(run)
}

/// A closure that sees the bytes brings them through memory, on either side.
fn summed_file_to_pipe(scene: &Scene, by: By) -> io::Result<Run> {
    let mut from = scene.input()?;
    let (mut to, drain) = scene.pipe_to(Neighbours::Plain, 0)?;
    let mut sum = Checksum::default();
    let run = match by {
        By::Chain => clock(|| {
            let mut summed = from.inspect(|bytes| sum.add(bytes));
            Ok(copier().copy(&mut summed, &mut to)?)
        })?,
        By::Hand => clock(|| by_hand(&mut from, &mut [&mut to], |bytes| sum.add(bytes)))?,
    };
    drop(to);
    drain.got(scene.size())?;
    match sum == scene.checksum()? {
        true => Ok(run),
        false => Err(io::Error::other("the checksum on the way is not that of the file")),
    }
}

fn counted_pipe(scene: &Scene, by: By) -> io::Result<Run> {
    counted(scene, by, Neighbours::Plain)
}

fn counted_pipe_spliced(scene: &Scene, by: By) -> io::Result<Run> {
    counted(scene, by, Neighbours::Splicing)
}

fn counted(scene: &Scene, by: By, neighbours: Neighbours) -> io::Result<Run> {
    let mut from = scene.pipe_from(neighbours)?;
    let (mut to, drain) = scene.pipe_to(neighbours, 0)?;
    let (mut count, mut seen) = (0, 0);
    let run = match by {
        By::Chain => clock(|| {
            let mut counted = from.count().progress(16 << 20, |so_far| seen = so_far);
            let report = copier().copy(&mut counted, &mut to)?;
            count = counted.get_ref().total();
            Ok(report)
        })?,
        By::Hand => clock(|| {
            by_hand(&mut from, &mut [&mut to], |bytes| {
                count += bytes.len() as u64;
                if count - seen >= 16 << 20 {
                    seen = count;
                }
            })
        })?,
    };
    drop(to);
    drain.got(scene.size())?;
    match count == scene.size() && seen > 0 {
        true => Ok(run),
        false => Err(io::Error::other(format!("counted {count}, last told {seen}"))),
    }
}

/// As a server does: the head by lines, the body by whatever is fastest.
fn buffered_pipe(scene: &Scene, by: By) -> io::Result<Run> {
    let mut from = BufReader::new(scene.pipe_from(Neighbours::Splicing)?);
    let mut head = Vec::new();
    from.read_until(b'\n', &mut head)?;
    let (mut to, drain) = scene.pipe_to(Neighbours::Splicing, head.len() as u64)?;
    let run = match by {
        By::Chain => clock(|| Ok(copier().copy(&mut from, &mut to)?))?,
        By::Hand => clock(|| io::copy(&mut from, &mut to))?,
    };
    drop(to);
    drain.got(scene.size() - head.len() as u64)?;
    Ok(run)
}

fn teed_pipe(scene: &Scene, by: By) -> io::Result<Run> {
    let mut from = scene.pipe_from(Neighbours::Splicing)?;
    let (mut to, drain) = scene.pipe_to(Neighbours::Splicing, 0)?;
    let mut side = scene.output()?;
    let run = match by {
        By::Chain => clock(|| Ok(copier().copy(&mut from.tee(&mut side), &mut to)?))?,
        By::Hand => clock(|| by_hand(&mut from, &mut [&mut side, &mut to], |_| {}))?,
    };
    drop(to);
    drain.got(scene.size())?;
    scene.output_holds(0, scene.size())?;
    Ok(run)
}

fn pipe_to_pipe_and_file(scene: &Scene, by: By) -> io::Result<Run> {
    let mut from = scene.pipe_from(Neighbours::Splicing)?;
    let (mut to, drain) = scene.pipe_to(Neighbours::Splicing, 0)?;
    let mut file = scene.output()?;
    let run = match by {
        By::Chain => clock(|| {
            let both: [Box<dyn Sink + '_>; 2] = [Box::new(&mut to), Box::new(&mut file)];
            Ok(copier().copy(&mut from, &mut MultiWriter::new(both))?)
        })?,
        By::Hand => clock(|| by_hand(&mut from, &mut [&mut to, &mut file], |_| {}))?,
    };
    drop(to);
    drain.got(scene.size())?;
    scene.output_holds(0, scene.size())?;
    Ok(run)
}

fn pipe_to_pipes(scene: &Scene, by: By) -> io::Result<Run> {
    let mut from = scene.pipe_from(Neighbours::Splicing)?;
    let mut ends = Vec::new();
    for _ in 0..3 {
        ends.push(scene.pipe_to(Neighbours::Splicing, 0)?);
    }
    let (mut pipes, drains): (Vec<_>, Vec<_>) = ends.into_iter().unzip();
    let run = match by {
        By::Chain => clock(|| Ok(copier().copy(&mut from, &mut MultiWriter::new(&mut pipes))?))?,
        By::Hand => clock(|| {
            let mut each: Vec<_> = pipes.iter_mut().map(|pipe| pipe as &mut dyn Write).collect();
            by_hand(&mut from, &mut each, |_| {})
        })?,
    };
    drop(pipes);
    drains.into_iter().try_for_each(|drain| drain.got(scene.size()))?;
    Ok(run)
}

/// The kernel moves bytes of a socket without blocking only if the socket is non-blocking.
fn connection_to_file(scene: &Scene, by: By) -> io::Result<Run> {
    let (mut from, mut to) = (scene.connection_from()?, scene.output()?);
    from.set_nonblocking(by == By::Chain)?;
    let run = match by {
        By::Chain => clock(|| Ok(copier().wait(true).copy(&mut from, &mut to)?))?,
        By::Hand => clock(|| io::copy(&mut from, &mut to))?,
    };
    scene.output_holds(0, scene.size())?;
    Ok(run)
}

fn file_to_connection(scene: &Scene, by: By) -> io::Result<Run> {
    let mut from = scene.input()?;
    let (mut to, drain) = scene.connection_to()?;
    to.set_nonblocking(by == By::Chain)?;
    let run = match by {
        By::Chain => clock(|| Ok(copier().wait(true).copy(&mut from, &mut to)?))?,
        By::Hand => clock(|| io::copy(&mut from, &mut to))?,
    };
    drop(to);
    drain.got(scene.size())?;
    Ok(run)
}

fn connection_to_connection(scene: &Scene, by: By) -> io::Result<Run> {
    let mut from = scene.connection_from()?;
    let (mut to, drain) = scene.connection_to()?;
    from.set_nonblocking(by == By::Chain)?;
    to.set_nonblocking(by == By::Chain)?;
    let mut count = 0;
    let run = match by {
        By::Chain => clock(|| Ok(copier().wait(true).copy(&mut from.count(), &mut to)?))?,
        By::Hand => clock(|| by_hand(&mut from, &mut [&mut to], |bytes| count += bytes.len()))?,
    };
    drop(to);
    drain.got(scene.size())?;
    Ok(run)
}

/// What a proxy does, both tasks being on this thread.
fn both_directions(scene: &Scene, by: By) -> io::Result<Run> {
    let ((a, near), (b, far)) = (scene.conversation()?, scene.conversation()?);
    let run = match by {
        By::Chain => {
            let (mut a, mut b) = (Stream::from_std(a)?, Stream::from_std(b)?);
            let copies = || clock(|| Ok(copier().copy_bidirectional(&mut a, &mut b)?));
            Runtime::builder().workers(1).run(copies)??
        }
        By::Hand => {
            let mut other = Duration::ZERO;
            let mut run = clock(|| {
                thread::scope(|scope| {
                    let back = scope.spawn(|| one_way(&b, &a).map(|n| (n, cpu())));
                    let forth = one_way(&a, &b)?;
                    let back = back.join().map_err(|_| io::Error::other("a copy panicked"))??;
                    other = back.1;
                    Ok(forth + back.0)
                })
            })?;
            run.cpu += other;
            run
        }
    };
    near.got(scene.size())?;
    far.got(scene.size())?;
    Ok(run)
}

fn one_way(mut from: &TcpStream, mut to: &TcpStream) -> io::Result<u64> {
    let n = by_hand(&mut from, &mut [&mut to], |_| {})?;
    to.shutdown(Shutdown::Write)?;
    Ok(n)
}
