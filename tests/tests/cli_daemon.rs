//! A daemon, and commands that steer it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use std::io::Write as _;
use std::process::Stdio;

use acrypto_tests::{Daemon, Feed, Scratch, bytes, ended, piped, wait};
use rustix::process::Signal;
use serde_json::Value;

fn names(rows: &Value) -> Vec<&str> {
    rows.as_array().unwrap().iter().filter_map(|row| row["name"].as_str()).collect()
}

#[test]
fn a_fresh_daemon_has_one_device_a_core_of_each_kind_that_is_best_for_something_and_simple_lb() {
    let daemon = Daemon::start();
    let cores = std::thread::available_parallelism().unwrap().get();
    let devices = daemon.data("device list");
    let kinds = acrypto_core::device::best_kinds().into_iter();
    let expected: Vec<String> =
        kinds.flat_map(|kind| (0..cores).map(move |number| format!("{kind}{number}"))).collect();
    assert_eq!(names(&devices["devices"]), expected);
    assert_eq!(daemon.data("lb get")["name"], "simple_lb");
    assert_eq!(
        names(&daemon.data("lb list")["balancers"]),
        ["simple_lb", "round_robin_lb", "weighted_lb", "latency_lb", "size_lb", "failover_lb"]
    );
    assert_eq!(daemon.data("server info")["pid"], daemon.pid());
    assert!(daemon.data("server ping")["round_trip_ns"].as_u64().unwrap() > 0);
    assert_eq!(daemon.data("session list")["sessions"], Value::Array(Vec::new()));
    assert_eq!(daemon.data("queue show")["queues"][0]["queue"], "main");
}

#[test]
fn every_listing_prints_a_table_plain_rows_and_json() {
    let daemon = Daemon::start();
    for line in [
        "device list",
        "device show soft0",
        "lb list",
        "lb get",
        "session list",
        "queue show",
        "queue show --limit 5",
        "stats show",
        "stats show runtime",
        "stats show device soft0",
        "load list",
        "server info",
    ] {
        let table = daemon.run(line).expect_code(0);
        assert!(!table.stdout.is_empty() && table.stderr.is_empty(), "{line}: {}", table.stderr);
        daemon.run(&format!("{line} --plain")).expect_code(0);
        daemon.data(line);
    }
    let plain = daemon.run("device list --plain --no-headers --fields name,kind").expect_code(0).text();
    assert!(plain.starts_with("soft0\tsoft\n"), "{plain}");
}

#[test]
fn events_come_in_order_added_switched_broken_by_its_error_budget() {
    let daemon = Daemon::start();
    let mut monitor =
        Feed::start(daemon.acrypto("monitor device lb health fault --since 0 --for 120s --json"));
    let sim0 = |event: &Value| event["name"] == "sim0";
    daemon.run("device add sim0 --kind sim").expect_code(0);
    let added = monitor.find(sim0).expect("sim0 is added");
    assert_eq!((added["kind"].as_str(), added["to"].as_str()), (Some("device"), Some("up")));

    daemon.run("lb set round_robin_lb").expect_code(0);
    let switched = monitor.next().expect("the balancer is switched");
    assert_eq!(switched["object"], "lb");
    assert_eq!(
        (switched["from"].as_str(), switched["to"].as_str()),
        (Some("simple_lb"), Some("round_robin_lb"))
    );

    let load = daemon.run("load start --alg aes-128-ctr --size 4K --clients 4").expect_code(0).text();
    daemon.run("device break sim0 --mode error").expect_code(0);
    let broken = monitor.find(|event| sim0(event) && event["to"] == "broken").expect("sim0 breaks");
    assert_eq!(broken["kind"], "health");
    assert!(broken["reason"].as_str().unwrap().contains("errors"), "{broken}");
    let numbers = ["seq", "time_ns", "uid"].map(|key| broken[key].as_u64().unwrap());
    assert!(
        numbers[0] > switched["seq"].as_u64().unwrap() && switched["seq"].as_u64() > added["seq"].as_u64()
    );

    let loads = daemon.data("load list");
    assert_eq!(loads["loads"][0]["failed_ops"], 0, "a broken device loses no work: {loads}");
    daemon.run(&format!("load stop {}", load.trim())).expect_code(0);
    daemon.run("device repair sim0").expect_code(0);
    monitor.find(|event| sim0(event) && event["to"] == "probation").expect("sim0 is repaired");
}

/// Invariant I1, as `stats show` gives it at any instant.
fn assert_sums(stats: &Value) {
    let count = |key: &str| stats[key].as_u64().unwrap_or_else(|| panic!("{key}: {stats}"));
    assert_eq!(count("accepted_ops"), count("completed_ops") + count("main_queue_ops"), "{stats}");
    let flow = ["accepted_ops", "dispatched_ops", "started_ops", "finished_ops", "completed_ops"].map(count);
    assert!(flow.is_sorted_by(|earlier, later| earlier >= later), "{flow:?}");
    for device in stats["devices"].as_array().unwrap() {
        let count = |key: &str| device[key].as_u64().unwrap();
        let accounted = count("finished_ops") + count("moved_out_ops") + count("abandoned_ops");
        assert!(count("taken_ops") >= accounted, "{device}");
    }
}

