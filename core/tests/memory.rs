//! What sessions cost in memory: by an allocator that counts every live byte of this process.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test that also tells its figures")]

use std::alloc::System;

use acrypto_core::simulation::Simulation;
use acrypto_core::{Algorithm, Config, Key, Request, Runtime, Session, SessionSpec};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const IDLE: usize = 100_000;
const OPENED: usize = 1_000_000;
/// What an idle session may cost, with its key, its table entries and its counters.
const IDLE_MAX_BYTES: usize = 1_024;
/// And with its key schedule on a device: AES-256-GCM keeps its round keys, and powers of its hash key.
const USED_MAX_BYTES: usize = 2_048;

fn live_bytes() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

/// In simulated time there is no thread but this one, so that what is counted is the sessions' and nothing else's.
fn simulation() -> Simulation {
    let simulation = Simulation::new(Config::default());
    simulation.runtime().add_device_of_kind("soft0", "soft", &[], 0).unwrap();
    simulation
}

fn open(runtime: &Runtime) -> Session {
    runtime.session(SessionSpec::new(Algorithm::Aes256Gcm), Key::new(vec![7; 32])).unwrap()
}

fn use_once(session: &Session) {
    let completion = session.call(Request::encrypt(Vec::with_capacity(16), [1; 12])).unwrap();
    assert_eq!(completion.result, Ok(()));
}

/// One test, because the allocator counts for all.
#[test]
fn sessions_are_small_and_leave_nothing_behind() {
    a_hundred_thousand_idle();
    a_million_opened_and_freed();
}

fn a_hundred_thousand_idle() {
    let simulation = simulation();
    let runtime = simulation.runtime();
    let mut sessions = Vec::with_capacity(IDLE);
    let before = live_bytes();
    sessions.extend((0..IDLE).map(|_| open(runtime)));
    let idle = (live_bytes() - before) / IDLE;
    sessions.iter().for_each(use_once);
    let used = (live_bytes() - before) / IDLE;
    println!("{IDLE} sessions: {idle} bytes each, {used} once used");
    assert_eq!(runtime.sessions().len(), IDLE);
    assert!(idle <= IDLE_MAX_BYTES, "{idle} bytes");
    assert!(used <= USED_MAX_BYTES, "{used} bytes");
}

fn a_million_opened_and_freed() {
    let mut simulation = simulation();
    let runtime = simulation.runtime().clone();
    let mut cycle = |count: usize| {
        for number in 0..count {
            let session = open(&runtime);
            // One in a hundred is known to a device too.
            if number % 100 == 0 {
                use_once(&session);
            }
        }
        simulation.advance(1_000_000_000);
    };
    // Tables take their size.
    cycle(10_000);
    let before = live_bytes();
    cycle(OPENED);
    let after = live_bytes();
    println!("{OPENED} sessions opened and freed: {before} live bytes before, {after} after");
    assert!(runtime.sessions().is_empty());
    assert_eq!(after, before);
}
