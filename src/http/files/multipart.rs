//! Several ranges in one body: `multipart/byteranges`.

use super::super::response::Response;
use http::HeaderValue;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};
use std::ops::Range;

/// Ranges of a body of `whole` bytes, and the lines between them.
pub(super) struct Multipart<'v> {
    parts: Vec<Range<u64>>,
    whole: u64,
    of: Option<&'v HeaderValue>,
    boundary: String,
}

impl<'v> Multipart<'v> {
    /// `of` is the type of what they are ranges of.
    pub(super) fn new(parts: Vec<Range<u64>>, whole: u64, of: Option<&'v HeaderValue>) -> Self {
        // Nobody can have put it into what is sent who did not know it.
        let unknown = || RandomState::new().hash_one(whole);
        let boundary = format!("{:016x}{:016x}", unknown(), unknown());
        Self { parts, whole, of, boundary }
    }

    pub(super) fn content_type(&self) -> String {
        format!("multipart/byteranges; boundary={}", self.boundary)
    }

    /// How many bytes all of it is. No more than the whole, and 64 heads.
    pub(super) fn len(&self) -> u64 {
        let parts = self.parts.iter();
        let parts = parts.map(|part| self.head(part).len() as u64 + (part.end - part.start));
        parts.fold(self.end().len() as u64, u64::saturating_add)
    }

    /// Writes it, the bytes of the parts by `send`.
    pub(super) fn write(
        &self,
        response: &mut Response<'_>,
        send: &mut dyn FnMut(Range<u64>, &mut Response<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        for part in &self.parts {
            response.write_all(&self.head(part))?;
            send(part.clone(), response)?;
        }
        response.write_all(self.end().as_bytes())
    }

    fn head(&self, part: &Range<u64>) -> Vec<u8> {
        let Self { boundary, whole, .. } = self;
        let mut head = format!("\r\n--{boundary}\r\n").into_bytes();
        if let Some(of) = self.of {
            head.extend_from_slice(b"Content-Type: ");
            head.extend_from_slice(of.as_bytes());
            head.extend_from_slice(b"\r\n");
        }
        let range = format!("Content-Range: bytes {}-{}/{whole}\r\n\r\n", part.start, part.end - 1);
        head.extend_from_slice(range.as_bytes());
        head
    }

    fn end(&self) -> String {
        format!("\r\n--{}--\r\n", self.boundary)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boundaries_are_new_each_time() {
        let make = || Multipart::new(vec![0..1, 2..3], 9, None).boundary;
        assert_ne!(make(), make());
        assert_eq!(make().len(), 32);
    }
}