#[test]
fn i1_the_sums_hold_while_a_load_runs_and_exactly_when_it_rests() {
    let daemon = Daemon::start();
    daemon.run("device add sim0 --kind sim").expect_code(0);
    daemon.run("load start --alg aes-256-gcm --size 1K --clients 4").expect_code(0);
    daemon.run("load start --alg sha256 --size 16K --clients 2 --rate 5k").expect_code(0);
    for _ in 0..50 {
        assert_sums(&daemon.data("stats show"));
    }
    daemon.run("load stop all").expect_code(0);
    assert_eq!(daemon.data("load list")["loads"], Value::Array(Vec::new()));
    // The last operations complete by themselves; every reading must add up until then.
    let stats = std::iter::repeat_with(|| daemon.data("stats show"))
        .inspect(assert_sums)
        .find(|stats| stats["main_queue_ops"] == 0)
        .unwrap();
    assert!(stats["completed_ops"].as_u64().unwrap() > 0);
    assert_eq!(stats["accepted_ops"], stats["completed_ops"]);
}

#[test]
fn a_name_that_is_not_there_exits_4_and_suggests_the_nearest() {
    let daemon = Daemon::start();
    daemon.run("device add accel1 --kind sim").expect_code(0);
    for line in [
        "device show acel1",
        "device break acel1",
        "device repair acel1",
        "device remove acel1",
        "stats show device acel1",
    ] {
        let ended = daemon.run(line).expect_code(4);
        assert_eq!(
            ended.stderr,
            "acrypto: device 'acel1' not found\nhint: did you mean 'accel1'? see 'acrypto device list'\n",
            "{line}"
        );
    }
    let ended = daemon.run("lb set simpel_lb").expect_code(4);
    assert!(ended.stderr.contains("did you mean 'simple_lb'?"), "{}", ended.stderr);
    daemon.run("stats show session 0x7777").expect_code(4);
    daemon.run("load stop 7777").expect_code(4);
    let partial = daemon.run("device show accel1 nobody --json").expect_code(8);
    assert_eq!(names(&partial.data()["devices"]), ["accel1"]);
}

#[test]
fn what_the_state_forbids_exits_5() {
    let daemon = Daemon::start();
    let ended = daemon.run("device add soft0 --kind soft").expect_code(5);
    assert_eq!(ended.stderr.lines().next(), Some("acrypto: device 'soft0' exists"));
    let ended = daemon.run("lb set round_robin_lb --if-current round_robin_lb").expect_code(5);
    assert!(ended.stderr.contains("'simple_lb'"), "{}", ended.stderr);
    assert_eq!(daemon.data("lb get")["name"], "simple_lb");
}

#[test]
fn a_bad_device_is_refused_before_it_is_there() {
    let daemon = Daemon::start();
    let ended = daemon.run("device add x --kind warp").expect_code(2);
    assert!(ended.stderr.contains("'warp'"), "{}", ended.stderr);
    let ended = daemon.run("device add x --kind sim nonsense=1").expect_code(2);
    assert!(ended.stderr.contains("'nonsense'"), "{}", ended.stderr);
    daemon.run("device show x").expect_code(4);
}

#[test]
fn the_last_usable_device_is_not_broken_by_accident() {
    let daemon = Daemon::start();
    let devices = daemon.data("device list");
    let all = names(&devices["devices"]);
    let (last, others) = all.split_last().unwrap();
    for name in others {
        daemon.run(&format!("device remove {name}")).expect_code(0);
    }
    let ended = daemon.run(&format!("device break {last}")).expect_code(5);
    assert!(
        ended.stderr.contains("last usable device") && ended.stderr.contains("--confirm"),
        "{}",
        ended.stderr
    );
    daemon.run(&format!("device break {last} --confirm {last}")).expect_code(0);
    assert_eq!(daemon.data(&format!("device show {last}"))["devices"][0]["state"], "broken");
}

#[test]
fn a_second_daemon_on_the_socket_refuses_and_names_the_first() {
    let daemon = Daemon::start();
    let second = daemon.scratch.run("daemon --listen unix:control.sock").expect_code(5);
    assert!(second.stderr.contains(&daemon.pid().to_string()), "{}", second.stderr);
    assert_eq!(second.stderr.lines().count(), 1, "{}", second.stderr);
    daemon.run("server ping").expect_code(0);
}

#[test]
fn a_socket_left_by_a_killed_daemon_is_cleaned_up() {
    let mut first = Daemon::start();
    first.kill();
    let scratch = first.into_scratch();
    assert!(scratch.file("control.sock").exists());
    let second = Daemon::start_in(scratch);
    second.run("server ping").expect_code(0);
}

#[test]
fn term_and_int_end_the_daemon_with_0_and_remove_its_socket() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut daemon = Daemon::start();
        daemon.run("load start --clients 2").expect_code(0);
        assert_eq!(daemon.end_by(signal), 0);
        assert!(!daemon.scratch.file("control.sock").exists());
    }
}

