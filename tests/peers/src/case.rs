//! One algorithm at one size: keys, inputs and what must come out.

use acrypto_core::{Algorithm, Class, Iv, Key, OpKind, Request, SessionSpec};
use aead::AeadInOut;
use aes::cipher::{BlockModeEncrypt, KeyInit, KeyIvInit, StreamCipher, block_padding::NoPadding};
use hmac::Mac;
use sha2::Digest;

/// What is done again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Case {
    pub algorithm: Algorithm,
    pub bytes: usize,
    /// The same for every operation, on every side.
    pub iv: Iv,
}

/// The buffers that a loop works on in turn, and the digest of the last operation.
#[derive(Debug)]
pub struct Buffers {
    pub data: Vec<Vec<u8>>,
    pub digest: [u8; 32],
}

impl Case {
    pub fn new(algorithm: Algorithm, bytes: usize) -> Self {
        Self { algorithm, bytes, iv: Iv::new(&iv_bytes(algorithm)).unwrap_or_default() }
    }

    pub fn kind(&self) -> OpKind {
        match self.algorithm.class() {
            Class::Digest => OpKind::Digest,
            Class::Mac => OpKind::Mac,
            _ => OpKind::Encrypt,
        }
    }

    /// The key of session number `number`. HMAC's is as long as its output.
    pub fn key(&self, number: usize) -> Vec<u8> {
        let len = (*self.algorithm.key_len().end()).min(32);
        (0..len).map(|index| (index * 7 + number * 13 + 1) as u8).collect()
    }

    pub fn iv_array<const LEN: usize>(&self) -> [u8; LEN] {
        let mut iv = [0; LEN];
        iv.copy_from_slice(self.iv.as_slice());
        iv
    }

    pub fn spec(&self) -> SessionSpec {
        SessionSpec::new(self.algorithm)
    }

    pub fn session_key(&self, number: usize) -> Key {
        Key::new(self.key(number))
    }

    /// An operation on `data`, cut to its input.
    pub fn request(&self, mut data: Vec<u8>) -> Request {
        data.truncate(self.bytes);
        Request::new(self.kind(), data).with_iv(self.iv)
    }

    /// Input number `number`, with room for a tag.
    pub fn input(&self, number: usize) -> Vec<u8> {
        let mut data = Vec::with_capacity(self.bytes + self.algorithm.output_len());
        data.extend((0..self.bytes).map(|index| (index * 31 + number * 17) as u8));
        data
    }

    pub fn buffers(&self, count: usize) -> Buffers {
        Buffers { data: (0..count).map(|number| self.input(number)).collect(), digest: [0; 32] }
    }

    /// What the result is made of: the digest, or the output with its tag.
    pub fn result<'a>(&self, data: &'a [u8], digest: &'a [u8]) -> &'a [u8] {
        if self.kind() == OpKind::Encrypt { data } else { digest }
    }

    /// What RustCrypto makes of input number `number` under the key of session number `session`.
    pub fn reference(&self, number: usize, session: usize) -> Vec<u8> {
        let (key, iv, mut data) = (self.key(session), self.iv.as_slice(), self.input(number));
        let refused = "the lengths are the algorithm's";
        match self.algorithm {
            Algorithm::Aes128Cbc => {
                let cipher = cbc::Encryptor::<aes::Aes128>::new_from_slices(&key, iv).expect(refused);
                cipher.encrypt_padded::<NoPadding>(&mut data, self.bytes).expect(refused);
            }
            Algorithm::Aes128Ctr => ctr::Ctr128BE::<aes::Aes128>::new_from_slices(&key, iv)
                .expect(refused)
                .apply_keystream(&mut data),
            Algorithm::Aes256Ctr => ctr::Ctr128BE::<aes::Aes256>::new_from_slices(&key, iv)
                .expect(refused)
                .apply_keystream(&mut data),
            Algorithm::Sha256 => data = sha2::Sha256::digest(&data).to_vec(),
            Algorithm::HmacSha256 => {
                let mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(&key).expect(refused);
                data = mac.chain_update(&data).finalize().into_bytes().to_vec();
            }
            Algorithm::Aes256Gcm => {
                let cipher = aes_gcm::Aes256Gcm::new_from_slice(&key).expect(refused);
                cipher.encrypt_in_place(&self.iv_array().into(), &[], &mut data).expect(refused);
            }
            Algorithm::ChaCha20Poly1305 => {
                let cipher = chacha20poly1305::ChaCha20Poly1305::new_from_slice(&key).expect(refused);
                cipher.encrypt_in_place(&self.iv_array().into(), &[], &mut data).expect(refused);
            }
            Algorithm::Null => {}
            algorithm => panic!("{algorithm} has no reference here"),
        }
        data
    }

    /// Stops the run when a contender's first result is wrong.
    pub fn check(&self, who: &str, number: usize, session: usize, got: &[u8]) {
        assert!(got == self.reference(number, session), "{who} gives wrong bytes for {self:?}");
    }

    pub fn title(&self) -> String {
        format!("{} {}", self.algorithm, size(self.bytes))
    }
}

fn iv_bytes(algorithm: Algorithm) -> Vec<u8> {
    (0..algorithm.iv_len()).map(|index| (index * 3 + 5) as u8).collect()
}

/// A size as people write it.
pub fn size(bytes: usize) -> String {
    match bytes {
        bytes if bytes >= 1 << 20 => format!("{} MiB", bytes >> 20),
        bytes if bytes >= 1 << 10 => format!("{} KiB", bytes >> 10),
        bytes => format!("{bytes} B"),
    }
}
