//! How much of the bare kernel is left, and what a second core adds.

use acrypto_core::{Algorithm, Config, Runtime};

use super::Outcome;
use crate::alternatives::{Pool, Rayon, Tasks, Way};
use crate::case::{Case, size};
use crate::measure::{
    Contender, Latencies, NotedTurn, Plan, Recorder, Sample, Series, latency_rounds, rounds,
};
use crate::ours::{self, BURST, Bursts, InPlace, Kernel, Stream, kernels_turn, shared_turn};
use crate::report::{Field, Goal, Section, Table, Unit, comparison, spread};

const IN_FLIGHT: usize = 256;

/// What is left of the kernel of the same device, on one core and on all.
pub fn share(plan: &Plan) -> Outcome {
    let mut section = Section {
        name: "s5",
        title: "Share of the bare kernel, and what Rust programs do today",
        method: "The bare kernel is the device called without a runtime, in runs of 32 over the same number of buffers. On all \
            cores, 256 operations are in flight: one kernel loop a core; acrypto with a device a core, from a caller a core that \
            hands in 128 in place, from a submitter a core that polls bursts of 32, from one submitter, and from 256 tasks that \
            await; the alternatives carry out RustCrypto's call. \
            Latencies are from submission to the result in the caller's hands, of turns of their own."
            .to_owned(),
        ..Section::default()
    };
    let mut fields = Vec::new();
    for algorithm in [Algorithm::Aes128Cbc, Algorithm::Aes128Ctr, Algorithm::Sha256, Algorithm::Aes256Gcm] {
        for (bytes, bound) in [(64, None), (1 << 10, Some(0.90)), (16 << 10, Some(0.98))] {
            let field = one_core(plan, Case::new(algorithm, bytes));
            if let Some(bound) = bound {
                let what = format!("{algorithm} {}, one thread: share of the kernel", size(bytes));
                section.goals.push(Goal::at_least(what, bound, field.ratio(0, &field.series[2])));
            }
            fields.push(field);
        }
    }
    section.tables.push(comparison("One thread, bursts of 32", &fields));
    let columns = ["case", "who", "p50, µs", "p99, µs"].map(str::to_owned).to_vec();
    let mut latencies =
        Table { title: "All cores, 256 in flight: latency".to_owned(), columns, ..Table::default() };
    let mut fields = Vec::new();
    for (bytes, bound) in [(64, 0.80), (1 << 10, 0.85), (16 << 10, 0.93)] {
        let case = Case::new(Algorithm::Aes128Ctr, bytes);
        let mut setup = AllCores::new(case);
        let field = setup.throughput(plan);
        let kernel = field.named("bare kernel");
        let share = |number| kernel.and_then(|kernel| field.wall_ratio(number, kernel));
        for number in 0..field.ours - 1 {
            let what =
                format!("{}, all cores, ({}): share of the kernels, wall time", case.title(), number + 1);
            section.goals.push(Goal::at_least(what, bound, share(number)));
        }
        let best = field.best(|name| !name.starts_with("bare"));
        let name = best.map_or("", |best| best.name.as_str());
        for number in 0..field.ours - 1 {
            let what = format!("{}, all cores, ({}) over {name}", case.title(), number + 1);
            section.goals.push(Goal::at_least(what, 1.0, best.and_then(|best| field.ratio(number, best))));
        }
        fields.push(field);
        let noted = setup.latency(plan);
        for (index, of) in noted.iter().enumerate() {
            let title = if index == 0 { case.title() } else { String::new() };
            let micros = |mut of: crate::measure::Spread| {
                (of.median, of.least, of.greatest) = (of.median / 1e3, of.least / 1e3, of.greatest / 1e3);
                spread(Some(of))
            };
            latencies.rows.push(vec![title, of.name.clone(), micros(of.p50()), micros(of.p99())]);
            latencies.data.push(of.json(&case.title()));
        }
        section.goals.extend(p99_goals(case, &noted));
    }
    section.tables.push(comparison("All cores, 256 in flight", &fields));
    section.tables.push(latencies);
    section.into()
}

/// Like with like: rings beside batches, what is awaited beside what is awaited.
fn p99_goals(case: Case, noted: &[Latencies]) -> Vec<Goal> {
    let [in_place, each, _, awaited, rayon, pool, oneshot, spawn, blocking] = noted else {
        return Vec::new();
    };
    let goal = |number, ours: &Latencies, others: &[&Latencies]| {
        let best = others.iter().min_by(|one, other| one.p99().median.total_cmp(&other.p99().median));
        let over = best.map(|best| ours.over(best, |round| round.p99_ns));
        let name = best.map_or("", |best| best.name.as_str());
        Goal::at_most(format!("{}, all cores, ({number}): p99 over {name}", case.title()), 1.0, over)
    };
    vec![
        goal(1, in_place, &[rayon, pool]),
        goal(2, each, &[rayon, pool]),
        goal(4, awaited, &[oneshot, spawn, blocking]),
    ]
}

