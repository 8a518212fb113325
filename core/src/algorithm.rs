//! Algorithms and the shapes of their inputs and outputs.
//!
//! Names are those of OpenSSL (`aes-256-gcm`, `hmac-sha256`).

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use crate::error::Error;

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum OpKind {
    /// Plaintext to ciphertext; an AEAD appends its tag.
    Encrypt = 1,
    /// Ciphertext to plaintext; an AEAD verifies before it releases a byte.
    Decrypt = 2,
    /// Message digest.
    Digest = 3,
    /// Message authentication code.
    Mac = 4,
    /// Random bytes.
    Random = 5,
    /// Signature over a message.
    Sign = 6,
    /// Check of a signature.
    Verify = 7,
}

impl OpKind {
    /// Every kind, in the order of its number.
    pub const ALL: [OpKind; 7] =
        [Self::Encrypt, Self::Decrypt, Self::Digest, Self::Mac, Self::Random, Self::Sign, Self::Verify];

    /// Lower-case name, as used in commands and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Encrypt => "encrypt",
            Self::Decrypt => "decrypt",
            Self::Digest => "digest",
            Self::Mac => "mac",
            Self::Random => "random",
            Self::Sign => "sign",
            Self::Verify => "verify",
        }
    }
}

impl fmt::Display for OpKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The family an algorithm belongs to; it decides which inputs an operation has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Output equals input; measures the framework.
    Null,
    /// Block cipher without chaining (NIST SP 800-38A section 6.1); leaks equal blocks.
    Ecb,
    /// Cipher block chaining (NIST SP 800-38A section 6.2).
    Cbc,
    /// Counter mode (NIST SP 800-38A section 6.5), 128-bit big-endian counter.
    Ctr,
    /// Authenticated encryption with associated data (RFC 5116).
    Aead,
    /// A block mode with PKCS#7 or whole blocks, then a MAC over associated data, iv and ciphertext, as in IPsec
    /// (RFC 4303): an AEAD put together from two.
    EncryptThenMac,
    /// Hash function (FIPS 180-4).
    Digest,
    /// Keyed hash (RFC 2104).
    Mac,
    /// Random bytes.
    Random,
}

