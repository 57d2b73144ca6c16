//! What becomes of bytes that arrive in pieces. Tests and fuzzers ask whether it is always the same.

use super::chunked::{self, Decoder, Next};
use super::head::{self, Head, Reading};
use http::StatusCode;
use http::request::Parts;

/// A head and its length; `None` if there must be more.
pub(super) type Parsed = Result<Option<(Parts, Head, usize)>, StatusCode>;

/// Shows a parser the bytes up to each of `cuts` and then all of them.
pub(super) fn head(bytes: &[u8], cuts: &[usize], limits: &head::Limits) -> Parsed {
    let mut reading = Reading::default();
    let (mut parts, ()) = http::Request::new(()).into_parts();
    for end in cuts.iter().copied().chain([bytes.len()]) {
        let read = reading.read(&bytes[..end], limits, &mut parts).map_err(|no| no.status)?;
        if let Some((head, len)) = read {
            return Ok(Some((parts, head, len)));
        }
    }
    Ok(None)
}

/// The data, the trailers, and how many bytes were taken; `None` if there must be more.
pub(super) type Chunked = Result<Option<(Vec<u8>, Vec<u8>, usize)>, StatusCode>;

/// Shows a decoder the bytes up to each of `cuts` and then all of them.
pub(super) fn chunked(bytes: &[u8], cuts: &[usize], limits: chunked::Limits) -> Chunked {
    let mut decoder = Decoder::new();
    let (mut data, mut at) = (Vec::new(), 0);
    for end in cuts.iter().copied().chain([bytes.len()]) {
        loop {
            let (taken, next) = decoder.next(&bytes[at..end], limits).map_err(|no| no.status)?;
            at += taken;
            match next {
                Next::More => break,
                Next::Data(left) => {
                    let n = left.min((end - at) as u64);
                    if n == 0 {
                        break;
                    }
                    data.extend_from_slice(&bytes[at..at + n as usize]);
                    at += n as usize;
                    decoder.took(n);
                }
                Next::Trailers(len) => {
                    return Ok(Some((data, bytes[at..at + len].to_vec(), at + len)));
                }
            }
        }
    }
    Ok(None)
}

/// What the fuzzers call.
#[cfg(fuzzing)]
pub mod fuzzing {
    use super::super::{chunked, head};

    /// The first byte tells where the others are cut.
    fn cut(bytes: &[u8]) -> (usize, &[u8]) {
        let (first, rest) = bytes.split_first().unwrap_or((&0, &[]));
        (usize::from(*first) % (rest.len() + 1), rest)
    }

    /// Fails unless a head gets one verdict however it arrives.
    pub fn head(bytes: &[u8]) {
        let limits = head::Limits { line: 200, head: 600, fields: 8 };
        let (cut, bytes) = cut(bytes);
        let told = |cuts: &[usize]| format!("{:?}", super::head(bytes, cuts, &limits));
        let one_by_one: Vec<_> = (0..bytes.len()).collect();
        assert_eq!(told(&[]), told(&[cut]));
        assert_eq!(told(&[]), told(&one_by_one));
    }

    /// Fails unless a chunked body gets one verdict however it arrives.
    pub fn chunked(bytes: &[u8]) {
        let limits = chunked::Limits { bytes: 200, fields: 4 };
        let (cut, bytes) = cut(bytes);
        let one_by_one: Vec<_> = (0..bytes.len()).collect();
        let whole = super::chunked(bytes, &[], limits);
        assert_eq!(whole, super::chunked(bytes, &[cut], limits));
        assert_eq!(whole, super::chunked(bytes, &one_by_one, limits));
    }
}
