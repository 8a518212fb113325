//! `bench`: measures a runtime of this process, and beside it the direct library call.

mod assertion;
mod client;
mod direct;

use std::time::Duration;

use acrypto_core::stats::histogram::bucket_upper_ns;
use acrypto_core::{Algorithm, Clock, Config, OpKind, Padding, Runtime, SessionSpec};
use acrypto_netlink::message::Histogram;
use serde_json::{Value, json};

use self::assertion::Assertion;
use self::client::{Clients, Work};
use self::direct::Direct;
use crate::cli::BenchArgs;
use crate::context::Context;
use crate::embedded::{self, add_devices};
use crate::exit::{Exit, Failure};
use crate::output::{self, Column};
use crate::units;

/// Parts of a measurement; after each, the direct call is measured, so that both see the same machine.
const PARTS: u64 = 8;
/// Devices of the runtime that measures the framework.
const NULL_DEVICES: usize = 2;

const COLUMNS: &[Column] = &[
    ("alg", "ALG"),
    ("size_bytes", "SIZE"),
    ("burst_ops", "BURST"),
    ("ops_per_s", "OP/s"),
    ("bytes_per_s", "BYTES/s"),
    ("op_ns", "ns/OP"),
    ("p50_ns", "P50"),
    ("p99_ns", "P99"),
    ("p999_ns", "P99.9"),
    ("cpu_seconds", "CPU s"),
    ("errors", "ERRORS"),
    ("direct_ratio", "vs DIRECT"),
];

/// Runs the measurements.
pub async fn run(context: &Context, arguments: BenchArgs) -> Result<Exit, Failure> {
    let algorithms = arguments.alg.iter().map(|name| name.parse()).collect::<Result<Vec<Algorithm>, _>>()?;
    let assertions =
        arguments.assert.iter().map(|text| text.parse()).collect::<Result<Vec<Assertion>, Failure>>()?;
    let context_of_thread = context.clone();
    let rows = tokio::task::spawn_blocking(move || measure_all(&context_of_thread, &arguments, &algorithms))
        .await
        .map_err(|_| Failure::new(Exit::Bug, "the measurement panicked"))??;
    if context.printer.is_json() {
        context.printer.json(None, &json!({ "results": rows }))?;
    } else {
        context.printer.rows(None, "results", COLUMNS, &rows)?;
    }
    let mut broken = 0;
    for row in &rows {
        for assertion in assertions.iter().filter(|assertion| !assertion.holds(row)) {
            broken += 1;
            output::error_line(&format!("acrypto: {}", assertion.complaint(row)));
        }
    }
    Ok(if broken == 0 { Exit::Done } else { Exit::False })
}

fn measure_all(
    context: &Context,
    arguments: &BenchArgs,
    algorithms: &[Algorithm],
) -> Result<Vec<Value>, Failure> {
    let mut rows = Vec::new();
    for algorithm in algorithms {
        let runtime = runtime_for(*algorithm)?;
        runtime.set_balancer(&arguments.lb, None, embedded::own_uid())?;
        for size_bytes in &arguments.size {
            for burst_ops in &arguments.burst {
                context.printer.note(&format!("{algorithm}, {size_bytes} bytes, burst {burst_ops}"));
                let work = Work {
                    algorithm: *algorithm,
                    kind: algorithm.ops().first().copied().unwrap_or(OpKind::Encrypt),
                    size_bytes: *size_bytes,
                    burst_ops: *burst_ops,
                    sessions: arguments.sessions,
                };
                check(&work)?;
                rows.push(measure(&runtime, arguments, work)?);
            }
        }
        runtime.shutdown();
    }
    Ok(rows)
}

fn runtime_for(algorithm: Algorithm) -> Result<Runtime, Failure> {
    match algorithm {
        Algorithm::Null => {
            let runtime = Runtime::start(Config::default())?;
            add_devices(&runtime, "null", NULL_DEVICES)?;
            Ok(runtime)
        }
        _ => embedded::start(Config::default()),
    }
}

