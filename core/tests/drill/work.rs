//! Work that flows through a runtime, each result checked against the library.

use std::sync::{Arc, Mutex};

use acrypto_core::simulation::Simulation;
use acrypto_core::{Algorithm, CallbackSession, Completion, Key, Nanos, Request, Runtime, SessionSpec};
use aes_gcm::aead::{AeadInOut, KeyInit};
use ctr::cipher::{KeyIvInit, StreamCipher};
use sha2::Digest;

const KEY: [u8; 16] = [0x5a; 16];
const AAD: &[u8] = b"drill";

/// One end of an operation: which, when, and how.
struct End {
    number: u64,
    at: Nanos,
    attempts: u16,
    total_ns: u64,
    is_failed: bool,
    is_wrong: bool,
}

/// Three sessions: encrypt, authenticated decrypt, digest.
pub struct Work {
    runtime: Runtime,
    sessions: [CallbackSession; 3],
    ends: Arc<Mutex<Vec<End>>>,
    submitted: u64,
}

fn plaintext(number: u64) -> Vec<u8> {
    (0..64 + number % 97).map(|index| (number * 31 + index) as u8).collect()
}

fn iv(number: u64) -> [u8; 16] {
    let mut iv = [0; 16];
    iv[..8].copy_from_slice(&number.to_be_bytes());
    iv
}

fn nonce(number: u64) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[..8].copy_from_slice(&number.to_be_bytes());
    nonce
}

fn sealed(number: u64) -> Vec<u8> {
    let mut text = plaintext(number);
    let cipher = aes_gcm::Aes128Gcm::new(&KEY.into());
    let tag = cipher.encrypt_inout_detached(&nonce(number).into(), AAD, text.as_mut_slice().into()).unwrap();
    text.extend_from_slice(&tag);
    text
}

fn request(number: u64) -> Request {
    let request = match number % 3 {
        0 => Request::encrypt(plaintext(number), iv(number)),
        1 => Request::decrypt(sealed(number), nonce(number)).with_aad(AAD.to_vec()),
        _ => Request::digest(plaintext(number)),
    };
    request.with_user_data(number)
}

/// Whether a success carries anything but the library's bytes.
fn is_wrong(completion: &Completion) -> bool {
    let number = completion.user_data;
    let mut expected = plaintext(number);
    match number % 3 {
        0 => {
            ctr::Ctr128BE::<aes::Aes128>::new(&KEY.into(), &iv(number).into()).apply_keystream(&mut expected);
            completion.data != expected
        }
        1 => completion.data != expected,
        _ => completion.output.as_slice() != sha2::Sha256::digest(&expected).as_slice(),
    }
}

impl Work {
    pub fn new(runtime: &Runtime) -> Self {
        let ends = Arc::new(Mutex::new(Vec::new()));
        let session = |algorithm, key| {
            let session = runtime.session(SessionSpec::new(algorithm), key).unwrap();
            let (ends, clock) = (Arc::clone(&ends), runtime.clock().clone());
            session.with_callback(move |completion: Completion| {
                let end = End {
                    number: completion.user_data,
                    at: clock.now(),
                    attempts: completion.attempts,
                    total_ns: completion.total_ns,
                    is_failed: completion.result.is_err(),
                    is_wrong: completion.result.is_ok() && is_wrong(&completion),
                };
                ends.lock().unwrap().push(end);
            })
        };
        let sessions = [
            session(Algorithm::Aes128Ctr, Key::new(KEY.to_vec())),
            session(Algorithm::Aes128Gcm, Key::new(KEY.to_vec())),
            session(Algorithm::Sha256, Key::none()),
        ];
        Self { runtime: runtime.clone(), sessions, ends, submitted: 0 }
    }

    /// Three operations each millisecond, for so many milliseconds.
    pub fn flow(&mut self, simulation: &mut Simulation, milliseconds: u64) {
        for _ in 0..milliseconds {
            for session in &self.sessions {
                session.submit(request(self.submitted)).unwrap();
                self.submitted += 1;
            }
            simulation.advance(1_000_000);
        }
    }

    /// Waits for what is on its way.
    pub fn finish(&mut self, simulation: &mut Simulation) {
        for _ in 0..10_000 {
            if self.runtime.stats().main_queue_ops == 0 {
                return;
            }
            simulation.advance(1_000_000);
        }
    }

    pub fn submitted(&self) -> u64 {
        self.submitted
    }

    /// When the last operation ended that needed more than one attempt, or took longer than any should.
    pub fn last_affected(&self, since: Nanos) -> Nanos {
        let ends = self.ends.lock().unwrap();
        let affected = ends.iter().filter(|end| end.attempts > 1 || end.total_ns > 5_000_000);
        affected.map(|end| end.at).filter(|at| *at >= since).max().unwrap_or(since)
    }

    fn count(&self, of: impl Fn(&End) -> bool) -> u64 {
        self.ends.lock().unwrap().iter().filter(|end| of(end)).count() as u64
    }

    fn distinct(&self) -> u64 {
        let mut numbers: Vec<u64> = self.ends.lock().unwrap().iter().map(|end| end.number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers.len() as u64
    }

    pub fn lost(&self) -> u64 {
        self.submitted - self.distinct()
    }

    pub fn doubled(&self) -> u64 {
        self.count(|_| true) - self.distinct()
    }

    pub fn wrong(&self) -> u64 {
        self.count(|end| end.is_wrong)
    }

    pub fn failed(&self) -> u64 {
        self.count(|end| end.is_failed)
    }
}
