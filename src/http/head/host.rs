//! Hosts, with or without a port.

use std::net::Ipv6Addr;

/// Whether `bytes` are a host that is not empty, with a port or without.
pub(in super::super) fn is_authority(bytes: &[u8]) -> bool {
    let rest = match bytes {
        [b'[', rest @ ..] => match rest.iter().position(|&b| b == b']') {
            Some(end) if is_ip_literal(&rest[..end]) => &rest[end + 1..],
            _ => return false,
        },
        _ => after_name(bytes),
    };
    let has_host = rest.len() < bytes.len();
    has_host
        && match rest {
            [] | [b':'] => true,
            [b':', port @ ..] => number(port).is_some(),
            _ => false,
        }
}

/// The port of an authority that has one.
pub(super) fn port(authority: &[u8]) -> Option<u16> {
    number(split(authority).1?)
}

/// The host of an authority: what stands before the port.
pub(in super::super) fn without_port(authority: &str) -> &str {
    let host = split(authority.as_bytes()).0;
    // It ends before a colon or at the end.
    authority.get(..host.len()).unwrap_or(authority)
}

fn split(authority: &[u8]) -> (&[u8], Option<&[u8]>) {
    let from = if authority.first() == Some(&b'[') {
        authority.iter().position(|&b| b == b']').unwrap_or(0)
    } else {
        0
    };
    match authority[from..].iter().position(|&b| b == b':') {
        Some(colon) => (&authority[..from + colon], Some(&authority[from + colon + 1..])),
        None => (authority, None),
    }
}

fn number(digits: &[u8]) -> Option<u16> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u16, |n, digit| {
        let digit = digit.is_ascii_digit().then(|| u16::from(digit - b'0'))?;
        n.checked_mul(10)?.checked_add(digit)
    })
}

fn is_ip_literal(bytes: &[u8]) -> bool {
    if let [b'v' | b'V', rest @ ..] = bytes {
        let Some(dot) = rest.iter().position(|&b| b == b'.') else { return false };
        let (version, address) = (&rest[..dot], &rest[dot + 1..]);
        return !version.is_empty()
            && version.iter().all(u8::is_ascii_hexdigit)
            && !address.is_empty()
            && address.iter().all(|&b| is_plain(b) || b == b':');
    }
    std::str::from_utf8(bytes).is_ok_and(|text| text.parse::<Ipv6Addr>().is_ok())
}

/// What follows the name that `bytes` begin with.
fn after_name(mut bytes: &[u8]) -> &[u8] {
    loop {
        let plain = bytes.iter().position(|&b| !is_plain(b)).unwrap_or(bytes.len());
        bytes = match &bytes[plain..] {
            [b'%', a, b, rest @ ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() => rest,
            rest => return rest,
        }
    }
}

/// What may stand in a host as it is.
fn is_plain(b: u8) -> bool {
    const TABLE: [bool; 256] = {
        let mut table = [false; 256];
        let mut b = 0;
        while b < 256 {
            table[b] = matches!(
                b as u8,
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'!' | b'$'
                    | b'&'..=b',' | b';' | b'='
            );
            b += 1;
        }
        table
    };
    TABLE[usize::from(b)]
}
