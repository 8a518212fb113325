//! Known answers: what every device must get right before it gets work, and again after each repair.
//!
//! Each algorithm has one for each of its operations; an AEAD has a forgery too, which must be refused.

use crate::algorithm::{Algorithm, OpKind};
use crate::device::DeviceError;

mod aeads;
mod ciphers;
mod hashes;
#[cfg(test)]
mod tests;

/// One operation and what must come of it.
#[derive(Debug)]
pub struct KnownAnswer {
    /// The standard it is from.
    pub name: &'static str,
    /// The algorithm.
    pub algorithm: Algorithm,
    /// The operation.
    pub kind: OpKind,
    /// The key; empty if the algorithm takes none.
    pub key: &'static [u8],
    /// The iv, of the algorithm's length.
    pub iv: &'static [u8],
    /// Associated data.
    pub aad: &'static [u8],
    /// What to put in the operation's data.
    pub input: &'static [u8],
    /// What must come back.
    pub expected: Expected,
}

/// What must come of a known answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// This in the data.
    Data(&'static [u8]),
    /// This as digest or MAC.
    Output(&'static [u8]),
    /// A refusal, and no data.
    DecryptionFailed,
    /// As many bytes as went in, not all the same. It catches a generator that is stuck, no more.
    Varied,
}

impl KnownAnswer {
    /// Compares what a device did with what it should have done. The text says what is wrong, without the bytes.
    ///
    /// # Errors
    /// Whatever differs: the result, the data, the digest or MAC.
    pub fn check(&self, result: Result<(), DeviceError>, data: &[u8], output: &[u8]) -> Result<(), String> {
        let fault = match (self.expected, result) {
            (Expected::Data(expected), Ok(())) => difference("data", expected, data),
            (Expected::Output(expected), Ok(())) => difference("output", expected, output),
            (Expected::Varied, Ok(())) => stuck(self.input.len(), data),
            (Expected::DecryptionFailed, Err(DeviceError::DecryptionFailed)) if data.is_empty() => None,
            (Expected::DecryptionFailed, Err(DeviceError::DecryptionFailed)) => {
                Some("the data of a forgery was released".to_owned())
            }
            (Expected::DecryptionFailed, Ok(())) => Some("a forgery was accepted".to_owned()),
            (_, Err(DeviceError::DecryptionFailed)) => Some("decryption failed".to_owned()),
            (_, Err(DeviceError::Failed { reason, .. })) => Some(reason.to_owned()),
        };
        match fault {
            None => Ok(()),
            Some(fault) => Err(format!("{} {} ({}): {fault}", self.algorithm, self.kind, self.name)),
        }
    }
}

/// Every known answer of an algorithm, at least one for each of its operations.
pub fn for_algorithm(algorithm: Algorithm) -> impl Iterator<Item = &'static KnownAnswer> {
    all().filter(move |answer| answer.algorithm == algorithm)
}

fn all() -> impl Iterator<Item = &'static KnownAnswer> {
    ciphers::CIPHERS
        .as_flattened()
        .iter()
        .chain(aeads::AEADS.as_flattened())
        .chain(hashes::HASHES)
        .chain(RANDOM)
}

const RANDOM: &[KnownAnswer] = &[KnownAnswer {
    name: "sanity",
    algorithm: Algorithm::Random,
    kind: OpKind::Random,
    key: &[],
    iv: &[],
    aad: &[],
    input: &[0; 64],
    expected: Expected::Varied,
}];

fn difference(what: &str, expected: &[u8], got: &[u8]) -> Option<String> {
    if expected.len() != got.len() {
        return Some(format!("{what} has {} bytes instead of {}", got.len(), expected.len()));
    }
    let index = expected.iter().zip(got).position(|(expected, got)| expected != got)?;
    Some(format!("{what} is wrong at byte {index}"))
}

fn stuck(len: usize, data: &[u8]) -> Option<String> {
    if data.len() != len {
        return Some(format!("data has {} bytes instead of {len}", data.len()));
    }
    let first = data.first()?;
    data.iter().all(|byte| byte == first).then(|| "all bytes are the same".to_owned())
}

const fn both_ways(
    name: &'static str,
    algorithm: Algorithm,
    key: &'static [u8],
    iv: &'static [u8],
    aad: &'static [u8],
    plaintext: &'static [u8],
    ciphertext: &'static [u8],
) -> [KnownAnswer; 2] {
    let (encrypted, decrypted) = (Expected::Data(ciphertext), Expected::Data(plaintext));
    [
        KnownAnswer {
            name,
            algorithm,
            kind: OpKind::Encrypt,
            key,
            iv,
            aad,
            input: plaintext,
            expected: encrypted,
        },
        KnownAnswer {
            name,
            algorithm,
            kind: OpKind::Decrypt,
            key,
            iv,
            aad,
            input: ciphertext,
            expected: decrypted,
        },
    ]
}

const fn forged(genuine: &KnownAnswer, input: &'static [u8]) -> KnownAnswer {
    KnownAnswer { input, expected: Expected::DecryptionFailed, ..*genuine }
}

const fn flip_last_bit<const LEN: usize>(bytes: &[u8]) -> [u8; LEN] {
    let mut flipped = [0; LEN];
    flipped.copy_from_slice(bytes);
    flipped[LEN - 1] ^= 1;
    flipped
}

const fn digest(
    name: &'static str,
    algorithm: Algorithm,
    input: &'static [u8],
    expected: &'static [u8],
) -> KnownAnswer {
    let expected = Expected::Output(expected);
    KnownAnswer { name, algorithm, kind: OpKind::Digest, key: &[], iv: &[], aad: &[], input, expected }
}

const fn mac(
    name: &'static str,
    algorithm: Algorithm,
    key: &'static [u8],
    input: &'static [u8],
    expected: &'static [u8],
) -> KnownAnswer {
    let expected = Expected::Output(expected);
    KnownAnswer { name, algorithm, kind: OpKind::Mac, key, iv: &[], aad: &[], input, expected }
}

/// Bytes written as hexadecimal digits, decoded at compile time.
macro_rules! hex {
    ($($digits:literal)+) => {{
        const DIGITS: &str = concat!($($digits),+);
        const BYTES: [u8; DIGITS.len() / 2] = $crate::device::known_answers::decode(DIGITS);
        &BYTES
    }};
}
use hex;

const fn decode<const LEN: usize>(digits: &str) -> [u8; LEN] {
    let digits = digits.as_bytes();
    let mut bytes = [0; LEN];
    let mut index = 0;
    while index < LEN {
        bytes[index] = nibble(digits[2 * index]) << 4 | nibble(digits[2 * index + 1]);
        index += 1;
    }
    bytes
}

const fn nibble(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => panic!("not a hexadecimal digit"),
    }
}
