//! The bare kernels of device `multi`: runs of 32 operations beside RustCrypto's crates one operation after the other.
//!
//! `cargo bench -p acrypto-core --bench kernels`. The two take turns; printed are the medians, the least and the greatest
//! in GB/s on one core, and the ratio of the medians. The last lines are what a run costs without any bytes.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark")]
#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
#![allow(missing_docs, reason = "a program")]

use std::hint::black_box;
use std::time::Instant;

use acrypto_core::device::multi::Multi;
use acrypto_core::device::{DirectDevice, DirectOp, Handle};
use acrypto_core::{Algorithm, Iv, Key, OpKind, Output, SessionSpec};
use aes::cipher::consts::U16;
use aes::cipher::{
    Array, BlockCipherDecrypt, BlockCipherEncrypt, BlockModeDecrypt, BlockModeEncrypt, BlockSizeUser,
    InnerIvInit, KeyInit, StreamCipher, StreamCipherCoreWrapper,
};
use hmac::Mac;
use sha2::Digest;

const ROUNDS: usize = 15;
const ROUND_NS: usize = 2_000_000;
const OPS: usize = 32;
const SIZES: [usize; 4] = [64, 256, 1_024, 16_384];
const IV: [u8; 16] = [0x24; 16];

fn key(algorithm: Algorithm, number: usize) -> Vec<u8> {
    vec![number as u8 + 1; (*algorithm.key_len().end()).min(32)]
}

/// Nanoseconds of one call, of as many as it takes.
fn time(mut call: impl FnMut()) -> f64 {
    let start = Instant::now();
    call();
    let calls = ROUND_NS / (start.elapsed().as_nanos() as usize).max(1) + 1;
    let start = Instant::now();
    for _ in 0..calls {
        call();
    }
    start.elapsed().as_nanos() as f64 / calls as f64
}

/// Median, least and greatest.
fn spread(mut figures: Vec<f64>) -> [f64; 3] {
    figures.sort_by(f64::total_cmp);
    [figures[figures.len() / 2], figures[0], figures[figures.len() - 1]]
}

/// A run of `multi` on buffers of its own.
struct Bare {
    device: Multi,
    algorithm: Algorithm,
    kind: OpKind,
    handles: Vec<Handle>,
    data: Vec<Vec<u8>>,
}

impl Bare {
    fn new(algorithm: Algorithm, kind: OpKind, keys: usize, size: usize) -> Self {
        let device = Multi::new();
        let handles: Vec<Handle> = (0..keys)
            .map(|number| {
                device.open(&SessionSpec::new(algorithm), &Key::new(key(algorithm, number))).unwrap()
            })
            .collect();
        let data = (0..OPS).map(|index| vec![index as u8; size]).collect();
        Self { device, algorithm, kind, handles, data }
    }

    /// Calls `body` with something that executes the run.
    fn with(&mut self, body: impl FnOnce(&mut dyn FnMut())) {
        let (iv, mut outputs) = (Iv::from(IV), [Output::none(); OPS]);
        let iv = if self.algorithm.iv_len() == 0 { Iv::NONE } else { iv };
        let mut run: Vec<DirectOp<'_>> = (self.data.iter_mut().zip(&mut outputs).enumerate())
            .map(|(index, (data, output))| DirectOp {
                handle: self.handles[index % self.handles.len()],
                algorithm: self.algorithm,
                kind: self.kind,
                iv: &iv,
                aad: &[],
                data,
                source: None,
                output,
                chain: None,
                result: None,
            })
            .collect();
        let device = &self.device;
        body(&mut || device.execute(black_box(&mut run)));
        assert!(run.iter().all(|op| op.result == Some(Ok(()))));
    }
}

type Call = Box<dyn Fn(&mut [u8])>;

