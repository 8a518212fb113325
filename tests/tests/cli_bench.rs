//! `bench`: what is measured, what is refused, and what comes of a bound.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use acrypto_tests::{Daemon, Ended, Scratch, piped, signal_to, wait};
use rustix::process::Signal;
use serde_json::{Value, json};

/// Keys of a result that the command promises.
const KEYS: [&str; 17] = [
    "ptest",
    "alg",
    "size_bytes",
    "burst_ops",
    "sessions",
    "clients",
    "device",
    "lb",
    "ops",
    "seconds",
    "cpu_seconds",
    "ops_per_s",
    "bytes_per_s",
    "p50_ns",
    "p99_ns",
    "p999_ns",
    "errors",
];

fn run(line: &str) -> Ended {
    let warmup = if line.contains("--warmup") { "" } else { "--warmup 0s " };
    Scratch::new().run(&format!("bench run {warmup}{line}"))
}

fn results(line: &str) -> Vec<Value> {
    run(&format!("--json {line}")).expect_code(0).data()["results"].as_array().unwrap().clone()
}

/// What a refusal says first.
#[track_caller]
fn refused(line: &str, code: i32) -> String {
    run(line).expect_code(code).stderr.lines().next().unwrap().to_owned()
}

#[test]
fn every_key_is_there_for_every_algorithm_size_and_burst_in_their_order() {
    let rows = results("--alg null --alg sha256 --size 64 --size 1K --burst 1 --burst 8 --ops 200");
    let what: Vec<_> = rows
        .iter()
        .map(|row| (row["alg"].as_str().unwrap(), &row["size_bytes"], &row["burst_ops"]))
        .collect();
    let expected: Vec<_> = ["null", "sha256"]
        .iter()
        .flat_map(|alg| [64, 1024].map(|size| [1, 8].map(|burst| (*alg, json!(size), json!(burst)))))
        .flatten()
        .collect();
    assert_eq!(what, expected.iter().map(|(alg, size, burst)| (*alg, size, burst)).collect::<Vec<_>>());
    for row in &rows {
        assert!(KEYS.iter().all(|key| !row[*key].is_null()), "{row}");
        assert_eq!((&row["ops"], &row["errors"], &row["lb"]), (&json!(200), &json!(0), &json!("simple_lb")));
        let number = |key: &str| row[key].as_f64().unwrap();
        assert!(number("seconds") > 0.0 && number("cpu_seconds") > 0.0, "{row}");
        assert!((number("ops_per_s") * number("seconds") - 200.0).abs() < 0.01);
        assert!((number("bytes_per_s") - number("ops_per_s") * number("size_bytes")).abs() < 1.0);
        assert!(number("p50_ns") <= number("p99_ns") && number("p99_ns") <= number("p999_ns"));
    }
    assert_eq!((&rows[0]["device"], &rows[7]["device"]), (&json!("null"), &json!("multi")));
}

#[test]
fn each_ptest_does_what_it_is_asked_for_with_sessions_and_clients() {
    for ptest in ["throughput", "latency", "verify"] {
        let line = format!(
            "--ptest {ptest} --alg aes-128-cbc --alg aes-256-gcm --alg hmac-sha256 --alg null --size 256 --burst 1 --burst 16 --sessions 5 --clients 3 --ops 300"
        );
        for row in results(&line) {
            assert_eq!(
                (&row["ptest"], &row["ops"], &row["errors"]),
                (&json!(ptest), &json!(300), &json!(0)),
                "{row}"
            );
            assert_eq!((&row["sessions"], &row["clients"]), (&json!(5), &json!(3)));
        }
    }
}

#[test]
fn a_length_ends_a_measurement_as_well_as_a_number_of_operations() {
    let rows = results("--alg null --size 64 --for 40ms --warmup 10ms");
    assert!(rows[0]["seconds"].as_f64().unwrap() >= 0.04 && rows[0]["ops"].as_u64().unwrap() > 100);
}

#[test]
fn device_and_balancer_override_what_is_best() {
    let rows = results("--alg aes-128-ctr --size 64 --ops 100 --device sim --lb round_robin_lb");
    assert_eq!((&rows[0]["device"], &rows[0]["lb"]), (&json!("sim"), &json!("round_robin_lb")));
    let rows = results("--alg sha512 --size 64 --ops 100 --device soft");
    assert_eq!(rows[0]["device"], "soft");
}

#[test]
fn values_may_be_separated_by_commas() {
    let text = run("--csv --alg null --size 64 --ops 100").expect_code(0).text();
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!((lines.len(), &lines[0][..KEYS.len()]), (2, &KEYS[..]));
    assert_eq!(lines[0].len(), lines[1].len());
    assert_eq!(lines[1][..9], ["throughput", "null", "64", "32", "1", "1", "null", "simple_lb", "100"]);
    let bare = run("--csv --no-headers --alg null --size 64 --ops 100").expect_code(0).text();
    assert_eq!(bare.lines().count(), 1);
}

