//! Balancers set, previewed and explained from the command line.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use acrypto_tests::Daemon;
use serde_json::Value;

fn parameter(balancer: &Value, name: &str) -> Value {
    let parameters = balancer["parameters"].as_array().unwrap();
    parameters.iter().find(|parameter| parameter["name"] == name).unwrap()["value"].clone()
}

/// A daemon that has carried out enough for a preview.
fn busy() -> Daemon {
    let daemon = Daemon::start();
    daemon.run("device add sim0 --kind sim").expect_code(0);
    daemon.run("load start --alg aes-128-ctr --clients 16").expect_code(0);
    let accepted = |stats: &Value| stats["completed_ops"].as_u64().unwrap() > 20_000;
    std::iter::repeat_with(|| daemon.data("stats show runtime")).find(accepted).unwrap();
    daemon
}

#[test]
fn parameters_are_set_with_the_balancer_or_not_at_all() {
    let daemon = Daemon::start();
    daemon.run("lb set failover_lb primary=soft0 spill=true --if-current simple_lb --rehash").expect_code(0);
    let balancer = daemon.data("lb get");
    assert_eq!(
        (parameter(&balancer, "primary"), parameter(&balancer, "spill")),
        ("soft0".into(), "true".into())
    );
    let table = daemon.run("lb get").expect_code(0).text();
    assert!(table.contains("PARAMETER") && table.contains("spill"), "{table}");

    let ended = daemon.run("lb set size_lb speed=9").expect_code(2);
    assert!(ended.stderr.contains("unknown parameter 'speed' (known: threshold_bytes)"), "{}", ended.stderr);
    daemon.run("lb set latency_lb explore_percent=99").expect_code(2);
    assert_eq!(daemon.data("lb get")["name"], "failover_lb");
    assert_eq!(parameter(&daemon.data("lb get size_lb"), "threshold_bytes"), "0");
    let ended = daemon.run("lb get latncy_lb").expect_code(4);
    assert!(ended.stderr.contains("did you mean 'latency_lb'?"), "{}", ended.stderr);
}

#[test]
fn parameters_are_saved_and_loaded() {
    let daemon = Daemon::start();
    daemon.run("lb set failover_lb primary=soft0").expect_code(0);
    daemon.run("lb set size_lb threshold_bytes=4096").expect_code(0);
    daemon.run("config save saved.toml").expect_code(0);
    let before = daemon.data("config show");
    let again = Daemon::start_with(daemon.into_scratch(), &["--config", "saved.toml"]);
    assert_eq!(again.data("config show"), before);
    assert_eq!(parameter(&again.data("lb get failover_lb"), "primary"), "soft0");
}

#[test]
fn a_preview_says_what_each_balancer_would_have_done() {
    let daemon = busy();
    let previews = daemon.data("lb preview --all");
    let rows = previews["previews"].as_array().unwrap();
    assert_eq!(rows.len(), 6, "{previews}");
    for row in rows {
        assert!(row["samples_ops"].as_u64().unwrap() >= 1_000, "{row}");
        assert!(row["p99_ns"].as_u64() >= row["p50_ns"].as_u64(), "{row}");
        assert!(row["imbalance_ratio"].as_f64().unwrap() >= 1.0, "{row}");
    }
    assert_eq!(daemon.data("lb preview")["previews"][0]["name"], "simple_lb");
    let table = daemon.run("lb preview latency_lb").expect_code(0).text();
    assert!(table.starts_with("BALANCER") && table.contains("latency_lb"), "{table}");
    daemon.run("lb preview best_lb").expect_code(4);
}

#[test]
fn there_is_no_preview_of_too_little() {
    let ended = Daemon::start().run("lb preview --all").expect_code(5);
    assert_eq!(ended.stderr, "acrypto: 0 operations sampled, a preview needs 1000\n");
}

#[test]
fn decisions_are_explained_with_their_figures() {
    let daemon = busy();
    let decisions = daemon.data("lb explain -n 3");
    let rows = decisions["decisions"].as_array().unwrap();
    assert_eq!(rows.len(), 3);
    assert_eq!(
        (rows[0]["alg"].as_str(), rows[0]["balancer"].as_str()),
        (Some("aes-128-ctr"), Some("simple_lb"))
    );
    assert!(!rows[0]["candidates"].as_array().unwrap().is_empty() && rows[0]["why"].is_string());
    let table = daemon.run("lb explain").expect_code(0).text();
    assert!(table.contains("AGE") && table.contains("shortest"), "{table}");
}

#[test]
fn what_is_queued_is_placed_anew_and_balancers_leave() {
    let daemon = Daemon::start();
    daemon.run("lb set round_robin_lb").expect_code(0);
    daemon.run("lb rehash").expect_code(0);
    let data = daemon.data("lb unregister round_robin_lb");
    assert_eq!(data["balancer"]["name"], "simple_lb");
    let ended = daemon.run("lb unregister simple_lb").expect_code(5);
    assert!(ended.stderr.contains("is built in"), "{}", ended.stderr);
    daemon.run("lb set round_robin_lb").expect_code(4);
}
