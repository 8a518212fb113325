//! Figures as people read them: three significant digits, fixed small widths.

use unicode_width::UnicodeWidthStr;

/// A count or a rate per second: `0`, `41`, `9.1k`, `412k`, `1.24M`.
pub fn count(value: f64) -> String {
    const STEPS: [(f64, &str); 5] = [(1.0, ""), (1e3, "k"), (1e6, "M"), (1e9, "G"), (1e12, "T")];
    if !value.is_finite() || value < 0.05 {
        return "0".to_owned();
    }
    let mut index = STEPS.iter().rposition(|(step, _)| value >= *step).unwrap_or(0);
    if value / STEPS[index].0 >= 999.5 && index + 1 < STEPS.len() {
        index += 1;
    }
    let (step, suffix) = STEPS[index];
    let scaled = value / step;
    let digits = match (index, scaled) {
        (0, s) if s >= 9.95 || (s - s.round()).abs() < 0.05 => 0,
        (0, _) => 1,
        (1, s) if s < 9.95 => 1,
        (1, _) => 0,
        (_, s) if s < 9.995 => 2,
        (_, s) if s < 99.95 => 1,
        _ => 0,
    };
    format!("{scaled:.digits$}{suffix}")
}

/// A rate of bytes: `3.78 GiB/s`, `57.0 MiB/s`, `912 B/s`.
pub fn bytes_rate(bytes_per_s: f64) -> String {
    let (amount, unit) = scaled_bytes(bytes_per_s);
    format!("{amount} {unit}/s")
}

/// An amount of bytes: `1.50 GiB`, `912 B`.
pub fn bytes(bytes: u64) -> String {
    let (amount, unit) = scaled_bytes(bytes as f64);
    format!("{amount} {unit}")
}

fn scaled_bytes(bytes: f64) -> (String, &'static str) {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut scaled = if bytes.is_finite() { bytes.max(0.0) } else { 0.0 };
    let mut index = 0;
    while scaled >= 999.5 && index + 1 < UNITS.len() {
        scaled /= 1024.0;
        index += 1;
    }
    let digits = match (index, scaled) {
        (0, _) => 0,
        (_, s) if s < 9.995 => 2,
        (_, s) if s < 99.95 => 1,
        _ => 0,
    };
    (format!("{scaled:.digits$}"), UNITS[index])
}

/// MiB per second without its unit, for a column: `0`, `0.4`, `57`, `1290`.
pub fn mebibytes(bytes_per_s: f64) -> String {
    let mebibytes = bytes_per_s / 1_048_576.0;
    if !mebibytes.is_finite() || mebibytes < 0.05 {
        "0".to_owned()
    } else if mebibytes < 9.95 {
        format!("{mebibytes:.1}")
    } else {
        format!("{mebibytes:.0}")
    }
}

/// A latency: `850ns`, `3.1µs`, `412µs`, `9.4ms`, `1.2s`.
pub fn latency(ns: u64) -> String {
    const STEPS: [(f64, &str); 4] = [(1.0, "ns"), (1e3, "µs"), (1e6, "ms"), (1e9, "s")];
    let value = ns as f64;
    let mut index = STEPS.iter().rposition(|(step, _)| value >= *step).unwrap_or(0);
    if value / STEPS[index].0 >= 999.5 && index + 1 < STEPS.len() {
        index += 1;
    }
    let (step, suffix) = STEPS[index];
    let scaled = value / step;
    let digits = usize::from(index > 0 && scaled < 9.95);
    format!("{scaled:.digits$}{suffix}")
}

/// A long span: `41s`, `12m07s`, `3h12m`, `2d04h`.
pub fn span(ns: u64) -> String {
    let seconds = ns / 1_000_000_000;
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h{:02}m", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

/// A time window: `15s`, `60s`, `5m`.
pub fn window(ns: u64) -> String {
    let seconds = ns / 1_000_000_000;
    if seconds >= 120 && seconds.is_multiple_of(60) {
        format!("{}m", seconds / 60)
    } else {
        format!("{seconds}s")
    }
}

/// The first of `candidates` that is no wider than `width`, else the last one cut.
pub fn first_that_fits(candidates: &[String], width: usize) -> String {
    let fitting = candidates.iter().find(|text| text.width() <= width);
    fitting.cloned().unwrap_or_else(|| fit(candidates.last().map_or("", String::as_str), width))
}

/// `text` in lines of at most `width` columns, broken between words; a longer word is cut.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let word = fit(word, width);
        match lines.last_mut() {
            Some(line) if line.is_empty() => *line = word,
            Some(line) if line.width() + 1 + word.width() <= width => {
                line.push(' ');
                line.push_str(&word);
            }
            _ => lines.push(word),
        }
    }
    lines
}

/// A short age with tenths: `0.2s`, `12s` from ten seconds on, then as [`span`].
pub fn age(ns: u64) -> String {
    if ns < 10_000_000_000 { format!("{:.1}s", (ns / 100_000_000) as f64 / 10.0) } else { span(ns) }
}

