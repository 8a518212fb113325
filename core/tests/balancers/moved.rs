//! Queued work goes elsewhere when that helps, and none of it is lost.

use std::sync::atomic::Ordering;

use acrypto_core::SetBalancer;

use crate::devices::changeable;
use crate::ranch::{MS, OWNER, Ranch, even};

#[test]
fn queued_work_leaves_a_device_that_slows_down() {
    let (engine, pace) = changeable(MS);
    let mut ranch = Ranch::new("latency_lb").with("steady", even(2 * MS, 1)).with("slowing", engine);
    // Both are measured, and the second is the better one.
    ranch.stream(100, 64, 4 * MS);
    ranch.settle();
    ranch.forget();
    pace.store(2_000 * MS, Ordering::Release);
    ranch.submit(30, 64);
    let queued = ranch.runtime().device("slowing").unwrap().counters.queued_ops;
    assert!(queued > 10, "{queued}");
    ranch.advance(1_000 * MS);
    let counters = ranch.runtime().device("slowing").unwrap().counters;
    assert!(counters.moved_out_ops >= queued - 4 && counters.queued_ops == 0, "{counters:?}");
    assert!(ranch.done.len() >= 24, "only what it has begun is still on it: {}", ranch.done.len());
    ranch.settle();
    // What was moved was never begun there: it is its first attempt.
    assert!(ranch.done.iter().all(|completion| completion.attempts == 1));
}

#[test]
fn queued_work_goes_to_a_device_that_is_added() {
    let (engine, _pace) = changeable(50 * MS);
    let mut ranch = Ranch::new("latency_lb").with("slow", engine);
    ranch.stream(10, 64, 60 * MS);
    ranch.settle();
    ranch.forget();
    ranch.submit(60, 64);
    ranch.advance(MS);
    let (fast, _) = changeable(MS);
    ranch.add("fast", fast);
    ranch.advance(1_500 * MS);
    assert!(ranch.ops_of("fast") > 40, "{}", ranch.ops_of("fast"));
    assert!(ranch.runtime().balancer().moved_ops > 0);
    ranch.settle();
}

#[test]
fn nothing_is_moved_when_the_ratio_is_zero() {
    let (engine, pace) = changeable(MS);
    let mut ranch = Ranch::new("latency_lb").with("steady", even(2 * MS, 1)).with("slowing", engine);
    let values = [("move_ratio".to_owned(), "0".to_owned())];
    ranch.runtime().set_balancer_parameters("latency_lb", &values, OWNER).unwrap();
    ranch.stream(100, 64, 4 * MS);
    pace.store(100 * MS, Ordering::Release);
    ranch.submit(30, 64);
    ranch.settle();
    assert_eq!(ranch.runtime().device("slowing").unwrap().counters.moved_out_ops, 0);
}

#[test]
fn a_rehash_places_what_is_queued_by_the_new_policy() {
    let (slow, _) = changeable(100 * MS);
    let mut ranch = Ranch::new("failover_lb").with("a", slow).with("b", even(MS, 4));
    ranch.submit(40, 64);
    assert_eq!(ranch.runtime().device("a").unwrap().counters.queued_ops, 40);
    let switch = |ranch: &Ranch, name: &str, rehash: bool| {
        let options = SetBalancer { rehash, ..SetBalancer::default() };
        ranch.runtime().set_balancer_with(name, &options, OWNER).unwrap();
    };
    switch(&ranch, "simple_lb", false);
    ranch.advance(50 * MS);
    assert_eq!(ranch.ops_of("b"), 0, "without a rehash, it stays");
    switch(&ranch, "round_robin_lb", true);
    ranch.advance(50 * MS);
    // In turn, until its two runs of four are full.
    assert_eq!(ranch.ops_of("b"), 8);
    let events = ranch.runtime().events().since(0, 1_000);
    assert!(events.iter().any(|event| event.to == "rehashed"), "{events:?}");
    ranch.settle();
    assert!(ranch.done.iter().all(|completion| completion.attempts == 1));
}

#[test]
fn i2_operations_that_are_moved_again_and_again_all_end_once() {
    let (a, pace_a) = changeable(MS);
    let (b, pace_b) = changeable(MS);
    let mut ranch = Ranch::new("latency_lb").with("a", a).with("b", b);
    for round in 0..60 {
        let paces = if round % 2 == 0 { (MS / 10, 40 * MS) } else { (40 * MS, MS / 10) };
        pace_a.store(paces.0, Ordering::Release);
        pace_b.store(paces.1, Ordering::Release);
        ranch.submit(30, 64);
        ranch.runtime().rehash(OWNER);
        ranch.advance(110 * MS);
    }
    ranch.settle();
    assert_eq!(ranch.done.len(), 1_800);
    assert!(ranch.runtime().balancer().moved_ops > 100);
}
