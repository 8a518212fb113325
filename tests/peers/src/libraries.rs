//! The synchronous calls of Rust's libraries, in a bare loop over the buffers that ours works on. Keys are set up
//! beforehand, as a session has them.

use std::hint::black_box;

use acrypto_core::Algorithm;
use aead::AeadInOut;
use aes::cipher::{
    BlockCipherEncrypt, BlockModeEncrypt, BlockSizeUser, InnerIvInit, KeyInit, StreamCipher,
    StreamCipherCoreWrapper, block_padding::NoPadding, consts::U16,
};
use hmac::Mac;
use sha2::Digest;

use crate::case::{Buffers, Case};

/// Does so many operations, on each buffer in turn.
pub type Loop = Box<dyn FnMut(&mut Buffers, u64) + Send>;

/// A library's call for one case.
pub struct Library {
    pub name: &'static str,
    pub turn: Loop,
}

const LENGTHS: &str = "the lengths are the algorithm's";

/// Every library that has the algorithm, its first results compared with the reference.
pub fn libraries(case: Case) -> Vec<Library> {
    let mut libraries: Vec<Library> =
        [("aws-lc-rs", aws_lc(case)), ("ring", ring(case)), ("RustCrypto", rustcrypto(case))]
            .into_iter()
            .filter_map(|(name, turn)| turn.map(|turn| Library { name, turn }))
            .collect();
    for library in &mut libraries {
        let mut buffers = case.buffers(2);
        (library.turn)(&mut buffers, 2);
        case.check(library.name, 1, 0, case.result(&buffers.data[1], &buffers.digest));
    }
    libraries
}

fn looped(mut call: impl FnMut(&mut Vec<u8>, &mut [u8; 32]) + Send + 'static) -> Option<Loop> {
    Some(Box::new(move |buffers, ops| {
        let mut index = 0;
        for _ in 0..ops {
            call(black_box(&mut buffers.data[index]), black_box(&mut buffers.digest));
            index = if index + 1 == buffers.data.len() { 0 } else { index + 1 };
        }
    }))
}

fn rustcrypto(case: Case) -> Option<Loop> {
    let key = case.key(0);
    match case.algorithm {
        Algorithm::Aes128Cbc => {
            let cipher = aes::Aes128::new_from_slice(&key).expect(LENGTHS);
            let iv = case.iv_array::<16>().into();
            looped(move |data, _| {
                let len = data.len();
                let mode = cbc::Encryptor::inner_iv_init(&cipher, &iv);
                mode.encrypt_padded::<NoPadding>(data, len).expect(LENGTHS);
            })
        }
        Algorithm::Aes128Ctr => rustcrypto_ctr(aes::Aes128::new_from_slice(&key).expect(LENGTHS), case),
        Algorithm::Aes256Ctr => rustcrypto_ctr(aes::Aes256::new_from_slice(&key).expect(LENGTHS), case),
        Algorithm::Sha256 => looped(|data, digest| *digest = sha2::Sha256::digest(data).into()),
        Algorithm::HmacSha256 => {
            let keyed = hmac::Hmac::<sha2::Sha256>::new_from_slice(&key).expect(LENGTHS);
            looped(move |data, digest| {
                *digest = keyed.clone().chain_update(data).finalize().into_bytes().into();
            })
        }
        Algorithm::Aes256Gcm => {
            rustcrypto_aead(aes_gcm::Aes256Gcm::new_from_slice(&key).expect(LENGTHS), case)
        }
        Algorithm::ChaCha20Poly1305 => {
            rustcrypto_aead(chacha20poly1305::ChaCha20Poly1305::new_from_slice(&key).expect(LENGTHS), case)
        }
        _ => None,
    }
}

fn rustcrypto_ctr<C>(cipher: C, case: Case) -> Option<Loop>
where
    C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16> + Send + 'static,
{
    let iv = case.iv_array::<16>().into();
    looped(move |data, _| {
        let core = ctr::CtrCore::<_, ctr::flavors::Ctr128BE>::inner_iv_init(&cipher, &iv);
        StreamCipherCoreWrapper::from_core(core).apply_keystream(data);
    })
}

