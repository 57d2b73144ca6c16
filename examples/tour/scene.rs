//! Where the chains are played: files, pipes and sockets, and who sits at their other ends.

#[cfg(target_os = "linux")]
use rustix::pipe::{SpliceFlags, splice};
use std::cell::Cell;
use std::fs::{File, OpenOptions};
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

const PIECE: usize = 128 << 10;

/// What every byte of the input is. The period is odd, so that a piece in the wrong place shows.
struct Pattern {
    block: Vec<u8>,
}

impl Pattern {
    fn new() -> Self {
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let draw = |_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        };
        Self { block: (0..(1 << 20) + 7).map(draw).collect() }
    }

    fn at(&self, offset: u64) -> &[u8] {
        &self.block[(offset % self.block.len() as u64) as usize..]
    }

    fn write(&self, to: &mut impl Write, mut from: u64, end: u64) -> io::Result<()> {
        while from < end {
            let piece = self.at(from);
            let n = (end - from).min(piece.len() as u64).min(PIECE as u64) as usize;
            to.write_all(&piece[..n])?;
            from += n as u64;
        }
        Ok(())
    }

    fn expect(&self, mut offset: u64, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let piece = self.at(offset);
            let n = piece.len().min(bytes.len());
            if piece[..n] != bytes[..n] {
                return Err(io::Error::other(format!("wrong bytes arrived near offset {offset}")));
            }
            bytes = &bytes[n..];
            offset += n as u64;
        }
        Ok(())
    }
}

/// Fletcher's checksum: it depends on every byte and its place, not on how they come in pieces.
#[derive(Default, PartialEq, Eq)]
pub(crate) struct Checksum {
    sum: u64,
    sums: u64,
}

impl Checksum {
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.sum = self.sum.wrapping_add(u64::from(byte));
            self.sums = self.sums.wrapping_add(self.sum);
        }
    }
}

impl Write for Checksum {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.add(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// How the threads at the far ends of a pipe move their bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Neighbours {
    /// By read and write, as most programs do.
    Plain,
    /// By splice, so that the work between them is all there is to measure.
    Splicing,
}

/// A folder with the input, and makers of all that a chain can end in.
pub(crate) struct Scene {
    folder: tempfile::TempDir,
    pattern: Arc<Pattern>,
    size: u64,
    /// Whether what arrives is compared byte by byte, or only counted.
    pub(crate) compare: Cell<bool>,
}

/// The thread at the far end of an output.
pub(crate) struct Drain(JoinHandle<io::Result<u64>>);

impl Drain {
    /// Waits for the far end to see the end, after it got exactly `n` bytes.
    pub(crate) fn got(self, n: u64) -> io::Result<()> {
        match self.0.join().map_err(|_| io::Error::other("a reader panicked"))?? {
            got if got == n => Ok(()),
            got => Err(io::Error::other(format!("{got} bytes arrived instead of {n}"))),
        }
    }
}

impl Scene {
    pub(crate) const PARTS: u64 = 4;

    /// Lays `size` bytes of input in a new folder, in one file and in [`PARTS`](Self::PARTS).
    pub(crate) fn new(size: u64) -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let pattern = Arc::new(Pattern::new());
        pattern.write(&mut File::create(folder.path().join("input"))?, 0, size)?;
        for i in 0..Self::PARTS {
            let mut part = File::create(folder.path().join(format!("part{i}")))?;
            pattern.write(&mut part, size * i / Self::PARTS, size * (i + 1) / Self::PARTS)?;
        }
        Ok(Self { folder, pattern, size, compare: Cell::new(true) })
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.folder.path().to_path_buf()
    }

    pub(crate) fn input(&self) -> io::Result<File> {
        File::open(self.folder.path().join("input"))
    }

    /// The checksum of the whole input.
    pub(crate) fn checksum(&self) -> io::Result<Checksum> {
        let mut sum = Checksum::default();
        self.pattern.write(&mut sum, 0, self.size)?;
        Ok(sum)
    }

    /// The input in several files.
    pub(crate) fn parts(&self) -> io::Result<Vec<File>> {
        let open = |i| File::open(self.folder.path().join(format!("part{i}")));
        (0..Self::PARTS).map(open).collect()
    }

    /// A new file for output.
    pub(crate) fn output(&self) -> io::Result<File> {
        let path = self.folder.path().join("output");
        OpenOptions::new().write(true).create(true).truncate(true).open(path)
    }

