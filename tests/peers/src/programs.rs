//! Peers that are programs of their own: `openssl speed` and DPDK's `dpdk-test-crypto-perf`.

use std::fs;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use acrypto_core::Algorithm;

use crate::case::Case;
use crate::measure::{Contender, Plan, Sample};

/// Runs in a turn of DPDK, and operations of a run, at least and before it is known how fast it is.
const DPDK_RUNS: usize = 4;
const DPDK_OPS: u64 = 10_000;
const DPDK: &str = "dpdk-test-crypto-perf";

/// `openssl speed` by EVP for a second: operations in the time of day and in processor time. It has one buffer, sets the
/// iv of a cipher once, of an AEAD each time (with 13 bytes of associated data).
pub fn openssl(case: Case) -> Contender<'static> {
    let name = "openssl";
    let what: Vec<&'static str> = match case.algorithm {
        Algorithm::HmacSha256 => vec!["-hmac", "sha256"],
        Algorithm::Sha256 => vec!["-evp", "sha256"],
        Algorithm::Aes256Gcm | Algorithm::ChaCha20Poly1305 => vec!["-aead", "-evp", case.algorithm.name()],
        _ => vec!["-evp", case.algorithm.name()],
    };
    if !is_there("openssl") {
        return Contender::absent(name, "openssl is not installed");
    }
    let bytes = case.bytes.to_string();
    Contender::there(name, move || {
        const SECONDS: u64 = 1;
        let mut command = Command::new("openssl");
        command.args(["speed", "-mr", "-seconds", &SECONDS.to_string(), "-bytes", &bytes]).args(&what);
        let output = output_of(command)?;
        // `+R:COUNT:NAME:SECONDS`, the seconds being processor time as long as -elapsed is not given; the turn itself is
        // ended by an alarm.
        let report = String::from_utf8_lossy(&output.stderr);
        let line =
            report.lines().find_map(|line| line.strip_prefix("+R:")).ok_or("openssl speed gave no figure")?;
        let mut fields = line.split(':');
        let ops = fields.next().and_then(|field| field.parse().ok());
        let seconds: Option<f64> = fields.next_back().and_then(|field| field.parse().ok());
        let (ops, seconds) = ops.zip(seconds).ok_or("openssl speed gave no figure")?;
        Ok(Sample { ops, wall_ns: SECONDS * 1_000_000_000, cpu_ns: (seconds * 1e9) as u64 })
    })
}

/// What DPDK is asked for a case.
fn dpdk_arguments(case: Case) -> Option<(&'static str, String)> {
    let mb = "crypto_aesni_mb";
    let key_len = case.key(0).len();
    let cipher = |name| {
        format!(
            "--optype cipher-only --cipher-algo {name} --cipher-op encrypt --cipher-key-sz {key_len} --cipher-iv-sz 16"
        )
    };
    let auth = |name| {
        format!(
            "--optype auth-only --auth-algo {name} --auth-op generate --auth-key-sz {key_len} --digest-sz 32"
        )
    };
    let aead = |name| {
        format!(
            "--optype aead --aead-algo {name} --aead-op encrypt --aead-key-sz 32 --aead-iv-sz 12 --aead-aad-sz 16 --digest-sz 16"
        )
    };
    Some(match case.algorithm {
        Algorithm::Aes128Cbc => (mb, cipher("aes-cbc")),
        Algorithm::Aes128Ctr | Algorithm::Aes256Ctr => (mb, cipher("aes-ctr")),
        Algorithm::Sha256 => (mb, auth("sha2-256")),
        Algorithm::HmacSha256 => (mb, auth("sha2-256-hmac")),
        Algorithm::Aes256Gcm => ("crypto_aesni_gcm", aead("aes-gcm")),
        Algorithm::ChaCha20Poly1305 => (mb, aead("chacha20-poly1305")),
        Algorithm::Null => (
            "crypto_scheduler",
            "--optype cipher-only --cipher-algo null --cipher-op encrypt --cipher-key-sz 0 --cipher-iv-sz 0"
                .to_owned(),
        ),
        _ => return None,
    })
}

/// DPDK's own measurement, on one core that submits and polls; a second one waits for it and is not counted. It knows the
/// time of day only; its processor time is that, times the share of the time in which its thread did not wait for a
/// processor that others had. For the algorithm `null` it is its scheduler over two null devices.
pub fn dpdk(plan: &Plan, case: Case, burst: usize) -> Contender<'static> {
    let Some((device, arguments)) = dpdk_arguments(case) else {
        return Contender::absent("dpdk", "dpdk has no such algorithm");
    };
    let name = format!("dpdk {}", device.trim_start_matches("crypto_"));
    if !is_there(DPDK) {
        return Contender::absent(name, "dpdk-test-crypto-perf is not installed");
    }
    let turn_ns = plan.turn_ns;
    let mut ops = DPDK_OPS;
    let mut is_first = true;
    Contender::there(name, move || {
        if std::mem::take(&mut is_first) {
            // The first turn finds out how many operations fill one, as everybody's does.
            let sample = dpdk_turn(device, &arguments, case.bytes, burst, ops)?;
            let fill = turn_ns as f64 / DPDK_RUNS as f64 / sample.wall_ns_per_op();
            ops = (fill as u64).max(DPDK_OPS);
        }
        dpdk_turn(device, &arguments, case.bytes, burst, ops)
    })
}

