//! The laws, and how a broken one is reported.

use std::{error, fmt};

macro_rules! laws {
    ($($(#[$group:meta])* $name:ident = $text:literal,)*) => {
        /// What std promises of readers and writers, one law each.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Law {
            $(#[doc = $text] $name,)*
        }

        impl Law {
            /// Every law, in the order in which they are checked.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The law in words.
            #[must_use]
            pub fn text(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

laws! {
    ReadCount = "a read claims no more bytes than its buffer holds",
    Content = "reads of any size give the content, in order and whole",
    End = "after the end, reads give 0 again and again",
    EmptyRead = "reading into an empty buffer gives 0 and changes nothing",
    ReadToEnd = "`read_to_end` appends the rest and returns how many bytes that are",
    ReadToString = "`read_to_string` appends the rest if it is UTF-8, else fails and changes nothing",
    ReadExact = "`read_exact` fills its buffer, or fails with `UnexpectedEof` at the end",
    ReadVectored = "`read_vectored` fills its buffers in order and passes over empty ones",
    FillBuf = "`fill_buf` lends the next bytes, none only at the end",
    FillBufAgain = "`fill_buf` lends the same bytes until some are consumed",
    ConsumeZero = "`consume(0)` changes nothing",
    Consume = "`consume(n)` passes over exactly n bytes",
    Mixed = "reads of every kind and `fill_buf` may be mixed and go on where the other stopped",
    ReadUntil = "`read_until` appends up to and with the delimiter, and returns how many bytes",
    SkipUntil = "`skip_until` passes over what `read_until` would give",
    Lines = "`read_line` appends a line with its newline, `lines` gives them without",
    Position = "`stream_position` is the number of bytes before the next one, and does not move it",
    SeekStart = "seeking from the start goes there and returns that position",
    SeekCurrent = "seeking from the current position, either way, goes there and returns the position",
    SeekEnd = "seeking from the end goes there and returns the position",
    SeekBefore = "seeking before the start is an error and does not move",
    SeekBeyond = "seeking beyond the end works and reads nothing there, or is an error and does not move",
    WriteCount = "a write claims no more bytes than it was given",
    Write = "what writes claim to have taken arrives by the next `flush`, in order and once, and each takes something",
    EmptyWrite = "writing an empty buffer gives 0 and writes nothing",
    WriteAll = "`write_all` writes everything, in order and once",
    WriteVectored = "`write_vectored` takes its buffers in order and passes over empty ones",
    WriteFmt = "`write_fmt` writes the whole text",
    Flush = "`flush` succeeds at any time and adds or takes nothing",
}

impl fmt::Display for Law {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// A law that was broken, and how.
#[derive(Clone, PartialEq, Eq)]
pub struct Violation {
    law: Law,
    how: String,
}

impl Violation {
    pub(super) fn new(law: Law, how: String) -> Self {
        Self { law, how }
    }

    /// Which law was broken.
    #[must_use]
    pub fn law(&self) -> Law {
        self.law
    }

    /// What was done, after how many bytes, and what came of it.
    #[must_use]
    pub fn how(&self) -> &str {
        &self.how
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "law `{:?}` broken (\"{}\"): {}", self.law, self.law, self.how)
    }
}

/// The same as `Display`: it is what `unwrap` in a test shows.
impl fmt::Debug for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl error::Error for Violation {}

macro_rules! broken {
    ($law:expr, $($how:tt)*) => {
        $crate::iotest::check::law::Violation::new($law, format!($($how)*))
    };
}

pub(super) use broken;
