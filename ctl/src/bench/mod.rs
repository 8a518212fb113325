//! `bench`: measures a runtime of this process or of a daemon, and beside it the direct library call.

mod assertion;
mod client;
mod compare;
mod direct;
mod reference;
mod remote;
mod tally;
mod work;

use std::time::Duration;

use acrypto_core::stats::histogram::bucket_upper_ns;
use acrypto_core::{Algorithm, Clock, Config, Error, Runtime, device};
use acrypto_netlink::Address;
use acrypto_netlink::message::Histogram;
use serde_json::{Value, json};

use self::assertion::Assertion;
use self::client::Clients;
use self::direct::Direct;
use self::remote::Daemon;
use self::tally::Tally;
use self::work::Work;
use crate::cli::{BenchArgs, BenchCommand, Ptest};
use crate::context::Context;
use crate::embedded::{self, add_devices};
use crate::exit::{Exit, Failure};
use crate::output::{self, Column};
use crate::{suggest, units};

/// Parts of a measurement; after each, the direct call is measured, so that both see the same machine.
const PARTS: u64 = 8;
/// Devices of the runtime that measures the framework.
const NULL_DEVICES: usize = 2;
/// Bytes an operation where none are named.
const SIZES: [usize; 3] = [64, 4 << 10, 64 << 10];
/// The same through a daemon, whose longest is that of a control message.
const DAEMON_SIZES: [usize; 3] = [64, 4 << 10, 32 << 10];
/// Balancer of a measurement that names none.
const BALANCER: &str = "simple_lb";

/// Keys of a result, in the order of the comma-separated values.
pub const KEYS: [&str; 21] = [
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
    "op",
    "op_ns",
    "direct_ops_per_s",
    "direct_ratio",
];

