//! What the framework costs, beside what it wraps. Run: `cargo bench -p acrypto-core`.
//!
//! Every figure is the median over rounds in which the two things compared take turns, with the least and the
//! greatest; one thread submits and helps to execute.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints, and stops at the first surprise"
)]
#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
#![allow(missing_docs, reason = "a program")]

use std::hint::black_box;
use std::time::Instant;

use acrypto_core::{Algorithm, Config, Key, OpKind, Request, Runtime, Session, SessionSpec, block_on};
use ctr::cipher::{InnerIvInit, StreamCipher, StreamCipherCoreWrapper};

const ROUNDS: usize = 21;
const OPS: usize = 200_000;
const KEY: [u8; 16] = [7; 16];

fn runtime(kind: &str, count: usize) -> Runtime {
    let runtime = Runtime::start(Config::default()).unwrap();
    for number in 0..count {
        runtime.add_device_of_kind(&format!("{kind}{number}"), kind, &[], 0).unwrap();
    }
    runtime
}

/// Nanoseconds an operation, of bursts of `size` through two null devices.
fn burst(session: &Session, size: usize) -> f64 {
    let mut ring = session.burst(size);
    let mut requests: Vec<Request> = (0..size).map(|_| Request::new(OpKind::Encrypt, vec![0; 64])).collect();
    let mut completions = Vec::with_capacity(size);
    let start = Instant::now();
    for _ in 0..OPS / size {
        assert_eq!(ring.submit(&mut requests), size);
        while completions.len() < size {
            ring.poll(&mut completions, size);
        }
        requests.extend(completions.drain(..).map(|done| Request::new(OpKind::Encrypt, done.data)));
    }
    start.elapsed().as_nanos() as f64 / (OPS / size * size) as f64
}

/// Nanoseconds of one awaited aes-128-ctr of 64 bytes.
fn awaited(session: &Session) -> f64 {
    let mut data = vec![0; 64];
    let ops = OPS / 4;
    let start = Instant::now();
    block_on(async {
        for _ in 0..ops {
            data = session.submit(Request::encrypt(std::mem::take(&mut data), [1; 16])).await.unwrap().data;
        }
    });
    black_box(&data);
    start.elapsed().as_nanos() as f64 / ops as f64
}

/// Nanoseconds of the same by a direct call, with the key schedule made beforehand as the session has it.
fn direct() -> f64 {
    let cipher = <aes::Aes128 as aes::cipher::KeyInit>::new(&KEY.into());
    let mut data = vec![0; 64];
    let ops = OPS / 4;
    let start = Instant::now();
    for _ in 0..ops {
        let core = ctr::CtrCore::<_, ctr::flavors::Ctr128BE>::inner_iv_init(&cipher, &[1; 16].into());
        let mut keystream = StreamCipherCoreWrapper::from_core(core);
        keystream.apply_keystream(black_box(&mut data));
    }
    start.elapsed().as_nanos() as f64 / ops as f64
}

fn report(name: &str, mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    let (least, median, most) = (figures[0], figures[figures.len() / 2], figures[figures.len() - 1]);
    println!("{name:<44} {median:>8.1} ns   ({least:.1} to {most:.1})");
    median
}

fn main() {
    let null = runtime("null", 2);
    let null = null.session(SessionSpec::new(Algorithm::Null), Key::none()).unwrap();
    let soft = runtime("soft", 1);
    let soft = soft.session(SessionSpec::new(Algorithm::Aes128Ctr), Key::new(KEY.to_vec())).unwrap();
    let (mut by_32, mut by_1, mut through, mut beside) = (vec![], vec![], vec![], vec![]);
    for _ in 0..ROUNDS {
        by_32.push(burst(&null, 32));
        by_1.push(burst(&null, 1));
        through.push(awaited(&soft));
        beside.push(direct());
    }
    report("null, burst 32, an operation", by_32);
    report("null, burst 1, an operation", by_1);
    let through = report("aes-128-ctr 64 B, awaited", through);
    let beside = report("aes-128-ctr 64 B, direct call", beside);
    println!("{:<44} {:>8.1} ns", "the runtime adds", through - beside);
}
