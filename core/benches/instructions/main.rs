//! Instructions an operation costs the thread that submits it, counted by callgrind: unlike a time, the figure is the
//! same in every run, so that a change of one instruction shows.
//!
//! ```text
//! cargo bench -p acrypto-core --bench instructions                    every case
//! cargo bench -p acrypto-core --bench instructions -- burst-32 await  these
//! ```
//!
//! Needs valgrind. Only what is done below the loops marked `counted_*` counts, on the thread that runs them, which
//! submits and carries out; building the runtime and its other threads do not. The devices are two of kind `null` behind
//! `simple_lb`, since callgrind knows no AVX-512. `loop` is each loop without the runtime; `OP` is what is left
//! after taking it off; `OFF` the same with statistics, histograms and health checks off. The last run of each case stays in the target folder for `callgrind_annotate`; with
//! `CARGO_PROFILE_BENCH_DEBUG=line-tables-only` in front of the command that tells lines as well.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints, and stops at the first surprise"
)]
#![allow(missing_docs, reason = "a program")]

use std::hint::black_box;
use std::path::Path;
use std::process::Command;

use acrypto_core::{
    Algorithm, Completion, Config, Key, Op, OpKind, Request, Runtime, Session, SessionSpec, block_on,
};

/// Operations counted; a multiple of every burst.
const OPS: usize = 9_600;
/// Operations before, so that tables, caches and pools are as they are later.
const WARM_OPS: usize = 3_200;
const BYTES: usize = 64;

/// How operations are handed in.
#[derive(Clone, Copy)]
enum Way {
    /// By a burst ring, so many together.
    Burst(usize),
    /// In place, so many together.
    Each(usize),
    /// In place, so many together, each in a session of its own.
    Sessions(usize),
    /// Awaited one by one.
    Await,
}

const CASES: [(&str, Way); 8] = [
    ("burst-1", Way::Burst(1)),
    ("burst-8", Way::Burst(8)),
    ("burst-32", Way::Burst(32)),
    ("each-1", Way::Each(1)),
    ("each-8", Way::Each(8)),
    ("each-32", Way::Each(32)),
    ("sessions-32", Way::Sessions(32)),
    ("await", Way::Await),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    if let [word, case] = &arguments[..]
        && word == "--run"
    {
        return run(case);
    }
    let wanted = |name: &&(&str, Way)| arguments.is_empty() || arguments.iter().any(|word| word == name.0);
    println!("{:<10} {:>10} {:>10} {:>10} {:>10}", "CASE", "whole", "loop", "OP", "OFF");
    for (name, _) in CASES.iter().filter(wanted) {
        let whole = count(name);
        let alone = count(&format!("loop-{name}"));
        let off = count(&format!("off-{name}"));
        println!("{name:<10} {whole:>10.1} {alone:>10.1} {:>10.1} {:>10.1}", whole - alone, off - alone);
    }
}

/// Instructions an operation of this case, by this program under callgrind.
fn count(case: &str) -> f64 {
    let program = std::env::current_exe().unwrap();
    let file = program.parent().unwrap_or(Path::new(".")).join(format!("callgrind.{case}.out"));
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--toggle-collect=*counted_*", "--collect-atstart=no"])
        .arg(format!("--callgrind-out-file={}", file.display()))
        .arg(&program)
        .args(["--run", case])
        .output()
        .expect("valgrind is installed");
    let report = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{report}");
    let collected = report.lines().find_map(|line| line.split_once("Collected :")).unwrap().1;
    collected.trim().parse::<f64>().unwrap() / OPS as f64
}

