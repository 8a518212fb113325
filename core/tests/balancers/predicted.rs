//! What a policy would have done, and how far that was off.

use acrypto_core::Error;
use acrypto_core::balancer::{Balancer, Table, View};

use crate::ranch::{MS, OWNER, Ranch, even};

#[test]
fn a_preview_needs_a_thousand_operations_and_not_one_less() {
    let mut ranch = Ranch::new("simple_lb").with("a", even(MS / 10, 4));
    ranch.stream(999, 64, MS);
    let error = ranch.runtime().preview("simple_lb").unwrap_err();
    assert_eq!(error.to_string(), "999 operations sampled, a preview needs 1000");
    assert!(matches!(error, Error::TooFewSamples { samples: 999, min: 1_000 }));
    ranch.submit(1, 64);
    assert_eq!(ranch.runtime().preview("simple_lb").unwrap().samples, 1_000);
    assert!(matches!(ranch.runtime().preview("fast_lb").unwrap_err(), Error::UnknownBalancer { .. }));
}

#[test]
fn a_preview_tells_the_policies_apart() {
    let mut ranch = Ranch::new("round_robin_lb").with("fast", even(MS, 1)).with("slow", even(20 * MS, 1));
    ranch.stream(1_200, 64, 12 * MS);
    let round_robin = ranch.runtime().preview("round_robin_lb").unwrap();
    let latency = ranch.runtime().preview("latency_lb").unwrap();
    let failover = ranch.runtime().preview("failover_lb").unwrap();
    assert!((19 * MS..22 * MS).contains(&round_robin.p99_ns), "{round_robin:?}");
    assert!(latency.p99_ns <= 2 * MS && latency.p50_ns <= 2 * MS, "{latency:?}");
    assert!(round_robin.imbalance < 1.01 && failover.imbalance > 1.99);
    assert_eq!((failover.devices[0].ops, failover.devices[1].ops), (1_200, 0));
    assert_eq!(ranch.runtime().balancer().current, "round_robin_lb", "nothing was switched");
    ranch.settle();
}

#[test]
fn after_a_switch_it_is_stated_how_far_the_prediction_was_off() {
    let mut ranch = Ranch::new("round_robin_lb").with("fast", even(MS, 1)).with("slow", even(20 * MS, 1));
    ranch.stream(1_200, 64, 12 * MS);
    ranch.settle();
    ranch.runtime().set_balancer("failover_lb", None, OWNER).unwrap();
    ranch.stream(900, 64, 12 * MS);
    assert_eq!(ranch.runtime().balancer().accuracy, None, "too few to compare");
    ranch.stream(200, 64, 12 * MS);
    let accuracy = ranch.runtime().balancer().accuracy.unwrap();
    assert_eq!((accuracy.balancer.as_str(), accuracy.predicted.samples), ("failover_lb", 1_200));
    assert!(accuracy.actual_ops >= 1_000);
    assert!(accuracy.p50_off_percent.abs() < 20.0 && accuracy.p99_off_percent.abs() < 20.0, "{accuracy:?}");
}

struct Uncopied;

impl Balancer for Uncopied {
    fn name(&self) -> &str {
        "own_lb"
    }

    fn plan(&mut self, _: &View, _: &mut Table) {}
}

#[test]
fn a_policy_that_cannot_be_copied_has_no_preview() {
    let mut ranch = Ranch::new("simple_lb").with("a", even(MS / 10, 4));
    ranch.runtime().register_balancer(Box::new(Uncopied), OWNER).unwrap();
    ranch.stream(1_000, 64, MS);
    let error = ranch.runtime().preview("own_lb").unwrap_err();
    assert_eq!(error.to_string(), "no preview of balancer 'own_lb': the policy cannot be copied");
}