/// A span as hours, minutes and seconds: `00:41:07`.
pub fn hours(ns: u64) -> String {
    let seconds = ns / 1_000_000_000;
    format!("{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

/// The time of day in UTC of a wall-clock instant: `12:04:29`.
pub fn time_of_day(wall_ns: u64) -> String {
    hours(wall_ns % 86_400_000_000_000)
}

/// A share of one as per cent: `0%`, `0.02%`, `4.1%`, `33%`.
pub fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if !percent.is_finite() || percent < 0.005 {
        "0%".to_owned()
    } else if percent < 0.995 {
        format!("{percent:.2}%")
    } else if percent < 9.95 {
        format!("{percent:.1}%")
    } else {
        format!("{percent:.0}%")
    }
}

/// A share of one as whole per cent: `33%`.
pub fn whole_percent(share: f64) -> String {
    if share.is_finite() { format!("{:.0}%", share.max(0.0) * 100.0) } else { "-".to_owned() }
}

/// A number with its noun: `1 op`, `12 ops`.
pub fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// `text` cut to `width` columns, the cut shown by `…`.
pub fn fit(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut used = 0;
    for character in text.chars() {
        let next = used + unicode_width::UnicodeWidthChar::width(character).unwrap_or(0);
        if next + 1 > width {
            break;
        }
        kept.push(character);
        used = next;
    }
    if width > 0 {
        kept.push('…');
    }
    kept
}

/// `text` cut to `width` columns between words, the cut shown by `…`.
pub fn fit_words(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let cut = fit(text, width);
    // A cut that would lose half of the line is made within the word instead.
    match cut.rfind(' ') {
        Some(end) if end * 2 > cut.len() => format!("{}…", cut[..end].trim_end()),
        _ => cut,
    }
}

/// `text` cut in its middle to `width` columns, so that both ends stay readable: `unix:/run/…sock`.
pub fn fit_middle(text: &str, width: usize) -> String {
    const TAIL_CHARS: usize = 4;
    if text.width() <= width || width <= TAIL_CHARS + 2 {
        return fit(text, width);
    }
    let characters: Vec<char> = text.chars().collect();
    let tail: String = characters[characters.len().saturating_sub(TAIL_CHARS)..].iter().collect();
    format!("{}{tail}", fit(text, width - tail.width()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_three_significant_digits() {
        let cases = [
            (0.0, "0"),
            (0.04, "0"),
            (0.3, "0.3"),
            (2.0, "2"),
            (9.97, "10"),
            (41.4, "41"),
            (999.4, "999"),
            (999.6, "1.0k"),
            (9_100.0, "9.1k"),
            (9_960.0, "10k"),
            (412_300.0, "412k"),
            (999_700.0, "1.00M"),
            (1_240_000.0, "1.24M"),
            (12_400_000.0, "12.4M"),
            (124_000_000.0, "124M"),
            (f64::NAN, "0"),
        ];
        for (value, text) in cases {
            assert_eq!(count(value), text, "{value}");
        }
    }

    #[test]
    fn latencies_name_their_unit() {
        let cases = [
            (0, "0ns"),
            (850, "850ns"),
            (3_100, "3.1µs"),
            (412_000, "412µs"),
            (999_900, "1.0ms"),
            (9_400_000, "9.4ms"),
            (1_200_000_000, "1.2s"),
        ];
        for (ns, text) in cases {
            assert_eq!(latency(ns), text);
        }
    }

    #[test]
    fn byte_rates_are_binary() {
        assert_eq!(bytes_rate(3.78 * 1_073_741_824.0), "3.78 GiB/s");
        assert_eq!(bytes_rate(57.0 * 1_048_576.0), "57.0 MiB/s");
        assert_eq!(bytes_rate(912.0), "912 B/s");
        assert_eq!(mebibytes(1290.0 * 1_048_576.0), "1290");
        assert_eq!(mebibytes(0.4 * 1_048_576.0), "0.4");
        assert_eq!(bytes(1_572_864), "1.50 MiB");
    }

    #[test]
    fn spans_grow_coarser() {
        assert_eq!(span(41_000_000_000), "41s");
        assert_eq!(span(11_520_000_000_000), "3h12m");
        assert_eq!(span(187_200_000_000_000), "2d04h");
        assert_eq!(age(250_000_000), "0.2s");
        assert_eq!(age(12_900_000_000), "12s");
        assert_eq!(window(60_000_000_000), "60s");
        assert_eq!(window(300_000_000_000), "5m");
        assert_eq!(hours(2_467_000_000_000), "00:41:07");
        assert_eq!(time_of_day(86_400_000_000_000 * 3 + 43_469_000_000_000), "12:04:29");
    }

    #[test]
    fn small_shares_stay_visible() {
        assert_eq!(percent(0.0002), "0.02%");
        assert_eq!(percent(0.041), "4.1%");
        assert_eq!(percent(0.33), "33%");
        assert_eq!(percent(0.0), "0%");
        assert_eq!(whole_percent(0.41), "41%");
    }

    #[test]
    fn a_cut_is_shown_and_never_wider_than_asked() {
        assert_eq!(wrap("3 errors in 10s (budget 8)", 12), ["3 errors in", "10s (budget", "8)"]);
        assert_eq!(first_that_fits(&["p50 1 p99 2".to_owned(), "p50 1".to_owned()], 7), "p50 1");
        assert_eq!(fit("accelerator", 6), "accel…");
        assert_eq!(fit("abc", 3), "abc");
        assert_eq!(fit_words("8 errors in 10s (budget 8)", 20), "8 errors in 10s…");
        assert_eq!(fit_words("8 errors", 8), "8 errors");
        assert_eq!(fit_words("a accelerator", 8), "a accel…");
        assert_eq!(fit("abc", 0), "");
        assert_eq!(fit("日本語", 4), "日…");
        assert_eq!(fit_middle("unix:/run/user/1000/acrypto/control.sock", 20), "unix:/run/user/…sock");
    }
}
