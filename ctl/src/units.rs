//! Durations, sizes, counts and ties as people write and read them.

use std::ops::RangeInclusive;
use std::time::Duration;

use acrypto_netlink::message::{Bind, Target};

/// Reads `500ms`, `3s`, `2m`; the unit is required.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let unit_ns = match unit {
        "ns" => 1.0,
        "us" | "µs" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        "m" => 60e9,
        "h" => 3_600e9,
        "" => return Err("needs a unit: ns, us, ms, s, m or h".to_owned()),
        _ => return Err("is not a duration such as 500ms, 3s or 2m".to_owned()),
    };
    let value: f64 = number.parse().map_err(|_| "is not a duration such as 500ms, 3s or 2m".to_owned())?;
    let total_ns = value * unit_ns;
    if total_ns > 1e18 {
        return Err("is longer than 31 years".to_owned());
    }
    Ok(Duration::from_nanos(total_ns.round() as u64))
}

/// Nanoseconds as [`parse_duration`] reads them, in the largest unit that says them exactly.
pub fn exact_duration(ns: u64) -> String {
    let units = [
        ("h", 3_600_000_000_000),
        ("m", 60_000_000_000),
        ("s", 1_000_000_000),
        ("ms", 1_000_000),
        ("us", 1_000),
    ];
    units
        .into_iter()
        .find(|(_, unit)| ns > 0 && ns.is_multiple_of(*unit))
        .map_or_else(|| format!("{ns}ns"), |(name, unit)| format!("{}{name}", ns / unit))
}

/// A duration in nanoseconds; saturates after 584 years.
pub fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Reads a number of bytes: `64`, `16K`, `1MiB`, `1G`; suffixes are powers of 1024.
pub fn parse_size(text: &str) -> Result<usize, String> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, suffix) = text.split_at(split);
    let shift = match suffix.strip_suffix("iB").unwrap_or(suffix) {
        "" | "B" => 0,
        "k" | "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => return Err("is not a size such as 64, 16K or 1G".to_owned()),
    };
    let value: usize = number.parse().map_err(|_| "is not a size such as 64, 16K or 1G".to_owned())?;
    value.checked_mul(1 << shift).ok_or_else(|| "is too large".to_owned())
}

/// Reads sizes `A-B`, or `A` for exactly one.
pub fn parse_size_range(text: &str) -> Result<RangeInclusive<usize>, String> {
    let (low, high) = text.split_once('-').unwrap_or((text, text));
    let range = parse_size(low)?..=parse_size(high)?;
    if range.is_empty() { Err("ends before it begins".to_owned()) } else { Ok(range) }
}

/// Reads a rate or count: `250`, `10k`, `1.5M`; suffixes are powers of 1000.
pub fn parse_rate(text: &str) -> Result<f64, String> {
    let wrong = || "is not a number such as 250, 10k or 1.5M".to_owned();
    let (number, factor) = match text.as_bytes().last() {
        Some(b'k' | b'K') => (&text[..text.len() - 1], 1e3),
        Some(b'M') => (&text[..text.len() - 1], 1e6),
        Some(b'G') => (&text[..text.len() - 1], 1e9),
        _ => (text, 1.0),
    };
    let value = number.parse::<f64>().map_err(|_| wrong())? * factor;
    if value.is_finite() && value > 0.0 { Ok(value) } else { Err("is not greater than 0".to_owned()) }
}

/// Reads `K=V`.
pub fn parse_parameter(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("is not NAME=VALUE".to_owned()),
    }
}

/// What a session is to be tied to; `None` for nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tie(pub Option<Bind>);

/// Reads `NAME`, `kind:KIND`, each with `,prefer` or not, or `any`.
pub fn parse_bind(text: &str) -> Result<Tie, String> {
    if text == "any" {
        return Ok(Tie(None));
    }
    let (target, only) = match text.split_once(',') {
        None => (text, true),
        Some((target, "prefer")) => (target, false),
        Some(_) => return Err("is not DEVICE, DEVICE,prefer or any".to_owned()),
    };
    let (name, target) = match target.strip_prefix("kind:") {
        Some(kind) => (kind, Target::Kind(kind.to_owned())),
        None => (target, Target::Device(target.to_owned())),
    };
    if name.is_empty() { Err("names no device".to_owned()) } else { Ok(Tie(Some(Bind { target, only }))) }
}

/// Reads a priority, 0 to 7.
pub fn parse_priority(text: &str) -> Result<u8, String> {
    text.parse().ok().filter(|priority| *priority <= 7).ok_or_else(|| "is not 0 to 7".to_owned())
}

/// Reads a session id, `0x1f` or `31`.
pub fn parse_id(text: &str) -> Result<u64, String> {
    let parsed = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    parsed.map_err(|_| "is not an id such as 0x1f".to_owned())
}

/// A count with three significant digits: `999`, `1.24k`, `41.0M`.
pub fn human_count(value: f64) -> String {
    scaled(value, 1000.0, &["", "k", "M", "G", "T", "P"])
}

/// Bytes with three significant digits: `999 B`, `1.24 MiB`.
pub fn human_bytes(value: f64) -> String {
    scaled(value, 1024.0, &[" B", " KiB", " MiB", " GiB", " TiB", " PiB"])
}

