//! From an algorithm and a key to a context.

use std::sync::Arc;

use aes::{Aes128, Aes192, Aes256};
use aes_gcm::aead::KeyInit;
use aes_gcm::aead::consts::U12;
use aes_gcm::{Aes128Gcm, Aes256Gcm, AesGcm};
use chacha20poly1305::ChaCha20Poly1305;
use sha1::Sha1;
use sha2::{Sha256, Sha384, Sha512};

use crate::algorithm::Algorithm;
use crate::error::Error;
use crate::key::Key;

use super::SharedContext;
use super::aead::Aead;
use super::cipher::{Cbc, Ctr, Ecb};
use super::encrypt_then_mac::EncryptThenMac;
use super::hash::{Digester, Hmac};
use super::random::Random;

pub(in crate::device) fn context(algorithm: Algorithm, key: &Key) -> Result<SharedContext, Error> {
    if algorithm == Algorithm::Null {
        return Err(Error::NoDevice { algorithm });
    }
    let lengths = algorithm.key_len();
    let wrong_length = || Error::KeyLength {
        algorithm,
        want: if lengths.start() == lengths.end() {
            lengths.start().to_string()
        } else {
            format!("{} to {}", lengths.start(), lengths.end())
        },
        got: key.len(),
    };
    if !lengths.contains(&key.len()) {
        return Err(wrong_length());
    }
    of_length(algorithm, key.expose()).ok_or_else(wrong_length)
}

/// `None` when the key's length does not fit.
fn of_length(algorithm: Algorithm, key: &[u8]) -> Option<SharedContext> {
    Some(match algorithm {
        Algorithm::Aes128Ecb => Arc::new(Ecb(keyed::<Aes128>(key)?)),
        Algorithm::Aes192Ecb => Arc::new(Ecb(keyed::<Aes192>(key)?)),
        Algorithm::Aes256Ecb => Arc::new(Ecb(keyed::<Aes256>(key)?)),
        Algorithm::Aes128Cbc => Arc::new(Cbc(keyed::<Aes128>(key)?)),
        Algorithm::Aes192Cbc => Arc::new(Cbc(keyed::<Aes192>(key)?)),
        Algorithm::Aes256Cbc => Arc::new(Cbc(keyed::<Aes256>(key)?)),
        Algorithm::Aes128Ctr => Arc::new(Ctr(keyed::<Aes128>(key)?)),
        Algorithm::Aes192Ctr => Arc::new(Ctr(keyed::<Aes192>(key)?)),
        Algorithm::Aes256Ctr => Arc::new(Ctr(keyed::<Aes256>(key)?)),
        Algorithm::Aes128Gcm => Arc::new(Aead(keyed::<Aes128Gcm>(key)?)),
        Algorithm::Aes192Gcm => Arc::new(Aead(keyed::<AesGcm<Aes192, U12>>(key)?)),
        Algorithm::Aes256Gcm => Arc::new(Aead(keyed::<Aes256Gcm>(key)?)),
        Algorithm::ChaCha20Poly1305 => Arc::new(Aead(keyed::<ChaCha20Poly1305>(key)?)),
        Algorithm::Sha1 => Arc::new(Digester::<Sha1>::new()),
        Algorithm::Sha256 => Arc::new(Digester::<Sha256>::new()),
        Algorithm::Sha384 => Arc::new(Digester::<Sha384>::new()),
        Algorithm::Sha512 => Arc::new(Digester::<Sha512>::new()),
        Algorithm::HmacSha256 => Arc::new(Hmac::<Sha256>::new(key)),
        Algorithm::HmacSha384 => Arc::new(Hmac::<Sha384>::new(key)),
        Algorithm::HmacSha512 => Arc::new(Hmac::<Sha512>::new(key)),
        Algorithm::Aes128CbcHmacSha256 => {
            let (cipher, mac) = key.split_at_checked(16)?;
            Arc::new(EncryptThenMac { cipher: Cbc(keyed::<Aes128>(cipher)?), mac: Hmac::<Sha256>::new(mac) })
        }
        Algorithm::Random => Arc::new(Random),
        Algorithm::Null => return None,
    })
}

fn keyed<K: KeyInit>(key: &[u8]) -> Option<K> {
    K::new_from_slice(key).ok()
}
