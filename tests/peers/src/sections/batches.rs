//! Batches on one core, beside synchronous libraries and DPDK.

use acrypto_core::{Algorithm, Config};

use super::Outcome;
use crate::case::{Case, size};
use crate::libraries::{Library, libraries};
use crate::measure::{Contender, Plan, Sample, rounds};
use crate::ours::{self, BURST, Bursts, InPlace};
use crate::programs;
use crate::report::{Field, Gain, Goal, Section, Unit, comparison};

const SIZES: [usize; 3] = [64, 1 << 10, 16 << 10];
/// Sizes of a run that only shows that it runs: `openssl speed` takes a second for each.
const QUICK_SIZES: [usize; 1] = [1 << 10];
const METHOD: &str = "One thread hands in 32 operations, has all of them back, and begins again; one device. *In place* it makes \
    the same 32 ready again (`call_each`); with *a ring* it makes requests, submits and polls. The libraries of \
    Rust are called in a bare loop over the same 32 buffers, under one key; `openssl speed` and DPDK measure themselves, with \
    buffers of their own.";

fn sizes(plan: &Plan) -> &'static [usize] {
    if plan.is_quick { &QUICK_SIZES } else { &SIZES }
}

/// aes-128-cbc, under one key and under 32.
pub fn cbc(plan: &Plan) -> Outcome {
    let sizes = sizes(plan);
    let fields: Vec<Field> =
        sizes.iter().map(|bytes| field(plan, Case::new(Algorithm::Aes128Cbc, *bytes), &[1, BURST])).collect();
    let mut goals = Vec::new();
    for (ours, sessions) in ["1 session", "32 sessions"].into_iter().enumerate() {
        for (field, bytes) in fields.iter().zip(sizes.iter().copied()) {
            let (by_openssl, by_dpdk) = match bytes {
                1_024 => (Some(7.0), 1.0),
                16_384 => (Some(8.0), 0.8),
                _ => (None, 1.0),
            };
            let over = |name: &str| field.named(name).and_then(|peer| field.ratio(ours, peer));
            if let Some(bound) = by_openssl {
                goals.push(Goal::at_least(
                    format!("{}, {sessions}, over openssl", size(bytes)),
                    bound,
                    over("openssl"),
                ));
            }
            goals.push(Goal::at_least(
                format!("{}, {sessions}, over DPDK", size(bytes)),
                by_dpdk,
                over("dpdk"),
            ));
        }
    }
    let gains =
        fields.iter().zip(sizes).map(|(field, bytes)| gain(field, Algorithm::Aes128Cbc, *bytes)).collect();
    let section = Section {
        name: "s1",
        title: "aes-128-cbc encryption in bursts of 32",
        method: format!(
            "{METHOD} (1) and (3) are one session, (2) and (4) are 32 sessions with keys of their own, one operation of each burst \
             in each. The goals are for what is called in place."
        ),
        tables: vec![comparison("", &fields)],
        goals,
        plot: None,
    };
    Outcome { section, gains }
}

/// The other algorithms.
pub fn others(plan: &Plan) -> Outcome {
    let mut section = Section {
        name: "s2",
        title: "Other algorithms in bursts of 32",
        method: format!("{METHOD} One session. The goals are for what is called in place."),
        ..Section::default()
    };
    let mut gains = Vec::new();
    for algorithm in [
        Algorithm::Aes128Ctr,
        Algorithm::Aes256Ctr,
        Algorithm::Sha256,
        Algorithm::HmacSha256,
        Algorithm::Aes256Gcm,
        Algorithm::ChaCha20Poly1305,
    ] {
        let fields: Vec<Field> =
            sizes(plan).iter().map(|bytes| field(plan, Case::new(algorithm, *bytes), &[1])).collect();
        for (field, bytes) in fields.iter().zip(sizes(plan).iter().copied()) {
            section.goals.extend(goals(field, algorithm, bytes));
            gains.push(gain(field, algorithm, bytes));
        }
        section.tables.push(comparison(algorithm.name(), &fields));
    }
    Outcome { section, gains }
}

fn is_library(name: &str) -> bool {
    !name.starts_with("dpdk")
}

fn goals(field: &Field, algorithm: Algorithm, bytes: usize) -> Vec<Goal> {
    let what = |over: &str| format!("{algorithm} {}, over {over}", size(bytes));
    let over = |name: &str| field.named(name).and_then(|peer| field.ratio(0, peer));
    match (algorithm, bytes) {
        (Algorithm::Aes128Ctr | Algorithm::Aes256Ctr, 1_024) => {
            vec![Goal::at_least(what("DPDK"), 0.75, over("dpdk"))]
        }
        (Algorithm::Aes128Ctr | Algorithm::Aes256Ctr, 16_384) => {
            vec![Goal::at_least(what("DPDK"), 0.95, over("dpdk"))]
        }
        (Algorithm::Sha256 | Algorithm::HmacSha256, 1_024) => {
            let best = field.best(is_library).and_then(|peer| field.ratio(0, peer));
            vec![
                Goal::at_least(what("the best library"), 2.0, best),
                Goal::at_least(what("DPDK"), 1.0, over("dpdk")),
            ]
        }
        (Algorithm::Aes256Gcm | Algorithm::ChaCha20Poly1305, _) => {
            vec![Goal::at_least(what("aws-lc-rs"), 0.9, over("aws-lc-rs"))]
        }
        _ => Vec::new(),
    }
}

/// Ours with each number of sessions, then everybody else.
fn field(plan: &Plan, case: Case, sessions: &[usize]) -> Field {
    let runtime = ours::runtime(case.algorithm, 1, Config::default());
    let mut all: Vec<Contender<'_>> = Vec::new();
    let kind = ours::kind_for(case.algorithm);
    let keys = |count: &usize| if *count == 1 { String::new() } else { format!(", {count} keys") };
    for count in sessions {
        let name = format!("acrypto {kind}, in place{}", keys(count));
        let mut in_place = InPlace::new(case, ours::sessions(&runtime, case, *count), BURST);
        in_place.check(&name);
        all.push(Contender::here(name, move |ops| in_place.turn(ops, None)));
    }
    for count in sessions {
        let name = format!("acrypto {kind}, a ring{}", keys(count));
        let mut bursts = Bursts::new(case, ours::sessions(&runtime, case, *count), BURST);
        bursts.check(&name);
        all.push(Contender::here(name, move |ops| bursts.turn(ops)));
    }
    let ours = all.len();
    all.push(programs::dpdk(plan, case, BURST));
    for Library { name, mut turn } in libraries(case) {
        let mut buffers = case.buffers(BURST);
        all.push(Contender::here(name, move |ops| turn(&mut buffers, ops)));
    }
    all.push(programs::openssl(case));
    let series = rounds(plan, all);
    Field { case: case.title(), unit: Unit::Gigabytes(case.bytes), ours, series }
}

fn gain(field: &Field, algorithm: Algorithm, bytes: usize) -> Gain {
    let speed = |series: &crate::measure::Series| {
        series.spread(|sample: &Sample| field.unit.of(sample.cpu_ns_per_op())).map(|spread| spread.median)
    };
    let best = field.best(is_library);
    Gain {
        algorithm: algorithm.name(),
        bytes,
        library: best.map(|series| series.name.clone()).unwrap_or_default(),
        library_gb_per_s: best.and_then(speed),
        ours_gb_per_s: field.series.first().and_then(speed),
        dpdk_gb_per_s: field.named("dpdk").and_then(speed),
        ratio: best.and_then(|peer| field.ratio(0, peer)),
    }
}
