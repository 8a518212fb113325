//! What the libraries give when they are called directly.

use acrypto_core::{Algorithm, Iv, Key, OpKind, Request};
use aes_gcm::aead::AeadInOut;
use aes_gcm::aead::consts::{U12, U16};
use cbc::cipher::block_padding::NoPadding;
use cbc::cipher::{BlockModeEncrypt, KeyIvInit, StreamCipher};
use hmac::{KeyInit, Mac};
use sha2::Digest;

/// One algorithm of each class, and each hash.
pub const ALGORITHMS: [Algorithm; 8] = [
    Algorithm::Aes128Ctr,
    Algorithm::Aes256Cbc,
    Algorithm::Sha256,
    Algorithm::Aes256Gcm,
    Algorithm::HmacSha256,
    Algorithm::ChaCha20Poly1305,
    Algorithm::Sha512,
    Algorithm::Aes256Ctr,
];

const SIZES: [usize; 6] = [16, 64, 0, 4_096, 240, 20_000];
const AAD: &[u8] = b"header";
const KEY: [u8; 32] = [0x5a; 32];

/// The key of every session of an algorithm.
pub fn key(algorithm: Algorithm) -> Key {
    Key::new(KEY[..(*algorithm.key_len().end()).min(KEY.len())].to_vec())
}

/// One operation and what must come of it; all of it follows from its number.
#[derive(Debug)]
pub struct Job {
    pub number: u64,
    kind: OpKind,
    iv: Iv,
    aad: Vec<u8>,
    data: Vec<u8>,
    pub data_after: Vec<u8>,
    pub output: Vec<u8>,
}

impl Job {
    pub fn new(algorithm: Algorithm, number: u64) -> Self {
        let len = SIZES[(number % SIZES.len() as u64) as usize];
        let text: Vec<u8> = number.to_be_bytes().into_iter().cycle().take(len).collect();
        let mut iv_bytes = [0; 16];
        iv_bytes[4..12].copy_from_slice(&number.to_be_bytes());
        let iv = Iv::new(&iv_bytes[..algorithm.iv_len()]).unwrap();
        let is_aead = algorithm.iv_len() == 12;
        let aad = if is_aead { AAD.to_vec() } else { Vec::new() };
        let kind = algorithm.ops()[0];
        match kind {
            OpKind::Digest | OpKind::Mac => {
                let output = hashed(algorithm, &text);
                Self { number, kind, iv, aad, data_after: text.clone(), data: text, output }
            }
            _ => {
                let sealed = encrypted(algorithm, iv.as_slice(), &text);
                let (kind, data, data_after) = match number % 2 {
                    0 => (OpKind::Encrypt, text, sealed),
                    _ => (OpKind::Decrypt, sealed, text),
                };
                Self { number, kind, iv, aad, data, data_after, output: Vec::new() }
            }
        }
    }

    pub fn request(&self) -> Request {
        let mut request = Request::new(self.kind, self.data.clone()).with_aad(self.aad.clone());
        request.iv = self.iv;
        request.with_user_data(self.number)
    }
}

fn hashed(algorithm: Algorithm, text: &[u8]) -> Vec<u8> {
    match algorithm {
        Algorithm::Sha256 => sha2::Sha256::digest(text).to_vec(),
        Algorithm::Sha512 => sha2::Sha512::digest(text).to_vec(),
        Algorithm::HmacSha256 => {
            let mut mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(&KEY).unwrap();
            mac.update(text);
            mac.finalize().into_bytes().to_vec()
        }
        _ => unreachable!("{algorithm} is not in the list"),
    }
}

fn encrypted(algorithm: Algorithm, iv: &[u8], text: &[u8]) -> Vec<u8> {
    let mut data = text.to_vec();
    match algorithm {
        Algorithm::Aes128Ctr => {
            ctr::Ctr128BE::<aes::Aes128>::new_from_slices(&KEY[..16], iv).unwrap().apply_keystream(&mut data);
        }
        Algorithm::Aes256Ctr => {
            ctr::Ctr128BE::<aes::Aes256>::new_from_slices(&KEY, iv).unwrap().apply_keystream(&mut data);
        }
        Algorithm::Aes256Cbc => {
            let cipher = cbc::Encryptor::<aes::Aes256>::new_from_slices(&KEY, iv).unwrap();
            cipher.encrypt_padded::<NoPadding>(&mut data, text.len()).unwrap();
        }
        Algorithm::Aes256Gcm => {
            seal(&aes_gcm::Aes256Gcm::new_from_slice(&KEY).unwrap(), iv, &mut data);
        }
        Algorithm::ChaCha20Poly1305 => {
            seal(&chacha20poly1305::ChaCha20Poly1305::new_from_slice(&KEY).unwrap(), iv, &mut data);
        }
        _ => unreachable!("{algorithm} is not in the list"),
    }
    data
}

fn seal(cipher: &impl AeadInOut<NonceSize = U12, TagSize = U16>, iv: &[u8], data: &mut Vec<u8>) {
    let nonce = iv.try_into().unwrap();
    let tag = cipher.encrypt_inout_detached(nonce, AAD, data.as_mut_slice().into()).unwrap();
    data.extend_from_slice(&tag);
}
