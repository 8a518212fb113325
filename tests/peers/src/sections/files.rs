//! `op encrypt` and `op hash` of many files, beside the usual commands under xargs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::case::size;
use crate::measure::{Contender, Plan, Sample, rounds};
use crate::programs::{is_there, output_of};
use crate::report::{Field, Goal, Unit};

pub const METHOD: &str = "Files in memory (tmpfs), read once before. `openssl enc`, `sha256sum` and `openssl dgst` run two at a \
    time under `xargs -P2`; sums are of many files a process on every side, encryption is a process a file on every side. CPU \
    time is that of all the processes.";

const KEY: &str = "000102030405060708090a0b0c0d0e0f";
const IV: &str = "0f0e0d0c0b0a09080706050403020100";

struct Files {
    folder: TempDir,
    count: usize,
    bytes: usize,
}

impl Files {
    fn new(count: usize, bytes: usize) -> std::io::Result<Self> {
        let memory = Path::new("/dev/shm");
        let folder = if memory.is_dir() { tempfile::tempdir_in(memory)? } else { tempfile::tempdir()? };
        for number in 0..count {
            let text: Vec<u8> = (0..bytes).map(|index| (index * 7 + number) as u8).collect();
            fs::write(folder.path().join(format!("{number:05}")), text)?;
        }
        fs::write(folder.path().join("key"), KEY)?;
        Ok(Self { folder, count, bytes })
    }

    /// A turn by a line of shell, which times its children.
    fn turn(&self, line: &str) -> Result<Sample, String> {
        let mut command = Command::new("bash");
        let script = format!("set -o pipefail; TIMEFORMAT='%3R %3U %3S'; time {{ {line}; }}");
        command.current_dir(self.folder.path()).args(["-c", &script]);
        let output = output_of(command)?;
        let report = String::from_utf8_lossy(&output.stderr);
        let seconds: Vec<f64> = report
            .lines()
            .next_back()
            .unwrap_or("")
            .split(' ')
            .filter_map(|word| word.parse().ok())
            .collect();
        match seconds[..] {
            [wall, user, system] => Ok(Sample {
                ops: self.count as u64,
                wall_ns: (wall * 1e9) as u64,
                cpu_ns: ((user + system) * 1e9) as u64,
            }),
            _ => Err(format!("bash gave no times: {report}")),
        }
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.folder.path().join(name)).unwrap_or_default()
    }
}

/// The command under test, built beside this program.
fn acrypto() -> Option<PathBuf> {
    let path = std::env::current_exe().ok()?.with_file_name("acrypto");
    path.is_file().then_some(path)
}

pub fn measure(plan: &Plan) -> (Vec<Field>, Vec<Goal>) {
    let sizes: &[(usize, usize)] =
        if plan.is_quick { &[(8, 64 << 10)] } else { &[(2_000, 16 << 10), (64, 4 << 20)] };
    let mut fields = Vec::new();
    let mut goals = Vec::new();
    for (count, bytes) in sizes {
        let files = Files::new(*count, *bytes).expect("there is room for the files");
        for (what, field) in [("op hash", sums(plan, &files)), ("op encrypt", encryption(plan, &files))] {
            let best = field.best(|_| true);
            let ratio = best.and_then(|best| field.wall_ratio(0, best));
            goals.push(Goal::at_least(
                format!("{what}, {}: over the best, wall time", field.case),
                1.0,
                ratio,
            ));
            fields.push(field);
        }
    }
    (fields, goals)
}

/// A contender by a line of shell.
fn by_line<'a>(files: &'a Files, name: &str, line: Option<String>) -> Contender<'a> {
    match line {
        Some(line) => Contender::there(name, move || files.turn(&line)),
        None => Contender::absent(name, format!("'{}' is not there", name.split(' ').next().unwrap_or(name))),
    }
}

fn sums(plan: &Plan, files: &Files) -> Field {
    let names = "ls | grep -x '[0-9]*'";
    let batch = (files.count / 8).max(1);
    let ours =
        acrypto().map(|path| format!("{names} | xargs {} op hash --alg sha256 > ours.sums", path.display()));
    let theirs = |program: &str, command: &str, out: &str| {
        is_there(program).then(|| format!("{names} | xargs -P2 -n{batch} {command} > {out}"))
    };
    let series = rounds(
        plan,
        vec![
            by_line(files, "acrypto op hash", ours),
            by_line(files, "sha256sum", theirs("sha256sum", "sha256sum", "sha256sum.sums")),
            by_line(files, "openssl dgst", theirs("openssl", "openssl dgst -sha256 -r", "openssl.sums")),
        ],
    );
    if series[..2].iter().all(|series| series.samples.is_ok()) {
        let sorted = |name| {
            let text = String::from_utf8_lossy(&files.read(name)).into_owned();
            let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
            lines.sort_unstable();
            lines
        };
        assert!(sorted("ours.sums") == sorted("sha256sum.sums"), "op hash gives wrong sums");
    }
    let case = format!("sha256, {} files of {}", files.count, size(files.bytes));
    Field { case, unit: Unit::Gigabytes(files.bytes), ours: 1, series }
}

fn encryption(plan: &Plan, files: &Files) -> Field {
    let names = "ls | grep -x '[0-9]*'";
    let ours = acrypto().map(|path| {
        let command = format!("{} op encrypt --alg aes-128-ctr --key-file key --iv {IV}", path.display());
        format!("{names} | xargs -P2 -I{{}} {command} -i {{}} -o {{}}.ours")
    });
    let theirs = is_there("openssl").then(|| {
        format!(
            "{names} | xargs -P2 -I{{}} openssl enc -aes-128-ctr -K {KEY} -iv {IV} -in {{}} -out {{}}.theirs"
        )
    });
    let series =
        rounds(plan, vec![by_line(files, "acrypto op encrypt", ours), by_line(files, "openssl enc", theirs)]);
    if series.iter().all(|series| series.samples.is_ok()) {
        assert!(files.read("00001.ours") == files.read("00001.theirs"), "op encrypt gives wrong bytes");
    }
    let case = format!("aes-128-ctr, {} files of {}", files.count, size(files.bytes));
    Field { case, unit: Unit::Gigabytes(files.bytes), ours: 1, series }
}
