//! Every adapter, alone and nested, keeps std's laws over sources and sinks of every temper.

#![allow(
    clippy::type_complexity,
    clippy::needless_range_loop,
    reason = "tables of constructors, and pairs of them by number"
)]

use aqueduct::adapters::pipe;
use aqueduct::adapters::{
    ErrorPolicy, MultiReader, MultiWriter, OffsetWriter, ReadAt, Section, TeePolicy, multi_reader,
};
use aqueduct::iotest::{
    Chunked, Half, InterruptEvery, OneByte, Script, ShortWrite, Violation, check_bufread,
    check_reader, check_seek, check_writer,
};
use aqueduct::{ReadExt, WriteExt};
use std::cell::RefCell;
use std::io::{self, BufRead, BufReader, BufWriter, Cursor, LineWriter, Read, Write};
use std::rc::Rc;
use std::thread::{self, JoinHandle};

type Lender = Box<dyn BufRead>;
type Taker = Box<dyn Write>;

/// Collects what broke, so that one run tells everything.
#[derive(Default)]
struct Broken(Vec<String>);

impl Broken {
    fn note(&mut self, who: &str, result: Result<(), Violation>) {
        if let Err(violation) = result {
            self.0.push(format!("{who}: {violation}"));
        }
    }
}

impl Drop for Broken {
    fn drop(&mut self) {
        if !thread::panicking() {
            assert!(self.0.is_empty(), "{} broken:\n{}", self.0.len(), self.0.join("\n"));
        }
    }
}

fn text(lines: usize) -> Vec<u8> {
    (0..lines).map(|i| format!("{i} ünicode\n\n")).collect::<String>().into_bytes()
}

fn contents() -> Vec<Vec<u8>> {
    let binary = (0..9_000u32).map(|i| (i.wrapping_mul(i) >> 7) as u8).collect();
    vec![vec![], b"x".to_vec(), b"no newline".to_vec(), text(40), binary]
}

/// Ways to make a source of `content`.
const SOURCES: &[(&str, fn(&[u8]) -> Lender)] = &[
    ("memory", |c| Box::new(Cursor::new(c.to_vec()))),
    ("BufReader", |c| Box::new(BufReader::with_capacity(5, Cursor::new(c.to_vec())))),
    ("OneByte", |c| Box::new(OneByte::new(Cursor::new(c.to_vec())))),
    ("Half", |c| Box::new(Half::new(Cursor::new(c.to_vec())))),
    ("Chunked", |c| Box::new(Chunked::new(Cursor::new(c.to_vec()), [3, 1, 17]))),
    ("InterruptEvery", |c| Box::new(InterruptEvery::new(Cursor::new(c.to_vec()), 2))),
    ("OneByte InterruptEvery", |c| {
        Box::new(InterruptEvery::new(OneByte::new(Cursor::new(c.to_vec())), 3))
    }),
    ("Script", |c| Box::new(c.chunks(11).fold(Script::new(), |script, part| script.data(part)))),
];

/// An adapter: what it makes of a source of some length, and what is to be read from it then.
struct Adapter {
    name: &'static str,
    apply: fn(Lender, usize) -> Lender,
    model: fn(&[u8]) -> Vec<u8>,
}