fn rustcrypto_aead<A>(cipher: A, case: Case) -> Option<Loop>
where
    A: AeadInOut<NonceSize = aes::cipher::consts::U12> + Send + 'static,
{
    let nonce = case.iv_array::<12>().into();
    looped(move |data, _| {
        data.truncate(case.bytes);
        cipher.encrypt_in_place(&nonce, &[], data).expect(LENGTHS);
    })
}

fn aws_lc(case: Case) -> Option<Loop> {
    use aws_lc_rs::{aead, cipher, digest, hmac};
    let key = case.key(0);
    let unbound = |algorithm| cipher::UnboundCipherKey::new(algorithm, &key).expect(LENGTHS);
    let keyed = match case.algorithm {
        Algorithm::Aes128Cbc => cipher::EncryptingKey::cbc(unbound(&cipher::AES_128)),
        Algorithm::Aes128Ctr => cipher::EncryptingKey::ctr(unbound(&cipher::AES_128)),
        Algorithm::Aes256Ctr => cipher::EncryptingKey::ctr(unbound(&cipher::AES_256)),
        Algorithm::Sha256 => {
            return looped(|data, out| {
                out.copy_from_slice(digest::digest(&digest::SHA256, data).as_ref());
            });
        }
        Algorithm::HmacSha256 => {
            let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
            return looped(move |data, out| out.copy_from_slice(hmac::sign(&key, data).as_ref()));
        }
        Algorithm::Aes256Gcm | Algorithm::ChaCha20Poly1305 => {
            let algorithm = match case.algorithm {
                Algorithm::Aes256Gcm => &aead::AES_256_GCM,
                _ => &aead::CHACHA20_POLY1305,
            };
            let key = aead::LessSafeKey::new(aead::UnboundKey::new(algorithm, &key).expect(LENGTHS));
            let nonce = case.iv_array::<12>();
            return looped(move |data, _| {
                data.truncate(case.bytes);
                let nonce = aead::Nonce::assume_unique_for_key(nonce);
                let tag = key.seal_in_place_separate_tag(nonce, aead::Aad::empty(), data).expect(LENGTHS);
                data.extend_from_slice(tag.as_ref());
            });
        }
        _ => return None,
    };
    let keyed = keyed.expect(LENGTHS);
    let iv = case.iv_array::<16>();
    looped(move |data, _| {
        let context = cipher::EncryptionContext::Iv128(iv.into());
        black_box(keyed.less_safe_encrypt(data, context).expect(LENGTHS));
    })
}

fn ring(case: Case) -> Option<Loop> {
    use ring::{aead, digest, hmac};
    let key = case.key(0);
    match case.algorithm {
        Algorithm::Sha256 => looped(|data, out| {
            out.copy_from_slice(digest::digest(&digest::SHA256, data).as_ref());
        }),
        Algorithm::HmacSha256 => {
            let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
            looped(move |data, out| out.copy_from_slice(hmac::sign(&key, data).as_ref()))
        }
        Algorithm::Aes256Gcm | Algorithm::ChaCha20Poly1305 => {
            let algorithm = match case.algorithm {
                Algorithm::Aes256Gcm => &aead::AES_256_GCM,
                _ => &aead::CHACHA20_POLY1305,
            };
            let key = aead::LessSafeKey::new(aead::UnboundKey::new(algorithm, &key).expect(LENGTHS));
            let nonce = case.iv_array::<12>();
            looped(move |data, _| {
                data.truncate(case.bytes);
                let nonce = aead::Nonce::assume_unique_for_key(nonce);
                let tag = key.seal_in_place_separate_tag(nonce, aead::Aad::empty(), data).expect(LENGTHS);
                data.extend_from_slice(tag.as_ref());
            })
        }
        _ => None,
    }
}
