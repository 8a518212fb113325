//! What sessions cost in memory: by an allocator that counts every live byte of this process.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test that also tells its figures")]

use std::alloc::System;
use std::sync::Mutex;

use acrypto_core::{Algorithm, Config, Key, Request, Runtime, Session, SessionSpec};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// One test at a time: the allocator counts for all.
static ALONE: Mutex<()> = Mutex::new(());

const IDLE: usize = 100_000;
const OPENED: usize = 1_000_000;
/// What an idle session may cost, with its key, its table entries and its counters.
const IDLE_MAX_BYTES: usize = 1_024;
/// And with its key schedule on a device: AES-256-GCM keeps its round keys, and powers of its hash key.
const USED_MAX_BYTES: usize = 2_048;

/// Live bytes, the least of many looks: the runtime's own threads hold something for a moment now and then.
fn live_bytes() -> usize {
    let look = |_| {
        std::thread::yield_now();
        let stats = ALLOCATOR.stats();
        stats.bytes_allocated.saturating_sub(stats.bytes_deallocated)
    };
    (0..1_000).map(look).min().unwrap_or_default()
}

fn runtime() -> Runtime {
    let runtime = Runtime::start(Config { workers: 1, ..Config::default() }).unwrap();
    runtime.add_device_of_kind("soft0", "soft", &[], 0).unwrap();
    runtime
}

fn open(runtime: &Runtime) -> Session {
    runtime.session(SessionSpec::new(Algorithm::Aes256Gcm), Key::new(vec![7; 32])).unwrap()
}

fn use_once(session: &Session) {
    let completion = session.call(Request::encrypt(Vec::with_capacity(16), [1; 12])).unwrap();
    assert_eq!(completion.result, Ok(()));
}

#[test]
fn an_idle_session_costs_less_than_a_kibibyte() {
    let _alone = ALONE.lock();
    let runtime = runtime();
    let mut sessions = Vec::with_capacity(IDLE);
    let before = live_bytes();
    sessions.extend((0..IDLE).map(|_| open(&runtime)));
    let idle = (live_bytes() - before) / IDLE;
    sessions.iter().for_each(use_once);
    let used = (live_bytes() - before) / IDLE;
    println!("{IDLE} sessions: {idle} bytes each, {used} once used");
    assert_eq!(runtime.sessions().len(), IDLE);
    assert!(idle <= IDLE_MAX_BYTES, "{idle} bytes");
    assert!(used <= USED_MAX_BYTES, "{used} bytes");
}

#[test]
fn a_million_sessions_opened_and_freed_leave_nothing_behind() {
    let _alone = ALONE.lock();
    let runtime = runtime();
    let cycle = |count: usize| {
        for number in 0..count {
            let session = open(&runtime);
            // One in a hundred is known to a device too.
            if number % 100 == 0 {
                use_once(&session);
            }
        }
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