/// RustCrypto's crates on one operation, the key set up beforehand as a session has it.
fn one_by_one(algorithm: Algorithm, kind: OpKind) -> Call {
    fn cbc<C>(key: &[u8]) -> Call
    where
        C: KeyInit + BlockCipherEncrypt + BlockSizeUser<BlockSize = U16> + 'static,
    {
        let cipher = C::new_from_slice(key).unwrap();
        Box::new(move |data| {
            let mut mode = ::cbc::Encryptor::inner_iv_init(&cipher, &IV.into());
            mode.encrypt_blocks(Array::slice_as_chunks_mut(data).0);
        })
    }
    fn cbc_decrypt<C>(key: &[u8]) -> Call
    where
        C: KeyInit + BlockCipherDecrypt + BlockSizeUser<BlockSize = U16> + 'static,
    {
        let cipher = C::new_from_slice(key).unwrap();
        Box::new(move |data| {
            let mut mode = ::cbc::Decryptor::inner_iv_init(&cipher, &IV.into());
            mode.decrypt_blocks(Array::slice_as_chunks_mut(data).0);
        })
    }
    fn ctr<C>(key: &[u8]) -> Call
    where
        C: KeyInit + BlockCipherEncrypt + BlockSizeUser<BlockSize = U16> + 'static,
    {
        let cipher = C::new_from_slice(key).unwrap();
        Box::new(move |data| {
            let core = ::ctr::CtrCore::<_, ::ctr::flavors::Ctr128BE>::inner_iv_init(&cipher, &IV.into());
            StreamCipherCoreWrapper::from_core(core).apply_keystream(data);
        })
    }
    let key = key(algorithm, 0);
    match (algorithm, kind) {
        (Algorithm::Aes128Cbc, OpKind::Decrypt) => cbc_decrypt::<aes::Aes128>(&key),
        (Algorithm::Aes256Cbc, OpKind::Decrypt) => cbc_decrypt::<aes::Aes256>(&key),
        (Algorithm::Aes128Cbc, _) => cbc::<aes::Aes128>(&key),
        (Algorithm::Aes256Cbc, _) => cbc::<aes::Aes256>(&key),
        (Algorithm::Aes128Ctr, _) => ctr::<aes::Aes128>(&key),
        (Algorithm::Aes256Ctr, _) => ctr::<aes::Aes256>(&key),
        (Algorithm::Sha256, _) => Box::new(|data| {
            black_box(sha2::Sha256::digest(data));
        }),
        _ => {
            let mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(&key).unwrap();
            Box::new(move |data| {
                black_box(mac.clone().chain_update(data).finalize());
            })
        }
    }
}

fn compare(algorithm: Algorithm, kind: OpKind, keys: usize, size: usize) {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let reference = one_by_one(algorithm, kind);
    let mut buffers = vec![vec![1; size]; OPS];
    Bare::new(algorithm, kind, keys, size).with(|run| {
        for _ in 0..ROUNDS {
            let bytes = (OPS * size) as f64;
            ours.push(bytes / time(&mut *run));
            theirs.push(bytes / time(|| buffers.iter_mut().for_each(|data| reference(black_box(data)))));
        }
    });
    let ([ours, ours_min, ours_max], [theirs, theirs_min, theirs_max]) = (spread(ours), spread(theirs));
    println!(
        "{:<14} {:<8} {keys:>2} {size:>6}   {ours:>6.2} ({ours_min:.2} to {ours_max:.2})   {theirs:>6.2} ({theirs_min:.2} to \
         {theirs_max:.2})   {:>5.2}",
        algorithm.name(),
        kind.name(),
        ours / theirs
    );
}

fn main() {
    println!("algorithm      kind   keys  bytes   multi, GB/s             one by one, GB/s        ratio");
    // Names after `--` choose.
    let chosen: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let is_chosen =
        |algorithm: &Algorithm| chosen.is_empty() || chosen.iter().any(|name| name == algorithm.name());
    for (algorithm, kind) in [
        (Algorithm::Aes128Cbc, OpKind::Encrypt),
        (Algorithm::Aes256Cbc, OpKind::Encrypt),
        (Algorithm::Aes128Cbc, OpKind::Decrypt),
        (Algorithm::Aes256Cbc, OpKind::Decrypt),
        (Algorithm::Aes128Ctr, OpKind::Encrypt),
        (Algorithm::Aes256Ctr, OpKind::Encrypt),
        (Algorithm::Sha256, OpKind::Digest),
        (Algorithm::HmacSha256, OpKind::Mac),
    ]
    .into_iter()
    .filter(|(algorithm, _)| is_chosen(algorithm))
    {
        for keys in [1, OPS].into_iter().filter(|keys| *keys == 1 || algorithm != Algorithm::Sha256) {
            SIZES.iter().for_each(|size| compare(algorithm, kind, keys, *size));
        }
    }
    for (algorithm, keys) in
        [(Algorithm::Aes128Cbc, 1), (Algorithm::Aes128Cbc, OPS), (Algorithm::Aes128Ctr, OPS)]
    {
        Bare::new(algorithm, OpKind::Encrypt, keys, 0).with(|run| {
            let figures = (0..ROUNDS).map(|_| time(&mut *run) / OPS as f64).collect();
            let [median, least, most] = spread(figures);
            println!(
                "{algorithm}, {keys} keys, 0 bytes: {median:.2} ns an operation ({least:.2} to {most:.2})"
            );
        });
    }
}