#[test]
fn a_bound_that_does_not_hold_ends_with_1_after_the_results() {
    let held = "--alg null --size 64 --ops 100 --assert errors==0 --assert ops>=100 --assert p50_ns<1e10";
    run(held).expect_code(0);
    let broken =
        run("--alg null --size 64 --ops 100 --json --assert ops>100 --assert errors<=0").expect_code(1);
    assert_eq!(broken.data()["results"][0]["ops"], 100);
    assert_eq!(broken.stderr, "acrypto: null 64 bytes burst 32: ops is 100, not > 100\n");
}

#[test]
fn what_is_wrong_is_refused_before_anything_is_measured() {
    for (line, code, word) in [
        ("--alg aes-512-gcm", 2, "unknown algorithm 'aes-512-gcm'"),
        (
            "--alg aes-128-cbc --size 64 --size 100",
            2,
            "aes-128-cbc without padding needs a multiple of 16 bytes, got 100",
        ),
        ("--alg null --size 2G", 2, "too many for an operation"),
        ("--alg null --size 1G --burst 1024", 2, "would hold more than 8 GiB"),
        ("--size -5", 2, "-5"),
        ("--size x", 2, "'x'"),
        ("--burst 0", 2, "1 to 1024"),
        ("--burst 1025", 2, "1 to 1024"),
        ("--sessions 0", 2, "0"),
        ("--sessions 65537", 2, "65537"),
        ("--clients 0", 2, "0"),
        ("--clients 1025", 2, "1025"),
        ("--for 0s", 2, "no time to measure"),
        ("--for 5", 2, "'5'"),
        ("--ops 0", 2, "0"),
        ("--ops 5 --for 1s", 2, "--for"),
        ("--warmup x", 2, "'x'"),
        ("--ptest speed", 2, "'speed'"),
        ("--alg random --ptest verify", 2, "nothing to verify"),
        ("--alg null --device soft", 2, "a device of kind 'soft' does not have null"),
        ("--alg sha512 --device multi", 2, "a device of kind 'multi' does not have sha512"),
        ("--alg sha512 --device gpu", 2, "unknown device kind 'gpu'"),
        ("--alg null --lb best_lb", 4, "'best_lb'"),
        ("--csv --json", 2, "--json"),
        ("--csv --plain", 2, "--plain"),
        ("--assert ops", 2, "'ops' is not FIELD"),
        ("--assert op_per_s>1", 2, "results have no field 'op_per_s'"),
        ("--assert alg>1", 2, "'alg' is no number"),
        ("--connect unix:/nowhere", 3, "no server at 'unix:/nowhere'"),
    ] {
        let said = refused(line, code);
        assert!(said.starts_with("acrypto: ") && said.contains(word), "{line}: {said}");
    }
    run("--connect embedded --alg null --size 64 --ops 10").expect_code(0);
}

#[test]
fn two_measurements_are_compared_and_what_is_only_in_one_is_named() {
    let scratch = Scratch::new();
    for (name, line) in [
        ("a.json", "--device multi --alg sha256 --size 64 --size 1K"),
        ("b.json", "--device soft --alg sha256 --size 64 --size 1K --size 2K"),
        ("c.json", "--alg null --size 64"),
    ] {
        let ended = scratch.run(&format!("bench run --json --warmup 0s --ops 500 {line}")).expect_code(0);
        scratch.write(name, ended.stdout);
    }
    let compared = scratch.run("bench compare a.json b.json --json").expect_code(8);
    assert_eq!(compared.stderr, "acrypto: sha256 2048 bytes burst 32: only in 'b.json'\n");
    let data = compared.data();
    let rows = data["ratios"].as_array().unwrap();
    assert_eq!(rows.len(), 2);
    for row in rows {
        assert_eq!((&row["a"], &row["b"]), (&json!("multi simple_lb"), &json!("soft simple_lb")));
        for key in ["ops_per_s_ratio", "ops_per_cpu_s_ratio", "p50_ratio", "p99_ratio"] {
            assert!(row[key].as_f64().unwrap() > 0.0, "{key}: {row}");
        }
    }
    let same = scratch.run("bench compare a.json a.json --json").expect_code(0).data();
    assert!(same["ratios"].as_array().unwrap().iter().all(|row| row["ops_per_s_ratio"] == 1.0));

    let refusal = |line: &str, code| scratch.run(line).expect_code(code).stderr;
    assert!(refusal("bench compare a.json c.json", 2).contains("have nothing in common"));
    assert!(refusal("bench compare a.json none.json", 10).contains("'none.json'"));
    scratch.write("other.json", "{\"schema\":1,\"data\":{\"rows\":[]}}");
    assert!(refusal("bench compare a.json other.json", 2).contains("'other.json' has no results"));
    scratch.write("other.json", "not json");
    assert!(refusal("bench compare other.json a.json", 2).contains("'other.json' is no JSON"));
    scratch.write("other.json", "{\"schema\":2}");
    assert!(refusal("bench compare other.json a.json", 2).contains("another schema"));
    assert!(refusal("bench compare a.json", 2).contains("B.json"));
}