fn dpdk_turn(device: &str, arguments: &str, bytes: usize, burst: usize, ops: u64) -> Result<Sample, String> {
    let mut command = Command::new(DPDK);
    command.args("-l 0,1 --no-huge --no-pci -m 1024 --no-telemetry --force-max-simd-bitwidth=512".split(' '));
    if device == "crypto_scheduler" {
        command.args(["--vdev", "crypto_null0,name=w0", "--vdev", "crypto_null1,name=w1"]);
        command.args(["--vdev", "crypto_scheduler,worker=w0,worker=w1,mode=round-robin"]);
    } else {
        command.args(["--vdev", &format!("{device}0")]);
    }
    command.args(["--", "--ptest", "throughput", "--csv-friendly", "--devtype", device]);
    command.args(arguments.split(' '));
    let bursts = vec![burst.to_string(); DPDK_RUNS].join(",");
    command.args(["--burst-sz", &bursts, "--buffer-sz", &bytes.to_string()]);
    command.args(["--total-ops", &ops.to_string()]);
    let (output, share) = watched(command)?;
    // A row a run: lcore,bytes,burst,enqueued,dequeued,failed,failed,millions a second,GIGABITS A SECOND,cycles.
    let report = String::from_utf8_lossy(&output.stdout);
    let rows = report.lines().filter(|line| line.starts_with(|first: char| first.is_ascii_digit()));
    let gigabits = rows.filter_map(|row| row.split(',').nth(8)?.parse::<f64>().ok());
    let of_runs: Vec<f64> = gigabits.map(|gigabits| ops as f64 * bytes as f64 * 8.0 / gigabits).collect();
    if of_runs.is_empty() || !of_runs.iter().all(|ns| ns.is_finite()) {
        return Err("dpdk-test-crypto-perf gave no figure".to_owned());
    }
    let wall_ns: f64 = of_runs.iter().sum();
    Ok(Sample { ops: ops * of_runs.len() as u64, wall_ns: wall_ns as u64, cpu_ns: (wall_ns * share) as u64 })
}

/// Output of DPDK's program, and how much of the time its working thread was given when it wanted to run.
fn watched(mut command: Command) -> Result<(Output, f64), String> {
    let told = |error: std::io::Error| format!("{DPDK} did not run: {error}");
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(told)?;
    let tasks = format!("/proc/{}/task", child.id());
    let (mut worker, mut share) = (None, 1.0);
    while child.try_wait().map_err(told)?.is_none() {
        let name =
            |(thread, _): &(u32, _)| fs::read_to_string(format!("{tasks}/{thread}/comm")).unwrap_or_default();
        worker = worker.or_else(|| schedule_of(child.id()).find(|thread| name(thread).contains("worker")));
        if let Some((number, (ran_first, waited_first))) = worker
            && let Some((_, (ran, waited))) = schedule_of(child.id()).find(|(thread, _)| *thread == number)
            && ran > ran_first
        {
            let (ran, waited) = ((ran - ran_first) as f64, (waited - waited_first) as f64);
            share = ran / (ran + waited);
        }
        std::thread::park_timeout(Duration::from_millis(2));
    }
    Ok((succeeded(DPDK, child.wait_with_output().map_err(told)?)?, share))
}

/// Each thread of a process: its number, nanoseconds on a processor and nanoseconds waiting for one.
pub fn schedule_of(process: u32) -> impl Iterator<Item = (u32, (u64, u64))> {
    let threads = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    threads.filter_map(|thread| {
        let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        let mut words = text.split_whitespace().map_while(|word| word.parse().ok());
        Some((thread.file_name().to_str()?.parse().ok()?, (words.next()?, words.next()?)))
    })
}

/// Output of a program that succeeded, or the last line it had to say.
pub fn output_of(mut command: Command) -> Result<Output, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| format!("{name} did not run: {error}"))?;
    succeeded(&name, output)
}

fn succeeded(name: &str, output: Output) -> Result<Output, String> {
    if output.status.success() {
        return Ok(output);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
    Err(format!("{name}: {}", last.trim()))
}

/// Whether a program is on the path.
pub fn is_there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}
