//! Bad input: each has its exit code, and one line that names the thing.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use std::io::{Read as _, Write as _};
use std::process::Stdio;

use acrypto_tests::{Scratch, bytes, piped, signal_to, wait};

const IV: &str = "000102030405060708090a0b0c0d0e0f";

fn scratch() -> Scratch {
    let scratch = Scratch::new();
    scratch.write("key", "000102030405060708090a0b0c0d0e0f");
    scratch.write("plain", bytes(100));
    scratch.write("out", "before");
    scratch
}

/// The line fails with this code and these words, writes no data, and leaves the target as it was.
#[track_caller]
fn refused(scratch: &Scratch, line: &str, code: i32, stderr: &str) {
    let names = scratch.names();
    let ended = scratch.run(line).expect_code(code);
    assert_eq!((ended.stderr.as_str(), ended.text().as_str()), (stderr, ""), "{line}");
    assert_eq!(scratch.read("out"), b"before", "{line}");
    assert_eq!(scratch.names(), names, "{line}");
}

#[test]
fn an_unknown_algorithm_is_named_and_the_nearest_one_suggested() {
    refused(
        &scratch(),
        "op encrypt --alg aes-265-gcm --key-file key --iv 00 -i plain -o out",
        2,
        "acrypto: unknown algorithm 'aes-265-gcm'\nhint: did you mean 'aes-256-gcm'?\n",
    );
    refused(
        &scratch(),
        "op encrypt --alg sha256 --key-file key -i plain -o out",
        2,
        "acrypto: sha256 cannot encrypt\n",
    );
    refused(&scratch(), "op hash --alg aes-128-ctr plain", 2, "acrypto: aes-128-ctr cannot digest\n");
}

#[test]
fn a_wrong_key_length_is_told_with_the_right_one() {
    refused(
        &scratch(),
        &format!("op encrypt --alg aes-256-ctr --key-file key --iv {IV} -i plain -o out"),
        2,
        "acrypto: aes-256-ctr needs a key of 32 bytes, got 16\n",
    );
}

#[test]
fn a_wrong_iv_length_is_told_with_the_right_one() {
    refused(
        &scratch(),
        "op encrypt --alg aes-128-ctr --key-file key --iv 0001 -i plain -o out",
        2,
        "acrypto: aes-128-ctr needs an iv of 16 bytes, got 2\n",
    );
    refused(
        &scratch(),
        "op encrypt --alg aes-128-ctr --key-file key -i plain -o out",
        2,
        "acrypto: aes-128-ctr needs an iv of 16 bytes\nhint: pass --iv HEX, or --iv-random to draw one\n",
    );
    refused(
        &scratch(),
        "op encrypt --alg aes-128-ctr --key-file key --iv xy -i plain -o out",
        2,
        "acrypto: '--iv': 'xy' is not hexadecimal\n",
    );
}

#[test]
fn a_partial_block_without_padding_is_refused_with_its_length() {
    let expected = "acrypto: aes-128-cbc without padding needs a multiple of 16 bytes, got 100\n";
    let line = format!("op encrypt --alg aes-128-cbc --key-file key --iv {IV} --no-padding -o out");
    refused(&scratch(), &format!("{line} -i plain"), 2, expected);
    let scratch = scratch();
    let ended = scratch.run_with_input(&line, &bytes(100)).expect_code(2);
    assert_eq!((ended.stderr.as_str(), scratch.read("out")), (expected, b"before".to_vec()));
}

#[test]
fn a_missing_input_is_named() {
    refused(
        &scratch(),
        &format!("op encrypt --alg aes-128-ctr --key-file key --iv {IV} -i nothing -o out"),
        10,
        "acrypto: cannot read 'nothing': no such file or directory\n",
    );
    refused(
        &scratch(),
        "op hash --alg sha256 nothing",
        10,
        "acrypto: cannot read 'nothing': no such file or directory\n",
    );
}

#[test]
fn one_missing_file_among_several_is_told_and_the_others_are_hashed() {
    let scratch = scratch();
    let ended = scratch.run("op hash --alg sha256 plain nothing out").expect_code(8);
    assert_eq!(ended.stderr, "acrypto: cannot read 'nothing': no such file or directory\n");
    assert_eq!(ended.text().lines().count(), 2);
}

#[test]
fn an_unreadable_input_is_named() {
    let scratch = scratch();
    let opened = std::fs::set_permissions(
        scratch.file("plain"),
        <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o000),
    );
    opened.unwrap();
    // Root reads everything; a file of /proc that nobody can read stands in.
    let name = if std::fs::File::open(scratch.file("plain")).is_ok() { "/proc/self/mem" } else { "plain" };
    let line = format!("op encrypt --alg aes-128-ctr --key-file key --iv {IV} -i {name} -o out");
    let ended = scratch.run(&line).expect_code(10);
    assert!(ended.stderr.starts_with(&format!("acrypto: cannot read '{name}': ")), "{}", ended.stderr);
    assert_eq!((ended.stderr.lines().count(), scratch.read("out")), (1, b"before".to_vec()));
}

