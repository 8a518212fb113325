//! The configuration file: checked, saved, loaded, reloaded.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use acrypto_tests::{Daemon, Feed, Scratch};
use rustix::process::Signal;
use serde_json::Value;

const FILE: &str = r#"
[limits]
main_queue_max_ops = 4096
deadline = "10s"

[balancer]
name = "round_robin_lb"

[device.soft0]
kind = "soft"

[device.accel0]
kind = "sim"
parameters = { op-ns = 200000, lanes = 8 }

[tenant.web]
weight = 3
"#;

fn configured(text: &str) -> Daemon {
    let scratch = Scratch::new();
    scratch.write("acrypto.toml", text);
    Daemon::start_with(scratch, &["--config", "acrypto.toml"])
}

fn limit(daemon: &Daemon, name: &str) -> Value {
    let data = daemon.data("config show");
    let limits = data["limits"].as_array().unwrap();
    limits.iter().find(|limit| limit["name"] == name).unwrap()["value"].clone()
}

#[test]
fn a_daemon_is_as_its_file_says() {
    let daemon = configured(FILE);
    let data = daemon.data("config show");
    assert_eq!(limit(&daemon, "main_queue_max_ops"), 4096);
    assert_eq!(limit(&daemon, "deadline_ns"), 10_000_000_000_u64);
    assert_eq!(limit(&daemon, "sessions_max"), 1 << 20);
    assert_eq!(data["balancer"], "round_robin_lb");
    assert_eq!(data["devices"][1]["parameters"]["lanes"], "8");
    assert_eq!(data["tenants"], serde_json::json!([{ "name": "web", "weight": 3, "limit_ops": 0 }]));
    let table = daemon.run("config show").expect_code(0).text();
    assert!(table.starts_with("NAME") && table.contains("main_queue_max_ops"), "{table}");
}

#[test]
fn what_is_saved_and_loaded_and_saved_again_is_equal() {
    let daemon = configured(FILE);
    daemon.run("device add null.0 --kind null").expect_code(0);
    daemon.run("lb set simple_lb").expect_code(0);
    daemon.run("tenant set uid:1000 weight=2 limit=50").expect_code(0);
    daemon.run("config save saved.toml").expect_code(0);
    let saved = daemon.scratch.read("saved.toml");
    assert_eq!(daemon.run("config save -").expect_code(0).stdout, saved);
    daemon.run("config save - --json").expect_code(2);
    let before = daemon.data("config show");
    daemon.scratch.run("config check saved.toml").expect_code(0);

    let scratch = daemon.into_scratch();
    let again = Daemon::start_with(scratch, &["--config", "saved.toml"]);
    assert_eq!(again.data("config show"), before);
    assert_eq!(again.run("config save -").expect_code(0).stdout, saved);
}

#[test]
fn a_saved_file_holds_no_key() {
    let daemon = Daemon::start();
    daemon.scratch.write("key", "00112233445566778899aabbccddeeff");
    daemon.run("session new --alg aes-128-ctr --key-file key --name secret").expect_code(0);
    let text = daemon.run("config save -").expect_code(0).text();
    assert!(!text.contains("0011") && !text.contains("secret"), "{text}");
}

#[test]
fn a_wrong_file_is_refused_with_its_line_and_nothing_starts() {
    let scratch = Scratch::new();
    scratch.write("acrypto.toml", FILE.replace("main_queue_max_ops", "main_queue_max_op"));
    for line in [
        "config check acrypto.toml",
        "daemon --config acrypto.toml --check",
        "daemon --config acrypto.toml --listen unix:control.sock",
    ] {
        let ended = scratch.run(line).expect_code(2);
        assert_eq!(
            ended.stderr,
            "acrypto: acrypto.toml:3: unknown key 'main_queue_max_op'\nhint: did you mean 'main_queue_max_ops'?\n",
            "{line}"
        );
    }
    assert_eq!(scratch.names(), ["acrypto.toml"]);
    scratch.run("config check missing.toml").expect_code(10);
}

#[test]
fn a_good_file_is_checked_without_a_server() {
    let scratch = Scratch::new();
    scratch.write("acrypto.toml", FILE);
    scratch.run("daemon --config acrypto.toml --check").expect_code(0);
    let data = scratch.run("config check acrypto.toml --json").expect_code(0).data();
    assert_eq!((data["devices"].as_u64(), data["balancer"].as_str()), (Some(2), Some("round_robin_lb")));
}

#[test]
fn a_reload_adds_what_is_new_and_keeps_the_rest() {
    let daemon = configured(FILE);
    let mut monitor = Feed::start(daemon.acrypto("monitor device lb --since 0 --json"));
    daemon.run("device add null0 --kind null").expect_code(0);
    let text = FILE.replace("round_robin_lb", "simple_lb") + "\n[device.accel1]\nkind = \"sim\"\n";
    daemon.scratch.write("acrypto.toml", text);
    daemon.signal(Signal::HUP);
    monitor.find(|event| event["name"] == "accel1" && event["to"] == "up").expect("accel1 is added");
    monitor.find(|event| event["to"] == "simple_lb").expect("the balancer is switched");
    daemon.run("device show soft0 accel0 accel1 null0").expect_code(0);

    daemon.scratch.write("acrypto.toml", "[limits]\nnonsense = 1\n");
    daemon.signal(Signal::HUP);
    daemon.run("server ping").expect_code(0);
    assert_eq!(daemon.data("lb get")["name"], "simple_lb");
}
