//! Devices drained, tested, shadowed and given faults from the command line.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use acrypto_tests::{Daemon, Feed};
use serde_json::Value;

fn device(daemon: &Daemon, name: &str) -> Value {
    daemon.data(&format!("device show {name}"))["devices"][0].clone()
}

#[test]
fn a_device_is_drained_while_it_works_and_resumed() {
    let daemon = Daemon::start();
    daemon.run("device add sim0 --kind sim").expect_code(0);
    daemon.run("load start --clients 16").expect_code(0);
    let drained = daemon.data("device drain sim0 --wait --deadline 20s");
    assert_eq!(drained["device"]["state"], "drained");
    assert_eq!(drained["device"]["leaving"]["remaining_ops"], 0);
    assert_eq!(drained["device"]["leaving"]["to"], "drained");
    let ended = daemon.run("device drain sim0").expect_code(5);
    assert!(ended.stderr.contains("is drained, cannot drain"), "{}", ended.stderr);
    daemon.run("device resume sim0").expect_code(0);
    assert_eq!(device(&daemon, "sim0")["leaving"], Value::Null);
    daemon.run("device resume sim0").expect_code(5);
    assert_eq!(daemon.data("load list")["loads"][0]["failed_ops"], 0);
}

#[test]
fn the_last_usable_device_is_not_drained_by_accident() {
    let daemon = Daemon::start();
    let devices = daemon.data("device list");
    let all: Vec<&str> =
        devices["devices"].as_array().unwrap().iter().filter_map(|row| row["name"].as_str()).collect();
    let (last, others) = all.split_last().unwrap();
    for name in others {
        daemon.run(&format!("device drain {name} --wait")).expect_code(0);
    }
    let ended = daemon.run(&format!("device drain {last}")).expect_code(5);
    assert!(ended.stderr.contains("last usable device"), "{}", ended.stderr);
    daemon.run(&format!("device drain {last} --confirm {last} --wait")).expect_code(0);
}

#[test]
fn a_device_is_tested_when_asked() {
    let daemon = Daemon::start();
    daemon.run("device add sim0 --kind sim").expect_code(0);
    for name in ["soft0", "sim0"] {
        daemon.run(&format!("device test {name}")).expect_code(0);
        assert_eq!(device(&daemon, name)["state"], "up");
    }
    daemon.run("device break sim0 --mode corrupt").expect_code(0);
    let ended = daemon.run("device test sim0").expect_code(5);
    assert!(ended.stderr.contains("device 'sim0' is broken"), "{}", ended.stderr);
    daemon.run("device test sim7").expect_code(4);
}

#[test]
fn a_shadow_compares_what_a_device_does() {
    let daemon = Daemon::start();
    daemon.run("device add sim0 --kind sim").expect_code(0);
    let shadowed = daemon.data("device set sim0 shadow=1");
    assert_eq!(shadowed["device"]["shadow_ratio"], 1.0);
    let devices = daemon.data("device list");
    let software = devices["devices"].as_array().unwrap().iter().filter(|row| row["kind"] != "sim");
    let software: Vec<&str> = software.filter_map(|row| row["name"].as_str()).collect();
    for name in &software {
        daemon.run(&format!("device drain {name} --wait")).expect_code(0);
    }
    daemon.run("load start --alg aes-128-ctr --clients 16").expect_code(0);
    let compared = |row: &Value| row["shadowed_ops"].as_u64().unwrap() > 0;
    std::iter::repeat_with(|| device(&daemon, "sim0")).find(compared).unwrap();

    for name in &software {
        daemon.run(&format!("device resume {name}")).expect_code(0);
    }
    let mut monitor = Feed::start(daemon.acrypto("monitor health --since 0 --json"));
    daemon.run("device break sim0 --mode corrupt").expect_code(0);
    monitor.find(|event| event["name"] == "sim0" && event["to"] == "broken").expect("sim0 breaks");
    assert_eq!(daemon.data("load list")["loads"][0]["failed_ops"], 0);
    for (wrong, word) in [("shadow=2", "0 to 1"), ("shadow=x", "0 to 1"), ("speed=2", "known here: shadow")] {
        let ended = daemon.run(&format!("device set sim0 {wrong}")).expect_code(2);
        assert!(ended.stderr.contains(word), "{}", ended.stderr);
    }
}

#[test]
fn every_fault_is_put_on_shown_and_taken_off() {
    let daemon = Daemon::start();
    daemon.run("device add sim0 --kind sim").expect_code(0);
    let fault =
        daemon.data("device break sim0 --mode delay --op mac --delay 20ms")["device"]["fault"].clone();
    assert_eq!(fault["delay_ns"], 20_000_000);
    for mode in ["error", "delay", "hang", "lost", "late", "duplicate", "corrupt", "reorder", "death", "full"]
    {
        // An operation that no load submits, so that the device stays as it is.
        let line = format!(
            "device break sim0 --mode {mode} --op mac --size 1M-2M --count 3 --every 2 --rate 0.5 --for 1h --seed 7"
        );
        let fault = daemon.data(&line)["device"]["fault"].clone();
        assert_eq!((fault["mode"].as_str(), fault["op"].as_str()), (Some(mode), Some("mac")), "{fault}");
        assert_eq!(
            (fault["size_min_bytes"].as_u64(), fault["rate_ratio"].as_f64()),
            (Some(1 << 20), Some(0.5))
        );
    }
    daemon.run("device repair sim0").expect_code(0);
    assert_eq!(device(&daemon, "sim0")["fault"], Value::Null);
}

#[test]
fn an_idle_device_shows_its_heartbeats() {
    let daemon = Daemon::start();
    let beats = std::iter::repeat_with(|| device(&daemon, "soft0"));
    let beaten = beats.take(10_000).find(|row| row["heartbeats_sent"].as_u64().unwrap() > 0);
    assert_eq!(beaten.expect("it is asked")["heartbeats_failed"], 0);
}
