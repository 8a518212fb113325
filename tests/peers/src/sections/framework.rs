//! The framework itself: a null device behind a balancer over two devices.

use acrypto_core::{Algorithm, Config};

use super::Outcome;
use crate::case::Case;
use crate::measure::{Contender, Plan, Sample, rounds};
use crate::ours::{self, Bursts, InPlace, Stream};
use crate::programs;
use crate::report::{Field, Goal, Section, Unit, comparison};
use crate::spinning::Spinning;

const BYTES: usize = 64;
const ACROSS: usize = 256;

pub fn measure(plan: &Plan) -> Outcome {
    let case = Case::new(Algorithm::Null, BYTES);
    let fields: Vec<Field> = [1, 8, 32].into_iter().map(|burst| one_thread(plan, case, burst)).collect();
    let across = across(plan, case);
    let cost = |field: &Field| field.series[0].spread(Sample::cpu_ns_per_op);
    let goals = vec![
        Goal::at_most("burst 1, one thread, ns of CPU an operation", 60.0, cost(&fields[0])),
        Goal::at_most("burst 32, one thread, ns of CPU an operation", 15.0, cost(&fields[2])),
        Goal::at_most(
            "burst 32, across a thread, ns an operation",
            20.0,
            across.series[0].spread(Sample::wall_ns_per_op),
        ),
    ];
    Section {
        name: "s3",
        title: "The framework over null devices",
        method: "Operations of 64 bytes that no device touches, behind `simple_lb` over two devices. On one thread a burst is \
            handed in, carried out and handed back in turn, in place or by a ring; DPDK's scheduler (round-robin over two null devices) does the same. \
            Across a thread, bursts of 32 are submitted with 256 in flight: (1) nothing is carried out by the submitter at \
            once, and a worker polls as DPDK's cores do (`poll_workers`); (2) with the default settings. Beside them, two bare \
            rings of words between two threads that spin."
            .to_owned(),
        tables: vec![comparison("On one thread", &fields), comparison("Across a thread, bursts of 32", &[across])],
        goals,
        plot: None,
    }
    .into()
}

fn one_thread(plan: &Plan, case: Case, burst: usize) -> Field {
    let runtime = ours::runtime(case.algorithm, 2, Config::default());
    let mut in_place = InPlace::new(case, ours::sessions(&runtime, case, 1), burst);
    in_place.check("acrypto null");
    let mut bursts = Bursts::new(case, ours::sessions(&runtime, case, 1), burst);
    bursts.check("acrypto null");
    let series = rounds(
        plan,
        vec![
            Contender::here("acrypto, in place", move |ops| in_place.turn(ops, None)),
            Contender::here("acrypto, a ring", move |ops| bursts.turn(ops)),
            programs::dpdk(plan, case, burst),
        ],
    );
    Field { case: format!("burst {burst}"), unit: Unit::Nanos, ours: 2, series }
}

fn across(plan: &Plan, case: Case) -> Field {
    let polling = Config { workers: 1, poll_workers: 1, inline_max_ns: 0, ..Config::default() };
    let stream = |config| {
        let runtime = ours::runtime(case.algorithm, 2, config);
        let mut stream = Stream::new(case, &ours::sessions(&runtime, case, 1)[0], ACROSS);
        move |ops| {
            // The runtime lives as long as its turns.
            let _ = &runtime;
            stream.turn(ops, None);
        }
    };
    // Its worker takes a processor even while others have their turns, hence it has rounds of its own.
    let mut series = rounds(plan, vec![Contender::here("acrypto, a worker that polls", stream(polling))]);
    let mut spinning = Spinning::start(ACROSS);
    series.extend(rounds(
        plan,
        vec![
            Contender::here("acrypto, as it comes", stream(Config::default())),
            Contender::here("two bare rings", move |ops| spinning.turn(ops)),
        ],
    ));
    Field { case: "256 in flight".to_owned(), unit: Unit::Nanos, ours: 2, series }
}
