//! The last decisions, with the figures they were made on.

use crate::ranch::{MS, Ranch, even};

#[test]
fn decisions_show_their_figures() {
    let mut ranch = Ranch::new("latency_lb").with("fast", even(MS, 1)).with("slow", even(10 * MS, 1));
    ranch.stream(50, 64, 20 * MS);
    ranch.settle();
    let decisions = ranch.runtime().explain(10);
    assert_eq!(decisions.len(), 10);
    assert!(decisions.is_sorted_by(|a, b| a.time_ns >= b.time_ns), "the latest first");
    let latest = &decisions[0];
    assert_eq!((latest.policy.as_str(), latest.rule, latest.bytes), ("latency_lb", "least_expected", 64));
    assert_eq!((latest.chosen.as_deref(), latest.why), (Some("fast"), "least expected time"));
    let expected: Vec<_> = latest.candidates.iter().map(|c| (c.device.as_str(), c.expected_ns)).collect();
    assert_eq!(expected, [("fast", Some(MS)), ("slow", Some(10 * MS))]);
    let all = ranch.runtime().explain(usize::MAX);
    assert!(all.iter().any(|decision| decision.why == "explored: its rate is not known"));
}

#[test]
fn i7_decisions_are_sampled_and_bounded() {
    let mut ranch = Ranch::new("simple_lb").with("a", even(MS, 4));
    ranch.stream(64, 64, MS);
    assert_eq!(ranch.runtime().explain(usize::MAX).len(), 64, "the first ones all");
    ranch.stream(640, 64, MS);
    assert_eq!(ranch.runtime().explain(usize::MAX).len(), 64 + 10, "then one of 64");
    ranch.settle();
    ranch.stream(70_000, 64, MS);
    assert_eq!(ranch.runtime().explain(usize::MAX).len(), 1_024);
}
