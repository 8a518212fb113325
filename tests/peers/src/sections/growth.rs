//! What an operation costs as submitters, sessions and devices become many.

use std::thread;

use acrypto_core::{Algorithm, Config};

use super::Outcome;
use crate::case::Case;
use crate::measure::{Contender, Plan, Sample, Series, rounds};
use crate::ours::{self, BURST, Bursts};
use crate::plot::{Line, svg};
use crate::report::{Section, Table, spread};

const SUBMITTERS: [usize; 5] = [1, 2, 4, 8, 64];
const SESSIONS: [usize; 3] = [1, 64, 10_000];
const DEVICES: [usize; 7] = [1, 2, 4, 8, 16, 32, 64];

pub fn measure(plan: &Plan) -> Outcome {
    let case = Case::new(Algorithm::Null, 64);
    let lines = [
        grow(plan, "submitters", &SUBMITTERS, |count| submitters(case, count)),
        grow(plan, "sessions", &SESSIONS, |count| sessions(case, count)),
        grow(plan, "devices", &DEVICES, |count| devices(case, count)),
    ];
    let mut section = Section {
        name: "s7",
        title: "Growth",
        method: "Bursts of 32 over null devices: one submitter, one session and two devices, but for the one that grows. \
            Submitters are threads with a ring each, started within the turn; of many sessions, each has the next operation \
            in turn; devices are behind `simple_lb`."
            .to_owned(),
        ..Section::default()
    };
    let columns =
        ["what", "how many", "ns of CPU an operation", "ns of wall time", "CPU ÷ that of the fewest"];
    let mut table = Table { columns: columns.map(str::to_owned).to_vec(), ..Table::default() };
    let mut plotted = Vec::new();
    for (what, counts, series) in &lines {
        let mut points = Vec::new();
        for (index, (count, of)) in counts.iter().zip(series).enumerate() {
            let cpu = of.spread(Sample::cpu_ns_per_op);
            let title = if index == 0 { (*what).to_owned() } else { String::new() };
            let growth = series.first().and_then(|first| of.ratio(first, Sample::cpu_ns_per_op));
            let figures = [cpu, of.spread(Sample::wall_ns_per_op), growth].map(spread);
            table.rows.push([title, count.to_string()].into_iter().chain(figures).collect());
            let median = cpu.map(|cpu| cpu.median);
            table.data.push(serde_json::json!({ "what": what, "count": count, "cpu_ns_per_op": median }));
            points.extend(median.map(|median| (*count as f64, median)));
        }
        plotted.push(Line { name: what, points });
    }
    section.tables.push(table);
    section.plot =
        Some(("ns of CPU an operation, as each grows".to_owned(), svg("ns of CPU an operation", &plotted)));
    section.into()
}

type Grown<'a> = (&'static str, &'a [usize], Vec<Series>);

fn grow<'a>(
    plan: &Plan,
    what: &'static str,
    counts: &'a [usize],
    contender: impl Fn(usize) -> Contender<'static>,
) -> Grown<'a> {
    let counts = if plan.is_quick { &counts[..2] } else { counts };
    (what, counts, rounds(plan, counts.iter().map(|count| contender(*count)).collect()))
}

fn submitters(case: Case, count: usize) -> Contender<'static> {
    let runtime = ours::runtime(case.algorithm, 2, Config::default());
    let sessions = ours::sessions(&runtime, case, 1);
    let mut all: Vec<Bursts> = (0..count).map(|_| Bursts::new(case, sessions.clone(), BURST)).collect();
    Contender::here("submitters", move |ops| {
        // The runtime lives as long as its turns.
        let _ = &runtime;
        let each = ops / all.len() as u64;
        if let [alone] = &mut all[..] {
            return alone.turn(ops);
        }
        thread::scope(|scope| {
            for bursts in &mut all {
                scope.spawn(move || bursts.turn(each.next_multiple_of(BURST as u64)));
            }
        });
    })
}

fn sessions(case: Case, count: usize) -> Contender<'static> {
    let runtime = ours::runtime(case.algorithm, 2, Config::default());
    let mut bursts = Bursts::new(case, ours::sessions(&runtime, case, count), BURST);
    Contender::here("sessions", move |ops| {
        let _ = &runtime;
        bursts.turn(ops);
    })
}

fn devices(case: Case, count: usize) -> Contender<'static> {
    let runtime = ours::runtime(case.algorithm, count, Config::default());
    let mut bursts = Bursts::new(case, ours::sessions(&runtime, case, 1), BURST);
    Contender::here("devices", move |ops| {
        let _ = &runtime;
        bursts.turn(ops);
    })
}