#[test]
fn a_daemon_that_is_killed_in_the_middle_of_a_file_leaves_the_target_untouched() {
    let mut daemon = Daemon::start();
    daemon.scratch.write("key", bytes(16));
    daemon.scratch.write("out", "before");
    for algorithm in ["aes-128-ctr", "aes-128-cbc"] {
        let line = format!(
            "op encrypt --alg {algorithm} --key-file key --key-format raw --iv 000102030405060708090a0b0c0d0e0f -o out"
        );
        let mut command = daemon.acrypto(&line);
        let mut child = piped(&mut command).stdin(Stdio::piped()).spawn().unwrap();
        // More than the pipe and all chunks under way hold: the daemon is at work.
        child.stdin.as_mut().unwrap().write_all(&bytes(4 << 20)).unwrap();
        let stdin = child.stdin.take();
        daemon.kill();
        let ended = wait(child).expect_code(7);
        drop(stdin);
        assert!(ended.stderr.starts_with("acrypto: server went away"), "{}", ended.stderr);
        assert_eq!(daemon.scratch.read("out"), b"before");
        assert!(!daemon.scratch.names().iter().any(|name| name.starts_with(".acrypto-")));
        daemon = Daemon::start_in(daemon.into_scratch());
    }
}

#[test]
fn a_monitor_ends_with_its_count_its_time_and_its_server() {
    let mut daemon = Daemon::start();
    let counted = daemon.run("monitor --since 0 --count 1 --json").expect_code(0);
    assert_eq!(counted.text().lines().count(), 1);
    daemon.run("monitor --for 1ms").expect_code(0);
    let mut command = daemon.acrypto("monitor --since 0 --json");
    let mut child = piped(&mut command).spawn().unwrap();
    let mut first = [0];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut first).unwrap();
    daemon.kill();
    wait(child).expect_code(3);
}

#[test]
fn a_monitor_whose_reader_goes_away_ends_quietly() {
    let daemon = Daemon::start();
    for line in ["monitor --since 0", "device list --watch=1m"] {
        let mut command = daemon.acrypto(line);
        let mut child = piped(&mut command).spawn().unwrap();
        let mut first = [0];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut first).unwrap();
        drop(child.stdout.take());
        let ended = wait(child).expect_code(0);
        assert_eq!(ended.stderr, "");
    }
}

#[test]
fn the_daemon_says_where_it_cannot_listen() {
    let scratch = Scratch::new();
    scratch.write("file", "");
    let ended = scratch.run("daemon --listen unix:file/x.sock");
    assert!(ended.stderr.starts_with("acrypto: cannot listen on 'unix:file/x.sock'"), "{}", ended.stderr);
    assert_eq!(ended.code, 10);
    let ended = scratch.run("daemon --listen embedded").expect_code(2);
    assert!(ended.stderr.contains("'embedded'"), "{}", ended.stderr);
    let mut command = scratch.acrypto(["daemon"]);
    command.env_remove("XDG_RUNTIME_DIR");
    if !rustix::process::geteuid().is_root() {
        assert!(ended_text(command).contains("XDG_RUNTIME_DIR"));
    }
}

fn ended_text(command: std::process::Command) -> String {
    ended(command).expect_code(2).stderr
}

#[test]
fn wire_shows_messages_and_no_key() {
    let daemon = Daemon::start();
    daemon.scratch.write("key", "00112233445566778899aabbccddeeff");
    daemon.scratch.write("plain", "text");
    let line = "op encrypt --alg aes-128-ctr --key-file key --iv 000102030405060708090a0b0c0d0e0f -i plain -o out --wire";
    let ended = daemon.run(line).expect_code(0);
    assert!(ended.stderr.contains("session-new"), "{}", ended.stderr);
    assert!(!ended.stderr.to_lowercase().replace([' ', ':'], "").contains("00112233"), "{}", ended.stderr);
}

#[test]
fn a_daemon_ends_when_an_admin_asks_it_to_and_no_other_one_does() {
    let mut daemon = Daemon::start();
    let mut monitor = Feed::start(daemon.acrypto("monitor --since 0 --for 120s --json"));
    let refused = daemon.run("server shutdown --no-input").expect_code(5);
    assert!(refused.stderr.contains("0 operations are under way; the daemon ends"), "{}", refused.stderr);
    daemon.run("server shutdown --confirm 0").expect_code(5);
    daemon.run("server ping").expect_code(0);
    let epoch = daemon.data("server info")["epoch"].as_str().unwrap().to_owned();
    assert!(refused.stderr.contains(&format!("pass --confirm {epoch}")), "{}", refused.stderr);
    daemon.run(&format!("server shutdown --confirm {epoch}")).expect_code(0);
    assert_eq!(daemon.wait(), 0);
    let ending = monitor.find(|event| event["object"] == "server").expect("whoever watches is told");
    assert_eq!((ending["from"].as_str(), ending["to"].as_str()), (Some("up"), Some("ending")));
    assert_eq!(ending["uid"], rustix::process::geteuid().as_raw());
}