#[test]
fn a_directory_is_neither_input_nor_output() {
    let scratch = scratch();
    std::fs::create_dir(scratch.file("dir")).unwrap();
    let line = format!("op encrypt --alg aes-128-ctr --key-file key --iv {IV}");
    refused(&scratch, &format!("{line} -i dir -o out"), 10, "acrypto: cannot read 'dir': is a directory\n");
    refused(
        &scratch,
        &format!("{line} -i plain -o dir"),
        10,
        "acrypto: cannot write 'dir': is a directory\n",
    );
    refused(&scratch, "op hash --alg sha256 dir", 10, "acrypto: cannot read 'dir': is a directory\n");
    refused(
        &scratch,
        &format!("{line} -i plain -o no/such"),
        10,
        "acrypto: cannot write 'no/such': no such file or directory\n",
    );
}

#[test]
fn the_output_is_neither_the_input_nor_the_key_by_whatever_name() {
    let scratch = scratch();
    std::os::unix::fs::symlink("plain", scratch.file("link")).unwrap();
    std::fs::hard_link(scratch.file("plain"), scratch.file("hard")).unwrap();
    let line = format!("op encrypt --alg aes-128-ctr --key-file key --iv {IV} -i plain");
    for name in ["plain", "./plain", "link", "hard"] {
        refused(
            &scratch,
            &format!("{line} -o {name}"),
            2,
            &format!("acrypto: output '{name}' is the input\n"),
        );
    }
    refused(&scratch, &format!("{line} -o key"), 2, "acrypto: output 'key' is the key file\n");
    assert_eq!(scratch.read("plain"), bytes(100));
}

#[test]
fn a_full_disk_leaves_the_target_untouched() {
    let scratch = scratch();
    std::fs::File::create(scratch.file("zeros")).unwrap().set_len(8 << 20).unwrap();
    let full = "acrypto: cannot write '/dev/full': no space left on device\n";
    for algorithm in ["aes-128-ctr", "aes-128-cbc"] {
        let line = format!("op encrypt --alg {algorithm} --key-file key --iv {IV} -i zeros -o /dev/full");
        refused(&scratch, &line, 10, full);
    }
    refused(&scratch, "op random 1M -o /dev/full", 10, full);
    let mut command = scratch.acrypto(["op", "hash", "--alg", "sha256", "plain"]);
    command.stdout(std::fs::File::create("/dev/full").unwrap()).stderr(Stdio::piped());
    let ended = wait(command.spawn().unwrap()).expect_code(10);
    assert_eq!(ended.stderr, "acrypto: cannot write 'standard output': no space left on device\n");
}

#[test]
fn key_files_are_read_as_the_manual_says() {
    let scratch = scratch();
    let line = |key: &str| format!("op encrypt --alg aes-128-ctr {key} --iv {IV} -i plain");
    let expected = scratch.run(&line("--key-file key")).expect_code(0).stdout;
    scratch.write("newline", "000102030405060708090A0B0C0D0E0F\n");
    scratch.write("raw", (0..16).collect::<Vec<u8>>());
    for key in [
        "--key-file newline",
        "--key-file raw",
        "--key-file raw --key-format raw",
        "--key-file key --key-format hex",
    ] {
        assert_eq!(scratch.run(&line(key)).expect_code(0).stdout, expected, "{key}");
    }
    let by_descriptor = format!("{} < key", line("--key-fd 0"));
    let mut shell = std::process::Command::new("sh");
    shell
        .arg("-c")
        .arg(format!("{} {by_descriptor}", acrypto_tests::binary().display()))
        .current_dir(scratch.path());
    assert_eq!(acrypto_tests::ended(shell).expect_code(0).stdout, expected);

    refused(
        &scratch,
        &format!("{} -o out", line("--key-file raw --key-format hex")),
        2,
        "acrypto: key in 'raw' is not an even number of hex digits\nhint: pass --key-format raw if the file holds the \
         key's bytes\n",
    );
    refused(
        &scratch,
        &format!("{} -o out", line("--key-file no-key")),
        10,
        "acrypto: cannot read key from 'no-key': no such file or directory\n",
    );
    refused(
        &scratch,
        &format!("{} -o out", line("--key-fd 77")),
        10,
        "acrypto: cannot read key from 'descriptor 77': no such file or directory\n",
    );
    scratch.write("long", vec![7; 10_000]);
    refused(
        &scratch,
        &format!("{} -o out", line("--key-file long")),
        2,
        "acrypto: key in 'long' is longer than 4096 bytes\n",
    );
    scratch.write("empty", "");
    refused(
        &scratch,
        &format!("{} -o out", line("--key-file empty")),
        2,
        "acrypto: aes-128-ctr needs a key of 16 bytes, got 0\n",
    );
}

