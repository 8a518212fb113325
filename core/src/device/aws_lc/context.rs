//! From an algorithm and a key to what the library needs for an operation, and on to the operation.

use aws_lc_rs::aead::{self, LessSafeKey, UnboundKey};
use aws_lc_rs::cipher::{self, DecryptingKey, EncryptingKey, UnboundCipherKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::{digest, hmac};

use crate::algorithm::{Algorithm, OpKind};
use crate::device::{DeviceError, DirectOp};
use crate::error::Error;
use crate::key::Key;

use super::refused;

/// The key schedule, or the hash. Boxed where it is large, so that a table of sessions stays dense.
pub(super) enum Context {
    Aead(LessSafeKey),
    Cbc(Box<(EncryptingKey, DecryptingKey)>),
    /// Counter mode encrypts in both directions.
    Ctr(Box<EncryptingKey>),
    Digest(&'static digest::Algorithm),
    Mac(Box<hmac::Key>),
}

impl Context {
    pub(super) fn new(algorithm: Algorithm, key: &Key) -> Result<Self, Error> {
        let lengths = algorithm.key_len();
        if !lengths.contains(&key.len()) {
            let want = if lengths.start() == lengths.end() {
                lengths.start().to_string()
            } else {
                format!("{} to {}", lengths.start(), lengths.end())
            };
            return Err(Error::KeyLength { algorithm, want, got: key.len() });
        }
        match of(algorithm, key.expose()) {
            Ok(context) => context.ok_or(Error::NoDevice { algorithm }),
            Err(Unspecified) => Err(Error::Device {
                device: "aws-lc".to_owned(),
                reason: format!("the library did not take the key of {algorithm}"),
            }),
        }
    }

    /// Carries out one operation of the context's own algorithm. Refuses wrong lengths instead of panicking.
    pub(super) fn execute(&self, op: &mut DirectOp<'_>) -> Result<(), DeviceError> {
        match (self, op.kind) {
            (Self::Aead(key), OpKind::Encrypt) => super::aead::seal(key, op),
            (Self::Aead(key), OpKind::Decrypt) => super::aead::open(key, op),
            (Self::Cbc(keys), OpKind::Encrypt) => super::cipher::encrypt(&keys.0, op),
            (Self::Cbc(keys), OpKind::Decrypt) => super::cipher::decrypt(&keys.1, op),
            (Self::Ctr(key), OpKind::Encrypt | OpKind::Decrypt) => super::cipher::encrypt(key, op),
            (Self::Digest(hash), OpKind::Digest) => super::hash::digest(hash, op),
            (Self::Mac(key), OpKind::Mac) => super::hash::mac(key, op),
            _ => Err(refused("the algorithm has no such operation")),
        }
    }
}

/// `None` for an algorithm that the device does not have.
fn of(algorithm: Algorithm, key: &[u8]) -> Result<Option<Context>, Unspecified> {
    Ok(Some(match algorithm {
        Algorithm::Aes128Cbc => cbc(&cipher::AES_128, key)?,
        Algorithm::Aes192Cbc => cbc(&cipher::AES_192, key)?,
        Algorithm::Aes256Cbc => cbc(&cipher::AES_256, key)?,
        Algorithm::Aes128Ctr => ctr(&cipher::AES_128, key)?,
        Algorithm::Aes192Ctr => ctr(&cipher::AES_192, key)?,
        Algorithm::Aes256Ctr => ctr(&cipher::AES_256, key)?,
        Algorithm::Aes128Gcm => aead(&aead::AES_128_GCM, key)?,
        Algorithm::Aes192Gcm => aead(&aead::AES_192_GCM, key)?,
        Algorithm::Aes256Gcm => aead(&aead::AES_256_GCM, key)?,
        Algorithm::ChaCha20Poly1305 => aead(&aead::CHACHA20_POLY1305, key)?,
        Algorithm::Sha1 => Context::Digest(&digest::SHA1_FOR_LEGACY_USE_ONLY),
        Algorithm::Sha256 => Context::Digest(&digest::SHA256),
        Algorithm::Sha384 => Context::Digest(&digest::SHA384),
        Algorithm::Sha512 => Context::Digest(&digest::SHA512),
        Algorithm::HmacSha256 => mac(hmac::HMAC_SHA256, key),
        Algorithm::HmacSha384 => mac(hmac::HMAC_SHA384, key),
        Algorithm::HmacSha512 => mac(hmac::HMAC_SHA512, key),
        _ => return Ok(None),
    }))
}

fn aead(kind: &'static aead::Algorithm, key: &[u8]) -> Result<Context, Unspecified> {
    Ok(Context::Aead(LessSafeKey::new(UnboundKey::new(kind, key)?)))
}

fn cbc(kind: &'static cipher::Algorithm, key: &[u8]) -> Result<Context, Unspecified> {
    let encrypting = EncryptingKey::cbc(UnboundCipherKey::new(kind, key)?)?;
    let decrypting = DecryptingKey::cbc(UnboundCipherKey::new(kind, key)?)?;
    Ok(Context::Cbc(Box::new((encrypting, decrypting))))
}

fn ctr(kind: &'static cipher::Algorithm, key: &[u8]) -> Result<Context, Unspecified> {
    Ok(Context::Ctr(Box::new(EncryptingKey::ctr(UnboundCipherKey::new(kind, key)?)?)))
}

fn mac(kind: hmac::Algorithm, key: &[u8]) -> Context {
    Context::Mac(Box::new(hmac::Key::new(kind, key)))
}
