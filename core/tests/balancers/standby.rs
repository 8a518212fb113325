//! A slower kernel on the same cores gives way to a faster one, and stands in for it.

use std::sync::Arc;

use acrypto_core::device::soft::Soft;
use acrypto_core::device::{DeviceInfo, DirectDevice, Handle, Run, Score};
use acrypto_core::{Algorithm, Engine, Error, Iv, Key, OpKind, SessionSpec};

use crate::ranch::{MS, OWNER, Ranch, even};

/// Software with a claim; above that of all others it takes no chunks of a hash.
struct Scored(Soft, u32);

fn scored(score: u32) -> Engine {
    Engine::Direct(Arc::new(Scored(Soft::new(), score)))
}

impl DirectDevice for Scored {
    fn info(&self) -> DeviceInfo {
        let mut info = DeviceInfo { kind: "scored", ..self.0.info() };
        info.capabilities
            .iter_mut()
            .for_each(|can| can.stream &= can.kind != OpKind::Digest || self.1 <= 100);
        info
    }
    fn probe(&self, spec: &SessionSpec) -> Option<Score> {
        self.0.probe(spec).map(|_| Score(self.1))
    }
    fn open(&self, spec: &SessionSpec, key: &Key) -> Result<Handle, Error> {
        self.0.open(spec, key)
    }
    fn close(&self, handle: Handle) {
        self.0.close(handle);
    }
    fn execute(&self, run: &mut Run<'_>) {
        self.0.execute(run);
    }
}

/// For a runtime of two workers.
fn ranch(balancer: &str, devices: &[(&str, Option<u32>)]) -> Ranch {
    devices.iter().fold(Ranch::new(balancer), |ranch, (name, score)| {
        ranch.with(name, score.map_or_else(|| even(MS, 4), scored))
    })
}

/// Operations that went to each, of forty.
fn shares(ranch: &mut Ranch, names: &[&str]) -> Vec<usize> {
    ranch.forget();
    for _ in 0..10 {
        ranch.submit(4, 64);
        ranch.advance(MS);
    }
    ranch.settle();
    names.iter().map(|name| ranch.ops_of(name)).collect()
}

const FOUR: [(&str, Option<u32>); 4] =
    [("slow0", Some(100)), ("fast0", Some(120)), ("slow1", Some(100)), ("fast1", Some(120))];
const NAMES: [&str; 4] = ["slow0", "fast0", "slow1", "fast1"];

#[test]
fn the_slower_gets_nothing_while_there_is_a_faster_one_for_each_worker() {
    for balancer in ["simple_lb", "round_robin_lb", "weighted_lb", "latency_lb", "size_lb"] {
        let shares = shares(&mut ranch(balancer, &FOUR), &NAMES);
        assert_eq!((shares[0], shares[2], shares[1] + shares[3]), (0, 0, 40), "{balancer}: {shares:?}");
    }
}

#[test]
fn the_slower_stands_in_for_one_that_left_service_until_it_is_back() {
    let mut ranch = ranch("round_robin_lb", &FOUR);
    ranch.runtime().break_device("fast1", None, OWNER).unwrap();
    ranch.advance(200 * MS);
    let without_one = shares(&mut ranch, &NAMES);
    assert!(without_one[..3].iter().all(|ops| *ops > 0) && without_one[3] == 0, "{without_one:?}");
    ranch.runtime().break_device("fast0", None, OWNER).unwrap();
    ranch.advance(200 * MS);
    assert_eq!(shares(&mut ranch, &NAMES), [20, 0, 20, 0]);
    for name in ["fast0", "fast1"] {
        ranch.runtime().repair_device(name, OWNER).unwrap();
    }
    // Through probation, and on to the next plan.
    ranch.advance(60_000 * MS);
    assert_eq!(shares(&mut ranch, &NAMES), [0, 20, 0, 20]);
}

#[test]
fn with_fewer_fast_ones_than_workers_and_among_equals_everyone_works() {
    let mut few = ranch("round_robin_lb", &[("slow0", Some(100)), ("fast0", Some(120))]);
    assert_eq!(shares(&mut few, &["slow0", "fast0"]), [20, 20]);
    let equals = [("a", Some(100)), ("b", Some(100)), ("c", Some(100)), ("d", Some(100))];
    assert_eq!(shares(&mut ranch("round_robin_lb", &equals), &["a", "b", "c", "d"]), [10, 10, 10, 10]);
}

#[test]
fn a_device_with_hardware_of_its_own_never_gives_way() {
    let mut ranch = ranch("round_robin_lb", &[("fast0", Some(120)), ("fast1", Some(120)), ("hw0", None)]);
    let shares = shares(&mut ranch, &["fast0", "fast1", "hw0"]);
    assert!(shares.iter().all(|ops| (13..=14).contains(ops)), "{shares:?}");
}

#[test]
fn a_device_named_in_a_parameter_is_used_whoever_is_better() {
    let mut named = ranch("failover_lb", &FOUR);
    let primary = [("primary".to_owned(), "slow1".to_owned())];
    named.runtime().set_balancer_parameters("failover_lb", &primary, OWNER).unwrap();
    assert_eq!(shares(&mut named, &NAMES), [0, 0, 40, 0]);

    let mut weighted = ranch("weighted_lb", &FOUR);
    let weights = [("slow0", "2"), ("fast0", "1"), ("fast1", "1")];
    let weights = weights.map(|(name, weight)| (name.to_owned(), weight.to_owned()));
    weighted.runtime().set_balancer_parameters("weighted_lb", &weights, OWNER).unwrap();
    assert_eq!(shares(&mut weighted, &NAMES), [20, 10, 0, 10]);
}

#[test]
fn chunks_that_none_of_the_listed_take_go_elsewhere_and_are_not_the_policy_s_fault() {
    let mut ranch = ranch("round_robin_lb", &FOUR);
    let runtime = ranch.runtime().clone();
    let session = runtime.session(SessionSpec::new(Algorithm::Sha256), Key::none()).unwrap();
    let finished_ops = |name: &str| runtime.device(name).unwrap().counters.finished_ops;
    let before = finished_ops("slow0") + finished_ops("slow1");
    for _ in 0..1_000 {
        let mut stream = session.stream(OpKind::Digest, Iv::NONE).unwrap();
        stream.finish_blocking(vec![0; 64]).unwrap();
        ranch.advance(MS);
    }
    assert_eq!(finished_ops("slow0") + finished_ops("slow1"), before + 1_000);
    assert_eq!(runtime.balancer().current, "round_robin_lb");
}