/// Nanoseconds in the unit that fits: `412ns`, `38.1µs`, `3.50s`, `3h12m`.
pub fn human_ns(value: u64) -> String {
    match value {
        0..60_000_000_000 => scaled(value as f64, 1000.0, &["ns", "µs", "ms", "s"]),
        _ => {
            let seconds = value / 1_000_000_000;
            let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
            match hours {
                0 => format!("{minutes}m{:02}s", seconds % 60),
                1..48 => format!("{hours}h{minutes:02}m"),
                _ => format!("{}d{:02}h", hours / 24, hours % 24),
            }
        }
    }
}

fn scaled(mut value: f64, step: f64, suffixes: &[&str]) -> String {
    let mut level = 0;
    // 999.5 would be written as 1000.
    while value >= step - 0.5 && level + 1 < suffixes.len() {
        value /= step;
        level += 1;
    }
    let digits = if level == 0 && value.fract() == 0.0 || value >= 99.95 {
        0
    } else if value >= 9.995 {
        1
    } else {
        2
    };
    format!("{value:.digits$}{}", suffixes[level])
}

/// `2026-11-23T10:22:05.123Z` from nanoseconds since the Unix epoch.
pub fn utc(wall_ns: u64) -> String {
    let (seconds, millis) = (wall_ns / 1_000_000_000, wall_ns / 1_000_000 % 1000);
    let (year, month, day) = civil_date(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

/// Year, month, day of a day counted from 1970-01-01, Gregorian: the year begins in March, so that the leap day is
/// its last (H. Hinnant, "chrono-compatible low-level date algorithms").
fn civil_date(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

/// Bytes of a hex string.
pub fn parse_hex(text: &str) -> Result<Vec<u8>, String> {
    if !text.len().is_multiple_of(2) {
        return Err("has an odd number of hex digits".to_owned());
    }
    text.as_bytes()
        .chunks_exact(2)
        .map(|pair| Some(hex_digit(pair[0])? << 4 | hex_digit(pair[1])?))
        .collect::<Option<Vec<u8>>>()
        .ok_or_else(|| "is not hexadecimal".to_owned())
}

/// Value of one hex digit.
pub fn hex_digit(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// Lower-case hex of `bytes`.
pub fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from(b"0123456789abcdef"[usize::from(value)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(parse_duration("2m"), Ok(Duration::from_secs(120)));
        for wrong in ["5", "", "s", "1.2.3s", "-1s", "3 s", "1e3s", "9999999999h"] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_duration_reads_back_exactly() {
        for ns in [0, 1, 999, 1_000, 1_500_000, 10_000_000_000, 90_000_000_000, 86_400_000_000_001] {
            assert_eq!(parse_duration(&exact_duration(ns)).map(nanos), Ok(ns));
        }
        assert_eq!(exact_duration(5_400_000_000_000), "90m");
    }

    #[test]
    fn sizes_are_powers_of_1024() {
        assert_eq!(parse_size("64"), Ok(64));
        assert_eq!(parse_size("16K"), Ok(16 << 10));
        assert_eq!(parse_size("1GiB"), Ok(1 << 30));
        for wrong in ["", "K", "1.5M", "-1", "1X", "99999999999T"] {
            assert!(parse_size(wrong).is_err(), "{wrong}");
        }
        assert_eq!(parse_size_range("1K-4K"), Ok(1024..=4096));
        assert!(parse_size_range("4K-1K").is_err());
    }

    #[test]
    fn rates_are_positive_numbers() {
        assert_eq!(parse_rate("10k"), Ok(10_000.0));
        assert_eq!(parse_rate("1.5M"), Ok(1_500_000.0));
        for wrong in ["", "0", "-5", "inf", "NaN", "k"] {
            assert!(parse_rate(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_tie_reads_back_as_it_is_shown() {
        for text in ["sim0", "sim0,prefer", "kind:soft", "kind:soft,prefer"] {
            assert_eq!(parse_bind(text).unwrap().0.unwrap().to_string(), text);
        }
        assert_eq!(parse_bind("any"), Ok(Tie(None)));
        for wrong in ["", ",prefer", "kind:", "sim0,only", "sim0,prefer,"] {
            assert!(parse_bind(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn people_read_three_digits() {
        assert_eq!(human_count(0.0), "0");
        assert_eq!(human_count(999.0), "999");
        assert_eq!(human_count(999.9), "1.00k");
        assert_eq!(human_count(1_240_000.0), "1.24M");
        assert_eq!(human_count(41_000.0), "41.0k");
        assert_eq!(human_bytes(1023.0), "1023 B");
        assert_eq!(human_bytes(1024.0), "1.00 KiB");
        assert_eq!(human_ns(38_100), "38.1µs");
        assert_eq!(human_ns(412_000), "412µs");
        assert_eq!(human_ns(75_000_000_000), "1m15s");
        assert_eq!(human_ns(3 * 3_600_000_000_000 + 12 * 60_000_000_000), "3h12m");
    }

    #[test]
    fn time_is_written_as_utc() {
        assert_eq!(utc(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(utc(951_782_400_000_000_000), "2000-02-29T00:00:00.000Z");
        assert_eq!(utc(1_795_429_325_123_000_000), "2026-11-23T10:22:05.123Z");
    }

    #[test]
    fn hex_goes_both_ways() {
        assert_eq!(parse_hex("00ffA5"), Ok(vec![0, 255, 0xa5]));
        assert!(parse_hex("0").is_err());
        assert!(parse_hex("+1").is_err());
        assert!(parse_hex("zz").is_err());
        assert_eq!(hex(&[0, 255, 0xa5]), "00ffa5");
    }
}
