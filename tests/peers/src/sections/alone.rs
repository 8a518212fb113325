//! One operation alone, and many tasks with one operation each.

use acrypto_core::{Algorithm, Config};

use super::Outcome;
use crate::alternatives::{Tasks, Way};
use crate::case::{Case, size};
use crate::libraries::{Library, libraries};
use crate::measure::{Contender, Latencies, NotedTurn, Plan, Sample, latency_rounds, now, rounds};
use crate::ours;
use crate::report::{Field, Goal, Section, Table, Unit, comparison, spread};

const SIZES: [usize; 3] = [64, 1 << 10, 16 << 10];
const IN_FLIGHT: usize = 256;

pub fn measure(plan: &Plan) -> Outcome {
    let mut section = Section {
        name: "s4",
        title: "One operation alone, and 256 tasks with one each",
        method: "Alone: a thread awaits one operation at a time while the runtime is idle, beside the libraries called \
            for the same operation; each operation is timed, and the clock is in all of them. The goal is over the library that the device \
            uses. 256 in flight: as many tasks under tokio with a thread a \
            core, each awaiting one operation on a null device after another, beside `tokio::spawn` for each."
            .to_owned(),
        ..Section::default()
    };
    let columns = ["case", "who", "p50, ns", "p99, ns", "mean, ns", "acrypto above it, p50"]
        .map(str::to_owned)
        .to_vec();
    let mut table = Table { title: "One operation alone, awaited".to_owned(), columns, ..Table::default() };
    for algorithm in [Algorithm::Aes128Ctr, Algorithm::Aes256Gcm] {
        for bytes in SIZES {
            let case = Case::new(algorithm, bytes);
            let all = alone(plan, case);
            let Some((through, direct)) = all.split_first() else { continue };
            for of in &all {
                let is_first = std::ptr::eq(of, through);
                let above = (!is_first).then(|| through.above(of, |round| round.p50_ns));
                let title = if is_first { case.title() } else { String::new() };
                let figures = [Some(of.p50()), Some(of.p99()), Some(of.mean()), above].map(spread);
                table.rows.push([title, of.name.clone()].into_iter().chain(figures).collect());
                table.data.push(of.json(&case.title()));
            }
            let used = direct.iter().find(|of| of.name == ours::library_of(algorithm));
            let above = used.map(|of| through.above(of, |round| round.p50_ns));
            let what = format!("{algorithm} {}: ns above {}, p50", size(bytes), ours::library_of(algorithm));
            section.goals.push(Goal::at_most(what, 150.0, above));
        }
    }
    section.tables.push(table);
    let field = many(plan);
    let cost = field.series[0].spread(Sample::cpu_ns_per_op);
    section.goals.push(Goal::at_most("256 tasks over null, ns of CPU an operation", 150.0, cost));
    section.tables.push(comparison("256 tasks, an operation on a null device each", &[field]));
    section.into()
}

fn alone(plan: &Plan, case: Case) -> Vec<Latencies> {
    let runtime = ours::runtime(case.algorithm, 1, Config::default());
    let session = ours::sessions(&runtime, case, 1).remove(0);
    let ops = if plan.is_quick { 200 } else { 20_000 };
    let name = format!("acrypto {}", ours::kind_for(case.algorithm));
    let through: NotedTurn<'_> =
        Box::new(move |ops, recorder| ours::awaited(case, &session, ops, Some(recorder)));
    let mut all = vec![(name, through)];
    for Library { name, mut turn } in libraries(case) {
        let mut buffers = case.buffers(1);
        let each: NotedTurn<'_> = Box::new(move |ops, recorder| {
            for _ in 0..ops {
                let start = now();
                turn(&mut buffers, 1);
                recorder.note(start);
            }
        });
        all.push((name.to_owned(), each));
    }
    latency_rounds(plan, ops, all)
}

fn many(plan: &Plan) -> Field {
    let case = Case::new(Algorithm::Null, 64);
    let threads = crate::machine::cores();
    let runtime = ours::runtime(case.algorithm, 2, Config::default());
    let session = ours::sessions(&runtime, case, 1).remove(0);
    let contender = |name: &str, way, session, threads| {
        let mut tasks = Tasks::new(case, way, session, threads, IN_FLIGHT);
        Contender::here(name.to_owned(), move |ops| tasks.turn(ops, None))
    };
    let series = rounds(
        plan,
        vec![
            contender("acrypto, awaited", Way::Session, Some(&session), threads),
            contender("acrypto, awaited on one thread", Way::Session, Some(&session), 1),
            contender("tokio::spawn", Way::Spawn, None, threads),
            contender("tokio::spawn on one thread", Way::Spawn, None, 1),
            contender("crossbeam pool and oneshot", Way::PoolOneshot, None, threads),
            contender("spawn_blocking", Way::SpawnBlocking, None, threads),
        ],
    );
    Field { case: "256 tasks".to_owned(), unit: Unit::Nanos, ours: 2, series }
}