#[test]
fn a_daemon_is_measured_with_every_ptest_sessions_and_clients() {
    let daemon = Daemon::start();
    for ptest in ["throughput", "latency", "verify"] {
        let line = format!(
            "bench run --warmup 0s --ptest {ptest} --alg aes-128-cbc --alg aes-256-gcm --alg sha256 --size 256 --burst 1 --burst 100 --sessions 3 --clients 2 --ops 201"
        );
        let data = daemon.data(&line);
        let rows = data["results"].as_array().unwrap();
        assert_eq!(rows.len(), 6);
        for row in rows {
            assert!(KEYS.iter().all(|key| !row[*key].is_null()), "{row}");
            assert_eq!((&row["ptest"], &row["ops"]), (&json!(ptest), &json!(201)), "{row}");
            assert_eq!((&row["errors"], &row["lb"]), (&json!(0), &json!("simple_lb")), "{row}");
            let mut kinds = row["device"].as_str().unwrap().split('+');
            assert!(kinds.all(|kind| ["multi", "aws-lc", "soft"].contains(&kind)), "{row}");
            let number = |key: &str| row[key].as_f64().unwrap();
            assert!(0.0 < number("p50_ns") && number("p50_ns") <= number("p999_ns"), "{row}");
        }
    }
    let stats = daemon.data("stats show");
    assert!(stats["completed_ops"].as_u64().unwrap() >= 3 * 6 * 201, "{stats}");
}

#[test]
fn the_longest_operation_through_a_daemon_is_a_control_message_s() {
    let daemon = Daemon::start();
    let data =
        daemon.data("bench run --warmup 0s --ptest verify --alg aes-256-gcm --size 32K --burst 2 --ops 40");
    assert_eq!((&data["results"][0]["ops"], &data["results"][0]["errors"]), (&json!(40), &json!(0)));
}

#[test]
fn a_device_of_a_daemon_is_used_alone() {
    let daemon = Daemon::start();
    let line = "bench run --warmup 0s --alg sha256 --size 1K --ops 500 --device";
    for device in ["soft", "soft1"] {
        let rows = daemon.data(&format!("{line} {device}"));
        assert_eq!(rows["results"][0]["device"], device);
    }
    let stats = daemon.data("stats show");
    let devices = stats["devices"].as_array().unwrap();
    let taken = |device: &&Value| device["finished_ops"].as_u64().unwrap() > 0;
    assert!(devices.iter().filter(taken).all(|device| device["name"].as_str().unwrap().starts_with("soft")));
}

#[test]
fn what_a_daemon_cannot_do_is_refused_before_anything_is_measured() {
    let daemon = Daemon::start();
    for (line, code, word) in [
        (
            "--alg sha256 --size 64 --size 64K",
            2,
            "65536 bytes are too many for an operation through a daemon",
        ),
        ("--alg sha256 --lb round_robin_lb", 2, "'--lb' would switch the balancer of everybody"),
        ("--alg sha256 --device gpu0", 4, "'gpu0' not found"),
        ("--alg sha256 --device kind:gpu", 4, "'kind:gpu' not found"),
        ("--alg sha512 --device multi", 5, "device 'kind:multi' is not in service or does not have sha512"),
        ("--alg sha256 --device any", 2, "'any' names no device"),
        ("--alg null", 5, "no device of the daemon that is in service has null"),
        ("--alg random --ptest verify", 2, "nothing to verify"),
        ("--alg aes-128-cbc --size 100", 2, "a multiple of 16 bytes"),
    ] {
        let ended = daemon.run(&format!("bench run {line} --for 60s")).expect_code(code);
        assert!(ended.stderr.contains(word), "{line}: {}", ended.stderr);
    }
    assert_eq!(sessions(&daemon), 0);
    let embedded = daemon.run("bench run --connect embedded --alg null --size 64 --ops 10 --warmup 0s");
    embedded.expect_code(0);
}

fn sessions(daemon: &Daemon) -> usize {
    daemon.data("session list")["sessions"].as_array().unwrap().len()
}

#[test]
fn an_interrupted_measurement_leaves_no_session_behind() {
    let daemon = Daemon::start();
    let mut command = daemon.acrypto("bench run --alg sha256 --size 64 --for 1h --clients 2 --sessions 5");
    let child = piped(&mut command).spawn().unwrap();
    while sessions(&daemon) < 10 {}
    signal_to(&child, Signal::INT);
    assert_eq!(wait(child).code, 130);
    while sessions(&daemon) > 0 {}
}

#[test]
fn a_daemon_that_goes_away_ends_the_measurement() {
    let mut daemon = Daemon::start();
    let mut command = daemon.acrypto("bench run --alg sha256 --size 64 --for 1h --clients 2");
    let child = piped(&mut command).spawn().unwrap();
    while sessions(&daemon) < 2 {}
    daemon.kill();
    let ended = wait(child);
    assert!([3, 7].contains(&ended.code), "{ended:?}");
    assert!(ended.stderr.starts_with("acrypto: "), "{ended:?}");
}
