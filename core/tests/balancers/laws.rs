//! The law of each policy, in simulated time.

use acrypto_core::device::soft::Soft;
use acrypto_core::{Engine, SetBalancer};
use std::sync::Arc;

use crate::ranch::{MS, OWNER, Ranch, even};

fn set(ranch: &Ranch, balancer: &str, name: &str, value: &str) {
    let values = [(name.to_owned(), value.to_owned())];
    ranch.runtime().set_balancer_parameters(balancer, &values, OWNER).unwrap();
}

#[test]
fn simple_lb_gives_work_to_the_shortest_queue_whatever_its_speed() {
    let mut ranch = Ranch::new("simple_lb").with("fast", even(MS, 4)).with("slow", even(10 * MS, 4));
    ranch.submit(8, 64);
    ranch.settle();
    assert_eq!((ranch.ops_of("fast"), ranch.ops_of("slow")), (4, 4));
}

#[test]
fn round_robin_lb_takes_each_device_in_turn() {
    let mut ranch = Ranch::new("round_robin_lb").with("a", even(MS, 1)).with("b", even(9 * MS, 1));
    ranch.stream(100, 64, 20 * MS);
    ranch.settle();
    assert_eq!((ranch.ops_of("a"), ranch.ops_of("b")), (50, 50));
}

#[test]
fn weighted_lb_keeps_the_shares_exactly_while_all_have_room() {
    let mut ranch = Ranch::new("weighted_lb").with("a", even(MS, 1)).with("b", even(MS, 1));
    set(&ranch, "weighted_lb", "a", "3");
    set(&ranch, "weighted_lb", "b", "1");
    ranch.stream(400, 64, 2 * MS);
    ranch.settle();
    assert_eq!((ranch.ops_of("a"), ranch.ops_of("b")), (300, 100));
    // Live: the next operations go by the new share.
    ranch.forget();
    set(&ranch, "weighted_lb", "a", "0");
    ranch.stream(50, 64, 2 * MS);
    ranch.settle();
    assert_eq!((ranch.ops_of("a"), ranch.ops_of("b")), (0, 50));
}

#[test]
fn weighted_lb_without_weights_goes_by_measured_rates() {
    let mut ranch = Ranch::new("weighted_lb").with("fast", even(MS, 1)).with("slow", even(4 * MS, 1));
    ranch.stream(100, 64, 5 * MS);
    ranch.settle();
    ranch.forget();
    ranch.stream(500, 64, 5 * MS);
    ranch.settle();
    assert_eq!((ranch.ops_of("fast"), ranch.ops_of("slow")), (400, 100));
}

#[test]
fn latency_lb_prefers_the_device_that_will_be_done_first_and_counts_its_backlog() {
    let mut ranch = Ranch::new("latency_lb").with("fast", even(MS, 1)).with("slow", even(10 * MS, 1));
    ranch.stream(300, 64, 20 * MS);
    ranch.settle();
    let explored = ranch.ops_of("slow");
    assert!((1..=20).contains(&explored), "an idle runtime tries the slow one now and then: {explored}");
    // A backlog as long as the other's time tips the balance.
    ranch.forget();
    for _ in 0..100 {
        ranch.submit(1, 64);
        ranch.advance(MS / 2);
    }
    ranch.settle();
    let (fast, slow) = (ranch.ops_of("fast"), ranch.ops_of("slow"));
    assert!(fast > 3 * slow && slow > 2, "{fast} {slow}");
    let worst = ranch.done.iter().map(|completion| completion.queue_ns + completion.service_ns).max();
    assert!(worst.unwrap() < 60 * MS, "{worst:?}");
}

#[test]
fn latency_lb_notices_that_a_slow_device_has_become_fast() {
    let (engine, pace) = crate::devices::changeable(50 * MS);
    let mut ranch = Ranch::new("latency_lb").with("steady", even(5 * MS, 1)).with("better", engine);
    set(&ranch, "latency_lb", "explore_percent", "5");
    ranch.stream(200, 64, 10 * MS);
    ranch.settle();
    assert!(ranch.ops_of("better") < 20);
    pace.store(MS, std::sync::atomic::Ordering::Release);
    ranch.stream(300, 64, 10 * MS);
    ranch.forget();
    ranch.stream(100, 64, 10 * MS);
    ranch.settle();
    assert!(ranch.ops_of("better") > 90, "{}", ranch.ops_of("better"));
}

#[test]
fn size_lb_keeps_small_operations_on_software_and_large_ones_on_the_accelerator() {
    let mut ranch =
        Ranch::new("size_lb").with("accel", even(MS, 4)).with("soft0", Engine::Direct(Arc::new(Soft::new())));
    let options =
        SetBalancer { parameters: vec![("threshold_bytes".into(), "1000".into())], ..SetBalancer::default() };
    ranch.runtime().set_balancer_with("size_lb", &options, OWNER).unwrap();
    ranch.stream(20, 1_000, MS);
    ranch.stream(30, 1_001, 2 * MS);
    ranch.settle();
    assert_eq!((ranch.ops_of("soft0"), ranch.ops_of("accel")), (20, 30));
}

#[test]
fn failover_lb_uses_the_standby_only_while_the_primary_is_gone() {
    let mut ranch = Ranch::new("failover_lb").with("a", even(MS, 4)).with("b", even(MS, 4));
    ranch.submit(100, 64);
    ranch.settle();
    assert_eq!((ranch.ops_of("a"), ranch.ops_of("b")), (100, 0), "without spill, work waits for the primary");
    ranch.runtime().break_device("a", None, OWNER).unwrap();
    ranch.submit(100, 64);
    ranch.settle();
    assert_eq!(ranch.ops_of("b"), 100);
    ranch.runtime().repair_device("a", OWNER).unwrap();
    ranch.advance(3_000 * MS);
    ranch.forget();
    ranch.submit(100, 64);
    ranch.settle();
    assert_eq!((ranch.ops_of("a"), ranch.ops_of("b")), (100, 0), "the primary is back");
}

#[test]
fn failover_lb_takes_the_primary_that_is_named_and_spills_when_asked() {
    let mut ranch = Ranch::new("failover_lb").with("a", even(MS, 4)).with("b", even(MS, 4));
    set(&ranch, "failover_lb", "primary", "b");
    ranch.stream(10, 64, MS);
    assert_eq!(ranch.ops_of("b"), 10);
    set(&ranch, "failover_lb", "spill", "true");
    ranch.settle();
    ranch.forget();
    ranch.submit(16, 64);
    ranch.settle();
    // Two runs of four are lent to the primary; the rest spills.
    assert_eq!((ranch.ops_of("b"), ranch.ops_of("a")), (8, 8));
}
