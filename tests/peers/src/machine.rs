//! What the figures were measured on, and with what.

use std::fs;
use std::process::Command;
use std::sync::OnceLock;

use crate::programs::output_of;

/// The versions that this program was built with.
const LOCK: &str = include_str!("../../../Cargo.lock");
const CRATES: [&str; 11] = [
    "aes",
    "cbc",
    "ctr",
    "sha2",
    "aes-gcm",
    "chacha20poly1305",
    "aws-lc-rs",
    "ring",
    "rayon",
    "crossbeam-channel",
    "tokio",
];
/// Instructions that decide which kernels run.
const FLAGS: [&str; 9] =
    ["aes", "pclmulqdq", "sha_ni", "avx2", "vaes", "vpclmulqdq", "avx512f", "avx512bw", "avx512vl"];

pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Rows of a table: what, and its value.
pub fn rows() -> Vec<Vec<String>> {
    let rows = [
        ("date", first_line("date", &["-u", "+%Y-%m-%d %H:%M UTC"])),
        ("processor", format!("{}, {} cores", cpu("model name"), cores())),
        ("instructions", flags()),
        ("load before", load()),
        (
            "caches",
            first_line(
                "sh",
                &[
                    "-c",
                    "lscpu | awk -F: '/^L[123]/ { gsub(/^ +/, \"\", $2); printf \"%s%s %s\", s, $1, $2; s = \", \" }'",
                ],
            ),
        ),
        ("system", first_line("uname", &["-sr"])),
        ("compiler", first_line("rustc", &["--version"])),
        ("commit", first_line("git", &["log", "-1", "--format=%h"])),
        ("crates", crates()),
        ("openssl", first_line("openssl", &["version"])),
        ("dpdk", first_line("dpkg-query", &["-W", "-f=${Version}", "librte-eal23"])),
    ];
    rows.into_iter().map(|(what, value)| vec![what.to_owned(), value]).collect()
}

/// Programs that wanted to run in the last minute, as it was when this was first asked: wall times are only worth
/// something if others did not.
fn load() -> String {
    static LOAD: OnceLock<String> = OnceLock::new();
    let read = || fs::read_to_string("/proc/loadavg").unwrap_or_default();
    LOAD.get_or_init(|| read().split(' ').next().unwrap_or_default().to_owned()).clone()
}

fn first_line(program: &str, arguments: &[&str]) -> String {
    let mut command = Command::new(program);
    command.args(arguments);
    let output = output_of(command).map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    output
        .ok()
        .and_then(|text| text.lines().next().map(str::to_owned))
        .unwrap_or_else(|| "not there".to_owned())
}

fn cpu(field: &str) -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(field));
    line.and_then(|line| line.split_once(':'))
        .map_or_else(|| "unknown".to_owned(), |(_, value)| value.trim().to_owned())
}

fn flags() -> String {
    let all = cpu("flags");
    let has = |flag: &&&str| all.split(' ').any(|word| word == **flag);
    let (there, missing): (Vec<&str>, Vec<&str>) = FLAGS.iter().partition(|flag| has(flag));
    if missing.is_empty() {
        there.join(" ")
    } else {
        format!("{} (not: {})", there.join(" "), missing.join(" "))
    }
}

fn crates() -> String {
    let version = |name: &&str| {
        let entry = format!("name = \"{name}\"\nversion = \"");
        let rest = LOCK.rsplit_once(&entry)?.1;
        Some(format!("{name} {}", rest.split_once('"')?.0))
    };
    CRATES.iter().filter_map(version).collect::<Vec<_>>().join(", ")
}
