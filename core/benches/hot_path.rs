//! What the framework costs over null devices, and one operation beside the library call that it wraps. One thread
//! submits and carries out. Run: `cargo bench -p acrypto-core --bench hot_path`.
//!
//! Times of one run on one machine; what they are beside other programs is measured by `tests/peers/run`, and a figure
//! that is the same every time by the bench `instructions`.

#![allow(clippy::unwrap_used, reason = "a benchmark stops at the first surprise")]
#![allow(missing_docs, reason = "a program")]

use std::sync::LazyLock;

use acrypto_core::{
    Algorithm, Completion, Config, Key, OpKind, Request, Runtime, Session, SessionSpec, block_on,
};
use ctr::cipher::{InnerIvInit, KeyInit, StreamCipher, StreamCipherCoreWrapper};
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};

const KEY: [u8; 16] = [7; 16];
const BYTES: usize = 64;

static NULL: LazyLock<(Runtime, Session)> =
    LazyLock::new(|| started("null", 2, Algorithm::Null, Key::none()));
static SOFT: LazyLock<(Runtime, Session)> =
    LazyLock::new(|| started("soft", 1, Algorithm::Aes128Ctr, Key::new(KEY.to_vec())));

fn started(kind: &str, devices: usize, algorithm: Algorithm, key: Key) -> (Runtime, Session) {
    let runtime = Runtime::start(Config::default()).unwrap();
    for number in 0..devices {
        runtime.add_device_of_kind(&format!("{kind}{number}"), kind, &[], 0).unwrap();
    }
    let session = runtime.session(SessionSpec::new(algorithm), key).unwrap();
    (runtime, session)
}

fn null(data: Vec<u8>) -> Request {
    Request::new(OpKind::Encrypt, data)
}

#[divan::bench(args = [1, 8, 32])]
fn null_burst(bencher: Bencher<'_, '_>, size: usize) {
    let mut ring = NULL.1.burst(size);
    let mut requests: Vec<Request> = (0..size).map(|_| null(vec![0; BYTES])).collect();
    let mut completions: Vec<Completion> = Vec::with_capacity(size);
    bencher.counter(ItemsCount::new(size)).bench_local(|| {
        assert_eq!(ring.submit(&mut requests), size);
        while completions.len() < size {
            ring.poll(&mut completions, size);
        }
        requests.extend(completions.drain(..).map(|done| null(done.data)));
    });
}

#[divan::bench]
fn null_call(bencher: Bencher<'_, '_>) {
    let mut data = vec![0; BYTES];
    bencher.counter(ItemsCount::new(1_usize)).bench_local(|| {
        data = NULL.1.call(null(std::mem::take(&mut data))).unwrap().data;
    });
}

#[divan::bench(args = [64, 1_024, 16_384])]
fn aes_128_ctr_awaited(bencher: Bencher<'_, '_>, bytes: usize) {
    let mut data = vec![0; bytes];
    bencher.counter(ItemsCount::new(1_usize)).bench_local(|| {
        let request = Request::encrypt(std::mem::take(&mut data), [1; 16]);
        data = block_on(SOFT.1.submit(request)).unwrap().data;
    });
}

/// With the key schedule made beforehand, as the session has it.
#[divan::bench(args = [64, 1_024, 16_384])]
fn aes_128_ctr_direct(bencher: Bencher<'_, '_>, bytes: usize) {
    let cipher = aes::Aes128::new(&KEY.into());
    let mut data = vec![0; bytes];
    bencher.counter(ItemsCount::new(1_usize)).bench_local(|| {
        let core = ctr::CtrCore::<_, ctr::flavors::Ctr128BE>::inner_iv_init(&cipher, &[1; 16].into());
        StreamCipherCoreWrapper::from_core(core).apply_keystream(black_box(&mut data));
    });
}

fn main() {
    divan::main();
}
