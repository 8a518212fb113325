//! Clients that know nothing of acrypto but its protocol: the examples of `netlink/examples`, by stock netlink libraries,
//! against a real daemon.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use acrypto_tests::{Daemon, Ended, Scratch, ended, note, skip, succeeds};

/// A user without rights, on any system.
const NOBODY: u32 = 65_534;

fn example(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../netlink/examples").join(path)
}

/// Each test has a port of its own.
fn daemon(port: u32, rights: &str) -> Daemon {
    Daemon::start_with(Scratch::new(), &["--listen", &format!("netlink:{port:#x}{rights}")])
}

/// Builds the example in C; `None` if there is no libnl.
fn built(daemon: &Daemon) -> Option<PathBuf> {
    const LIBRARY: &str = "libnl-genl-3.0";
    if !succeeds("pkg-config", &["--exists", LIBRARY]) {
        skip("libnl-genl-3-dev or pkg-config is not installed");
        return None;
    }
    let flags = Command::new("pkg-config").args(["--cflags", "--libs", LIBRARY]).output().unwrap().stdout;
    let flags = String::from_utf8(flags).unwrap();
    let program = daemon.scratch.file("manage");
    let mut compiler = Command::new("cc");
    compiler.args(["-Wall", "-Wextra", "-Werror", "-o"]).arg(&program).arg(example("c/manage.c"));
    ended({
        compiler.args(flags.split_whitespace());
        compiler
    })
    .expect_code(0);
    Some(program)
}

fn managed(program: impl AsRef<std::ffi::OsStr>, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments);
    command
}

/// What every example prints of a fresh daemon.
fn all_is_well(ended: Ended) {
    let text = ended.expect_code(0).text();
    for expected in [
        "family acrypto has id 0x20\n",
        "device soft0, kind soft, state 3\n",
        ": simple_lb -> round_robin_lb\n",
        "sha256 of \"abc\" by ",
        "balancer 'no_such_lb' not found",
    ] {
        assert!(text.contains(expected), "{expected:?} is missing in:\n{text}");
    }
}

#[test]
fn libnl_manages_a_daemon() {
    let daemon = daemon(0x4190_0001, ",rw");
    let Some(program) = built(&daemon) else { return };
    all_is_well(ended(managed(&program, &["0x41900001"])));
    assert_eq!(daemon.data("lb get")["name"], "simple_lb", "the last switch of the example");
}

#[test]
fn pyroute2_manages_a_daemon() {
    if !succeeds("python3", &["-c", "import pyroute2"]) {
        return skip("pyroute2 is not installed for python3");
    }
    let daemon = daemon(0x4190_0002, ",rw");
    let script = example("python/manage.py");
    all_is_well(ended(managed("python3", &[script.to_str().unwrap(), "0x41900002"])));
    assert_eq!(daemon.data("lb get")["name"], "simple_lb", "the last switch of the example");
}

#[test]
fn a_daemon_that_only_lets_read_refuses_a_stock_client_in_words() {
    let daemon = daemon(0x4190_0003, "");
    let Some(program) = built(&daemon) else { return };
    let refused = ended(managed(&program, &["0x41900003"])).expect_code(1);
    assert!(refused.text().contains("device soft0, kind soft"), "it may look");
    assert!(refused.stderr.contains("'event-subscribe' needs class use"), "{}", refused.stderr);
    assert!(refused.stderr.contains("(errno 1)"), "{}", refused.stderr);
}

#[test]
fn a_user_without_rights_changes_nothing_by_a_stock_client() {
    if !rustix::process::geteuid().is_root() {
        return note("skipped: only root can become somebody else");
    }
    let daemon = daemon(0x4190_0004, ",rw");
    let Some(program) = built(&daemon) else { return };
    // The scratch directory is its owner's alone.
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let public = directory.path().join("manage");
    fs::copy(&program, &public).unwrap();
    let mut command = managed(&public, &["0x41900004"]);
    command.uid(NOBODY).gid(NOBODY).current_dir("/");
    let refused = ended(command).expect_code(1);
    assert!(refused.text().contains("device soft0, kind soft"), "it may look");
    assert!(
        refused.stderr.contains("'balancer-set' needs class admin") && refused.stderr.contains("uid 65534"),
        "{}",
        refused.stderr
    );
    assert_eq!(daemon.data("lb get")["name"], "simple_lb");
}

#[test]
fn our_own_commands_speak_it_too_and_say_who_has_the_port() {
    let daemon = daemon(0x4190_0005, ",rw");
    let over = |line: &str| {
        let mut command = daemon.scratch.acrypto(line.split_whitespace());
        command.env("ACRYPTO_CONNECT", "netlink:0x41900005");
        ended(command)
    };
    over("lb set latency_lb").expect_code(0);
    assert_eq!(daemon.data("lb get")["name"], "latency_lb");
    let listen = daemon.data("server info")["listen"].to_string();
    assert!(listen.contains("netlink:0x41900005,rw"), "{listen}");
    let taken = daemon.run("daemon --listen netlink:0x41900005").expect_code(5);
    let expected = format!("'netlink:0x41900005' is served by process {} already", daemon.pid());
    assert!(taken.stderr.contains(&expected), "{}", taken.stderr);
    let nobody = daemon.run("--connect netlink:0x41900006 lb get").expect_code(3);
    assert!(
        nobody.stderr.contains("no server at 'netlink:0x41900006': connection refused"),
        "{}",
        nobody.stderr
    );
}
