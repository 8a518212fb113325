//! `op` on files: the same bytes as the tools everyone has.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use std::io::{BufRead as _, Seek as _};

use acrypto_tests::{Daemon, Scratch, bytes, ended, peer, piped, wait};

const KEY_128: &str = "000102030405060708090a0b0c0d0e0f";
const KEY_256: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const IV: &str = "fffffffffffffffffffffffffffffff0";
const NONCE: &str = "a0a1a2a3a4a5a6a7a8a9aaab";

/// Lengths around every edge: empty, a byte, a block, a chunk, several chunks and a rest.
const LENGTHS: [usize; 9] = [0, 1, 15, 16, 65_536, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 7];

/// Bytes of a chunk; a file that is shorter goes in one piece.
const CHUNK: usize = 1 << 20;

fn keys(scratch: &Scratch) {
    scratch.write("key128", KEY_128);
    scratch.write("key256", format!("{KEY_256}\n"));
}

#[test]
fn hash_prints_what_sha256sum_prints() {
    let scratch = Scratch::new();
    let mut names = Vec::new();
    for length in LENGTHS.into_iter().chain([64 << 20]) {
        scratch.write(&format!("f{length}"), bytes(length));
        names.push(format!("f{length}"));
    }
    for name in ["with space", "new\nline", "back\\slash", "return\rreturn", "-dash"] {
        scratch.write(name, name);
        names.push(format!("./{name}"));
    }
    for tool in ["sha256", "sha384", "sha512"] {
        let mut arguments = vec!["op".to_owned(), "hash".to_owned(), "--alg".to_owned(), tool.to_owned()];
        arguments.extend(names.iter().cloned());
        let ours = ended(scratch.acrypto(&arguments)).expect_code(0);
        let words: Vec<&str> = names.iter().map(String::as_str).collect();
        if let Some(theirs) = peer(&format!("{tool}sum"), &words, scratch.path()) {
            assert_eq!(ours.text(), String::from_utf8_lossy(&theirs));
        }
    }
}

/// More files than a batch has, of every length that is treated in a way of its own, in no order of length.
#[test]
fn many_files_are_hashed_in_the_order_of_the_arguments_whatever_their_lengths() {
    let scratch = Scratch::new();
    let lengths = [0, 1, 55, 56, 64, 300, 4_096, 4_097, 70_000, (1 << 20) + 1, (8 << 20) + 3];
    let names: Vec<String> = (0..300).map(|number| format!("f{number}")).collect();
    for (number, name) in names.iter().enumerate() {
        // The long ones are few.
        let length = lengths[number * 7 % if number % 50 == 0 { lengths.len() } else { 8 }];
        scratch.write(name, bytes(length + number % 3));
    }
    let hash = |names: &[String]| {
        let words = ["op", "hash", "--alg", "sha256"].map(str::to_owned);
        ended(scratch.acrypto(words.iter().chain(names)))
    };
    let ours = hash(&names).expect_code(0).text();
    let one_by_one: Vec<String> =
        names.iter().step_by(25).map(|name| hash(std::slice::from_ref(name)).expect_code(0).text()).collect();
    let lines: Vec<String> = ours.lines().step_by(25).map(|line| format!("{line}\n")).collect();
    assert_eq!(lines, one_by_one);
    let words: Vec<&str> = names.iter().map(String::as_str).collect();
    if let Some(theirs) = peer("sha256sum", &words, scratch.path()) {
        assert_eq!(ours, String::from_utf8_lossy(&theirs));
    }
}