macro_rules! algorithms {
    ($($variant:ident = $number:literal, $name:literal, $class:ident, key $key:expr, iv $iv:literal, block $block:literal, out $out:literal;)*) => {
        /// An algorithm the runtime can name. The number is stable: it indexes tables and travels in messages.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        #[non_exhaustive]
        pub enum Algorithm {
            $(#[doc = concat!("`", $name, "`")] $variant = $number,)*
        }

        impl Algorithm {
            /// Every algorithm, in the order of its number.
            pub const ALL: &'static [Algorithm] = &[$(Self::$variant,)*];

            /// OpenSSL's name.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The family.
            pub const fn class(self) -> Class {
                match self { $(Self::$variant => Class::$class,)* }
            }

            /// Key lengths that are accepted, in bytes; `0..=0` means the algorithm takes no key.
            pub const fn key_len(self) -> RangeInclusive<usize> {
                match self { $(Self::$variant => $key,)* }
            }

            /// Length of the iv (nonce, initial counter block), in bytes; 0 means none.
            pub const fn iv_len(self) -> usize {
                match self { $(Self::$variant => $iv,)* }
            }

            /// Block length in bytes; 1 for stream modes. For a hash, the length of its internal block.
            pub const fn block_len(self) -> usize {
                match self { $(Self::$variant => $block,)* }
            }

            /// Bytes the algorithm makes beside the data: tag of an AEAD, digest of a hash or MAC; else 0.
            pub const fn output_len(self) -> usize {
                match self { $(Self::$variant => $out,)* }
            }
        }
    };
}

algorithms! {
    Null = 0, "null", Null, key 0..=0, iv 0, block 1, out 0;
    Aes128Ecb = 1, "aes-128-ecb", Ecb, key 16..=16, iv 0, block 16, out 0;
    Aes192Ecb = 2, "aes-192-ecb", Ecb, key 24..=24, iv 0, block 16, out 0;
    Aes256Ecb = 3, "aes-256-ecb", Ecb, key 32..=32, iv 0, block 16, out 0;
    Aes128Cbc = 4, "aes-128-cbc", Cbc, key 16..=16, iv 16, block 16, out 0;
    Aes192Cbc = 5, "aes-192-cbc", Cbc, key 24..=24, iv 16, block 16, out 0;
    Aes256Cbc = 6, "aes-256-cbc", Cbc, key 32..=32, iv 16, block 16, out 0;
    Aes128Ctr = 7, "aes-128-ctr", Ctr, key 16..=16, iv 16, block 1, out 0;
    Aes192Ctr = 8, "aes-192-ctr", Ctr, key 24..=24, iv 16, block 1, out 0;
    Aes256Ctr = 9, "aes-256-ctr", Ctr, key 32..=32, iv 16, block 1, out 0;
    Aes128Gcm = 10, "aes-128-gcm", Aead, key 16..=16, iv 12, block 1, out 16;
    Aes192Gcm = 11, "aes-192-gcm", Aead, key 24..=24, iv 12, block 1, out 16;
    Aes256Gcm = 12, "aes-256-gcm", Aead, key 32..=32, iv 12, block 1, out 16;
    ChaCha20Poly1305 = 13, "chacha20-poly1305", Aead, key 32..=32, iv 12, block 1, out 16;
    Sha1 = 14, "sha1", Digest, key 0..=0, iv 0, block 64, out 20;
    Sha256 = 15, "sha256", Digest, key 0..=0, iv 0, block 64, out 32;
    Sha384 = 16, "sha384", Digest, key 0..=0, iv 0, block 128, out 48;
    Sha512 = 17, "sha512", Digest, key 0..=0, iv 0, block 128, out 64;
    HmacSha256 = 18, "hmac-sha256", Mac, key 1..=4096, iv 0, block 64, out 32;
    HmacSha384 = 19, "hmac-sha384", Mac, key 1..=4096, iv 0, block 128, out 48;
    HmacSha512 = 20, "hmac-sha512", Mac, key 1..=4096, iv 0, block 128, out 64;
    Random = 21, "random", Random, key 0..=0, iv 0, block 1, out 0;
    Aes128CbcHmacSha256 = 22, "aes-128-cbc-hmac-sha256", EncryptThenMac, key 48..=48, iv 16, block 16, out 16;
}

/// Length of the longest digest, MAC or tag, in bytes.
pub const OUTPUT_LEN_MAX: usize = 64;
/// Length of the longest iv, in bytes.
pub const IV_LEN_MAX: usize = 16;
/// Length of the longest key, in bytes.
pub const KEY_LEN_MAX: usize = 4096;

impl Algorithm {
    /// The operation kinds this algorithm has.
    pub const fn ops(self) -> &'static [OpKind] {
        match self.class() {
            Class::Null | Class::Ecb | Class::Cbc | Class::Ctr | Class::Aead | Class::EncryptThenMac => {
                &[OpKind::Encrypt, OpKind::Decrypt]
            }
            Class::Digest => &[OpKind::Digest],
            Class::Mac => &[OpKind::Mac],
            Class::Random => &[OpKind::Random],
        }
    }

    /// Whether the algorithm works on whole blocks only (beside its tag), so that other lengths need padding.
    pub const fn needs_whole_blocks(self) -> bool {
        matches!(self.class(), Class::Ecb | Class::Cbc | Class::EncryptThenMac)
    }

    /// Whether encryption appends a tag that decryption verifies before it releases a byte, so that there may be
    /// associated data.
    pub const fn is_authenticated(self) -> bool {
        matches!(self.class(), Class::Aead | Class::EncryptThenMac)
    }

    /// Bytes of tag at the end of an operation's input.
    pub const fn tag_len(self, kind: OpKind) -> usize {
        match kind {
            OpKind::Decrypt if self.is_authenticated() => self.output_len(),
            _ => 0,
        }
    }

    /// Whether an operation may be split into a stream of chunks.
    pub const fn streams(self) -> bool {
        matches!(
            self.class(),
            Class::Null | Class::Ecb | Class::Cbc | Class::Ctr | Class::Digest | Class::Mac
        )
    }

    /// Whether the same request always gives the same result.
    pub const fn is_deterministic(self) -> bool {
        !matches!(self.class(), Class::Random)
    }

    /// The algorithm with this number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Algorithm {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        Self::ALL
            .iter()
            .copied()
            .find(|algorithm| algorithm.name() == name)
            .ok_or_else(|| Error::UnknownAlgorithm { name: name.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_algorithm_is_found_by_its_name_and_number() {
        for (index, algorithm) in Algorithm::ALL.iter().enumerate() {
            assert_eq!(algorithm.name().parse::<Algorithm>(), Ok(*algorithm));
            assert_eq!(Algorithm::from_number(u8::try_from(index).unwrap()), Some(*algorithm));
            assert!(algorithm.output_len() <= OUTPUT_LEN_MAX && algorithm.iv_len() <= IV_LEN_MAX);
            assert!(*algorithm.key_len().end() <= KEY_LEN_MAX);
        }
        assert_eq!(Algorithm::from_number(u8::MAX), None);
    }

    #[test]
    fn an_unknown_name_is_refused_by_name() {
        let error = "aes-512-cbc".parse::<Algorithm>().unwrap_err();
        assert_eq!(error.to_string(), "unknown algorithm 'aes-512-cbc'");
    }

    proptest::proptest! {
        #[test]
        fn only_a_name_is_taken_for_one(pick in 0usize..1_000, cut in 0usize..24, text in "[a-z0-9-]{0,6}|.{0,6}") {
            let name = Algorithm::ALL[pick % Algorithm::ALL.len()].name();
            let (front, back) = name.split_at(cut.min(name.len()));
            let text = format!("{front}{text}{back}");
            let named = Algorithm::ALL.iter().copied().find(|algorithm| algorithm.name() == text);
            proptest::prop_assert_eq!(text.parse::<Algorithm>().ok(), named);
        }
    }
}