fn check(work: &Work) -> Result<(), Failure> {
    let block = work.algorithm.block_len();
    match work.algorithm.needs_whole_blocks() && !work.size_bytes.is_multiple_of(block) {
        true => Err(Failure::usage(format!(
            "{} needs sizes that are a multiple of {block}, not {}",
            work.algorithm, work.size_bytes
        ))),
        false => Ok(()),
    }
}

/// The session every client opens.
fn spec(algorithm: Algorithm) -> SessionSpec {
    SessionSpec::new(algorithm).padding(Padding::None).allow_ecb(true).allow_sha1(true)
}

fn measure(runtime: &Runtime, arguments: &BenchArgs, work: Work) -> Result<Value, Failure> {
    let clock = Clock::monotonic();
    let mut clients = Clients::start(runtime, &work, arguments.clients)?;
    let mut direct = (arguments.clients == 1 && work.algorithm != Algorithm::Null)
        .then(|| Direct::new(&work))
        .transpose()?;
    if !arguments.warmup.is_zero() {
        clients.run_for(arguments.warmup)?;
    }
    let before = runtime.stats();
    let (mut ops, mut errors, mut elapsed_ns, mut cpu_ns) = (0, 0, 0, 0);
    for part in 0..PARTS {
        let (start_ns, start_cpu_ns) = (clock.now().0, process_cpu_ns());
        let done = match arguments.ops {
            Some(total) => clients.run_ops(total * (part + 1) / PARTS - total * part / PARTS)?,
            None => clients.run_for(arguments.for_duration / PARTS as u32)?,
        };
        let part_ns = clock.now().0 - start_ns;
        cpu_ns += process_cpu_ns() - start_cpu_ns;
        elapsed_ns += part_ns;
        ops += done.ops;
        errors += done.errors;
        if let Some(direct) = &mut direct {
            direct.run_for(&clock, Duration::from_nanos(part_ns / 2));
        }
    }
    let total = histogram(&runtime.stats().total).sub(&histogram(&before.total));
    let seconds = (elapsed_ns as f64 / 1e9).max(f64::MIN_POSITIVE);
    let ops_per_s = ops as f64 / seconds;
    let measured = total.count() > 0;
    let percentile = |share| measured.then(|| total.percentile_ns(share));
    Ok(json!({
        "ptest": arguments.ptest.name(),
        "alg": work.algorithm.name(),
        "op": work.kind.name(),
        "size_bytes": work.size_bytes,
        "burst_ops": work.burst_ops,
        "sessions": arguments.sessions,
        "clients": arguments.clients,
        "device": if work.algorithm == Algorithm::Null { "null" } else { "soft" },
        "lb": arguments.lb,
        "ops": ops,
        "seconds": seconds,
        "cpu_seconds": cpu_ns as f64 / 1e9,
        "ops_per_s": ops_per_s,
        "bytes_per_s": ops_per_s * work.size_bytes as f64,
        "op_ns": if ops == 0 { 0.0 } else { elapsed_ns as f64 / ops as f64 },
        "p50_ns": percentile(0.5),
        "p99_ns": percentile(0.99),
        "p999_ns": percentile(0.999),
        "errors": errors,
        "direct_ops_per_s": direct.as_ref().map(Direct::ops_per_s),
        "direct_ratio": direct.as_ref().map(|direct| ops_per_s / direct.ops_per_s()),
    }))
}

/// A reading that another can be taken from.
fn histogram(of: &acrypto_core::Histogram) -> Histogram {
    let buckets = of.buckets().map(|(bucket, count)| (bucket_upper_ns(bucket), count));
    Histogram::new(buckets, of.max_ns(), of.sum_ns())
}

/// Processor time of this process, all threads.
fn process_cpu_ns() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    units::nanos(Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0)))
}