const ADAPTERS: &[Adapter] = &[
    Adapter {
        name: "limit",
        apply: |r, _| Box::new(r.limit(23)),
        model: |c| c[..c.len().min(23)].to_vec(),
    },
    Adapter {
        name: "limit(MAX)",
        apply: |r, _| Box::new(r.limit(u64::MAX)),
        model: <[u8]>::to_vec,
    },
    Adapter {
        name: "limit_strict",
        apply: |r, len| Box::new(r.limit_strict(len as u64)),
        model: <[u8]>::to_vec,
    },
    Adapter {
        name: "limit_strict(MAX)",
        apply: |r, _| Box::new(r.limit_strict(u64::MAX)),
        model: <[u8]>::to_vec,
    },
    Adapter {
        name: "exact",
        apply: |r, len| Box::new(r.exact(len as u64 / 2)),
        model: |c| c[..c.len() / 2].to_vec(),
    },
    Adapter {
        name: "skip",
        apply: |r, _| Box::new(r.skip(5)),
        model: |c| c[c.len().min(5)..].to_vec(),
    },
    Adapter { name: "tee", apply: |r, _| Box::new(r.tee(io::sink())), model: <[u8]>::to_vec },
    Adapter {
        name: "tee short",
        apply: |r, _| Box::new(r.tee(InterruptEvery::new(ShortWrite::new(io::sink(), 3), 3))),
        model: <[u8]>::to_vec,
    },
    Adapter {
        name: "tee detached",
        apply: |r, _| Box::new(r.tee(Script::new().accept(3)).policy(TeePolicy::Detach)),
        model: <[u8]>::to_vec,
    },
    Adapter {
        name: "tee collect",
        apply: |r, _| Box::new(r.tee(Script::new().accept(3)).policy(TeePolicy::Collect)),
        model: <[u8]>::to_vec,
    },
    Adapter { name: "count", apply: |r, _| Box::new(ReadExt::count(r)), model: <[u8]>::to_vec },
    Adapter {
        name: "inspect",
        apply: |r, _| Box::new(ReadExt::inspect(r, |_: &[u8]| ())),
        model: <[u8]>::to_vec,
    },
    Adapter {
        name: "progress",
        apply: |r, _| Box::new(r.progress(10, |_| ())),
        model: <[u8]>::to_vec,
    },
    Adapter { name: "opaque", apply: |r, _| Box::new(r.opaque()), model: <[u8]>::to_vec },
    Adapter {
        name: "multi_reader",
        apply: |r, _| {
            let part = |bytes: &'static [u8]| -> Lender { Box::new(bytes) };
            Box::new(multi_reader(vec![part(b""), part(b"first\n"), r, part(b""), part(b"last")]))
        },
        model: |c| [b"first\n", c, b"last"].concat(),
    },
    Adapter {
        name: "multi_reader nested",
        apply: |r, _| {
            let inner: Lender = Box::new(MultiReader::new(vec![r]));
            Box::new(MultiReader::new([inner, Box::new(io::empty())]))
        },
        model: <[u8]>::to_vec,
    },
];

#[test]
fn each_reader_alone() {
    let mut broken = Broken::default();
    for content in contents() {
        for (source, make) in SOURCES {
            for Adapter { name, apply, model } in ADAPTERS {
                let who = format!("{name} over {source} of {}", content.len());
                let make = || apply(make(&content), content.len());
                broken.note(&who, check_bufread(make, &model(&content)));
            }
        }
    }
}

#[test]
fn each_reader_over_each_other() {
    let content = text(7);
    let mut broken = Broken::default();
    for (number, inner) in ADAPTERS.iter().enumerate() {
        let middle = (inner.model)(&content);
        for (other, outer) in ADAPTERS.iter().enumerate() {
            // Every source comes up with every adapter, if not with every pair.
            let (source, make) = SOURCES[(number + other) % SOURCES.len()];
            let who = format!("{} over {} over {source}", outer.name, inner.name);
            let make = || (outer.apply)((inner.apply)(make(&content), content.len()), middle.len());
            broken.note(&who, check_bufread(make, &(outer.model)(&middle)));
        }
    }
}

#[test]
fn chains_of_four_readers() {
    let content = text(7);
    let mut broken = Broken::default();
    for first in 0..ADAPTERS.len() {
        for (source, make) in SOURCES {
            let chain = || ADAPTERS.iter().cycle().skip(first).take(4);
            let want = chain().fold(content.clone(), |bytes, adapter| (adapter.model)(&bytes));
            let make = || {
                let mut len = content.len();
                let mut bytes = content.clone();
                chain().fold(make(&content), |reader, adapter| {
                    let next = (adapter.apply)(reader, len);
                    bytes = (adapter.model)(&bytes);
                    len = bytes.len();
                    next
                })
            };
            let who = format!("four from {} on over {source}", ADAPTERS[first].name);
            broken.note(&who, check_bufread(make, &want));
        }
    }
}

/// Readers that do not lend: `Read` alone must do.
#[test]
fn readers_that_do_not_lend() {
    struct Plain(Lender);
    impl Read for Plain {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            self.0.read(buf)
        }
    }
    let content = text(40);
    let len = content.len() as u64;
    let mut broken = Broken::default();
    for (source, make) in SOURCES {
        let plain = || Plain(make(&content));
        let mut check = |name: &str, make: &mut dyn FnMut() -> Box<dyn Read>, want: &[u8]| {
            broken.note(&format!("{name} over plain {source}"), check_reader(make, want));
        };
        check("limit", &mut || Box::new(plain().limit(9)), &content[..9]);
        check("limit_strict", &mut || Box::new(plain().limit_strict(len)), &content);
        check("exact", &mut || Box::new(plain().exact(len)), &content);
        check("skip", &mut || Box::new(plain().skip(9)), &content[9..]);
        check("tee", &mut || Box::new(plain().tee(Vec::new())), &content);
        check("count", &mut || Box::new(ReadExt::count(plain())), &content);
        check("inspect", &mut || Box::new(plain().inspect(|_: &[u8]| ())), &content);
        check("progress", &mut || Box::new(plain().progress(1, |_| ())), &content);
        check("opaque", &mut || Box::new(plain().opaque()), &content);
        let twice = [&content[..], &content].concat();
        check("multi_reader", &mut || Box::new(multi_reader([plain(), plain()])), &twice);
    }
}

