//! Keys: read from a file or a descriptor, wiped when dropped, never shown.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use acrypto_core::algorithm::KEY_LEN_MAX;
use zeroize::Zeroizing;

use crate::cli::{KeyArgs, KeyFormat};
use crate::exit::Failure;
use crate::units::hex_digit;

/// Longest key file: the longest key in hex, and a newline.
const FILE_LEN_MAX: usize = 2 * KEY_LEN_MAX + 1;

/// Reads the key that the arguments name.
pub fn read(arguments: &KeyArgs) -> Result<Zeroizing<Vec<u8>>, Failure> {
    read_from(&path(arguments), &name(arguments), arguments.key_format)
}

/// Reads the key in a file.
pub fn read_file(path: &Path, format: KeyFormat) -> Result<Zeroizing<Vec<u8>>, Failure> {
    read_from(path, &path.display().to_string(), format)
}

/// Reads the key from a descriptor.
pub fn read_descriptor(descriptor: u32, format: KeyFormat) -> Result<Zeroizing<Vec<u8>>, Failure> {
    read_from(&descriptor_path(descriptor), &descriptor_name(descriptor), format)
}

fn read_from(path: &Path, shown: &str, format: KeyFormat) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let file = File::open(path).map_err(|error| Failure::file("read key from", shown, &error))?;
    // Filled at once, so that no growth leaves a copy behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(FILE_LEN_MAX + 1));
    file.take(FILE_LEN_MAX as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::file("read key from", shown, &error))?;
    if bytes.len() > FILE_LEN_MAX {
        return Err(Failure::usage(format!("key in '{shown}' is longer than {KEY_LEN_MAX} bytes")));
    }
    decode(bytes, format).ok_or_else(|| {
        Failure::usage(format!("key in '{shown}' is not an even number of hex digits"))
            .with_hint("pass --key-format raw if the file holds the key's bytes")
    })
}

/// Path of the key's file. A descriptor is opened by its path in /proc, so that nothing of it is borrowed.
pub fn path(arguments: &KeyArgs) -> PathBuf {
    match (&arguments.key_file, arguments.key_fd) {
        (Some(path), _) => path.clone(),
        (None, descriptor) => descriptor_path(descriptor.unwrap_or(0)),
    }
}

fn name(arguments: &KeyArgs) -> String {
    match (&arguments.key_file, arguments.key_fd) {
        (Some(path), _) => path.display().to_string(),
        (None, descriptor) => descriptor_name(descriptor.unwrap_or(0)),
    }
}

fn descriptor_path(descriptor: u32) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{descriptor}"))
}

fn descriptor_name(descriptor: u32) -> String {
    format!("descriptor {descriptor}")
}

fn decode(bytes: Zeroizing<Vec<u8>>, format: KeyFormat) -> Option<Zeroizing<Vec<u8>>> {
    match format {
        KeyFormat::Raw => Some(bytes),
        KeyFormat::Hex => from_hex(&bytes),
        KeyFormat::Auto => Some(from_hex(&bytes).unwrap_or(bytes)),
    }
}

/// The bytes of an even, non-zero number of hex digits and at most one newline.
fn from_hex(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let digits = text.strip_suffix(b"\n").unwrap_or(text);
    if digits.is_empty() || !digits.len().is_multiple_of(2) {
        return None;
    }
    let mut key = Zeroizing::new(Vec::with_capacity(digits.len() / 2));
    for pair in digits.chunks_exact(2) {
        key.push(hex_digit(pair[0])? << 4 | hex_digit(pair[1])?);
    }
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(bytes: &[u8], format: KeyFormat) -> Option<Vec<u8>> {
        decode(Zeroizing::new(bytes.to_vec()), format).map(|key| key.to_vec())
    }

    #[test]
    fn auto_takes_hex_only_if_the_whole_file_is_hex() {
        assert_eq!(decoded(b"00ff", KeyFormat::Auto), Some(vec![0, 0xff]));
        assert_eq!(decoded(b"00FF\n", KeyFormat::Auto), Some(vec![0, 0xff]));
        for raw in [&b"00f"[..], b"00ff\n\n", b"00fg", b" 00ff", b"00ff\r\n", b"\n", b""] {
            assert_eq!(decoded(raw, KeyFormat::Auto), Some(raw.to_vec()));
        }
    }

    #[test]
    fn a_format_that_is_named_is_kept_to() {
        assert_eq!(decoded(b"00ff", KeyFormat::Raw), Some(b"00ff".to_vec()));
        assert_eq!(decoded(b"00f", KeyFormat::Hex), None);
        assert_eq!(decoded(b"", KeyFormat::Hex), None);
    }
}