#[test]
fn json_is_refused_where_standard_output_carries_the_data() {
    let scratch = scratch();
    let line = format!("op encrypt --alg aes-128-ctr --key-file key --iv {IV} -i plain --json");
    let expected =
        "acrypto: '--json' cannot be used while standard output carries the data\nhint: pass -o FILE\n";
    refused(&scratch, &line, 2, expected);
    refused(&scratch, "op random 16 --json", 2, expected);
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly() {
    let scratch = scratch();
    let mut command = scratch.acrypto(["op", "random", "64M"]);
    let mut child = piped(&mut command).spawn().unwrap();
    drop(child.stdout.take());
    let ended = wait(child);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
}

#[test]
fn an_interrupt_exits_130_and_removes_what_was_begun() {
    let scratch = scratch();
    let line = format!("op encrypt --alg aes-128-ctr --key-file key --iv {IV} -o out");
    let mut command = scratch.acrypto(line.split(' '));
    let mut child = piped(&mut command).stdin(Stdio::piped()).spawn().unwrap();
    // More than a pipe holds: when it is written, the command is reading.
    child.stdin.as_mut().unwrap().write_all(&bytes(1 << 20)).unwrap();
    assert!(scratch.names().iter().any(|name| name.starts_with(".acrypto-")));
    let stdin = child.stdin.take();
    signal_to(&child, rustix::process::Signal::INT);
    let ended = wait(child);
    drop(stdin);
    assert_eq!((ended.code, ended.stderr.as_str()), (130, ""));
    assert_eq!(
        (scratch.names(), scratch.read("out")),
        (vec!["key".to_owned(), "out".into(), "plain".into()], b"before".to_vec())
    );
}

#[test]
fn an_interrupt_ends_a_short_file_whose_reader_is_slow() {
    let scratch = scratch();
    // More than a pipe holds.
    scratch.write("short", bytes(500_000));
    for line in [
        format!("op encrypt --alg aes-128-ctr --key-file key --iv {IV} -i short"),
        format!("op encrypt --alg aes-128-cbc --key-file key --iv {IV} -i short"),
        format!("op encrypt --alg aes-128-gcm --key-file key --iv {} -i short", &IV[..24]),
    ] {
        let mut command = scratch.acrypto(line.split(' '));
        let mut child = piped(&mut command).spawn().unwrap();
        let mut stdout = child.stdout.take().unwrap();
        stdout.read_exact(&mut [0]).unwrap();
        signal_to(&child, rustix::process::Signal::INT);
        let ended = wait(child);
        assert_eq!((ended.code, ended.stderr.as_str()), (130, ""), "{line}");
    }
}

#[test]
fn a_word_that_is_no_command_is_answered_with_the_nearest() {
    refused(
        &scratch(),
        "devcie list",
        2,
        "acrypto: unknown command 'devcie'\nhint: did you mean 'device'?\n",
    );
    refused(
        &scratch(),
        "op hash --alg sha256 plain --watch",
        2,
        "acrypto: '--watch' works with list and show commands\n",
    );
}

#[test]
fn without_a_terminal_and_without_a_command_the_short_help_exits_2() {
    let ended = scratch().run("").expect_code(2);
    assert!(ended.stdout.is_empty() && ended.stderr.contains("Usage: acrypto"), "{}", ended.stderr);
}

#[test]
fn help_and_version_need_no_server() {
    let scratch = scratch();
    assert!(scratch.run("help device add").expect_code(0).text().contains("--kind"));
    assert!(scratch.run("version").expect_code(0).text().starts_with("acrypto "));
    assert!(scratch.run("version --json").expect_code(0).data()["version"].is_string());
}

#[test]
fn control_without_a_server_exits_3_with_a_hint() {
    for line in ["device list", "stats show --json", "monitor", "server ping"] {
        let ended = scratch().run(&format!("{line} --connect unix:nobody.sock")).expect_code(3);
        assert_eq!(
            ended.stderr,
            "acrypto: no server at 'unix:nobody.sock': no such file or directory\nhint: start one with 'acrypto daemon'\n"
        );
    }
    let ended = scratch().run("device list --connect tcp:1").expect_code(2);
    assert!(ended.stderr.starts_with("acrypto: 'tcp:1' is no address"), "{}", ended.stderr);
}
