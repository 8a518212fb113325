//! What must come of an operation: the libraries, called directly.

use acrypto_core::{Algorithm, Completion, Key, OpError, Request, SessionSpec, Stage};
use aes_gcm::aead::AeadInOut;
use cbc::cipher::block_padding::NoPadding;
use cbc::cipher::{BlockModeEncrypt, KeyIvInit, StreamCipher};
use hmac::{KeyInit, Mac};

/// Sorts of session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    Ctr,
    Gcm,
    Hmac,
    /// aes-128-cbc, then hmac-sha256.
    Route,
}

pub const SORTS: [Sort; 4] = [Sort::Ctr, Sort::Gcm, Sort::Hmac, Sort::Route];

/// What no event, status or Debug output may contain.
pub const SECRET: &str = "TopSecretKey";

fn key_bytes(number: u8, len: usize) -> Vec<u8> {
    SECRET.bytes().chain(std::iter::repeat(number)).take(len).collect()
}

impl Sort {
    pub fn spec(self) -> SessionSpec {
        match self {
            Sort::Ctr => SessionSpec::new(Algorithm::Aes128Ctr),
            Sort::Gcm => SessionSpec::new(Algorithm::Aes128Gcm),
            Sort::Hmac => SessionSpec::new(Algorithm::HmacSha256),
            Sort::Route => {
                let stages = [Algorithm::Aes128Cbc, Algorithm::HmacSha256];
                SessionSpec::with_route(stages.map(Stage::new))
            }
        }
    }

    pub fn keys(self, number: u8) -> Vec<Key> {
        match self {
            Sort::Ctr | Sort::Gcm => vec![Key::new(key_bytes(number, 16))],
            Sort::Hmac => vec![Key::new(key_bytes(number, 32))],
            Sort::Route => vec![Key::new(key_bytes(number, 16)), Key::new(key_bytes(number, 32))],
        }
    }
}

/// One operation; all of it follows from these.
#[derive(Clone, Copy, Debug)]
pub struct Op {
    pub sort: Sort,
    /// The key in force when it was submitted.
    pub key: u8,
    pub number: u64,
    pub bytes: usize,
}

impl Op {
    fn iv(self) -> [u8; 16] {
        let mut iv = [0; 16];
        iv[..8].copy_from_slice(&self.number.to_be_bytes());
        iv
    }

    pub fn input(self) -> Vec<u8> {
        let bytes = if self.sort == Sort::Route { self.bytes / 16 * 16 } else { self.bytes };
        vec![self.number as u8; bytes]
    }

    pub fn request(self) -> Request {
        let input = self.input();
        let iv = self.iv();
        let nonce: [u8; 12] = iv[..12].try_into().unwrap();
        let request = match self.sort {
            Sort::Ctr | Sort::Route => Request::encrypt(input, iv),
            Sort::Gcm => Request::encrypt(input, nonce),
            Sort::Hmac => Request::mac(input),
        };
        request.with_user_data(self.number)
    }

    fn expected(self) -> (Vec<u8>, Vec<u8>) {
        let (iv, mut data) = (self.iv(), self.input());
        let key: [u8; 16] = key_bytes(self.key, 16).try_into().unwrap();
        let mac = |parts: &[&[u8]]| {
            let mut mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(&key_bytes(self.key, 32)).unwrap();
            parts.iter().for_each(|part| mac.update(part));
            mac.finalize().into_bytes().to_vec()
        };
        match self.sort {
            Sort::Ctr => {
                ctr::Ctr128BE::<aes::Aes128>::new(&key.into(), &iv.into()).apply_keystream(&mut data);
            }
            Sort::Gcm => {
                let cipher: aes_gcm::Aes128Gcm = KeyInit::new(&key.into());
                let nonce: [u8; 12] = iv[..12].try_into().unwrap();
                let tag = cipher.encrypt_inout_detached(&nonce.into(), &[], data.as_mut_slice().into());
                data.extend_from_slice(&tag.unwrap());
            }
            Sort::Hmac => {
                let tag = mac(&[&data]);
                return (data, tag);
            }
            Sort::Route => {
                let len = data.len();
                let cipher = cbc::Encryptor::<aes::Aes128>::new(&key.into(), &iv.into());
                cipher.encrypt_padded::<NoPadding>(&mut data, len).unwrap();
                let tag = mac(&[&iv, &data]);
                data.extend_from_slice(&tag[..16]);
            }
        }
        (data, Vec::new())
    }

    /// I4: a success carries the bytes of the direct library call, and nothing else is called a success.
    pub fn check(self, completion: &Completion) {
        assert_eq!(completion.user_data, self.number);
        match &completion.result {
            Ok(()) => {
                let (data, output) = self.expected();
                let differ =
                    completion.data.iter().zip(&data).filter(|(made, wanted)| made != wanted).count();
                let place = completion.data.iter().zip(&data).position(|(made, wanted)| made != wanted);
                assert!(
                    completion.data == data,
                    "wrong bytes: {self:?} from {:?}: {differ} differ, the first at {place:?}",
                    completion.device
                );
                assert!(completion.output.as_slice() == output, "wrong output: {self:?}");
            }
            Err(OpError::Broken { .. } | OpError::TimedOut { .. }) if completion.source_intact => {
                assert!(completion.data == self.input(), "the input is not whole: {self:?}");
            }
            // What a stage of a route has made is for nobody.
            Err(OpError::Broken { .. } | OpError::TimedOut { .. }) => {
                assert!(
                    self.sort == Sort::Route && completion.data.is_empty(),
                    "{self:?} {:?}",
                    completion.result
                );
            }
            Err(error) => panic!("unexpected end of {self:?}: {error}"),
        }
    }
}