#[test]
fn seekers() {
    let mut broken = Broken::default();
    for content in contents() {
        let len = content.len() as u64;
        let cursor = || Cursor::new(&content);
        broken.note("count", check_seek(|| ReadExt::count(cursor()), &content));
        broken.note("opaque", check_seek(|| ReadExt::opaque(cursor()), &content));
        let nest = || ReadExt::opaque(ReadExt::count(InterruptEvery::new(cursor(), 3)));
        broken.note("opaque over count over InterruptEvery", check_seek(nest, &content));

        let around = [b"before", &content[..], b"after"].concat();
        let section = || Section::new(&around[..], 6, len);
        broken.note("section of memory", check_seek(section, &content));
        let nested = || Section::new(&around[..], 3, len + 6).section(3, len);
        broken.note("section of a section", check_seek(nested, &content));
        let beyond = || Section::new(&content[..], 0, u64::MAX);
        broken.note("section beyond the end", check_reader(beyond, &content));
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &around).unwrap();
        let section = || Section::new(file.as_file(), 6, len);
        broken.note("section of a file", check_seek(section, &content));
        let counted = || ReadExt::count(BufReader::with_capacity(7, section()));
        broken.note("count over BufReader over section", check_seek(counted, &content));
        broken.note("limit over section", check_reader(|| section().limit(len), &content));
    }
}

fn capacities() -> [Option<usize>; 5] {
    [None, Some(0), Some(1), Some(7), Some(1 << 16)]
}

fn pipe_of(capacity: Option<usize>) -> (pipe::Reader, pipe::Writer) {
    capacity.map_or_else(pipe::pipe, pipe::pipe_with_capacity)
}

#[test]
fn pipe_readers() {
    let mut broken = Broken::default();
    for content in [vec![], text(6)] {
        for capacity in capacities() {
            // A writer that is still writing when its reader goes is told so, and ends.
            let make = || {
                let (reader, mut writer) = pipe_of(capacity);
                let bytes = content.clone();
                thread::spawn(move || bytes.chunks(13).try_for_each(|part| writer.write_all(part)));
                reader
            };
            let who = format!("pipe reader, capacity {capacity:?}, {} bytes", content.len());
            broken.note(&who, check_bufread(make, &content));
            broken.note(&format!("count over {who}"), check_bufread(|| make().count(), &content));
        }
    }
}

/// The writing end of a pipe, and who reads the other one.
struct Drained {
    writer: pipe::Writer,
    reader: JoinHandle<io::Result<Vec<u8>>>,
}

impl Drained {
    fn new(capacity: Option<usize>) -> Self {
        let (mut from, writer) = pipe_of(capacity);
        let reader = thread::spawn(move || {
            let mut bytes = Vec::new();
            from.read_to_end(&mut bytes).map(|_| bytes)
        });
        Self { writer, reader }
    }

    fn arrived(self) -> Vec<u8> {
        drop(self.writer);
        self.reader.join().unwrap().unwrap()
    }
}

