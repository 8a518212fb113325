//! Lines of digests as sha256sum writes and reads them.

use crate::units;

/// A listed digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The digest.
    pub digest: Vec<u8>,
    /// The file's name, as bytes.
    pub name: Vec<u8>,
}

/// `HEX  NAME`; a name with a newline, a carriage return or a backslash is escaped and the line begins with `\`.
pub fn line(digest: &[u8], name: &[u8]) -> Vec<u8> {
    let (mark, name) = escaped(name);
    [mark, units::hex(digest).as_bytes(), b"  ", &name, b"\n"].concat()
}

/// `NAME: VERDICT`, escaped likewise.
pub fn verdict(name: &[u8], verdict: &str) -> Vec<u8> {
    let (mark, name) = escaped(name);
    [mark, &name, b": ", verdict.as_bytes(), b"\n"].concat()
}

fn escaped(name: &[u8]) -> (&'static [u8], Vec<u8>) {
    let mut text = Vec::with_capacity(name.len());
    for byte in name {
        match byte {
            b'\\' => text.extend_from_slice(b"\\\\"),
            b'\n' => text.extend_from_slice(b"\\n"),
            b'\r' => text.extend_from_slice(b"\\r"),
            other => text.push(*other),
        }
    }
    let mark: &[u8] = if text.len() == name.len() { b"" } else { b"\\" };
    (mark, text)
}

/// Reads a line without its newline: `HEX  NAME`, `HEX *NAME`, or BSD's `SHA256 (NAME) = HEX`. `tag` is `SHA256`.
pub fn parse(line: &[u8], tag: &str, digest_len: usize) -> Option<Entry> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let (escaped, line) = match line.strip_prefix(b"\\") {
        Some(rest) => (true, rest),
        None => (false, line),
    };
    let (digest, name) = match line.strip_prefix(tag.as_bytes()) {
        Some(rest) => {
            let rest = rest.strip_prefix(b" (").or_else(|| rest.strip_prefix(b"("))?;
            let end = rest.windows(4).rposition(|window| window == b") = ")?;
            (&rest[end + 4..], &rest[..end])
        }
        None => {
            let (digest, rest) = line.split_at_checked(2 * digest_len)?;
            (digest, rest.strip_prefix(b"  ").or_else(|| rest.strip_prefix(b" *"))?)
        }
    };
    let digest = units::parse_hex(std::str::from_utf8(digest).ok()?).ok()?;
    let name = if escaped { unescaped(name)? } else { name.to_vec() };
    (digest.len() == digest_len && !name.is_empty()).then_some(Entry { digest, name })
}

fn unescaped(name: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.iter();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'\\' => match rest.next()? {
                b'\\' => b'\\',
                b'n' => b'\n',
                b'r' => b'\r',
                _ => return None,
            },
            other => *other,
        });
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_would_break_a_line_are_escaped() {
        assert_eq!(line(&[0xab, 0xcd], b"plain name"), b"abcd  plain name\n");
        assert_eq!(line(&[0xab, 0xcd], b"a\nb"), b"\\abcd  a\\nb\n");
        assert_eq!(line(&[0xab, 0xcd], b"c\\d"), b"\\abcd  c\\\\d\n");
        assert_eq!(verdict(b"a\rb", "OK"), b"\\a\\rb: OK\n");
    }

    #[test]
    fn what_is_written_is_read_back() {
        for name in [&b"plain"[..], b"two  spaces", b"*star", b"a\nb\\c\rd", b"\xff\xfe", b"SHA1 (x) = y"] {
            let written = line(&[0xab, 0xcd], name);
            let entry = parse(written.strip_suffix(b"\n").unwrap(), "SHA256", 2);
            assert_eq!(entry, Some(Entry { digest: vec![0xab, 0xcd], name: name.to_vec() }));
        }
    }

    #[test]
    fn binary_mark_and_bsd_form_are_read() {
        let entry = |name: &[u8]| Some(Entry { digest: vec![0xab, 0xcd], name: name.to_vec() });
        assert_eq!(parse(b"ABCD *f", "SHA256", 2), entry(b"f"));
        assert_eq!(parse(b"SHA256 (a) = b) = abcd", "SHA256", 2), entry(b"a) = b"));
        assert_eq!(parse(b"abcd  f\r", "SHA256", 2), entry(b"f"));
    }

    #[test]
    fn other_lines_are_no_digests() {
        for wrong in
            [&b""[..], b"abcd", b"abcd f", b"abcd  ", b"abc  f", b"abcdef  f", b"xbcd  f", b"\\abcd  a\\x"]
        {
            assert_eq!(parse(wrong, "SHA256", 2), None, "{}", String::from_utf8_lossy(wrong));
        }
    }
}