#[test]
fn files_that_cannot_be_read_among_many_are_named_and_the_others_hashed() {
    let scratch = Scratch::new();
    scratch.write("f", "abc");
    let mut words = ["op", "hash", "--alg", "sha256"].map(str::to_owned).to_vec();
    words.extend(
        (0..100).map(|number| if number % 10 == 3 { format!("none{number}") } else { "f".to_owned() }),
    );
    words.push(".".to_owned());
    let ended = ended(scratch.acrypto(&words)).expect_code(8);
    assert_eq!(ended.text().lines().count(), 90);
    let mut expected: Vec<String> = (0..10)
        .map(|ten| format!("acrypto: cannot read 'none{}': no such file or directory", ten * 10 + 3))
        .collect();
    expected.push("acrypto: cannot read '.': is a directory".to_owned());
    assert_eq!(ended.stderr.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn a_pipe_among_files_keeps_nobody_waiting_who_comes_before_it() {
    let scratch = Scratch::new();
    scratch.write("f", "abc");
    rustix::fs::mkfifoat(
        rustix::fs::CWD,
        scratch.file("pipe"),
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
    )
    .unwrap();
    let mut command = scratch.acrypto(["op", "hash", "--alg", "sha256", "f", "pipe", "f"]);
    let mut child = piped(&mut command).spawn().unwrap();
    let mut lines = std::io::BufReader::new(child.stdout.take().unwrap()).lines();
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(lines.next().unwrap().unwrap(), format!("{abc}  f"), "before anybody writes into the pipe");
    std::fs::write(scratch.file("pipe"), "abc").unwrap();
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    assert_eq!(rest, [format!("{abc}  pipe"), format!("{abc}  f")]);
    wait(child).expect_code(0);
}

#[test]
fn hash_reads_standard_input() {
    let scratch = Scratch::new();
    let ended = scratch.run_with_input("op hash --alg sha256", b"abc").expect_code(0);
    assert_eq!(ended.text(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  -\n");
}

/// One sparse GiB, when there is time for it.
#[test]
fn a_gibibyte_is_hashed_and_encrypted_in_64_mib() {
    if std::env::var_os("ACRYPTO_BIG").is_none_or(|value| value != "1") {
        return;
    }
    let scratch = Scratch::new();
    keys(&scratch);
    std::fs::File::create(scratch.file("big")).unwrap().set_len(1 << 30).unwrap();
    let lines = [
        "op hash --alg sha256 big",
        "op encrypt --alg aes-128-ctr --key-file key128 --iv 000102030405060708090a0b0c0d0e0f -i big -o /dev/null",
        "op encrypt --alg aes-256-cbc --key-file key256 --iv 000102030405060708090a0b0c0d0e0f -i big -o /dev/null",
    ];
    for line in lines {
        let mut command = std::process::Command::new("/usr/bin/time");
        command
            .args(["-f", "%M"])
            .arg(acrypto_tests::binary())
            .args(line.split(' '))
            .current_dir(scratch.path());
        let ended = ended(command).expect_code(0);
        let peak_kib: u64 = ended.stderr.trim().parse().unwrap();
        assert!(peak_kib < 64 << 10, "{line}: {peak_kib} KiB");
        if line.contains("hash") {
            assert_eq!(
                ended.text(),
                "49bc20df15e412a64472421e13fe86ff1c5165e18b2afccf160d4dc19fe68a14  big\n"
            );
        }
    }
}

#[test]
fn encrypt_gives_what_openssl_enc_gives_and_decrypt_gives_it_back() {
    let scratch = Scratch::new();
    keys(&scratch);
    let daemon = Daemon::start();
    keys(&daemon.scratch);
    for length in LENGTHS {
        scratch.write("plain", bytes(length));
        daemon.scratch.write("plain", bytes(length));
        for (algorithm, key_file, key) in [
            ("aes-128-ctr", "key128", KEY_128),
            ("aes-256-ctr", "key256", KEY_256),
            ("aes-128-cbc", "key128", KEY_128),
            ("aes-256-cbc", "key256", KEY_256),
        ] {
            let options = format!("--alg {algorithm} --key-file {key_file} --iv {IV}");
            scratch.run(&format!("op encrypt {options} -i plain -o sealed")).expect_code(0);
            daemon.run(&format!("op encrypt {options} -i plain -o sealed")).expect_code(0);
            let sealed = scratch.read("sealed");
            assert!(
                daemon.scratch.read("sealed") == sealed,
                "{algorithm} of {length} bytes through a daemon"
            );
            let enc = ["enc", &format!("-{algorithm}"), "-K", key, "-iv", IV, "-in", "plain"];
            if let Some(theirs) = peer("openssl", &enc, scratch.path()) {
                assert!(sealed == theirs, "{algorithm} of {length} bytes differs from openssl's");
            }
            scratch.run(&format!("op decrypt {options} -i sealed -o opened")).expect_code(0);
            daemon.run(&format!("op decrypt {options} -i sealed -o opened")).expect_code(0);
            assert!(scratch.read("opened") == bytes(length), "{algorithm} of {length} bytes");
            assert!(
                daemon.scratch.read("opened") == bytes(length),
                "{algorithm} of {length} bytes by daemon"
            );
        }
    }
}

#[test]
fn a_file_gives_the_same_bytes_whatever_it_comes_through() {
    let scratch = Scratch::new();
    keys(&scratch);
    for length in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1] {
        scratch.write("plain", bytes(length));
        let hash = "op hash --alg sha256";
        let alone = scratch.run(&format!("{hash} plain")).expect_code(0).text();
        let twice = scratch.run(&format!("{hash} plain plain")).expect_code(0).text();
        let from_pipe = scratch.run_with_input(hash, &bytes(length)).expect_code(0).text();
        assert_eq!((alone.repeat(2), alone.replace("plain", "-")), (twice, from_pipe), "{length} bytes");
        for algorithm in ["aes-128-ctr", "aes-128-cbc"] {
            let options = format!("op encrypt --alg {algorithm} --key-file key128 --iv {IV}");
            scratch.run(&format!("{options} -i plain -o sealed")).expect_code(0);
            let sealed = scratch.read("sealed");
            let from_file = scratch.run(&format!("{options} -i plain")).expect_code(0).stdout;
            assert!(from_file == sealed, "{algorithm} of {length} bytes to a pipe");
            let from_pipe = scratch.run_with_input(&options, &bytes(length)).expect_code(0).stdout;
            assert!(from_pipe == sealed, "{algorithm} of {length} bytes from a pipe");
            let mut redirected = scratch.acrypto(options.split(' ').chain(["-o", "redirected"]));
            redirected.stdin(std::fs::File::open(scratch.file("plain")).unwrap());
            ended(redirected).expect_code(0);
            assert!(scratch.read("redirected") == sealed, "{algorithm} of {length} bytes from an open file");
        }
    }
}

#[test]
fn an_open_file_is_read_from_where_it_stands() {
    let scratch = Scratch::new();
    keys(&scratch);
    scratch.write("plain", bytes(1_000));
    scratch.write("rest", &bytes(1_000)[300..]);
    for algorithm in ["aes-128-ctr", "aes-128-cbc"] {
        let options = format!("op encrypt --alg {algorithm} --key-file key128 --iv {IV}");
        let mut file = std::fs::File::open(scratch.file("plain")).unwrap();
        file.seek(std::io::SeekFrom::Start(300)).unwrap();
        let mut redirected = scratch.acrypto(options.split(' '));
        redirected.stdin(file);
        let sealed = scratch.run(&format!("{options} -i rest")).expect_code(0).stdout;
        assert!(ended(redirected).expect_code(0).stdout == sealed, "{algorithm}");
    }
}

#[test]
fn encrypt_works_between_pipes() {
    let scratch = Scratch::new();
    keys(&scratch);
    let plain = bytes(1_000_003);
    let options = format!("--alg aes-256-ctr --key-file key256 --iv {IV}");
    let sealed = scratch.run_with_input(&format!("op encrypt {options}"), &plain).expect_code(0);
    let opened = scratch.run_with_input(&format!("op decrypt {options}"), &sealed.stdout).expect_code(0);
    assert!(opened.stdout == plain && sealed.stdout != plain);
}

#[test]
fn an_aead_round_trips_and_a_flipped_bit_exits_9_and_leaves_no_output() {
    let scratch = Scratch::new();
    keys(&scratch);
    for algorithm in ["aes-256-gcm", "chacha20-poly1305"] {
        for length in [0, 1, 65_536, 1 << 20] {
            scratch.write("plain", bytes(length));
            let options = format!("--alg {algorithm} --key-file key256 --iv {NONCE} --aad 0badc0de");
            scratch.run(&format!("op encrypt {options} -i plain -o sealed")).expect_code(0);
            let mut sealed = scratch.read("sealed");
            assert_eq!(sealed.len(), length + 16);
            scratch.run(&format!("op decrypt {options} -i sealed -o opened")).expect_code(0);
            assert!(scratch.read("opened") == bytes(length));

            let middle = sealed.len() / 2;
            sealed[middle] ^= 1;
            scratch.write("forged", &sealed);
            let refused = scratch.run(&format!("op decrypt {options} -i forged -o nothing")).expect_code(9);
            assert_eq!(refused.stderr, "acrypto: decryption failed\n");
            let refused = scratch.run(&format!("op decrypt {options} -i forged")).expect_code(9);
            assert_eq!(refused.stdout, b"");
            assert!(!scratch.names().iter().any(|name| name == "nothing" || name.starts_with('.')));
        }
    }
}

#[test]
fn encrypt_then_mac_pads_round_trips_and_refuses_a_flipped_bit() {
    let scratch = Scratch::new();
    scratch.write(
        "key384",
        "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f",
    );
    let options = format!("--alg aes-128-cbc-hmac-sha256 --key-file key384 --iv {IV} --aad 0badc0de");
    for length in [0, 1, 16, 65_536] {
        scratch.write("plain", bytes(length));
        scratch.run(&format!("op encrypt {options} -i plain -o sealed")).expect_code(0);
        let mut sealed = scratch.read("sealed");
        assert_eq!(sealed.len(), (length / 16 + 1) * 16 + 16);
        scratch.run(&format!("op decrypt {options} -i sealed -o opened")).expect_code(0);
        assert!(scratch.read("opened") == bytes(length));
        sealed[0] ^= 1;
        scratch.write("forged", &sealed);
        let refused = scratch.run(&format!("op decrypt {options} -i forged -o nothing")).expect_code(9);
        assert_eq!(refused.stderr, "acrypto: decryption failed\n");
    }
}

#[test]
fn a_wrong_key_of_a_padded_mode_exits_9_or_gives_other_bytes() {
    let scratch = Scratch::new();
    keys(&scratch);
    scratch.write("plain", bytes(100));
    scratch
        .run(&format!("op encrypt --alg aes-128-cbc --key-file key128 --iv {IV} -i plain -o sealed"))
        .expect_code(0);
    scratch.write("other", "ff0102030405060708090a0b0c0d0e0f");
    let ended =
        scratch.run(&format!("op decrypt --alg aes-128-cbc --key-file other --iv {IV} -i sealed -o opened"));
    assert_eq!(ended.expect_code(9).stderr, "acrypto: decryption failed\n");
    assert!(!scratch.file("opened").exists());
}

#[test]
fn a_drawn_iv_is_printed_and_decrypts() {
    let scratch = Scratch::new();
    keys(&scratch);
    scratch.write("plain", "some text");
    let options = "--alg aes-256-gcm --key-file key256";
    let drawn =
        scratch.run(&format!("op encrypt {options} --iv-random -i plain -o sealed --json")).expect_code(0);
    let iv = drawn.data()["iv"].as_str().unwrap().to_owned();
    assert_eq!(drawn.stderr, format!("iv {iv}\n"));
    let opened = scratch.run(&format!("op decrypt {options} --iv {iv} -i sealed")).expect_code(0);
    assert_eq!(opened.text(), "some text");
    let again = scratch.run(&format!("op encrypt {options} --iv-random -i plain -o sealed --json")).data();
    assert_ne!(again["iv"], iv.as_str());
}

#[test]
fn without_padding_whole_blocks_pass_as_they_are() {
    let scratch = Scratch::new();
    keys(&scratch);
    scratch.write("plain", bytes(64));
    let options = format!("--alg aes-128-cbc --key-file key128 --iv {IV} --no-padding");
    scratch.run(&format!("op encrypt {options} -i plain -o sealed")).expect_code(0);
    assert_eq!(scratch.read("sealed").len(), 64);
    scratch.run(&format!("op decrypt {options} -i sealed -o opened")).expect_code(0);
    assert_eq!(scratch.read("opened"), bytes(64));
}

#[test]
fn ecb_must_be_allowed_by_name() {
    let scratch = Scratch::new();
    keys(&scratch);
    scratch.write("plain", bytes(64));
    let refused =
        scratch.run("op encrypt --alg aes-128-ecb --key-file key128 -i plain -o sealed").expect_code(2);
    assert!(
        refused.stderr.contains("aes-128-ecb leaks equal blocks") && refused.stderr.contains("--allow-ecb")
    );
    scratch
        .run("op encrypt --alg aes-128-ecb --allow-ecb --key-file key128 -i plain -o sealed")
        .expect_code(0);
    let enc = ["enc", "-aes-128-ecb", "-K", KEY_128, "-in", "plain"];
    if let Some(theirs) = peer("openssl", &enc, scratch.path()) {
        assert_eq!(scratch.read("sealed"), theirs);
    }
}

#[test]
fn hmac_is_openssl_s_and_verify_tells_right_from_wrong() {
    let scratch = Scratch::new();
    keys(&scratch);
    scratch.write("data", bytes(600_000));
    let ours = scratch.run("op hmac --alg hmac-sha256 --key-file key256 data").expect_code(0).text();
    let code = ours.split(' ').next().unwrap().to_owned();
    let key = format!("hexkey:{KEY_256}");
    let dgst = ["dgst", "-sha256", "-mac", "HMAC", "-macopt", &key, "-r", "data"];
    if let Some(theirs) = peer("openssl", &dgst, scratch.path()) {
        assert_eq!(String::from_utf8_lossy(&theirs).split(' ').next().unwrap(), code);
    }
    let verify = |code: &str| {
        scratch.run(&format!("op hmac --alg hmac-sha256 --key-file key256 --verify {code} data"))
    };
    assert_eq!(verify(&code).expect_code(0).text(), "");
    let wrong = code.replace(|c: char| c == code.chars().next().unwrap(), "0").replacen('0', "1", 1);
    assert_eq!(verify(&wrong).expect_code(1).stderr, "acrypto: 'data' does not match the code\n");
    verify("00").expect_code(2);
}

#[test]
fn check_reads_what_hash_and_sha256sum_print() {
    let scratch = Scratch::new();
    for name in ["a", "with space", "new\nline", "back\\slash"] {
        scratch.write(name, bytes(name.len() * 1000));
    }
    let sums = ended(scratch.acrypto([
        "op",
        "hash",
        "--alg",
        "sha256",
        "a",
        "with space",
        "new\nline",
        "back\\slash",
    ]));
    scratch.write("SUMS", sums.expect_code(0).stdout);
    let checked = scratch.run("op hash --alg sha256 --check SUMS").expect_code(0);
    assert_eq!(checked.text(), "a: OK\nwith space: OK\n\\new\\nline: OK\n\\back\\\\slash: OK\n");
    // coreutils before 9.2 print a lone backslash as it is.
    if let Some(theirs) = peer("sha256sum", &["-c", "SUMS"], scratch.path()) {
        let lines = |text: &[u8]| {
            String::from_utf8_lossy(text).lines().take(3).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(lines(&checked.stdout), lines(&theirs));
    }
    scratch.write("a", "changed");
    std::fs::remove_file(scratch.file("with space")).unwrap();
    let checked = scratch.run("op hash --alg sha256 --check SUMS").expect_code(1);
    assert!(checked.text().starts_with("a: FAILED\nwith space: FAILED open or read\n"), "{}", checked.text());
    assert!(checked.stderr.contains("1 digest does not match") && checked.stderr.contains("1 listed file"));
    let quiet = scratch.run("op hash --alg sha256 --check SUMS -q").expect_code(1);
    assert_eq!(quiet.text(), "a: FAILED\nwith space: FAILED open or read\n");
}

#[test]
fn sha1_serves_to_check_only() {
    let scratch = Scratch::new();
    scratch.write("f", "abc");
    let refused = scratch.run("op hash --alg sha1 f").expect_code(2);
    assert!(refused.stderr.contains("sha1"), "{}", refused.stderr);
    scratch.write("SUMS", "a9993e364706816aba3e25717850c26c9cd0d89d  f\n");
    assert_eq!(scratch.run("op hash --alg sha1 --check SUMS").expect_code(0).text(), "f: OK\n");
}

#[test]
fn random_gives_as_many_bytes_as_asked_and_no_two_alike() {
    let scratch = Scratch::new();
    let drawn = scratch.run("op random 1M").expect_code(0).stdout;
    assert_eq!(drawn.len(), 1 << 20);
    assert!(scratch.run("op random 1M").stdout != drawn);
    assert_eq!(scratch.run("op random 0").expect_code(0).stdout, b"");
    let written = scratch.run("op random 100 -o drawn --json").expect_code(0).data();
    assert_eq!((written["output_bytes"].as_u64(), scratch.read("drawn").len()), (Some(100), 100));
}

#[test]
fn hash_through_a_daemon_is_the_same() {
    let daemon = Daemon::start();
    for length in LENGTHS {
        daemon.scratch.write(&format!("f{length}"), bytes(length));
    }
    let names: Vec<String> = LENGTHS.iter().map(|length| format!("f{length}")).collect();
    let line = format!("op hash --alg sha256 {}", names.join(" "));
    let by_daemon = daemon.run(&line).expect_code(0);
    assert_eq!(by_daemon.stdout, daemon.scratch.run(&line).expect_code(0).stdout);
    let random = daemon.run("op random 100000").expect_code(0);
    assert_eq!(random.stdout.len(), 100_000);
}

#[test]
fn an_aead_through_a_daemon_is_one_message_at_most() {
    let daemon = Daemon::start();
    keys(&daemon.scratch);
    let options = format!("--alg aes-256-gcm --key-file key256 --iv {NONCE}");
    daemon.scratch.write("plain", bytes(32 << 10));
    daemon.run(&format!("op encrypt {options} -i plain -o sealed")).expect_code(0);
    daemon.run(&format!("op decrypt {options} -i sealed -o opened")).expect_code(0);
    assert!(daemon.scratch.read("opened") == bytes(32 << 10));
    daemon.scratch.write("large", bytes((32 << 10) + 1));
    let refused = daemon.run(&format!("op encrypt {options} -i large -o never")).expect_code(2);
    assert!(
        refused.stderr.starts_with("acrypto: 'large' is too large for aes-256-gcm"),
        "{}",
        refused.stderr
    );
    assert!(!daemon.scratch.file("never").exists());
}