    /// The output file holds `n` bytes, those of the input from `offset` on.
    pub(crate) fn output_holds(&self, offset: u64, n: u64) -> io::Result<()> {
        let file = File::open(self.folder.path().join("output"))?;
        let got = match self.compare.get() {
            true => read_all(file, offset, Some(&self.pattern))?,
            false => file.metadata()?.len(),
        };
        if got == n { Ok(()) } else { Err(io::Error::other(format!("the file holds {got} bytes"))) }
    }

    /// A pipe out of which the whole input comes.
    pub(crate) fn pipe_from(&self, neighbours: Neighbours) -> io::Result<PipeReader> {
        let (reader, mut writer) = io::pipe()?;
        let (pattern, size, file) = (Arc::clone(&self.pattern), self.size, self.input()?);
        // A reader that leaves early is no failure of ours: what arrived is checked elsewhere.
        std::thread::spawn(move || match neighbours {
            Neighbours::Plain => pattern.write(&mut writer, 0, size),
            Neighbours::Splicing => splice_all(&file, &writer).map(drop),
        });
        Ok(reader)
    }

    /// A pipe into which the input goes from `offset` on.
    pub(crate) fn pipe_to(
        &self,
        neighbours: Neighbours,
        offset: u64,
    ) -> io::Result<(PipeWriter, Drain)> {
        let (reader, writer) = io::pipe()?;
        let pattern = self.compare.get().then(|| Arc::clone(&self.pattern));
        let drain = std::thread::spawn(move || match (neighbours, pattern) {
            (Neighbours::Splicing, None) => {
                splice_all(&reader, &OpenOptions::new().write(true).open("/dev/null")?)
            }
            (_, pattern) => read_all(reader, offset, pattern.as_deref()),
        });
        Ok((writer, Drain(drain)))
    }

    /// A connection out of which the whole input comes.
    pub(crate) fn connection_from(&self) -> io::Result<TcpStream> {
        let (near, mut far) = connection()?;
        let (pattern, size) = (Arc::clone(&self.pattern), self.size);
        std::thread::spawn(move || pattern.write(&mut far, 0, size));
        Ok(near)
    }

    /// A connection at whose other end somebody sends the whole input and expects it back.
    pub(crate) fn conversation(&self) -> io::Result<(TcpStream, Drain)> {
        let (near, far) = connection()?;
        let (mut to, pattern, size) = (far.try_clone()?, Arc::clone(&self.pattern), self.size);
        std::thread::spawn(move || {
            pattern.write(&mut to, 0, size)?;
            to.shutdown(Shutdown::Write)
        });
        let pattern = self.compare.get().then(|| Arc::clone(&self.pattern));
        let drain = std::thread::spawn(move || read_all(far, 0, pattern.as_deref()));
        Ok((near, Drain(drain)))
    }

    /// A connection into which the input goes.
    pub(crate) fn connection_to(&self) -> io::Result<(TcpStream, Drain)> {
        let (near, far) = connection()?;
        far.shutdown(Shutdown::Write)?;
        let pattern = self.compare.get().then(|| Arc::clone(&self.pattern));
        let drain = std::thread::spawn(move || read_all(far, 0, pattern.as_deref()));
        Ok((near, Drain(drain)))
    }
}

fn connection() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let near = TcpStream::connect(listener.local_addr()?)?;
    Ok((near, listener.accept()?.0))
}

fn read_all(mut from: impl Read, mut offset: u64, pattern: Option<&Pattern>) -> io::Result<u64> {
    let mut buf = vec![0; PIECE];
    let mut total = 0;
    loop {
        let n = match from.read(&mut buf) {
            Ok(0) => return Ok(total),
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(e),
        };
        if let Some(pattern) = pattern {
            pattern.expect(offset, &buf[..n])?;
        }
        offset += n as u64;
        total += n as u64;
    }
}

#[cfg(target_os = "linux")]
fn splice_all(from: &impl std::os::fd::AsFd, to: &impl std::os::fd::AsFd) -> io::Result<u64> {
    let mut total = 0;
    loop {
        match splice(from, None, to, None, 1 << 20, SpliceFlags::empty())? {
            0 => return Ok(total),
            n => total += n as u64,
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn splice_all(_: &impl std::os::fd::AsFd, _: &impl std::os::fd::AsFd) -> io::Result<u64> {
    Err(io::ErrorKind::Unsupported.into())
}
