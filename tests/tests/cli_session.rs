//! Sessions and tenants, steered from the command line.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use acrypto_tests::Daemon;
use serde_json::Value;

fn daemon() -> Daemon {
    let daemon = Daemon::start();
    daemon.scratch.write("key", "00112233445566778899aabbccddeeff");
    daemon.scratch.write("mac", "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff");
    daemon.scratch.write("other", "ffeeddccbbaa99887766554433221100");
    daemon
}

fn opened(daemon: &Daemon, options: &str) -> String {
    let id = daemon.run(&format!("session new {options}")).expect_code(0).text().trim().to_owned();
    assert!(id.starts_with("0x"), "{id}");
    id
}

fn shown(daemon: &Daemon, id: &str) -> Value {
    daemon.data(&format!("session show {id}"))
}

#[test]
fn a_session_is_opened_with_preferences_shown_and_freed() {
    let daemon = daemon();
    daemon.run("device add sim0 --kind sim").expect_code(0);
    let id = opened(
        &daemon,
        "--alg aes-128-ctr --key-file key --device sim0,prefer --priority 6 --ordered --tenant web --deadline 2s --name flow",
    );
    let session = shown(&daemon, &id);
    for (key, value) in
        [("alg", "aes-128-ctr"), ("device", "sim0,prefer"), ("tenant", "web"), ("name", "flow"), ("id", &id)]
    {
        assert_eq!(session[key], value, "{session}");
    }
    assert_eq!((session["priority"].as_u64(), session["ordered"].as_bool()), (Some(6), Some(true)));
    let table = daemon.run("session list").expect_code(0).text();
    assert!(table.contains("sim0,prefer") && table.contains("web"), "{table}");
    assert_eq!(daemon.data(&format!("session free {id}"))["freed"][0], id.as_str());
    daemon.run(&format!("session show {id}")).expect_code(4);
}

#[test]
fn a_route_takes_a_key_file_for_each_stage() {
    let daemon = daemon();
    let id = opened(&daemon, "--route aes-128-cbc@soft0,hmac-sha256 --key-file key --key-file mac");
    assert_eq!(shown(&daemon, &id)["route"], serde_json::json!(["aes-128-cbc", "hmac-sha256"]));
    let ended = daemon.run("session new --route aes-128-cbc,hmac-sha256 --key-file key").expect_code(2);
    assert_eq!(ended.stderr, "acrypto: session needs 2 keys, got 1\n");
    let ended =
        daemon.run("session new --route sha256,hmac-sha256 --key-file key --key-file mac").expect_code(2);
    assert!(ended.stderr.contains("route 'sha256,hmac-sha256' is not"), "{}", ended.stderr);
}

#[test]
fn a_session_gets_another_key_and_another_tie() {
    let daemon = daemon();
    let id = opened(&daemon, "--alg aes-128-ctr --key-file key");
    daemon.run(&format!("session rekey {id} --key-file other")).expect_code(0);
    assert_eq!(shown(&daemon, &id)["rekeys"], 1);
    let ended = daemon.run(&format!("session rekey {id} --key-file mac")).expect_code(2);
    assert!(ended.stderr.contains("needs a key of 16 bytes, got 32"), "{}", ended.stderr);
    for tie in ["soft0", "soft0,prefer", "kind:soft"] {
        daemon.run(&format!("session bind {id} {tie}")).expect_code(0);
        assert_eq!(shown(&daemon, &id)["device"], tie);
    }
    let session = daemon.data(&format!("session bind {id} any"));
    assert_eq!(session["session"]["device"], "(any)");
}

#[test]
fn a_session_that_is_not_there_exits_4() {
    let daemon = daemon();
    for line in [
        "session show 0x7777",
        "session rekey 0x7777 --key-file key",
        "session bind 0x7777 any",
        "session free 0x7777",
    ] {
        let ended = daemon.run(line).expect_code(4);
        assert_eq!(
            ended.stderr, "acrypto: session '0x7777' not found\nhint: see 'acrypto session list'\n",
            "{line}"
        );
    }
    let id = opened(&daemon, "--alg sha256");
    let partial = daemon.run(&format!("session free {id} 0x7777 --json")).expect_code(8);
    assert_eq!(partial.data()["freed"][0], id.as_str());
}

#[test]
fn a_tenant_gets_a_weight_and_a_limit() {
    let daemon = daemon();
    daemon.run("tenant set web weight=3").expect_code(0);
    let tenant = daemon.data("tenant set web limit=100");
    assert_eq!(
        (tenant["tenant"]["weight"].as_u64(), tenant["tenant"]["limit_ops"].as_u64()),
        (Some(3), Some(100))
    );
    let table = daemon.run("tenant list").expect_code(0).text();
    assert!(table.starts_with("NAME") && table.contains("web"), "{table}");
    let ended = daemon.run("tenant set web weight=1001").expect_code(2);
    assert!(ended.stderr.contains("from 1 to 1000"), "{}", ended.stderr);
    let ended = daemon.run("tenant set web wieght=1").expect_code(2);
    assert!(ended.stderr.contains("did you mean 'weight'?"), "{}", ended.stderr);
    daemon.run("tenant set web weight=x").expect_code(2);
}