impl Write for Drained {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.writer.write(buf)
    }

    fn write_vectored(&mut self, bufs: &[io::IoSlice<'_>]) -> io::Result<usize> {
        self.writer.write_vectored(bufs)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

#[test]
fn pipe_writers() {
    let mut broken = Broken::default();
    for content in [vec![], text(6)] {
        for capacity in capacities() {
            let who = format!("pipe writer, capacity {capacity:?}, {} bytes", content.len());
            let checked = check_writer(|| Drained::new(capacity), Drained::arrived, &content);
            broken.note(&who, checked);
        }
    }
}

/// Memory that several can write to.
#[derive(Clone, Default)]
struct Shared(Rc<RefCell<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(buf)
    }

    fn write_vectored(&mut self, bufs: &[io::IoSlice<'_>]) -> io::Result<usize> {
        self.0.borrow_mut().write_vectored(bufs)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

const SINKS: &[(&str, fn(Shared) -> Taker)] = &[
    ("memory", |w| Box::new(w)),
    ("ShortWrite", |w| Box::new(ShortWrite::new(w, 3))),
    ("InterruptEvery", |w| Box::new(InterruptEvery::new(w, 2))),
    ("ShortWrite InterruptEvery", |w| Box::new(ShortWrite::new(InterruptEvery::new(w, 3), 2))),
    ("BufWriter", |w| Box::new(BufWriter::with_capacity(5, w))),
    ("LineWriter", |w| Box::new(LineWriter::new(w))),
];

fn multi(w: Taker, policy: ErrorPolicy) -> Taker {
    let short: Taker = Box::new(ShortWrite::new(io::sink(), 2));
    let tripping: Taker = Box::new(InterruptEvery::new(Vec::new(), 3));
    Box::new(MultiWriter::new([short, w, tripping]).policy(policy))
}

const WRITERS: &[(&str, fn(Taker, usize) -> Taker)] = &[
    ("limit_writes", |w, len| Box::new(w.limit_writes(len as u64))),
    ("limit_writes(MAX)", |w, _| Box::new(w.limit_writes(u64::MAX))),
    ("count_writes", |w, _| Box::new(w.count_writes())),
    ("inspect_writes", |w, _| Box::new(w.inspect_writes(|_: &[u8]| ()))),
    ("progress_writes", |w, _| Box::new(w.progress_writes(10, |_| ()))),
    ("opaque_writes", |w, _| Box::new(w.opaque_writes())),
    ("multi_writer of one", |w, _| Box::new(MultiWriter::new([w]))),
    ("multi_writer, stop", |w, _| multi(w, ErrorPolicy::Stop)),
    ("multi_writer, continue", |w, _| multi(w, ErrorPolicy::Continue)),
    ("multi_writer, drop", |w, _| multi(w, ErrorPolicy::Drop)),
    ("multi_writer, ignore broken pipe", |w, _| multi(w, ErrorPolicy::IgnoreBrokenPipe)),
    ("multi_writer with a dead one", |w, _| {
        let dead: Taker = Box::new(Script::new().accept(3).fail(io::ErrorKind::BrokenPipe));
        Box::new(MultiWriter::new([dead, w]).policy(ErrorPolicy::Drop))
    }),
];

/// Checks what arrives at the innermost sink when `wrap` is written to.
fn check_taker(wrap: impl Fn(Shared) -> Taker, content: &[u8]) -> Result<(), Violation> {
    let make = || {
        let shared = Shared::default();
        (wrap(shared.clone()), shared)
    };
    struct Kept(Taker, Shared);
    impl Write for Kept {
        fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
            self.0.write(buf)
        }
        fn write_vectored(&mut self, bufs: &[io::IoSlice<'_>]) -> io::Result<usize> {
            self.0.write_vectored(bufs)
        }
        fn write_all(&mut self, buf: &[u8]) -> io::Result<()> {
            self.0.write_all(buf)
        }
        fn flush(&mut self) -> io::Result<()> {
            self.0.flush()
        }
    }
    let made = || {
        let (writer, shared) = make();
        Kept(writer, shared)
    };
    // Copied before the writer is dropped, as a drop may flush.
    let arrived = |kept: Kept| kept.1.0.borrow().clone();
    check_writer(made, arrived, content)
}

#[test]
fn each_writer_alone() {
    let mut broken = Broken::default();
    for content in contents() {
        for (sink, base) in SINKS {
            for (name, apply) in WRITERS {
                let who = format!("{name} over {sink} of {}", content.len());
                let wrap = |shared| apply(base(shared), content.len());
                broken.note(&who, check_taker(wrap, &content));
            }
        }
    }
}

#[test]
fn each_writer_over_each_other() {
    let content = text(20);
    let mut broken = Broken::default();
    for (sink, base) in SINKS {
        for (inner, first) in WRITERS {
            for (outer, second) in WRITERS {
                let who = format!("{outer} over {inner} over {sink}");
                let wrap = |shared| second(first(base(shared), content.len()), content.len());
                broken.note(&who, check_taker(wrap, &content));
            }
        }
    }
}

#[test]
fn offset_writers() {
    let mut broken = Broken::default();
    for content in contents() {
        let fresh = || OffsetWriter::new(tempfile::tempfile().unwrap(), 5);
        let arrived = |w: OffsetWriter<std::fs::File>| {
            let end = w.get_ref().metadata().unwrap().len().max(5);
            let mut bytes = vec![0; (end - 5) as usize];
            Section::new(w.get_ref(), 5, u64::MAX - 5).read_exact(&mut bytes).unwrap();
            bytes
        };
        broken.note("offset writer", check_writer(fresh, arrived, &content));
        let counted = || fresh().count_writes();
        let arrived = |w: aqueduct::adapters::CountWriter<_>| arrived(w.into_inner());
        broken.note("count over offset writer", check_writer(counted, arrived, &content));
    }
}