fn one_core(plan: &Plan, case: Case) -> Field {
    let runtime = ours::runtime(case.algorithm, 1, Config::default());
    let kind = ours::kind_for(case.algorithm);
    let mut in_place = InPlace::new(case, ours::sessions(&runtime, case, 1), BURST);
    in_place.check("acrypto in place");
    let mut bursts = Bursts::new(case, ours::sessions(&runtime, case, 1), BURST);
    bursts.check("acrypto");
    let mut kernel = Kernel::new(case, BURST);
    let series = rounds(
        plan,
        vec![
            Contender::here(format!("acrypto {kind}, in place"), move |ops| in_place.turn(ops, None)),
            Contender::here(format!("acrypto {kind}, a ring"), move |ops| bursts.turn(ops)),
            Contender::here("bare kernel", move |ops| kernel.turn(ops)),
        ],
    );
    Field { case: case.title(), unit: Unit::Gigabytes(case.bytes), ours: 2, series }
}

/// Everything that keeps all cores at one case.
struct AllCores {
    case: Case,
    _runtime: Runtime,
    callers: Vec<InPlace>,
    one: Stream,
    each: Vec<Stream>,
    tasks: Tasks,
    kernels: Vec<Kernel>,
    rayon: Rayon,
    pool: Pool,
    oneshots: Tasks,
    spawn: Tasks,
    blocking: Tasks,
}

impl AllCores {
    fn new(case: Case) -> Self {
        let cores = crate::machine::cores();
        let runtime = ours::runtime(case.algorithm, cores, Config::default());
        let session = ours::sessions(&runtime, case, 1).remove(0);
        let tasks = |way| Tasks::new(case, way, Some(&session), cores, IN_FLIGHT);
        Self {
            case,
            callers: (0..cores)
                .map(|_| InPlace::new(case, vec![session.clone()], IN_FLIGHT / cores))
                .collect(),
            one: Stream::new(case, &session, IN_FLIGHT),
            each: (0..cores).map(|_| Stream::new(case, &session, IN_FLIGHT / cores)).collect(),
            tasks: tasks(Way::Session),
            kernels: (0..cores).map(|_| Kernel::new(case, IN_FLIGHT / cores)).collect(),
            rayon: Rayon::new(case, cores, IN_FLIGHT),
            pool: Pool::new(case, cores, IN_FLIGHT),
            oneshots: tasks(Way::PoolOneshot),
            spawn: tasks(Way::Spawn),
            blocking: tasks(Way::SpawnBlocking),
            _runtime: runtime,
        }
    }

    fn throughput(&mut self, plan: &Plan) -> Field {
        let kind = ours::kind_for(self.case.algorithm);
        let Self { case, callers, one, each, tasks, kernels, rayon, pool, oneshots, spawn, blocking, .. } =
            self;
        let series: Vec<Series> = rounds(
            plan,
            vec![
                Contender::here(format!("acrypto {kind}, in place"), |ops| shared_turn(callers, ops, None)),
                Contender::here(format!("acrypto {kind}, a submitter a core"), |ops| {
                    shared_turn(each, ops, None)
                }),
                Contender::here(format!("acrypto {kind}, one submitter"), |ops| one.turn(ops, None)),
                Contender::here(format!("acrypto {kind}, awaited"), |ops| tasks.turn(ops, None)),
                Contender::here("bare kernel, a thread a core", |ops| kernels_turn(kernels, ops)),
                Contender::here("rayon", |ops| rayon.turn(ops, None)),
                Contender::here("crossbeam pool, batches of 32", |ops| pool.turn(ops, None)),
                Contender::here("crossbeam pool and oneshot", |ops| oneshots.turn(ops, None)),
                Contender::here("tokio::spawn", |ops| spawn.turn(ops, None)),
                Contender::here("spawn_blocking", |ops| blocking.turn(ops, None)),
            ],
        );
        Field { case: case.title(), unit: Unit::Gigabytes(case.bytes), ours: 4, series }
    }

