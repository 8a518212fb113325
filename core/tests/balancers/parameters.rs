//! Parameters are set live: all of a call or none, and unknown ones are refused by name.

use acrypto_core::{Error, SetBalancer};

use crate::ranch::{OWNER, Ranch};

fn pairs(values: &[(&str, &str)]) -> Vec<(String, String)> {
    values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn value(ranch: &Ranch, balancer: &str, name: &str) -> String {
    let parameters = ranch.runtime().balancer_parameters(balancer).unwrap();
    parameters.into_iter().find(|parameter| parameter.name == name).unwrap().value
}

#[test]
fn an_unknown_name_is_refused_with_those_that_are_known() {
    let ranch = Ranch::new("simple_lb");
    let set = |balancer: &str, name: &str| {
        ranch
            .runtime()
            .set_balancer_parameters(balancer, &pairs(&[(name, "1")]), OWNER)
            .unwrap_err()
            .to_string()
    };
    assert_eq!(set("latency_lb", "speed"), "unknown parameter 'speed' (known: explore_percent, move_ratio)");
    assert_eq!(set("size_lb", "speed"), "unknown parameter 'speed' (known: threshold_bytes)");
    assert_eq!(set("failover_lb", "speed"), "unknown parameter 'speed' (known: primary, spill)");
    assert_eq!(set("simple_lb", "speed"), "unknown parameter 'speed' (known: none)");
    assert_eq!(set("fast_lb", "speed"), "balancer 'fast_lb' not found");
}

#[test]
fn a_wrong_value_is_refused_and_nothing_of_the_call_is_changed() {
    let ranch = Ranch::new("latency_lb");
    let values = pairs(&[("explore_percent", "7"), ("move_ratio", "101")]);
    let error = ranch.runtime().set_balancer_parameters("latency_lb", &values, OWNER).unwrap_err();
    assert_eq!(error.to_string(), "parameter 'move_ratio': '101' is not from 1 to 100");
    assert_eq!(value(&ranch, "latency_lb", "explore_percent"), "0.5");
    let options = SetBalancer { parameters: pairs(&[("spill", "perhaps")]), ..SetBalancer::default() };
    assert!(ranch.runtime().set_balancer_with("failover_lb", &options, OWNER).is_err());
    assert_eq!(ranch.runtime().balancer().current, "latency_lb", "not switched either");
}

#[test]
fn a_switch_takes_its_parameters_along() {
    let ranch = Ranch::new("simple_lb");
    let options = SetBalancer {
        if_current: Some("simple_lb".to_owned()),
        parameters: pairs(&[("primary", "b, a"), ("spill", "true")]),
        ..SetBalancer::default()
    };
    ranch.runtime().set_balancer_with("failover_lb", &options, OWNER).unwrap();
    let status = ranch.runtime().balancer();
    assert_eq!(status.current, "failover_lb");
    assert_eq!(status.parameters.iter().map(|p| p.value.as_str()).collect::<Vec<_>>(), ["b,a", "true"]);
    let error = ranch.runtime().set_balancer_with("simple_lb", &options, OWNER).unwrap_err();
    assert!(matches!(error, Error::BalancerChanged { .. }), "{error}");
}

#[test]
fn weights_are_named_after_devices_that_need_not_be_there_yet() {
    let ranch = Ranch::new("weighted_lb");
    let set = |value: &str| {
        ranch.runtime().set_balancer_parameters("weighted_lb", &pairs(&[("dev0", value)]), OWNER)
    };
    set("1000").unwrap();
    assert_eq!(value(&ranch, "weighted_lb", "dev0"), "1000");
    let error = set("1001").unwrap_err().to_string();
    assert_eq!(error, "parameter 'dev0': '1001' is not from 0 to 1000, or auto");
    set("auto").unwrap();
    assert!(ranch.runtime().balancer().parameters.is_empty());
}
