//! Peers that are programs of their own: `openssl speed` and DPDK's `dpdk-test-crypto-perf`.

use std::process::{Command, Output};

use acrypto_core::Algorithm;

use crate::case::Case;
use crate::measure::{Contender, Plan, Sample};

/// Operations of a turn of DPDK, before it is known how fast it is, and at most.
const DPDK_OPS: u64 = 20_000;
const DPDK_OPS_MAX: u64 = 20_000_000;
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

/// DPDK's own measurement, on one core that submits and polls (a second one waits for it and is not counted). Its
/// scheduler over two null devices for the algorithm `null`.
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
            ops = ((turn_ns as f64 / sample.wall_ns_per_op()) as u64).clamp(DPDK_OPS, DPDK_OPS_MAX);
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
    command.args(["--burst-sz", &burst.to_string(), "--buffer-sz", &bytes.to_string()]);
    command.args(["--total-ops", &ops.to_string()]);
    let output = output_of(command)?;
    // The row: lcore,bytes,burst,enqueued,dequeued,failed,failed,millions a second,GIGABITS A SECOND,cycles.
    let report = String::from_utf8_lossy(&output.stdout);
    let row = report.lines().rev().find(|line| line.starts_with(|first: char| first.is_ascii_digit()));
    let gigabits = row.and_then(|row| row.split(',').nth(8)).and_then(|field| field.parse::<f64>().ok());
    let gigabits =
        gigabits.filter(|gigabits| *gigabits > 0.0).ok_or("dpdk-test-crypto-perf gave no figure")?;
    let ns = ops as f64 * bytes as f64 * 8.0 / gigabits;
    Ok(Sample { ops, wall_ns: ns as u64, cpu_ns: ns as u64 })
}

/// Output of a program that succeeded, or the last line it had to say.
pub fn output_of(mut command: Command) -> Result<Output, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| format!("{name} did not run: {error}"))?;
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
