//! The field Accept-Encoding. No I/O.

use http::{HeaderMap, header};

/// A content coding in which a file may lie beside itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Coding {
    /// Its name, in Content-Encoding.
    pub(super) name: &'static str,
    /// What its files have after their names.
    pub(super) suffix: &'static [u8],
}

/// Those that there are, the one that says most in fewest bytes first.
const CODINGS: [Coding; 3] = [
    Coding { name: "br", suffix: b".br" },
    Coding { name: "zstd", suffix: b".zst" },
    Coding { name: "gzip", suffix: b".gz" },
];

/// The codings that the client takes, those first that it likes best.
pub(super) fn accepted(headers: &HeaderMap) -> impl Iterator<Item = Coding> {
    let values = || headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|v| v.to_str().ok());
    let quality = |name: &str| {
        let mut elements = values().flat_map(|value| value.split(','));
        elements.find_map(|element| {
            let mut parts = element.split(';').map(str::trim);
            let is = parts.next()?.eq_ignore_ascii_case(name);
            is.then(|| parts.find_map(weight).unwrap_or(1000))
        })
    };
    let other = quality("*").unwrap_or(0);
    let plain = quality("identity").unwrap_or(0);
    let mut list = CODINGS.map(|coding| {
        let quality = quality(coding.name)
            .or_else(|| (coding.name == "gzip").then(|| quality("x-gzip"))?)
            .unwrap_or(other);
        (quality, coding)
    });
    list.sort_by_key(|(quality, _)| std::cmp::Reverse(*quality));
    list.into_iter().filter(move |(q, _)| *q > 0 && *q >= plain).map(|(_, coding)| coding)
}

/// `q=0.5` in thousandths. What is malformed counts for nothing.
fn weight(parameter: &str) -> Option<u16> {
    let (name, value) = parameter.split_once('=')?;
    if !name.trim_end().eq_ignore_ascii_case("q") {
        return None;
    }
    let value = value.trim_start();
    let (whole, part) = value.split_once('.').unwrap_or((value, ""));
    let digits = part.len() <= 3 && part.bytes().all(|b| b.is_ascii_digit());
    let thousandths = format!("{part:0<3}").parse::<u16>().ok().filter(|_| digits);
    Some(match (whole, thousandths) {
        ("0", Some(n)) => n,
        ("1", Some(0)) => 1000,
        _ => 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn codings_come_in_the_clients_order() {
        for (values, wanted) in [
            (&["gzip, deflate, br, zstd"][..], "br zstd gzip"),
            (&["gzip"], "gzip"),
            (&["GZIP"], "gzip"),
            (&["x-gzip"], "gzip"),
            (&["gzip;q=1.0, br;q=0.5"], "gzip br"),
            (&["gzip; q=0.8 , br;Q=0.801"], "br gzip"),
            (&["br;q=0, gzip"], "gzip"),
            (&["br;q=0.000, gzip"], "gzip"),
            (&["*"], "br zstd gzip"),
            (&["*;q=0.1, gzip"], "gzip br zstd"),
            (&["*, br;q=0"], "zstd gzip"),
            (&["identity, gzip;q=0.5"], ""),
            (&["identity;q=0.5, gzip;q=0.5"], "gzip"),
            (&["identity;q=0, gzip;q=0.1"], "gzip"),
            (&["gzip", "br"], "br gzip"),
            (&["br;q=2"], ""),
            (&["br;q=1.001"], ""),
            (&["br;q=0.1234"], ""),
            (&["br;q=x"], ""),
            (&["br;q=-1"], ""),
            (&["br;q="], ""),
            (&["br;level=9"], "br"),
            (&["deflate, brr, compress"], ""),
            (&[""], ""),
            (&[";,;;q=1,"], ""),
            (&[], ""),
        ] {
            let mut map = HeaderMap::new();
            for value in values {
                map.append(header::ACCEPT_ENCODING, HeaderValue::from_str(value).unwrap());
            }
            let names: Vec<_> = accepted(&map).map(|coding| coding.name).collect();
            assert_eq!(names.join(" "), wanted, "{values:?}");
        }
    }
}
