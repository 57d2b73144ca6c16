//! Sizes with suffixes: `10`, `4b` (512 each), `3kB` (1000), `3K` and `3KiB` (1024), up to `Q`.

/// Why a text is no size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SizeError {
    /// It is no number with a suffix.
    Invalid,
    /// It is one, but larger than any count of bytes here.
    TooLarge,
}

/// Reads a size; a suffix alone means one of it.
///
/// # Errors
///
/// See [`SizeError`].
pub(crate) fn parse_size(text: &str) -> Result<u64, SizeError> {
    let text = text.trim_start_matches(|c: char| c.is_ascii_whitespace());
    let unsigned = text.strip_prefix('+').unwrap_or(text);
    let digits = unsigned.bytes().take_while(u8::is_ascii_digit).count();
    let (number, suffix) = unsigned.split_at(digits);
    let unit = unit(suffix)?;
    if number.is_empty() {
        // "+K" has a sign of nothing.
        let alone = !suffix.is_empty() && unsigned.len() == text.len();
        return if alone { unit.ok_or(SizeError::TooLarge) } else { Err(SizeError::Invalid) };
    }
    // Digits only, so the sole failure is overflow.
    let number = number.parse::<u64>().map_err(|_| SizeError::TooLarge)?;
    match unit {
        Some(unit) => number.checked_mul(unit).ok_or(SizeError::TooLarge),
        None if number == 0 => Ok(0),
        None => Err(SizeError::TooLarge),
    }
}

/// What a suffix multiplies by; `None` if that is more than 64 bits hold.
fn unit(suffix: &str) -> Result<Option<u64>, SizeError> {
    let (letter, rest) = match suffix.chars().next() {
        None => return Ok(Some(1)),
        Some('b') if suffix == "b" => return Ok(Some(512)),
        Some(letter) => (letter, &suffix[letter.len_utf8()..]),
    };
    let power = match letter {
        'k' | 'K' => 1,
        'm' | 'M' => 2,
        'G' => 3,
        'T' => 4,
        'P' => 5,
        'E' => 6,
        'Z' => 7,
        'Y' => 8,
        'R' => 9,
        'Q' => 10,
        _ => return Err(SizeError::Invalid),
    };
    match rest {
        "" | "iB" => Ok(1024_u64.checked_pow(power)),
        "B" => Ok(1000_u64.checked_pow(power)),
        _ => Err(SizeError::Invalid),
    }
}