fn run(case: &str) {
    let with_runtime = case.strip_prefix("loop-").is_none();
    let way = CASES.iter().find(|(name, _)| case.ends_with(name)).unwrap().1;
    // Callgrind is far slower than the processor; what is short enough to be carried out at once stays so.
    let config = Config { inline_max_ns: 10_000 * Config::default().inline_max_ns, ..Config::default() };
    let config = match case.starts_with("off-") {
        true => Config { statistics: 0, heartbeat_ns: 0, silence_ns: 0, attempt_max_ns: 0, ..config },
        false => config,
    };
    let runtime = Runtime::start(config).unwrap();
    for name in ["null0", "null1"] {
        runtime.add_device_of_kind(name, "null", &[], 0).unwrap();
    }
    let session = runtime.session(SessionSpec::new(Algorithm::Null), Key::none()).unwrap();
    let session = with_runtime.then_some(&session);
    match way {
        Way::Burst(size) => {
            let requests = (0..size).map(|_| request(vec![0; BYTES])).collect();
            let requests = bursts(session, requests, WARM_OPS);
            counted_bursts(session, requests);
        }
        Way::Each(size) => {
            let mut ops: Vec<Op> = (0..size).map(|_| Op::new(request(vec![0; BYTES]))).collect();
            each(session, &mut ops, WARM_OPS);
            counted_each(session, &mut ops);
        }
        Way::Sessions(size) => {
            let open = |_| runtime.session(SessionSpec::new(Algorithm::Null), Key::none()).unwrap();
            let sessions: Vec<Session> = (0..size).map(open).collect();
            let op = |session| (session, Op::new(request(vec![0; BYTES])));
            let mut ops: Vec<(&Session, Op)> = sessions.iter().map(op).collect();
            in_sessions(with_runtime, &mut ops, WARM_OPS);
            counted_in_sessions(with_runtime, &mut ops);
        }
        Way::Await => {
            awaited(session, WARM_OPS);
            counted_awaited(session);
        }
    }
}

fn request(data: Vec<u8>) -> Request {
    Request::new(OpKind::Encrypt, data)
}

#[inline(never)]
fn counted_bursts(session: Option<&Session>, requests: Vec<Request>) {
    bursts(session, requests, OPS);
}

#[inline(never)]
fn counted_each(session: Option<&Session>, ops: &mut [Op]) {
    each(session, ops, OPS);
}

#[inline(never)]
fn counted_in_sessions(with_runtime: bool, ops: &mut [(&Session, Op)]) {
    in_sessions(with_runtime, ops, OPS);
}

#[inline(never)]
fn counted_awaited(session: Option<&Session>) {
    awaited(session, OPS);
}

#[inline(never)]
fn bursts(session: Option<&Session>, mut requests: Vec<Request>, ops: usize) -> Vec<Request> {
    let size = requests.len();
    let mut ring = session.map(|session| session.burst(size));
    let mut completions: Vec<Completion> = Vec::with_capacity(size);
    let mut buffers: Vec<Vec<u8>> = Vec::with_capacity(size);
    for _ in 0..ops / size {
        match &mut ring {
            Some(ring) => {
                assert_eq!(ring.submit(&mut requests), size);
                while completions.len() < size {
                    ring.poll(&mut completions, size);
                }
                requests.extend(completions.drain(..).map(|done| request(done.data)));
            }
            None => {
                buffers.extend(black_box(&mut requests).drain(..).map(|request| request.data));
                requests.extend(black_box(&mut buffers).drain(..).map(request));
            }
        }
    }
    requests
}

#[inline(never)]
fn each(session: Option<&Session>, ops: &mut [Op], count: usize) {
    let mut ring = session.map(|session| session.burst(1));
    for _ in 0..count / ops.len() {
        let ops = black_box(&mut *ops);
        if let Some(ring) = &mut ring {
            assert_eq!(ring.call_each(ops), ops.len());
        }
    }
}

#[inline(never)]
fn in_sessions(with_runtime: bool, ops: &mut [(&Session, Op)], count: usize) {
    let mut ring = with_runtime.then(|| ops[0].0.burst(1));
    for _ in 0..count / ops.len() {
        let ops = black_box(&mut *ops);
        if let Some(ring) = &mut ring {
            assert_eq!(ring.call_each_in(ops), ops.len());
        }
    }
}

#[inline(never)]
fn awaited(session: Option<&Session>, ops: usize) {
    block_on(async {
        let mut data = vec![0; BYTES];
        for _ in 0..ops {
            let request = request(std::mem::take(&mut data));
            data = match session {
                Some(session) => session.submit(request).await.unwrap().data,
                None => black_box(request).data,
            };
        }
        black_box(data);
    });
}