const COLUMNS: &[Column] = &[
    ("alg", "ALG"),
    ("device", "DEVICE"),
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

/// Runs the command.
pub async fn run(context: &Context, command: BenchCommand) -> Result<Exit, Failure> {
    match command {
        BenchCommand::Run(arguments) => measure_and_print(context, arguments).await,
        BenchCommand::Compare { a, b } => compare::run(context, &a, &b),
    }
}

async fn measure_and_print(context: &Context, arguments: BenchArgs) -> Result<Exit, Failure> {
    let algorithms = arguments.alg.iter().map(|name| name.parse()).collect::<Result<Vec<Algorithm>, _>>()?;
    let assertions =
        arguments.assert.iter().map(|text| text.parse()).collect::<Result<Vec<Assertion>, Failure>>()?;
    let daemon = context.named_address()?.filter(|address| *address != Address::Embedded);
    let (is_csv, is_verify) = (arguments.csv, arguments.ptest == Ptest::Verify);
    let context_of_thread = context.clone();
    let measure = move || match daemon {
        None => measure_all(&context_of_thread, &arguments, &algorithms).map(|rows| (None, rows)),
        Some(address) => measure_daemon(&context_of_thread, &address, &arguments, &algorithms)
            .map(|(epoch, rows)| (Some(epoch), rows)),
    };
    let (epoch, rows) = tokio::task::spawn_blocking(measure)
        .await
        .map_err(|_| Failure::new(Exit::Bug, "the measurement panicked"))??;
    if is_csv {
        output::write_text(&csv(&rows, context.global.no_headers))?;
    } else {
        context.printer.rows(epoch, "results", COLUMNS, &rows)?;
    }
    let mut complaints: Vec<String> = Vec::new();
    for row in &rows {
        let broken = assertions.iter().filter(|assertion| !assertion.holds(row));
        complaints.extend(broken.map(|assertion| assertion.complaint(row)));
        if is_verify && row["errors"] != 0 {
            let what = assertion::what(row);
            complaints.push(format!("{what}: {} of {} results are wrong", row["errors"], row["ops"]));
        }
    }
    complaints.iter().for_each(|complaint| output::error_line(&format!("acrypto: {complaint}")));
    Ok(if complaints.is_empty() { Exit::Done } else { Exit::False })
}

fn csv(rows: &[Value], is_bare: bool) -> String {
    let header = (!is_bare).then(|| KEYS.join(","));
    let cell = |value: &Value| if value.is_null() { String::new() } else { output::raw(value) };
    let line = |row: &Value| KEYS.map(|key| cell(&row[key])).join(",");
    header.into_iter().chain(rows.iter().map(line)).map(|line| line + "\n").collect()
}

/// Every size with every burst, of one algorithm; what is wrong with them is said here.
fn works(arguments: &BenchArgs, algorithm: Algorithm, sizes: &[usize]) -> Result<Vec<Work>, Failure> {
    if arguments.ptest == Ptest::Verify && !algorithm.is_deterministic() {
        return Err(Failure::usage(format!("{algorithm} gives other bytes each time: nothing to verify")));
    }
    let sizes = if arguments.size.is_empty() { sizes } else { &arguments.size };
    let pairs = sizes.iter().flat_map(|size| arguments.burst.iter().map(move |burst| (*size, *burst)));
    let work = |(size_bytes, burst_ops)| Work::new(algorithm, size_bytes, burst_ops, arguments.sessions);
    let works: Vec<Work> = pairs.map(work).collect();
    works.iter().try_for_each(|work| work.check(arguments.clients))?;
    Ok(works)
}

fn measure_all(
    context: &Context,
    arguments: &BenchArgs,
    algorithms: &[Algorithm],
) -> Result<Vec<Value>, Failure> {
    // What is wrong is said before anything is measured.
    for algorithm in algorithms {
        works(arguments, *algorithm, &SIZES)?;
        runtime_for(*algorithm, arguments)?.shutdown();
    }
    let mut rows = Vec::new();
    for algorithm in algorithms {
        let runtime = runtime_for(*algorithm, arguments)?;
        for work in works(arguments, *algorithm, &SIZES)? {
            context.printer.note(&work.to_string());
            rows.push(measure(&Subject::Embedded(&runtime), arguments, &work)?);
        }
        runtime.shutdown();
    }
    Ok(rows)
}

/// The same through a daemon; gives its epoch too.
fn measure_daemon(
    context: &Context,
    address: &Address,
    arguments: &BenchArgs,
    algorithms: &[Algorithm],
) -> Result<(u32, Vec<Value>), Failure> {
    let daemon = Daemon::connect(context, address, arguments)?;
    let mut all = Vec::new();
    for algorithm in algorithms {
        all.extend(works(arguments, *algorithm, &DAEMON_SIZES)?);
    }
    all.iter().try_for_each(|work| daemon.check(work))?;
    let mut rows = Vec::new();
    for work in &all {
        context.printer.note(&work.to_string());
        rows.push(measure(&Subject::Daemon(&daemon), arguments, work)?);
    }
    Ok((daemon.epoch(), rows))
}

/// The kind of device that is measured with an algorithm.
fn kind(algorithm: Algorithm, arguments: &BenchArgs) -> &str {
    arguments.device.as_deref().unwrap_or_else(|| device::best_kind(algorithm))
}

fn runtime_for(algorithm: Algorithm, arguments: &BenchArgs) -> Result<Runtime, Failure> {
    let runtime = Runtime::start(Config::default())?;
    let kind = kind(algorithm, arguments);
    let kinds = runtime.device_kinds();
    if !kinds.contains(&kind) {
        let failure = Failure::from(Error::UnknownKind { kind: kind.to_owned() });
        return Err(failure.with_hint(match suggest::nearest(kind, kinds.iter().copied()) {
            Some(near) => format!("did you mean '{near}'?"),
            None => format!("kinds are {}", kinds.join(", ")),
        }));
    }
    add_devices(&runtime, kind, if algorithm == Algorithm::Null { NULL_DEVICES } else { embedded::cores() })?;
    if !runtime.serves(algorithm) {
        return Err(Failure::usage(format!("a device of kind '{kind}' does not have {algorithm}")));
    }
    runtime.set_balancer(arguments.lb.as_deref().unwrap_or(BALANCER), None, embedded::own_uid())?;
    Ok(runtime)
}

/// What is measured.
enum Subject<'a> {
    Embedded(&'a Runtime),
    Daemon(&'a Daemon),
}

impl Subject<'_> {
    fn clients(&self, arguments: &BenchArgs, work: &Work) -> Result<Clients, Failure> {
        let (ptest, count) = (arguments.ptest, arguments.clients);
        match self {
            Self::Embedded(runtime) => Clients::start(runtime, work, ptest, count),
            Self::Daemon(daemon) => daemon.clients(work, ptest, count),
        }
    }

    /// Times by the runtime's own clock; those of a daemon have other people's operations in them, so that clients time theirs.
    fn times(&self) -> Option<Histogram> {
        match self {
            Self::Embedded(runtime) => Some(histogram(&runtime.stats().total)),
            Self::Daemon(_) => None,
        }
    }

    /// What carried out the operations.
    fn device(&self, arguments: &BenchArgs, work: &Work) -> String {
        match self {
            Self::Embedded(_) => kind(work.algorithm, arguments).to_owned(),
            Self::Daemon(daemon) => daemon.devices_used(),
        }
    }

    fn balancer<'b>(&'b self, arguments: &'b BenchArgs) -> &'b str {
        match self {
            Self::Embedded(_) => arguments.lb.as_deref().unwrap_or(BALANCER),
            Self::Daemon(daemon) => &daemon.balancer,
        }
    }
}

fn measure(subject: &Subject<'_>, arguments: &BenchArgs, work: &Work) -> Result<Value, Failure> {
    let clock = Clock::monotonic();
    let mut clients = subject.clients(arguments, work)?;
    let has_direct = arguments.clients == 1 && arguments.ptest == Ptest::Throughput;
    let mut direct = if has_direct { Direct::new(work)? } else { None };
    if !arguments.warmup.is_zero() {
        clients.run_for(arguments.warmup)?;
    }
    let before = subject.times();
    let (mut tally, mut elapsed_ns, mut cpu_ns) = (Tally::default(), 0, 0);
    for part in 0..PARTS {
        let (start_ns, start_cpu_ns) = (clock.now().0, process_cpu_ns());
        let done = match arguments.ops {
            Some(total) => clients.run_ops(total * (part + 1) / PARTS - total * part / PARTS)?,
            None => clients.run_for(arguments.for_duration / PARTS as u32)?,
        };
        let part_ns = clock.now().0 - start_ns;
        cpu_ns += process_cpu_ns() - start_cpu_ns;
        elapsed_ns += part_ns;
        tally.add(&done);
        if let Some(direct) = &mut direct {
            direct.run_for(&clock, Duration::from_nanos(part_ns / 2));
        }
    }
    let times = match (arguments.ptest, subject.times(), before) {
        (Ptest::Throughput | Ptest::Verify, Some(after), Some(before)) => after.sub(&before),
        _ => tally.times(),
    };
    let ops = tally.ops;
    let seconds = (elapsed_ns as f64 / 1e9).max(f64::MIN_POSITIVE);
    let ops_per_s = ops as f64 / seconds;
    let percentile = |share| (times.count() > 0).then(|| times.percentile_ns(share));
    Ok(json!({
        "ptest": arguments.ptest.name(),
        "alg": work.algorithm.name(),
        "op": work.kind.name(),
        "size_bytes": work.size_bytes,
        "burst_ops": work.burst_ops,
        "sessions": arguments.sessions,
        "clients": arguments.clients,
        "device": subject.device(arguments, work),
        "lb": subject.balancer(arguments),
        "ops": ops,
        "seconds": seconds,
        "cpu_seconds": cpu_ns as f64 / 1e9,
        "ops_per_s": ops_per_s,
        "bytes_per_s": ops_per_s * work.size_bytes as f64,
        "op_ns": if ops == 0 { 0.0 } else { elapsed_ns as f64 / ops as f64 },
        "p50_ns": percentile(0.5),
        "p99_ns": percentile(0.99),
        "p999_ns": percentile(0.999),
        "errors": tally.errors,
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