    fn latency(&mut self, plan: &Plan) -> Vec<Latencies> {
        let kind = ours::kind_for(self.case.algorithm);
        let ops = if plan.is_quick { 512 } else { 51_200 };
        let Self { callers, one, each, tasks, rayon, pool, oneshots, spawn, blocking, .. } = self;
        let noted: Vec<(String, NotedTurn<'_>)> = vec![
            (
                format!("(1) acrypto {kind}, in place"),
                Box::new(|ops, recorder: &mut Recorder| shared_turn(callers, ops, Some(recorder))),
            ),
            (
                format!("(2) acrypto {kind}, a submitter a core"),
                Box::new(|ops, recorder: &mut Recorder| shared_turn(each, ops, Some(recorder))),
            ),
            (
                format!("(3) acrypto {kind}, one submitter"),
                Box::new(|ops, recorder| one.turn(ops, Some(recorder))),
            ),
            (
                format!("(4) acrypto {kind}, awaited"),
                Box::new(|ops, recorder| tasks.turn(ops, Some(recorder))),
            ),
            ("rayon".to_owned(), Box::new(|ops, recorder| rayon.turn(ops, Some(recorder)))),
            (
                "crossbeam pool, batches of 32".to_owned(),
                Box::new(|ops, recorder| pool.turn(ops, Some(recorder))),
            ),
            (
                "crossbeam pool and oneshot".to_owned(),
                Box::new(|ops, recorder| oneshots.turn(ops, Some(recorder))),
            ),
            ("tokio::spawn".to_owned(), Box::new(|ops, recorder| spawn.turn(ops, Some(recorder)))),
            ("spawn_blocking".to_owned(), Box::new(|ops, recorder| blocking.turn(ops, Some(recorder)))),
        ];
        latency_rounds(plan, ops, noted)
    }
}

/// What a second core adds.
pub fn two(plan: &Plan) -> Outcome {
    let cores = crate::machine::cores();
    let mut section = Section {
        name: "s6",
        title: "All cores against one",
        method: format!(
            "acrypto with one worker, one device and one submitter, against as many of each as there are cores ({cores}), 256 in \
             flight; the same of the bare kernel says what the machine has to give. By the time of day."
        ),
        ..Section::default()
    };
    let columns = ["case", "who", "one, GB/s", "all, GB/s", "all ÷ one"].map(str::to_owned).to_vec();
    let mut table = Table { columns, ..Table::default() };
    for algorithm in [Algorithm::Aes128Cbc, Algorithm::Aes128Ctr, Algorithm::Sha256] {
        for bytes in [4 << 10, 16 << 10, 64 << 10] {
            let case = Case::new(algorithm, bytes);
            let series = one_and_all(plan, case, cores);
            for (index, (who, pair)) in
                ["acrypto", "bare kernel"].into_iter().zip(series.chunks(2)).enumerate()
            {
                let [one, all] = pair else { continue };
                let speed = |of: &Series| of.spread(|sample| bytes as f64 / sample.wall_ns_per_op());
                let ratio = one.ratio(all, Sample::wall_ns_per_op);
                let title = if index == 0 { case.title() } else { String::new() };
                table.rows.push(vec![
                    title,
                    who.to_owned(),
                    spread(speed(one)),
                    spread(speed(all)),
                    spread(ratio),
                ]);
                table.data.push(serde_json::json!({ "case": case.title(), "who": who, "ratio": ratio.map(|ratio| ratio.median) }));
                if index == 0 {
                    section.goals.push(Goal::at_least(
                        format!("{}: all cores over one", case.title()),
                        1.9,
                        ratio,
                    ));
                }
            }
        }
    }
    section.tables.push(table);
    section.into()
}

fn one_and_all(plan: &Plan, case: Case, cores: usize) -> Vec<Series> {
    let submitters = |count: usize| {
        let config = Config { workers: count, ..Config::default() };
        let runtime = ours::runtime(case.algorithm, count, config);
        let session = ours::sessions(&runtime, case, 1).remove(0);
        let mut streams: Vec<Stream> =
            (0..count).map(|_| Stream::new(case, &session, IN_FLIGHT / count)).collect();
        Contender::here("acrypto", move |ops| {
            // The runtime lives as long as its turns.
            let _ = &runtime;
            shared_turn(&mut streams, ops, None);
        })
    };
    let kernels = |count: usize| {
        let mut kernels: Vec<Kernel> = (0..count).map(|_| Kernel::new(case, IN_FLIGHT / count)).collect();
        Contender::here("bare kernel", move |ops| kernels_turn(&mut kernels, ops))
    };
    rounds(plan, vec![submitters(1), submitters(cores), kernels(1), kernels(cores)])
}
