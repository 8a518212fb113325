//! I9: one operation costs the direct call and a small fixed budget. How small is measured by `cargo bench -p
//! acrypto-core`; here is what the budget is made of: no other thread, no waiting, and hardly an allocation.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};

use acrypto_core::simulation::Simulation;
use acrypto_core::{Algorithm, Completion, Config, Key, Op, Request, Session, SessionSpec};

const IV: [u8; 16] = [1; 16];

/// How often this thread allocates in `act`; the test harness has threads of its own.
fn allocations(act: impl FnOnce()) -> u64 {
    allocation_counter::measure(act).count_total
}

/// No thread but this one: whatever is done is done by the caller.
fn session() -> (Simulation, Session) {
    session_of(Config::default())
}

fn session_of(config: Config) -> (Simulation, Session) {
    let simulation = Simulation::new(config);
    simulation.runtime().add_device_of_kind("soft0", "soft", &[], 0).unwrap();
    let spec = SessionSpec::new(Algorithm::Aes128Ctr);
    let session = simulation.runtime().session(spec, Key::new(vec![1; 16])).unwrap();
    (simulation, session)
}

fn burst_allocations(session: &Session) -> u64 {
    const OPS: usize = 32;
    let mut burst = session.burst(OPS);
    let mut requests: Vec<Request> = (0..OPS).map(|_| Request::encrypt(vec![0; 64], IV)).collect();
    let mut completions: Vec<Completion> = Vec::with_capacity(OPS);
    let mut rounds = |rounds: usize| {
        for _ in 0..rounds {
            assert_eq!(burst.submit(&mut requests), OPS);
            while burst.outstanding_ops() > 0 {
                burst.poll(&mut completions, OPS);
            }
            requests.extend(completions.drain(..).map(|completion| Request::encrypt(completion.data, IV)));
        }
    };
    rounds(4);
    allocations(|| rounds(1_000))
}

#[test]
fn i9_an_operation_in_an_idle_runtime_takes_no_detour() {
    let (_simulation, session) = session();
    let mut context = Context::from_waker(Waker::noop());
    // The first one opens the session on the device. Nobody would come by for one that is left: no thread is there.
    assert!(pin!(session.submit(Request::encrypt(vec![0; 64], IV))).poll(&mut context).is_ready());
    for _ in 0..100 {
        let request = Request::encrypt(vec![0; 64], IV);
        let count = allocations(|| {
            let done = pin!(session.submit(request)).poll(&mut context);
            assert!(done.is_ready(), "carried out at the first poll, on the caller's thread");
        });
        assert_eq!(count, 0, "allocations");
    }
    assert_eq!(burst_allocations(&session), 0, "a ring in steady state allocates nothing");
}

#[test]
fn i9_what_is_called_in_place_allocates_nothing() {
    let (simulation, session) = session();
    let other = simulation.runtime().session(SessionSpec::new(Algorithm::Aes128Ctr), Key::new(vec![2; 16]));
    let other = other.unwrap();
    let op = |_| Op::new(Request::encrypt(vec![0; 64], IV));
    let mut alike: Vec<Op> = (0..32).map(op).collect();
    let mut mixed: Vec<(&Session, Op)> =
        [&session, &other].into_iter().cycle().zip((0..32).map(op)).collect();
    let mut rounds = |rounds: usize| {
        for _ in 0..rounds {
            assert_eq!(session.call_each(&mut alike), 32);
            assert_eq!(simulation.runtime().call_each(&mut mixed), 32);
        }
    };
    rounds(4);
    assert_eq!(allocations(|| rounds(1_000)), 0);
}

#[test]
fn i9_a_burst_that_goes_to_a_device_as_one_allocates_nothing_in_steady_state() {
    let (simulation, session) = session_of(Config { inline_max_ns: 0, ..Config::default() });
    assert_eq!(burst_allocations(&session), 0);
    let mut burst = session.burst(32);
    burst.submit(&mut (0..32).map(|_| Request::encrypt(vec![0; 64], IV)).collect());
    let ops = simulation.runtime().ops(100);
    assert!(ops.len() == 32 && ops.iter().all(|op| op.id == ops[0].id), "one slot for all of them");
}
