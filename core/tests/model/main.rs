//! Random lives of a runtime in simulated time, each decided by its seed, against a simple reference model.
//!
//! `ACRYPTO_MODEL_SEEDS=10000 cargo test --release -p acrypto-core --test model` lives ten thousand of them,
//! `ACRYPTO_MODEL_FRESH=200` that many more that nobody has seen, and `ACRYPTO_MODEL_SEED=7` one, step by step.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test that tells a life on request")]

mod chance;
mod life;
mod reference;

use std::hash::{BuildHasher, RandomState};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use life::Life;

/// Seeds that failed once.
const REGRESSIONS: &[u64] = &[6_767];
/// Fixed seeds of a run that does not say how many.
const SEEDS_DEFAULT: u64 = 150;

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is not a number: {text}")))
}

#[test]
fn i1_i2_i3_i4_i5_i7_i8_hold_in_any_life() {
    if let Some(seed) = number("ACRYPTO_MODEL_SEED") {
        return Life::new(seed, true).live();
    }
    let fixed = 0..number("ACRYPTO_MODEL_SEEDS").unwrap_or(SEEDS_DEFAULT);
    let fresh = (0..number("ACRYPTO_MODEL_FRESH").unwrap_or(0)).map(|_| RandomState::new().hash_one(0));
    let seeds: Vec<u64> = REGRESSIONS.iter().copied().chain(fixed).chain(fresh).collect();
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if catch_unwind(AssertUnwindSafe(|| Life::new(*seed, false).live())).is_err() {
                        failed.lock().unwrap().push(*seed);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    println!("{} lives", seeds.len());
    assert!(failed.is_empty(), "failing seeds: {failed:?}; ACRYPTO_MODEL_SEED=N lives one of them again");
}

#[test]
fn a_life_replays_from_its_seed() {
    let figures = |seed| {
        let mut life = Life::new(seed, false);
        (0..40).for_each(|_| life.act());
        let stats = life.runtime().stats();
        let events = life.runtime().events().last_seq();
        (life.runtime().now(), stats.accepted_ops, stats.completed_ops, stats.moved_ops, events)
    };
    assert_eq!(figures(5), figures(5));
    assert_ne!(figures(5), figures(6));
}
