//! Composable `io::Read`/`io::Write` adapters whose chains copy inside the kernel.
//!
//! Join adapters, call [`copy`](copy()), and the bytes take the cheapest allowed way: between
//! files, pipes and sockets by copy_file_range(2), sendfile(2), splice(2) and tee(2), otherwise by
//! `read` and `write`. A chain keeps the kernel's path at any depth, because each adapter says what
//! it is made of ([`source`]).
//!
//! ```
//! use aqueduct::{ReadExt, copy};
//! use std::io::{self, Read, Write};
//!
//! # fn main() -> io::Result<()> {
//! let (connection, mut peer) = io::pipe()?;
//! let (mut file, mut log) = (tempfile::tempfile()?, tempfile::tempfile()?);
//! peer.write_all(b"a body, and what follows it")?;
//!
//! let mut body = (&connection).limit(6).tee(&mut log).count();
//! copy(&mut body, &mut file)?;
//! assert_eq!(body.total(), 6);
//!
//! // Not a byte more was taken than the chain let through.
//! drop(peer);
//! let mut rest = String::new();
//! (&connection).read_to_string(&mut rest)?;
//! assert_eq!(rest, ", and what follows it");
//! # Ok(())
//! # }
//! ```
//!
//! # What is where
//!
//! * [`adapters`]: one job each, as methods of every reader ([`ReadExt`]) and writer
//!   ([`WriteExt`]): bounds, tees, any number of readers or writers as one, counts, windows of
//!   files, records.
//! * [`copy`](mod@copy): [`copy`](copy()), [`copy_n`], [`discard`], [`Copier`] for a copy with
//!   options, and [`CopyError`].
//! * [`pipe`], [`pipe_with_capacity`], [`duplex`](duplex()), [`duplex_with_capacity`]: pipes and connections in
//!   memory, between threads, with deadlines.
//! * [`stream`]: descriptors with deadlines that seem to block; [`net`]: sockets. [`task`]: flows of control
//!   that cost less than threads, for which they block no thread.
//! * [`source`]: what streams say of themselves. Needed only for types of your own.
#![cfg_attr(
    feature = "http",
    doc = "* [`http`]: an HTTP/1.1 server, whose handlers read and write."
)]
#![cfg_attr(
    feature = "iotest",
    doc = "* [`iotest`]: readers and writers that misbehave, to test yours with."
)]
//!
//! # What is promised
//!
//! * **Nothing is lost.** When a copy fails, [`CopyError`] tells which side it was and has the bytes
//!   that were taken and not delivered: for every outlet, delivered + pending = taken.
//! * **Both ways agree.** Bytes, counts and limits are the same whether the kernel moved the bytes or
//!   `read` and `write` did.
//! * **What was copied stays as it was.** Pages of a file are not shared into pipes or sockets, where
//!   later changes of the file would show, unless [`Copier::share_pages`] allows it.
//! * **No panics** of this crate's making, whatever the streams at its ends do.
//!
//! # Foreign readers and writers
//!
//! [`copy`](copy()) takes a [`Source`](source::Source) and a [`Sink`](source::Sink): std's streams and the
//! adapters over them. Any other reader joins as `&mut reader as &mut dyn Read` or by
//! [`opaque`](ReadExt::opaque), and its bytes go through memory.
//!
//! # Platforms and features
//!
//! The kernel's paths are those of Linux; elsewhere on Unix everything goes by `read` and `write`. Sockets
//! and character devices are moved by the kernel only if they are non-blocking, since it would block
//! on them otherwise.
//!
//! | feature | adds |
//! |---|---|
//! | `http` | an HTTP/1.1 server: handlers, a mux, bodies and responses as streams |
//! | `iotest` | misbehaving readers and writers, and checks, for your own tests |
//!
//! A feature adds API and never changes behaviour.
//!
//! # Safety
//!
//! No type of this crate asks anything of its user by `unsafe`. But with stackful tasks, code of
//! others that relies by `unsafe` on the calls of a thread being nested is wrong: see
//! [`task`](task#safety).
//!
//! Inside, `unsafe` is denied but for the system calls, the slices that the in-memory pipe lends from one
//! thread to another, and the stacks of tasks.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(aqueduct_shuttle, allow(dead_code, reason = "a model polls no descriptors"))]

pub mod adapters;
pub mod copy;
mod error;
#[cfg(feature = "http")]
#[cfg_attr(docsrs, doc(cfg(feature = "http")))]
pub mod http;
#[cfg(any(test, feature = "iotest"))]
pub mod iotest;
pub mod net;
mod park;
pub mod poll;
pub mod source;
pub mod stream;
mod sync;
mod sys;
pub mod task;

pub use self::adapters::duplex::{duplex, duplex_with_capacity};
pub use self::adapters::pipe::{pipe, pipe_with_capacity};
pub use self::adapters::{ReadExt, WriteExt};
pub use self::copy::{Copier, CopyError, copy, copy_bidirectional, copy_n, discard};
pub use self::error::{Cancelled, is_cancelled};
pub use self::stream::{stderr, stdin, stdout};
